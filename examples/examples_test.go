// Package examples_test builds and runs every example as the CDK CLI would, and
// holds their templates against snapshots and against the source series.
package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/snapshottest"
)

// programs is the folder of the examples' executables.
var programs string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "examples")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	build := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-w", "-o", dir+"/", "./...")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the examples:", err)
		return 1
	}
	programs = dir
	return m.Run()
}

func TestExamples_SynthesizeToTheirSnapshots(t *testing.T) {
	for _, example := range examples(t) {
		assembly := synthesize(t, example)
		assert.Emptyf(t, assembly.messages(t), "%s: cdk synth --strict fails on these; acknowledge them with a reason, "+
			"or change the example", example)
		snapshottest.CompareAssembly(t, example, assembly.dir)
	}
}

func TestExamples_HaveTheFeatureFlagsOfTheApp(t *testing.T) {
	app := readCDKJSON(t, "../cdk.json")
	require.NotEmpty(t, app.flags())
	for _, example := range examples(t) {
		got := readCDKJSON(t, filepath.Join(example, "cdk.json"))
		assert.Equalf(t, app.flags(), got.flags(), "%s: who copies this cdk.json gets other templates than the app", example)
		assert.Equalf(t, app.Output, got.Output, "%s: output", example)
		assert.Equalf(t, app.VersionReporting, got.VersionReporting, "%s: versionReporting", example)
		assert.Equalf(t, "go run .", got.App, "%s: app", example)
	}
}

func TestExamples_UseThePublicAPIOnly(t *testing.T) {
	for _, example := range examples(t) {
		files, err := filepath.Glob(filepath.Join(example, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, spec := range parsed.Imports {
				path, err := strconv.Unquote(spec.Path.Value)
				require.NoError(t, err)
				assert.NotContainsf(t, path, "/internal/", "%s: who copies it to a module of their own cannot build it", file)
			}
		}
	}
}

// examples are the folders with a program.
func examples(t *testing.T) []string {
	t.Helper()
	mains, err := filepath.Glob("*/main.go")
	require.NoError(t, err)
	require.NotEmpty(t, mains)
	names := make([]string, len(mains))
	for i, main := range mains {
		names[i] = filepath.Dir(main)
	}
	return names
}

type cdkJSON struct {
	App              string
	Output           string
	VersionReporting *bool
	Context          map[string]any
}

func (c cdkJSON) flags() map[string]any {
	flags := maps.Clone(c.Context)
	maps.DeleteFunc(flags, func(key string, _ any) bool { return !strings.HasPrefix(key, "@aws-cdk") })
	return flags
}

func readCDKJSON(t *testing.T, file string) cdkJSON {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var c cdkJSON
	require.NoErrorf(t, json.Unmarshal(content, &c), "reading %s", file)
	return c
}

// assembly is the folder that a synthesis has filled.
type assembly struct{ dir string }

// assemblies are what synthesize has made, by example. Tests only read them.
var assemblies = map[string]assembly{}

// synthesize runs an example as the CDK CLI would, once for all tests, without
// bundling assets and without the validation of templates, which "make examples"
// has on.
func synthesize(t *testing.T, example string) assembly {
	t.Helper()
	if a, done := assemblies[example]; done {
		return a
	}
	settings := readCDKJSON(t, filepath.Join(example, "cdk.json"))
	settings.Context["aws:cdk:bundling-stacks"] = []string{}
	values, err := json.Marshal(settings.Context)
	require.NoError(t, err)
	a := assembly{dir: filepath.Join(programs, "cdk.out", example)} // goes with the programs
	program := exec.CommandContext(t.Context(), filepath.Join(programs, example))
	program.Dir = example
	program.Env = append(os.Environ(), "CDK_OUTDIR="+a.dir, "CDK_CONTEXT_JSON="+string(values), "CDK_VALIDATION=false")
	output, err := program.CombinedOutput()
	require.NoErrorf(t, err, "running example %s:\n%s", example, output)
	assemblies[example] = a
	return a
}

// artifact is what the manifest of an assembly tells of a stack.
type artifact struct {
	Type                   string
	Environment            string // aws://ACCOUNT/REGION
	AdditionalMetadataFile string
	Properties             struct{ TemplateFile string }
}

func (a assembly) read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(a.dir, file))
	require.NoError(t, err)
	return content
}

func (a assembly) stacks(t *testing.T) map[string]artifact {
	t.Helper()
	var manifest struct{ Artifacts map[string]artifact }
	require.NoError(t, json.Unmarshal(a.read(t, "manifest.json"), &manifest))
	maps.DeleteFunc(manifest.Artifacts, func(_ string, artifact artifact) bool {
		return artifact.Type != "aws:cloudformation:stack"
	})
	require.NotEmpty(t, manifest.Artifacts, "no stack was synthesized")
	return manifest.Artifacts
}

// messages are the warnings and errors that nobody acknowledged.
func (a assembly) messages(t *testing.T) []string {
	t.Helper()
	var messages []string
	for stack, artifact := range a.stacks(t) {
		require.NotEmptyf(t, artifact.AdditionalMetadataFile,
			"the CDK no longer writes messages of %s to a file of their own", stack)
		var metadata map[string][]struct {
			Type string
			Data any
		}
		require.NoError(t, json.Unmarshal(a.read(t, artifact.AdditionalMetadataFile), &metadata))
		for construct, entries := range metadata {
			for _, entry := range entries {
				if entry.Type == "aws:cdk:warning" || entry.Type == "aws:cdk:error" {
					messages = append(messages, fmt.Sprintf("%s: %v", construct, entry.Data))
				}
			}
		}
	}
	slices.Sort(messages)
	return messages
}
