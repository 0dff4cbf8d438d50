package ledger

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a ledger for tests and simulations. It is safe for concurrent use.
type Memory struct {
	mu    sync.Mutex
	jobs  map[string]Job
	tasks map[string]Task
}

// NewMemory returns an empty ledger.
func NewMemory() *Memory {
	return &Memory{jobs: map[string]Job{}, tasks: map[string]Task{}}
}

// Job implements Ledger.
func (m *Memory) Job(_ context.Context, id string) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if job, found := m.jobs[id]; found {
		return job, nil
	}
	return Job{ID: id}, nil
}

// Task implements Ledger.
func (m *Memory) Task(_ context.Context, id string) (Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if task, found := m.tasks[id]; found {
		task.Tried = slices.Clone(task.Tried)
		return task, nil
	}
	return Task{ID: id}, nil
}

// List implements Ledger.
func (m *Memory) List(_ context.Context, fleet string, state State, limit int32) ([]Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var jobs []Job
	for _, job := range m.jobs {
		if job.Fleet == fleet && job.State == state {
			jobs = append(jobs, job)
		}
	}
	slices.SortFunc(jobs, func(a, b Job) int { return cmp.Or(a.QueuedAt.Compare(b.QueuedAt), cmp.Compare(a.ID, b.ID)) })
	return jobs[:min(len(jobs), int(limit))], nil
}

// Write implements Ledger.
func (m *Memory) Write(_ context.Context, _ time.Time, job *Job, task *Task) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if job != nil && m.jobs[job.ID].Version != job.Version || task != nil && m.tasks[task.ID].Version != task.Version {
		return ErrConflict
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
