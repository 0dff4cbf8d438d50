// Package consumer_test uses ecsrunners as its users do: from another module,
// in another folder, as another program. It does not import the library.
package consumer_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const library = "github.com/ecs-github-runners/ecsrunners"

func TestConsumer_SynthesizesAClusterOfTheSourcesInThisFolder(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	m := newModule(t, "app")
	m.goCommand(t, "mod", "edit", "-require="+library+"@v0.0.0", "-replace="+library+"="+root)
	m.dependOnSources(t, root)

	types := resourceTypes(t, m.synthesize(t, "Consumer"))
	for _, want := range []string{
		"AWS::ECS::Cluster", "AWS::ECS::CapacityProvider", "AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::LaunchTemplate",
		"AWS::EC2::VPC",
	} {
		assert.Containsf(t, types, want, "who imports the library gets another cluster than its tests see")
	}
}

// consumer is a Go module outside of this repository.
type consumer struct {
	dir string
	env []string // of the commands that run in it
}

// newModule makes a module of a folder in testdata. It knows the checksums of
// the library's dependencies, but no requirement yet.
func newModule(t *testing.T, name string) consumer {
	t.Helper()
	m := consumer{
		dir: t.TempDir(),
		// What the library needs was downloaded to build this test.
		env: append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off"),
	}
	require.NoError(t, os.CopyFS(m.dir, os.DirFS(filepath.Join("testdata", name))))
	var sums []byte
	// The module's own sums, and those of versions that only its users select.
	for _, file := range []string{"../../go.sum", "../../examples/go.sum"} {
		more, err := os.ReadFile(file)
		require.NoError(t, err)
		sums = append(sums, more...)
	}
	require.NoError(t, os.WriteFile(filepath.Join(m.dir, "go.sum"), sums, 0o600))
	m.goCommand(t, "mod", "init", "example.com/"+name)
	return m
}

// dependOnSources looks at each file below root that the module is built from.
// The go command caches the result of a test by the files that it has looked
// at; what the programs that it starts read does not count.
func (m consumer) dependOnSources(t *testing.T, root string) {
	t.Helper()
	const format = `{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{range ` +
		`.EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}`
	files := m.goCommand(t, "list", "-deps", "-f", format, ".")
	for file := range strings.Lines(files) {
		if file = strings.TrimSpace(file); strings.HasPrefix(file, root+string(filepath.Separator)) {
			_, err := os.Stat(file)
			require.NoError(t, err)
		}
	}
}

// goCommand runs the go command in the module.
func (m consumer) goCommand(t *testing.T, args ...string) (output string) {
	t.Helper()
	return m.run(t, nil, "go", args...)
}

// synthesize builds the program of the module, runs it as the CDK CLI does, and
// returns the template of a stack.
func (m consumer) synthesize(t *testing.T, stack string, buildFlags ...string) []byte {
	t.Helper()
	// Without debugging information the linker needs half the time.
	m.goCommand(t, append(append([]string{"build", "-ldflags=-w"}, buildFlags...), "-o", "program", ".")...)
	assembly := filepath.Join(m.dir, "cdk.out")
	m.run(t, []string{"CDK_OUTDIR=" + assembly}, filepath.Join(m.dir, "program"))
	template, err := os.ReadFile(filepath.Join(assembly, stack+".template.json"))
	require.NoError(t, err)
	return template
}

func (m consumer) run(t *testing.T, env []string, program string, args ...string) (output string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = m.dir
	command.Env = append(m.env, env...)
	var stderr strings.Builder
	command.Stderr = &stderr
	stdout, err := command.Output()
	require.NoErrorf(t, err, "%s\n%s", command, stderr.String())
	return string(stdout)
}

// resourceTypes are those in a template.
func resourceTypes(t *testing.T, template []byte) []string {
	t.Helper()
	var decoded struct {
		Resources map[string]struct{ Type string }
	}
	require.NoError(t, json.Unmarshal(template, &decoded))
	var types []string
	for _, resource := range decoded.Resources {
		types = append(types, resource.Type)
	}
	return types
}
