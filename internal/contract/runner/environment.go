package runner

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Environment variables of the runner container. The first group is the same for
// every task of a fleet and stands in its task definition, the second is set for
// one task by the overrides of RunTask. Variables explains them.
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

// Config is the configuration of the supervisor in a runner container.
type Config struct {
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

// ErrEnvironment says that the environment of a runner container lacks a
// variable or has one that cannot be used.
var ErrEnvironment = errors.New("the environment does not fit")

// Environment returns the variables of the task definition that carry r.
func (r Config) Environment() map[string]string {
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
func (r Config) withDefaults() Config {
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

// Parse reads the configuration with a function like os.LookupEnv. Its
// error names every variable that is missing or wrong.
func Parse(lookup func(string) (string, bool)) (Config, error) {
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
	r := Config{
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
		return Config{}, fmt.Errorf("%w: %w", ErrEnvironment, errors.Join(errs...))
	}
	return r.withDefaults(), nil
}

// Variable describes an environment variable of the runner container.
type Variable struct {
	Name string
	// Default is the value when it is not set: "required" if it must be.
	Default string
	Text    string
}

// Variables describes the environment variables of the runner container.
func Variables() []Variable {
	const required = "required"
	return []Variable{
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
