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

	good, err := runnercontract.Config{RegistrationURL: "https://example.org", RegistrationRegion: "eu-west-1"}.Environment()
	require.NoError(t, err)
	good[runnercontract.EnvFleet], good[runnercontract.EnvJobID] = "linux", "1"
	for name, value := range map[string]string{
		runnercontract.EnvContract:        "2",
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

func TestName_IsReadBack(t *testing.T) {
	t.Parallel()
	name := runnercontract.Name{
		Deployment: "prod",
		Fleet:      "linux-x64",
		JobID:      "29679449526",
		Task:       "0123456789abcdef0123456789abcdef",
		Nonce:      "k3",
	}
	assert.Equal(t, "prod-linux-x64-29679449526-01234567-k3", name.String())
	got, err := runnercontract.ParseName(name.String())
	require.NoError(t, err)
	name.Task = name.Task[:runnercontract.TaskIDPart]
	assert.Equal(t, name, got)

	for _, foreign := range []string{"", "my-laptop", "a-b-c-d-e", "prod-linux-12x-01234567-k3", "prod-linux-12-0123456-k3", "-linux-12-01234567-k3"} {
		_, err := runnercontract.ParseName(foreign)
		assert.ErrorIs(t, err, runnercontract.ErrName, "%q must be left alone by clean-up", foreign)
	}
}

// lookupIn returns a function like os.LookupEnv over env.
func lookupIn(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}
