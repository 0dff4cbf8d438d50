package constructs

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// WebhookIngressProps are the settings of a [WebhookIngress]. Owners is
// required.
type WebhookIngressProps struct {
	// Owners are the organizations and users whose deliveries are accepted. What
	// others sign with the same secret is answered but ignored. Required.
	Owners []string `json:"owners"`

	// Repositories are patterns of the full names of repositories whose deliveries
	// are accepted; * stands for any characters but /: "my-org/service-*".
	//
	// Default: all repositories of the owners.
	Repositories []string `json:"repositories"`

	// Events are the types of GitHub events that are put on the bus, or "*" alone
	// for all. Runners need workflow_job.
	//
	// Default: workflow_job.
	Events []string `json:"events"`

	// AllowPublicRepositories accepts deliveries of public repositories. Anybody
	// can run code on a runner of a public repository with a pull request.
	//
	// Default: false.
	AllowPublicRepositories bool `json:"allowPublicRepositories"`

	// EventBus that gets the events. It must be a classic custom bus, because the
	// newer kind cannot start ECS tasks.
	//
	// Default: a new bus.
	EventBus awsevents.IEventBus `json:"-"`

	// EventBusName is the physical name of the new bus. Not allowed with EventBus.
	//
	// Default: named by CloudFormation.
	EventBusName string `json:"eventBusName"`

	// SchemaDiscovery lets EventBridge derive schemas from the events, a help while
	// developing rules. Beyond five million events a month it costs extra, it does
	// not work with a bus under a customer's KMS key, and the schemas stay when
	// the stack is deleted. Events of other accounts are left out.
	//
	// Default: false.
	SchemaDiscovery bool `json:"schemaDiscovery"`

	// ArchiveRetention archives the events for that many whole days. A replay of
	// queued jobs starts tasks for jobs that have long ended: they find no work
	// and leave, but instances start for them.
	//
	// Default: no archive.
	ArchiveRetention time.Duration `json:"archiveRetention"`

	// MaximumEventAge is how long EventBridge tries to start a task for a queued job,
	// 1 minute to 24 hours. The event is in the dead-letter queue afterwards.
	//
	// Default: 15 minutes.
	MaximumEventAge time.Duration `json:"maximumEventAge"`

	// MaximumRetryAttempts is how often EventBridge tries, 0 to 185. It gives up
	// when either limit is reached: with 0, MaximumEventAge has no effect, of which
	// synthesis warns.
	//
	// Default: 185, as often as MaximumEventAge allows.
	MaximumRetryAttempts *int `json:"maximumRetryAttempts"`

	// Secret is the webhook's secret, a plain text.
	//
	// Default: a new secret with a random value. It is deleted with the stack.
	Secret awssecretsmanager.ISecret `json:"-"`

	// SecretName is the physical name of the new secret. Not allowed with Secret.
	//
	// Default: named by CloudFormation.
	SecretName string `json:"secretName"`

	// PreviousSecret is accepted as well, so that the secret can be changed
	// without a gap: deploy with the new one in Secret and the old one here, change
	// it at GitHub, deploy without PreviousSecret; only then delete the old one.
	//
	// Default: none.
	PreviousSecret awssecretsmanager.ISecret `json:"-"`

	// SecretCacheTTL is how long the function uses a secret before reading it
	// again, 1 second to 1 hour. A signature that does not match makes it read
	// earlier, at most once in 10 seconds.
	//
	// Default: 5 minutes.
	SecretCacheTTL time.Duration `json:"secretCacheTTL"`

	// FunctionName is the physical name of the Lambda function.
	//
	// Default: named by CloudFormation.
	FunctionName string `json:"functionName"`

	// Architecture is the processor architecture of the function.
	//
	// Default: ARM64.
	Architecture Architecture `json:"architecture" enum:"x64,arm64"`

	// MemorySizeMiB is the memory of the function in MiB, 128 to 10240. Its share of a
	// processor grows with it.
	//
	// Default: 256.
	MemorySizeMiB int `json:"memorySizeMiB"`

	// Timeout is the timeout of the function, 10 to 60 seconds. GitHub waits 10
	// seconds.
	//
	// Default: 10 seconds.
	Timeout time.Duration `json:"timeout"`

	// ReservedConcurrency bounds the function, and keeps that share of the
	// account's concurrency for it. A function URL takes ten requests a second for
	// each unit and answers 429 beyond; GitHub does not deliver again by itself.
	// With 10, a burst of more than 100 deliveries in a second loses some. Without
	// a reservation nothing is lost so, but whoever floods the public URL takes
	// concurrency from the account's other functions. Lambda refuses a reservation that leaves the account less than its minimum, as in
	// new accounts with a limit of 10. 0 turns the ingress off.
	//
	// Default: none.
	ReservedConcurrency *int `json:"reservedConcurrency"`

	// LogRetentionDays is how many days events stay in the function's log group, one of
	// the values of CloudWatch Logs. The log group stays when the stack is deleted.
	//
	// Default: 30.
	LogRetentionDays int `json:"logRetentionDays"`

	// Tracing sends traces to AWS X-Ray.
	//
	// Default: false.
	Tracing bool `json:"tracing"`

	// Code replaces the function's program, for those who build it elsewhere. It
	// must hold an executable named bootstrap for Architecture.
	//
	// Default: our program, built at synthesis.
	Code awslambda.Code `json:"-"`
}

// maximumRetryAttempts is EventBridge's own limit and default.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html
const maximumRetryAttempts = 185

// WithDefaults returns a copy with the defaults filled in.
func (p WebhookIngressProps) WithDefaults() WebhookIngressProps {
	p.Owners, p.Repositories, p.Events = slices.Clone(p.Owners), slices.Clone(p.Repositories), slices.Clone(p.Events)
	if len(p.Events) == 0 {
		p.Events = []string{contract.DetailTypeWorkflowJob}
	}
	p.MaximumEventAge = cmp.Or(p.MaximumEventAge, 15*time.Minute)
	p.MaximumRetryAttempts = orDefault(p.MaximumRetryAttempts, maximumRetryAttempts)
	p.SecretCacheTTL = cmp.Or(p.SecretCacheTTL, webhookcontract.DefaultSecretTTL)
	p.Architecture = cmp.Or(p.Architecture, ARM64)
	p.MemorySizeMiB = cmp.Or(p.MemorySizeMiB, 256)
	p.Timeout = cmp.Or(p.Timeout, 10*time.Second)
	p.ReservedConcurrency = clone(p.ReservedConcurrency)
	p.LogRetentionDays = cmp.Or(p.LogRetentionDays, 30)
	return p
}

var (
	eventBusName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,256}$`)
	secretName   = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
	functionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
	logRetentionDays = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
)

const secretNameRule = "at most 512 letters, digits and / _ + = . @ -"

// Validate returns an error that names every value that cannot work, or nil. Limits come from the API references of
// Lambda, EventBridge, Secrets Manager and CloudWatch Logs.
func (p WebhookIngressProps) Validate() error {
	p = p.WithDefaults()
	var l problem.List
	l.Choices(p)
	l.Secrets(p)
	if len(p.Owners) == 0 {
		l.Required("Owners", "the organizations and users whose jobs run here, at least one")
	}
	for i, owner := range p.Owners {
		if !contract.IsOwner(owner) {
			l.Invalid(fmt.Sprintf("Owners[%d]", i), owner, "the login of an organization or a user")
		}
	}
	for i, pattern := range p.Repositories {
		if !contract.IsRepositoryPattern(pattern) {
			l.Invalid(fmt.Sprintf("Repositories[%d]", i), pattern, `owner/name, where * stands for any characters but /, such as "my-org/service-*"`)
		} else if !p.mayAllow(pattern) {
			l.Invalid(fmt.Sprintf("Repositories[%d]", i), pattern, "of one of {Owners}: deliveries of others are ignored, whatever their repository")
		}
	}
	for i, event := range p.Events {
		if !contract.IsEventName(event) && (event != webhookcontract.AllEvents || len(p.Events) > 1) {
			l.Invalid(fmt.Sprintf("Events[%d]", i), event, `the name of a GitHub event, or "*" alone`)
		}
	}
	l.Match("EventBusName", p.EventBusName, eventBusName, "at most 256 letters, digits and . _ -")
	if p.EventBusName == "default" {
		l.Refused("EventBusName", `must not be "default": every account has a bus of that name already`)
	}
	if p.EventBus != nil && p.EventBusName != "" {
		l.Conflict("EventBusName", "EventBus", "it names the new bus")
	}
	l.Match("SecretName", p.SecretName, secretName, secretNameRule)
	if p.Secret != nil && p.SecretName != "" {
		l.Conflict("SecretName", "Secret", "it names the new secret")
	}
	if d := p.ArchiveRetention; d != 0 {
		validateDays(&l, "ArchiveRetention", d)
	}
	problem.Range(&l, "SecretCacheTTL", p.SecretCacheTTL, time.Second, time.Hour)
	if d := p.Timeout; d < 10*time.Second || d > time.Minute || d%time.Second != 0 {
		l.Invalid("Timeout", d, "10s to 1m in whole seconds, because the program tries the bus for up to 8s and GitHub waits 10s")
	}
	if d := p.MaximumEventAge; d < time.Minute || d > 24*time.Hour || d%time.Second != 0 {
		l.Invalid("MaximumEventAge", d, "1m to 24h in whole seconds")
	}
	problem.Range(&l, "MaximumRetryAttempts", *p.MaximumRetryAttempts, 0, maximumRetryAttempts)
	validateFunction(&l, p.FunctionName, p.MemorySizeMiB, p.ReservedConcurrency, p.LogRetentionDays)
	return l.Err()
}

// warnings name what works but is probably not meant. They expect Validate to have
// found nothing.
func (p WebhookIngressProps) warnings() []warning {
	if *p.MaximumRetryAttempts > 0 {
		return nil
	}
	return []warning{{"ecsrunners:eventAgeWithoutRetries", fmt.Sprintf("MaximumRetryAttempts is 0: EventBridge tries once to start a task, and MaximumEventAge (%s) has no effect; a job whose start ECS throttles gets no runner from its rule", problem.Duration(p.MaximumEventAge))}}
}

// AcceptsJobs reports whether Events has that of jobs, without which no fleet gets any.
func (p WebhookIngressProps) AcceptsJobs() bool {
	return slices.Contains(p.Events, contract.DetailTypeWorkflowJob) || slices.Contains(p.Events, webhookcontract.AllEvents)
}

// mayAllow reports whether a pattern matches repositories of one of Owners. It does
// while there are none, or none that can be.
func (p WebhookIngressProps) mayAllow(pattern string) bool {
	owners := slices.DeleteFunc(slices.Clone(p.Owners), func(owner string) bool { return !contract.IsOwner(owner) })
	return len(owners) < len(p.Owners) || len(owners) == 0 || slices.ContainsFunc(owners, func(owner string) bool {
		return matchesOwner(pattern, owner)
	})
}

// matchesOwner reports whether a pattern of repositories may match one of an owner.
func matchesOwner(pattern, owner string) bool {
	pattern, _, _ = strings.Cut(pattern, "/")
	return matches(pattern, owner)
}

// matches compares as the program does.
func matches(pattern, name string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
	return ok && err == nil
}

// ValidateFor returns an error that names what is accepted although none of the scopes
// in which runners are registered can serve it, or nil: such a job would start an
// instance and a task, and the registration would refuse the task. In an enterprise
// may be any organization.
func (p WebhookIngressProps) ValidateFor(scopes ...RunnerScope) error {
	var l problem.List
	scopes = slices.DeleteFunc(slices.Clone(scopes), func(s RunnerScope) bool { return s.scope.Kind == "" })
	if len(scopes) == 0 {
		return nil
	}
	var owners, repositories []string
	for _, s := range scopes {
		owners = append(owners, strconv.Quote(s.scope.Owner))
		repositories = append(repositories, s.repositories())
	}
	const refused = ": tasks for other jobs start, and are refused a runner"
	for i, owner := range p.Owners {
		if contract.IsOwner(owner) && !slices.ContainsFunc(scopes, func(s RunnerScope) bool { return s.hasOwner(owner) }) {
			l.Invalid(fmt.Sprintf("Owners[%d]", i), owner, problem.Or(unique(owners))+", where runners are registered"+refused)
		}
	}
	for i, pattern := range p.Repositories {
		if contract.IsRepositoryPattern(pattern) && p.mayAllow(pattern) && !slices.ContainsFunc(scopes, func(s RunnerScope) bool { return s.mayServe(pattern) }) {
			l.Invalid(fmt.Sprintf("Repositories[%d]", i), pattern, "a pattern that matches "+problem.Or(unique(repositories))+", where runners are registered"+refused)
		}
	}
	return l.Err()
}

// serves reports whether a scope can serve anything that is accepted.
func (p WebhookIngressProps) serves(s RunnerScope) bool {
	return slices.ContainsFunc(p.Owners, s.hasOwner) && (len(p.Repositories) == 0 || slices.ContainsFunc(p.Repositories, s.mayServe))
}

func unique(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}

// validateFunction checks the settings that all functions have.
func validateFunction(l *problem.List, name string, memorySizeMiB int, reservedConcurrency *int, retentionDays int) {
	validateFunctionName(l, name)
	problem.Range(l, "MemorySizeMiB", memorySizeMiB, 128, 10240)
	if n := reservedConcurrency; n != nil && *n < 0 {
		l.Invalid("ReservedConcurrency", *n, "0 or more")
	}
	validateLogRetention(l, retentionDays)
}

func validateFunctionName(l *problem.List, name string) {
	l.Match("FunctionName", name, functionName, "at most 64 letters, digits, - and _")
}

func validateLogRetention(l *problem.List, days int) {
	if !slices.Contains(logRetentionDays, days) {
		l.Invalid("LogRetentionDays", days, "one of "+fmt.Sprint(logRetentionDays))
	}
}

func validateDays(l *problem.List, path string, d time.Duration) {
	if d < 24*time.Hour || d%(24*time.Hour) != 0 {
		l.Invalid(path, d, "whole days, 24h or more")
	}
}
