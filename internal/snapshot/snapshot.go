// Package snapshot compares whole CloudFormation templates with files, so that
// a change of what is deployed shows in review.
package snapshot

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the snapshots instead of comparing with them")

// Snapshots is a folder of template snapshots. A template without a snapshot
// fails, and so does a snapshot that no test compared with.
type Snapshots struct {
	dir  string
	seen map[string]bool
}

// NewSnapshots opens a folder, relative to the test's. The test that calls it
// must make all the comparisons with that folder.
func NewSnapshots(t testing.TB, dir string) *Snapshots {
	s := &Snapshots{dir: dir, seen: map[string]bool{}}
	t.Cleanup(func() { s.orphans(t) })
	return s
}

// Compare holds a template, as JSON, against the snapshot of that name.
func (s *Snapshots) Compare(t testing.TB, name string, template []byte) {
	t.Helper()
	got := normalize(t, template)
	file := filepath.Join(s.dir, name+".json")
	s.seen[file] = true
	if *update {
		require.NoError(t, os.MkdirAll(s.dir, 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoErrorf(t, err, "%s has no snapshot; look at the template and run: make snapshots", name)
	if !bytes.Equal(want, got) {
		t.Errorf("the template of %s is not its snapshot.\nThis is what a deployment would change; if it is meant, run: make snapshots\n%s", name, difference(t, want, got))
	}
}

func (s *Snapshots) orphans(t testing.TB) {
	if t.Failed() || t.Skipped() {
		return
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	require.NoError(t, err)
	for _, file := range files {
		if s.seen[file] {
			continue
		}
		if *update {
			require.NoError(t, os.Remove(file))
			continue
		}
		t.Errorf("no test made the template of snapshot %s; delete it or run: make snapshots", file)
	}
}

// Noise of the CDK's that says nothing of what is deployed.
var (
	assetHash      = regexp.MustCompile(`[0-9a-f]{64}`)
	noiseTopLevel  = map[string][]string{"Parameters": {"BootstrapVersion"}, "Rules": {"CheckBootstrapVersion"}, "Conditions": {"CDKMetadataAvailable"}}
	noiseResources = "AWS::CDK::Metadata"
)

// normalize sorts a template, drops the noise, breaks long texts into lines, and
// names asset hashes by the order of their first use, which keeps equal hashes
// equal.
func normalize(t testing.TB, template []byte) []byte {
	t.Helper()
	var tree map[string]any
	require.NoError(t, json.Unmarshal(template, &tree))
	for section, names := range noiseTopLevel {
		members, _ := tree[section].(map[string]any)
		for _, name := range names {
			delete(members, name)
		}
		if members != nil && len(members) == 0 {
			delete(tree, section)
		}
	}
	resources, _ := tree["Resources"].(map[string]any)
	for id, resource := range resources {
		if resource, _ := resource.(map[string]any); resource["Type"] == noiseResources {
			delete(resources, id)
		}
	}
	breakLines(tree)
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(tree))
	names := map[string]string{}
	return assetHash.ReplaceAllFunc(b.Bytes(), func(hash []byte) []byte {
		name, ok := names[string(hash)]
		if !ok {
			name = fmt.Sprintf("<asset-%d>", len(names)+1)
			names[string(hash)] = name
		}
		return []byte(name)
	})
}

// linesKey stands in a snapshot for a text of several lines, such as user data.
const linesKey = "<lines>"

// breakLines turns such texts into lists of lines, so that a diff shows the line
// that has changed.
func breakLines(node any) any {
	switch node := node.(type) {
	case map[string]any:
		for key, child := range node {
			node[key] = breakLines(child)
		}
	case []any:
		for i, child := range node {
			node[i] = breakLines(child)
		}
	case string:
		if strings.Contains(node, "\n") {
			return map[string]any{linesKey: strings.Split(node, "\n")}
		}
	}
	return node
}

// difference lists the values that differ, by their path in the template.
func difference(t testing.TB, want, got []byte) string {
	t.Helper()
	before, after := flatten(t, want), flatten(t, got)
	var lines []string
	for path, value := range before {
		if now, ok := after[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s\n    gone: %s", path, value))
		} else if now != value {
			lines = append(lines, fmt.Sprintf("%s\n    was: %s\n    is:  %s", path, value, now))
		}
	}
	for path, value := range after {
		if _, ok := before[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s\n    new: %s", path, value))
		}
	}
	sort.Strings(lines)
	const most = 40
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("… and %d more", len(lines)-most))
	}
	return strings.Join(lines, "\n")
}

func flatten(t testing.TB, template []byte) map[string]string {
	t.Helper()
	var tree any
	require.NoError(t, json.Unmarshal(template, &tree))
	flat := map[string]string{}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case map[string]any:
			for key, child := range node {
				walk(strings.TrimPrefix(path+"."+key, "."), child)
			}
		case []any:
			for i, child := range node {
				walk(fmt.Sprintf("%s[%d]", path, i), child)
			}
		default:
			flat[path] = fmt.Sprintf("%#v", node)
		}
	}
	walk("", tree)
	return flat
}
