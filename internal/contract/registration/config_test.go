package registration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

func someService() registrationcontract.Config {
	return registrationcontract.Config{
		Deployment:   "farm",
		Cluster:      "arn:aws:ecs:eu-central-1:111122223333:cluster/runners",
		Ledger:       "ledger",
		CredentialID: "credential",
		GitHubURL:    "https://octo.ghe.com",
		Scope: registrationcontract.Scope{
			Kind: registrationcontract.ScopeRepository, Owner: "octo",
			Repository: "app",
		},
		Fleets: []registrationcontract.Fleet{{
			Name: "linux", Labels: []string{"self-hosted"}, RoleID: "AROACKCEVSQ6C2EXAMPLE", Family: "linux", RunnerGroup: "42",
			LeaseSeconds: 901,
		}},
	}
}

func TestConfig_ReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	env, err := someService().Environment()
	require.NoError(t, err)
	got, err := registrationcontract.Parse(lookup(env))
	require.NoError(t, err)
	assert.Equal(t, someService(), got)

	small := someService()
	small.GitHubURL, small.Fleets = "", nil
	env, err = small.Environment()
	require.NoError(t, err)
	got, err = registrationcontract.Parse(lookup(env))
	require.NoError(t, err)
	assert.Equal(t, registrationcontract.DefaultGitHubURL, got.GitHubURL)
	assert.Empty(t, got.Fleets)
}

func TestParse_NamesEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := registrationcontract.Parse(lookup(nil))
	for _, name := range []string{
		registrationcontract.EnvDeployment, registrationcontract.EnvCluster,
		registrationcontract.EnvLedger, registrationcontract.EnvCredentialID, registrationcontract.EnvScope,
	} {
		assert.ErrorContains(t, err, name)
	}
	_, err = registrationcontract.Parse(lookup(map[string]string{
		registrationcontract.EnvDeployment: "Farm", registrationcontract.EnvCluster: "c",
		registrationcontract.EnvLedger: "l", registrationcontract.EnvCredentialID: "s",
		registrationcontract.EnvScope: "org/my-org", registrationcontract.EnvGitHubURL: "http://github.example.com",
		registrationcontract.EnvFleets: `[{"name":"linux","rank":1}]`,
	}))
	for _, want := range []string{
		`ECSRUNNERS_DEPLOYMENT is not valid: "Farm", want 1 to 8 lower-case letters and digits`,
		`ECSRUNNERS_GITHUB_SCOPE is not valid: "org/my-org", want orgs/my-org, repos/my-org/app or enterprises/my-enterprise`,
		`ECSRUNNERS_GITHUB_URL is not valid: "http://github.example.com"`,
		`ECSRUNNERS_FLEETS is not valid`,
	} {
		assert.ErrorContains(t, err, want)
	}

	odd := someService()
	odd.Fleets = []registrationcontract.Fleet{{Name: "linux", LeaseSeconds: -1}}
	_, err = odd.Environment()
	assert.ErrorContains(t, err, "ECSRUNNERS_FLEETS[0].role_id is required")
	assert.ErrorContains(t, err, "ECSRUNNERS_FLEETS[0].family is required")
	assert.ErrorContains(t, err, "ECSRUNNERS_FLEETS[0].lease_seconds is not valid: \"-1\", want 0 or more")

	large := someService()
	large.Fleets[0].Labels = []string{strings.Repeat("x", env.MaxSize)}
	_, err = large.Environment()
	assert.ErrorIs(t, err, env.ErrTooLarge)
}

func TestScope(t *testing.T) {
	t.Parallel()
	for text, covers := range map[string]map[string]bool{
		"orgs/octo":         {"octo/app": true, "OCTO/app": true, "other/app": false, "octo": false},
		"repos/octo/app":    {"octo/app": true, "Octo/App": true, "octo/app2": false, "other/app": false},
		"enterprises/globo": {"octo/app": true, "octo": false},
	} {
		scope, err := registrationcontract.ParseScope(text)
		require.NoError(t, err)
		assert.Equal(t, text, scope.String())
		for repository, want := range covers {
			assert.Equalf(t, want, scope.Covers(repository), "%s covers %s", text, repository)
		}
	}
	for _, text := range []string{
		"", "octo", "orgs", "orgs/", "orgs/octo/app", "repos/octo", "repos/octo/",
		"repos/octo/app/x", "users/octo", "orgs/a b", "repos/../app",
	} {
		_, err := registrationcontract.ParseScope(text)
		assert.ErrorIsf(t, err, registrationcontract.ErrScope, "%q", text)
	}
}

func TestIsGitHubURL(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{
		"https://github.com", "https://github.com/", "https://octo.ghe.com",
		"https://github.example.com:8443", "http://127.0.0.1:8080",
	} {
		assert.True(t, registrationcontract.IsGitHubURL(ok), ok)
	}
	for _, odd := range []string{
		"", "github.com", "http://github.com", "https://u:p@github.com",
		"https://github.com/api/v3", "https://github.com?a", "https://github.com#a", "ftp://github.com",
	} {
		assert.False(t, registrationcontract.IsGitHubURL(odd), odd)
	}
}

func TestLease_OutlastsAWaitingRunner(t *testing.T) {
	t.Parallel()
	assert.Equal(t, registrationcontract.MinLease, registrationcontract.Lease(runnercontract.DefaultStartTimeout,
		runnercontract.DefaultIdleTimeout))
	assert.Equal(t, time.Hour+10*time.Minute, registrationcontract.Lease(5*time.Minute, time.Hour))
	assert.Equal(t, registrationcontract.MinLease, registrationcontract.Fleet{}.Lease())
	assert.Equal(t, time.Hour, registrationcontract.Fleet{LeaseSeconds: 3600}.Lease())
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}
