package registration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger"
	"github.com/ecs-github-runners/ecsrunners/internal/control/registration"
)

func TestRegister_GivesATaskItsOwnJobWithItsLabels(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("101", "Self-Hosted", "x64")
	granted, job := w.mustRegister(t, task("101"))
	assert.Equal(t, "101", job)
	assert.Equal(t, "farm-linux-101-00000101-n1", granted.RunnerName)
	assert.Equal(t, runnercontract.Secret("config-of-"+granted.RunnerName), granted.JITConfig)
	runner := w.github.runners[granted.RunnerID]
	assert.Equal(t, []string{"self-hosted", "x64"}, runner.labels,
		"exactly the job's: with more, the runner would take jobs that need more")
	assert.Equal(t, "builders", runner.group)
	held := w.job(t, "101")
	assert.Equal(t, ledger.Held, held.State)
	assert.Equal(t, ledger.Runner{ID: granted.RunnerID, Name: granted.RunnerName}, held.Runner)
	assert.Equal(t, start.Add(15*time.Minute), held.Lease)
}

func TestRegister_TwoTasksForOneJob_OneGetsItTheOtherFindsNoWork(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	w.mustRegister(t, task("1"))
	_, err := w.Register(t.Context(), secondTask("1", 1))
	assert.ErrorIs(t, err, registration.ErrNoWork)
	assert.Len(t, w.github.names(), 1)
}

func TestRegister_ARepeatedCallAfterALostAnswer_GetsANewRunnerAndTheOldOneIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	first, _ := w.mustRegister(t, task("1"))
	second, job := w.mustRegister(t, task("1"))
	assert.Equal(t, "1", job)
	assert.NotEqual(t, first.RunnerName, second.RunnerName)
	assert.Equal(t, []string{second.RunnerName}, w.github.names(), "the first configuration could still be used")
}

func TestRegister_ACrashBetweenMintAndWrite_LeavesNoRunnerBehind(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	w.github.fail = func(call string) error {
		if call == "Registered" { // GitHub has made the runner, and nobody hears of it
			return github.ErrUnavailable
		}
		return nil
	}
	_, err := w.Register(t.Context(), task("1"))
	require.ErrorIs(t, err, github.ErrUnavailable)
	require.Len(t, w.github.names(), 1)
	assert.Zero(t, w.job(t, "1").Runner.ID)
	w.github.fail = nil
	granted, job := w.mustRegister(t, task("1"))
	assert.Equal(t, "1", job)
	assert.Equal(t, []string{granted.RunnerName}, w.github.names(), "it is found by the name that was noted before")
}

func TestRegister_AHolderThatDies_LosesItsJobWithItsLease(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	dead, _ := w.mustRegister(t, task("1"))
	other := secondTask("1", 1)
	_, err := w.Register(t.Context(), other)
	require.ErrorIs(t, err, registration.ErrNoWork)
	w.clock.set(start.Add(15 * time.Minute))
	granted, job := w.mustRegister(t, other)
	assert.Equal(t, "1", job)
	assert.Equal(t, []string{granted.RunnerName}, w.github.names(), "the dead task's configuration could still be used")
	assert.NotEqual(t, dead.RunnerName, granted.RunnerName)
	assert.ErrorIs(t, w.Start(t.Context(), task("1")), registration.ErrClaimLost,
		"it was not dead after all, and must not start")
}

func TestRegister_AQueuedEventTwiceForOneJob_StartsOneRunner(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), granted)
	_, err := w.Register(t.Context(), secondTask("1", 1))
	assert.ErrorIs(t, err, registration.ErrNoWork)
}

func TestRegister_ALateDuplicateAfterTheJobRan_FindsNoWork(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), granted)
	w.github.give(t, "1", granted.RunnerID)
	w.github.complete("1")
	w.clock.set(start.Add(time.Hour))
	_, err := w.Register(t.Context(), secondTask("1", 1))
	assert.ErrorIs(t, err, registration.ErrNoWork)
	assert.Equal(t, ledger.Done, w.job(t, "1").State)
}

func TestRegister_AJobCancelledBeforeItsStart_IsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	w.github.complete("1")
	_, err := w.Register(t.Context(), task("1"))
	assert.ErrorIs(t, err, registration.ErrNoWork)
	assert.Equal(t, ledger.Cancelled, w.job(t, "1").State)
}

func TestRegister_ASwappedJob_LeavesTheOtherOneToTheTask(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux", "gpu")
	w.github.queue("2", "linux")
	first, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), first)
	w.github.give(t, "2", first.RunnerID)
	second, job := w.mustRegister(t, task("2"))
	assert.Equal(t, "1", job, "job 2 runs on the runner of job 1, which would wait forever")
	assert.Equal(t, []string{"gpu", "linux"}, w.github.runners[second.RunnerID].labels)
	assert.Equal(t, ledger.Running, w.job(t, "2").State)
	assert.Equal(t, 1, w.swapped)
}

func TestRegister_AChainOfSwaps_IsFollowedToTheJobThatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for _, job := range []string{"1", "2", "3"} {
		w.github.queue(job, "linux")
	}
	first, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), first)
	second, _ := w.mustRegister(t, task("2"))
	w.listen(t, task("2"), second)
	w.github.give(t, "2", first.RunnerID)  // runs on the runner of job 1
	w.github.give(t, "3", second.RunnerID) // runs on the runner of job 2
	_, job := w.mustRegister(t, task("3"))
	assert.Equal(t, "1", job)
	assert.Equal(t, 2, w.swapped)
}

func TestRegister_AfterARelease_GivesATaskNoJobTwice(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), granted)
	require.NoError(t, w.Release(t.Context(), task("1"), granted.ReleaseToken))
	assert.Empty(t, w.github.names())
	_, err := w.Register(t.Context(), task("1"))
	assert.ErrorIs(t, err, registration.ErrNoWork, "it would wait for the same job forever")
	_, job := w.mustRegister(t, secondTask("1", 1))
	assert.Equal(t, "1", job, "another task may have it")
}

func TestRegister_AfterARelease_GivesTheJobThatWaitsBecauseOfASwap(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux", "gpu")
	w.github.queue("2", "linux")
	first, _ := w.mustRegister(t, task("1"))
	second, _ := w.mustRegister(t, task("2"))
	w.listen(t, task("1"), first)
	w.listen(t, task("2"), second)
	w.github.give(t, "2", first.RunnerID) // job 1 needs a GPU, and the runner of job 2 has none
	require.NoError(t, w.Release(t.Context(), task("2"), second.ReleaseToken))
	_, job := w.mustRegister(t, task("2"))
	assert.Equal(t, "1", job)
}

func TestRegister_OldestOpenJobFirst(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for i, job := range []string{"7", "5", "6"} {
		w.clock.set(start.Add(time.Duration(i) * time.Minute))
		w.github.queue(job, "linux")
		granted, _ := w.mustRegister(t, task(job))
		w.listen(t, task(job), granted)
		require.NoError(t, w.Release(t.Context(), task(job), granted.ReleaseToken))
	}
	w.github.queue("9", "linux")
	w.github.complete("9")
	_, job := w.mustRegister(t, task("9"))
	assert.Equal(t, "7", job)
}

func TestRegister_AFailedCheckDoesNotStrandTheJob(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"refused": github.ErrRefused, "credential": github.ErrCredential, "unavailable": github.ErrUnavailable,
		"unknown": errors.New("what is that"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.github.fail = func(call string) error {
				if call == "Job" {
					return failure
				}
				return nil
			}
			granted, job := w.mustRegister(t, task("1"))
			assert.Equal(t, "1", job)
			assert.Equal(t, 1, w.unchecked)
			assert.Equal(t, linux.Labels, w.github.runners[granted.RunnerID].labels, "the job's labels are among them")
		})
	}
}

func TestRegister_AtTheRateLimit_NothingIsClaimed(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"Job", "Register"} {
		w := newWorld()
		w.github.queue("1", "linux")
		w.github.fail = func(c string) error {
			if c == call {
				return &github.LimitError{RetryAfter: time.Minute}
			}
			return nil
		}
		_, err := w.Register(t.Context(), task("1"))
		assert.ErrorAs(t, err, new(*github.LimitError))
		assert.NotEqual(t, ledger.Held, w.job(t, "1").State, call)
		w.github.fail = nil
		_, job := w.mustRegister(t, task("1"))
		assert.Equal(t, "1", job, "a limit is no try")
	}
}

func TestRegister_ARefusedRegistration_LeavesTheJobToOthers(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	w.github.fail = func(call string) error {
		if call == "Register" {
			return github.ErrRefused
		}
		return nil
	}
	_, err := w.Register(t.Context(), task("1"))
	assert.ErrorIs(t, err, github.ErrRefused)
	assert.Equal(t, ledger.Open, w.job(t, "1").State)
}

func TestRegister_ATakenNameMeansAnotherNonce(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	taken := 2
	w.github.fail = func(call string) error {
		if call == "Register" && taken > 0 {
			taken--
			return github.ErrNameTaken
		}
		return nil
	}
	granted, _ := w.mustRegister(t, task("1"))
	assert.Equal(t, granted.RunnerName, w.job(t, "1").Runner.Name)
	taken = 3
	w.github.queue("2", "linux")
	_, err := w.Register(t.Context(), task("2"))
	assert.ErrorIs(t, err, github.ErrNameTaken)
	assert.Equal(t, ledger.Open, w.job(t, "2").State)
}

func TestRegister_AJobThatIsNotTheFleets_IsNotClaimed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "windows")
	w.github.queue("2")
	for _, job := range []string{"1", "2"} {
		_, err := w.Register(t.Context(), task(job))
		assert.ErrorIs(t, err, registration.ErrNoWork)
	}
	w.github.jobs["3"] = &gitHubJob{labels: []string{"linux"}, status: "waiting"}
	_, err := w.Register(t.Context(), task("3"))
	assert.ErrorIs(t, err, registration.ErrNoWork, "it is held by a protection rule, and queued later")
}

func TestStart_IsRepeatableAndEndsRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	assert.ErrorIs(t, w.Start(t.Context(), task("1")), registration.ErrClaimLost)
	w.mustRegister(t, task("1"))
	w.clock.set(start.Add(10 * time.Minute))
	require.NoError(t, w.Start(t.Context(), task("1")))
	require.NoError(t, w.Start(t.Context(), task("1")))
	assert.Equal(t, start.Add(25*time.Minute), w.job(t, "1").Lease, "its runner may wait for as long again")
	_, err := w.Register(t.Context(), task("1"))
	assert.ErrorIs(t, err, registration.ErrStarted, "it would have two configurations")
}

func TestRelease_KeepsARunnerThatIsBusy(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), granted)
	w.github.give(t, "1", granted.RunnerID)
	assert.ErrorIs(t, w.Release(t.Context(), task("1"), granted.ReleaseToken), github.ErrBusy)
	assert.Equal(t, []string{granted.RunnerName}, w.github.names())
}

func TestRelease_IsRepeatable(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	require.NoError(t, w.Release(t.Context(), task("1"), ""), "a task without a runner has nothing to give back")
	w.mustRegister(t, task("1"))
	require.NoError(t, w.Release(t.Context(), task("1"), ""),
		"before the start there is no job that could ask, and the answer with the token may be lost")
	require.NoError(t, w.Release(t.Context(), task("1"), ""))
	assert.Equal(t, ledger.Open, w.job(t, "1").State)
	assert.Empty(t, w.github.names())
}

// A job has the credentials of its task's role. Could it give its runner back when
// it is over, it would be registered for the next job, and could run that one, with
// its secrets, wherever it likes.
func TestRelease_AJobCannotGetAnotherRunner(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	w.github.queue("2", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), granted)
	w.github.give(t, "1", granted.RunnerID)
	for _, name := range []string{"while it runs", "when it is over"} {
		if name == "when it is over" {
			w.github.complete("1")
		}
		for _, token := range []runnercontract.Secret{"", "token-0", granted.JITConfig} {
			assert.ErrorIs(t, w.Release(t.Context(), task("1"), token), registration.ErrNotTheSupervisor, name)
		}
		_, err := w.Register(t.Context(), task("1"))
		assert.ErrorIs(t, err, registration.ErrStarted, name)
	}
	// With sudo in the image a job can read the supervisor's memory.
	require.NoError(t, w.Release(t.Context(), task("1"), granted.ReleaseToken))
	_, err := w.Register(t.Context(), task("1"))
	assert.ErrorIs(t, err, registration.ErrNoWork, "its runner is gone, so it may have run a job")
	_, job := w.mustRegister(t, task("2"))
	assert.Equal(t, "2", job)
}

// meddler is a ledger in which somebody is faster once.
type meddler struct {
	ledger.Ledger
	meddle func()
}

func (m *meddler) Write(ctx context.Context, now time.Time, job *ledger.Job, task *ledger.Task) error {
	if meddle := m.meddle; meddle != nil {
		m.meddle = nil
		meddle()
	}
	return m.Ledger.Write(ctx, now, job, task)
}

// A task that gives its runner back asks next for the job that waits because of a
// swap, and others may just then find out about the same jobs.
func TestRelease_InARaceForTheJob_TheTaskMayAskAgain(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), granted)
	w.Ledger = &meddler{w.ledger, func() {
		job := w.job(t, "1")
		require.NoError(t, w.ledger.Write(t.Context(), start, &job, nil))
	}}
	require.NoError(t, w.Release(t.Context(), task("1"), granted.ReleaseToken))
	assert.Equal(t, 2, w.github.calls["Remove"], "nobody was faster")
	held, err := w.ledger.Task(t.Context(), task("1").Task)
	require.NoError(t, err)
	assert.False(t, held.Started, "the runner was there when it was removed, so it had no job")
}

func TestRelease_TheTokenIsThatOfTheLastRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	w.github.queue("2", "linux")
	first, _ := w.mustRegister(t, task("1"))
	second, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), second)
	assert.ErrorIs(t, w.Release(t.Context(), task("1"), first.ReleaseToken), registration.ErrNotTheSupervisor)
	held, err := w.ledger.Task(t.Context(), task("1").Task)
	require.NoError(t, err)
	assert.NotContains(t, held.ReleaseToken, second.ReleaseToken.Reveal(), "who reads the ledger must not know it")
	require.NoError(t, w.Release(t.Context(), task("1"), second.ReleaseToken))
}

// runAll runs n jobs from 100 on as most jobs run: nobody tells the ledger how they
// end.
func (w *world) runAll(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprint(100 + i)
		w.github.queue(id, "linux")
		granted, _ := w.mustRegister(t, task(id))
		w.listen(t, task(id), granted)
		w.github.give(t, id, granted.RunnerID)
		w.github.complete(id)
	}
	w.clock.set(start.Add(time.Hour))
}

// duplicate is a task for a job that is over.
func (w *world) duplicate(id string) registration.Caller {
	w.github.queue(id, "linux")
	w.github.complete(id)
	return task(id)
}

func TestRegister_ABacklogIsLookedAtInSteps(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runAll(t, 50)
	w.github.calls = map[string]int{}
	caller := w.duplicate("9000")
	for range 2 {
		_, err := w.Register(t.Context(), caller)
		require.ErrorIs(t, err, registration.ErrBacklog)
	}
	_, err := w.Register(t.Context(), caller)
	assert.ErrorIs(t, err, registration.ErrNoWork)
	assert.Equal(t, 51, w.github.calls["Job"], "each is looked at once")
	_, err = w.Register(t.Context(), w.duplicate("9001"))
	assert.ErrorIs(t, err, registration.ErrNoWork)
	assert.Equal(t, 52, w.github.calls["Job"])
}

func TestRegister_ABacklogOfWhichNothingIsLearnt_EndsTheSearch(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for i := range 30 {
		job := ledger.Job{
			ID: fmt.Sprint(100 + i), Fleet: linux.Name, Repository: "octo/app", State: ledger.Open,
			QueuedAt: start,
		}
		require.NoError(t, w.ledger.Write(t.Context(), start, &job, nil))
		w.github.jobs[job.ID] = &gitHubJob{labels: []string{"linux"}, status: "waiting"}
	}
	w.github.jobs["9000"] = &gitHubJob{labels: []string{"linux"}, status: "waiting"}
	_, err := w.Register(t.Context(), task("9000"))
	assert.ErrorIs(t, err, registration.ErrNoWork, "the task would ask for ten minutes")
}

func TestRegister_SpareTasksAtOnce_DoNotKeepEachOtherFromTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runAll(t, 15)
	var wg sync.WaitGroup
	for i := range 20 {
		caller := w.duplicate(fmt.Sprint(9000 + i))
		wg.Go(func() {
			_, err := w.Register(context.Background(), caller)
			assert.ErrorIs(t, err, registration.ErrNoWork)
		})
	}
	wg.Wait()
}

func TestRegister_JobsThatGitHubDoesNotTellOf_AreRegisteredForTheirOwnTaskOnly(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runAll(t, 5)
	w.github.jobs = map[string]*gitHubJob{} // their runs are deleted
	_, err := w.Register(t.Context(), w.duplicate("9000"))
	assert.ErrorIs(t, err, registration.ErrNoWork, "one runner after the other would wait for jobs that are over")
	assert.Equal(t, 5, w.unchecked)
	assert.Equal(t, ledger.Cancelled, w.job(t, "100").State)

	w = newWorld()
	w.runAll(t, 1)
	w.github.fail = func(call string) error {
		if call == "Job" {
			return github.ErrUnavailable
		}
		return nil
	}
	_, job := w.mustRegister(t, task("1"))
	assert.Equal(t, "1", job)
	w.github.calls = map[string]int{}
	_, job = w.mustRegister(t, secondTask("100", 1))
	assert.Equal(t, "100", job)
	assert.Zero(t, w.github.calls["Remove"], "it may run on the runner that is there")
}

func TestRegister_WithoutTime_ChecksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	ctx, cancel := context.WithCancel(t.Context())
	w.github.fail = func(string) error { cancel(); return ctx.Err() }
	_, err := w.Register(ctx, task("1"))
	require.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, w.unchecked)
}

func TestRegister_AHolderThatStartsInTime_KeepsItsRunner(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.clock.set(start.Add(15 * time.Minute)) // its lease is over
	w.Ledger = &meddler{w.ledger, func() { require.NoError(t, w.Start(t.Context(), task("1"))) }}
	_, err := w.Register(t.Context(), secondTask("1", 1))
	assert.ErrorIs(t, err, registration.ErrNoWork)
	assert.Equal(t, []string{granted.RunnerName}, w.github.names(), "it has started and would wait without a runner")
	assert.True(t, w.job(t, "1").HeldBy(task("1").Task))
}

func TestRegister_AnOldRunnerThatCannotBeRemoved_LeavesTheJobAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.clock.set(start.Add(15 * time.Minute))
	down := true
	w.github.fail = func(call string) error {
		if call == "Remove" && down {
			return github.ErrUnavailable
		}
		return nil
	}
	_, err := w.Register(t.Context(), secondTask("1", 1))
	require.ErrorIs(t, err, github.ErrUnavailable)
	assert.Equal(t, granted.RunnerName, w.job(t, "1").Runner.Name, "it would be left forever")
	down = false
	second, _ := w.mustRegister(t, secondTask("1", 1))
	assert.Equal(t, []string{second.RunnerName}, w.github.names())
}

func TestRegister_AJobWhoseFleetHasChanged_IsItsOwnTasks(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), granted)
	require.NoError(t, w.Release(t.Context(), task("1"), granted.ReleaseToken))
	moved := secondTask("1", 1)
	moved.Fleet = registrationcontract.Fleet{Name: "linux-new", Labels: []string{"linux"}}
	_, job := w.mustRegister(t, moved)
	assert.Equal(t, "1", job)
	assert.Equal(t, "linux-new", w.job(t, "1").Fleet)
}

// stale is a ledger whose lists do not show anything yet.
type stale struct{ ledger.Ledger }

func (stale) List(context.Context, string, ledger.State, int32) ([]ledger.Job, error) {
	return nil, nil
}

func TestRegister_ASwapThatAnotherTaskHasNoted_LeavesTheJobToOneOfThem(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux", "gpu")
	w.github.queue("2", "linux")
	granted, _ := w.mustRegister(t, task("1"))
	w.listen(t, task("1"), granted)
	w.github.give(t, "2", granted.RunnerID)
	inner := stale{w.ledger}
	first := &meddler{Ledger: inner}
	first.meddle = func() { // before job 1 is freed, and again before job 2 is noted
		first.meddle = func() {
			w.Ledger = inner
			_, job := w.mustRegister(t, secondTask("2", 1))
			assert.Equal(t, "1", job)
			w.Ledger = first
		}
	}
	w.Ledger = first
	_, err := w.Register(t.Context(), task("2"))
	assert.ErrorIs(t, err, registration.ErrNoWork)
	assert.True(t, w.job(t, "1").HeldBy(secondTask("2", 1).Task), "it would wait for the next task")
}

// Somebody has got the configuration of a task's runner and has run a job with it,
// without a word: the task gets no other, however it asks.
func TestRegister_ARunnerThatIsGoneBeforeItsStart_IsUsed(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(*testing.T, *world) error{
		"register": func(t *testing.T, w *world) error {
			t.Helper()
			_, err := w.Register(t.Context(), task("1"))
			return err
		},
		"release": func(t *testing.T, w *world) error {
			t.Helper()
			return w.Release(t.Context(), task("1"), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.github.queue("1", "linux")
			w.github.queue("2", "linux")
			job := ledger.Job{ // to be had
				ID: "2", Fleet: "linux", Repository: "octo/app", Labels: []string{"linux"}, State: ledger.Open, QueuedAt: start,
			}
			require.NoError(t, w.ledger.Write(t.Context(), start, &job, nil))
			granted, _ := w.mustRegister(t, task("1"))
			w.github.online(granted.RunnerID)
			w.github.give(t, "1", granted.RunnerID)
			w.github.complete("1")
			if err := again(t, w); name == "register" {
				require.ErrorIs(t, err, registration.ErrUsed)
			} else {
				require.NoError(t, err)
			}
			for range 2 {
				_, err := w.Register(t.Context(), task("1"))
				require.ErrorIs(t, err, registration.ErrNoWork)
			}
			assert.Empty(t, w.github.names(), "a task whose runner was used got another")
			_, claimed := w.mustRegister(t, task("2"))
			assert.Equal(t, "2", claimed)
		})
	}
}

// Our own removal is not taken for somebody's use, whoever changes the job meanwhile.
func TestRegister_ARunnerThatWeHaveRemoved_IsNotUsed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.github.queue("1", "linux")
	_, _ = w.mustRegister(t, task("1"))
	meddler := &meddler{Ledger: w.ledger}
	meddler.meddle = func() {
		job := w.job(t, "1")
		assert.NoError(t, w.ledger.Write(t.Context(), w.clock.Now(), &job, nil))
	}
	w.Ledger = meddler
	_, job := w.mustRegister(t, task("1"))
	assert.Equal(t, "1", job)
	assert.Len(t, w.github.names(), 1)
}
