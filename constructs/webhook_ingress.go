package constructs

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
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

	props       WebhookIngressProps // with defaults
	webhook     webhookcontract.Config
	bus         awsevents.IEventBus
	deadLetters awssqs.Queue
	secret      awssecretsmanager.ISecret
	logGroup    awslogs.LogGroup
	function    awslambda.Function
	table       fleetTable
	url         awslambda.FunctionUrl
	rules       map[string]awsevents.CfnRule // by fleet
	scopes      []RunnerScope                // in which the fleets' runners are registered
}

var _ awsiam.IGrantable = (*WebhookIngress)(nil)

// NewWebhookIngress adds an ingress to the scope. It panics with an error that
// names every prop that cannot be used.
func NewWebhookIngress(scope constructs.Construct, id string, props *WebhookIngressProps) *WebhookIngress {
	if props == nil {
		props = &WebhookIngressProps{}
	}
	p := props.WithDefaults()
	if err := p.Validate(); err != nil {
		panic(fmt.Errorf("WebhookIngress %q:\n%w", id, err))
	}

	w := &WebhookIngress{props: p, rules: map[string]awsevents.CfnRule{}}
	constructs.NewConstruct_Override(w, scope, &id)
	for _, warning := range p.warnings() {
		warn(w, warning.id, warning.message)
	}
	w.bus = p.EventBus
	if w.bus == nil {
		w.bus = awsevents.NewEventBus(w, jsii.String("Bus"), &awsevents.EventBusProps{
			EventBusName: optional(p.EventBusName),
			Description:  jsii.String("GitHub's webhook events, for the runners"),
		})
	}
	if p.SchemaDiscovery {
		awseventschemas.NewCfnDiscoverer(w, jsii.String("SchemaDiscoverer"), &awseventschemas.CfnDiscovererProps{
			SourceArn:    w.bus.EventBusArn(),
			CrossAccount: jsii.Bool(false),
			Description:  jsii.String("Schemas of GitHub's webhook events"),
		})
	}
	if p.ArchiveRetention != 0 {
		awsevents.NewArchive(w, jsii.String("Archive"), &awsevents.ArchiveProps{
			SourceEventBus: w.bus,
			EventPattern:   &awsevents.EventPattern{Source: jsii.Strings(contract.SourceGitHub)},
			Retention:      days(p.ArchiveRetention),
		})
	}
	w.deadLetters = awssqs.NewQueue(w, jsii.String("DeadLetters"), &awssqs.QueueProps{
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(14)),
	})
	w.secret = p.Secret
	if w.secret == nil {
		w.secret = awssecretsmanager.NewSecret(w, jsii.String("Secret"), &awssecretsmanager.SecretProps{
			SecretName:  optional(p.SecretName),
			Description: jsii.String("Secret of the GitHub webhook of the runners"),
			GenerateSecretString: &awssecretsmanager.SecretStringGenerator{
				ExcludePunctuation: jsii.Bool(true),
				PasswordLength:     jsii.Number(64),
			},
		})
	}
	w.webhook = w.newWebhook()
	role := w.newRole()
	w.function = w.newFunction(role)
	w.table = fleetTable{function: w.function, role: role, variable: webhookcontract.EnvRoutes}
	w.url = w.function.AddFunctionUrl(&awslambda.FunctionUrlOptions{
		AuthType:   awslambda.FunctionUrlAuthType_NONE, // GitHub signs with the secret instead
		InvokeMode: awslambda.InvokeMode_BUFFERED,
	})
	w.Node().AddValidation(&scopeValidation{w})
	return w
}

// AddFleet routes jobs to a fleet, unless a fleet added earlier covers them, and
// makes the rule that starts a task of it for each. It panics with an error that
// names what cannot be used: a name that is taken, a registration for repositories
// whose deliveries are ignored, or a route table that does not fit. A fleet that never
// gets a job because earlier ones take them all is warned about. Synthesis fails if
// deliveries are accepted that no fleet's registration can serve.
func (w *WebhookIngress) AddFleet(fleet *RunnerFleet) {
	scope := fleet.registration.props.Scope
	if !w.props.serves(scope) {
		panic(fmt.Errorf("WebhookIngress %q: adding fleet %q, which can get no job:\n%w", *w.Node().Id(), fleet.props.Name, w.props.ValidateFor(scope)))
	}
	w.addRoute(fleet.props.Name, fleet.props.Labels)
	w.addScope(scope)
	rule := w.newRule(fleet)
	w.rules[fleet.props.Name] = rule
	// A job that is routed to a fleet before its rule is there would start nothing.
	w.function.Node().DefaultChild().Node().AddDependency(rule)
	awscdk.Annotations_Of(fleet).AcknowledgeWarning(jsii.String(unroutedFleet), jsii.String("an ingress has the fleet"))
}

// addScope notes where the runners of a fleet are registered.
func (w *WebhookIngress) addScope(scope RunnerScope) {
	if slices.Contains(w.scopes, scope) {
		return
	}
	w.scopes = append(w.scopes, scope)
	if scope.scope.Kind == registrationcontract.ScopeRepository && len(w.props.Repositories) == 0 {
		warn(w, "ecsrunners:otherRepositories", fmt.Sprintf(
			"runners are registered for %s only, and jobs of all repositories of %s are accepted: those of others start tasks that are refused a runner; accept that repository alone, unless only its own webhook delivers here", scope.repositories(), scope.scope.Owner))
	}
}

// scopeValidation finds at synthesis, when all fleets are there, what the ingress
// accepts and no registration can serve.
type scopeValidation struct{ ingress *WebhookIngress }

// Validate implements constructs.IValidation.
func (v *scopeValidation) Validate() *[]*string {
	messages := []*string{}
	for _, p := range problem.Of(v.ingress.props.ValidateFor(v.ingress.scopes...)) {
		messages = append(messages, jsii.String(p.Error()))
	}
	return &messages
}

// addRoute adds a fleet to the route table.
func (w *WebhookIngress) addRoute(fleet string, fleetLabels []string) {
	webhook := w.webhook
	webhook.Routes = append(slices.Clone(webhook.Routes), contract.Fleet{Name: fleet, Labels: labels.Normalize(fleetLabels)})
	routes, err := labels.NewRoutes(webhook.Routes)
	if err != nil {
		panic(fmt.Errorf("WebhookIngress %q: adding fleet %q: %w", *w.Node().Id(), fleet, err))
	}
	if !w.props.AcceptsJobs() {
		panic(fmt.Errorf("WebhookIngress %q: adding fleet %q: Events must have workflow_job or no job reaches a fleet, got %q", *w.Node().Id(), fleet, w.props.Events))
	}
	if err := w.setTable(webhook); err != nil {
		panic(fmt.Errorf("WebhookIngress %q: adding fleet %q: %w", *w.Node().Id(), fleet, err))
	}
	w.webhook = webhook
	for _, shadow := range routes.Shadows() {
		if shadow.Fleet == fleet {
			warn(w, "ecsrunners:shadowedFleet", fmt.Sprintf(
				"fleet %s never gets a job: fleet %s, added before, has all its labels; add %s first, or give it a label of its own", shadow.Fleet, shadow.Earlier, shadow.Fleet))
		}
	}
}

// setTable writes the table of fleets.
func (w *WebhookIngress) setTable(webhook webhookcontract.Config) error {
	if most := maxRules(*awscdk.Stack_Of(w).Region()); len(webhook.Routes) > most {
		return fmt.Errorf("a bus has at most %d rules, one for each fleet: use a second ingress", most)
	}
	rows := make([]fleetRow, len(webhook.Routes))
	for i, fleet := range webhook.Routes {
		text, err := json.Marshal(fleet)
		if err != nil {
			return fmt.Errorf("encoding fleet %s: %w", fleet.Name, err)
		}
		rows[i] = fleetRow{string(text), string(text)}
	}
	_, err := environmentOf(webhook)
	if err != nil && !errors.Is(err, env.ErrTooLarge) {
		return err
	}
	return w.table.set(w, rows, err == nil)
}

// maxRules is how many rules a bus may have in a region.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
func maxRules(region string) int {
	if region == "af-south-1" || region == "eu-south-1" {
		return 100
	}
	return 300
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

// DeliveryOutcome is one of the values below: what became of a delivery of GitHub's.
type DeliveryOutcome struct{ name string }

// The outcomes of deliveries, with the status codes that GitHub gets.
var (
	DeliveryAccepted     = DeliveryOutcome{"accepted"}     // 202: on the bus
	DeliveryPing         = DeliveryOutcome{"ping"}         // 200: GitHub tried the webhook
	DeliveryIgnored      = DeliveryOutcome{"ignored"}      // 200: not allowed, or nothing to do
	DeliveryUnauthorized = DeliveryOutcome{"unauthorized"} // 401: not signed by GitHub
	DeliveryInvalid      = DeliveryOutcome{"invalid"}      // 400, 405, 413, 415: not a delivery
	DeliveryUnavailable  = DeliveryOutcome{"unavailable"}  // 503: to be delivered again
	DeliveryFailed       = DeliveryOutcome{"failed"}       // 500: a defect of the program
)

// MetricDeliveries is the number of deliveries with an outcome.
func (w *WebhookIngress) MetricDeliveries(outcome DeliveryOutcome, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.metric(webhookcontract.MetricDeliveries, map[string]*string{contract.DimensionOutcome: &outcome.name}, props)
}

// MetricPutFailures is the number of failed attempts to put an event on the bus,
// those included that a later attempt made good.
func (w *WebhookIngress) MetricPutFailures(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.metric(webhookcontract.MetricPutFailures, nil, props)
}

// MetricUncoveredJobs is the number of queued jobs that no fleet covers, and that
// are not for GitHub's own runners: they wait for a runner that never comes.
func (w *WebhookIngress) MetricUncoveredJobs(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.metric(webhookcontract.MetricUncoveredJobs, nil, props)
}

// MetricGitHubHostedJobs is the number of queued jobs for GitHub's own runners.
func (w *WebhookIngress) MetricGitHubHostedJobs(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.metric(webhookcontract.MetricGitHubHostedJobs, nil, props)
}

// MetricStaleJobs is the number of queued events of jobs that were queued so long
// ago that GitHub has cancelled them: somebody sends deliveries again.
func (w *WebhookIngress) MetricStaleJobs(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return w.metric(webhookcontract.MetricStaleJobs, nil, props)
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
	return metric{namespace: "AWS/Events", name: name, statistic: "Sum", dimensions: map[string]*string{
		"EventBusName": w.bus.EventBusName(),
		// The name is the end of the ARN: arn:aws:events:eu-central-1:111122223333:rule/bus/name.
		"RuleName": awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), rule.AttrArn(), nil)),
	}}.of(w, props)
}

func (w *WebhookIngress) rule(fleet *RunnerFleet) awsevents.CfnRule {
	rule, added := w.rules[fleet.props.Name]
	if !added {
		panic(fmt.Errorf("WebhookIngress %q: fleet %q was not added", *w.Node().Id(), fleet.props.Name))
	}
	return rule
}

func (w *WebhookIngress) metric(name string, dimensions map[string]*string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	all := map[string]*string{contract.DimensionFunction: w.function.FunctionName()}
	maps.Copy(all, dimensions)
	return metric{namespace: webhookcontract.MetricNamespace, name: name, dimensions: all, statistic: "Sum"}.of(w, props)
}

// newWebhook is the configuration of the program, without fleets.
func (w *WebhookIngress) newWebhook() webhookcontract.Config {
	webhook := webhookcontract.Config{
		EventBus:     *w.bus.EventBusArn(),
		SecretID:     *w.secret.SecretArn(),
		SecretTTL:    w.props.SecretCacheTTL,
		Owners:       w.props.Owners,
		Repositories: w.props.Repositories,
		Events:       w.props.Events,
		AllowPublic:  w.props.AllowPublicRepositories,
	}
	if w.props.PreviousSecret != nil {
		webhook.PreviousSecretID = *w.props.PreviousSecret.SecretArn()
	}
	return webhook
}

// environmentOf returns the function's variables. Names that are not known yet
// count with the most they may take, because what does not fit would fail only
// when it is deployed.
func environmentOf(webhook webhookcontract.Config) (map[string]string, error) {
	largest := webhook
	for _, name := range []*string{&largest.EventBus, &largest.SecretID, &largest.PreviousSecretID} {
		if problem.Unresolved(*name) {
			*name = strings.Repeat("x", 256)
		}
	}
	if _, err := largest.Environment(); err != nil {
		return nil, err
	}
	return webhook.Environment()
}

func (w *WebhookIngress) newFunction(role awsiam.IRole) awslambda.Function {
	environment, err := environmentOf(w.webhook)
	if err != nil {
		panic(fmt.Errorf("WebhookIngress %q: %w", *w.Node().Id(), err))
	}
	return newFunction(w, functionProps{
		program:             bundle.Webhook,
		name:                w.props.FunctionName,
		description:         "Takes GitHub's webhook deliveries and puts them on the event bus",
		architecture:        w.props.Architecture,
		memorySizeMiB:       w.props.MemorySizeMiB,
		timeout:             w.props.Timeout,
		reservedConcurrency: w.props.ReservedConcurrency,
		tracing:             w.props.Tracing,
		environment:         environment,
		logs:                w.logGroup,
		role:                role,
		code:                w.props.Code,
	})
}

// newRole lets the function put events on the bus, read its secrets, and write
// its own log: the managed policy that functions usually get writes any log.
func (w *WebhookIngress) newRole() awsiam.IRole {
	role := awsiam.NewRole(w, jsii.String("Role"), &awsiam.RoleProps{
		Description: jsii.String("GitHub's webhook: put events on the bus, read the webhook secret"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	w.bus.GrantPutEventsTo(role, nil)
	w.logGroup = newFunctionLogs(w, w.props.FunctionName, w.props.LogRetentionDays)
	w.logGroup.GrantWrite(role)
	for _, secret := range []awssecretsmanager.ISecret{w.secret, w.props.PreviousSecret} {
		if secret != nil {
			grantReadSecret(role, secret)
		}
	}
	return role
}
