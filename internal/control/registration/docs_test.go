package registration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/registration"
)

// A row of the table of races without its test would be a promise.
func TestDocs_NameTestsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/registration.md")
	require.NoError(t, err)
	var sources strings.Builder
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		sources.Write(source)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(named), 15)
	for _, name := range named {
		assert.Contains(t, sources.String(), "func "+name[1]+"(t *testing.T)",
			"docs/registration.md names a test that is not there")
	}
}

func TestDocs_Limits(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../docs/registration.md")
	require.NoError(t, err)
	want := fmt.Sprintf("looks up at most %d such jobs", registration.Looks)
	assert.Truef(t, strings.Contains(strings.Join(strings.Fields(string(content)), " "), want),
		"docs/registration.md does not say %q", want)
}

// Each file that the guide names is there.
func TestDocs_GuideNamesFilesThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/guide.md")
	require.NoError(t, err)
	var files []string
	for _, root := range []string{"constructs", "internal", "lambda", "runner-image", "stacks"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("../../..", root), func(path string, _ os.DirEntry,
			err error,
		) error {
			files = append(files, path)
			return err
		}))
	}
	named := regexp.MustCompile("`([a-z-]+(?:/[a-z_-]+)*(?:\\.go|\\.sh)?)`").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(named), 25)
	for _, name := range named {
		if !strings.ContainsAny(name[1], "/.") { // a word, such as the name of a member
			continue
		}
		assert.Truef(t, slices.ContainsFunc(files, func(file string) bool { return strings.HasSuffix(file, "/"+name[1]) }),
			"docs/guide.md names %s, which is not there", name[1])
	}
}
