package contract_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
)

func TestRunner_EnvironmentIsReadBack(t *testing.T) {
	t.Parallel()
	want := contract.Runner{
		RegistrationURL:    "https://abc.lambda-url.eu-west-1.on.aws",
		RegistrationRegion: "eu-west-1",
		IdleTimeout:        time.Minute,
		Lifetime:           time.Hour,
		StartTimeout:       2 * time.Minute,
		StopTimeout:        2 * time.Minute,
		Fleet:              "linux-x64",
		JobID:              "29679449526",
	}
	env := want.Environment()
	env[contract.EnvFleet], env[contract.EnvJobID] = want.Fleet, want.JobID
	got, err := contract.ParseRunner(lookupIn(env))
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestParseRunner_NamesEveryVariableThatIsMissingOrWrong(t *testing.T) {
	t.Parallel()
	_, err := contract.ParseRunner(lookupIn(nil))
	require.ErrorIs(t, err, contract.ErrRunnerEnvironment)
	for _, v := range contract.RunnerVariables() {
		if v.Default == "required" {
			assert.ErrorContains(t, err, v.Name+" is required")
		} else {
			assert.NotContains(t, err.Error(), v.Name)
		}
	}

	good := contract.Runner{RegistrationURL: "https://example.org", RegistrationRegion: "eu-west-1"}.Environment()
	good[contract.EnvFleet], good[contract.EnvJobID] = "linux", "1"
	for name, value := range map[string]string{
		contract.EnvContract:        "2",
		contract.EnvRegistrationURL: "example.org",
		contract.EnvIdleTimeout:     "5",
		contract.EnvLifetime:        "-1h",
	} {
		env := maps.Clone(good)
		env[name] = value
		_, err := contract.ParseRunner(lookupIn(env))
		assert.ErrorContains(t, err, fmt.Sprintf("%s is %q", name, value))
	}
}

func TestReason_HasOneExitCode(t *testing.T) {
	t.Parallel()
	seen := map[contract.Reason]bool{}
	for _, end := range contract.RunnerEnds() {
		assert.False(t, seen[end.Reason], "%s is listed twice", end.Reason)
		seen[end.Reason] = true
		assert.Equal(t, end.Code, end.Reason.ExitCode())
	}
	assert.Equal(t, contract.ExitListenerFailed, contract.Reason("unheard of").ExitCode())
}

func TestJITConfig_IsNotFormatted(t *testing.T) {
	t.Parallel()
	registration := contract.Registration{RunnerName: "r", JITConfig: "s3cret"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		assert.NotContains(t, fmt.Sprintf(verb, registration), "s3cret", verb)
	}
	body, err := json.Marshal(registration)
	require.NoError(t, err)
	assert.Contains(t, string(body), `"jit_config":"s3cret"`, "the service could not hand it over")
}

func TestRunnerName_IsReadBack(t *testing.T) {
	t.Parallel()
	name := contract.RunnerName{
		Deployment: "prod",
		Fleet:      "linux-x64",
		JobID:      "29679449526",
		Task:       "0123456789abcdef0123456789abcdef",
		Nonce:      "k3",
	}
	assert.Equal(t, "prod-linux-x64-29679449526-01234567-k3", name.String())
	got, err := contract.ParseRunnerName(name.String())
	require.NoError(t, err)
	name.Task = name.Task[:contract.TaskIDPart]
	assert.Equal(t, name, got)

	for _, foreign := range []string{"", "my-laptop", "a-b-c-d-e", "prod-linux-12x-01234567-k3", "prod-linux-12-0123456-k3", "-linux-12-01234567-k3"} {
		_, err := contract.ParseRunnerName(foreign)
		assert.ErrorIs(t, err, contract.ErrRunnerName, "%q must be left alone by clean-up", foreign)
	}
}

// lookupIn returns a function like os.LookupEnv over env.
func lookupIn(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}
