package webhook

import (
	"fmt"
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
	EnvRoutes              = "ECSRUNNERS_ROUTES"
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
	// MetricDeliveries counts deliveries, by function and outcome.
	MetricDeliveries = "Deliveries"
	// MetricPutFailures counts calls of PutEvents that failed, those included that
	// a later attempt made good; by function, like those below. No data means none.
	MetricPutFailures = "PutFailures"
	// MetricUncoveredJobs counts queued jobs that get no runner, because no fleet
	// covers their labels.
	MetricUncoveredJobs = "UncoveredJobs"
	// MetricGitHubHostedJobs counts queued jobs meant for GitHub's own runners.
	// They are not among the uncovered ones.
	MetricGitHubHostedJobs = "GitHubHostedJobs"
	// MetricStaleJobs counts queued events of jobs that were queued so long ago that
	// GitHub has cancelled them: they start no task.
	MetricStaleJobs = "StaleJobs"
)

// MaxQueued is the age of a job from which its queued event starts no task. GitHub
// cancels a job that has waited for 24 hours, so that what claims to be queued for
// longer is a delivery that somebody has kept.
const MaxQueued = 25 * time.Hour

// Outcome is what became of a delivery: the value of contract.DimensionOutcome.
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

// Config is the configuration of the webhook program. The construct turns it into
// environment variables with Environment, the program reads them back with Parse.
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
	// Routes is the route table; the first fleet that covers a job takes it.
	// The labels package checks it.
	Routes []contract.Fleet
}

// variables binds the variables to the fields of c.
func (c *Config) variables() env.Table {
	isEvent := func(s string) bool { return contract.IsEventName(s) || s == AllEvents && len(c.Events) == 1 }
	const example = `[{"name":"linux","labels":["self-hosted","linux"]}]`
	return env.Table{
		{Name: EnvEventBus, Text: "name or ARN of the event bus", Required: true, Value: env.Text(&c.EventBus)},
		{Name: EnvSecretID, Text: "name or ARN of the webhook secret in Secrets Manager", Required: true, Value: env.Text(&c.SecretID)},
		{Name: EnvPreviousSecretID, Text: "a second secret that is accepted while secrets are being replaced", Value: env.Text(&c.PreviousSecretID)},
		{
			Name: EnvSecretTTL, Text: "how long a secret is used before it is read again",
			Default: DefaultSecretTTL.String(), Value: env.Duration(&c.SecretTTL, time.Second),
		},
		{
			Name: EnvAllowedOwners, Text: "organizations and users whose deliveries are accepted, comma-separated",
			Required: true, Value: env.List(&c.Owners, contract.IsOwner, "the login of an organization or a user"),
		},
		{
			Name: EnvAllowedRepositories, Text: "patterns of repositories, such as my-org/service-* (default: all of the owners)",
			Value: env.List(&c.Repositories, contract.IsRepositoryPattern, "owner/name, where * stands for any characters but /"),
		},
		{
			Name: EnvAllowedEvents, Text: "event types put on the bus, or * for all",
			Default: contract.DetailTypeWorkflowJob, Value: env.List(&c.Events, isEvent, "names of events, or * alone"),
		},
		{Name: EnvAllowPublic, Text: "true accepts public repositories", Default: "false", Value: env.Bool(&c.AllowPublic)},
		{Name: EnvRoutes, Text: "fleets in order, such as " + example, Default: "[]", Value: env.JSON(&c.Routes, example, nil)},
	}
}

// Environment returns the environment variables that carry c. Variables with
// nothing to say are left out. Its error names every setting that is missing or
// wrong, or is env.ErrTooLarge.
func (c Config) Environment() (map[string]string, error) {
	return c.variables().RenderFunction(fmt.Sprintf(
		"use fewer or shorter labels and repository patterns, or a second webhook for some of the %d fleets", len(c.Routes)))
}

// Parse reads the configuration with a function like os.LookupEnv. Its error names
// every variable that is missing or wrong.
func Parse(lookup func(string) (string, bool)) (Config, error) {
	return env.Parse((*Config).variables, lookup)
}

// Variables describes the environment variables.
func Variables() env.Table { return new(Config).variables() }
