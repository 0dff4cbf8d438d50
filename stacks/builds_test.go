package stacks_test

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/stacks"
	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// A program that is not started is built while the others wait, one that is started
// for nothing takes a processor from them.
func TestPrograms_AreThoseOfTheConstructs(t *testing.T) {
	for _, s := range append(scenarios(t), scenario{"without an image", withoutImage}, scenario{"x64", x64}) {
		app, _ := s.build(t, nil)
		assert.ElementsMatch(t, extracted(t, app), started(t, app), s.name)
	}
}

const (
	withoutImage = `{
		"webhook": {"owners": ["octo-org"]},
		"registration": {"organization": "octo-org"},
		"cluster": {"defaultCapacity": {"maxInstances": 2}},
		"fleets": [{"name": "linux", "labels": ["linux"], "image": "registry.example.com/runner:stable"}]
	}`
	x64 = `{
		"image": {},
		"webhook": {"owners": ["octo-org"], "architecture": "x64"},
		"registration": {"organization": "octo-org"},
		"cluster": {"defaultCapacity": {"maxInstances": 2}},
		"fleets": [{"name": "linux", "labels": ["linux"]}]
	}`
)

// started are the hashes of the programs that are started for an app.
func started(t *testing.T, app awscdk.App) []string {
	t.Helper()
	c, err := config.Parse(app.Node().TryGetContext(jsii.String(config.Key)))
	require.NoError(t, err)
	var hashes []string
	for _, program := range stacks.Programs(c) {
		hash, err := program.Hash()
		require.NoError(t, err)
		hashes = append(hashes, hash)
	}
	return hashes
}

// extracted are the hashes of the programs whose sources the constructs have put
// into the assembly of an app.
func extracted(t *testing.T, app awscdk.App) []string {
	t.Helper()
	entries, err := os.ReadDir(*app.AssetOutdir())
	require.NoError(t, err)
	var hashes []string
	for _, entry := range entries {
		if hash, ok := strings.CutPrefix(entry.Name(), "sources."); ok {
			hashes = append(hashes, hash)
		}
	}
	require.NotEmpty(t, hashes)
	return hashes
}
