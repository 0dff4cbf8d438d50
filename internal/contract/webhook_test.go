package contract_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
)

func valid() contract.Webhook {
	return contract.Webhook{EventBus: "bus", SecretID: "secret", Owners: []string{"my-org"}}
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func TestWebhook_TravelsThroughTheEnvironment(t *testing.T) {
	full := contract.Webhook{
		EventBus:         "arn:aws:events:eu-central-1:123456789012:event-bus/runners",
		SecretID:         "arn:aws:secretsmanager:eu-central-1:123456789012:secret:current-AbCdEf",
		PreviousSecretID: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:previous-AbCdEf",
		SecretTTL:        90 * time.Second,
		Owners:           []string{"my-org", "Somebody"},
		Repositories:     []string{"my-org/service-*", "*/docs"},
		Events:           []string{"workflow_job", "push"},
		AllowPublic:      true,
		Fleets: []contract.Fleet{
			{Name: "linux-arm64", Labels: []string{"self-hosted", "arm64"}},
			{Name: "linux", Labels: []string{"self-hosted"}},
		},
	}
	least := valid()
	least.SecretTTL = contract.DefaultSecretTTL
	least.Events = []string{contract.DetailTypeWorkflowJob}
	least.Fleets = []contract.Fleet{}
	for name, test := range map[string]struct{ given, want contract.Webhook }{
		"everything set": {full, full},
		"defaults":       {valid(), least},
	} {
		t.Run(name, func(t *testing.T) {
			env, err := test.given.Environment()
			require.NoError(t, err)
			got, err := contract.ParseWebhook(lookup(env))
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
			for name, value := range env {
				assert.NotEmpty(t, value, "%s says nothing and takes room", name)
			}
		})
	}
}

func TestWebhook_Validate(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*contract.Webhook)
		want    error
		mention string
	}{
		"no bus":                       {func(w *contract.Webhook) { w.EventBus = "" }, contract.ErrMissing, contract.EnvEventBus},
		"no secret":                    {func(w *contract.Webhook) { w.SecretID = "" }, contract.ErrMissing, contract.EnvSecretID},
		"no owners":                    {func(w *contract.Webhook) { w.Owners = nil }, contract.ErrMissing, contract.EnvAllowedOwners},
		"owner with a wildcard":        {func(w *contract.Webhook) { w.Owners = []string{"*"} }, contract.ErrSetting, `"*"`},
		"owner with a slash":           {func(w *contract.Webhook) { w.Owners = []string{"my-org/app"} }, contract.ErrSetting, "my-org/app"},
		"empty owner":                  {func(w *contract.Webhook) { w.Owners = []string{""} }, contract.ErrSetting, contract.EnvAllowedOwners},
		"negative time to live":        {func(w *contract.Webhook) { w.SecretTTL = -time.Second }, contract.ErrSetting, contract.EnvSecretTTL},
		"time to live in milliseconds": {func(w *contract.Webhook) { w.SecretTTL = time.Millisecond }, contract.ErrSetting, contract.EnvSecretTTL},
		"repository without owner":     {func(w *contract.Webhook) { w.Repositories = []string{"app"} }, contract.ErrSetting, contract.EnvAllowedRepositories},
		"malformed pattern":            {func(w *contract.Webhook) { w.Repositories = []string{"my-org/[a"} }, contract.ErrSetting, "my-org/[a"},
		"pattern with a comma":         {func(w *contract.Webhook) { w.Repositories = []string{"my-org/a,b"} }, contract.ErrSetting, "my-org/a,b"},
		"event in capitals":            {func(w *contract.Webhook) { w.Events = []string{"Push"} }, contract.ErrSetting, "Push"},
		"all events and one":           {func(w *contract.Webhook) { w.Events = []string{"*", "push"} }, contract.ErrSetting, "* alone"},
	} {
		t.Run(name, func(t *testing.T) {
			w := valid()
			test.change(&w)
			err := w.Validate()
			require.ErrorIs(t, err, test.want)
			assert.ErrorContains(t, err, test.mention)
			_, err = w.Environment()
			assert.ErrorIs(t, err, test.want, "the environment of settings that are not valid must not be deployed")
		})
	}
	all := valid()
	all.Events = []string{contract.AllEvents}
	assert.NoError(t, all.Validate())
}

func TestWebhook_ValidateReportsEverythingAtOnce(t *testing.T) {
	err := contract.Webhook{Events: []string{"!"}}.Validate()
	for _, name := range []string{contract.EnvEventBus, contract.EnvSecretID, contract.EnvAllowedOwners, contract.EnvAllowedEvents} {
		assert.ErrorContains(t, err, name)
	}
}

func TestWebhook_EnvironmentFailsWhenItDoesNotFit(t *testing.T) {
	w := valid()
	for i := range 60 {
		w.Fleets = append(w.Fleets, contract.Fleet{Name: fmt.Sprintf("fleet-%d", i), Labels: []string{"self-hosted", "linux", fmt.Sprintf("label-%d", i)}})
	}
	_, err := w.Environment()
	require.ErrorIs(t, err, contract.ErrEnvironmentSize)
	assert.ErrorContains(t, err, "at most 3584", "the message says how much room there is")
	assert.ErrorContains(t, err, "fewer", "the message says what to do")

	w.Fleets = w.Fleets[:40]
	env, err := w.Environment()
	require.NoError(t, err, "forty fleets of three labels fit")
	assert.LessOrEqual(t, contract.EnvironmentSize(env), contract.MaxEnvironmentSize)
}

func TestEnvironmentSize(t *testing.T) {
	assert.Equal(t, 7, contract.EnvironmentSize(map[string]string{"A": "xyz", "BC": "ä"[:1]}))
}

func TestParseWebhook_FailsWhenAVariableCannotBeRead(t *testing.T) {
	env := func() map[string]string {
		return map[string]string{contract.EnvEventBus: "bus", contract.EnvSecretID: "secret", contract.EnvAllowedOwners: " my-org , ,other"}
	}
	w, err := contract.ParseWebhook(lookup(env()))
	require.NoError(t, err)
	assert.Equal(t, []string{"my-org", "other"}, w.Owners)
	assert.False(t, w.AllowPublic, "public repositories are refused unless allowed")

	for name, value := range map[string]string{
		contract.EnvSecretTTL:     "five minutes",
		contract.EnvAllowPublic:   "maybe",
		contract.EnvFleets:        `[{"name":"linux","label":["x"]}]`,
		contract.EnvAllowedOwners: " , ",
	} {
		t.Run(name, func(t *testing.T) {
			bad := env()
			bad[name] = value
			_, err := contract.ParseWebhook(lookup(bad))
			assert.ErrorContains(t, err, name)
		})
	}
	bad := env()
	bad[contract.EnvFleets] = `[] []`
	_, err = contract.ParseWebhook(lookup(bad))
	assert.ErrorIs(t, err, contract.ErrSetting)
}

func TestWebhookVariables_DescribeWhatTheEnvironmentCarries(t *testing.T) {
	w := valid()
	w.PreviousSecretID, w.Repositories = "previous", []string{"my-org/*"}
	env, err := w.Environment()
	require.NoError(t, err)
	var described []string
	for _, v := range contract.WebhookVariables() {
		described = append(described, v.Name)
		assert.NotEmpty(t, v.Text)
		assert.True(t, strings.HasPrefix(v.Name, "ECSRUNNERS_"))
	}
	var carried []string
	for name := range env {
		carried = append(carried, name)
	}
	assert.ElementsMatch(t, described, carried)
}
