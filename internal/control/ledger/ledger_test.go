package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger"
	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger/ledgertest"
)

var now = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

func TestMemory_IsALedger(t *testing.T) {
	t.Parallel()
	testLedger(t, func(*testing.T) ledger.Ledger { return ledgertest.NewMemory() })
}

// testLedger is what every ledger must do.
func testLedger(t *testing.T, newLedger func(*testing.T) ledger.Ledger) {
	t.Run("what is not there has version zero", func(t *testing.T) {
		l := newLedger(t)
		job, err := l.Job(t.Context(), "1")
		require.NoError(t, err)
		assert.Equal(t, ledger.Job{ID: "1"}, job)
		task, err := l.Task(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, ledger.Task{ID: "a"}, task)
		jobs, err := l.List(t.Context(), "linux", ledger.Open, 10)
		require.NoError(t, err)
		assert.Empty(t, jobs)
	})
	t.Run("what was written is read", func(t *testing.T) {
		l := newLedger(t)
		job := ledger.Job{
			ID: "1", Fleet: "linux", Repository: "octo/app", Labels: []string{"linux", "x64"}, State: ledger.Held, QueuedAt: now,
			Task: "a", Lease: now.Add(15 * time.Minute), Runner: ledger.Runner{ID: 1 << 40, Name: "runner"},
		}
		task := ledger.Task{ID: "a", Job: "1", Runner: job.Runner, Started: true, Tried: []string{"2", "3"}}
		require.NoError(t, l.Write(t.Context(), now, &job, &task))
		assert.EqualValues(t, 1, job.Version, "the writer can go on with what it has written")
		got, err := l.Job(t.Context(), "1")
		require.NoError(t, err)
		assert.True(t, job.QueuedAt.Equal(got.QueuedAt) && job.Lease.Equal(got.Lease))
		got.QueuedAt, got.Lease = job.QueuedAt, job.Lease
		assert.Equal(t, job, got)
		gotTask, err := l.Task(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, task, gotTask)
	})
	t.Run("who comes late is refused, and nothing is written", func(t *testing.T) {
		l := newLedger(t)
		job := ledger.Job{ID: "1", Fleet: "linux", State: ledger.Open, QueuedAt: now}
		require.NoError(t, l.Write(t.Context(), now, &job, nil))
		stale := ledger.Job{ID: "1", Fleet: "linux", State: ledger.Held, QueuedAt: now, Task: "b"}
		task := ledger.Task{ID: "b", Job: "1"}
		assert.ErrorIs(t, l.Write(t.Context(), now, &stale, nil), ledger.ErrConflict)
		assert.ErrorIs(t, l.Write(t.Context(), now, &stale, &task), ledger.ErrConflict)
		assert.Zero(t, task.Version)
		got, err := l.Task(t.Context(), "b")
		require.NoError(t, err)
		assert.Zero(t, got.Version, "half of it was written")
		fresh := job
		fresh.State = ledger.Done
		require.NoError(t, l.Write(t.Context(), now, &fresh, nil))
		assert.ErrorIs(t, l.Write(t.Context(), now, &job, nil), ledger.ErrConflict)
	})
	t.Run("lists are by fleet and state, the oldest first", func(t *testing.T) {
		l := newLedger(t)
		write := func(id, fleet string, state ledger.State, age time.Duration) {
			job := ledger.Job{ID: id, Fleet: fleet, State: state, QueuedAt: now.Add(-age)}
			require.NoError(t, l.Write(t.Context(), now, &job, nil))
		}
		write("1", "linux", ledger.Open, time.Minute)
		write("2", "linux", ledger.Open, time.Hour)
		write("3", "linux", ledger.Held, time.Hour)
		write("4", "arm", ledger.Open, time.Hour)
		write("5", "linux", ledger.Done, time.Hour)
		write("6", "linux", ledger.Open, time.Second)
		ids := func(fleet string, state ledger.State, limit int32) (ids []string) {
			jobs, err := l.List(t.Context(), fleet, state, limit)
			require.NoError(t, err)
			for _, job := range jobs {
				ids = append(ids, job.ID)
			}
			return ids
		}
		assert.Equal(t, []string{"2", "1", "6"}, ids("linux", ledger.Open, 10))
		assert.Equal(t, []string{"2", "1"}, ids("linux", ledger.Open, 2))
		assert.Equal(t, []string{"3"}, ids("linux", ledger.Held, 10))
		assert.Equal(t, []string{"4"}, ids("arm", ledger.Open, 10))
	})
	t.Run("one of many claims succeeds", func(t *testing.T) {
		l := newLedger(t)
		job := ledger.Job{ID: "1", Fleet: "linux", State: ledger.Open, QueuedAt: now}
		require.NoError(t, l.Write(t.Context(), now, &job, nil))
		const claimants = 8
		errs := make([]error, claimants)
		var wg sync.WaitGroup
		for i := range claimants {
			wg.Go(func() {
				claim := job
				claim.State, claim.Task = ledger.Held, fmt.Sprint(i)
				errs[i] = l.Write(context.Background(), now, &claim, &ledger.Task{ID: claim.Task, Job: "1"})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			assert.ErrorIs(t, err, ledger.ErrConflict)
		}
		assert.Equal(t, 1, won)
	})
}

func TestJob_IsClaimableWhenNobodyHoldsItAnyMore(t *testing.T) {
	t.Parallel()
	held := ledger.Job{State: ledger.Held, Lease: now}
	assert.False(t, held.Claimable(now.Add(-time.Millisecond)))
	assert.True(t, held.Claimable(now))
	assert.True(t, ledger.Job{State: ledger.Open}.Claimable(now))
	for _, state := range []ledger.State{ledger.Running, ledger.Done, ledger.Cancelled} {
		assert.False(t, ledger.Job{State: state}.Claimable(now), state)
	}
}
