package registration

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
)

// Environment variables of the registration program.
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

// Metrics of the registration program, in the namespace MetricNamespace.
const (
	MetricNamespace = "ECSRunners/Registration"
	// MetricRequests counts requests, by function and outcome.
	MetricRequests = "Requests"
	// MetricJobCheckFailures counts jobs for which a runner was registered although
	// GitHub did not report their state; by function, like those below.
	MetricJobCheckFailures = "JobCheckFailures"
	// MetricSwappedJobs counts jobs that were found on a runner registered for
	// another job.
	MetricSwappedJobs = "SwappedJobs"
	// MetricRateLimitRemaining is the least that is left of GitHub's rate limits, as its
	// last answers about each said.
	MetricRateLimitRemaining = "RateLimitRemaining"
)

// Outcome is what became of a request to the registration API: the value of
// contract.DimensionOutcome.
type Outcome string

// Outcomes of requests, with the status codes that the supervisor is answered.
const (
	OutcomeRegistered  Outcome = "registered"  // 200: a runner for a job
	OutcomeStarted     Outcome = "started"     // 204: the listener starts
	OutcomeReleased    Outcome = "released"    // 204: the runner is removed
	OutcomeNoWork      Outcome = "no_work"     // 204: the fleet has no open job
	OutcomeBusy        Outcome = "busy"        // 409: the runner has a job
	OutcomeRefused     Outcome = "refused"     // 400, 403, 404, 405, 409, 426: asking again is of no use
	OutcomeThrottled   Outcome = "throttled"   // 429: GitHub's rate limit, or a task that asks too often
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

// Config is the configuration of the registration program. The construct turns it
// into environment variables with Environment, the program reads them back with
// Parse.
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

// variables binds the variables to the fields of c.
func (c *Config) variables() env.Table {
	const example = `[{"name":"linux","labels":["self-hosted","linux"],"role_id":"AROACKCEVSQ6C2EXAMPLE","family":"linux"}]`
	return env.Table{
		{
			Name: EnvDeployment, Text: "begins the names of the runners", Required: true,
			Value: env.TextOf(&c.Deployment, IsDeployment, fmt.Sprintf("1 to %d lower-case letters and digits", MaxDeployment)),
		},
		{Name: EnvCluster, Text: "ARN of the ECS cluster with the tasks", Required: true, Value: env.Text(&c.Cluster)},
		{Name: EnvLedger, Text: "name of the DynamoDB table with the ledger", Required: true, Value: env.Text(&c.Ledger)},
		{
			Name: EnvCredentialID, Text: "name or ARN of the secret with GitHub's credential in Secrets Manager",
			Required: true, Value: env.Text(&c.CredentialID),
		},
		{
			Name: EnvGitHubURL, Text: "address of GitHub", Default: DefaultGitHubURL,
			Value: env.TextOf(&c.GitHubURL, IsGitHubURL, "an address such as "+DefaultGitHubURL+", without a path"),
		},
		{
			Name: EnvScope, Text: "where runners are registered: " + scopes, Required: true,
			Value: env.Of(&c.Scope, Scope.String, ParseScope, scopes),
		},
		{Name: EnvFleets, Text: "fleets, such as " + example, Default: "[]", Value: env.JSON(&c.Fleets, example, checkFleet)},
	}
}

// checkFleet checks what the labels package does not.
func checkFleet(name string, fleet Fleet) error {
	var errs []error
	if fleet.RoleID == "" {
		errs = append(errs, env.Missing(name+".role_id"))
	}
	if fleet.Family == "" {
		errs = append(errs, env.Missing(name+".family"))
	}
	if fleet.LeaseSeconds < 0 {
		errs = append(errs, env.Invalid(name+".lease_seconds", strconv.Itoa(fleet.LeaseSeconds), "0 or more"))
	}
	return errors.Join(errs...)
}

// Environment returns the environment variables that carry c. Its error names
// every setting that is missing or wrong, or is env.ErrTooLarge.
func (c Config) Environment() (map[string]string, error) {
	return c.variables().RenderFunction(fmt.Sprintf(
		"use fewer or shorter labels, or a second registration for some of the %d fleets", len(c.Fleets)))
}

// Parse reads the configuration with a function like os.LookupEnv. Its error names
// every variable that is missing or wrong.
func Parse(lookup func(string) (string, bool)) (Config, error) {
	return env.Parse((*Config).variables, lookup)
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
