package settings_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

func TestRegistration_WithDefaults(t *testing.T) {
	t.Parallel()
	assert.Equal(t, settings.Registration{
		GitHubURL: "https://github.com", Credential: "app", RemovalPolicy: "destroy", MemorySizeMiB: 256, LogRetentionDays: 30,
	}, settings.Registration{}.WithDefaults())
	assert.Equal(t, filled[settings.Registration](t), filled[settings.Registration](t).WithDefaults(), "a value that was given is gone")
	assert.Equal(t, "https://octo.ghe.com", settings.Registration{GitHubURL: "https://octo.ghe.com/"}.WithDefaults().GitHubURL)
}

func TestRegistration_Scope(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]settings.Registration{
		"orgs/my-org":               {Organization: "my-org"},
		"repos/my-org/app":          {Repository: "my-org/app"},
		"enterprises/my-enterprise": {Enterprise: "my-enterprise"},
	} {
		assert.Equal(t, want, r.Scope().String())
	}
	assert.Zero(t, settings.Registration{Organization: "a", Repository: "b/c"}.Scope())
	assert.Equal(t, registrationcontract.Scope{}, settings.Registration{}.Scope())
}

func TestRegistration_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	t.Parallel()
	const oneScope = "; allowed: exactly one: runners belong to an organization, a repository or an enterprise"
	for _, test := range []struct {
		name   string
		change func(*settings.Registration)
		want   string
	}{
		{"no scope", func(r *settings.Registration) { r.Organization = "" }, "Organization, Repository, Enterprise: got none of them" + oneScope},
		{"two scopes", func(r *settings.Registration) { r.Repository = "o/r" }, "Organization, Repository, Enterprise: got two of them" + oneScope},
		{"an organization with a slash", func(r *settings.Registration) { r.Organization = "a/b" }, `Organization: got "a/b"; allowed: the login of an organization`},
		{"half a repository", func(r *settings.Registration) { r.Organization, r.Repository = "", "app" }, `Repository: got "app"; allowed: the full name of a repository, such as "my-org/app"`},
		{"an App for an enterprise", func(r *settings.Registration) { r.Organization, r.Enterprise = "", "e" }, `Credential: got "app"; allowed: token with Enterprise: GitHub lets no App register runners of an enterprise`},
		{"a spaced enterprise", func(r *settings.Registration) { r.Organization, r.Enterprise, r.Credential = "", "a b", "token" }, `Enterprise: got "a b"; allowed: the slug of an enterprise`},
		{"plain http", func(r *settings.Registration) { r.GitHubURL = "http://github.example.com" }, `GitHubURL: got "http://github.example.com"; allowed: an https address without a path, such as "https://github.com", "https://my-enterprise.ghe.com" or "https://github.example.com"`},
		{"an address with a path", func(r *settings.Registration) { r.GitHubURL = "https://github.example.com/api/v3" }, `GitHubURL: got "https://github.example.com/api/v3"; allowed: an https address without a path, such as "https://github.com", "https://my-enterprise.ghe.com" or "https://github.example.com"`},
		{"a password", func(r *settings.Registration) { r.Credential = "password" }, `Credential: got "password"; allowed: app, token`},
		{"a secret's name", func(r *settings.Registration) { r.SecretName = "a b" }, `SecretName: got "a b"; allowed: at most 512 letters, digits and / _ + = . @ -`},
		{"half an ARN", func(r *settings.Registration) {
			r.SecretARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:name"
		}, `SecretARN: got "arn:aws:secretsmanager:eu-central-1:111122223333:secret:name"; allowed: the complete ARN of a secret, with the six characters at its end`},
		{"two secrets", func(r *settings.Registration) {
			r.SecretName, r.SecretARN = "name", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:name-AbCdEf"
		}, `SecretName: got "name"; allowed: a name for the new secret only: leave out SecretARN or SecretName`},
		{"a long deployment", func(r *settings.Registration) { r.Deployment = "production" }, `Deployment: got "production"; allowed: 1 to 8 lower-case letters and digits`},
		{"a short table", func(r *settings.Registration) { r.TableName = "ab" }, `TableName: got "ab"; allowed: 3 to 255 letters, digits and _ . -`},
		{"a snapshot", func(r *settings.Registration) { r.RemovalPolicy = "snapshot" }, `RemovalPolicy: got "snapshot"; allowed: retain, destroy`},
		{"a function", func(r *settings.Registration) { r.FunctionName = "a b" }, `FunctionName: got "a b"; allowed: at most 64 letters, digits, - and _`},
		{"little memory", func(r *settings.Registration) { r.MemorySizeMiB = 127 }, "MemorySizeMiB: got 127; allowed: 128 to 10240"},
		{"less than nothing", func(r *settings.Registration) { r.ReservedConcurrency = new(-1) }, "ReservedConcurrency: got -1; allowed: 0 or more"},
		{"an odd retention", func(r *settings.Registration) { r.LogRetentionDays = 2 }, "LogRetentionDays: got 2; allowed: [1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := settings.Registration{Organization: "my-org"}.WithDefaults()
			test.change(&r)
			assert.EqualError(t, r.Validate().Err(), test.want)
		})
	}
	assert.NoError(t, settings.Registration{Organization: "my-org"}.WithDefaults().Validate().Err())
}
