package settings

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
)

// Webhook is the ingress of GitHub's deliveries. What each field means is told
// at constructs.WebhookIngressProps.
type Webhook struct {
	Owners                  []string `json:"owners"`
	Repositories            []string `json:"repositories"`
	Events                  []string `json:"events"`
	AllowPublicRepositories bool     `json:"allowPublicRepositories"`

	EventBusName     string    `json:"eventBusName"`
	SchemaDiscovery  bool      `json:"schemaDiscovery"`
	ArchiveRetention *Duration `json:"archiveRetention"`

	MaximumEventAge      *Duration `json:"maximumEventAge"`
	MaximumRetryAttempts *int      `json:"maximumRetryAttempts"`

	SecretName     string    `json:"secretName"`
	SecretCacheTTL *Duration `json:"secretCacheTTL"`

	FunctionName        string       `json:"functionName"`
	Architecture        Architecture `json:"architecture"`
	MemorySizeMiB       int          `json:"memorySizeMiB"`
	Timeout             *Duration    `json:"timeout"`
	ReservedConcurrency *int         `json:"reservedConcurrency"`
	LogRetentionDays    int          `json:"logRetentionDays"`
	Tracing             bool         `json:"tracing"`
}

// WithDefaults returns a copy with every absent value filled in.
func (w Webhook) WithDefaults() Webhook {
	if len(w.Events) == 0 {
		w.Events = []string{contract.DetailTypeWorkflowJob}
	}
	setPointer(&w.MaximumEventAge, Duration(15*time.Minute))
	setPointer(&w.MaximumRetryAttempts, maximumRetryAttempts)
	setPointer(&w.SecretCacheTTL, Duration(webhookcontract.DefaultSecretTTL))
	set(&w.Architecture, ARM64)
	set(&w.MemorySizeMiB, 256)
	setPointer(&w.Timeout, Duration(10*time.Second))
	set(&w.LogRetentionDays, 30)
	return w
}

// maximumRetryAttempts is EventBridge's own limit and default.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html
const maximumRetryAttempts = 185

var (
	eventBusName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,256}$`)
	secretName   = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
	functionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
	logRetentionDays = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
)

// Validate names every value that cannot work. It expects WithDefaults to have
// been called. Limits come from the API references of Lambda, EventBridge,
// Secrets Manager and CloudWatch Logs.
func (w Webhook) Validate() Problems {
	var ps Problems
	if len(w.Owners) == 0 {
		ps.Add("Owners", w.Owners, "the organizations and users whose jobs run here, at least one")
	}
	for i, owner := range w.Owners {
		if !contract.IsOwner(owner) {
			ps.Add(fmt.Sprintf("Owners[%d]", i), owner, "the login of an organization or a user")
		}
	}
	for i, pattern := range w.Repositories {
		if !contract.IsRepositoryPattern(pattern) {
			ps.Add(fmt.Sprintf("Repositories[%d]", i), pattern, `owner/name, where * stands for any characters but /, such as "my-org/service-*"`)
		}
	}
	for i, event := range w.Events {
		if !contract.IsEventName(event) && (event != webhookcontract.AllEvents || len(w.Events) > 1) {
			ps.Add(fmt.Sprintf("Events[%d]", i), event, `names of GitHub events, or "*" alone`)
		}
	}
	validateName(&ps, "EventBusName", w.EventBusName, eventBusName, `at most 256 letters, digits and . _ -, other than "default"`)
	if w.EventBusName == "default" {
		ps.Add("EventBusName", w.EventBusName, "a name of its own: every account has a bus named default already")
	}
	validateName(&ps, "SecretName", w.SecretName, secretName, "at most 512 letters, digits and / _ + = . @ -")
	if d := w.ArchiveRetention; d != nil && (time.Duration(*d) < 24*time.Hour || time.Duration(*d)%(24*time.Hour) != 0) {
		ps.Add("ArchiveRetention", *d, "whole days, 24h or more")
	}
	if d := time.Duration(*w.SecretCacheTTL); d < time.Second || d > time.Hour {
		ps.Add("SecretCacheTTL", *w.SecretCacheTTL, "1s to 1h")
	}
	if !slices.Contains(architectures, string(w.Architecture)) {
		ps.Add("Architecture", string(w.Architecture), oneOf(architectures))
	}
	if d := time.Duration(*w.Timeout); d < 10*time.Second || d > time.Minute || d%time.Second != 0 {
		ps.Add("Timeout", *w.Timeout, "10s to 60s in whole seconds: the program tries the bus for up to 8s, and GitHub waits 10s")
	}
	if d := w.MaximumEventAge; time.Duration(*d) < time.Minute || time.Duration(*d) > 24*time.Hour || time.Duration(*d)%time.Second != 0 {
		ps.Add("MaximumEventAge", *d, "1m to 24h in whole seconds")
	}
	if n := *w.MaximumRetryAttempts; n < 0 || n > maximumRetryAttempts {
		ps.Add("MaximumRetryAttempts", n, fmt.Sprintf("0 to %d", maximumRetryAttempts))
	}
	validateFunction(&ps, w.FunctionName, w.MemorySizeMiB, w.ReservedConcurrency, w.LogRetentionDays)
	return ps
}

// validateFunction checks what all functions can be told.
func validateFunction(ps *Problems, name string, memorySizeMiB int, reservedConcurrency *int, retentionDays int) {
	validateName(ps, "FunctionName", name, functionName, "at most 64 letters, digits, - and _")
	if memorySizeMiB < 128 || memorySizeMiB > 10240 {
		ps.Add("MemorySizeMiB", memorySizeMiB, "128 to 10240")
	}
	if n := reservedConcurrency; n != nil && *n < 0 {
		ps.Add("ReservedConcurrency", *n, "0 or more")
	}
	validateLogRetention(ps, retentionDays)
}

func validateLogRetention(ps *Problems, days int) {
	if !slices.Contains(logRetentionDays, days) {
		ps.Add("LogRetentionDays", days, fmt.Sprint(logRetentionDays))
	}
}
