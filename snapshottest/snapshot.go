package snapshottest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	awsconstructs "github.com/aws/constructs-go/constructs/v10"
)

// Compare synthesizes an app, stage or stack and compares its templates with their
// snapshots. name tells several comparisons of a test apart, and may be empty when
// there is one. t must be that of a test, not of a subtest.
func Compare(t testing.TB, name string, scope awsconstructs.Construct) {
	t.Helper()
	switch scope := scope.(type) {
	case awscdk.Stage: // an app is one
		compare(t, name, *scope.Synth(nil).Directory(), "")
	case awscdk.Stack:
		compare(t, name, *awscdk.Stage_Of(scope).Synth(nil).Directory(), *scope.ArtifactId())
	default:
		t.Fatalf("comparing %s: got a %T; allowed: an app, a stage or a stack", name, scope)
	}
}

// CompareAssembly compares the templates in a cloud assembly, the folder that a
// synthesis has written, with their snapshots. It is for apps that are programs of
// their own: run them with CDK_OUTDIR set to the folder. For name and t see
// [Compare].
func CompareAssembly(t testing.TB, name, folder string) {
	t.Helper()
	compare(t, name, folder, "")
}

// compare is about one stack, or about all if stack is empty.
func compare(t testing.TB, name, folder, stack string) {
	t.Helper()
	if strings.Contains(t.Name(), "/") {
		t.Fatalf("comparing %s: got the subtest %s; allowed: a test, which knows all of its snapshots", name, t.Name())
	}
	assembly, err := readAssembly(folder)
	if err != nil {
		t.Fatal(err)
	}
	owned := snapshotsOf(t)
	for _, template := range assembly.templates {
		if stack == "" || stack == template.stack {
			owned.compare(t, strings.TrimPrefix(name+"."+template.name, "."), template.content, assembly.assets)
		}
	}
}

// root is the folder of all snapshots of a package.
var root = filepath.Join("testdata", "snapshots")

// snapshots are those of a test.
type snapshots struct {
	folder string
	seen   map[string]bool // by file
}

// running are the snapshots of the tests that run, by their names.
var running = map[string]*snapshots{}

// snapshotsOf are those of a test. Once it has ended, none may be left over.
func snapshotsOf(t testing.TB) *snapshots {
	owned, found := running[t.Name()]
	if !found {
		owned = &snapshots{folder: filepath.Join(root, t.Name()), seen: map[string]bool{}}
		running[t.Name()] = owned
		t.Cleanup(func() {
			delete(running, t.Name())
			owned.leftovers(t)
		})
	}
	return owned
}

func (s *snapshots) compare(t testing.TB, name string, content []byte, assets assetIDs) {
	t.Helper()
	got, err := normalize(content, assets)
	if err != nil {
		t.Fatalf("reading the template of %s: %v", name, err)
	}
	file := filepath.Join(s.folder, name+".json")
	if s.seen[file] {
		t.Errorf("comparing %s twice in a test; give each comparison a name", name)
		return
	}
	s.seen[file] = true
	want, err := os.ReadFile(file)
	want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")) // a checkout on Windows; JSON escapes those in a text
	switch {
	case updating():
		s.write(t, file, got)
	case err != nil:
		t.Errorf("the template of %s has no snapshot; look at it and run the test with -update: %v", name, err)
	case !bytes.Equal(want, got):
		t.Errorf("the template of %s is not its snapshot.\nThis is what a deployment would change; if it is meant, run the test with -update:\n%s", name, difference(want, got))
	}
}

func (s *snapshots) write(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// leftovers finds files in the folder that nothing was compared with, and those of
// tests that are no more.
func (s *snapshots) leftovers(t testing.TB) {
	if t.Failed() || t.Skipped() {
		return
	}
	folders := foldersWithoutTest(t)
	if !selected("test.run") && !selected("test.skip") {
		folders = append(folders, s.folder)
	}
	for _, folder := range folders {
		files, _ := filepath.Glob(filepath.Join(folder, "*.json"))
		for _, file := range files {
			if !s.seen[file] {
				leftover(t, file)
			}
		}
		if updating() {
			_ = os.Remove(folder) // if it is empty
		}
	}
}

func leftover(t testing.TB, file string) {
	if !updating() {
		t.Errorf("no template is compared with snapshot %s; delete it or run the test with -update", file)
	} else if err := os.Remove(file); err != nil {
		t.Error(err)
	}
}

// selected tells whether a flag of the go command is about subtests.
func selected(name string) bool {
	f := flag.Lookup(name)
	return f != nil && strings.Contains(f.Value.String(), "/")
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w*)\(`)

// foldersWithoutTest are the folders of snapshots with names that no test in this
// folder has, whether or not it runs.
func foldersWithoutTest(t testing.TB) []string {
	sources, _ := filepath.Glob("*_test.go")
	tests := map[string]bool{t.Name(): true}
	for _, source := range sources {
		content, err := os.ReadFile(source)
		if err != nil {
			t.Error(err)
		}
		for _, match := range testFunction.FindAllSubmatch(content, -1) {
			tests[string(match[1])] = true
		}
	}
	entries, _ := filepath.Glob(filepath.Join(root, "Test*"))
	var found []string
	for _, entry := range entries {
		if !tests[filepath.Base(entry)] {
			found = append(found, entry)
		}
	}
	return found
}
