package constructs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventschemas"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// WebhookIngress takes GitHub's webhook deliveries: a Lambda function behind a
// public function URL checks the signature, finds the fleet for each job, and
// puts the event on an event bus. It can do nothing else.
//
// The URL goes into the webhook of an organization, a repository or a GitHub
// App, with content type application/json, the value of Secret, and the event
// "Workflow jobs".
type WebhookIngress struct {
	constructs.Construct // filled by NewConstruct_Override

	settings       settings.Webhook
	webhook        contract.Webhook
	bus            awsevents.IEventBus
	deadLetters    awssqs.Queue
	secret         awssecretsmanager.ISecret
	previousSecret awssecretsmanager.ISecret
	logGroup       awslogs.LogGroup
	function       awslambda.Function
	url            awslambda.FunctionUrl
	rules          map[string]awsevents.CfnRule // by fleet
}

var _ awsiam.IGrantable = (*WebhookIngress)(nil)

// NewWebhookIngress adds an ingress to the scope. It panics with an error that
// names every prop that cannot be used.
func NewWebhookIngress(scope constructs.Construct, id string, props *WebhookIngressProps) *WebhookIngress {
	if props == nil {
		props = &WebhookIngressProps{}
	}
	s, problems := props.settings()
	if err := problems.Err(); err != nil {
		panic(fmt.Errorf("WebhookIngress %q:\n%w", id, err))
	}

	w := &WebhookIngress{settings: s, previousSecret: props.PreviousSecret, rules: map[string]awsevents.CfnRule{}}
	constructs.NewConstruct_Override(w, scope, &id)
	w.bus = props.EventBus
	if w.bus == nil {
		w.bus = awsevents.NewEventBus(w, jsii.String("Bus"), &awsevents.EventBusProps{
			EventBusName: optional(s.EventBusName),
			Description:  jsii.String("GitHub's webhook events, for the runners"),
		})
	}
	if s.SchemaDiscovery {
		awseventschemas.NewCfnDiscoverer(w, jsii.String("SchemaDiscoverer"), &awseventschemas.CfnDiscovererProps{
			SourceArn:    w.bus.EventBusArn(),
			CrossAccount: jsii.Bool(false),
			Description:  jsii.String("Schemas of GitHub's webhook events"),
		})
	}
	if s.ArchiveRetention != nil {
		awsevents.NewArchive(w, jsii.String("Archive"), &awsevents.ArchiveProps{
			SourceEventBus: w.bus,
			EventPattern:   &awsevents.EventPattern{Source: jsii.Strings(contract.SourceGitHub)},
			Retention:      awscdk.Duration_Days(jsii.Number(time.Duration(*s.ArchiveRetention).Hours() / 24)),
		})
	}
	w.deadLetters = awssqs.NewQueue(w, jsii.String("DeadLetters"), &awssqs.QueueProps{
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(14)),
	})
	w.secret = props.Secret
	if w.secret == nil {
		w.secret = awssecretsmanager.NewSecret(w, jsii.String("Secret"), &awssecretsmanager.SecretProps{
			SecretName:  optional(s.SecretName),
			Description: jsii.String("Secret of the GitHub webhook of the runners"),
			GenerateSecretString: &awssecretsmanager.SecretStringGenerator{
				ExcludePunctuation: jsii.Bool(true),
				PasswordLength:     jsii.Number(64),
			},
		})
	}
	w.webhook = w.newWebhook()
	w.function = w.newFunction(props.Code)
	w.url = w.function.AddFunctionUrl(&awslambda.FunctionUrlOptions{
		AuthType:   awslambda.FunctionUrlAuthType_NONE, // GitHub signs with the secret instead
		InvokeMode: awslambda.InvokeMode_BUFFERED,
	})
	return w
}

// AddFleet routes jobs to a fleet, unless a fleet added earlier covers them, and
// makes the rule that starts a task of it for each. It panics with an error that
// names what cannot be used: a name that is taken, or a route table that does not
// fit into the function's environment. A fleet that never gets a job because
// earlier ones take them all is warned about.
func (w *WebhookIngress) AddFleet(fleet *RunnerFleet) {
	w.addRoute(fleet.settings.Name, fleet.settings.Labels)
	rule := w.newRule(fleet)
	w.rules[fleet.settings.Name] = rule
	// A job that is routed to a fleet before its rule is there would start nothing.
	w.function.Node().DefaultChild().(awslambda.CfnFunction).AddResourceDependency(rule, jsii.String("jobs are routed to fleets that have their rules"))
}

// addRoute adds a fleet to the route table.
func (w *WebhookIngress) addRoute(fleet string, fleetLabels []string) {
	webhook := w.webhook
	webhook.Fleets = append(slices.Clone(webhook.Fleets), contract.Fleet{Name: fleet, Labels: labels.Normalize(fleetLabels)})
	routes, err := labels.NewRoutes(webhook.Fleets)
	if err != nil {
		panic(fmt.Errorf("WebhookIngress %q: adding fleet %q: %w", *w.Node().Id(), fleet, err))
	}
	if !slices.Contains(w.settings.Events, contract.DetailTypeWorkflowJob) && !slices.Contains(w.settings.Events, contract.AllEvents) {
		panic(fmt.Errorf("WebhookIngress %q: adding fleet %q: Events: got %q; allowed: a list with workflow_job, or no job reaches a fleet", *w.Node().Id(), fleet, w.settings.Events))
	}
	environment, err := environmentOf(webhook)
	if err != nil {
		panic(fmt.Errorf("WebhookIngress %q: adding fleet %q: %w", *w.Node().Id(), fleet, err))
	}
	w.webhook = webhook
	w.function.AddEnvironment(jsii.String(contract.EnvFleets), jsii.String(environment[contract.EnvFleets]), nil)
	for _, shadow := range routes.Shadows() {
		if shadow.Fleet == fleet {
			awscdk.Annotations_Of(w).AddWarningV2(jsii.String("ecsrunners:shadowedFleet"), jsii.String(fmt.Sprintf(
				"fleet %s never gets a job: fleet %s, added before, has all its labels; add %s first, or give it a label of its own", shadow.Fleet, shadow.Earlier, shadow.Fleet)))
		}
	}
}

// URL is the address for the webhook at GitHub.
func (w *WebhookIngress) URL() *string { return w.url.Url() }

// Rule is the rule that starts the tasks of a fleet. It panics for a fleet that was
// not added.
func (w *WebhookIngress) Rule(fleet *RunnerFleet) awsevents.CfnRule { return w.rule(fleet) }

// Bus is the event bus, made or given. Events of GitHub have the source
// github.com and the name of the GitHub event as their detail type.
func (w *WebhookIngress) Bus() awsevents.IEventBus { return w.bus }

// DeadLetters is the queue for events that a rule of the bus could not deliver.
func (w *WebhookIngress) DeadLetters() awssqs.IQueue { return w.deadLetters }

// Secret is the webhook's secret, made or given.
func (w *WebhookIngress) Secret() awssecretsmanager.ISecret { return w.secret }

// Function is the Lambda function.
func (w *WebhookIngress) Function() awslambda.IFunction { return w.function }

// LogGroup is the log group of the function.
func (w *WebhookIngress) LogGroup() awslogs.ILogGroup { return w.logGroup }

// GrantPrincipal is the role of the function.
func (w *WebhookIngress) GrantPrincipal() awsiam.IPrincipal { return w.function.GrantPrincipal() }

// GrantPutEvents lets a grantee put events on the bus. Who can do that can start
// runners: a queued job of any fleet can be made up.
func (w *WebhookIngress) GrantPutEvents(grantee awsiam.IGrantable) awsiam.Grant {
	return w.bus.GrantPutEventsTo(grantee, nil)
}

// MetricDeliveries is the number of deliveries with an outcome: accepted, ping,
// ignored, unauthorized, invalid, unavailable or failed. It panics for others.
func (w *WebhookIngress) MetricDeliveries(outcome string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if !slices.Contains(contract.Outcomes(), contract.Outcome(outcome)) {
		panic(fmt.Errorf("WebhookIngress %q: outcome: got %q; allowed: %v", *w.Node().Id(), outcome, contract.Outcomes()))
	}
	return w.metric(contract.MetricDeliveries, map[string]*string{contract.DimensionOutcome: &outcome}, props)
}

// MetricPutFailures is the number of failed attempts to put an event on the bus,
// those included that a later attempt made good.
func (w *WebhookIngress) MetricPutFailures(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.metric(contract.MetricPutFailures, nil, props)
}

// MetricUncoveredJobs is the number of queued jobs that no fleet covers, and that
// are not for GitHub's own runners: they wait for a runner that never comes.
func (w *WebhookIngress) MetricUncoveredJobs(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.metric(contract.MetricUncoveredJobs, nil, props)
}

// MetricGitHubHostedJobs is the number of queued jobs for GitHub's own runners.
func (w *WebhookIngress) MetricGitHubHostedJobs(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.metric(contract.MetricGitHubHostedJobs, nil, props)
}

// MetricFailedInvocations is the number of queued jobs of a fleet for which
// EventBridge could not start a task: ECS refused for good, or did until the event
// was too old. It panics for a fleet that was not added.
func (w *WebhookIngress) MetricFailedInvocations(fleet *RunnerFleet, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.ruleMetric(fleet, "FailedInvocations", props)
}

// MetricDeadLetters is the number of queued jobs of a fleet whose events are in
// the dead-letter queue. It panics for a fleet that was not added.
func (w *WebhookIngress) MetricDeadLetters(fleet *RunnerFleet, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.ruleMetric(fleet, "InvocationsSentToDlq", props)
}

// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
func (w *WebhookIngress) ruleMetric(fleet *RunnerFleet, name string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	rule := w.rule(fleet)
	metric := newMetric(w, "AWS/Events", name, map[string]*string{
		"EventBusName": w.bus.EventBusName(),
		// The name is the end of the ARN: arn:aws:events:eu-central-1:111122223333:rule/bus/name.
		"RuleName": awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), rule.AttrArn(), nil)),
	}, &awscloudwatch.MetricOptions{Statistic: jsii.String("Sum")})
	if props == nil {
		return metric
	}
	return metric.With(props)
}

func (w *WebhookIngress) rule(fleet *RunnerFleet) awsevents.CfnRule {
	rule, added := w.rules[fleet.settings.Name]
	if !added {
		panic(fmt.Errorf("WebhookIngress %q: fleet: got %q; allowed: the fleets that were added", *w.Node().Id(), fleet.settings.Name))
	}
	return rule
}

func (w *WebhookIngress) metric(name string, dimensions map[string]*string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	all := map[string]*string{contract.DimensionFunction: w.function.FunctionName()}
	maps.Copy(all, dimensions)
	sum := newMetric(w, contract.WebhookMetricNamespace, name, all, &awscloudwatch.MetricOptions{Statistic: jsii.String("Sum")})
	if props == nil {
		return sum
	}
	return sum.With(props)
}

// newWebhook is the configuration of the program, without fleets.
func (w *WebhookIngress) newWebhook() contract.Webhook {
	webhook := contract.Webhook{
		EventBus:     *w.bus.EventBusArn(),
		SecretID:     *w.secret.SecretArn(),
		SecretTTL:    time.Duration(*w.settings.SecretCacheTTL),
		Owners:       w.settings.Owners,
		Repositories: w.settings.Repositories,
		Events:       w.settings.Events,
		AllowPublic:  w.settings.AllowPublicRepositories,
	}
	if w.previousSecret != nil {
		webhook.PreviousSecretID = *w.previousSecret.SecretArn()
	}
	return webhook
}

// environmentOf returns the function's variables. Names that are not known yet
// count with the most they may take, because what does not fit would fail only
// when it is deployed.
func environmentOf(webhook contract.Webhook) (map[string]string, error) {
	largest := webhook
	for _, name := range []*string{&largest.EventBus, &largest.SecretID, &largest.PreviousSecretID} {
		if unresolved(*name) {
			*name = strings.Repeat("x", 256)
		}
	}
	if _, err := largest.Environment(); err != nil {
		return nil, err
	}
	return webhook.Environment()
}

func (w *WebhookIngress) newFunction(code awslambda.Code) awslambda.Function {
	s := w.settings
	environment, err := environmentOf(w.webhook)
	if err != nil {
		panic(fmt.Errorf("WebhookIngress %q: %w", *w.Node().Id(), err))
	}
	if code == nil {
		code = programCode(w, bundle.Webhook, s.Architecture)
	}
	w.logGroup = newFunctionLogs(w, s.FunctionName, s.LogRetentionDays)
	tracing := awslambda.Tracing_DISABLED
	if s.Tracing {
		tracing = awslambda.Tracing_ACTIVE
	}
	role := w.newRole()
	function := awslambda.NewFunction(w, jsii.String("Function"), &awslambda.FunctionProps{
		FunctionName:                 optional(s.FunctionName),
		Description:                  jsii.String("Takes GitHub's webhook deliveries and puts them on the event bus"),
		Runtime:                      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:                 lambdaArchitecture[s.Architecture](),
		Handler:                      jsii.String("bootstrap"),
		Code:                         code,
		Environment:                  pointers(environment),
		MemorySize:                   jsii.Number(s.MemorySizeMiB),
		Timeout:                      awscdk.Duration_Seconds(jsii.Number(time.Duration(*s.Timeout).Seconds())),
		ReservedConcurrentExecutions: number(s.ReservedConcurrency),
		Tracing:                      tracing,
		LogGroup:                     w.logGroup,
		LoggingFormat:                awslambda.LoggingFormat_JSON,
		Role:                         role,
	})
	explainRoleDependency(function)
	return function
}

// newRole lets the function put events on the bus, read its secrets, and write
// its own log: the managed policy that functions usually get writes any log.
func (w *WebhookIngress) newRole() awsiam.IRole {
	role := awsiam.NewRole(w, jsii.String("Role"), &awsiam.RoleProps{
		Description: jsii.String("GitHub's webhook: put events on the bus, read the webhook secret"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	w.bus.GrantPutEventsTo(role, nil)
	w.logGroup.GrantWrite(role)
	for _, secret := range []awssecretsmanager.ISecret{w.secret, w.previousSecret} {
		if secret != nil {
			grantReadSecret(role, secret)
		}
	}
	return role
}
