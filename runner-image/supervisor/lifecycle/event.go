package lifecycle

import runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"

// Event is something that happened.
type Event interface{ event() }

type (
	// Registered says that the registration service gave the task a runner.
	Registered struct{ RunnerName string }

	// NotRegistered says that Register brought no runner, or that Confirm was not
	// accepted.
	NotRegistered struct {
		// Reason is ReasonNoWork, ReasonRefused or ReasonUnreachable.
		Reason runnercontract.Reason
		Detail string
	}

	// Confirmed says that the registration service knows that the listener starts.
	Confirmed struct{}

	// Released says what the registration service answered to Release.
	Released struct {
		Answer ReleaseAnswer
		Detail string
	}

	// NotStarted says that the listener could not be started.
	NotStarted struct{ Detail string }

	// Listening says that the listener waits for jobs.
	Listening struct{}

	// JobStarted says that a job runs. Listener and hook both tell, in either order.
	JobStarted struct{ Job Job }

	// JobCompleted says that the job is over. Result is GitHub's word for how, and
	// empty when the hook tells, which runs before the listener knows.
	JobCompleted struct{ Result string }

	// Outdated says that GitHub no longer accepts the listener's version.
	Outdated struct{}

	// Exited says that the listener ended, and that all of its output has been seen.
	Exited struct {
		// Code is its exit code, or -1 when a signal ended it.
		Code   int
		Detail string
	}

	// Terminate says that the container is asked to stop.
	Terminate struct{}

	// Tick says that the time has come that Deadline named.
	Tick struct{}
)

func (Registered) event()    {}
func (NotRegistered) event() {}
func (Confirmed) event()     {}
func (Released) event()      {}
func (NotStarted) event()    {}
func (Listening) event()     {}
func (JobStarted) event()    {}
func (JobCompleted) event()  {}
func (Outdated) event()      {}
func (Exited) event()        {}
func (Terminate) event()     {}
func (Tick) event()          {}

// ReleaseAnswer is what the registration service made of a release.
type ReleaseAnswer int

// Answers to a release.
const (
	// ReleaseUnknown: no usable answer.
	ReleaseUnknown ReleaseAnswer = iota
	// ReleaseDone: the runner is removed and can no longer be given a job.
	ReleaseDone
	// ReleaseBusy: GitHub has given the runner a job, or is about to.
	ReleaseBusy
)

// Job is what is known of the job that ran. The listener tells Name; the rest
// comes from the environment of the hook, which the job's own code could fake.
type Job struct {
	Name       string `json:"name,omitempty"`
	Repository string `json:"repository,omitempty"`
	Workflow   string `json:"workflow,omitempty"`
	RunID      string `json:"run_id,omitempty"`
	RunAttempt string `json:"run_attempt,omitempty"`
	Result     string `json:"result,omitempty"`
}

// Action is something to do.
type Action interface{ action() }

type (
	// Register asks for a runner; Registered or NotRegistered follows.
	Register struct{}

	// Confirm says that the listener starts now; Confirmed or NotRegistered follows.
	Confirm struct{}

	// Release gives the registration back; Released follows.
	Release struct{}

	// Cancel makes a request that is under way end at once, with its event.
	Cancel struct{}

	// Start starts the listener; NotStarted or, in the end, Exited follows.
	Start struct{}

	// Interrupt asks the listener to end; a running job is cancelled.
	Interrupt struct{}

	// Kill ends the listener and all it started.
	Kill struct{}

	// End ends the supervisor, and whatever is still under way.
	End struct{ Summary Summary }
)

func (Register) action()  {}
func (Confirm) action()   {}
func (Release) action()   {}
func (Cancel) action()    {}
func (Start) action()     {}
func (Interrupt) action() {}
func (Kill) action()      {}
func (End) action()       {}
