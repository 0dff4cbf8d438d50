package registration_test

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// The model of swaps: a burst of jobs, a task for each, boot times that differ, and
// a GitHub that gives any job to any idle runner with its labels. Tasks behave as
// the supervisor does; the service is the real one. Time is virtual.
type model struct {
	*world
	random *rand.Rand
	events timeline
	waits  map[int64]*modelTask // by the runner that is online and idle
	jobs   []string
	// obstinate is the rule that a task whose own job is taken gets nothing.
	obstinate bool
}

type modelTask struct {
	registration.Caller
	round int // of waiting for a job
}

type event struct {
	at time.Time
	n  int
	do func()
}

type timeline []event

func (e timeline) Len() int { return len(e) }
func (e timeline) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].n < e[j].n
}
func (e timeline) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *timeline) Push(x any)   { *e = append(*e, x.(event)) }
func (e *timeline) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

func (m *model) after(d time.Duration, do func()) {
	heap.Push(&m.events, event{m.clock.Now().Add(d), m.random.Int(), do})
}

// mixed are the labels of jobs: some runners take jobs that others cannot.
var mixed = [][]string{{"self-hosted", "linux"}, {"self-hosted", "linux", "x64"}, {
	"self-hosted", "linux", "x64",
	"gpu",
}, {"gpu"}}

// runModel lets n jobs come within a minute, and returns those that never ran.
func runModel(t *testing.T, n int, seed uint64, obstinate bool) (stranded []string, m *model) {
	t.Helper()
	m = &model{
		world: newWorld(), random: rand.New(rand.NewPCG(seed, 0)), waits: map[int64]*modelTask{},
		obstinate: obstinate,
	}
	for i := range n {
		id := fmt.Sprint(1000 + i)
		m.jobs = append(m.jobs, id)
		m.after(time.Duration(m.random.Int64N(int64(time.Minute))), func() {
			m.github.queue(id, mixed[m.random.IntN(len(mixed))]...)
			boot := max(10*time.Second, 90*time.Second+time.Duration(m.random.NormFloat64()*float64(30*time.Second)))
			m.after(boot, func() { m.begin(t, &modelTask{Caller: task(id)}) })
			m.assign()
		})
	}
	for steps := 0; len(m.events) > 0; steps++ {
		require.Less(t, steps, 100*n+100, "the model does not come to an end")
		next := heap.Pop(&m.events).(event)
		m.clock.set(next.at)
		next.do()
	}
	for _, id := range m.jobs {
		job := m.github.jobs[id]
		require.LessOrEqual(t, job.ran, 1, "a job ran twice")
		if job.ran == 0 {
			stranded = append(stranded, id)
		}
	}
	return stranded, m
}

// begin is a task that asks for a runner.
func (m *model) begin(t *testing.T, task *modelTask) {
	ctx := t.Context()
	if m.obstinate && m.github.jobs[task.Job].status != github.StatusQueued {
		return
	}
	granted, err := m.Register(ctx, task.Caller)
	if errors.Is(err, registration.ErrNoWork) {
		return
	}
	require.NoError(t, err)
	require.NoError(t, m.Start(ctx, task.Caller))
	m.after(5*time.Second, func() {
		m.github.online(granted.RunnerID)
		m.waits[granted.RunnerID] = task
		task.round++
		round := task.round
		m.after(runnercontract.DefaultIdleTimeout, func() {
			if task.round == round && m.waits[granted.RunnerID] == task {
				m.idle(t, task, granted)
			}
		})
		m.assign()
	})
}

// idle is a task whose runner has waited long enough.
func (m *model) idle(t *testing.T, task *modelTask, granted runnercontract.Registration) {
	require.NoError(t, m.Release(t.Context(), task.Caller, granted.ReleaseToken))
	delete(m.waits, granted.RunnerID)
	if !m.obstinate {
		m.begin(t, task)
	}
}

// assign is GitHub: it gives jobs that wait to runners that wait, in any order.
func (m *model) assign() {
	for _, i := range m.random.Perm(len(m.jobs)) {
		id := m.jobs[i]
		if job := m.github.jobs[id]; job == nil || job.status != github.StatusQueued {
			continue
		}
		var fitting []int64
		for runner := range m.github.next + 1 { // in an order that the seed decides
			if m.waits[runner] != nil && m.github.fits(id, runner) {
				fitting = append(fitting, runner)
			}
		}
		if len(fitting) == 0 {
			continue
		}
		runner := fitting[m.random.IntN(len(fitting))]
		m.github.assign(id, runner)
		delete(m.waits, runner)
		m.after(time.Minute+time.Duration(m.random.Int64N(int64(20*time.Minute))), func() { m.github.complete(id) })
	}
}

const seeds = 400

func TestModel_NoJobIsStrandedAndNoRunnerIsLeft(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 8, 30, 100} {
		t.Run(fmt.Sprintf("%d jobs", n), func(t *testing.T) {
			t.Parallel()
			swapped := 0
			for seed := range uint64(seeds) {
				stranded, m := runModel(t, n, seed, false)
				require.Emptyf(t, stranded, "seed %d", seed)
				require.Emptyf(t, m.github.names(), "seed %d: runners are left", seed)
				swapped += m.swapped
			}
			t.Logf("%d jobs, %d seeds: none stranded, none ran twice, no runner left; %d of %d jobs had to be put back "+
				"because of swaps", n, seeds, swapped, n*seeds)
			assert.NotZero(t, swapped, "the model makes no swaps, and so shows nothing")
		})
	}
}

// The rule that seems natural, to refuse a task whose own job is taken, strands
// jobs: the model must be able to see that.
func TestModel_SeesJobsStrandedByRefusingTasksWhoseJobIsTaken(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 8, 30} {
		stranded := 0
		for seed := range uint64(seeds) {
			lost, _ := runModel(t, n, seed, true)
			stranded += len(lost)
		}
		t.Logf("%d jobs, %d seeds: %.0f %% stranded by the refusal", n, seeds, 100*float64(stranded)/float64(n*seeds))
		assert.Greater(t, stranded, n*seeds/20, "the model is blind")
	}
}

// Tasks that claim jobs at the same time, answers that are lost, runners that are
// given back, leases that end meanwhile: a job never has two live holders, a task
// never two configurations that it could still use, and who starts has its runner.
func TestRegister_ConcurrentClaims(t *testing.T) {
	t.Parallel()
	const runs = 1000
	for run := range uint64(runs) {
		concurrentClaims(t, newWorld(), run)
	}
	t.Logf("%d runs of concurrent claims, with a ledger in memory", runs)
}

func concurrentClaims(t *testing.T, w *world, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	jobs, tasks := 1+random.IntN(3), 2+random.IntN(4)
	for job := range jobs {
		w.github.queue(fmt.Sprint(job+1), "linux")
	}
	lost := rand.New(rand.NewPCG(seed, 2))
	w.github.fail = func(call string) error { // called under the lock of the fake
		if call == "Registered" && lost.IntN(5) == 0 {
			return github.ErrUnavailable
		}
		return nil
	}
	var wg sync.WaitGroup
	for i := range tasks {
		caller := secondTask(fmt.Sprint(1+i%jobs), i)
		steps := rand.New(rand.NewPCG(seed, uint64(10+i)))
		wg.Go(func() {
			ctx := context.Background()
			for range 1 + steps.IntN(4) {
				if steps.IntN(4) == 0 {
					w.clock.advance(time.Duration(steps.IntN(20)) * time.Minute)
				}
				granted, err := w.Register(ctx, caller)
				switch {
				case errors.Is(err, registration.ErrNoWork), errors.Is(err, registration.ErrStarted):
					return
				case err != nil:
					continue
				}
				switch steps.IntN(4) {
				case 0: // the answer is lost
				case 1:
					_ = w.Release(ctx, caller, granted.ReleaseToken)
				default:
					_ = w.Start(ctx, caller)
				}
			}
		})
	}
	wg.Wait()

	// What GitHub has, and nobody holds, could still be used.
	holders := map[string]string{}
	for i := range tasks {
		caller := secondTask(fmt.Sprint(1+i%jobs), i)
		held, err := w.ledger.Task(t.Context(), caller.Task)
		require.NoError(t, err)
		if held.Job == "" || !w.job(t, held.Job).HeldBy(caller.Task) && w.clock.Now().After(start) {
			continue // its lease has ended, and another has the job
		}
		require.Emptyf(t, holders[held.Job], "seed %d: job %s has two holders", seed, held.Job)
		holders[held.Job] = caller.Task
		job := w.job(t, held.Job)
		require.Truef(t, job.HeldBy(caller.Task), "seed %d: the ledger disagrees with itself: %+v, %+v", seed, job, held)
		if held.Started {
			require.Containsf(t, w.github.names(), job.Runner.Name, "seed %d: task %s has started, and its runner is removed",
				seed, caller.Task)
		}
	}
	configurations := map[string]int{}
	for _, name := range w.github.names() {
		parsed, err := registrationcontract.ParseRunnerName(name)
		require.NoError(t, err)
		job := w.job(t, parsed.JobID)
		require.Equalf(t, ledger.Held, job.State, "seed %d: runner %s is nobody's", seed, name)
		require.Equalf(t, name, job.Runner.Name, "seed %d: runner %s is nobody's", seed, name)
		configurations[job.Task]++
	}
	for holder, n := range configurations {
		require.Equalf(t, 1, n, "seed %d: task %s has %d configurations", seed, holder, n)
	}
}
