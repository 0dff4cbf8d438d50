package registration_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger"
	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger/ledgertest"
	"github.com/ecs-github-runners/ecsrunners/internal/control/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

// world is a deployment without AWS: the real service, with a ledger in memory, a
// GitHub that keeps jobs and runners, and a clock that stands still.
type world struct {
	*registration.Service
	clock              *stillClock
	ledger             ledger.Ledger
	github             *gitHub
	swapped, unchecked int
}

var start = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

var linux = registrationcontract.Fleet{
	Name: "linux", Labels: []string{"self-hosted", "linux", "x64", "gpu"}, RoleID: "AROALINUX", Family: "linux-family",
	RunnerGroup: "builders",
}

func newWorld() *world {
	w := &world{clock: &stillClock{now: start}, ledger: ledgertest.NewMemory(), github: newGitHub()}
	nonces, tokens := 0, 0
	var mu sync.Mutex
	count := func(n *int) func() {
		return func() { mu.Lock(); defer mu.Unlock(); *n++ }
	}
	w.Service = &registration.Service{
		Deployment: "farm",
		Scope:      registrationcontract.Scope{Kind: registrationcontract.ScopeOrganization, Owner: "octo"},
		Ledger:     w.ledger,
		GitHub:     w.github,
		Clock:      w.clock,
		Nonce:      func() string { mu.Lock(); defer mu.Unlock(); nonces++; return fmt.Sprintf("n%d", nonces) },
		Token: func() runnercontract.Secret {
			mu.Lock()
			defer mu.Unlock()
			tokens++
			return runnercontract.Secret(fmt.Sprintf("token-%d", tokens))
		},
		Log:       slog.New(slog.NewJSONHandler(io.Discard, nil)),
		Swapped:   count(&w.swapped),
		Unchecked: count(&w.unchecked),
	}
	return w
}

// task is the caller that was started for a job. Its id begins with the job's.
func task(job string) registration.Caller { return secondTask(job, 0) }

// secondTask is the n-th further caller that was started for a job.
func secondTask(job string, n int) registration.Caller {
	return registration.Caller{Fleet: linux, Task: fmt.Sprintf("%08s%024d", job, n), Job: job, Repository: "octo/app"}
}

func (w *world) job(t *testing.T, id string) ledger.Job {
	t.Helper()
	job, err := w.ledger.Job(t.Context(), id)
	require.NoError(t, err)
	return job
}

// mustRegister registers a runner for a caller, and returns the job it is for.
func (w *world) mustRegister(t *testing.T, c registration.Caller) (runnercontract.Registration, string) {
	t.Helper()
	granted, err := w.Register(t.Context(), c)
	require.NoError(t, err)
	name, err := registrationcontract.ParseRunnerName(granted.RunnerName)
	require.NoError(t, err)
	return granted, name.JobID
}

// listen takes a caller's runner online.
func (w *world) listen(t *testing.T, c registration.Caller, granted runnercontract.Registration) {
	t.Helper()
	require.NoError(t, w.Start(t.Context(), c))
	w.github.online(granted.RunnerID)
}

type stillClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *stillClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stillClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (c *stillClock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

func (c *stillClock) Sleep(context.Context, time.Duration) error { panic("nothing here waits") }

// gitHub keeps jobs and runners, and gives jobs to runners when it is told to.
type gitHub struct {
	mu      sync.Mutex
	jobs    map[string]*gitHubJob
	runners map[int64]*gitHubRunner
	next    int64
	// fail is asked before each call, by the name of its method.
	fail func(call string) error
	// calls counts them.
	calls map[string]int
}

type gitHubJob struct {
	labels     []string
	status     string
	runner     int64
	runnerName string
	ran        int
}

type gitHubRunner struct {
	name         string
	labels       []string
	group        string
	online, busy bool
}

func newGitHub() *gitHub {
	return &gitHub{jobs: map[string]*gitHubJob{}, runners: map[int64]*gitHubRunner{}, calls: map[string]int{}}
}

func (g *gitHub) called(call string) error {
	g.calls[call]++
	if g.fail != nil {
		return g.fail(call)
	}
	return nil
}

// queue makes a job wait for a runner.
func (g *gitHub) queue(id string, labels ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.jobs[id] = &gitHubJob{labels: labels, status: github.StatusQueued}
}

func (g *gitHub) online(runner int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.runners[runner].online = true
}

// give gives a job to a runner, which must be idle and have its labels.
func (g *gitHub) give(t *testing.T, id string, runner int64) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	require.True(t, g.fits(id, runner))
	g.assign(id, runner)
}

func (g *gitHub) fits(id string, runner int64) bool {
	job, r := g.jobs[id], g.runners[runner]
	if job.status != github.StatusQueued || r == nil || !r.online || r.busy {
		return false
	}
	return !slices.ContainsFunc(labels.Normalize(job.labels), func(label string) bool {
		return !slices.Contains(
			r.labels, label)
	})
}

func (g *gitHub) assign(id string, runner int64) {
	job, r := g.jobs[id], g.runners[runner]
	job.status, job.runner, job.runnerName = github.StatusInProgress, runner, r.name
	job.ran++
	r.busy = true
}

// complete ends a job; its runner is gone.
func (g *gitHub) complete(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	job := g.jobs[id]
	job.status = github.StatusCompleted
	delete(g.runners, job.runner)
}

func (g *gitHub) names() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var names []string
	for _, runner := range g.runners {
		names = append(names, runner.name)
	}
	return names
}

func (g *gitHub) Job(_ context.Context, _, id string) (github.Job, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.called("Job"); err != nil {
		return github.Job{}, err
	}
	job, found := g.jobs[id]
	if !found {
		return github.Job{}, fmt.Errorf("%w with 404", github.ErrRefused)
	}
	return github.Job{Status: job.status, Labels: job.labels, RunnerID: job.runner, RunnerName: job.runnerName}, nil
}

func (g *gitHub) Register(_ context.Context, name string, labels []string, group string) (github.Runner, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.called("Register"); err != nil {
		return github.Runner{}, err
	}
	for _, runner := range g.runners {
		if runner.name == name {
			return github.Runner{}, github.ErrNameTaken
		}
	}
	g.next++
	g.runners[g.next] = &gitHubRunner{name: name, labels: labels, group: group}
	if g.fail != nil { // the answer may be lost
		if err := g.fail("Registered"); err != nil {
			return github.Runner{}, err
		}
	}
	return github.Runner{ID: g.next, Config: runnercontract.Secret("config-of-" + name)}, nil
}

func (g *gitHub) Remove(_ context.Context, id int64) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.called("Remove"); err != nil {
		return false, err
	}
	runner, found := g.runners[id]
	if found && runner.busy {
		return false, github.ErrBusy
	}
	delete(g.runners, id)
	return found, nil
}

func (g *gitHub) Find(_ context.Context, name string) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.called("Find"); err != nil {
		return 0, err
	}
	for id, runner := range g.runners {
		if runner.name == name {
			return id, nil
		}
	}
	return 0, nil
}
