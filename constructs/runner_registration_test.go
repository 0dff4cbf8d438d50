package constructs_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

func TestRunnerRegistration_ByDefaultIsADoorForItsFleetsOnly(t *testing.T) {
	bare := cdktest.NewStack(t)
	constructs.NewRunnerCluster(bare, "Cluster", nil)
	before := cdktest.Inventory(cdktest.Template(bare))
	s := newSystem(t)
	template := cdktest.Template(s.stack)

	added := cdktest.Inventory(template)
	for kind, n := range before {
		if added[kind] -= n; added[kind] == 0 {
			delete(added, kind)
		}
	}
	assert.Equal(t, map[string]int{
		"AWS::Lambda::Function": 1, "AWS::Lambda::Url": 1, "AWS::DynamoDB::Table": 1, "AWS::SecretsManager::Secret": 1,
		"AWS::IAM::Role": 1, "AWS::IAM::Policy": 1, "AWS::Logs::LogGroup": 1,
	}, added, "a permission would open the URL to others than the fleets' roles")

	assertAt(t, cdktest.Resource(t, template, "AWS::Lambda::Url"), []expectation{
		{"AuthType", "AWS_IAM", "anybody could register runners"},
		{"InvokeMode", "BUFFERED", "the adapter answers whole responses"},
		{"Cors", nil, "no browser calls this"},
	})
	assertAt(t, cdktest.Properties(t, template, s.registration.Function()), []expectation{
		{"Runtime", "provided.al2023", "AWS no longer creates functions of older runtimes for Go"},
		{"Architectures", []any{"arm64"}, "x86 costs a fifth more"},
		{"Timeout", 30.0, "a runner waits no longer for an answer"},
		{"MemorySize", 256.0, "a cold start with less takes seconds"},
		{"ReservedConcurrentExecutions", nil, "new accounts would refuse it"},
		{"LoggingConfig.LogFormat", "JSON", "Lambda's own lines must be readable by the same queries"},
		{
			"LoggingConfig.LogGroup", resolved(s.stack, s.registration.LogGroup().LogGroupName()),
			"Lambda would make a log group that keeps logs forever",
		},
	})
	secret := cdktest.Properties(t, template, s.registration.Credential())
	assert.NotContains(t, secret, "GenerateSecretString", "a random value would be taken for a credential")
	assert.NotContains(t, secret, "SecretString")
	assertAt(t, cdktest.Properties(t, template, s.registration.Ledger()), []expectation{
		{"BillingMode", "PAY_PER_REQUEST", "it would cost money at rest"},
		{
			"KeySchema",
			[]any{map[string]any{"AttributeName": registrationcontract.LedgerKey, "KeyType": "HASH"}},
			"the program would find nothing",
		},
		{"GlobalSecondaryIndexes.0.IndexName", registrationcontract.LedgerIndex, "the program would find nothing"},
		{"GlobalSecondaryIndexes.0.KeySchema", []any{
			map[string]any{"AttributeName": registrationcontract.LedgerFleetState, "KeyType": "HASH"},
			map[string]any{"AttributeName": registrationcontract.LedgerQueuedAt, "KeyType": "RANGE"},
		}, "the oldest job would not be the first"},
		{
			"TimeToLiveSpecification",
			map[string]any{"AttributeName": registrationcontract.LedgerExpires, "Enabled": true},
			"jobs would be kept forever",
		},
		{"PointInTimeRecoverySpecification", nil, "it is charged for"},
	})
	assert.Equal(t, "Delete", cdktest.Definition(t, template, s.registration.Ledger())["DeletionPolicy"])

	service := registrationService(t, template, s)
	assert.Equal(t, registrationcontract.Scope{Kind: registrationcontract.ScopeOrganization, Owner: "my-org"},
		service.Scope)
	assert.Equal(t, "https://github.com", service.GitHubURL)
	assert.Empty(t, service.Fleets)
	deployment, err := json.Marshal(cdktest.At(cdktest.Properties(t, template, s.registration.Function()),
		"Environment.Variables."+registrationcontract.EnvDeployment))
	require.NoError(t, err)
	assert.JSONEq(t,
		`{"Fn::Select":[0,{"Fn::Split":["-",{"Fn::Select":[2,{"Fn::Split":["/",{"Ref":"AWS::StackId"}]}]}]}]}`,
		string(deployment),
		"two deployments would take each other's runners for their own")
	assert.Equal(t, "aws secretsmanager put-secret-value --secret-string file://credential.json --secret-id ${"+
		cdktest.LogicalID(t, s.registration.Credential())+"}",
		cdktest.Text(t, resolved(s.stack, s.registration.CredentialCommand())))
}

func TestRunnerRegistration_MaySeeTasksKeepItsLedgerAndReadItsCredential(t *testing.T) {
	s := newSystem(t)
	template := cdktest.Template(s.stack)
	role := s.stack.Node().FindChild(jsii.String("Registration")).Node().FindChild(jsii.String("Role"))
	var actions []any
	for _, policy := range cdktest.Resources(template, "AWS::IAM::Policy") {
		if cdktest.At(policy, "Roles.0.Ref") != cdktest.LogicalID(t, role) {
			continue
		}
		for _, statement := range cdktest.At(policy, "PolicyDocument.Statement").([]any) {
			allowed, isList := cdktest.At(statement, "Action").([]any)
			if !isList {
				allowed = []any{cdktest.At(statement, "Action")}
			}
			actions = append(actions, allowed...)
			assert.NotEqual(t, "*", cdktest.At(statement, "Resource"), "%v", allowed)
			if allowed[0] == "ecs:DescribeTasks" {
				assert.Equal(t, resolved(s.stack, s.cluster.Cluster().ClusterArn()), cdktest.At(statement,
					"Condition.ArnEquals.ecs:cluster"))
				assert.Contains(t, cdktest.Text(t, cdktest.At(statement, "Resource")), ":task/${"+cdktest.LogicalID(t,
					s.cluster.Cluster())+"}/*")
			}
		}
	}
	assert.ElementsMatch(t, []any{
		"logs:CreateLogStream", "logs:PutLogEvents", "ecs:DescribeTasks", "secretsmanager:GetSecretValue",
		"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query",
	}, actions, "the function can do more, or less, than it needs")
}

func TestRunnerRegistration_TakesItsProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	secret := awssecretsmanager.NewSecret(stack, jsii.String("Token"), &awssecretsmanager.SecretProps{EncryptionKey: key})
	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope: constructs.Enterprise("globo"), Cluster: cluster, Credential: constructs.GitHubToken(secret),
		GitHubURL:  "https://github.example.com/",
		Deployment: "farm", TableName: "ledger", EncryptionKey: key, PointInTimeRecovery: true,
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN,
		FunctionName:  "register", MemorySizeMiB: 512, ReservedConcurrency: new(0), LogRetentionDays: 7,
		Code: awslambda.Code_FromBucketV2(awss3.Bucket_FromBucketName(stack, jsii.String("Code"), jsii.String("code")),
			jsii.String("register.zip"), nil),
	})
	s := system{stack, cluster, registration}
	template := cdktest.Template(stack)
	service := registrationService(t, template, s)
	assert.Equal(t, "enterprises/globo", service.Scope.String())
	assert.Equal(t, "https://github.example.com", service.GitHubURL)
	assert.Equal(t, "farm", service.Deployment)
	assert.Same(t, secret, registration.Credential())
	assertAt(t, cdktest.Properties(t, template, registration.Ledger()), []expectation{
		{"TableName", "ledger", ""},
		{"PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled", true, ""},
		{"SSESpecification.KMSMasterKeyId", resolved(stack, key.KeyArn()), ""},
	})
	assert.Equal(t, "RetainExceptOnCreate", cdktest.Definition(t, template, registration.Ledger())["DeletionPolicy"],
		"a first deployment that fails could not be tried again")
	assertAt(t, cdktest.Properties(t, template, registration.Function()), []expectation{
		{"FunctionName", "register", ""}, {"MemorySize", 512.0, ""}, {
			"ReservedConcurrentExecutions", 0.0,
			"zero is a kill switch",
		}, {"Code.S3Key", "register.zip", ""},
	})
	assertAt(t, cdktest.Properties(t, template, registration.LogGroup()), []expectation{
		{"LogGroupName", "/aws/lambda/register", ""}, {"RetentionInDays", 7.0, ""},
	})
	encoded, err := json.Marshal(cdktest.Resources(template, "AWS::IAM::Policy"))
	require.NoError(t, err)
	assert.Contains(t, string(encoded), "kms:ViaService", "the credential could not be decrypted")

	outcomes := []constructs.RegistrationOutcome{
		constructs.RegistrationRegistered, constructs.RegistrationStarted, constructs.RegistrationReleased,
		constructs.RegistrationNoWork,
		constructs.RegistrationBusy, constructs.RegistrationRefused, constructs.RegistrationThrottled,
		constructs.RegistrationUnavailable,
		constructs.RegistrationFailed,
	}
	var want []string
	for _, outcome := range registrationcontract.Outcomes() {
		want = append(want, string(outcome))
	}
	assert.Equal(t, want, constructs.OutcomeNames(outcomes), "an outcome that the program counts cannot be asked for")
	requests := registration.MetricRequests(constructs.RegistrationThrottled, nil)
	assert.Equal(t, registrationcontract.MetricRequests, *requests.MetricName())
	assert.Equal(t, "throttled", (*requests.Dimensions())["Outcome"])
	assert.Equal(t, "Minimum", *registration.MetricRateLimitRemaining(nil).Statistic())
	assert.Equal(t, registrationcontract.MetricJobCheckFailures, *registration.MetricJobCheckFailures(nil).MetricName())
	assert.Equal(t, registrationcontract.MetricSwappedJobs, *registration.MetricSwappedJobs(nil).MetricName())
}

func TestRunnerRegistration_FailsWhen(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	secret := awssecretsmanager.Secret_FromSecretNameV2(stack, jsii.String("Named"), jsii.String("x"))
	for _, test := range []struct {
		name  string
		props *constructs.RunnerRegistrationProps
		want  string
	}{
		{"nothing is given", nil, `RunnerRegistration "Registration":
Scope is required: the organization, repository or enterprise in which the runners are registered
Cluster is required: the cluster on which the tasks run`},
		{"an App is to register for an enterprise", &constructs.RunnerRegistrationProps{Scope: constructs.Enterprise(
			"globo"), Cluster: cluster}, `RunnerRegistration "Registration":
Credential must be a token for an enterprise: GitHub lets no App register runners of an enterprise`},
		{"a given secret is named, and more", &constructs.RunnerRegistrationProps{
			Scope: constructs.Repository("app"), Cluster: cluster, Credential: constructs.GitHubApp(secret), SecretName: "s",
			Deployment: "Too-Long-A-Name",
		}, `RunnerRegistration "Registration":
Scope must be the full name of a repository, such as "my-org/app", got "app"
SecretName cannot be used with Credential: it names the new secret, and the credential has one
Deployment must be 1 to 8 lower-case letters and digits, got "Too-Long-A-Name"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, cdktest.PanicMessage(t, func() {
				constructs.NewRunnerRegistration(stack, "Registration",
					test.props)
			}))
			assert.Nil(t, stack.Node().TryFindChild(jsii.String("Registration")), "what was refused has left a trace")
		})
	}
}
