package constructs_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func someRegistration() constructs.RunnerRegistrationProps {
	return constructs.RunnerRegistrationProps{Scope: constructs.Organization("my-org")}
}

func TestRegistration_WithDefaults(t *testing.T) {
	assert.Equal(t, constructs.RunnerRegistrationProps{
		GitHubURL: "https://github.com", RemovalPolicy: awscdk.RemovalPolicy_DESTROY, MemorySizeMiB: 256,
		LogRetentionDays: 30,
	}, constructs.RunnerRegistrationProps{}.WithDefaults())
	assert.Equal(t, filled[constructs.RunnerRegistrationProps](t), filled[constructs.RunnerRegistrationProps](
		t).WithDefaults(), "a value that was given is gone")
	assert.Equal(t, "https://octo.ghe.com", constructs.RunnerRegistrationProps{
		GitHubURL: "https://octo.ghe.com/",
	}.WithDefaults().GitHubURL)
}

func TestRegistration_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*constructs.RunnerRegistrationProps)
		want   string
	}{
		{
			"no scope", func(p *constructs.RunnerRegistrationProps) { p.Scope = constructs.RunnerScope{} },
			"Scope is required: the organization, repository or enterprise in which the runners are registered",
		},
		{"an organization with a slash", func(p *constructs.RunnerRegistrationProps) {
			p.Scope = constructs.Organization(
				"a/b")
		}, `Scope must be the login of an organization, got "a/b"`},
		{
			"half a repository", func(p *constructs.RunnerRegistrationProps) { p.Scope = constructs.Repository("app") },
			`Scope must be the full name of a repository, such as "my-org/app", got "app"`,
		},
		{
			"an App for an enterprise", func(p *constructs.RunnerRegistrationProps) { p.Scope = constructs.Enterprise("e") },
			"Credential must be a token for an enterprise: GitHub lets no App register runners of an enterprise",
		},
		{"a spaced enterprise", func(p *constructs.RunnerRegistrationProps) {
			p.Scope, p.Credential = constructs.Enterprise("a b"), constructs.GitHubToken(nil)
		}, `Scope must be the slug of an enterprise, got "a b"`},
		{
			"plain http", func(r *constructs.RunnerRegistrationProps) { r.GitHubURL = "http://github.example.com" },
			`GitHubURL must be an https address without a path, such as "https://github.com", ` +
				`"https://my-enterprise.ghe.com" or "https://github.example.com", got "http://github.example.com"`,
		},
		{"an address with a path", func(r *constructs.RunnerRegistrationProps) {
			r.GitHubURL = "https://github.example.com/api/v3"
		}, `GitHubURL must be an https address without a path, such as "https://github.com", ` +
			`"https://my-enterprise.ghe.com" or "https://github.example.com", got "https://github.example.com/api/v3"`},
		{
			"a secret's name", func(r *constructs.RunnerRegistrationProps) { r.SecretName = "a b" },
			`SecretName must be at most 512 letters, digits and / _ + = . @ -, got "a b"`,
		},
		{
			"a long deployment", func(r *constructs.RunnerRegistrationProps) { r.Deployment = "production" },
			`Deployment must be 1 to 8 lower-case letters and digits, got "production"`,
		},
		{
			"a short table", func(r *constructs.RunnerRegistrationProps) { r.TableName = "ab" },
			`TableName must be 3 to 255 letters, digits and _ . -, got "ab"`,
		},
		{
			"a snapshot", func(r *constructs.RunnerRegistrationProps) { r.RemovalPolicy = awscdk.RemovalPolicy_SNAPSHOT },
			`RemovalPolicy must be retain or destroy, got "snapshot"`,
		},
		{
			"a function", func(r *constructs.RunnerRegistrationProps) { r.FunctionName = "a b" },
			`FunctionName must be at most 64 letters, digits, - and _, got "a b"`,
		},
		{
			"little memory", func(r *constructs.RunnerRegistrationProps) { r.MemorySizeMiB = 127 },
			"MemorySizeMiB must be 128 to 10240, got 127",
		},
		{
			"less than nothing", func(r *constructs.RunnerRegistrationProps) { r.ReservedConcurrency = new(-1) },
			"ReservedConcurrency must be 0 or more, got -1",
		},
		{
			"an odd retention", func(r *constructs.RunnerRegistrationProps) { r.LogRetentionDays = 2 },
			"LogRetentionDays must be one of [1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 " +
				"3653], got 2",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := someRegistration().WithDefaults()
			test.change(&r)
			assert.EqualError(t, r.Validate(), test.want)
		})
	}
	assert.NoError(t, someRegistration().WithDefaults().Validate())
}
