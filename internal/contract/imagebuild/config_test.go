package imagebuild_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
)

const example = `[{"project":"p","parameter":"/p","repository":"r","tag":"latest-x64"}]`

func projects() imagebuildcontract.Config {
	return imagebuildcontract.Config{Projects: []imagebuildcontract.Project{
		{Project: "build", Parameter: "/waiting", Repository: "runner", Tag: "latest-x64"},
		{Project: "build-arm64", Parameter: "/waiting-arm64", Repository: "runner", Tag: "latest-arm64"},
	}}
}

func TestConfig_TravelsThroughTheEnvironment(t *testing.T) {
	env, err := projects().Environment()
	require.NoError(t, err)
	got, err := imagebuildcontract.Parse(lookup(env))
	require.NoError(t, err)
	assert.Equal(t, projects(), got)
}

func TestParse_FailsWhen(t *testing.T) {
	incomplete := projects()
	incomplete.Projects[1].Tag = ""
	_, err := incomplete.Environment()
	require.ErrorIs(t, err, env.ErrMissing)
	assert.ErrorContains(t, err, "ECSRUNNERS_IMAGE_PROJECTS[1].tag is required")

	for name, test := range map[string]struct{ value, want string }{
		"it is missing": {" ", "reading the environment: ECSRUNNERS_IMAGE_PROJECTS is required"},
		"it is empty":   {"[]", "reading the environment: ECSRUNNERS_IMAGE_PROJECTS is required"},
		"it is no JSON": {"build", `reading the environment: ECSRUNNERS_IMAGE_PROJECTS is not valid: "build", ` +
			`want JSON such as ` + example},
		"it has more than a list": {"[] []", `reading the environment: ECSRUNNERS_IMAGE_PROJECTS is not valid: "[] []", ` +
			`want JSON such as ` + example},
		"a member is not known": {
			`[{"url":"x"}]`,
			`reading the environment: ECSRUNNERS_IMAGE_PROJECTS is not valid: "[{\"url\":\"x\"}]", want JSON such as ` +
				example,
		},
		"a project has no tag": {
			`[{"project":"p","parameter":"w","repository":"r"}]`,
			"reading the environment: ECSRUNNERS_IMAGE_PROJECTS[0].tag is required",
		},
		"a project has no project": {
			`[{"parameter":"w","repository":"r","tag":"t"}]`,
			"reading the environment: ECSRUNNERS_IMAGE_PROJECTS[0].project is required",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := imagebuildcontract.Parse(lookup(map[string]string{imagebuildcontract.EnvProjects: test.value}))
			assert.EqualError(t, err, test.want)
		})
	}
}

func TestChannelTag(t *testing.T) {
	assert.Equal(t, "latest-arm64", imagebuildcontract.ChannelTag(imagebuildcontract.DefaultChannel, "arm64"))
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}
