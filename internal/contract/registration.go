package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Environment variables of the registration program. RegistrationVariables
// explains them. The fleets are in EnvFleets, with more to each than the webhook
// program knows.
const (
	EnvDeployment   = "ECSRUNNERS_DEPLOYMENT"
	EnvCluster      = "ECSRUNNERS_CLUSTER"
	EnvLedger       = "ECSRUNNERS_LEDGER"
	EnvCredentialID = "ECSRUNNERS_GITHUB_CREDENTIAL_ID"
	EnvGitHubURL    = "ECSRUNNERS_GITHUB_URL"
	EnvScope        = "ECSRUNNERS_GITHUB_SCOPE"
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

// Attributes and index of the ledger table. It holds an item for each job, whose
// key is LedgerJob and the job's id, and one for each task that has claimed a
// job, whose key is LedgerTask and the task's id.
const (
	LedgerKey  = "id"
	LedgerJob  = "job#"
	LedgerTask = "task#"
	// LedgerExpires is when DynamoDB may delete an item, in Unix seconds.
	LedgerExpires = "expires_at"
	// LedgerIndex lists the jobs of a fleet in a state: its partition key is
	// LedgerFleetState, the name of the fleet and the state with # between them, its
	// sort key LedgerQueuedAt, in Unix milliseconds.
	LedgerIndex      = "fleet-state"
	LedgerFleetState = "fleet_state"
	LedgerQueuedAt   = "queued_at"
)

// Metrics of the registration program, in the namespace
// RegistrationMetricNamespace.
const (
	RegistrationMetricNamespace = "ECSRunners/Registration"
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

// RegistrationOutcome is what became of a request to the registration API: the
// value of DimensionOutcome.
type RegistrationOutcome string

// Outcomes of requests, with the status codes that the supervisor is answered.
const (
	RegistrationRegistered  RegistrationOutcome = "registered"  // 200: a runner for a job
	RegistrationStarted     RegistrationOutcome = "started"     // 204: the listener starts
	RegistrationReleased    RegistrationOutcome = "released"    // 204: the runner is removed
	RegistrationNoWork      RegistrationOutcome = "no_work"     // 204: the fleet has no open job
	RegistrationBusy        RegistrationOutcome = "busy"        // 409: the runner has a job
	RegistrationRefused     RegistrationOutcome = "refused"     // 400, 403, 404, 405, 409, 426: asking again is of no use
	RegistrationThrottled   RegistrationOutcome = "throttled"   // 429: GitHub's rate limit
	RegistrationUnavailable RegistrationOutcome = "unavailable" // 503: to be asked again
	RegistrationFailed      RegistrationOutcome = "failed"      // 500: a defect of the program
)

// RegistrationOutcomes lists every outcome.
func RegistrationOutcomes() []RegistrationOutcome {
	return []RegistrationOutcome{
		RegistrationRegistered, RegistrationStarted, RegistrationReleased, RegistrationNoWork, RegistrationBusy,
		RegistrationRefused, RegistrationThrottled, RegistrationUnavailable, RegistrationFailed,
	}
}

// ScopeKind is the level at GitHub at which runners are registered.
type ScopeKind string

// Levels, in the words of GitHub's REST API.
const (
	ScopeOrganization ScopeKind = "orgs"
	ScopeRepository   ScopeKind = "repos"
	ScopeEnterprise   ScopeKind = "enterprises"
)

// Scope is where at GitHub runners are registered.
type Scope struct {
	Kind ScopeKind
	// Owner is the login of the organization or of the repository's owner, or the
	// slug of the enterprise. Repository is the name of the repository without its
	// owner, and empty at the other levels.
	Owner, Repository string
}

// ErrScope says that a text is no scope.
var ErrScope = errors.New("is no scope")

// ParseScope reads what Scope.String writes.
func ParseScope(s string) (Scope, error) {
	kind, rest, _ := strings.Cut(s, "/")
	scope := Scope{Kind: ScopeKind(kind), Owner: rest}
	if scope.Kind == ScopeRepository {
		scope.Owner, scope.Repository, _ = strings.Cut(rest, "/")
	}
	if err := scope.Validate(); err != nil {
		return Scope{}, err
	}
	return scope, nil
}

// Validate checks that the scope can be one.
func (s Scope) Validate() error {
	ok := IsOwner(s.Owner)
	switch s.Kind {
	case ScopeRepository:
		ok = ok && IsOwner(s.Repository)
	case ScopeOrganization, ScopeEnterprise:
		ok = ok && s.Repository == ""
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("%q %w: want orgs/my-org, repos/my-org/app or enterprises/my-enterprise", s.String(), ErrScope)
	}
	return nil
}

// String is the scope as paths of GitHub's REST API begin: "orgs/my-org",
// "repos/my-org/app" or "enterprises/my-enterprise".
func (s Scope) String() string {
	text := string(s.Kind) + "/" + s.Owner
	if s.Repository != "" {
		text += "/" + s.Repository
	}
	return text
}

// Covers reports whether a runner in the scope can run jobs of a repository,
// owner/name. Which organizations an enterprise has is GitHub's to know.
func (s Scope) Covers(repository string) bool {
	owner, name, ok := strings.Cut(repository, "/")
	switch {
	case !ok:
		return false
	case s.Kind == ScopeEnterprise:
		return true
	case s.Kind == ScopeRepository:
		return strings.EqualFold(owner, s.Owner) && strings.EqualFold(name, s.Repository)
	default:
		return strings.EqualFold(owner, s.Owner)
	}
}

// RegisteredFleet is what the registration program knows of a fleet.
type RegisteredFleet struct {
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
func (f RegisteredFleet) Lease() time.Duration {
	if f.LeaseSeconds == 0 {
		return MinLease
	}
	return time.Duration(f.LeaseSeconds) * time.Second
}

// RegistrationService is the configuration of the registration program. The
// construct turns it into environment variables with Environment, the program
// reads them back with ParseRegistrationService.
type RegistrationService struct {
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
	Fleets []RegisteredFleet
}

// Validate reports every setting that is missing or wrong.
func (r RegistrationService) Validate() error {
	var errs []error
	for _, required := range []struct{ name, value string }{
		{EnvDeployment, r.Deployment}, {EnvCluster, r.Cluster}, {EnvLedger, r.Ledger}, {EnvCredentialID, r.CredentialID},
	} {
		if required.value == "" {
			errs = append(errs, fmt.Errorf("%s %w", required.name, ErrMissing))
		}
	}
	if r.Deployment != "" && !IsDeployment(r.Deployment) {
		errs = append(errs, fmt.Errorf("%s %w: %q, want 1 to %d lower-case letters and digits", EnvDeployment, ErrSetting, r.Deployment, MaxDeployment))
	}
	if r.GitHubURL != "" && !IsGitHubURL(r.GitHubURL) {
		errs = append(errs, fmt.Errorf("%s %w: %q, want an address such as %s, without a path", EnvGitHubURL, ErrSetting, r.GitHubURL, DefaultGitHubURL))
	}
	if err := r.Scope.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", EnvScope, err))
	}
	for i, fleet := range r.Fleets {
		if fleet.RoleID == "" || fleet.Family == "" {
			errs = append(errs, fmt.Errorf("%s[%d] %w: role_id and family must be set", EnvFleets, i, ErrSetting))
		}
		if fleet.LeaseSeconds < 0 {
			errs = append(errs, fmt.Errorf("%s[%d].lease_seconds %w: %d, want 0 or more", EnvFleets, i, ErrSetting, fleet.LeaseSeconds))
		}
	}
	return errors.Join(errs...)
}

// Environment returns the environment variables that carry r. It fails when r is
// not valid or does not fit.
func (r RegistrationService) Environment() (map[string]string, error) {
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
	env := map[string]string{
		EnvDeployment:   r.Deployment,
		EnvCluster:      r.Cluster,
		EnvLedger:       r.Ledger,
		EnvCredentialID: r.CredentialID,
		EnvGitHubURL:    r.GitHubURL,
		EnvScope:        r.Scope.String(),
		EnvFleets:       string(fleets),
	}
	if size := EnvironmentSize(env); size > MaxEnvironmentSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d: use fewer or shorter labels, or a second registration for some of the %d fleets",
			ErrEnvironmentSize, size, MaxEnvironmentSize, len(r.Fleets))
	}
	return env, nil
}

// ParseRegistrationService reads the configuration with a function like
// os.LookupEnv. Its error names every variable that is missing or wrong.
func ParseRegistrationService(lookup func(string) (string, bool)) (RegistrationService, error) {
	value := func(name string) string {
		v, _ := lookup(name)
		return strings.TrimSpace(v)
	}
	r := RegistrationService{
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
			errs = append(errs, fmt.Errorf("%s %w: %q, want JSON such as %s", EnvFleets, ErrSetting, v, registeredFleetsExample))
		}
	}
	if err := errors.Join(append(errs, r.Validate())...); err != nil {
		return RegistrationService{}, fmt.Errorf("reading the environment: %w", err)
	}
	return r, nil
}

const registeredFleetsExample = `[{"name":"linux","labels":["self-hosted","linux"],"role_id":"AROACKCEVSQ6C2EXAMPLE","family":"linux"}]`

// RegistrationVariables describes the environment variables of the registration
// program.
func RegistrationVariables() []Variable {
	return []Variable{
		{EnvDeployment, "begins the names of the runners, at most " + strconv.Itoa(MaxDeployment) + " characters (required)"},
		{EnvCluster, "ARN of the ECS cluster with the tasks (required)"},
		{EnvLedger, "name of the DynamoDB table with the ledger (required)"},
		{EnvCredentialID, "name or ARN of the secret with GitHub's credential in Secrets Manager (required)"},
		{EnvGitHubURL, "address of GitHub (default " + DefaultGitHubURL + ")"},
		{EnvScope, "where runners are registered: orgs/my-org, repos/my-org/app or enterprises/my-enterprise (required)"},
		{EnvFleets, "fleets, such as " + registeredFleetsExample},
	}
}

// IsDeployment reports whether s can begin the names of runners.
func IsDeployment(s string) bool {
	return s != "" && len(s) <= MaxDeployment && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
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
