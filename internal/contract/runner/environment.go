package runner

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
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

// EnvPrefix begins the names of all our variables. The supervisor passes none of
// them on to the runner: a job has no use for them.
const EnvPrefix = "ECSRUNNERS_"

// Limits of a runner, unless its fleet sets others.
const (
	// DefaultIdleTimeout is how long a runner waits for a job.
	DefaultIdleTimeout = 5 * time.Minute
	// DefaultLifetime is how long a job may run. It exceeds the six hours after
	// which GitHub itself ends a job by default.
	DefaultLifetime = 6*time.Hour + 30*time.Minute
	// DefaultStartTimeout is how long the listener may take until it listens. A
	// listener that finds its session taken tries for four minutes.
	DefaultStartTimeout = 5 * time.Minute
	// DefaultStopTimeout is the time between SIGTERM and SIGKILL that task definitions
	// ask for: the notice that AWS gives of a Spot interruption.
	DefaultStopTimeout = 2 * time.Minute
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
	// Lifetime is how long a job may run, from its own start. One that is still
	// running then is cancelled. Default: DefaultLifetime.
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

// definition binds the variables of the task definition to the fields of c.
func (c *Config) definition() env.Table {
	version := Version
	return env.Table{
		{
			Name: EnvContract, Text: "Version of the contract the task definition was written for.", Required: true,
			Value: env.Of(&version, strconv.Itoa, parseVersion,
				fmt.Sprintf("%d, the version of this image: rebuild the image, or deploy the stacks that belong to it", Version)),
		},
		{Name: EnvRegistrationURL, Text: "Address of the registration service.", Required: true, Value: address{env.Text(&c.RegistrationURL)}},
		{Name: EnvRegistrationRegion, Text: "Region for which requests to it are signed.", Required: true, Value: env.Text(&c.RegistrationRegion)},
		limit(EnvIdleTimeout, &c.IdleTimeout, DefaultIdleTimeout, "How long a runner waits for a job."),
		limit(EnvLifetime, &c.Lifetime, DefaultLifetime, "How long a job may run, from its start. One that is still running then is cancelled."),
		limit(EnvStartTimeout, &c.StartTimeout, DefaultStartTimeout, "How long Runner.Listener may take until it listens for jobs."),
		limit(EnvStopTimeout, &c.StopTimeout, DefaultStopTimeout, "The container's stop timeout. A running job may use all of it but the last "+StopReserve.String()+"."),
	}
}

// task binds the variables of one task to the fields of c.
func (c *Config) task() env.Table {
	return env.Table{
		{Name: EnvFleet, Text: "Fleet the task works for.", Required: true, Value: env.Text(&c.Fleet)},
		{Name: EnvJobID, Text: "Job the task was started for.", Required: true, Value: env.Text(&c.JobID)},
		{Name: EnvRepository, Text: "Repository of that job; for the log.", Value: env.Text(&c.Repository)},
		{Name: EnvAttempt, Text: "Which dispatch of that job started the task; for the log.", Value: env.Text(&c.Attempt)},
		{Name: EnvDeliveryID, Text: "GitHub's delivery that started the task; for the log.", Value: env.Text(&c.DeliveryID)},
	}
}

// TaskVariables are the names of the variables that the overrides of RunTask set:
// all that they may.
func TaskVariables() []string {
	var names []string
	for _, variable := range new(Config).task() {
		names = append(names, variable.Name)
	}
	return names
}

// variables binds all variables to the fields of c.
func (c *Config) variables() env.Table { return append(c.definition(), c.task()...) }

func limit(name string, p *time.Duration, alt time.Duration, text string) env.Variable {
	return env.Variable{Name: name, Text: text, Default: alt.String(), Value: env.Duration(p, time.Millisecond)}
}

func parseVersion(s string) (int, error) {
	if s != strconv.Itoa(Version) {
		return 0, env.ErrInvalid
	}
	return Version, nil
}

// address is the value of an HTTP address. It is checked where it is read: in the
// construct it is known at deployment only.
type address struct{ env.Value }

func (a address) Set(name, text string) error {
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return env.Invalid(name, text, "an http or https address")
	}
	return a.Value.Set(name, strings.TrimRight(text, "/"))
}

// Environment returns the variables of the task definition that carry c. Its error
// names every setting that is missing or wrong.
func (c Config) Environment() (map[string]string, error) { return c.definition().Render() }

// Parse reads the configuration with a function like os.LookupEnv. Its error names
// every variable that is missing or wrong.
func Parse(lookup func(string) (string, bool)) (Config, error) {
	return env.Parse((*Config).variables, lookup)
}

// Variables describes the environment variables of the runner container.
func Variables() env.Table { return new(Config).variables() }
