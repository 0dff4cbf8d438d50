package webhook_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
)

func valid() webhookcontract.Config {
	return webhookcontract.Config{EventBus: "bus", SecretID: "secret", Owners: []string{"my-org"}}
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func TestConfig_TravelsThroughTheEnvironment(t *testing.T) {
	full := webhookcontract.Config{
		EventBus:         "arn:aws:events:eu-central-1:123456789012:event-bus/runners",
		SecretID:         "arn:aws:secretsmanager:eu-central-1:123456789012:secret:current-AbCdEf",
		PreviousSecretID: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:previous-AbCdEf",
		SecretTTL:        90 * time.Second,
		Owners:           []string{"my-org", "Somebody"},
		Repositories:     []string{"my-org/service-*", "*/docs"},
		Events:           []string{"workflow_job", "push"},
		AllowPublic:      true,
		Routes: []contract.Fleet{
			{Name: "linux-arm64", Labels: []string{"self-hosted", "arm64"}},
			{Name: "linux", Labels: []string{"self-hosted"}},
		},
	}
	least := valid()
	least.SecretTTL = webhookcontract.DefaultSecretTTL
	least.Events = []string{contract.DetailTypeWorkflowJob}
	least.Routes = []contract.Fleet{}
	for name, test := range map[string]struct{ given, want webhookcontract.Config }{
		"everything set": {full, full},
		"defaults":       {valid(), least},
	} {
		t.Run(name, func(t *testing.T) {
			env, err := test.given.Environment()
			require.NoError(t, err)
			got, err := webhookcontract.Parse(lookup(env))
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
			for name, value := range env {
				assert.NotEmpty(t, value, "%s says nothing and takes room", name)
			}
		})
	}
}

func TestEnvironment_FailsWhen(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*webhookcontract.Config)
		want    error
		mention string
	}{
		"no bus": {
			func(w *webhookcontract.Config) { w.EventBus = "" }, env.ErrMissing,
			webhookcontract.EnvEventBus,
		},
		"no secret": {
			func(w *webhookcontract.Config) { w.SecretID = "" }, env.ErrMissing,
			webhookcontract.EnvSecretID,
		},
		"no owners": {
			func(w *webhookcontract.Config) { w.Owners = nil }, env.ErrMissing,
			webhookcontract.EnvAllowedOwners,
		},
		"owner with a wildcard": {func(w *webhookcontract.Config) { w.Owners = []string{"*"} }, env.ErrInvalid, `"*"`},
		"owner with a slash": {
			func(w *webhookcontract.Config) { w.Owners = []string{"my-org/app"} },
			env.ErrInvalid, "my-org/app",
		},
		"empty owner": {
			func(w *webhookcontract.Config) { w.Owners = []string{""} }, env.ErrInvalid,
			webhookcontract.EnvAllowedOwners,
		},
		"negative time to live": {
			func(w *webhookcontract.Config) { w.SecretTTL = -time.Second }, env.ErrInvalid,
			webhookcontract.EnvSecretTTL,
		},
		"time to live in milliseconds": {
			func(w *webhookcontract.Config) { w.SecretTTL = time.Millisecond }, env.ErrInvalid,
			webhookcontract.EnvSecretTTL,
		},
		"repository without owner": {
			func(w *webhookcontract.Config) { w.Repositories = []string{"app"} }, env.ErrInvalid,
			webhookcontract.EnvAllowedRepositories,
		},
		"malformed pattern": {
			func(w *webhookcontract.Config) { w.Repositories = []string{"my-org/[a"} }, env.ErrInvalid,
			"my-org/[a",
		},
		"pattern with a comma": {
			func(w *webhookcontract.Config) { w.Repositories = []string{"my-org/a,b"} }, env.ErrInvalid,
			"my-org/a,b",
		},
		"event in capitals": {func(w *webhookcontract.Config) { w.Events = []string{"Push"} }, env.ErrInvalid, "Push"},
		"all events and one": {
			func(w *webhookcontract.Config) { w.Events = []string{"*", "push"} }, env.ErrInvalid,
			"* alone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := valid()
			test.change(&w)
			_, err := w.Environment()
			require.ErrorIs(t, err, test.want, "the environment of settings that are not valid must not be deployed")
			assert.ErrorContains(t, err, test.mention)
		})
	}
	all := valid()
	all.Events = []string{webhookcontract.AllEvents}
	_, err := all.Environment()
	assert.NoError(t, err)
}

func TestEnvironment_ReportsEverythingAtOnce(t *testing.T) {
	_, err := webhookcontract.Config{Events: []string{"!"}}.Environment()
	for _, name := range []string{
		webhookcontract.EnvEventBus, webhookcontract.EnvSecretID,
		webhookcontract.EnvAllowedOwners, webhookcontract.EnvAllowedEvents,
	} {
		assert.ErrorContains(t, err, name)
	}
}

func TestEnvironment_FailsWhenItDoesNotFit(t *testing.T) {
	w := valid()
	for i := range 60 {
		w.Routes = append(w.Routes, contract.Fleet{Name: fmt.Sprintf("fleet-%d", i), Labels: []string{
			"self-hosted", "linux",
			fmt.Sprintf("label-%d", i),
		}})
	}
	_, err := w.Environment()
	require.ErrorIs(t, err, env.ErrTooLarge)
	assert.ErrorContains(t, err, "at most 3584", "the message says how much room there is")
	assert.ErrorContains(t, err, "fewer", "the message says what to do")

	w.Routes = w.Routes[:40]
	_, err = w.Environment()
	assert.NoError(t, err, "forty fleets of three labels fit")
}

func TestParse_FailsWhenAVariableCannotBeRead(t *testing.T) {
	given := func() map[string]string {
		return map[string]string{
			webhookcontract.EnvEventBus: "bus", webhookcontract.EnvSecretID: "secret",
			webhookcontract.EnvAllowedOwners: " my-org , ,other",
		}
	}
	w, err := webhookcontract.Parse(lookup(given()))
	require.NoError(t, err)
	assert.Equal(t, []string{"my-org", "other"}, w.Owners)
	assert.False(t, w.AllowPublic, "public repositories are refused unless allowed")

	for name, value := range map[string]string{
		webhookcontract.EnvSecretTTL:     "five minutes",
		webhookcontract.EnvAllowPublic:   "maybe",
		webhookcontract.EnvRoutes:        `[{"name":"linux","label":["x"]}]`,
		webhookcontract.EnvAllowedOwners: " , ",
	} {
		t.Run(name, func(t *testing.T) {
			bad := given()
			bad[name] = value
			_, err := webhookcontract.Parse(lookup(bad))
			assert.ErrorContains(t, err, name)
		})
	}
	bad := given()
	bad[webhookcontract.EnvRoutes] = `[] []`
	_, err = webhookcontract.Parse(lookup(bad))
	assert.ErrorIs(t, err, env.ErrInvalid)
}
