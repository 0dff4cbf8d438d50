// Package registration is what the registration function and its construct agree
// on: the environment variables, the ledger table and the metrics. What it agrees
// on with the runners is in package runner.
package registration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// Environment variables of the registration program. Variables
// explains them.
const (
	EnvDeployment   = "ECSRUNNERS_DEPLOYMENT"
	EnvCluster      = "ECSRUNNERS_CLUSTER"
	EnvLedger       = "ECSRUNNERS_LEDGER"
	EnvCredentialID = "ECSRUNNERS_GITHUB_CREDENTIAL_ID"
	EnvGitHubURL    = "ECSRUNNERS_GITHUB_URL"
	EnvScope        = "ECSRUNNERS_GITHUB_SCOPE"
	EnvFleets       = "ECSRUNNERS_FLEETS"
)

const (
	// DefaultGitHubURL is the address of GitHub.com.
	DefaultGitHubURL = "https://github.com"
	// DefaultRunnerGroup is the id of the group that every organization has.
	DefaultRunnerGroup = 1
	// MinLease is the least time for which a task holds a job that it has claimed
	// and not run: long enough for an image's slowest start.
	MinLease = 15 * time.Minute
)

// Lease is how long a claim lasts when the task neither runs a job nor gives the
// claim back: as long as its runner may still be waiting for one.
func Lease(start, idle time.Duration) time.Duration {
	return max(MinLease, start+idle+5*time.Minute)
}

// Metrics of the registration program, in the namespace
// MetricNamespace.
const (
	MetricNamespace = "ECSRunners/Registration"
	// MetricRequests counts requests, by DimensionFunction and DimensionOutcome.
	MetricRequests = "Requests"
	// MetricJobCheckFailures counts jobs for which a runner was registered although
	// GitHub did not tell their state; by DimensionFunction, like those below.
	MetricJobCheckFailures = "JobCheckFailures"
	// MetricSwappedJobs counts jobs that were found on a runner registered for
	// another job.
	MetricSwappedJobs = "SwappedJobs"
	// MetricRateLimitRemaining is the least that is left of GitHub's rate limits, as its
	// last answers about each said.
	MetricRateLimitRemaining = "RateLimitRemaining"
)

// Outcome is what became of a request to the registration API: the
// value of DimensionOutcome.
type Outcome string

// Outcomes of requests, with the status codes that the supervisor is answered.
const (
	OutcomeRegistered  Outcome = "registered"  // 200: a runner for a job
	OutcomeStarted     Outcome = "started"     // 204: the listener starts
	OutcomeReleased    Outcome = "released"    // 204: the runner is removed
	OutcomeNoWork      Outcome = "no_work"     // 204: the fleet has no open job
	OutcomeBusy        Outcome = "busy"        // 409: the runner has a job
	OutcomeRefused     Outcome = "refused"     // 400, 403, 404, 405, 409, 426: asking again is of no use
	OutcomeThrottled   Outcome = "throttled"   // 429: GitHub's rate limit
	OutcomeUnavailable Outcome = "unavailable" // 503: to be asked again
	OutcomeFailed      Outcome = "failed"      // 500: a defect of the program
)

// Outcomes lists every outcome.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeRegistered, OutcomeStarted, OutcomeReleased, OutcomeNoWork, OutcomeBusy,
		OutcomeRefused, OutcomeThrottled, OutcomeUnavailable, OutcomeFailed,
	}
}

// Fleet is what the registration program knows of a fleet.
type Fleet struct {
	Name   string   `json:"name"`
	Labels []string `json:"labels"`
	// RoleID is the unique id of the fleet's task role, such as
	// AROACKCEVSQ6C2EXAMPLE: who calls with that role works for the fleet.
	RoleID string `json:"role_id"`
	// Family is the family of the fleet's task definition.
	Family string `json:"family"`
	// RunnerGroup is the group of the runners at GitHub: a name, or an id in
	// decimal. Empty: the default group.
	RunnerGroup string `json:"runner_group,omitempty"`
	// LeaseSeconds is how long a claim lasts, see Lease. Zero: MinLease.
	LeaseSeconds int `json:"lease_seconds,omitempty"`
}

// Lease is how long a claim of the fleet's tasks lasts.
func (f Fleet) Lease() time.Duration {
	if f.LeaseSeconds == 0 {
		return MinLease
	}
	return time.Duration(f.LeaseSeconds) * time.Second
}

// Config is the configuration of the registration program. The
// construct turns it into environment variables with Environment, the program
// reads them back with Parse.
type Config struct {
	// Deployment begins the names of the runners. Required.
	Deployment string
	// Cluster is the ARN of the ECS cluster with the tasks. Required.
	Cluster string
	// Ledger is the name of the ledger table. Required.
	Ledger string
	// CredentialID is the name or ARN of the secret with the credential for GitHub.
	// Required.
	CredentialID string
	// GitHubURL is the address of GitHub. Default: DefaultGitHubURL.
	GitHubURL string
	// Scope is where runners are registered. Required.
	Scope Scope
	// Fleets are the fleets whose tasks are served. The labels package checks their
	// names and labels.
	Fleets []Fleet
}

// Validate reports every setting that is missing or wrong.
func (r Config) Validate() error {
	var errs []error
	for _, required := range []struct{ name, value string }{
		{EnvDeployment, r.Deployment}, {EnvCluster, r.Cluster}, {EnvLedger, r.Ledger}, {EnvCredentialID, r.CredentialID},
	} {
		if required.value == "" {
			errs = append(errs, fmt.Errorf("%s %w", required.name, env.ErrMissing))
		}
	}
	if r.Deployment != "" && !runnercontract.IsDeployment(r.Deployment) {
		errs = append(errs, fmt.Errorf("%s %w: %q, want 1 to %d lower-case letters and digits", EnvDeployment, env.ErrInvalid, r.Deployment, runnercontract.MaxDeployment))
	}
	if r.GitHubURL != "" && !IsGitHubURL(r.GitHubURL) {
		errs = append(errs, fmt.Errorf("%s %w: %q, want an address such as %s, without a path", EnvGitHubURL, env.ErrInvalid, r.GitHubURL, DefaultGitHubURL))
	}
	if err := r.Scope.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", EnvScope, err))
	}
	for i, fleet := range r.Fleets {
		if fleet.RoleID == "" || fleet.Family == "" {
			errs = append(errs, fmt.Errorf("%s[%d] %w: role_id and family must be set", EnvFleets, i, env.ErrInvalid))
		}
		if fleet.LeaseSeconds < 0 {
			errs = append(errs, fmt.Errorf("%s[%d].lease_seconds %w: %d, want 0 or more", EnvFleets, i, env.ErrInvalid, fleet.LeaseSeconds))
		}
	}
	return errors.Join(errs...)
}

// Environment returns the environment variables that carry r. It fails when r is
// not valid or does not fit.
func (r Config) Environment() (map[string]string, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	fleets := []byte("[]")
	if len(r.Fleets) > 0 {
		var err error
		if fleets, err = json.Marshal(r.Fleets); err != nil {
			return nil, fmt.Errorf("encoding fleets: %w", err)
		}
	}
	if r.GitHubURL == "" {
		r.GitHubURL = DefaultGitHubURL
	}
	variables := map[string]string{
		EnvDeployment:   r.Deployment,
		EnvCluster:      r.Cluster,
		EnvLedger:       r.Ledger,
		EnvCredentialID: r.CredentialID,
		EnvGitHubURL:    r.GitHubURL,
		EnvScope:        r.Scope.String(),
		EnvFleets:       string(fleets),
	}
	if size := env.Size(variables); size > env.MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d: use fewer or shorter labels, or a second registration for some of the %d fleets",
			env.ErrTooLarge, size, env.MaxSize, len(r.Fleets))
	}
	return variables, nil
}

// Parse reads the configuration with a function like
// os.LookupEnv. Its error names every variable that is missing or wrong.
func Parse(lookup func(string) (string, bool)) (Config, error) {
	value := func(name string) string {
		v, _ := lookup(name)
		return strings.TrimSpace(v)
	}
	r := Config{
		Deployment:   value(EnvDeployment),
		Cluster:      value(EnvCluster),
		Ledger:       value(EnvLedger),
		CredentialID: value(EnvCredentialID),
		GitHubURL:    value(EnvGitHubURL),
	}
	if r.GitHubURL == "" {
		r.GitHubURL = DefaultGitHubURL
	}
	var errs []error
	// Without a scope its zero value is refused below.
	if v := value(EnvScope); v != "" {
		scope, err := ParseScope(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", EnvScope, err))
			scope = Scope{Kind: ScopeOrganization, Owner: "reported-already"}
		}
		r.Scope = scope
	}
	if v := value(EnvFleets); v != "" {
		decoder := json.NewDecoder(strings.NewReader(v))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&r.Fleets); err != nil || decoder.More() {
			errs = append(errs, fmt.Errorf("%s %w: %q, want JSON such as %s", EnvFleets, env.ErrInvalid, v, registeredFleetsExample))
		}
	}
	if err := errors.Join(append(errs, r.Validate())...); err != nil {
		return Config{}, fmt.Errorf("reading the environment: %w", err)
	}
	return r, nil
}

const registeredFleetsExample = `[{"name":"linux","labels":["self-hosted","linux"],"role_id":"AROACKCEVSQ6C2EXAMPLE","family":"linux"}]`

// Variables describes the environment variables of the registration
// program.
func Variables() []env.Variable {
	return []env.Variable{
		{EnvDeployment, "begins the names of the runners, at most " + strconv.Itoa(runnercontract.MaxDeployment) + " characters (required)"},
		{EnvCluster, "ARN of the ECS cluster with the tasks (required)"},
		{EnvLedger, "name of the DynamoDB table with the ledger (required)"},
		{EnvCredentialID, "name or ARN of the secret with GitHub's credential in Secrets Manager (required)"},
		{EnvGitHubURL, "address of GitHub (default " + DefaultGitHubURL + ")"},
		{EnvScope, "where runners are registered: orgs/my-org, repos/my-org/app or enterprises/my-enterprise (required)"},
		{EnvFleets, "fleets, such as " + registeredFleetsExample},
	}
}

// IsGitHubURL reports whether s can be the address of GitHub: GitHub.com, an
// enterprise with data residency, or a GitHub Enterprise Server. Only a machine's
// own address may do without TLS.
func IsGitHubURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "127.0.0.1"
}
