// Package ledgertest has a ledger for tests and simulations.
package ledgertest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger"
)

// Memory is a ledger that is kept in memory. It is safe for concurrent use.
type Memory struct {
	mu    sync.Mutex
	jobs  map[string]ledger.Job
	tasks map[string]ledger.Task
}

var _ ledger.Ledger = (*Memory)(nil)

// NewMemory returns an empty ledger.
func NewMemory() *Memory {
	return &Memory{jobs: map[string]ledger.Job{}, tasks: map[string]ledger.Task{}}
}

// Job implements ledger.Ledger.
func (m *Memory) Job(_ context.Context, id string) (ledger.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if job, found := m.jobs[id]; found {
		return job, nil
	}
	return ledger.Job{ID: id}, nil
}

// Task implements ledger.Ledger.
func (m *Memory) Task(_ context.Context, id string) (ledger.Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if task, found := m.tasks[id]; found {
		task.Tried = slices.Clone(task.Tried)
		return task, nil
	}
	return ledger.Task{ID: id}, nil
}

// List implements ledger.Ledger.
func (m *Memory) List(_ context.Context, fleet string, state ledger.State, limit int32) ([]ledger.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var jobs []ledger.Job
	for _, job := range m.jobs {
		if job.Fleet == fleet && job.State == state {
			jobs = append(jobs, job)
		}
	}
	slices.SortFunc(jobs, func(a, b ledger.Job) int { return cmp.Or(a.QueuedAt.Compare(b.QueuedAt), cmp.Compare(a.ID, b.ID)) })
	return jobs[:min(len(jobs), int(limit))], nil
}

// Write implements ledger.Ledger.
func (m *Memory) Write(_ context.Context, _ time.Time, job *ledger.Job, task *ledger.Task) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if job != nil && m.jobs[job.ID].Version != job.Version || task != nil && m.tasks[task.ID].Version != task.Version {
		return ledger.ErrConflict
	}
	if job != nil {
		job.Version++
		m.jobs[job.ID] = *job
	}
	if task != nil {
		task.Version++
		m.tasks[task.ID] = *task
	}
	return nil
}
