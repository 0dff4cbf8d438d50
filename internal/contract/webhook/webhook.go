// Package webhook is what the webhook function and its construct agree on: the
// environment variables and the metrics.
package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
)

// Environment variables of the webhook program. Variables explains them.
const (
	EnvEventBus            = "ECSRUNNERS_EVENT_BUS"
	EnvSecretID            = "ECSRUNNERS_WEBHOOK_SECRET_ID"
	EnvPreviousSecretID    = "ECSRUNNERS_WEBHOOK_PREVIOUS_SECRET_ID"
	EnvSecretTTL           = "ECSRUNNERS_WEBHOOK_SECRET_TTL"
	EnvAllowedOwners       = "ECSRUNNERS_ALLOWED_OWNERS"
	EnvAllowedRepositories = "ECSRUNNERS_ALLOWED_REPOSITORIES"
	EnvAllowedEvents       = "ECSRUNNERS_ALLOWED_EVENTS"
	EnvAllowPublic         = "ECSRUNNERS_ALLOW_PUBLIC_REPOSITORIES"
	EnvFleets              = "ECSRUNNERS_FLEETS"
)

const (
	// AllEvents allows every event type; it must be the only allowed event.
	AllEvents = "*"
	// DefaultSecretTTL is how long the program uses a secret it has read.
	DefaultSecretTTL = 5 * time.Minute
)

// Metrics of the webhook program, in the namespace MetricNamespace.
const (
	MetricNamespace = "ECSRunners/Webhook"
	// MetricDeliveries counts deliveries, by DimensionFunction and DimensionOutcome.
	MetricDeliveries = "Deliveries"
	// MetricPutFailures counts calls of PutEvents that failed, those included that
	// a later attempt made good; by DimensionFunction, like those below. No data
	// means none.
	MetricPutFailures = "PutFailures"
	// MetricUncoveredJobs counts queued jobs that get no runner, because no fleet
	// covers their labels.
	MetricUncoveredJobs = "UncoveredJobs"
	// MetricGitHubHostedJobs counts queued jobs meant for GitHub's own runners.
	// They are not among the uncovered ones.
	MetricGitHubHostedJobs = "GitHubHostedJobs"
)

// Outcome is what became of a delivery: the value of DimensionOutcome.
type Outcome string

// Outcomes of a delivery, with the status codes GitHub is answered.
const (
	OutcomeAccepted     Outcome = "accepted"     // 202: on the bus
	OutcomePing         Outcome = "ping"         // 200: GitHub tried the webhook
	OutcomeIgnored      Outcome = "ignored"      // 200: not allowed, or nothing to do
	OutcomeUnauthorized Outcome = "unauthorized" // 401: not signed by GitHub
	OutcomeInvalid      Outcome = "invalid"      // 400, 405, 413, 415: not a delivery
	OutcomeUnavailable  Outcome = "unavailable"  // 503: to be delivered again
	OutcomeFailed       Outcome = "failed"       // 500: a defect of the program
)

// Outcomes lists every outcome.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeAccepted, OutcomePing, OutcomeIgnored,
		OutcomeUnauthorized, OutcomeInvalid, OutcomeUnavailable, OutcomeFailed,
	}
}

// Config is the configuration of the webhook program. The construct turns it
// into environment variables with Environment, the program reads them back with
// Parse.
type Config struct {
	// EventBus is the name or ARN of the bus. Required.
	EventBus string
	// SecretID is the name or ARN of the webhook secret. Required.
	SecretID string
	// PreviousSecretID names a second secret that is accepted too, while a secret
	// is being replaced. Default: none.
	PreviousSecretID string
	// SecretTTL is how long a secret is used before it is read again.
	// Default: DefaultSecretTTL.
	SecretTTL time.Duration
	// Owners are the accounts whose deliveries are accepted. At least one.
	Owners []string
	// Repositories are patterns of full names, as path.Match understands them:
	// "my-org/app", "my-org/service-*", "*/docs". Default: every repository of the
	// owners.
	Repositories []string
	// Events are the event types put on the bus; AllEvents alone allows all.
	// Default: workflow_job.
	Events []string
	// AllowPublic accepts public repositories, where a pull request from anybody
	// may run code on a runner. Default: false.
	AllowPublic bool
	// Fleets is the route table; the first fleet that covers a job takes it.
	// The labels package checks it.
	Fleets []contract.Fleet
}

// withDefaults returns w with every default filled in.
func (w Config) withDefaults() Config {
	if w.SecretTTL == 0 {
		w.SecretTTL = DefaultSecretTTL
	}
	if len(w.Events) == 0 {
		w.Events = []string{contract.DetailTypeWorkflowJob}
	}
	return w
}

// Validate reports every setting that is missing or wrong. Fleets are checked by
// the labels package.
func (w Config) Validate() error {
	w = w.withDefaults()
	var errs []error
	require := func(name string, ok bool) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s %w", name, env.ErrMissing))
		}
	}
	reject := func(name, value, want string) {
		errs = append(errs, fmt.Errorf("%s %w: %q, want %s", name, env.ErrInvalid, value, want))
	}
	require(EnvEventBus, w.EventBus != "")
	require(EnvSecretID, w.SecretID != "")
	require(EnvAllowedOwners, len(w.Owners) > 0)
	if w.SecretTTL < time.Second {
		reject(EnvSecretTTL, w.SecretTTL.String(), "at least 1s")
	}
	for _, owner := range w.Owners {
		if !contract.IsOwner(owner) {
			reject(EnvAllowedOwners, owner, "the login of an organization or a user")
		}
	}
	for _, pattern := range w.Repositories {
		if !contract.IsRepositoryPattern(pattern) {
			reject(EnvAllowedRepositories, pattern, "owner/name, where * stands for any characters but /")
		}
	}
	for _, event := range w.Events {
		if !contract.IsEventName(event) && (event != AllEvents || len(w.Events) > 1) {
			reject(EnvAllowedEvents, event, "names of events, or * alone")
		}
	}
	return errors.Join(errs...)
}

// Environment returns the environment variables that carry w. Variables with
// nothing to say are left out. It fails when w is not valid or does not fit.
func (w Config) Environment() (map[string]string, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	fleets := []byte("[]")
	if len(w.Fleets) > 0 {
		var err error
		if fleets, err = json.Marshal(w.Fleets); err != nil {
			return nil, fmt.Errorf("encoding fleets: %w", err)
		}
	}
	w = w.withDefaults()
	variables := map[string]string{
		EnvEventBus:            w.EventBus,
		EnvSecretID:            w.SecretID,
		EnvPreviousSecretID:    w.PreviousSecretID,
		EnvSecretTTL:           w.SecretTTL.String(),
		EnvAllowedOwners:       strings.Join(w.Owners, ","),
		EnvAllowedRepositories: strings.Join(w.Repositories, ","),
		EnvAllowedEvents:       strings.Join(w.Events, ","),
		EnvAllowPublic:         strconv.FormatBool(w.AllowPublic),
		EnvFleets:              string(fleets),
	}
	for name, value := range variables {
		if value == "" {
			delete(variables, name)
		}
	}
	if size := env.Size(variables); size > env.MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d: use fewer or shorter labels and repository patterns, or a second webhook for some of the %d fleets",
			env.ErrTooLarge, size, env.MaxSize, len(w.Fleets))
	}
	return variables, nil
}

// Parse reads the configuration with a function like os.LookupEnv. Its
// error names every variable that is missing or wrong.
func Parse(lookup func(string) (string, bool)) (Config, error) {
	value := func(name string) string {
		v, _ := lookup(name)
		return strings.TrimSpace(v)
	}
	w := Config{
		EventBus:         value(EnvEventBus),
		SecretID:         value(EnvSecretID),
		PreviousSecretID: value(EnvPreviousSecretID),
		Owners:           split(value(EnvAllowedOwners)),
		Repositories:     split(value(EnvAllowedRepositories)),
		Events:           split(value(EnvAllowedEvents)),
	}
	var errs []error
	reject := func(name, value, want string) {
		errs = append(errs, fmt.Errorf("%s %w: %q, want %s", name, env.ErrInvalid, value, want))
	}
	if v := value(EnvSecretTTL); v != "" {
		ttl, err := time.ParseDuration(v)
		if err != nil || ttl < time.Second {
			reject(EnvSecretTTL, v, "a duration of at least 1s, such as 5m")
			ttl = 0
		}
		w.SecretTTL = ttl
	}
	if v := value(EnvAllowPublic); v != "" {
		allow, err := strconv.ParseBool(v)
		if err != nil {
			reject(EnvAllowPublic, v, "true or false")
		}
		w.AllowPublic = allow
	}
	if v := value(EnvFleets); v != "" {
		decoder := json.NewDecoder(strings.NewReader(v))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&w.Fleets); err != nil || decoder.More() {
			reject(EnvFleets, v, `JSON such as [{"name":"linux","labels":["self-hosted","linux"]}]`)
		}
	}
	w = w.withDefaults()
	if err := errors.Join(append(errs, w.Validate())...); err != nil {
		return Config{}, fmt.Errorf("reading the environment: %w", err)
	}
	return w, nil
}

// Variables describes the environment variables of the webhook program.
func Variables() []env.Variable {
	return []env.Variable{
		{EnvEventBus, "name or ARN of the event bus (required)"},
		{EnvSecretID, "name or ARN of the webhook secret in Secrets Manager (required)"},
		{EnvPreviousSecretID, "a second secret that is accepted while secrets are being replaced"},
		{EnvSecretTTL, "how long a secret is used before it is read again (default 5m)"},
		{EnvAllowedOwners, "organizations and users whose deliveries are accepted, comma-separated (required)"},
		{EnvAllowedRepositories, "patterns of repositories, such as my-org/service-* (default: all of the owners)"},
		{EnvAllowedEvents, "event types put on the bus, or * for all (default workflow_job)"},
		{EnvAllowPublic, "true accepts public repositories (default false)"},
		{EnvFleets, `fleets in order, such as [{"name":"linux","labels":["self-hosted","linux"]}]`},
	}
}

// split returns the elements of a comma-separated list, without empty ones.
func split(list string) []string {
	var elements []string
	for element := range strings.SplitSeq(list, ",") {
		if element = strings.TrimSpace(element); element != "" {
			elements = append(elements, element)
		}
	}
	return elements
}
