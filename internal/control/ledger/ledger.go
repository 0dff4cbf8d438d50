package ledger

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ErrConflict says that an item has changed since it was read.
var ErrConflict = errors.New("ledger item has changed")

// State is how far a job has come.
type State string

// States of a job. An open job wants a runner. A held one has a task, which has
// registered a runner for it. The others need nothing more: the job runs, has run,
// or has ended without a runner.
const (
	Open      State = "OPEN"
	Held      State = "HELD"
	Running   State = "RUNNING"
	Done      State = "DONE"
	Cancelled State = "CANCELLED"
)

// Final reports whether a job in this state will never change again.
func (s State) Final() bool { return s == Done || s == Cancelled }

// How long items are kept. A job ends at the latest a day in the queue and five
// days of running after it is first seen; a task lives at most a day of waiting, an
// hour of starting and six days of running.
// https://docs.github.com/en/actions/reference/limits
const (
	finalAge = 25 * time.Hour
	liveAge  = 8 * 24 * time.Hour
)

// Runner is a registration at GitHub. Its name is chosen before GitHub is asked,
// so that it can be found and removed when the answer was lost; ID is zero until
// then.
type Runner struct {
	ID   int64  `dynamodbav:"id,omitempty"`
	Name string `dynamodbav:"name,omitempty"`
}

// Job is what the ledger knows of a job.
type Job struct {
	ID         string
	Fleet      string
	Repository string // full name
	Labels     []string
	State      State
	QueuedAt   time.Time
	// Task holds the job until Lease, with Runner. They mean something in the states
	// Held and Running only.
	Task   string
	Lease  time.Time
	Runner Runner
	// Version is that of the item, zero if there is none.
	Version int64
}

// HeldBy reports whether a task holds the job.
func (j Job) HeldBy(task string) bool { return j.State == Held && j.Task == task }

// Claimable reports whether the job is nobody's at a time, as far as the ledger
// knows.
func (j Job) Claimable(now time.Time) bool {
	return j.State == Open || j.State == Held && !now.Before(j.Lease)
}

// Free returns the job as one that wants a runner again.
func (j Job) Free() Job {
	j.State, j.Task, j.Lease, j.Runner = Open, "", time.Time{}, Runner{}
	return j
}

// expires is when the item of a job may be deleted.
func (j Job) expires(now time.Time) time.Time {
	if j.State.Final() {
		return now.Add(finalAge)
	}
	return j.QueuedAt.Add(liveAge)
}

// Task is what the ledger knows of a task.
type Task struct {
	ID string
	// Job is the job that the task holds, if any, and Runner its registration for it.
	// Started says that the runner has begun to listen; without a Job, that it may have
	// run one, and the task gets no other.
	Job     string
	Runner  Runner
	Started bool
	// ReleaseToken is the hash of the token with which Runner is given back.
	ReleaseToken string
	// Tried are the jobs that the task has held and given back.
	Tried []string
	// Version is that of the item, zero if there is none.
	Version int64
}

// HasTried reports whether the task has given a job back.
func (t Task) HasTried(job string) bool { return slices.Contains(t.Tried, job) }

// Rest returns the task as one that holds nothing.
func (t Task) Rest() Task {
	t.Job, t.Runner, t.Started, t.ReleaseToken = "", Runner{}, false, ""
	return t
}

// Ledger stores jobs and tasks. A *Table is one, and for tests a *ledgertest.Memory.
type Ledger interface {
	// Job returns a job, or one of Version zero if there is none.
	Job(ctx context.Context, id string) (Job, error)
	// Task returns a task, or one of Version zero if there is none.
	Task(ctx context.Context, id string) (Task, error)
	// List returns jobs of a fleet in a state, those queued first at the front. It may
	// be a little out of date.
	List(ctx context.Context, fleet string, state State, limit int32) ([]Job, error)
	// Write writes a job, a task or both, all or nothing, in place of what was read.
	// It fails with ErrConflict if either has changed since.
	Write(ctx context.Context, now time.Time, job *Job, task *Task) error
}
