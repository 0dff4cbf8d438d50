package runner

// ExitCode is the exit code of the supervisor, and so of the runner container.
type ExitCode int

// Exit codes of the supervisor. Those in the tens ended well without a job, those
// in the twenties want somebody's attention.
const (
	ExitJobRan            ExitCode = 0
	ExitIdle              ExitCode = 10
	ExitNoWork            ExitCode = 11
	ExitNotRegistered     ExitCode = 20
	ExitDeprecated        ExitCode = 21
	ExitListenerFailed    ExitCode = 22
	ExitLifetime          ExitCode = 23
	ExitStoppedDuringJob  ExitCode = 24
	ExitMisconfigured     ExitCode = 25
	ExitStoppedWithoutJob ExitCode = 143
)

// Reason says why a runner ended. It is finer than the exit code and stands in
// the last line of the log.
type Reason string

// Reasons for the end of a runner. Ends explains them.
const (
	ReasonJobRan            Reason = "job_ran"
	ReasonIdle              Reason = "idle_timeout"
	ReasonNoWork            Reason = "no_work"
	ReasonRefused           Reason = "registration_refused"
	ReasonUnreachable       Reason = "registration_unreachable"
	ReasonDeprecated        Reason = "runner_deprecated"
	ReasonListenerFailed    Reason = "listener_failed"
	ReasonStartTimeout      Reason = "start_timeout"
	ReasonLifetime          Reason = "lifetime_exceeded"
	ReasonStoppedDuringJob  Reason = "stopped_during_job"
	ReasonMisconfigured     Reason = "misconfigured"
	ReasonStoppedWithoutJob Reason = "stopped_without_job"
)

// End explains one way in which a runner ends.
type End struct {
	Code   ExitCode
	Reason Reason
	Text   string
	// Limit is the variable that sets when it comes to this, if there is one.
	Limit string
}

// Ends lists every way in which a runner ends.
func Ends() []End {
	return []End{
		{ExitJobRan, ReasonJobRan, "A job ran. Its result is GitHub's to tell; a failed job is a job that ran.", ""},
		{ExitIdle, ReasonIdle, "No job came within the idle timeout, and the fleet had no other job that waits; the registration was removed first.", EnvIdleTimeout},
		{ExitNoWork, ReasonNoWork, "The fleet had no open job left when the task started.", ""},
		{ExitNotRegistered, ReasonRefused, "The registration service refused the task, or does not speak this image's contract version.", ""},
		{ExitNotRegistered, ReasonUnreachable, "The registration service gave no usable answer for ten minutes, or for as long as the task may wait.", ""},
		{ExitDeprecated, ReasonDeprecated, "GitHub no longer accepts this version of actions/runner: rebuild the image.", ""},
		{ExitListenerFailed, ReasonListenerFailed, "Runner.Listener ended on its own, or could not be started.", ""},
		{ExitListenerFailed, ReasonStartTimeout, "Runner.Listener did not listen for jobs within the start timeout.", EnvStartTimeout},
		{ExitLifetime, ReasonLifetime, "The job ran for as long as it may, and was cancelled.", EnvLifetime},
		{ExitStoppedDuringJob, ReasonStoppedDuringJob, "ECS stopped the task and its job did not finish within the stop timeout: it was cancelled.", EnvStopTimeout},
		{ExitMisconfigured, ReasonMisconfigured, "The environment or the image lacks something the supervisor needs; the log names it.", ""},
		{ExitStoppedWithoutJob, ReasonStoppedWithoutJob, "ECS stopped the task while it had no job.", ""},
	}
}

// ExitCode returns the exit code of r. A reason that nobody knows counts as a
// failure of the listener.
func (r Reason) ExitCode() ExitCode {
	for _, end := range Ends() {
		if end.Reason == r {
			return end.Code
		}
	}
	return ExitListenerFailed
}
