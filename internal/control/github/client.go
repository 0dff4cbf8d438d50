package github

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v88/github"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
)

// Errors of a Client, beside LimitError.
var (
	// ErrNameTaken says that there is a runner of that name, often one that is gone.
	ErrNameTaken = errors.New("a runner has that name")
	// ErrBusy says that a runner runs a job and cannot be removed.
	ErrBusy = errors.New("runner is busy")
	// ErrRefused says that GitHub does not allow a request; its text says what an
	// operator can do about it.
	ErrRefused = errors.New("GitHub refuses")
	// ErrUnavailable says that GitHub gave no usable answer.
	ErrUnavailable = errors.New("GitHub is not available")
)

// LimitError says that one of GitHub's rate limits is used up.
type LimitError struct {
	// RetryAfter is how long it lasts.
	RetryAfter time.Duration
	// Answer is what GitHub said. May be empty.
	Answer string
}

// Error implements error.
func (e *LimitError) Error() string {
	text := fmt.Sprintf("rate limit of GitHub: again in %s", e.RetryAfter)
	if e.Answer != "" {
		text += ": GitHub answers " + e.Answer
	}
	return text
}

// Statuses of a job, as far as they matter here.
const (
	StatusQueued     = "queued"
	StatusInProgress = "in_progress"
	StatusCompleted  = "completed"
)

// Job is what GitHub knows of a job.
type Job struct {
	Status string
	Labels []string
	// RunnerID is zero, and RunnerName empty, as long as no runner has the job, and
	// forever if it ended without.
	RunnerID   int64
	RunnerName string
}

// Runner is a new registration.
type Runner struct {
	ID     int64
	Config runnercontract.Secret
}

const (
	apiVersion = "2022-11-28"
	groupTTL   = 10 * time.Minute
	maxPages   = 10
	// maxRedirects is more than one rename takes: GitHub leads to an id.
	maxRedirects = 3
)

// Client asks GitHub. It is safe for concurrent use.
type Client struct {
	scope     registrationcontract.Scope
	base      string // of the REST API, with a slash at its end
	secret    Secret
	transport http.RoundTripper
	clock     clock.Clock

	session session
	groups  groups
	mu      sync.Mutex
	remains map[string]int // of each rate limit, by its name
	// repositoryID is that of the scope's repository if it was renamed, zero otherwise.
	repositoryID int64
}

// New returns a client for the GitHub at an address and with the credential in a
// secret.
func New(address string, scope registrationcontract.Scope, secret Secret, transport http.RoundTripper, clock clock.Clock) (*Client, error) {
	base, err := apiBase(address)
	if err != nil {
		return nil, err
	}
	c := &Client{scope: scope, base: base, secret: secret, clock: clock, remains: map[string]int{}}
	c.transport = &observer{next: transport, client: c}
	return c, nil
}

// apiBase is the address of the REST API of a GitHub.
// https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency/network-details-for-ghecom
func apiBase(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("address of GitHub: %q", address)
	}
	switch host := strings.ToLower(u.Hostname()); {
	case host == "github.com":
		u.Host = "api.github.com"
	case strings.HasSuffix(host, ".ghe.com"):
		u.Host = "api." + u.Host
	default:
		u.Path = "/api/v3"
	}
	return strings.TrimSuffix(u.String(), "/") + "/", nil
}

// Remaining is the least that is left of any of GitHub's rate limits, as its last
// answers about each said, and false before the first.
// https://docs.github.com/en/rest/rate-limit/rate-limit
func (c *Client) Remaining() (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.remains) == 0 {
		return 0, false
	}
	return slices.Min(slices.Collect(maps.Values(c.remains))), true
}

// Job returns the state of a job of a repository.
func (c *Client) Job(ctx context.Context, repository, id string) (Job, error) {
	var job gh.WorkflowJob
	err := c.do(ctx, http.MethodGet, "repos/"+repository+"/actions/jobs/"+url.PathEscape(id), nil, &job)
	if err != nil {
		return Job{}, fmt.Errorf("asking for job %s of %s: %w", id, repository, c.explain(err, c.jobPermission()))
	}
	return Job{Status: job.GetStatus(), Labels: job.Labels, RunnerID: job.GetRunnerID(), RunnerName: job.GetRunnerName()}, nil
}

// Register makes a just-in-time configuration for a runner in a group, by its name
// or id; an empty one is the default group.
func (c *Client) Register(ctx context.Context, name string, labels []string, group string) (Runner, error) {
	id, err := c.groupID(ctx, group)
	if err != nil {
		return Runner{}, err
	}
	var made gh.JITRunnerConfig
	err = c.do(ctx, http.MethodPost, c.scope.String()+"/actions/runners/generate-jitconfig",
		&gh.GenerateJITConfigRequest{Name: name, RunnerGroupID: id, Labels: labels}, &made)
	if status(err) == http.StatusConflict {
		return Runner{}, fmt.Errorf("%w: GitHub answers %w", ErrNameTaken, err)
	}
	if err != nil {
		needs := c.runnerPermission()
		if c.scope.Kind != registrationcontract.ScopeRepository {
			needs += ", and a runner group that exists and is not GitHub's own"
		}
		return Runner{}, fmt.Errorf("registering a runner in group %d of %s: %w", id, c.scope, c.explain(err, needs))
	}
	if made.EncodedJITConfig == nil || made.GetRunner().GetID() == 0 {
		return Runner{}, fmt.Errorf("registering a runner: %w: its answer has no configuration", ErrUnavailable)
	}
	return Runner{ID: made.GetRunner().GetID(), Config: runnercontract.Secret(*made.EncodedJITConfig)}, nil
}

// Remove removes a runner. It returns false for one that is not there: it has run
// its job, or was removed by somebody else.
func (c *Client) Remove(ctx context.Context, id int64) (removed bool, err error) {
	err = c.do(ctx, http.MethodDelete, c.scope.String()+"/actions/runners/"+strconv.FormatInt(id, 10), nil, nil)
	switch status(err) {
	case http.StatusNotFound:
		return false, nil
	case http.StatusUnprocessableEntity:
		return false, fmt.Errorf("%w: GitHub answers %w", ErrBusy, err)
	}
	if err != nil {
		return false, fmt.Errorf("removing runner %d of %s: %w", id, c.scope, c.explain(err, c.runnerPermission()))
	}
	return true, nil
}

// Find returns the id of the runner with a name, and zero if there is none.
func (c *Client) Find(ctx context.Context, name string) (int64, error) {
	var found gh.Runners
	err := c.do(ctx, http.MethodGet, c.scope.String()+"/actions/runners?per_page=100&name="+url.QueryEscape(name), nil, &found)
	if err != nil {
		return 0, fmt.Errorf("looking for runner %s of %s: %w", name, c.scope, c.explain(err, c.runnerPermission()))
	}
	for _, runner := range found.Runners {
		if runner.GetName() == name {
			return runner.GetID(), nil
		}
	}
	return 0, nil
}

// runnerPermission is what registering and removing runners takes.
// https://docs.github.com/en/rest/actions/self-hosted-runners
func (c *Client) runnerPermission() string {
	switch c.scope.Kind {
	case registrationcontract.ScopeOrganization:
		return `the organization permission "Self-hosted runners" (write)`
	case registrationcontract.ScopeRepository:
		return `the repository permission "Administration" (write)`
	default:
		return "a classic token with manage_runners:enterprise"
	}
}

// jobPermission is what asking for a job takes.
// https://docs.github.com/en/rest/actions/workflow-jobs
func (c *Client) jobPermission() string {
	if c.scope.Kind == registrationcontract.ScopeEnterprise {
		return "a classic token with repo"
	}
	return `the repository permission "Actions" (read), for a classic token the scope repo, and a repository in which the App is installed`
}

// do sends a request. If GitHub rejects the credential, which may have been rotated,
// do reads it again and sends the request once more.
func (c *Client) do(ctx context.Context, method, path string, body, into any) error {
	api, err := c.session.api(ctx, c, false)
	if err != nil {
		return err
	}
	err = c.send(ctx, api, method, path, body, into)
	if status(err) != http.StatusUnauthorized {
		return err
	}
	api, renewed := c.session.api(ctx, c, true)
	if renewed != nil {
		return renewed
	}
	return c.send(ctx, api, method, path, body, into)
}

// send sends a request, and fails with a *refusal if GitHub answers something else
// than what it was asked for. It follows a repository that was renamed with the method
// that it has: the HTTP client would read where something is to be removed.
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
func (c *Client) send(ctx context.Context, api *gh.Client, method, path string, body, into any) error {
	for followed := 0; ; followed++ {
		request, err := api.NewRequest(ctx, method, path, body, gh.WithVersion(apiVersion))
		if err != nil {
			return fmt.Errorf("making the request: %w", err)
		}
		_, err = api.Do(request, into)
		err = answered(err)
		next := c.redirected(err)
		if next == "" || followed == maxRedirects {
			return err
		}
		c.noteMove(path, next)
		path = next
	}
}

// redirected is the path to which an answer leads, and empty if it leads nowhere or
// to another host: the credential is for this one.
func (c *Client) redirected(err error) string {
	var answer *refusal
	if !errors.As(err, &answer) || !answer.redirects() {
		return ""
	}
	base, err := url.Parse(c.base)
	if err != nil {
		return ""
	}
	location, err := base.Parse(answer.header.Get("Location"))
	if err != nil {
		return ""
	}
	path, ours := strings.CutPrefix(location.String(), c.base)
	if !ours {
		return ""
	}
	return path
}

// repositoryByID is where GitHub leads for a repository that was renamed.
var repositoryByID = regexp.MustCompile(`^repositories/([0-9]+)(?:/|$)`)

// noteMove notes the id of the scope's repository when GitHub tells it: a token is
// made for the name that it has now, or the id.
func (c *Client) noteMove(from, to string) {
	if c.scope.Kind != registrationcontract.ScopeRepository || !strings.HasPrefix(from, c.scope.String()+"/") {
		return
	}
	if found := repositoryByID.FindStringSubmatch(to); found != nil {
		if id, err := strconv.ParseInt(found[1], 10, 64); err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.repositoryID = id
		}
	}
}

// explain says what an error means: needs is what GitHub may miss where it
// refuses. Nothing of a request, and so no credential, is in its text.
func (c *Client) explain(err error, needs string) error {
	var answer *refusal
	switch {
	case err == nil, errors.Is(err, ErrCredential), errors.Is(err, ErrRefused), errors.Is(err, ErrUnavailable), errors.As(err, new(*LimitError)):
		return err
	case !errors.As(err, &answer):
		return fmt.Errorf("%w: %w", ErrUnavailable, withoutURL(err))
	case answer.limited():
		return &LimitError{RetryAfter: answer.retryAfter(c.clock.Now()), Answer: answer.Error()}
	case answer.status >= http.StatusInternalServerError:
		return fmt.Errorf("%w: it answers %w", ErrUnavailable, answer)
	case answer.status == http.StatusUnauthorized:
		return fmt.Errorf("%w: GitHub does not accept it, and answers %w", ErrCredential, answer)
	default:
		return fmt.Errorf("%w with %w%s", ErrRefused, answer, answer.advice(needs))
	}
}

// withoutURL takes an address out of an error: it says nothing that the error
// around it does not.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// observer notes what is left of the rate limits.
type observer struct {
	next   http.RoundTripper
	client *Client
}

// RoundTrip implements http.RoundTripper.
func (o *observer) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if remaining, err := strconv.Atoi(response.Header.Get("X-Ratelimit-Remaining")); err == nil {
		o.client.mu.Lock()
		defer o.client.mu.Unlock()
		o.client.remains[response.Header.Get("X-Ratelimit-Resource")] = remaining
	}
	return response, nil
}
