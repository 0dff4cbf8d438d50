package lifecycle

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// world carries out a machine's actions with random answers at random times, and
// fails the test when the machine asks for what cannot or must not be done.
type world struct {
	t       *testing.T
	random  *rand.Rand
	begun   time.Time
	now     time.Time
	pending []happening

	request    Event // answer of the request that is under way
	confirmed  bool
	listener   bool
	job        bool
	began      time.Time // of the job
	released   bool
	finished   bool // somebody said that the job is over
	finishedAt time.Time
	stopped    time.Time
	end        *Summary
}

type happening struct {
	at    time.Time
	event Event
}

// Whatever happens, and in whatever order, a runner ends in time, never has two
// requests under way or two listeners, and no listener that might have a job is
// interrupted except by a stop, when its job has had its lifetime or is over, or when
// it has waited long enough.
func TestMachine_UnderRandomEvents(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5000) {
		epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		w := &world{t: t, random: rand.New(rand.NewPCG(seed, 0)), begun: epoch, now: epoch}
		m := New(limits)
		if w.chance(3) {
			w.after(0, 8*time.Hour, Terminate{})
		}
		w.carryOut(m.Begin(w.now))
		for w.end == nil {
			at, event := w.next(m)
			require.NotNil(t, event, "seed %d: nothing will ever happen again", seed)
			if at.After(w.now) {
				w.now = at
			}
			w.happen(event)
			w.carryOut(m.Handle(w.now, event))
		}
		require.Equal(t, w.end.Reason.ExitCode(), w.end.ExitCode)
		longest := limits.Start + limits.Idle + ReleaseTimeout + Grace + KillTimeout
		if w.end.Job != nil {
			longest += limits.Lifetime
		}
		require.LessOrEqual(t, w.now.Sub(w.begun), longest, "seed %d: it lived too long", seed)
		if !w.stopped.IsZero() {
			require.Less(t, w.now.Sub(w.stopped), limits.Stop, "seed %d: it did not stop in time", seed)
		}
	}
}

// next takes the earliest of what is to happen.
func (w *world) next(m *Machine) (time.Time, Event) {
	at, ok := m.Deadline()
	var event Event
	if ok {
		event = Tick{}
	}
	first := -1
	for i, h := range w.pending {
		if event == nil || h.at.Before(at) {
			first, at, event = i, h.at, h.event
		}
	}
	if first >= 0 {
		w.pending = append(w.pending[:first], w.pending[first+1:]...)
	}
	return at, event
}

// happen keeps the world in step with an event that is about to be reported.
func (w *world) happen(event Event) {
	switch e := event.(type) {
	case Registered:
		w.request, w.confirmed, w.released = nil, false, false
	case NotRegistered:
		w.request = nil
	case Confirmed:
		w.request, w.confirmed = nil, true
	case Released:
		w.request = nil
		w.released = e.Answer == ReleaseDone
	case JobStarted:
		if !w.job {
			w.job, w.began = true, w.now
		}
		w.after(time.Minute, time.Hour, e) // it says so again and again
	case JobCompleted:
		if !w.finished {
			w.finished, w.finishedAt = true, w.now
		}
		w.after(time.Minute, 3*time.Minute, e)
	case Exited:
		w.listener = false
		w.pending = slices.DeleteFunc(w.pending, func(h happening) bool {
			switch h.event.(type) {
			case Listening, JobStarted, JobCompleted:
				return true
			}
			return false
		})
	case Terminate:
		w.stopped = w.now
	}
}

func (w *world) carryOut(actions []Action) {
	for _, action := range actions {
		switch a := action.(type) {
		case Register:
			w.ask(w.oneOf(Registered{RunnerName: "r"}, Registered{RunnerName: "r"}, Registered{RunnerName: "r"},
				NotRegistered{Reason: runnercontract.ReasonNoWork}, NotRegistered{Reason: runnercontract.ReasonUnreachable}))
		case Confirm:
			w.ask(w.oneOf(Confirmed{}, Confirmed{}, Confirmed{}, NotRegistered{Reason: runnercontract.ReasonRefused}))
		case Release:
			w.ask(w.oneOf(Released{Answer: ReleaseDone}, Released{Answer: ReleaseBusy}, Released{Answer: ReleaseUnknown}))
		case Cancel:
			require.NotNil(w.t, w.request, "there is nothing to cancel")
			w.drop(w.request)
			w.after(0, 0, w.request)
		case Start:
			require.True(w.t, w.confirmed, "the listener was started without a confirmation")
			require.False(w.t, w.listener, "a second listener was started")
			require.False(w.t, w.job, "a listener was started again after a job")
			w.listener = true
			w.play()
		case Interrupt:
			require.True(w.t, w.listener, "there is no listener to interrupt")
			switch {
			case w.released, !w.stopped.IsZero():
			case w.finished:
				require.LessOrEqual(w.t, w.now.Sub(w.finishedAt), FinishTimeout, "a job that is over may stay")
			case w.job:
				require.Equal(w.t, limits.Lifetime, w.now.Sub(w.began), "a job has another lifetime")
			default:
				require.GreaterOrEqual(w.t, w.now.Sub(w.begun), limits.Start+limits.Idle+ReleaseTimeout,
					"a listener that may get a job was interrupted")
			}
			if w.chance(2) {
				w.exitSoon(2 * Grace)
			}
		case Kill:
			require.True(w.t, w.listener, "there is no listener to kill")
			if w.chance(2) {
				w.exitSoon(0)
			}
		case End:
			w.end = &a.Summary
		}
	}
}

// play lets a listener do what a listener may do.
func (w *world) play() {
	code := w.random.IntN(9)
	switch w.random.IntN(5) {
	case 0:
		w.after(0, 10*time.Minute, Exited{Code: code})
	case 1:
		ready := w.after(0, 10*time.Minute, Listening{})
		w.after(ready, time.Hour, Exited{Code: code})
	case 2: // it hangs
	default:
		ready := w.after(0, time.Minute, Listening{})
		began := w.after(ready, 30*time.Minute, JobStarted{Job{Name: "build"}})
		over := began
		if w.chance(2) {
			over = w.after(began, 8*time.Hour, JobCompleted{Result: "Succeeded"})
		}
		w.after(over, time.Hour, Exited{Code: code})
	}
}

// ask notes the answer to a request, which comes at some time or never.
func (w *world) ask(answer Event) {
	require.Nil(w.t, w.request, "a second request was sent while one is under way")
	w.request = answer
	if !w.chance(4) {
		w.after(0, 10*time.Minute, answer)
	}
}

// after lets event happen within d after start, both counted from now, and returns
// when.
func (w *world) after(start, d time.Duration, event Event) time.Duration {
	if d > 0 {
		start += time.Duration(w.random.Int64N(int64(d)))
	}
	w.pending = append(w.pending, happening{w.now.Add(start), event})
	return start
}

// exitSoon replaces the listener's own end by one within d.
func (w *world) exitSoon(d time.Duration) {
	w.pending = slices.DeleteFunc(w.pending, func(h happening) bool {
		_, exit := h.event.(Exited)
		return exit
	})
	w.after(0, d, Exited{Code: 0})
}

// drop removes an event that was to happen.
func (w *world) drop(event Event) {
	w.pending = slices.DeleteFunc(w.pending, func(h happening) bool { return h.event == event })
}

func (w *world) oneOf(events ...Event) Event { return events[w.random.IntN(len(events))] }

func (w *world) chance(oneIn int) bool { return w.random.IntN(oneIn) == 0 }
