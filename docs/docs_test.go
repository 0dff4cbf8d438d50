// Package docs_test holds the documents to what they describe.
package docs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Templates of the default app, as the tests in stacks keep them.
const (
	runners = "../stacks/testdata/snapshots/default.json"
	image   = "../stacks/testdata/snapshots/image/default.json"
)

// What the documents say about a deployment is what its templates set, not what a
// constant somewhere says: a program's own default can be overruled by a construct.
var facts = []struct {
	document string
	// phrase has %v where the value stands.
	phrase string
	// template, resource and property lead to the value. The resource is named by its
	// logical id without the hash; an element of a list by its index or its Name.
	template, resource, property string
	// as says how the document spells the value.
	as func(value any) string
}{
	{"operations.md", "| `ECSRUNNERS_IDLE_TIMEOUT` | %v |", runners, task, environment + "ECSRUNNERS_IDLE_TIMEOUT.Value", short},
	{"operations.md", "| `ECSRUNNERS_LIFETIME` | %v |", runners, task, environment + "ECSRUNNERS_LIFETIME.Value", short},
	{"operations.md", "| `ECSRUNNERS_START_TIMEOUT` | %v |", runners, task, environment + "ECSRUNNERS_START_TIMEOUT.Value", short},
	{"operations.md", "| `ECSRUNNERS_STOP_TIMEOUT` | %v |", runners, task, environment + "ECSRUNNERS_STOP_TIMEOUT.Value", short},
	{"operations.md", "| `ECSRUNNERS_STOP_TIMEOUT` | %v |", runners, task, "ContainerDefinitions.0.StopTimeout", short},
}

const (
	task        = "Fleetlinuxx64TaskDefinition"
	environment = "ContainerDefinitions.0.Environment."
)

func TestDocs_SayWhatTheTemplatesSet(t *testing.T) {
	t.Parallel()
	for _, fact := range facts {
		value := property(t, fact.template, fact.resource, fact.property)
		want := fmt.Sprintf(fact.phrase, fact.as(value))
		assert.Containsf(t, text(t, fact.document), want, "%s: the template has %s: %v", fact.document, fact.property, value)
	}
}

// property is a property of a resource in a template.
func property(t *testing.T, template, resource, path string) any {
	t.Helper()
	content, err := os.ReadFile(template)
	require.NoError(t, err)
	var tree struct {
		Resources map[string]struct{ Properties any }
	}
	require.NoError(t, json.Unmarshal(content, &tree))
	id := regexp.MustCompile("^" + resource + "[0-9A-F]{8}$")
	var found []any
	for name, candidate := range tree.Resources {
		if id.MatchString(name) {
			found = append(found, candidate.Properties)
		}
	}
	require.Lenf(t, found, 1, "%s has no %s, or several", template, resource)
	value := at(found[0], path)
	require.NotNilf(t, value, "%s has no %s.%s", template, resource, path)
	return value
}

func at(tree any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch node := tree.(type) {
		case map[string]any:
			tree = node[key]
		case []any:
			tree = nil
			for i, element := range node {
				if member, ok := element.(map[string]any); strconv.Itoa(i) == key || ok && member["Name"] == key {
					tree = element
				}
			}
		default:
			return nil
		}
	}
	return tree
}

// text is a document with its lines joined.
func text(t *testing.T, document string) string {
	t.Helper()
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	return strings.ReplaceAll(string(content), "\n", " ")
}

// duration reads a number of seconds, or the text of a duration.
func duration(value any) time.Duration {
	if seconds, ok := value.(float64); ok {
		return time.Duration(seconds) * time.Second
	}
	d, err := time.ParseDuration(fmt.Sprint(value))
	if err != nil {
		panic(err)
	}
	return d
}

// short spells a duration as 2m or 6h30m.
func short(value any) string {
	s := duration(value).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}
