package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// asApp makes this test binary the app.
const asApp = "ECSRUNNERS_TEST_AS_APP"

func TestMain(m *testing.M) {
	if os.Getenv(asApp) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// run executes the app as the CDK CLI does, in an own temporary folder, and
// returns where the cloud assembly is.
func run(t *testing.T, configuration any) (assembly, stderr string, exitCode int) {
	t.Helper()
	file, err := os.ReadFile("../../cdk.json")
	require.NoError(t, err)
	var cdkJSON struct{ Context map[string]any }
	require.NoError(t, json.Unmarshal(file, &cdkJSON))
	context := maps.Clone(cdkJSON.Context)
	context["aws:cdk:bundling-stacks"] = []any{}
	if configuration != nil {
		context[config.Key] = configuration
	}
	encoded, err := json.Marshal(context)
	require.NoError(t, err)

	assembly = filepath.Join(t.TempDir(), "cdk.out")
	executable, err := os.Executable()
	require.NoError(t, err)
	app := exec.CommandContext(t.Context(), executable)
	app.Dir = t.TempDir()
	// Without a folder for caches there are no programs that were built before.
	app.Env = append(os.Environ(), asApp+"=1", "TMPDIR="+t.TempDir(), "CDK_VALIDATION=false",
		"XDG_CACHE_HOME=no/absolute/path",
		"CDK_OUTDIR="+assembly, "CDK_CONTEXT_JSON="+string(encoded))
	var output bytes.Buffer
	app.Stderr = &output
	if err := app.Run(); err != nil {
		require.IsType(t, &exec.ExitError{}, err, "starting the app")
	}
	return assembly, output.String(), app.ProcessState.ExitCode()
}

func TestApp_SynthesizesTheCommittedConfigurationToTheSameBytesEverywhere(t *testing.T) {
	first, stderr, exitCode := run(t, nil)
	require.Zerof(t, exitCode, "the configuration in cdk.json does not work: %s", stderr)
	assert.NotContains(t, stderr, "ecsrunners: building", "where assets are not bundled, nothing may be built")
	second, _, exitCode := run(t, nil)
	require.Zero(t, exitCode)

	one, err := os.ReadFile(filepath.Join(first, "GitHubRunners.template.json"))
	require.NoError(t, err)
	other, err := os.ReadFile(filepath.Join(second, "GitHubRunners.template.json"))
	require.NoError(t, err)
	assert.Contains(t, string(one), "AWS::ECS::Cluster")
	assert.Equal(t, string(one), string(other), "the working directory or TMPDIR shows in the template: each machine "+
		"would deploy a change")
}

func TestApp_FailsWhenTheConfigurationCannotBeUsed_WithAllProblemsOnALineEach(t *testing.T) {
	for _, test := range []struct {
		name          string
		configuration any
		want          string
	}{
		{
			name: "from cdk.json",
			configuration: map[string]any{
				"webhook": map[string]any{"owners": []any{"my-org"}},
				"cluster": map[string]any{
					"defaultCapacity": map[string]any{"maxInstances": 10, "minInstances": 11, "targetCapacityPercent": 101},
					"capacities": map[string]any{"Arm": map[string]any{
						"architecture":  "arm64",
						"instanceTypes": []any{"m7i.large"},
					}},
				},
				"stackName": "EcsRunners",
			},
			want: `context key "ecsrunners":
stackName must be at most 128 letters, digits and -, beginning with a letter, but not with aws, ecs or fargate in any case, got "EcsRunners": ECS refuses capacity providers that CloudFormation names after such a stack
cluster.defaultCapacity.minInstances must be 0 to 10, got 11
cluster.defaultCapacity.targetCapacityPercent must be 1 to 100, got 101
cluster.capacities["Arm"].instanceTypes[0] must be of architecture arm64, and this type is x64, got "m7i.large"
`,
		},
		{
			name:          "from the command line, with keys that nobody knows",
			configuration: `{"clustr": {}, "cluster": {"defaultCapacity": {"maxInstance": 3, "spot": true}}}`,
			want: `context key "ecsrunners":
cluster.defaultCapacity.maxInstance is not a known key; did you mean "maxInstances"?
cluster.defaultCapacity.spot must be an object, got true
clustr is not a known key; did you mean "cluster"?
`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			assembly, stderr, exitCode := run(t, test.configuration)
			assert.Equal(t, 1, exitCode, "the CDK CLI would deploy what is in cdk.out")
			assert.Contains(t, stderr, test.want, "whoever runs this must be able to mend all of it at once")
			assert.NotContains(t, stderr, "goroutine", "a stack trace hides the message")
			templates, err := filepath.Glob(filepath.Join(assembly, "*.template.json"))
			require.NoError(t, err)
			assert.Empty(t, templates, "half of a configuration must not be deployed")
		})
	}
}
