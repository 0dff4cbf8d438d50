package consumer_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConsumer_TestsItsStackAgainstASnapshot(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	m := newModule(t, "snapshots")
	m.goCommand(t, "mod", "edit", "-require="+library+"@v0.0.0", "-replace="+library+"="+root)
	m.dependOnSources(t, root)
	m.goCommand(t, "test", "-c", "-ldflags=-w", "-o", "app.test", ".")
	snapshot := filepath.Join(m.dir, "testdata", "snapshots", "TestRunners", "Runners.json")

	output, err := m.test(t, "10")
	require.Error(t, err, "a snapshot that is missing must be missed")
	assert.Contains(t, output, "the template of Runners has no snapshot")

	assert.NoFileExists(t, filepath.Join(m.dir, "golden"))
	output, err = m.test(t, "10", "-update")
	require.NoError(t, err, output)
	assert.FileExists(t, filepath.Join(m.dir, "golden"), "the package's own flag is not set")
	content, err := os.ReadFile(snapshot)
	require.NoError(t, err)
	assert.Contains(t, string(content), `"S3Key": "<asset-1>.zip"`,
		"an upgrade of the library would change the hash of its program, in every snapshot")
	assert.NotContains(t, string(content), "CheckBootstrapVersion")

	output, err = m.test(t, "10")
	require.NoError(t, err, output)
	assert.NotContains(t, output, "ecsrunners: building", "a test must not wait for a compiler")

	output, err = m.test(t, "11")
	require.Error(t, err, "a deployment would change what no review has shown")
	assert.Regexp(t, `Resources\.Cluster\w+\.Properties\.MaxSize
\s+was: "10"
\s+is:  "11"`, output)
	assert.Less(t, strings.Count(output, "was:"), 3, "the change is hidden among others")
}

// test runs the module's test for a stack with so many instances.
func (m consumer) test(t *testing.T, maxInstances string, args ...string) (output string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(m.dir, "app.test"), args...)
	command.Dir = m.dir
	command.Env = append(m.env, "MAX_INSTANCES="+maxInstances)
	combined, err := command.CombinedOutput()
	return string(combined), err
}
