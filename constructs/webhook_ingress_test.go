package constructs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
)

// fleet is a fleet as far as the route table is concerned.
type fleet struct {
	name   string
	labels []string
}

func owners() *constructs.WebhookIngressProps {
	return &constructs.WebhookIngressProps{Owners: []string{"my-org"}}
}

// environment reads the function's variables as the program does.
func environment(t *testing.T, template map[string]any) webhookcontract.Config {
	t.Helper()
	variables, _ := cdktest.At(template, "Environment.Variables").(map[string]any)
	webhook, err := webhookcontract.Parse(func(name string) (string, bool) {
		value, found := variables[name]
		if !found {
			return "", false
		}
		return fmt.Sprint(value), true // a reference stays what it is, as text
	})
	require.NoError(t, err, "the program would not start")
	return webhook
}

func TestWebhookIngress_ByDefaultIsADoorForSignedDeliveriesOnly(t *testing.T) {
	stack := cdktest.NewStack(t)
	ingress := constructs.NewWebhookIngress(stack, "Ingress", owners())
	template := cdktest.Template(stack)

	assert.Equal(t, map[string]int{
		"AWS::Events::EventBus":       1,
		"AWS::SQS::Queue":             1,
		"AWS::SQS::QueuePolicy":       1,
		"AWS::SecretsManager::Secret": 1,
		"AWS::Logs::LogGroup":         1,
		"AWS::IAM::Role":              1,
		"AWS::IAM::Policy":            1,
		"AWS::Lambda::Function":       1,
		"AWS::Lambda::Url":            1,
		"AWS::Lambda::Permission":     2,
	}, cdktest.Inventory(template), "what is new here costs money or opens a door")

	function := cdktest.Properties(t, template, ingress.Function())
	assertAt(t, function, []expectation{
		{"Runtime", "provided.al2023", "AWS no longer creates functions of older runtimes for Go"},
		{"Architectures", []any{"arm64"}, "x86 costs a fifth more"},
		{"Handler", "bootstrap", "the runtime starts the file of that name"},
		{"MemorySize", 256.0, "a cold start with less takes seconds"},
		{"Timeout", 10.0, "GitHub waits ten seconds"},
		{"ReservedConcurrentExecutions", nil, "a reservation throttles bursts, and GitHub does not deliver again"},
		{"TracingConfig", nil, "traces cost money"},
		{"LoggingConfig.LogFormat", "JSON", "Lambda's own lines must be readable by the same queries"},
		{
			"LoggingConfig.LogGroup", resolved(stack, ingress.LogGroup().LogGroupName()),
			"Lambda would make a log group that keeps logs forever",
		},
		{"FunctionName", nil, "a second stack would collide"},
	})
	assert.Equal(t, webhookcontract.Config{
		EventBus:  fmt.Sprint(resolved(stack, ingress.Bus().EventBusArn())),
		SecretID:  fmt.Sprint(resolved(stack, ingress.Secret().SecretArn())),
		SecretTTL: webhookcontract.DefaultSecretTTL,
		Owners:    []string{"my-org"},
		Events:    []string{"workflow_job"},
		Routes:    []contract.Fleet{},
	}, environment(t, function), "the program would take other deliveries than the props say")

	assertAt(t, cdktest.Resource(t, template, "AWS::Lambda::Url"), []expectation{
		{"AuthType", "NONE", "GitHub cannot sign for IAM"},
		{"InvokeMode", "BUFFERED", "the adapter answers whole responses"},
		{"Cors", nil, "no browser calls this"},
	})
	var permissions []any
	for _, permission := range cdktest.Resources(template, "AWS::Lambda::Permission") {
		permissions = append(permissions, permission)
	}
	functionARN := resolved(stack, ingress.Function().FunctionArn())
	assert.ElementsMatch(t, []any{
		map[string]any{
			"Action": "lambda:InvokeFunctionUrl", "FunctionName": functionARN, "Principal": "*",
			"FunctionUrlAuthType": "NONE",
		},
		map[string]any{
			"Action": "lambda:InvokeFunction", "FunctionName": functionARN, "Principal": "*",
			"InvokedViaFunctionUrl": true,
		},
	}, permissions, "without the first, or the second, AWS answers GitHub 403; without their conditions anybody could "+
		"invoke the function past the URL")
	assertAt(t, cdktest.Properties(t, template, ingress.LogGroup()), []expectation{
		{"RetentionInDays", 30.0, "logs would be kept, and paid for, forever"},
	})
	assertAt(t, cdktest.Properties(t, template, ingress.Secret()), []expectation{
		{
			"GenerateSecretString",
			map[string]any{"ExcludePunctuation": true, "PasswordLength": 64.0},
			"the secret must be random, and survive being pasted into a form",
		},
	})
	assertAt(t, cdktest.Properties(t, template, ingress.DeadLetters()), []expectation{
		{"SqsManagedSseEnabled", true, "payloads of private repositories wait here"},
		{"MessageRetentionPeriod", 1209600.0, "an operator may be away for a weekend or two"},
	})
	assert.Empty(t, cdktest.Warnings(stack), "the defaults must not need an excuse")
}

func TestWebhookIngress_FunctionCanDoNothingElse(t *testing.T) {
	stack := cdktest.NewStack(t)
	named := awssecretsmanager.Secret_FromSecretNameV2(stack, jsii.String("Named"), jsii.String("old"))
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	encrypted := awssecretsmanager.NewSecret(stack, jsii.String("Encrypted"), &awssecretsmanager.SecretProps{
		EncryptionKey: key,
	})
	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{
		Owners: []string{"my-org"}, Secret: encrypted, PreviousSecret: named,
	})
	template := cdktest.Template(stack)

	role := cdktest.Resource(t, template, "AWS::IAM::Role")
	assertAt(t, role, []expectation{
		{"ManagedPolicyArns", nil, "the managed policy for functions writes every log of the account"},
		{"AssumeRolePolicyDocument.Statement", []any{map[string]any{
			"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"Service": "lambda.amazonaws.com"},
		}}, "nobody but Lambda may take the role"},
	})
	policy := cdktest.Resource(t, template, "AWS::IAM::Policy")
	assert.ElementsMatch(t, []any{
		map[string]any{"Effect": "Allow", "Action": "events:PutEvents", "Resource": resolved(stack,
			ingress.Bus().EventBusArn())},
		map[string]any{
			"Effect": "Allow", "Action": []any{"logs:CreateLogStream", "logs:PutLogEvents"},
			"Resource": resolved(stack, ingress.LogGroup().LogGroupArn()),
		},
		map[string]any{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": []any{
			resolved(stack, jsii.String(*named.SecretArn()+"-??????")),
			resolved(stack, encrypted.SecretArn()),
		}},
		map[string]any{
			"Effect": "Allow", "Action": "kms:Decrypt", "Resource": resolved(stack, key.KeyArn()),
			"Condition": map[string]any{
				"StringEquals": map[string]any{"kms:ViaService": resolved(stack, jsii.String("secretsmanager."+*stack.Region()+
					".amazonaws.com"))},
			},
		},
	}, cdktest.At(policy, "PolicyDocument.Statement"), "whoever takes over the public function gets what it can do")

	webhook := environment(t, cdktest.Properties(t, template, ingress.Function()))
	assert.Equal(t, fmt.Sprint(resolved(stack, named.SecretArn())), webhook.PreviousSecretID,
		"deliveries signed with the old secret would be refused")
	assert.Empty(t, cdktest.Warnings(stack))
}

func TestWebhookIngress_TakesWhatItIsGiven(t *testing.T) {
	stack := cdktest.NewStack(t)
	bus := awsevents.NewEventBus(stack, jsii.String("Given"), nil)
	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{
		Owners:                  []string{"my-org", "Other"},
		Repositories:            []string{"my-org/service-*"},
		Events:                  []string{"*"},
		AllowPublicRepositories: true,
		EventBus:                bus,
		SchemaDiscovery:         true,
		ArchiveRetention:        3 * 24 * time.Hour,
		SecretName:              "webhook",
		SecretCacheTTL:          90 * time.Second,
		FunctionName:            "hook",
		Architecture:            constructs.X64,
		MemorySizeMiB:           512,
		Timeout:                 20 * time.Second,
		ReservedConcurrency:     new(0),
		LogRetentionDays:        90,
		Tracing:                 true,
	})
	template := cdktest.Template(stack)

	function := cdktest.Properties(t, template, ingress.Function())
	assertAt(t, function, []expectation{
		{"FunctionName", "hook", "the series names its function"},
		{"Architectures", []any{"x86_64"}, ""},
		{"MemorySize", 512.0, ""},
		{"Timeout", 20.0, ""},
		{"ReservedConcurrentExecutions", 0.0, "0 is the switch that turns the ingress off"},
		{"TracingConfig.Mode", "Active", ""},
	})
	webhook := environment(t, function)
	assert.Equal(t, []string{"my-org", "Other"}, webhook.Owners)
	assert.Equal(t, []string{"my-org/service-*"}, webhook.Repositories)
	assert.Equal(t, []string{"*"}, webhook.Events)
	assert.True(t, webhook.AllowPublic)
	assert.Equal(t, "1m30s", webhook.SecretTTL.String())
	assert.Same(t, bus, ingress.Bus())
	assertAt(t, cdktest.Properties(t, template, ingress.LogGroup()), []expectation{
		{"RetentionInDays", 90.0, ""},
		{"LogGroupName", "/aws/lambda/hook", "operators look for the logs of a named function there"},
	})
	assertAt(t, cdktest.Properties(t, template, ingress.Secret()), []expectation{{"Name", "webhook", ""}})
	assertAt(t, cdktest.Resource(t, template, "AWS::EventSchemas::Discoverer"), []expectation{
		{"SourceArn", resolved(stack, bus.EventBusArn()), ""},
		{"CrossAccount", false, "other accounts' events would be charged for as well"},
	})
	assertAt(t, cdktest.Resource(t, template, "AWS::Events::Archive"), []expectation{
		{"RetentionDays", 3.0, ""},
		{"EventPattern", map[string]any{"source": []any{"github.com"}}, "redispatches must not be replayed"},
	})
	assert.Equal(t, 1, cdktest.Inventory(template)["AWS::Events::EventBus"], "a bus was given")
}

func TestWebhookIngress_ReplacedCodeBuildsNothing(t *testing.T) {
	stack := cdktest.NewStack(t)
	props := owners()
	props.Code = awslambda.Code_FromBucket(awss3.Bucket_FromBucketName(stack, jsii.String("Artifacts"),
		jsii.String("artifacts")), jsii.String("hook.zip"), nil)
	ingress := constructs.NewWebhookIngress(stack, "Ingress", props)
	assertAt(t, cdktest.Properties(t, cdktest.Template(stack), ingress.Function()), []expectation{
		{
			"Code",
			map[string]any{"S3Bucket": "artifacts", "S3Key": "hook.zip"},
			"the customer's program must be deployed, not ours",
		},
	})
}

// The template must not tell whether the program was built: only then do
// snapshots mean something on every machine.
func TestWebhookIngress_TheTemplateIsTheSameWhetherOrNotTheProgramIsBuilt(t *testing.T) {
	synthesize := func(bundling []any) (template, assembly string) {
		app := cdktest.NewApp(t, map[string]any{"aws:cdk:bundling-stacks": bundling})
		stack := awscdk.NewStack(app, jsii.String("Test"), nil)
		constructs.NewWebhookIngress(stack, "Ingress", owners())
		encoded, err := json.Marshal(cdktest.Template(stack))
		require.NoError(t, err)
		return string(encoded), *app.AssetOutdir()
	}
	skipped, _ := synthesize([]any{})
	built, assembly := synthesize([]any{"**"})
	assert.Equal(t, skipped, built)

	binaries, err := filepath.Glob(filepath.Join(assembly, "asset.*", "bootstrap"))
	require.NoError(t, err)
	require.Len(t, binaries, 1, "the assembly must hold the program that Lambda starts")
	info, err := os.Stat(binaries[0])
	require.NoError(t, err)
	assert.EqualValues(t, 0o111, info.Mode()&0o111, "Lambda could not start the program")
}

func TestWebhookIngress_AddFleet_BuildsTheRouteTableInOrder(t *testing.T) {
	stack := cdktest.NewStack(t)
	ingress := constructs.NewWebhookIngress(stack, "Ingress", owners())
	given := []string{"self-hosted", "Linux", "X64", "linux"}
	constructs.AddRoute(ingress, "linux-x64", given)
	constructs.AddRoute(ingress, "gpu", []string{"gpu", "self-hosted"})

	webhook := environment(t, cdktest.Properties(t, cdktest.Template(stack), ingress.Function()))
	assert.Equal(t, []contract.Fleet{
		{Name: "linux-x64", Labels: []string{"linux", "self-hosted", "x64"}},
		{Name: "gpu", Labels: []string{"gpu", "self-hosted"}},
	}, webhook.Routes, "jobs would go to another fleet")
	assert.Equal(t, []string{"self-hosted", "Linux", "X64", "linux"}, given, "the fleet's own labels were changed")
	assert.Empty(t, cdktest.Warnings(stack))
}

func TestWebhookIngress_AddFleet_WarnsOfAFleetThatNeverGetsAJob(t *testing.T) {
	stack := cdktest.NewStack(t)
	ingress := constructs.NewWebhookIngress(stack, "Ingress", owners())
	constructs.AddRoute(ingress, "large", []string{"self-hosted", "linux", "large"})
	constructs.AddRoute(ingress, "small", []string{"self-hosted", "linux"})
	assert.Equal(t, []string{
		"/Test/Ingress: fleet small never gets a job: fleet large, added before, has all its labels; add small first, or " +
			"give it a label of its own [ack: ecsrunners:shadowedFleet]",
	}, cdktest.Warnings(stack))
}

// A table that changes is another parameter, so that functions that have read the name
// of the old one still find what was there.
func TestWebhookIngress_AddFleet_TablesInParametersNeverChange(t *testing.T) {
	tables := func(label string) map[string]any {
		stack := cdktest.NewStack(t)
		ingress := constructs.NewWebhookIngress(stack, "Ingress", owners())
		for i := range 60 {
			constructs.AddRoute(ingress, fmt.Sprintf("fleet-%02d", i),
				[]string{"a-rather-long-label-of-a-fleet", fmt.Sprint(i), label})
		}
		template, found := cdktest.Template(stack), map[string]any{}
		for id, resource := range template["Resources"].(map[string]any) {
			if cdktest.At(resource, "Type") == "AWS::SSM::Parameter" {
				found[id] = cdktest.At(resource, "Properties.Value")
			}
		}
		require.Len(t, found, 2)
		statements := cdktest.At(cdktest.Resource(t, template, "AWS::IAM::Policy"), "PolicyDocument.Statement").([]any)
		text, err := json.Marshal(statements)
		require.NoError(t, err)
		assert.Equal(t, 2, strings.Count(string(text), ":parameter/"), "the function could not read its table")
		return found
	}
	before, after := tables("one"), tables("two")
	for id := range after {
		assert.NotContains(t, before, id, "a parameter would change under functions that use it")
	}
	assert.Equal(t, before, tables("one"), "each synthesis would replace them")
}

func TestWebhookIngress_AddFleet_FailsWhen(t *testing.T) {
	ingress := constructs.NewWebhookIngress(cdktest.NewStack(t), "Ingress", owners())
	constructs.AddRoute(ingress, "linux", []string{"linux"})
	long := make([]string, 100)
	for i := range long {
		long[i] = fmt.Sprintf("%s-%02d", strings.Repeat("l", 35), i)
	}
	for _, test := range []struct {
		name  string
		fleet fleet
		want  string
	}{
		{
			"the name is taken",
			fleet{"linux", []string{"x"}},
			`WebhookIngress "Ingress": adding fleet "linux": fleet name is taken: "linux"`,
		},
		{
			"the name is too long",
			fleet{strings.Repeat("f", 25), []string{"x"}},
			`fleet name is not valid: "fffffffffffffffffffffffff", want lower-case letters, digits and single hyphens, ` +
				`beginning with a letter, at most 24 characters`,
		},
		{"there are no labels", fleet{"none", nil}, `fleet "none": no labels`},
		{
			"a label has characters that cannot be joined",
			fleet{"odd", []string{"a,b", "a b"}},
			`label is not valid: "a,b", want letters, digits, dots, hyphens and underscores`,
		},
		{
			"the route table does not fit",
			fleet{"long", long},
			"table of fleets is too large: fleet 2 takes 4126 characters, at most 4094",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Contains(t, cdktest.PanicMessage(t, func() {
				constructs.AddRoute(ingress, test.fleet.name,
					test.fleet.labels)
			}), test.want)
		})
	}
	constructs.AddRoute(ingress, "mac", []string{"mac"}) // what was refused has left no trace
	webhook := environment(t, cdktest.Properties(t, cdktest.Template(awscdk.Stack_Of(ingress)), ingress.Function()))
	assert.Len(t, webhook.Routes, 2)
}

func TestWebhookIngress_FailsWhen(t *testing.T) {
	stack := cdktest.NewStack(t)
	secret := awssecretsmanager.Secret_FromSecretNameV2(stack, jsii.String("Secret"), jsii.String("given"))
	bus := awsevents.EventBus_FromEventBusName(stack, jsii.String("Bus"), jsii.String("given"))
	before := paths(stack)
	for _, test := range []struct {
		name  string
		props *constructs.WebhookIngressProps
		want  string
	}{
		{"there are no props", nil, `Owners is required: the organizations and users whose jobs run here, at least one`},
		{"names do not fit", &constructs.WebhookIngressProps{
			Owners: []string{"my org"}, Repositories: []string{"app"}, Events: []string{"Push"},
			EventBusName: "a b", SecretName: "a b", FunctionName: "a.b",
		}, `Owners[0] must be the login of an organization or a user, got "my org"
Repositories[0] must be owner/name, where * stands for any characters but /, such as "my-org/service-*", got "app"
Events[0] must be the name of a GitHub event, or "*" alone, got "Push"
EventBusName must be at most 256 letters, digits and . _ -, got "a b"
SecretName must be at most 512 letters, digits and / _ + = . @ -, got "a b"
FunctionName must be at most 64 letters, digits, - and _, got "a.b"`},
		{"numbers are out of range", &constructs.WebhookIngressProps{
			Owners: []string{"o"}, Architecture: "arm", MemorySizeMiB: 64, Timeout: 5 * time.Second,
			ReservedConcurrency: new(-1), LogRetentionDays: 31, SecretCacheTTL: 10 * time.Millisecond,
			ArchiveRetention: 30 * time.Hour,
		}, `Architecture must be x64 or arm64, got "arm"
ArchiveRetention must be whole days, 24h or more, got 30h
SecretCacheTTL must be 1s to 1h, got 10ms
Timeout must be 10s to 1m in whole seconds, because the program tries the bus for up to 8s and GitHub waits 10s, got 5s
MemorySizeMiB must be 128 to 10240, got 64
ReservedConcurrency must be 0 or more, got -1
LogRetentionDays must be one of [1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653], got 31`},
		{"given resources are named", &constructs.WebhookIngressProps{
			Owners: []string{"o"}, EventBus: bus, EventBusName: "b", Secret: secret, SecretName: "s",
		}, `EventBusName cannot be used with EventBus: it names the new bus
SecretName cannot be used with Secret: it names the new secret`},
		{
			"all events are asked for among others", &constructs.WebhookIngressProps{
				Owners: []string{"o"},
				Events: []string{"push", "*"},
			},
			`Events[1] must be the name of a GitHub event, or "*" alone, got "*"`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, "WebhookIngress \"Ingress\":\n"+test.want, cdktest.PanicMessage(t, func() {
				constructs.NewWebhookIngress(stack, "Ingress", test.props)
			}))
			assert.Equal(t, before, paths(stack), "what was refused has left constructs in the tree")
		})
	}
}

func TestWebhookIngress_Metrics(t *testing.T) {
	stack := cdktest.NewStack(t)
	ingress := constructs.NewWebhookIngress(stack, "Ingress", owners())
	function := resolved(stack, ingress.Function().FunctionName())
	deliveries := func(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
		return ingress.MetricDeliveries(constructs.DeliveryUnavailable, options)
	}
	for _, test := range []struct {
		metric     func(*awscloudwatch.MetricOptions) awscloudwatch.Metric
		name       string
		dimensions map[string]any
	}{
		{deliveries, "Deliveries", map[string]any{"FunctionName": function, "Outcome": "unavailable"}},
		{ingress.MetricPutFailures, "PutFailures", map[string]any{"FunctionName": function}},
		{ingress.MetricUncoveredJobs, "UncoveredJobs", map[string]any{"FunctionName": function}},
		{ingress.MetricGitHubHostedJobs, "GitHubHostedJobs", map[string]any{"FunctionName": function}},
		{ingress.MetricStaleJobs, "StaleJobs", map[string]any{"FunctionName": function}},
	} {
		metric := test.metric(nil)
		assert.Equal(t, "ECSRunners/Webhook", *metric.Namespace())
		assert.Equal(t, test.name, *metric.MetricName())
		assert.Equal(t, test.dimensions, stack.Resolve(metric.Dimensions()),
			"an alarm would watch a metric that the program does not write, and stay silent")
		assert.Equal(t, "Sum", *metric.Statistic())
		assert.Equal(t, "Maximum", *test.metric(&awscloudwatch.MetricOptions{Statistic: jsii.String("Maximum")}).Statistic())
	}
	outcomes := []constructs.DeliveryOutcome{
		constructs.DeliveryAccepted, constructs.DeliveryPing, constructs.DeliveryIgnored, constructs.DeliveryUnauthorized,
		constructs.DeliveryInvalid, constructs.DeliveryUnavailable, constructs.DeliveryFailed,
	}
	var want []string
	for _, outcome := range webhookcontract.Outcomes() {
		want = append(want, string(outcome))
	}
	assert.Equal(t, want, constructs.OutcomeNames(outcomes), "an outcome that the program counts cannot be asked for")
}

func TestWebhookIngress_IsAConstructLikeAnyOther(t *testing.T) {
	stack := cdktest.NewStack(t)
	ingress := constructs.NewWebhookIngress(stack, "Ingress", owners())
	second := constructs.NewWebhookIngress(stack, "Second", owners())
	second.Node().AddDependency(ingress)
	awscdk.Tags_Of(ingress).Add(jsii.String("team"), jsii.String("builds"), nil)
	awscdk.Annotations_Of(ingress).AddInfo(jsii.String("seen"))
	sender := awsiam.NewRole(stack, jsii.String("Sender"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
	ingress.GrantPutEvents(sender)
	more := awssecretsmanager.NewSecret(stack, jsii.String("More"), nil)
	more.GrantRead(ingress, nil) // an ingress can be granted what a customer's own program needs
	assert.Same(t, ingress, stack.Node().FindChild(jsii.String("Ingress")), "the tree must hold our own object")

	template := cdktest.Template(stack)
	assert.Contains(t, cdktest.Definition(t, template, second.Function())["DependsOn"], cdktest.LogicalID(t,
		ingress.Bus()),
		"what a user says of the order of resources must hold for all of them")
	assertAt(t, cdktest.Properties(t, template, ingress.Function()), []expectation{
		{"Tags", []any{map[string]any{"Key": "team", "Value": "builds"}}, ""},
	})
	statements := func(role *string) any {
		for _, policy := range cdktest.Resources(template, "AWS::IAM::Policy") {
			if assert.ObjectsAreEqual([]any{resolved(stack, role)}, policy["Roles"]) {
				return cdktest.At(policy, "PolicyDocument.Statement")
			}
		}
		return nil
	}
	assert.Equal(t, []any{map[string]any{
		"Action": "events:PutEvents", "Effect": "Allow", "Resource": resolved(stack, ingress.Bus().EventBusArn()),
	}}, statements(sender.RoleName()))
	assert.Contains(t, statements(ingress.Function().Role().RoleName()), map[string]any{
		"Action": []any{"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}, "Effect": "Allow",
		"Resource": resolved(stack, more.SecretArn()),
	})
	assert.NotEmpty(t, *ingress.URL())
}

func TestWebhookIngress_TwoOnOneBusDoNotCollide(t *testing.T) {
	stack := cdktest.NewStack(t)
	bus := awsevents.NewEventBus(stack, jsii.String("Given"), nil)
	for _, id := range []string{"One", "Two"} {
		props := owners()
		props.EventBus, props.ArchiveRetention, props.SchemaDiscovery = bus, 24*time.Hour, true
		constructs.NewWebhookIngress(stack, id, props)
	}
	assert.Equal(t, 2, cdktest.Inventory(cdktest.Template(stack))["AWS::Events::Archive"])
}

func TestWebhookIngress_AddFleet_FailsWhenNoJobIsAccepted(t *testing.T) {
	props := owners()
	props.Events = []string{"push"}
	ingress := constructs.NewWebhookIngress(cdktest.NewStack(t), "Ingress", props)
	assert.Equal(t, `WebhookIngress "Ingress": adding fleet "linux": Events must have workflow_job or no job reaches `+
		`a fleet, got ["push"]`,
		cdktest.PanicMessage(t, func() { constructs.AddRoute(ingress, "linux", []string{"linux"}) }))
}

// Without Go the program is built in a container, here by a stand-in for docker.
// The CDK's Node.js has the environment that it was started with, so the test
// starts itself once more.
func TestWebhookIngress_IsBuiltInAContainerWhereGoIsMissing(t *testing.T) {
	if os.Getenv("CDK_DOCKER") != "" {
		app := cdktest.NewApp(t, map[string]any{"aws:cdk:bundling-stacks": []any{"**"}})
		constructs.NewWebhookIngress(awscdk.NewStack(app, jsii.String("Test"), nil), "Ingress", owners())
		return
	}
	folder := t.TempDir()
	docker := filepath.Join(folder, "docker")
	require.NoError(t, os.WriteFile(docker, []byte(`#!/bin/sh
echo "$@" >> "`+folder+`/calls"
for argument; do
  case "$argument" in *:/asset-output*) echo built > "${argument%%:/asset-output*}/bootstrap" ;; esac
done
`), 0o700))
	node, err := exec.LookPath("node")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(node, filepath.Join(folder, "node")))
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), "CDK_DOCKER="+docker, "PATH="+folder,
		"XDG_CACHE_HOME=no/absolute/path") // so nothing is built yet
	output, err := again.CombinedOutput()
	require.NoErrorf(t, err, "%s", output)

	calls, err := os.ReadFile(filepath.Join(folder, "calls"))
	require.NoError(t, err, "docker was not asked")
	for _, want := range []string{
		"public.ecr.aws/docker/library/golang:1.26.8", "GOOS=linux", "GOARCH=arm64", "GOENV=off", "-w /asset-input",
		"go build -mod=readonly -trimpath", "-o /asset-output/bootstrap ./lambda/webhook",
	} {
		assert.Contains(t, string(calls), want, "the container would build another program, or none")
	}
}
