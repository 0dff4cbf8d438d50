package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// WebhookIngressProps are the settings of a [WebhookIngress]. Owners is
// required.
type WebhookIngressProps struct {
	// Owners are the organizations and users whose deliveries are accepted. What
	// others sign with the same secret is answered but ignored. Required.
	Owners []string

	// Repositories are patterns of the full names of repositories whose deliveries
	// are accepted; * stands for any characters but /: "my-org/service-*".
	//
	// Default: all repositories of Owners.
	Repositories []string

	// Events are the types of GitHub events that are put on the bus, or "*" alone
	// for all. Runners need workflow_job.
	//
	// Default: workflow_job.
	Events []string

	// AllowPublicRepositories accepts deliveries of public repositories. Anybody
	// can run code on a runner of a public repository with a pull request.
	//
	// Default: false.
	AllowPublicRepositories bool

	// EventBus that gets the events. It must be a classic custom bus, because the
	// newer kind cannot start ECS tasks.
	//
	// Default: a new bus.
	EventBus awsevents.IEventBus

	// EventBusName is the physical name of the new bus. Not allowed with EventBus.
	//
	// Default: named by CloudFormation.
	EventBusName string

	// SchemaDiscovery lets EventBridge derive schemas from the events, a help while
	// developing rules. Beyond five million events a month it costs extra, it does
	// not work with a bus under a customer's KMS key, and the schemas stay when
	// the stack is deleted. Events of other accounts are left out.
	//
	// Default: false.
	SchemaDiscovery bool

	// ArchiveRetention archives the events for that many whole days. A replay of
	// queued jobs starts tasks for jobs that have long ended: they find no work
	// and leave, but instances start for them.
	//
	// Default: no archive.
	ArchiveRetention awscdk.Duration

	// MaximumEventAge is how long EventBridge tries to start a task for a queued job,
	// 1 minute to 24 hours. The event is in the dead-letter queue afterwards.
	//
	// Default: 15 minutes.
	MaximumEventAge awscdk.Duration

	// MaximumRetryAttempts is how often EventBridge tries, 0 to 185.
	//
	// Default: 185, as often as MaximumEventAge allows.
	MaximumRetryAttempts *int

	// Secret is the webhook's secret, a plain text.
	//
	// Default: a new secret with a random value. It is deleted with the stack.
	Secret awssecretsmanager.ISecret

	// SecretName is the physical name of the new secret. Not allowed with Secret.
	//
	// Default: named by CloudFormation.
	SecretName string

	// PreviousSecret is accepted as well, so that the secret can be changed
	// without a gap: deploy with the new one in Secret and the old one here, change
	// it at GitHub, deploy without PreviousSecret; only then delete the old one.
	//
	// Default: none.
	PreviousSecret awssecretsmanager.ISecret

	// SecretCacheTTL is how long the function uses a secret before reading it
	// again, 1 second to 1 hour. A signature that does not match makes it read
	// earlier, at most once in 10 seconds.
	//
	// Default: 5 minutes.
	SecretCacheTTL awscdk.Duration

	// FunctionName is the physical name of the Lambda function.
	//
	// Default: named by CloudFormation.
	FunctionName string

	// Architecture of the function.
	//
	// Default: ARM64.
	Architecture Architecture

	// MemorySizeMiB of the function, 128 to 10240. Its share of a processor grows
	// with it.
	//
	// Default: 256.
	MemorySizeMiB int

	// Timeout of the function, 10 to 60 seconds. GitHub waits 10 seconds.
	//
	// Default: 10 seconds.
	Timeout awscdk.Duration

	// ReservedConcurrency bounds the function, and keeps that share of the
	// account's concurrency for it. A function URL takes ten requests a second for
	// each unit and answers 429 beyond; GitHub does not deliver again by itself.
	// With 10, a burst of more than 100 deliveries in a second loses some. Without
	// a reservation nothing is lost so, but whoever floods the public URL takes
	// concurrency from the account's other functions. Lambda refuses a reservation that leaves the account less than its minimum, as in
	// new accounts with a limit of 10. 0 turns the ingress off.
	//
	// Default: none.
	ReservedConcurrency *int

	// LogRetentionDays of the function's log group, one of the values of
	// CloudWatch Logs. The log group stays when the stack is deleted.
	//
	// Default: 30.
	LogRetentionDays int

	// Tracing sends traces to AWS X-Ray.
	//
	// Default: false.
	Tracing bool

	// Code replaces the function's program, for those who build it elsewhere. It
	// must hold an executable named bootstrap for Architecture.
	//
	// Default: our program, built at synthesis.
	Code awslambda.Code
}

// settings are the props without their references to other resources, with
// defaults, and what is wrong with either.
func (p *WebhookIngressProps) settings() (settings.Webhook, settings.Problems) {
	s := settings.Webhook{
		Owners:                  p.Owners,
		Repositories:            p.Repositories,
		Events:                  p.Events,
		AllowPublicRepositories: p.AllowPublicRepositories,
		EventBusName:            p.EventBusName,
		SchemaDiscovery:         p.SchemaDiscovery,
		ArchiveRetention:        duration(p.ArchiveRetention),
		MaximumEventAge:         duration(p.MaximumEventAge),
		MaximumRetryAttempts:    p.MaximumRetryAttempts,
		SecretName:              p.SecretName,
		SecretCacheTTL:          duration(p.SecretCacheTTL),
		FunctionName:            p.FunctionName,
		Architecture:            p.Architecture,
		MemorySizeMiB:           p.MemorySizeMiB,
		Timeout:                 duration(p.Timeout),
		ReservedConcurrency:     p.ReservedConcurrency,
		LogRetentionDays:        p.LogRetentionDays,
		Tracing:                 p.Tracing,
	}.WithDefaults()
	problems := s.Validate()
	if p.EventBus != nil && p.EventBusName != "" {
		problems.Add("EventBusName", p.EventBusName, "a name for the new bus only: leave out EventBus or EventBusName")
	}
	if p.Secret != nil && p.SecretName != "" {
		problems.Add("SecretName", p.SecretName, "a name for the new secret only: leave out Secret or SecretName")
	}
	return s, problems
}
