package runner_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

func TestConfig_IsReadBack(t *testing.T) {
	t.Parallel()
	want := runnercontract.Config{
		RegistrationURL:    "https://abc.lambda-url.eu-west-1.on.aws",
		RegistrationRegion: "eu-west-1",
		IdleTimeout:        time.Minute,
		Lifetime:           time.Hour,
		StartTimeout:       2 * time.Minute,
		StopTimeout:        2 * time.Minute,
		Fleet:              "linux-x64",
		JobID:              "29679449526",
	}
	variables, err := want.Environment()
	require.NoError(t, err)
	variables[runnercontract.EnvFleet], variables[runnercontract.EnvJobID] = want.Fleet, want.JobID
	got, err := runnercontract.Parse(lookupIn(variables))
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestParse_NamesEveryVariableThatIsMissingOrWrong(t *testing.T) {
	t.Parallel()
	_, err := runnercontract.Parse(lookupIn(nil))
	require.ErrorIs(t, err, env.ErrMissing)
	for _, v := range runnercontract.Variables() {
		if v.Required {
			assert.ErrorContains(t, err, v.Name+" is required")
		} else {
			assert.NotContains(t, err.Error(), v.Name)
		}
	}

	good, err := runnercontract.Config{
		RegistrationURL:    "https://example.org",
		RegistrationRegion: "eu-west-1",
	}.Environment()
	require.NoError(t, err)
	good[runnercontract.EnvFleet], good[runnercontract.EnvJobID] = "linux", "1"
	for name, value := range map[string]string{
		runnercontract.EnvContract:        "1",
		runnercontract.EnvRegistrationURL: "example.org",
		runnercontract.EnvIdleTimeout:     "5",
		runnercontract.EnvLifetime:        "-1h",
	} {
		bad := maps.Clone(good)
		bad[name] = value
		_, err := runnercontract.Parse(lookupIn(bad))
		assert.ErrorContains(t, err, fmt.Sprintf("%s is not valid: %q, want ", name, value))
	}
}

func TestReason_HasOneExitCode(t *testing.T) {
	t.Parallel()
	seen := map[runnercontract.Reason]bool{}
	for _, end := range runnercontract.Ends() {
		assert.False(t, seen[end.Reason], "%s is listed twice", end.Reason)
		seen[end.Reason] = true
		assert.Equal(t, end.Code, end.Reason.ExitCode())
	}
	assert.Equal(t, runnercontract.ExitListenerFailed, runnercontract.Reason("unheard of").ExitCode())
}

func TestJITConfig_IsNotFormatted(t *testing.T) {
	t.Parallel()
	registration := runnercontract.Registration{RunnerName: "r", JITConfig: "s3cret"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		assert.NotContains(t, fmt.Sprintf(verb, registration), "s3cret", verb)
	}
	body, err := json.Marshal(registration)
	require.NoError(t, err)
	assert.Contains(t, string(body), `"jit_config":"s3cret"`, "the service could not hand it over")
}

// lookupIn returns a function like os.LookupEnv over env.
func lookupIn(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}
