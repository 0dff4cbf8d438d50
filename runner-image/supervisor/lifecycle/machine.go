package lifecycle

import (
	"fmt"
	"math"
	"strconv"
	"time"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// Times that are not a fleet's to choose.
const (
	// Grace is how long an interrupted listener may take to end. The runner gives a
	// cancelled job a minute.
	Grace = time.Minute
	// FinishTimeout is how long the listener may take to end after its job.
	FinishTimeout = 5 * time.Minute
	// ReleaseTimeout bounds a release that nothing waits for but the end.
	ReleaseTimeout = 30 * time.Second
	// KillTimeout is how long a killed listener may take to be gone.
	KillTimeout = time.Second
	// StopMargin is kept at the end of the stop timeout, so that the supervisor can
	// have the last word before it is killed.
	StopMargin = 2 * time.Second
	// MaxRestarts is how often a listener that failed before it had a job is started
	// again, after RestartPause, which doubles each time.
	MaxRestarts  = 3
	RestartPause = 5 * time.Second
)

// Limits are the limits a fleet sets. Waiting and running have limits of their own:
// a task without a job ends after Start and Idle together, a job after Lifetime,
// whenever it began.
type Limits struct {
	Idle     time.Duration
	Lifetime time.Duration
	Start    time.Duration
	Stop     time.Duration
}

// Waiting is how long a task may be without a job.
func (l Limits) Waiting() time.Duration { return l.Start + l.Idle }

// Summary says how a runner ended.
type Summary struct {
	Reason   runnercontract.Reason   `json:"reason"`
	ExitCode runnercontract.ExitCode `json:"exit_code"`
	// Detail says what Reason does not: the listener's exit code, an error.
	Detail    string    `json:"detail,omitempty"`
	Runner    string    `json:"runner,omitempty"`
	Job       *Job      `json:"job,omitempty"`
	Durations Durations `json:"durations"`
}

// Durations says where a runner's time went. Total is the sum of the others.
type Durations struct {
	Registration Seconds `json:"registration"`
	Start        Seconds `json:"start"`
	Idle         Seconds `json:"idle"`
	Job          Seconds `json:"job"`
	End          Seconds `json:"end"`
	Total        Seconds `json:"total"`
}

// Seconds is a duration that is written as a number of seconds.
type Seconds time.Duration

// MarshalJSON writes s in seconds, to the millisecond.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(s).Seconds()), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("reading a number of seconds: %w", err)
	}
	*s = Seconds(math.Round(seconds*1000)) * Seconds(time.Millisecond)
	return nil
}

// phase is what a runner is doing.
type phase int

const (
	registering phase = iota // Register is under way
	confirming               // Confirm is under way
	starting                 // the listener does not listen yet
	listening                // the listener waits for a job
	working                  // a job runs
	finishing                // the job is over, the listener is not
	pausing                  // the listener ended and is to be started again
	ending                   // the listener has been interrupted
	withdrawing              // there is no listener, Release is under way
	ended
)

// timer names a deadline.
type timer int

const (
	waiting   timer = iota // the task has been without a job for long enough
	lifetime               // the job has run for long enough
	start                  // the listener should be listening
	idle                   // there should have been a job
	restart                // the pause before the next start is over
	finish                 // the listener should have ended after its job
	interrupt              // the listener is interrupted, whatever it does
	kill                   // the interrupted listener should have ended
	giveUp                 // an answer or an exit will not be waited for any longer
	timers
)

// Exit codes of Runner.Listener that are not plain failures.
const (
	listenerDone            = 0
	listenerRetryable       = 2 // an exception nobody handled
	listenerUpdating        = 3
	listenerUpdatingRunOnce = 4
	listenerRefreshed       = 6 // its configuration changed; it wants a restart
	listenerDeprecated      = 7
)

// Machine is the state of one runner. It is not safe for concurrent use.
type Machine struct {
	limits Limits
	phase  phase
	since  time.Time // of phase
	spent  Durations
	due    [timers]time.Time // zero: not set

	runner   string
	job      Job
	hasJob   bool
	outdated bool
	restarts int

	again     bool      // an earlier registration was given back because no job came
	born      time.Time // when the task began
	waited    bool      // it has been without a job for long enough
	stopping  bool      // Terminate was reported
	stopAt    time.Time // by when all must be over, if stopping
	releasing bool      // Release is under way beside the listener
	reason    runnercontract.Reason
	detail    string

	actions []Action
}

// New returns a machine for a runner with these limits.
func New(limits Limits) *Machine {
	return &Machine{limits: limits}
}

// Begin starts the life of the runner.
func (m *Machine) Begin(now time.Time) []Action {
	m.since, m.born = now, now
	m.set(waiting, now.Add(m.limits.Waiting()))
	m.do(Register{})
	return m.take()
}

// Deadline returns the time at which Tick is to be reported, if there is one. It
// may be in the past.
func (m *Machine) Deadline() (time.Time, bool) {
	_, at := m.next()
	return at, !at.IsZero()
}

// Handle takes note of an event and returns what is to be done.
func (m *Machine) Handle(now time.Time, event Event) []Action {
	if m.phase == ended {
		return nil
	}
	switch e := event.(type) {
	case Registered:
		m.registered(now, e)
	case Confirmed:
		m.confirmed(now)
	case NotRegistered:
		m.notRegistered(now, e)
	case NotStarted:
		m.withdraw(now, runnercontract.ReasonListenerFailed, e.Detail)
	case Listening:
		m.listens(now)
	case JobStarted:
		m.jobStarted(now, e.Job)
	case JobCompleted:
		m.jobCompleted(now, e.Result)
	case Outdated:
		m.outdated = true
	case Exited:
		m.exited(now, e)
	case Released:
		m.released(now, e)
	case Terminate:
		m.terminate(now)
	case Tick:
		m.tick(now)
	}
	return m.take()
}

func (m *Machine) registered(now time.Time, e Registered) {
	m.runner = e.RunnerName
	if m.reason != "" {
		m.withdraw(now, m.reason, m.detail)
		return
	}
	m.enter(now, confirming)
	m.do(Confirm{})
}

func (m *Machine) confirmed(now time.Time) {
	if m.reason != "" {
		m.withdraw(now, m.reason, m.detail)
		return
	}
	m.startListener(now)
}

func (m *Machine) notRegistered(now time.Time, e NotRegistered) {
	reason, detail := e.Reason, e.Detail
	switch {
	case m.reason != "": // it was cancelled, or came too late
		reason = m.reason
		if !m.waited { // it was cancelled for its silence, of which the error tells
			detail = m.detail
		}
	case m.again && m.phase == registering: // no job came, and there is no other
		reason = runnercontract.ReasonIdle
	}
	if m.phase == registering && e.Reason != runnercontract.ReasonUnreachable {
		m.end(now, reason, detail)
		return
	}
	// The service may have made a runner although its answer did not arrive.
	m.withdraw(now, reason, detail)
}

func (m *Machine) startListener(now time.Time) {
	m.enter(now, starting)
	m.set(start, now.Add(m.limits.Start))
	m.do(Start{})
}

func (m *Machine) listens(now time.Time) {
	if m.phase != starting {
		return
	}
	m.enter(now, listening)
	m.clear(start)
	m.set(idle, now.Add(m.limits.Idle))
}

func (m *Machine) jobStarted(now time.Time, job Job) {
	m.hasJob = true
	m.job = merge(m.job, job)
	if m.phase != starting && m.phase != listening {
		return
	}
	m.enter(now, working)
	m.clear(waiting, start, idle)
	m.clear(interrupt) // of a runner without a job
	if m.stopping {
		m.set(interrupt, m.stopAt.Add(StopMargin-runnercontract.StopReserve))
	}
	m.set(lifetime, now.Add(m.limits.Lifetime))
	m.reason = "" // of a release that is under way, whose answer no longer matters
}

// jobCompleted gives the listener time to end, once: every process of a job can
// say that the job is over, as often as it likes.
func (m *Machine) jobCompleted(now time.Time, result string) {
	m.jobStarted(now, Job{})
	if result != "" { // the listener's own word comes after all of the job's
		m.job.Result = result
	}
	if m.phase == working {
		m.enter(now, finishing)
		m.set(finish, now.Add(FinishTimeout))
	}
}

// exited decides what the end of the listener means. What it said of its job's
// result plays no part: a job can say the same in its place.
func (m *Machine) exited(now time.Time, e Exited) {
	m.clear(start, idle, lifetime, finish, interrupt, kill)
	detail := e.Detail
	if detail == "" {
		detail = fmt.Sprintf("the listener ended with code %d", e.Code)
	}
	switch {
	case m.phase == ending && m.hasJob:
		m.end(now, m.interrupted(), m.detail)
	case m.phase == ending && m.mayTakeAnother(now):
		m.takeAnother(now)
	case m.phase == ending:
		m.end(now, m.reason, m.detail)
	case m.hasJob && e.Code == listenerDone:
		m.end(now, runnercontract.ReasonJobRan, "")
	case m.hasJob:
		m.end(now, runnercontract.ReasonListenerFailed, detail)
	case m.releasing: // the runner was to end anyway
		m.enter(now, withdrawing)
		m.set(giveUp, m.soon(now, ReleaseTimeout))
	case m.stopping:
		m.withdraw(now, runnercontract.ReasonStoppedWithoutJob, detail)
	case m.waited:
		m.withdraw(now, m.reason, detail)
	case m.outdated, e.Code == listenerUpdating, e.Code == listenerUpdatingRunOnce, e.Code == listenerDeprecated:
		m.withdraw(now, runnercontract.ReasonDeprecated, detail)
	case (e.Code == listenerRetryable || e.Code == listenerRefreshed) && m.restarts < MaxRestarts:
		m.enter(now, pausing)
		m.set(restart, now.Add(RestartPause<<m.restarts))
		m.restarts++
	case e.Code == listenerDone:
		m.withdraw(now, runnercontract.ReasonListenerFailed, "the listener ended without a job")
	default:
		m.withdraw(now, runnercontract.ReasonListenerFailed, detail)
	}
}

// interrupted says what became of a job whose listener was interrupted, for
// whatever reason: it may have come while the registration was being given back.
func (m *Machine) interrupted() runnercontract.Reason {
	switch m.reason {
	case runnercontract.ReasonIdle, runnercontract.ReasonStartTimeout:
		return runnercontract.ReasonListenerFailed
	case runnercontract.ReasonStoppedWithoutJob:
		return runnercontract.ReasonStoppedDuringJob
	default:
		return m.reason
	}
}

// mayTakeAnother reports whether a task to which no job came may ask for another:
// GitHub may have given the job its runner was for to a runner of a job with more
// labels, which waits now. The service gives no task the same job twice. Nobody
// can promise a job to a task that has little time left to wait for it.
func (m *Machine) mayTakeAnother(now time.Time) bool {
	left := m.born.Add(m.limits.Waiting()).Sub(now)
	ended := m.detail == "" // by itself, and not killed
	return m.reason == runnercontract.ReasonIdle && ended && !m.stopping && !m.waited && left > m.limits.Waiting()/4
}

// takeAnother asks for another job, as at the beginning.
func (m *Machine) takeAnother(now time.Time) {
	m.enter(now, registering)
	m.again = true
	m.reason, m.detail, m.restarts, m.outdated = "", "", 0, false
	m.clear(start, idle, restart, finish, interrupt, kill, giveUp)
	m.do(Register{})
}

func (m *Machine) released(now time.Time, e Released) {
	m.releasing = false
	switch m.phase {
	case withdrawing:
		m.end(now, m.reason, m.detail)
	case starting, listening:
		switch {
		case e.Answer == ReleaseDone:
			m.interruptListener(now, m.reason)
		case m.stopping, m.waited: // a job may be on its way: it has until the interrupt
		default: // keep the runner; ask again when it still has no job
			m.reason = ""
			if m.phase == starting {
				m.set(start, now.Add(m.limits.Start))
			} else {
				m.set(idle, now.Add(m.limits.Idle))
			}
		}
	}
}

func (m *Machine) terminate(now time.Time) {
	if m.stopping {
		return
	}
	m.stopping = true
	m.stopAt = now.Add(m.limits.Stop - StopMargin)
	switch m.phase {
	case registering, confirming:
		m.leave(now, runnercontract.ReasonStoppedWithoutJob)
	case pausing:
		m.withdraw(now, runnercontract.ReasonStoppedWithoutJob, "")
	case starting, listening:
		m.release(runnercontract.ReasonStoppedWithoutJob)
		m.advance(interrupt, now.Add(m.limits.Stop-runnercontract.StopReserve))
	case working, finishing:
		m.advance(interrupt, now.Add(m.limits.Stop-runnercontract.StopReserve))
	case ending:
		m.advance(kill, m.stopAt)
	case withdrawing:
		m.advance(giveUp, m.stopAt)
	}
}

// tick acts on every deadline that has come, the earliest first.
func (m *Machine) tick(now time.Time) {
	for m.phase != ended {
		timer, at := m.next()
		if at.IsZero() || at.After(now) {
			return
		}
		m.clear(timer)
		switch timer {
		case waiting:
			m.waitingOver(now)
		case lifetime:
			m.interruptListener(now, runnercontract.ReasonLifetime)
		case start:
			m.release(runnercontract.ReasonStartTimeout)
		case idle:
			m.release(runnercontract.ReasonIdle)
		case restart:
			m.startListener(now)
		case finish:
			m.detail = "the listener did not end after its job"
			m.interruptListener(now, runnercontract.ReasonListenerFailed)
		case interrupt:
			m.interruptListener(now, m.interruptReason())
		case kill:
			if m.detail == "" {
				m.detail = "the listener ignored the interrupt and was killed"
			}
			m.do(Kill{})
			m.set(giveUp, now.Add(KillTimeout))
		case giveUp:
			m.end(now, m.reason, m.detail)
		}
	}
}

// waitingOver ends a task that has been without a job for as long as it may be. A
// job that GitHub is about to give it has ReleaseTimeout to show up.
func (m *Machine) waitingOver(now time.Time) {
	m.waited = true
	m.clear(start, idle)
	switch m.phase {
	case registering, confirming:
		reason := runnercontract.ReasonUnreachable
		if m.again {
			reason = runnercontract.ReasonIdle
		}
		m.leave(now, reason)
	case pausing:
		m.withdraw(now, runnercontract.ReasonStartTimeout, "")
	case starting:
		m.release(runnercontract.ReasonStartTimeout)
		m.advance(interrupt, now.Add(ReleaseTimeout))
	case listening:
		m.release(runnercontract.ReasonIdle)
		m.advance(interrupt, now.Add(ReleaseTimeout))
	}
}

// interruptReason says why the listener is interrupted when the interrupt timer
// has come: the stop timeout is nearly over, or the task has waited long enough.
func (m *Machine) interruptReason() runnercontract.Reason {
	switch {
	case m.stopping && m.hasJob:
		return runnercontract.ReasonStoppedDuringJob
	case m.stopping:
		return runnercontract.ReasonStoppedWithoutJob
	default:
		return m.reason
	}
}

// leave gives up a registration that is under way. Its event decides whether
// there is something to give back.
func (m *Machine) leave(now time.Time, reason runnercontract.Reason) {
	if m.reason == "" {
		m.reason = reason
		m.do(Cancel{})
	}
	m.set(giveUp, m.soon(now, ReleaseTimeout))
}

// release gives the registration back while the listener runs. One that is under
// way already serves the new reason.
func (m *Machine) release(reason runnercontract.Reason) {
	m.reason = reason
	if !m.releasing {
		m.releasing = true
		m.do(Release{})
	}
}

// withdraw gives the registration back where no listener runs, and ends.
func (m *Machine) withdraw(now time.Time, reason runnercontract.Reason, detail string) {
	m.enter(now, withdrawing)
	m.reason, m.detail = reason, detail
	m.clear(waiting, start, idle, restart, interrupt)
	m.set(giveUp, m.soon(now, ReleaseTimeout))
	m.do(Release{})
}

// interruptListener makes the listener end.
func (m *Machine) interruptListener(now time.Time, reason runnercontract.Reason) {
	m.enter(now, ending)
	m.reason = reason
	m.clear(start, idle, lifetime, finish, interrupt)
	m.set(kill, m.soon(now, Grace))
	m.do(Interrupt{})
}

func (m *Machine) end(now time.Time, reason runnercontract.Reason, detail string) {
	m.enter(now, ended)
	summary := Summary{
		Reason:    reason,
		ExitCode:  reason.ExitCode(),
		Detail:    detail,
		Runner:    m.runner,
		Durations: m.spent,
	}
	if m.hasJob {
		summary.Job = &m.job
	}
	m.due = [timers]time.Time{}
	m.do(End{Summary: summary})
}

// soon returns the time after d, or the end of the stop timeout if that is
// earlier.
func (m *Machine) soon(now time.Time, d time.Duration) time.Time {
	at := now.Add(d)
	if m.stopping && m.stopAt.Before(at) {
		return m.stopAt
	}
	return at
}

// enter changes the phase and books the time spent in the last one.
func (m *Machine) enter(now time.Time, next phase) {
	spent := Seconds(now.Sub(m.since))
	switch m.phase {
	case registering, confirming:
		m.spent.Registration += spent
	case starting, pausing:
		m.spent.Start += spent
	case listening:
		m.spent.Idle += spent
	case working, finishing:
		m.spent.Job += spent
	case ending, withdrawing:
		m.spent.End += spent
	}
	m.spent.Total += spent
	m.phase, m.since = next, now
}

// next returns the earliest deadline; its time is zero if there is none.
func (m *Machine) next() (timer, time.Time) {
	var which timer
	var at time.Time
	for t, due := range m.due {
		if !due.IsZero() && (at.IsZero() || due.Before(at)) {
			which, at = timer(t), due
		}
	}
	return which, at
}

func (m *Machine) set(t timer, at time.Time) { m.due[t] = at }

// advance sets a deadline unless it is set to an earlier time.
func (m *Machine) advance(t timer, at time.Time) {
	if due := m.due[t]; due.IsZero() || at.Before(due) {
		m.due[t] = at
	}
}

func (m *Machine) clear(ts ...timer) {
	for _, t := range ts {
		m.due[t] = time.Time{}
	}
}

func (m *Machine) do(a Action) { m.actions = append(m.actions, a) }

func (m *Machine) take() []Action {
	actions := m.actions
	m.actions = nil
	return actions
}

// merge adds to a job what is new. What is known already stays.
func merge(known, more Job) Job {
	for _, field := range []struct{ known, more *string }{
		{&known.Name, &more.Name},
		{&known.Repository, &more.Repository},
		{&known.Workflow, &more.Workflow},
		{&known.RunID, &more.RunID},
		{&known.RunAttempt, &more.RunAttempt},
		{&known.Result, &more.Result},
	} {
		if *field.known == "" {
			*field.known = *field.more
		}
	}
	return known
}
