package contract

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Version is the version of what the runner image and the control plane say to
// each other: the environment variables below and the registration API. An image
// is built on another day than the control plane is deployed, so each side states
// its version and refuses one it does not know.
const Version = 1

// Environment variables of the runner container. The first group is the same for
// every task of a fleet and stands in its task definition, the second is set for
// one task by the overrides of RunTask. RunnerVariables explains them.
const (
	EnvContract           = "ECSRUNNERS_CONTRACT"
	EnvRegistrationURL    = "ECSRUNNERS_REGISTRATION_URL"
	EnvRegistrationRegion = "ECSRUNNERS_REGISTRATION_REGION"
	EnvIdleTimeout        = "ECSRUNNERS_IDLE_TIMEOUT"
	EnvLifetime           = "ECSRUNNERS_LIFETIME"
	EnvStartTimeout       = "ECSRUNNERS_START_TIMEOUT"
	EnvStopTimeout        = "ECSRUNNERS_STOP_TIMEOUT"

	EnvFleet      = "ECSRUNNERS_FLEET"
	EnvJobID      = "ECSRUNNERS_JOB_ID"
	EnvRepository = "ECSRUNNERS_REPOSITORY"
	EnvAttempt    = "ECSRUNNERS_ATTEMPT"
	EnvDeliveryID = "ECSRUNNERS_DELIVERY_ID"
)

// EnvPrefix begins the name of every variable of ours. The supervisor passes none
// of them on to the runner: a job has no use for them.
const EnvPrefix = "ECSRUNNERS_"

// Limits of a runner, unless its fleet sets others.
const (
	// DefaultIdleTimeout is how long a runner waits for a job.
	DefaultIdleTimeout = 5 * time.Minute
	// DefaultLifetime is how long a task lives, its job included: a job that is
	// still running then is cancelled. It exceeds the six hours after which GitHub
	// itself ends a job by default.
	DefaultLifetime = 6*time.Hour + 30*time.Minute
	// DefaultStartTimeout is how long the listener may take until it listens. A
	// listener that finds its session taken tries for four minutes.
	DefaultStartTimeout = 5 * time.Minute
	// DefaultStopTimeout is the time between SIGTERM and SIGKILL that ECS gives a
	// container whose definition does not say otherwise.
	DefaultStopTimeout = 30 * time.Second
	// StopReserve is the part of the stop timeout that is kept for ending a job, so
	// that GitHub shows it as cancelled and not as lost.
	StopReserve = 10 * time.Second
)

// Where the supervisor and its surroundings are in the image.
const (
	// RunnerUser is the name, RunnerUID the user and group id, that jobs run as.
	RunnerUser = "runner"
	RunnerUID  = 1001
	// RunnerRoot holds actions/runner. It is the home of RunnerUser too, and the
	// only directory it can write, apart from those Debian opens to everybody.
	RunnerRoot = "/home/runner"
	// SupervisorRoot holds what comes from this library: the supervisor and the two
	// hook scripts that the runner calls.
	SupervisorRoot = "/opt/ecsrunners"
	// SupervisorSocket is the unix socket on which the hooks reach the supervisor.
	SupervisorSocket = "/run/ecsrunners/supervisor.sock"
	// HooksRoot holds the customer's own hooks, in a folder for each Hook.
	HooksRoot = "/etc/ecsrunners/hooks.d"
)

// Hook is a moment in a job at which the runner calls hooks. It names the folder
// of the customer's hooks below HooksRoot and, with ".sh", our hook script.
type Hook string

// The hooks of actions/runner.
const (
	HookJobStarted   Hook = "job-started"
	HookJobCompleted Hook = "job-completed"
)

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

// Reasons for the end of a runner. RunnerEnds explains them.
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

// RunnerEnd explains one way in which a runner ends.
type RunnerEnd struct {
	Code   ExitCode
	Reason Reason
	Text   string
	// Limit is the variable that sets when it comes to this, if there is one.
	Limit string
}

// RunnerEnds lists every way in which a runner ends.
func RunnerEnds() []RunnerEnd {
	return []RunnerEnd{
		{ExitJobRan, ReasonJobRan, "A job ran. Its result is GitHub's to tell; a failed job is a job that ran.", ""},
		{ExitIdle, ReasonIdle, "No job came within the idle timeout, and the fleet had no other job that waits; the registration was removed first.", EnvIdleTimeout},
		{ExitNoWork, ReasonNoWork, "The fleet had no open job left when the task started.", ""},
		{ExitNotRegistered, ReasonRefused, "The registration service refused the task, or does not speak this image's contract version.", ""},
		{ExitNotRegistered, ReasonUnreachable, "The registration service gave no usable answer for ten minutes.", ""},
		{ExitDeprecated, ReasonDeprecated, "GitHub no longer accepts this version of actions/runner: rebuild the image.", ""},
		{ExitListenerFailed, ReasonListenerFailed, "Runner.Listener ended on its own, or could not be started.", ""},
		{ExitListenerFailed, ReasonStartTimeout, "Runner.Listener did not listen for jobs within the start timeout.", EnvStartTimeout},
		{ExitLifetime, ReasonLifetime, "The lifetime was over; a job that was still running was cancelled.", EnvLifetime},
		{ExitStoppedDuringJob, ReasonStoppedDuringJob, "ECS stopped the task and its job did not finish within the stop timeout: it was cancelled.", EnvStopTimeout},
		{ExitMisconfigured, ReasonMisconfigured, "The environment or the image lacks something the supervisor needs; the log names it.", ""},
		{ExitStoppedWithoutJob, ReasonStoppedWithoutJob, "ECS stopped the task while it had no job.", ""},
	}
}

// ExitCode returns the exit code of r. A reason that nobody knows counts as a
// failure of the listener.
func (r Reason) ExitCode() ExitCode {
	for _, end := range RunnerEnds() {
		if end.Reason == r {
			return end.Code
		}
	}
	return ExitListenerFailed
}

// Paths of the registration API. Every request is a POST, signed with the task
// role for the service "lambda", with a RegistrationRequest as its body.
const (
	// PathRegister asks for a runner: 200 with a Registration, or 204 when the fleet
	// has no work left. The same task may ask again until it has sent PathStarted,
	// and then gets a new runner.
	PathRegister = "/register"
	// PathStarted says that the listener starts now: 204.
	PathStarted = "/started"
	// PathRelease removes the task's runner if it never took a job: 204, or 409 when
	// GitHub says that it is busy. After PathStarted it takes the ReleaseToken of the
	// registration: 403 without.
	PathRelease = "/release"
)

// RegistrationRequest is the body of every request to the registration API. Who
// asks, and for which job, is told by the signature and not by the body. An
// answer of 426 says that Contract is not a version the service speaks.
type RegistrationRequest struct {
	Contract int `json:"contract"`
	// ReleaseToken is the token of the registration that PathRelease gives back.
	ReleaseToken Secret `json:"release_token,omitempty"`
}

// Registration is the answer to PathRegister.
type Registration struct {
	RunnerID   int64  `json:"runner_id"`
	RunnerName string `json:"runner_name"`
	// JITConfig is the just-in-time configuration of the runner: the credential with
	// which it takes its one job.
	JITConfig Secret `json:"jit_config"`
	// ReleaseToken shows that a release comes from the supervisor. A job has the
	// credentials of the task's role, too: could it give its runner back when it is
	// over, it would be registered once more, for somebody else's job.
	ReleaseToken Secret `json:"release_token"`
}

// RegistrationError is the body of an answer that is not a success.
type RegistrationError struct {
	Error string `json:"error"`
}

// Secret is a text that nobody must see. Formatting and logging show a
// placeholder; only encoding it as JSON and Reveal give the value.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String returns a placeholder.
func (s Secret) String() string { return "[secret]" }

// GoString returns a placeholder.
func (s Secret) GoString() string { return s.String() }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Limits of the parts of a runner's name. GitHub allows 64 characters.
const (
	MaxRunnerName = 64
	MaxDeployment = 8
	MaxFleetName  = 24
	// TaskIDPart is how much of the task id stands in the name.
	TaskIDPart = 8
)

// RunnerName is the name of a runner, in its parts. The deployment keeps apart
// two deployments in one organization; the nonce makes names of repeated
// registrations differ.
type RunnerName struct {
	Deployment, Fleet, JobID, Task, Nonce string
}

// ErrRunnerName says that a name is not one that RunnerName makes.
var ErrRunnerName = errors.New("not a runner name of ours")

// String returns the name as GitHub knows it. Task may be a whole task id.
func (n RunnerName) String() string {
	return strings.Join([]string{n.Deployment, n.Fleet, n.JobID, n.Task[:min(len(n.Task), TaskIDPart)], n.Nonce}, "-")
}

// ParseRunnerName takes a name apart. A fleet's name may contain dashes, the
// other parts do not.
func ParseRunnerName(name string) (RunnerName, error) {
	parts := strings.Split(name, "-")
	last := len(parts) - 1
	if last < 4 || len(name) > MaxRunnerName {
		return RunnerName{}, fmt.Errorf("%w: %q", ErrRunnerName, name)
	}
	n := RunnerName{
		Deployment: parts[0],
		Fleet:      strings.Join(parts[1:last-2], "-"),
		JobID:      parts[last-2],
		Task:       parts[last-1],
		Nonce:      parts[last],
	}
	_, taskErr := strconv.ParseUint(n.Task, 16, 32)
	if n.Deployment == "" || n.Fleet == "" || n.Nonce == "" || !IsJobID(n.JobID) || taskErr != nil || len(n.Task) != TaskIDPart {
		return RunnerName{}, fmt.Errorf("%w: %q", ErrRunnerName, name)
	}
	return n, nil
}

// Runner is the configuration of the supervisor in a runner container.
type Runner struct {
	// RegistrationURL is the base of the registration API, RegistrationRegion the
	// region its requests are signed for. Both are required.
	RegistrationURL    string
	RegistrationRegion string
	// IdleTimeout is how long the runner waits for a job.
	// Default: DefaultIdleTimeout.
	IdleTimeout time.Duration
	// Lifetime is how long the task lives. It ends jobs: one that is still running
	// is cancelled. Default: DefaultLifetime.
	Lifetime time.Duration
	// StartTimeout is how long the listener may take until it listens.
	// Default: DefaultStartTimeout.
	StartTimeout time.Duration
	// StopTimeout is the stop timeout of the container. It must be the one in the
	// container definition. Default: DefaultStopTimeout.
	StopTimeout time.Duration

	// Fleet and JobID say what the task was started for. Both are required in a
	// task, and set by it rather than in the task definition.
	Fleet string
	JobID string
	// Repository, Attempt and DeliveryID are for the log only.
	Repository string
	Attempt    string
	DeliveryID string
}

// ErrRunnerEnvironment says that the environment of a runner container lacks a
// variable or has one that cannot be used.
var ErrRunnerEnvironment = errors.New("the environment does not fit")

// Environment returns the variables of the task definition that carry r.
func (r Runner) Environment() map[string]string {
	r = r.withDefaults()
	return map[string]string{
		EnvContract:           strconv.Itoa(Version),
		EnvRegistrationURL:    r.RegistrationURL,
		EnvRegistrationRegion: r.RegistrationRegion,
		EnvIdleTimeout:        r.IdleTimeout.String(),
		EnvLifetime:           r.Lifetime.String(),
		EnvStartTimeout:       r.StartTimeout.String(),
		EnvStopTimeout:        r.StopTimeout.String(),
	}
}

// withDefaults returns r with every default filled in.
func (r Runner) withDefaults() Runner {
	for _, limit := range []struct {
		value *time.Duration
		alt   time.Duration
	}{
		{&r.IdleTimeout, DefaultIdleTimeout},
		{&r.Lifetime, DefaultLifetime},
		{&r.StartTimeout, DefaultStartTimeout},
		{&r.StopTimeout, DefaultStopTimeout},
	} {
		if *limit.value == 0 {
			*limit.value = limit.alt
		}
	}
	return r
}

// ParseRunner reads the configuration with a function like os.LookupEnv. Its
// error names every variable that is missing or wrong.
func ParseRunner(lookup func(string) (string, bool)) (Runner, error) {
	var errs []error
	optional := func(name string) string {
		v, _ := lookup(name)
		return strings.TrimSpace(v)
	}
	required := func(name string) string {
		v := optional(name)
		if v == "" {
			errs = append(errs, fmt.Errorf("%s is required", name))
		}
		return v
	}
	duration := func(name string) time.Duration {
		v := optional(name)
		if v == "" {
			return 0
		}
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			errs = append(errs, fmt.Errorf("%s is %q, want a positive duration such as 5m", name, v))
		}
		return d
	}
	if v := required(EnvContract); v != "" && v != strconv.Itoa(Version) {
		errs = append(errs, fmt.Errorf("%s is %q, this image speaks version %d: rebuild the image, or deploy the stacks that belong to it", EnvContract, v, Version))
	}
	r := Runner{
		RegistrationURL:    strings.TrimRight(required(EnvRegistrationURL), "/"),
		RegistrationRegion: required(EnvRegistrationRegion),
		IdleTimeout:        duration(EnvIdleTimeout),
		Lifetime:           duration(EnvLifetime),
		StartTimeout:       duration(EnvStartTimeout),
		StopTimeout:        duration(EnvStopTimeout),
		Fleet:              required(EnvFleet),
		JobID:              required(EnvJobID),
		Repository:         optional(EnvRepository),
		Attempt:            optional(EnvAttempt),
		DeliveryID:         optional(EnvDeliveryID),
	}
	if u, err := url.Parse(r.RegistrationURL); r.RegistrationURL != "" &&
		(err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		errs = append(errs, fmt.Errorf("%s is %q, want an http or https address", EnvRegistrationURL, r.RegistrationURL))
	}
	if len(errs) > 0 {
		return Runner{}, fmt.Errorf("%w: %w", ErrRunnerEnvironment, errors.Join(errs...))
	}
	return r.withDefaults(), nil
}

// RunnerVariable describes an environment variable of the runner container.
type RunnerVariable struct {
	Name string
	// Default is the value when it is not set: "required" if it must be.
	Default string
	Text    string
}

// RunnerVariables describes the environment variables of the runner container.
func RunnerVariables() []RunnerVariable {
	const required = "required"
	return []RunnerVariable{
		{EnvContract, required, "Version of the contract the task definition was written for."},
		{EnvRegistrationURL, required, "Address of the registration service."},
		{EnvRegistrationRegion, required, "Region for which requests to it are signed."},
		{EnvIdleTimeout, DefaultIdleTimeout.String(), "How long a runner waits for a job."},
		{EnvLifetime, DefaultLifetime.String(), "How long a task lives. It ends jobs: one that is still running is cancelled."},
		{EnvStartTimeout, DefaultStartTimeout.String(), "How long Runner.Listener may take until it listens for jobs."},
		{EnvStopTimeout, DefaultStopTimeout.String(), "The container's stop timeout. A running job may use all of it but the last " + StopReserve.String() + "."},
		{EnvFleet, required, "Fleet the task works for."},
		{EnvJobID, required, "Job the task was started for."},
		{EnvRepository, "", "Repository of that job; for the log."},
		{EnvAttempt, "", "Which dispatch of that job started the task; for the log."},
		{EnvDeliveryID, "", "GitHub's delivery that started the task; for the log."},
	}
}
