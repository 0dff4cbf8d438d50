// Supervisor is the first process of a runner container. It registers a runner,
// starts Runner.Listener for it as an unprivileged user, sees to it that the
// container neither waits nor lives forever, lets a job finish when the container
// is asked to stop, and ends with an exit code that says what became of it.
//
//	supervisor                     run one runner; configured by the environment
//	supervisor hook job-started    called by the runner when a job starts
//	supervisor hook job-completed  called by the runner when a job is over
//	supervisor check               check that this image can run runners
//
// Package lifecycle decides; this program does. It is root, and the only process
// of the container that is: the configuration of the runner, which is a
// credential, exists in its memory and in the environment of the listener alone,
// and is never written, printed or passed as an argument.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/lifecycle"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/registration"
)

func main() {
	os.Exit(command(os.Args[1:], standard(), systemClock{}))
}

// command runs the command that args name and returns its exit code.
func command(args []string, img image, clock registration.Clock) int {
	name := "run"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	var err error
	switch name {
	case "run":
		return int(run(img, clock, os.Stdout))
	case "hook":
		err = hook(args, img)
	case "check":
		err = checkCommand(args, img)
	default:
		err = fmt.Errorf("%q is not a command: run, hook or check", name)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "supervisor:", err)
	var failed exitError
	if errors.As(err, &failed) {
		return failed.code
	}
	return int(runnercontract.ExitMisconfigured)
}

// exitError is a failure that another program has already explained.
type exitError struct {
	what string
	code int
}

func (e exitError) Error() string { return fmt.Sprintf("%s ended with code %d", e.what, e.code) }

// run runs one runner and returns the exit code of the container.
func run(img image, clock registration.Clock, stdout io.Writer) runnercontract.ExitCode {
	out := newConsole(stdout)
	log := slog.New(slog.NewJSONHandler(out, nil))
	begun := clock.Now()
	config, err := runnercontract.Parse(os.LookupEnv)
	if err == nil {
		var code runnercontract.ExitCode
		if code, err = supervise(config, img, clock, out, log); err == nil {
			return code
		}
	}
	took := lifecycle.Seconds(clock.Now().Sub(begun))
	out.last(config, lifecycle.Summary{
		Reason:    runnercontract.ReasonMisconfigured,
		ExitCode:  runnercontract.ExitMisconfigured,
		Detail:    err.Error(),
		Durations: lifecycle.Durations{End: took, Total: took},
	})
	return runnercontract.ExitMisconfigured
}

// Variables in which ECS says where the credentials of the task role are.
const (
	envCredentialsPath  = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	envCredentialsURL   = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	credentialsEndpoint = "http://169.254.170.2"
)

var errNoCredentials = errors.New("the task has no role: neither " + envCredentialsPath + " nor " + envCredentialsURL + " is set")

// taskCredentials returns the credentials of the task role. The usual chain of
// providers is not wanted here: falling back to the host's role would turn a task
// without a role into one with the rights of its host.
func taskCredentials(lookup func(string) (string, bool)) (aws.CredentialsProvider, error) {
	if path, ok := lookup(envCredentialsPath); ok && path != "" {
		return aws.NewCredentialsCache(endpointcreds.New(credentialsEndpoint + path)), nil
	}
	if url, ok := lookup(envCredentialsURL); ok && url != "" {
		return aws.NewCredentialsCache(endpointcreds.New(url)), nil
	}
	return nil, errNoCredentials
}

// newClient returns the client of the registration service.
func newClient(config runnercontract.Config, clock registration.Clock, log *slog.Logger) (*registration.Client, error) {
	credentials, err := taskCredentials(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	return &registration.Client{
		URL:         config.RegistrationURL,
		Region:      config.RegistrationRegion,
		Credentials: credentials,
		HTTP:        &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Clock:       clock,
		Retried: func(err error, pause time.Duration) {
			log.Warn("asking the registration service again", "error", err.Error(), "pause", pause.String())
		},
	}, nil
}

// systemClock is the time of the machine.
type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
