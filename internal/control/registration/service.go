package registration

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

// GitHub is what a Service asks GitHub. A *github.Client does it.
type GitHub interface {
	Job(ctx context.Context, repository, id string) (github.Job, error)
	Register(ctx context.Context, name string, labels []string, group string) (github.Runner, error)
	Remove(ctx context.Context, id int64) (removed bool, err error)
	Find(ctx context.Context, name string) (int64, error)
}

// Errors of a Service, beside those of GitHub and of the ledger.
var (
	// ErrNoWork says that the fleet has no job for the task.
	ErrNoWork = errors.New("no work left")
	// ErrStarted says that the task's runner listens already, so that its configuration
	// is used up.
	ErrStarted = errors.New("the task has a runner that has started")
	// ErrUsed says that the task's runner is gone from GitHub, so that it may have run a
	// job, though the task never said that it starts.
	ErrUsed = errors.New("the task's runner is gone from GitHub before the task said that it starts: somebody may have used it")
	// ErrNotTheSupervisor says that a release is without the token of the registration.
	ErrNotTheSupervisor = errors.New("a runner that has started is given back by the task's supervisor only")
	// ErrClaimLost says that the task no longer holds a job.
	ErrClaimLost = errors.New("the task holds no job")
	// ErrBacklog says that not all jobs of the fleet could be looked at in one request:
	// those that were need not be again.
	ErrBacklog = errors.New("more jobs to look at")
	// ErrContended says that others changed the same items again and again.
	ErrContended = errors.New("others work on the same jobs")
)

const (
	// rounds is how often a decision is made again because somebody was faster.
	rounds = 8
	// listLength is how many jobs of a fleet are looked at in a state.
	listLength = 100
	// names is how many names are tried for a runner.
	names = 3
	// looks is how many listed jobs GitHub is asked for in one request, a few seconds.
	looks = 20
)

// Caller is a task that has shown who it is.
type Caller struct {
	Fleet registrationcontract.Fleet
	// Task is its id, Job and Repository are what it was started for.
	Task, Job, Repository string
}

// Service gives tasks their runners. It keeps no state of its own and is safe for
// concurrent use.
type Service struct {
	Deployment string
	Scope      registrationcontract.Scope
	Ledger     ledger.Ledger
	GitHub     GitHub
	Clock      clock.Clock
	// Nonce returns what makes the names of a task's runners differ: a few lower-case
	// letters and digits.
	Nonce func() string
	// Token returns what only the supervisor of a task gets to know: a text that
	// nobody can guess.
	Token func() runnercontract.Secret
	Log   *slog.Logger
	// Swapped counts each job that was found on a runner registered for another,
	// Unchecked each for which GitHub did not report the state.
	Swapped, Unchecked func()
}

// Register claims a job for a task and registers a runner for it. The same task may
// ask again until Start, and gets a new runner then.
func (s *Service) Register(ctx context.Context, c Caller) (runnercontract.Registration, error) {
	removed := "" // the runner that we have removed, before somebody else changed the job
	for range rounds {
		granted, err := s.register(ctx, c, &removed)
		if !errors.Is(err, ledger.ErrConflict) {
			return granted, err
		}
	}
	return runnercontract.Registration{}, ErrContended
}

// register fails with ledger.ErrConflict if somebody else was faster.
func (s *Service) register(ctx context.Context, c Caller, removed *string) (runnercontract.Registration, error) {
	task, err := s.Ledger.Task(ctx, c.Task)
	if err != nil {
		return runnercontract.Registration{}, err
	}
	if err := registrable(task); err != nil {
		return runnercontract.Registration{}, err
	}
	if task.Job != "" { // an answer was lost, or we died on the way to it
		if task, err = s.undo(ctx, task, removed); err != nil {
			return runnercontract.Registration{}, err
		}
	}
	search := search{service: s, caller: c, task: task, seen: map[string]bool{}}
	for _, id := range append([]string{c.Job}, task.Tried...) {
		if granted, found, err := search.try(ctx, id); found || err != nil {
			return granted, err
		}
	}
	looked := 0
	for _, state := range []ledger.State{ledger.Open, ledger.Held} {
		jobs, err := s.Ledger.List(ctx, c.Fleet.Name, state, listLength)
		if err != nil {
			return runnercontract.Registration{}, err
		}
		for _, job := range jobs {
			if search.seen[job.ID] || task.HasTried(job.ID) || !job.Claimable(s.Clock.Now()) {
				continue
			}
			if looked == looks && search.noted {
				return runnercontract.Registration{}, ErrBacklog
			}
			if looked == looks { // asking again would lead to the same jobs
				return runnercontract.Registration{}, ErrNoWork
			}
			looked++
			if granted, found, err := search.try(ctx, job.ID); found || err != nil {
				return granted, err
			}
		}
	}
	return runnercontract.Registration{}, ErrNoWork
}

// registrable reports why a task can register no runner, as far as its item tells.
func registrable(task ledger.Task) error {
	switch {
	case task.Started && task.Job == "": // see Release
		return ErrNoWork
	case task.Started:
		return ErrStarted
	default:
		return nil
	}
}

// startable reports why a task's runner cannot start.
func startable(task ledger.Task) error {
	if !task.Started && (task.Job == "" || task.Runner.ID == 0) {
		return ErrClaimLost
	}
	return nil
}

// releasable reports why a task cannot give its runner back.
func releasable(task ledger.Task, token runnercontract.Secret) error {
	// Before the start there is nobody but the supervisor.
	if task.Job != "" && task.Started && subtle.ConstantTimeCompare([]byte(hash(token)), []byte(task.ReleaseToken)) != 1 {
		return ErrNotTheSupervisor
	}
	return nil
}

// settled reports whether there is nothing to do for a request, or why it is refused,
// by what the ledger has of the task and without asking anybody else. It is for
// callers that have not proved who they are: it changes nothing.
func (s *Service) settled(ctx context.Context, path, id string, token runnercontract.Secret) (bool, error) {
	task, err := s.Ledger.Task(ctx, id)
	if err != nil {
		return false, err
	}
	switch path {
	case runnercontract.PathRegister:
		return false, registrable(task)
	case runnercontract.PathStarted:
		return task.Started, startable(task)
	default:
		return task.Job == "", releasable(task, token)
	}
}

// undo takes back what an earlier request of the task has done: its runner, which
// nobody may have seen, and its claim. A runner that had an id and is gone has been
// used, and the task gets no other. It is not gone if it was removed by us.
func (s *Service) undo(ctx context.Context, task ledger.Task, removed *string) (ledger.Task, error) {
	did, err := s.remove(ctx, task.Runner)
	if errors.Is(err, github.ErrBusy) {
		return task, ErrStarted
	}
	if err != nil {
		return task, err
	}
	if did {
		*removed = task.Runner.Name
	}
	rest := task.Rest()
	if rest.Started = used(task.Runner, *removed == task.Runner.Name); !rest.Started {
		return s.giveBack(ctx, task, rest)
	}
	s.Log.WarnContext(ctx, "a runner is gone before its task said that it starts", slog.String("task", task.ID), slog.String("runner", task.Runner.Name))
	if rest, err = s.giveBack(ctx, task, rest); err != nil {
		return rest, err
	}
	return rest, ErrUsed
}

// used reports whether a runner that we have or have not removed may have run a job.
func used(runner ledger.Runner, removed bool) bool { return runner.ID != 0 && !removed }

// giveBack frees the job that a task holds, if it still does, and writes the task
// as it is to be.
func (s *Service) giveBack(ctx context.Context, held, rest ledger.Task) (ledger.Task, error) {
	job, err := s.Ledger.Job(ctx, held.Job)
	if err != nil {
		return held, err
	}
	var free *ledger.Job
	if job.HeldBy(held.ID) {
		job = job.Free()
		free = &job
	}
	return rest, s.Ledger.Write(ctx, s.Clock.Now(), free, &rest)
}

// remove removes a runner at GitHub, by its name if its id is not known. It returns
// false if the runner is not there.
func (s *Service) remove(ctx context.Context, runner ledger.Runner) (removed bool, err error) {
	if runner.Name == "" {
		return false, nil
	}
	if runner.ID == 0 {
		if runner.ID, err = s.GitHub.Find(ctx, runner.Name); err != nil || runner.ID == 0 {
			return false, err
		}
	}
	return s.GitHub.Remove(ctx, runner.ID)
}

// search is one task's search for a job.
type search struct {
	service *Service
	caller  Caller
	task    ledger.Task
	seen    map[string]bool
	noted   bool // something that others need not look at again
}

// try claims a job if it waits for a runner, and registers one. If it runs on the
// runner of another job, that one waits, and is tried next.
func (s *search) try(ctx context.Context, id string) (runnercontract.Registration, bool, error) {
	for id != "" && !s.seen[id] {
		s.seen[id] = true
		job, ours, err := s.load(ctx, id)
		if err != nil || !ours || !job.Claimable(s.service.Clock.Now()) {
			return runnercontract.Registration{}, false, err
		}
		found, err := s.check(ctx, job)
		if err != nil {
			return runnercontract.Registration{}, false, err
		}
		if found.claimable && !s.task.HasTried(id) {
			granted, err := s.claim(ctx, found)
			return granted, err == nil, err
		}
		id = found.waits
	}
	return runnercontract.Registration{}, false, nil
}

// load returns a job and whether it is the fleet's. The task's own is, even if nobody
// has seen it before, or a deployment has given it to another fleet meanwhile.
func (s *search) load(ctx context.Context, id string) (job ledger.Job, ours bool, err error) {
	job, err = s.service.Ledger.Job(ctx, id)
	if err != nil {
		return ledger.Job{}, false, err
	}
	if job.Version == 0 {
		job.State, job.QueuedAt, job.Repository = ledger.Open, s.service.Clock.Now(), s.caller.Repository
	}
	if id == s.caller.Job && job.Claimable(s.service.Clock.Now()) {
		job.Fleet = s.caller.Fleet.Name
	}
	return job, job.Fleet == s.caller.Fleet.Name, nil
}

// checked is what GitHub reported about a job.
type checked struct {
	job       ledger.Job
	claimable bool
	unknown   bool   // GitHub does not say
	waits     string // the job whose runner runs this one
}

// check asks GitHub how a job is, and notes what is news to the ledger.
func (s *search) check(ctx context.Context, job ledger.Job) (checked, error) {
	at, err := s.service.GitHub.Job(ctx, job.Repository, job.ID)
	if limit := (*github.LimitError)(nil); errors.As(err, &limit) {
		return checked{}, err
	}
	if err != nil && ctx.Err() != nil {
		return checked{}, err // there is no time left: that tells nothing of the job
	}
	if err != nil {
		return s.unchecked(ctx, job, err)
	}
	switch at.Status {
	case github.StatusQueued:
		if !labels.Covers(s.caller.Fleet.Labels, at.Labels) {
			s.service.Log.WarnContext(ctx, "a job's labels are not the fleet's", slog.String("job_id", job.ID), slog.String("labels", labels.Show(at.Labels)), slog.String("fleet", job.Fleet), slog.String("lacks", labels.Show(labels.Lacking(s.caller.Fleet.Labels, at.Labels))))
			return checked{job: job}, nil
		}
		job.Labels = labels.Normalize(at.Labels)
		return checked{job: job, claimable: true}, nil
	case github.StatusInProgress:
		job.State = ledger.Running
	case github.StatusCompleted:
		job.State = ledger.Done
		if at.RunnerID == 0 {
			job.State = ledger.Cancelled
		}
	default: // it waits for something else than a runner, and is queued later
		return checked{job: job}, nil
	}
	job.Task, job.Runner = "", ledger.Runner{ID: at.RunnerID, Name: at.RunnerName}
	waits, err := s.service.swapped(ctx, job)
	if err != nil {
		return checked{}, err
	}
	return checked{job: job, waits: waits}, s.note(ctx, job)
}

// unchecked decides on a job whose state GitHub does not give. The task's own may wait,
// and not to know is no reason to leave it. For others a task would register one
// runner after the other, for jobs that are long over.
func (s *search) unchecked(ctx context.Context, job ledger.Job, why error) (checked, error) {
	s.service.Unchecked()
	own := job.ID == s.caller.Job
	s.service.Log.WarnContext(ctx, "GitHub does not report a job", slog.String("job_id", job.ID), slog.Bool("registering", own),
		slog.String("repository", job.Repository), slog.String("error", why.Error()))
	switch {
	case own && len(job.Labels) == 0:
		job.Labels = s.caller.Fleet.Labels
		fallthrough
	case own:
		return checked{job: job, claimable: true, unknown: true}, nil
	case errors.Is(why, github.ErrUnavailable):
		return checked{}, why // it does soon
	case job.State == ledger.Held, s.service.Clock.Now().Sub(job.QueuedAt) > maxQueued:
		job.State, job.Task = ledger.Cancelled, ""
		return checked{job: job}, s.note(ctx, job)
	default:
		return checked{job: job}, nil
	}
}

// maxQueued is how long GitHub lets a job wait.
// https://docs.github.com/en/actions/reference/limits
const maxQueued = 24 * time.Hour

// note writes down what was seen of a job. Who was faster has seen it, too.
func (s *search) note(ctx context.Context, job ledger.Job) error {
	s.noted = true
	err := s.service.Ledger.Write(ctx, s.service.Clock.Now(), &job, nil)
	if errors.Is(err, ledger.ErrConflict) {
		return nil
	}
	return err
}

// swapped frees the job whose runner has taken another one, unless that has been
// done, and returns its id.
func (s *Service) swapped(ctx context.Context, taken ledger.Job) (string, error) {
	other := s.registeredFor(taken.Runner.Name)
	if other == "" || other == taken.ID {
		return "", nil
	}
	return other, s.retried(func() error {
		waiting, err := s.Ledger.Job(ctx, other)
		// Not if another task has taken it up already, with a runner of its own.
		if err != nil || waiting.State != ledger.Held || waiting.Runner.Name != taken.Runner.Name {
			return err
		}
		waiting = waiting.Free()
		if err := s.Ledger.Write(ctx, s.Clock.Now(), &waiting, nil); err != nil {
			return err
		}
		s.Swapped()
		s.Log.InfoContext(ctx, "a job has taken the runner of another, which waits again",
			slog.String("job_id", waiting.ID), slog.String("taken_by", taken.ID), slog.String("runner", taken.Runner.Name))
		return nil
	})
}

// registeredFor is the job for which this deployment has registered a runner, and
// empty for the runners of others.
func (s *Service) registeredFor(runner string) string {
	name, err := registrationcontract.ParseRunnerName(runner)
	if err != nil || name.Deployment != s.Deployment {
		return ""
	}
	return name.JobID
}

// claim makes a job the task's, and registers a runner for it.
func (s *search) claim(ctx context.Context, found checked) (runnercontract.Registration, error) {
	job, before := found.job, found.job
	task, token := s.task, s.service.Token()
	for range names {
		name := registrationcontract.RunnerName{
			Deployment: s.service.Deployment, Fleet: s.caller.Fleet.Name, JobID: job.ID, Task: task.ID, Nonce: s.service.Nonce(),
		}.String()
		// First the ledger: who finds a runner that GitHub knows must find whose it is.
		now := s.service.Clock.Now()
		job.State, job.Task, job.Lease, job.Runner = ledger.Held, task.ID, now.Add(s.caller.Fleet.Lease()), ledger.Runner{Name: name}
		task.Job, task.Runner, task.ReleaseToken = job.ID, job.Runner, hash(token)
		if err := s.service.Ledger.Write(ctx, now, &job, &task); err != nil {
			return runnercontract.Registration{}, err
		}
		// Now that the job is ours: what a holder that has died left behind. It may run
		// another job by now, and this one if GitHub does not say.
		if before.Runner.Name != "" && !found.unknown {
			if _, err := s.service.remove(ctx, before.Runner); err != nil && !errors.Is(err, github.ErrBusy) {
				before.Version = job.Version // as it was, for who tries next
				rest := task.Rest()
				return runnercontract.Registration{}, errors.Join(err, s.service.Ledger.Write(context.WithoutCancel(ctx), now, &before, &rest))
			}
			before.Runner = ledger.Runner{}
		}
		made, err := s.service.GitHub.Register(ctx, name, job.Labels, s.caller.Fleet.RunnerGroup)
		if errors.Is(err, github.ErrNameTaken) {
			continue
		}
		if err != nil {
			return runnercontract.Registration{}, s.failed(ctx, task, err)
		}
		job.Runner.ID, task.Runner.ID = made.ID, made.ID
		if err := s.service.Ledger.Write(ctx, s.service.Clock.Now(), &job, &task); err != nil {
			// The task asks again, and finds the runner by its name.
			return runnercontract.Registration{}, fmt.Errorf("noting runner %s: %w", name, errors.Join(ErrContended, err))
		}
		return runnercontract.Registration{RunnerID: made.ID, RunnerName: name, JITConfig: made.Config, ReleaseToken: token}, nil
	}
	return runnercontract.Registration{}, s.failed(ctx, task, fmt.Errorf("registering a runner: %w, %d times", github.ErrNameTaken, names))
}

// failed gives back a claim for which GitHub makes no runner, so that another task
// may try, and returns why.
func (s *search) failed(ctx context.Context, task ledger.Task, cause error) error {
	// A request that was cut off may have made a runner nevertheless; it is found by
	// its name when the task asks again, as long as the claim stands.
	if errors.Is(cause, github.ErrUnavailable) {
		return cause
	}
	if _, err := s.service.giveBack(context.WithoutCancel(ctx), task, task.Rest()); err != nil {
		s.service.Log.WarnContext(ctx, "giving back a claim", slog.String("job_id", task.Job), slog.String("error", err.Error()))
	}
	return cause
}

// Start notes that a task's runner begins to listen: its configuration is used up.
func (s *Service) Start(ctx context.Context, c Caller) error {
	return s.retried(func() error {
		task, err := s.Ledger.Task(ctx, c.Task)
		if err != nil {
			return err
		}
		if err := startable(task); err != nil || task.Started {
			return err
		}
		job, err := s.Ledger.Job(ctx, task.Job)
		if err != nil {
			return err
		}
		if !job.HeldBy(task.ID) {
			return ErrClaimLost
		}
		now := s.Clock.Now()
		job.Lease = now.Add(c.Fleet.Lease())
		task.Started = true
		return s.Ledger.Write(ctx, now, &job, &task)
	})
}

// Release removes a task's runner, unless it has a job. The job for which it was
// registered is open again, and the task does not get it a second time.
//
// A job has the credentials of its task's role, and would use a release to be
// registered again, for the job of somebody else. So it takes the token, which
// only the supervisor has; and a task whose runner GitHub no longer has, since it
// may have run a job, gets no other.
func (s *Service) Release(ctx context.Context, c Caller, token runnercontract.Secret) error {
	removed := false // by us, maybe before somebody else changed the job
	return s.retried(func() error {
		task, err := s.Ledger.Task(ctx, c.Task)
		if err != nil || task.Job == "" {
			return err
		}
		if err := releasable(task, token); err != nil {
			return err
		}
		did, err := s.remove(ctx, task.Runner)
		if err != nil {
			return err
		}
		removed = removed || did
		rest := task.Rest()
		rest.Started = !removed && (task.Started || used(task.Runner, removed))
		rest.Tried = append(slices.Clone(task.Tried), task.Job)
		_, err = s.giveBack(ctx, task, rest)
		return err
	})
}

// hash is what the ledger keeps of a token.
func hash(token runnercontract.Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

func (s *Service) retried(step func() error) error {
	for range rounds {
		if err := step(); !errors.Is(err, ledger.ErrConflict) {
			return err
		}
	}
	return ErrContended
}

// Nonce returns a few random lower-case letters and digits, made of numbers below n
// from random(n).
func Nonce(random func(n int) int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	var nonce strings.Builder
	for range nonceLength {
		nonce.WriteByte(letters[random(len(letters))])
	}
	return nonce.String()
}

// nonceLength leaves room for a deployment, a fleet and a job id of the greatest
// length.
const nonceLength = 5
