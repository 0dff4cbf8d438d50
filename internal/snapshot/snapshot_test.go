package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNormalize_KeepsWhatIsDeployed(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	for name, test := range map[string]struct{ template, want string }{
		"keys are sorted, text is not escaped": {
			`{"Outputs": 1, "Description": "a & b"}`,
			`{"Description": "a & b", "Outputs": 1}`,
		},
		"equal hashes stay equal, different ones different": {
			fmt.Sprintf(`{"A": "%s.zip", "B": "%s", "C": "%s"}`, b, a, b),
			`{"A": "<asset-1>.zip", "B": "<asset-2>", "C": "<asset-1>"}`,
		},
		"what the CDK adds for itself is left out, sections that it leaves empty too": {
			`{"Parameters": {"BootstrapVersion": 1}, "Rules": {"CheckBootstrapVersion": 1}, "Conditions": {"CDKMetadataAvailable": 1},
				"Resources": {"CDKMetadata": {"Type": "AWS::CDK::Metadata"}, "Topic": {"Type": "AWS::SNS::Topic"}}}`,
			`{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}`,
		},
		"other parameters, rules and conditions stay": {
			`{"Parameters": {"BootstrapVersion": 1, "P": 1}, "Rules": {"R": 1}, "Conditions": {"C": 1}}`,
			`{"Conditions": {"C": 1}, "Parameters": {"P": 1}, "Rules": {"R": 1}}`,
		},
	} {
		assert.JSONEq(t, test.want, string(normalize(t, []byte(test.template))), name)
	}
	assert.Equal(t, "{\n  \"A\": \"<b>\",\n  \"B\": 1\n}\n", string(normalize(t, []byte(`{"B": 1, "A": "<b>"}`))))
}

func TestDifference_NamesPathAndValues(t *testing.T) {
	want := `{"A": {"Size": 1, "Zones": ["a", "b"]}, "Gone": true}`
	got := `{"A": {"Size": 2, "Zones": ["a", "c"]}, "New": "x"}`
	assert.Equal(t, strings.Join([]string{
		"A.Size\n    was: 1\n    is:  2",
		"A.Zones[1]\n    was: \"b\"\n    is:  \"c\"",
		"Gone\n    gone: true",
		"New\n    new: \"x\"",
	}, "\n"), difference(t, []byte(want), []byte(got)))
}

func TestNormalize_BreaksTextIntoLines(t *testing.T) {
	got := normalize(t, []byte(`{"UserData": ["one\ntwo\n", "three"]}`))
	assert.JSONEq(t, `{"UserData": [{"<lines>": ["one", "two", ""]}, "three"]}`, string(got), "a reviewer has to search a whole script for the change")
}

func TestSnapshots_PassesWhenEqual(t *testing.T) {
	dir := folder(t, map[string]string{"stack.json": "{\n  \"A\": 1\n}\n"})
	assert.Empty(t, failures(t, dir, `{"A":1}`))
}

func TestSnapshots_FailsWhenTemplateDiffers(t *testing.T) {
	dir := folder(t, map[string]string{"stack.json": "{\n  \"A\": 1\n}\n"})
	got := failures(t, dir, `{"A":2}`)
	assert.Contains(t, got, "the template of stack is not its snapshot")
	assert.Contains(t, got, "A\n    was: 1\n    is:  2")
}

func TestSnapshots_FailsWhenSnapshotIsMissing(t *testing.T) {
	assert.Contains(t, failures(t, folder(t, nil), `{"A":1}`), "stack has no snapshot")
}

func TestSnapshots_FailsWhenSnapshotIsOrphaned(t *testing.T) {
	dir := folder(t, map[string]string{"stack.json": "{\n  \"A\": 1\n}\n", "old.json": "{}"})
	assert.Contains(t, failures(t, dir, `{"A":1}`), "no test made the template of snapshot "+filepath.Join(dir, "old.json"))
}

func TestSnapshots_UpdateWritesAndDeletes(t *testing.T) {
	dir := folder(t, map[string]string{"old.json": "{}"})
	*update = true
	defer func() { *update = false }()
	require.Empty(t, failures(t, dir, `{"A":1}`))
	written, err := os.ReadFile(filepath.Join(dir, "stack.json"))
	require.NoError(t, err)
	assert.Equal(t, "{\n  \"A\": 1\n}\n", string(written))
	assert.NoFileExists(t, filepath.Join(dir, "old.json"))
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// failures is what a test prints that compares a template named "stack" only.
func failures(t *testing.T, dir, template string) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // FailNow ends the goroutine
		defer close(done)
		defer func() {
			for _, cleanup := range r.cleanups {
				cleanup()
			}
		}()
		NewSnapshots(r, dir).Compare(r, "stack", []byte(template))
	}()
	<-done
	return strings.Join(r.failures, "\n")
}

// recorder is a test that keeps its failures to itself.
type recorder struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { return len(r.failures) > 0 }
func (r *recorder) Skipped() bool    { return false }
func (r *recorder) FailNow()         { runtime.Goexit() }
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
