package lifecycle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// limits are the defaults, so that the times in the tests are the documented ones.
var limits = Limits{
	Idle:     runnercontract.DefaultIdleTimeout,
	Lifetime: runnercontract.DefaultLifetime,
	Start:    runnercontract.DefaultStartTimeout,
	Stop:     2 * time.Minute,
}

// play drives a machine along a timeline and writes down what it wants done.
type play struct {
	machine *Machine
	now     time.Time
	begun   time.Time
	done    []string
	end     *Summary
	endedAt time.Duration
}

func begin() *play { return beginWith(limits) }

func beginWith(limits Limits) *play {
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := &play{machine: New(limits), now: epoch, begun: epoch}
	p.note(p.machine.Begin(epoch))
	return p
}

// idling begins a play whose listener listens since second 0.
func idling() *play {
	return begin().at(0, Registered{RunnerName: "r"}, Confirmed{}, Listening{})
}

// at reports events at a time since the beginning, and the ticks due until then.
func (p *play) at(when time.Duration, events ...Event) *play {
	until := p.begun.Add(when)
	for {
		due, ok := p.machine.Deadline()
		if !ok || due.After(until) {
			break
		}
		if due.After(p.now) {
			p.now = due
		}
		p.note(p.machine.Handle(p.now, Tick{}))
	}
	p.now = until
	for _, e := range events {
		p.note(p.machine.Handle(p.now, e))
	}
	return p
}

func (p *play) note(actions []Action) {
	for _, a := range actions {
		at := p.now.Sub(p.begun)
		if end, ok := a.(End); ok {
			p.end, p.endedAt = &end.Summary, at
		}
		p.done = append(p.done, fmt.Sprintf("%v %s", at, strings.TrimPrefix(fmt.Sprintf("%T", a), "lifecycle.")))
	}
}

// sinceStart returns what was wanted after the listener was started.
func (p *play) sinceStart() []string {
	for i, d := range p.done {
		if strings.HasSuffix(d, " Start") {
			return p.done[i+1:]
		}
	}
	return nil
}

func (p *play) reason(t *testing.T) runnercontract.Reason {
	t.Helper()
	require.NotNil(t, p.end, "the runner has not ended: %v", p.done)
	return p.end.Reason
}

func TestJob_RunsFromRegistrationToEnd(t *testing.T) {
	t.Parallel()
	p := begin().
		at(2*time.Second, Registered{RunnerName: "prod-linux-1-01234567-k3"}).
		at(3*time.Second, Confirmed{}).
		at(8*time.Second, Listening{}).
		at(10*time.Second, JobStarted{Job{Name: "build"}}).
		at(11*time.Second, JobStarted{Job{Repository: "my-org/app", RunID: "7"}}).
		at(10*time.Minute, JobCompleted{}).
		at(10*time.Minute+time.Second, JobCompleted{Result: "Failed"}).
		at(10*time.Minute+2*time.Second, Exited{Code: 0})
	assert.Equal(t, []string{"0s Register", "2s Confirm", "3s Start", "10m2s End"}, p.done,
		"the registration must be confirmed immediately before the listener starts, and a job needs nothing else")
	assert.Equal(t, Summary{
		Reason:   runnercontract.ReasonJobRan,
		ExitCode: runnercontract.ExitJobRan,
		Runner:   "prod-linux-1-01234567-k3",
		Job:      &Job{Name: "build", Repository: "my-org/app", RunID: "7", Result: "Failed"},
		Durations: Durations{
			Registration: Seconds(3 * time.Second),
			Start:        Seconds(5 * time.Second),
			Idle:         Seconds(2 * time.Second),
			Job:          Seconds(9*time.Minute + 52*time.Second),
			Total:        Seconds(10*time.Minute + 2*time.Second),
		},
	}, *p.end)
}

func TestRegistration_WithoutRunner(t *testing.T) {
	t.Parallel()
	for reason, code := range map[runnercontract.Reason]runnercontract.ExitCode{
		runnercontract.ReasonNoWork:      11,
		runnercontract.ReasonRefused:     20,
		runnercontract.ReasonUnreachable: 20,
	} {
		p := begin().at(time.Second, NotRegistered{Reason: reason, Detail: "why"})
		want := []string{"0s Register", "1s End"}
		if reason == runnercontract.ReasonUnreachable { // a runner may have been made whose answer was lost
			want = []string{"0s Register", "1s Release", "1s End"}
			p.at(time.Second, Released{})
		}
		assert.Equal(t, want, p.done)
		assert.Equal(t, reason, p.reason(t))
		assert.Equal(t, code, p.end.ExitCode)
		assert.Equal(t, "why", p.end.Detail)
	}
}

func TestConfirm_NotAcceptedNeverStartsTheListener(t *testing.T) {
	t.Parallel()
	p := begin().at(0, Registered{}, NotRegistered{Reason: runnercontract.ReasonRefused}, Released{Answer: ReleaseDone})
	assert.Equal(t, []string{"0s Register", "0s Confirm", "0s Release", "0s End"}, p.done)
	assert.Equal(t, runnercontract.ReasonRefused, p.reason(t))
}

// Every return code of the listener, before it had a job and after.
func TestListenerCode(t *testing.T) {
	t.Parallel()
	released := Released{Answer: ReleaseDone}
	for _, tc := range []struct {
		name      string
		events    []Event
		want      runnercontract.Reason
		withdrawn bool // the registration is given back
	}{
		{"0_AfterAJobIsDone", []Event{JobStarted{}, Exited{Code: 0}}, runnercontract.ReasonJobRan, false},
		{"0_WithoutAJobIsNoSuccess", []Event{Exited{Code: 0}, released}, runnercontract.ReasonListenerFailed, true},
		{"1_IsAFailure", []Event{Exited{Code: 1}, released}, runnercontract.ReasonListenerFailed, true},
		{
			"1_AfterADeprecationMessageIsAStaleImage",
			[]Event{Outdated{}, Exited{Code: 1}, released},
			runnercontract.ReasonDeprecated, true,
		},
		{"2_AfterAJobIsNeverRetried", []Event{JobStarted{}, Exited{Code: 2}}, runnercontract.ReasonListenerFailed, false},
		{"3_UpdatingIsAStaleImage", []Event{Exited{Code: 3}, released}, runnercontract.ReasonDeprecated, true},
		{"4_RunOnceUpdatingIsAStaleImage", []Event{Exited{Code: 4}, released}, runnercontract.ReasonDeprecated, true},
		{"5_SessionConflictIsAFailure", []Event{Exited{Code: 5}, released}, runnercontract.ReasonListenerFailed, true},
		{"6_AfterAJobIsNeverRetried", []Event{JobStarted{}, Exited{Code: 6}}, runnercontract.ReasonListenerFailed, false},
		{"7_IsAStaleImage", []Event{Exited{Code: 7}, released}, runnercontract.ReasonDeprecated, true},
		{"Unknown_IsAFailure", []Event{Exited{Code: 99}, released}, runnercontract.ReasonListenerFailed, true},
		{
			"Signal_IsAFailure",
			[]Event{JobStarted{}, Exited{Code: -1, Detail: "killed"}},
			runnercontract.ReasonListenerFailed,
			false,
		},
		{
			"NotStarted_IsAFailure",
			[]Event{NotStarted{Detail: "no such file"}, released},
			runnercontract.ReasonListenerFailed,
			true,
		},
		{"1_AfterAResultWasClaimedIsAFailure", []Event{
			JobStarted{},
			JobCompleted{Result: "Succeeded"},
			Exited{Code: 1},
		}, runnercontract.ReasonListenerFailed, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := idling().at(time.Second, tc.events...)
			assert.Equal(t, tc.want, p.reason(t))
			want := []string{"1s End"}
			if tc.withdrawn {
				want = []string{"1s Release", "1s End"}
			}
			assert.Equal(t, want, p.sinceStart())
		})
	}
}

func TestListenerCode_2And6_RestartBeforeAJob(t *testing.T) {
	t.Parallel()
	for _, code := range []int{2, 6} {
		p := idling().
			at(10*time.Second, Exited{Code: code}). // pause of 5 s
			at(20*time.Second, Exited{Code: code}). // 10 s
			at(40*time.Second, Exited{Code: code}). // 20 s
			at(70*time.Second, Exited{Code: code}, Released{Answer: ReleaseDone})
		assert.Equal(t, []string{"15s Start", "30s Start", "1m0s Start", "1m10s Release", "1m10s End"}, p.sinceStart(),
			"a listener that fails forever must not be started forever")
		assert.Equal(t, runnercontract.ReasonListenerFailed, p.reason(t))
	}
}

func TestRestart_CanStillRunAJob(t *testing.T) {
	t.Parallel()
	p := idling().
		at(time.Second, Exited{Code: 2}).
		at(7*time.Second, Listening{}, JobStarted{}).
		at(time.Minute, Exited{Code: 0})
	assert.Equal(t, runnercontract.ReasonJobRan, p.reason(t))
}

func TestIdle_ReleasesBeforeTheListenerEnds(t *testing.T) {
	t.Parallel()
	p := idling().at(6 * time.Minute)
	assert.Equal(t, []string{"5m0s Release"}, p.sinceStart(), "until the answer the runner may get a job")
	p.at(6*time.Minute, Released{Answer: ReleaseDone}).at(6*time.Minute+time.Second, Exited{Code: 0})
	assert.Equal(t, []string{"5m0s Release", "6m0s Interrupt", "6m1s Register"}, p.sinceStart(),
		"another job may wait because GitHub gave its runner this one's")
	p.at(6*time.Minute+2*time.Second, NotRegistered{Reason: runnercontract.ReasonNoWork})
	assert.Equal(t, runnercontract.ExitIdle, p.end.ExitCode, "it waited, and found no work")
	assert.Equal(t, runnercontract.ReasonIdle, p.reason(t))
}

// idleAgain begins a play whose first registration brought no job.
func idleAgain() *play {
	return idling().at(5*time.Minute, Released{Answer: ReleaseDone}, Exited{Code: 0})
}

func TestIdle_AnotherJobRuns(t *testing.T) {
	t.Parallel()
	p := idleAgain().at(6*time.Minute, Registered{RunnerName: "second"}, Confirmed{}, Listening{},
		JobStarted{Job{Name: "build"}}).
		at(10*time.Minute, JobCompleted{Result: "Succeeded"}, Exited{Code: 0})
	assert.Equal(t, []string{
		"5m0s Release", "5m0s Interrupt", "5m0s Register", "6m0s Confirm", "6m0s Start",
		"10m0s End",
	}, p.sinceStart())
	assert.Equal(t, runnercontract.ReasonJobRan, p.reason(t))
	assert.Equal(t, "second", p.end.Runner)
	assert.Equal(t, Seconds(4*time.Minute), p.end.Durations.Job)
	assert.Equal(t, Seconds(5*time.Minute), p.end.Durations.Idle)
	assert.Equal(t, Seconds(10*time.Minute), p.end.Durations.Total)
}

func TestIdle_NoOtherJob(t *testing.T) {
	t.Parallel()
	for reason, want := range map[runnercontract.Reason][]string{
		runnercontract.ReasonNoWork:      {"6m0s End"},
		runnercontract.ReasonRefused:     {"6m0s End"},
		runnercontract.ReasonUnreachable: {"6m0s Release", "6m0s End"},
	} {
		p := idleAgain().at(6*time.Minute, NotRegistered{Reason: reason, Detail: "why"})
		if p.end == nil {
			p.at(6*time.Minute, Released{Answer: ReleaseDone})
		}
		assert.Equal(t, want, p.sinceStart()[3:], reason)
		assert.Equal(t, runnercontract.ReasonIdle, p.reason(t))
		assert.Equal(t, "why", p.end.Detail)
	}
}

func TestIdle_WaitsAgainWithTheSecondRunner(t *testing.T) {
	t.Parallel()
	p := idleAgain().at(6*time.Minute, Registered{}, Confirmed{}, Listening{}).at(10 * time.Minute)
	assert.Equal(t, "10m0s Release", p.done[len(p.done)-1], "as long as the task may wait at all")
}

func TestIdle_StoppedWhileAskingForAnotherJob(t *testing.T) {
	t.Parallel()
	p := idleAgain().at(6*time.Minute, Terminate{}, NotRegistered{Reason: runnercontract.ReasonUnreachable},
		Released{Answer: ReleaseDone})
	assert.Equal(t, []string{"6m0s Cancel", "6m0s Release", "6m0s End"}, p.sinceStart()[3:])
	assert.Equal(t, runnercontract.ReasonStoppedWithoutJob, p.reason(t))
}

func TestIdle_AsksForNoOtherJobShortBeforeTheEnd(t *testing.T) {
	t.Parallel()
	p := idling().at(8*time.Minute, Released{Answer: ReleaseDone}, Exited{Code: 0})
	assert.Equal(t, runnercontract.ReasonIdle, p.reason(t), "a job would be held for a runner that is about to end")
}

// A job that comes while its runner is given back, and is interrupted with it, was
// no idleness.
func TestRelease_InterruptedJobIsNotIdleness(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		events []Event
		want   runnercontract.Reason
	}{
		"interrupted": {[]Event{JobStarted{}, Exited{Code: 0}}, runnercontract.ReasonListenerFailed},
		"finished": {
			[]Event{JobStarted{}, JobCompleted{Result: "Succeeded"}, Exited{Code: 0}},
			runnercontract.ReasonListenerFailed, // who interrupts cannot know
		},
	} {
		p := idling().at(5*time.Minute, Released{Answer: ReleaseDone}).at(5*time.Minute+time.Second, tc.events...)
		assert.Equal(t, tc.want, p.reason(t), name)
	}
	p := idling().at(time.Minute, Terminate{}, Released{Answer: ReleaseDone}, JobStarted{}, Exited{Code: 0})
	assert.Equal(t, runnercontract.ReasonStoppedDuringJob, p.reason(t))
}

func TestIdle_ListenerThatIgnoresTheInterruptIsKilled(t *testing.T) {
	t.Parallel()
	p := idling().at(5*time.Minute, Released{Answer: ReleaseDone}).at(7*time.Minute, Exited{Code: -1})
	assert.Equal(t, []string{"5m0s Release", "5m0s Interrupt", "6m0s Kill", "6m1s End"}, p.sinceStart())
	assert.Equal(t, runnercontract.ReasonIdle, p.reason(t))
	assert.Contains(t, p.end.Detail, "killed")
}

func TestIdle_BusyOrUnansweredReleaseKeepsTheListener(t *testing.T) {
	t.Parallel()
	for _, answer := range []ReleaseAnswer{ReleaseBusy, ReleaseUnknown} {
		p := idling().at(5*time.Minute, Released{Answer: answer}).at(10*time.Minute + 10*time.Second)
		assert.Equal(t, []string{"5m0s Release", "10m0s Release"}, p.sinceStart(), "asked again, never ended on a guess")
		p.at(10*time.Minute+20*time.Second, JobStarted{}, Released{Answer: ReleaseBusy}).at(11*time.Minute, Exited{Code: 0})
		assert.Equal(t, runnercontract.ReasonJobRan, p.reason(t))
	}
}

func TestRelease_JobArrivesMeanwhile(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]ReleaseAnswer{
		"Busy": ReleaseBusy, "Done": ReleaseDone,
		"Unknown": ReleaseUnknown,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := idling().
				at(5*time.Minute+time.Second, JobStarted{}).
				at(5*time.Minute+2*time.Second, Released{Answer: answer}).
				at(time.Hour, Exited{Code: 0})
			assert.Equal(t, []string{"5m0s Release", "1h0m0s End"}, p.sinceStart(), "a job that runs is left alone")
			assert.Equal(t, runnercontract.ReasonJobRan, p.reason(t))
		})
	}
}

func TestRelease_JobFinishesMeanwhile(t *testing.T) {
	t.Parallel()
	p := idling().at(5*time.Minute, JobStarted{}, JobCompleted{Result: "Succeeded"}, Exited{Code: 0})
	assert.Equal(t, []string{"5m0s Release", "5m0s End"}, p.sinceStart())
	assert.Equal(t, runnercontract.ReasonJobRan, p.reason(t))
}

func TestRelease_ListenerEndsMeanwhile(t *testing.T) {
	t.Parallel()
	p := idling().at(5*time.Minute, Exited{Code: 2}).at(5*time.Minute+time.Second, Released{Answer: ReleaseDone})
	assert.Equal(t, []string{"5m0s Release", "5m1s End"}, p.sinceStart())
	assert.Equal(t, runnercontract.ReasonIdle, p.reason(t))
}

func TestStart_TimeoutReleasesFirst(t *testing.T) {
	t.Parallel()
	p := begin().at(0, Registered{}, Confirmed{}).
		at(5*time.Minute, Released{Answer: ReleaseDone}).
		at(5*time.Minute+time.Second, Exited{Code: 0})
	assert.Equal(t, []string{"5m0s Release", "5m0s Interrupt", "5m1s End"}, p.sinceStart())
	assert.Equal(t, runnercontract.ReasonStartTimeout, p.reason(t))
	assert.Equal(t, runnercontract.ExitListenerFailed, p.end.ExitCode)
}

// Whenever a job begins, it has its whole lifetime.
func TestLifetime_CountsFromTheStartOfTheJob(t *testing.T) {
	t.Parallel()
	const over = 6*time.Hour + 30*time.Minute
	for name, began := range map[string]time.Duration{
		"at once":                   time.Second,
		"late":                      5*time.Minute - time.Second,
		"after a release":           9 * time.Minute,
		"when the waiting was over": 10*time.Minute + 29*time.Second,
	} {
		p := idling().at(5*time.Minute, Released{Answer: ReleaseBusy}).at(10*time.Minute, Released{Answer: ReleaseBusy})
		if began < 5*time.Minute {
			p = idling()
		}
		p.at(began, JobStarted{Job{Name: "build"}}).
			at(began+over-time.Second).
			at(began+over+20*time.Second, JobCompleted{Result: "Canceled"}, Exited{Code: 0})
		done := p.sinceStart()
		assert.Equal(t, []string{
			fmt.Sprint(began+over, " Interrupt"), fmt.Sprint(began+over+20*time.Second, " End"),
		}, done[len(done)-2:], name)
		assert.Equal(t, runnercontract.ExitLifetime, p.end.ExitCode, name)
		assert.Equal(t, "Canceled", p.end.Job.Result, name)
	}
}

// A job cannot extend its lifetime by starting again.
func TestLifetime_StartsOnce(t *testing.T) {
	t.Parallel()
	p := idling()
	for at := time.Duration(0); at < 7*time.Hour; at += time.Minute {
		p.at(at, JobStarted{Job{Name: "again"}})
	}
	assert.Contains(t, p.done, "6h30m0s Interrupt")
}

// With any limits, a task without a job ends after the start and idle timeouts
// together, and one with a job has its lifetime beyond them.
func TestWaiting_HasALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, l := range []Limits{
		limits,
		{Idle: 6 * time.Hour, Lifetime: 6*time.Hour + 30*time.Minute, Start: 5 * time.Minute, Stop: 2 * time.Minute},
		{Idle: 24 * time.Hour, Lifetime: 10 * time.Minute, Start: time.Hour, Stop: 2 * time.Minute},
		{Idle: 30 * time.Second, Lifetime: 6 * 24 * time.Hour, Start: 30 * time.Second, Stop: 2 * time.Minute},
	} {
		waiting := l.Start + l.Idle
		// A listener that GitHub calls busy, and to which no job comes.
		p := beginWith(l).at(0, Registered{}, Confirmed{}, Listening{}).at(l.Idle, Released{Answer: ReleaseBusy})
		p.at(waiting+time.Hour, Exited{Code: 0})
		done := p.sinceStart()
		assert.Equal(t, fmt.Sprint(waiting+ReleaseTimeout, " Interrupt"), done[slices.IndexFunc(done, func(s string) bool {
			return strings.HasSuffix(s, " Interrupt")
		})], "%+v", l)
		assert.Equal(t, runnercontract.ReasonIdle, p.reason(t))

		// One to which it comes in the last moment.
		p = beginWith(l).at(0, Registered{}, Confirmed{}).at(l.Start-time.Second, Listening{}).
			at(waiting-2*time.Second, JobStarted{}).at(waiting-2*time.Second+l.Lifetime-time.Second).
			at(waiting+l.Lifetime, Exited{Code: 0})
		assert.Equal(t, []string{fmt.Sprint(waiting-2*time.Second+l.Lifetime, " Interrupt"), fmt.Sprint(waiting+l.Lifetime,
			" End")}, p.sinceStart(), "%+v", l)
	}
}

// GitHub has given away a job that the listener does not know of yet: interrupted at
// once, the job would be lost.
func TestWaiting_AJobOnItsWayHasTimeToShowUp(t *testing.T) {
	t.Parallel()
	const over = 10 * time.Minute
	busy := func() *play { return idling().at(5*time.Minute, Released{Answer: ReleaseBusy}) }
	for _, answer := range []ReleaseAnswer{ReleaseBusy, ReleaseUnknown} {
		p := busy().at(over+time.Second, Released{Answer: answer}).
			at(over+10*time.Second, JobStarted{}).at(over+time.Hour, JobCompleted{Result: "Succeeded"}, Exited{Code: 0})
		assert.Equal(t, []string{"5m0s Release", "10m0s Release", "1h10m0s End"}, p.sinceStart())
		assert.Equal(t, runnercontract.ReasonJobRan, p.reason(t))

		p = busy().at(over+time.Second, Released{Answer: answer}).at(over+time.Minute, Exited{Code: 0})
		assert.Equal(t, []string{"5m0s Release", "10m0s Release", "10m30s Interrupt", "11m0s End"}, p.sinceStart())
		assert.Equal(t, runnercontract.ReasonIdle, p.reason(t))
	}
	done := busy().at(over+time.Second, Released{Answer: ReleaseDone}).at(over+2*time.Second, Exited{Code: 0}).sinceStart()
	assert.Equal(t, []string{"10m0s Release", "10m1s Interrupt", "10m2s End"}, done[len(done)-3:],
		"there is nothing to wait for")
}

// A job that shows up after both, the end of waiting and SIGTERM, has what is left
// of the stop timeout.
func TestWaiting_OverAndStopped(t *testing.T) {
	t.Parallel()
	p := idling().at(5*time.Minute, Released{Answer: ReleaseBusy}).
		at(10*time.Minute+time.Second, Released{Answer: ReleaseBusy}, Terminate{}, Released{Answer: ReleaseBusy}).
		at(10*time.Minute+2*time.Second, JobStarted{}).at(11*time.Minute+51*time.Second, Exited{Code: 0})
	done := p.sinceStart()
	assert.Equal(t, []string{"11m51s Interrupt", "11m51s End"}, done[len(done)-2:])
	assert.Equal(t, runnercontract.ReasonStoppedDuringJob, p.reason(t))
}

func TestWaiting_OverInEveryState(t *testing.T) {
	t.Parallel()
	const over = 10 * time.Minute
	unreachable := NotRegistered{Reason: runnercontract.ReasonUnreachable, Detail: "why"}
	for name, tc := range map[string]struct {
		before []Event
		after  []Event
		want   []string
		reason runnercontract.Reason
		detail string
	}{
		"Registering": {
			nil,
			[]Event{unreachable, Released{}},
			[]string{"0s Register", "10m0s Cancel", "10m0s Release", "10m0s End"},
			runnercontract.ReasonUnreachable, "why",
		},
		"Confirming": {
			[]Event{Registered{}},
			[]Event{Confirmed{}, Released{}},
			[]string{"0s Register", "0s Confirm", "10m0s Cancel", "10m0s Release", "10m0s End"},
			runnercontract.ReasonUnreachable, "",
		},
		"Unanswered": {
			nil, nil,
			[]string{"0s Register", "10m0s Cancel", "10m30s End"},
			runnercontract.ReasonUnreachable, "",
		},
		"Starting": {
			[]Event{Registered{}, Confirmed{}, Exited{Code: 2}},
			[]Event{Released{Answer: ReleaseBusy}, Exited{Code: 2}, Released{}},
			[]string{
				"0s Register", "0s Confirm", "0s Start", "5s Start", "5m5s Release", "10m0s Release",
				"10m0s Release", "10m0s End",
			},
			runnercontract.ReasonStartTimeout, "the listener ended with code 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := begin().at(0, tc.before...)
			if name == "Starting" {
				p.at(5*time.Minute+6*time.Second, Released{Answer: ReleaseBusy})
			}
			p.at(over, tc.after...).at(over + time.Hour)
			assert.Equal(t, tc.want, p.done)
			assert.Equal(t, tc.reason, p.reason(t))
			assert.Equal(t, tc.detail, p.end.Detail)
		})
	}
	p := idleAgain().at(over).at(over, unreachable, Released{})
	assert.Equal(t, runnercontract.ReasonIdle, p.reason(t), "it had a runner, and no job came")
}

// SIGTERM, with a stop timeout of two minutes, in each state.
func TestTerminate(t *testing.T) {
	t.Parallel()
	const (
		asked     = 10 * time.Second
		interrupt = asked + 110*time.Second // the stop timeout less the reserve
	)
	for _, tc := range []struct {
		name   string
		before []Event       // at 0s
		after  []Event       // when asked to stop
		exit   time.Duration // when the listener ends; 0: it does not
		want   []string
		reason runnercontract.Reason
	}{
		{
			"Registering", nil,
			[]Event{NotRegistered{Reason: runnercontract.ReasonUnreachable}, Released{Answer: ReleaseDone}},
			0,
			[]string{"0s Register", "10s Cancel", "10s Release", "10s End"},
			runnercontract.ReasonStoppedWithoutJob,
		},
		{
			"RegisteredTooLate", nil,
			[]Event{Registered{}, Released{Answer: ReleaseDone}},
			0,
			[]string{"0s Register", "10s Cancel", "10s Release", "10s End"},
			runnercontract.ReasonStoppedWithoutJob,
		},
		{
			"NoWorkMeanwhile", nil,
			[]Event{NotRegistered{Reason: runnercontract.ReasonNoWork}},
			0,
			[]string{"0s Register", "10s Cancel", "10s End"},
			runnercontract.ReasonStoppedWithoutJob,
		},
		{
			"ConfirmedTooLateNeverStartsTheListener",
			[]Event{Registered{}},
			[]Event{Confirmed{}, Released{Answer: ReleaseDone}},
			0,
			[]string{"0s Register", "0s Confirm", "10s Cancel", "10s Release", "10s End"},
			runnercontract.ReasonStoppedWithoutJob,
		},
		{
			"Starting",
			[]Event{Registered{}, Confirmed{}},
			[]Event{Released{Answer: ReleaseDone}},
			asked + time.Second,
			[]string{"0s Register", "0s Confirm", "0s Start", "10s Release", "10s Interrupt", "11s End"},
			runnercontract.ReasonStoppedWithoutJob,
		},
		{
			"Idle",
			[]Event{Registered{}, Confirmed{}, Listening{}},
			[]Event{Released{Answer: ReleaseDone}},
			asked + time.Second,
			[]string{"0s Register", "0s Confirm", "0s Start", "10s Release", "10s Interrupt", "11s End"},
			runnercontract.ReasonStoppedWithoutJob,
		},
		{
			"Idle_ListenerIgnoresTheInterrupt",
			[]Event{Registered{}, Confirmed{}, Listening{}},
			[]Event{Released{Answer: ReleaseDone}},
			0,
			[]string{"0s Register", "0s Confirm", "0s Start", "10s Release", "10s Interrupt", "1m10s Kill", "1m11s End"},
			runnercontract.ReasonStoppedWithoutJob,
		},
		{
			"Idle_ReleaseUnanswered",
			[]Event{Registered{}, Confirmed{}, Listening{}},
			nil, interrupt + time.Second,
			[]string{"0s Register", "0s Confirm", "0s Start", "10s Release", "2m0s Interrupt", "2m1s End"},
			runnercontract.ReasonStoppedWithoutJob,
		},
		{
			"Idle_ReleaseBusyAndTheJobRuns",
			[]Event{Registered{}, Confirmed{}, Listening{}},
			[]Event{Released{Answer: ReleaseBusy}, JobStarted{}},
			time.Minute,
			[]string{"0s Register", "0s Confirm", "0s Start", "10s Release", "1m0s End"},
			runnercontract.ReasonJobRan,
		},
		{
			"JobFinishesInTime",
			[]Event{Registered{}, Confirmed{}, Listening{}, JobStarted{}},
			nil, time.Minute,
			[]string{"0s Register", "0s Confirm", "0s Start", "1m0s End"},
			runnercontract.ReasonJobRan,
		},
		{
			"JobIsInterrupted",
			[]Event{Registered{}, Confirmed{}, Listening{}, JobStarted{}},
			nil, interrupt + 5*time.Second,
			[]string{"0s Register", "0s Confirm", "0s Start", "2m0s Interrupt", "2m5s End"},
			runnercontract.ReasonStoppedDuringJob,
		},
		{
			"JobIgnoresTheInterruptAndIsKilledInTime",
			[]Event{Registered{}, Confirmed{}, Listening{}, JobStarted{}},
			nil, 0,
			[]string{"0s Register", "0s Confirm", "0s Start", "2m0s Interrupt", "2m8s Kill", "2m9s End"},
			runnercontract.ReasonStoppedDuringJob,
		},
		{
			"Pausing",
			[]Event{Registered{}, Confirmed{}, Listening{}, Exited{Code: 2}},
			[]Event{Exited{Code: 2}, Terminate{}, Released{Answer: ReleaseDone}},
			0,
			[]string{"0s Register", "0s Confirm", "0s Start", "5s Start", "10s Release", "10s End"},
			runnercontract.ReasonStoppedWithoutJob,
		},
		{
			"Withdrawing",
			[]Event{Registered{}, Confirmed{}, Exited{Code: 5}},
			nil, 0,
			[]string{"0s Register", "0s Confirm", "0s Start", "0s Release", "30s End"},
			runnercontract.ReasonListenerFailed,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := begin().at(0, tc.before...).at(asked, Terminate{}, Terminate{}).at(asked, tc.after...)
			if tc.exit > 0 {
				p.at(tc.exit, Exited{Code: 0})
			}
			p.at(10 * time.Minute)
			assert.Equal(t, tc.reason, p.reason(t))
			assert.Equal(t, tc.want, p.done)
			assert.Less(t, p.endedAt, asked+limits.Stop, "ECS would have killed the supervisor before its last word")
		})
	}
}

func TestFinish_ListenerThatStaysAfterItsJob(t *testing.T) {
	t.Parallel()
	p := idling().at(0, JobStarted{}, JobCompleted{}).at(5*time.Minute+time.Second, Exited{Code: 0})
	assert.Equal(t, []string{"5m0s Interrupt", "5m1s End"}, p.sinceStart())
	assert.Equal(t, runnercontract.ReasonListenerFailed, p.reason(t),
		"only the hook said that the job was over, and a job can fake that")

	p = idling().at(0, JobStarted{}, JobCompleted{Result: "Succeeded"}).at(5*time.Minute+time.Second, Exited{Code: 0})
	assert.Equal(t, []string{"5m0s Interrupt", "5m1s End"}, p.sinceStart())
	assert.Equal(t, runnercontract.ReasonListenerFailed, p.reason(t), "a job can say that in the listener's place")
	assert.Equal(t, "Succeeded", p.end.Job.Result)
}

// A job that stops the listener, and says again and again that it is over, is ended
// after the first time.
func TestFinish_StartsOnce(t *testing.T) {
	t.Parallel()
	for _, result := range []string{"", "Succeeded"} {
		p := idling().at(0, JobStarted{})
		for at := time.Minute; at < time.Hour; at += time.Minute {
			p.at(at, JobCompleted{Result: result})
		}
		assert.Equal(t, []string{"6m0s Interrupt", "7m0s Kill", "7m1s End"}, p.sinceStart())
		assert.Equal(t, runnercontract.ReasonListenerFailed, p.reason(t))
	}
}

// What the supervisor saw decides, not what somebody claims.
func TestResult_IsAClaim(t *testing.T) {
	t.Parallel()
	claim := JobCompleted{Result: "Succeeded"}
	for name, tc := range map[string]struct {
		at     time.Duration
		events []Event
		want   runnercontract.Reason
	}{
		"killed": {
			time.Minute,
			[]Event{claim, Exited{Code: -1, Detail: "killed"}},
			runnercontract.ReasonListenerFailed,
		},
		"crashed": {time.Minute, []Event{claim, Exited{Code: 2}}, runnercontract.ReasonListenerFailed},
		"deprecated": {
			time.Minute,
			[]Event{claim, Outdated{}, Exited{Code: 7}},
			runnercontract.ReasonListenerFailed,
		},
		"lifetime": {
			6*time.Hour + 30*time.Minute,
			[]Event{claim, Exited{Code: 0}},
			runnercontract.ReasonLifetime,
		},
		"ended by itself": {time.Minute, []Event{claim, Exited{Code: 0}}, runnercontract.ReasonJobRan},
		"another at its end": {
			time.Minute,
			[]Event{claim, JobCompleted{Result: "Failed"}, Exited{Code: 0}},
			runnercontract.ReasonJobRan,
		},
	} {
		p := idling().at(0, JobStarted{}).at(tc.at, tc.events...)
		assert.Equal(t, tc.want, p.reason(t), name)
		if name == "another at its end" {
			assert.Equal(t, "Failed", p.end.Job.Result, "the listener says it last")
		}
	}
	p := idling().at(0, JobStarted{}).at(time.Second, Terminate{}).at(time.Minute, claim).
		at(2*time.Minute, Exited{Code: 0})
	assert.Equal(t, runnercontract.ReasonStoppedDuringJob, p.reason(t))
}

func TestHook_CannotOverwriteWhatIsKnown(t *testing.T) {
	t.Parallel()
	p := idling().at(0, JobStarted{Job{Name: "build", RunID: "1"}}, JobStarted{Job{Name: "other", RunID: "2"}},
		Exited{Code: 0})
	assert.Equal(t, &Job{Name: "build", RunID: "1"}, p.end.Job)
}

func TestEnd_IsTheLastWord(t *testing.T) {
	t.Parallel()
	p := idling().at(0, JobStarted{}, Exited{Code: 0}).at(0, Terminate{}, Exited{Code: 1}, Listening{}).at(10 * time.Hour)
	assert.Equal(t, []string{"0s End"}, p.sinceStart())
}

func TestSummary_JSON(t *testing.T) {
	t.Parallel()
	p := idling().at(1500*time.Millisecond, JobStarted{}, Exited{Code: 0})
	got, err := json.Marshal(p.end)
	require.NoError(t, err)
	assert.JSONEq(t, `{"reason":"job_ran","exit_code":0,"runner":"r","job":{},
		"durations":{"registration":0,"start":0,"idle":1.5,"job":0,"end":0,"total":1.5}}`, string(got))
}
