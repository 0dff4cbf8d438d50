package examples_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// article is one of the source series: "Scalable Self-Hosted GitHub Runners on
// AWS Cloud" by Tony Tannous, techtoaster.io. A further article is a file of
// parameters in testdata/source-series and an entry here.
type article struct {
	data    string // file in testdata/source-series
	example string
	stack   string
	steps   []step
}

var articles = []article{
	{data: "02-ecr-repository.json", example: "source-series", stack: "SourceSeriesImage", steps: ecrRepository},
	{data: "03-registration-token.json", example: "source-series", stack: "SourceSeries", steps: registrationToken},
	{data: "05-codebuild.json", example: "source-series", stack: "SourceSeriesImage", steps: codeBuild},
	{data: "06-ecs-cluster.json", example: "source-series", stack: "SourceSeries", steps: ecsCluster},
	{data: "07-event-bus.json", example: "source-series", stack: "SourceSeries", steps: eventBus},
	{data: "08-task-definition.json", example: "source-series", stack: "SourceSeries", steps: taskDefinition},
	{data: "09-function-url.json", example: "source-series", stack: "SourceSeries", steps: functionURL},
	{data: "11-event-rule.json", example: "source-series", stack: "SourceSeries", steps: eventRule},
}

// step is a command or a file of an article.
type step struct {
	name string
	rows []row
}

// row says how a template answers to one parameter of the series. Its value is
// the series', and then at is all that a row has; or another, or none at all,
// and then it says why.
type row struct {
	parameter string
	at        string // path in the template, see template.find; empty: nowhere
	// regular expression for the part of the value that answers, its first group if it has one; empty: all of it
	part    string
	instead string // what the template has instead of the series' value
	reason  string
}

const (
	cluster  = "AWS::ECS::Cluster"
	launch   = "AWS::EC2::LaunchTemplate"
	group    = "AWS::AutoScaling::AutoScalingGroup"
	provider = "AWS::ECS::CapacityProvider"
	strategy = "AWS::ECS::ClusterCapacityProviderAssociations"

	repository = "AWS::ECR::Repository"
	project    = "AWS::CodeBuild::Project"
	buildRole  = "AWS::IAM::Role[Path=/service-role/]"
	check      = "AWS::Events::Rule[ScheduleExpression=cron(23 3 * * ? *)]"
)

var ecrRepository = []step{
	{"aws ecr create-repository", []row{
		{parameter: "--profile", reason: "who deploys chooses the credentials"},
		{parameter: "--repository-name", at: repository + ".RepositoryName"},
		{parameter: "--region", at: "Stack.Region"},
		{parameter: "output: repositoryUri", reason: "known after deployment only; the app has it as an output"},
		{
			parameter: "output: imageTagMutability", at: repository + ".ImageTagMutability", instead: "IMMUTABLE_WITH_EXCLUSION",
			reason: "an image that was checked stays what it is; only the tag from which tasks start can be moved",
		},
		{
			parameter: "output: imageScanningConfiguration.scanOnPush", at: repository +
				".ImageScanningConfiguration.ScanOnPush", instead: "true",
			reason: "vulnerabilities show without anybody asking",
		},
		{
			parameter: "output: encryptionConfiguration.encryptionType", at: repository + ".EncryptionConfiguration",
			instead: notSet,
			reason:  "AES256 is what ECR takes when it is not set; prop EncryptionKey takes a key",
		},
		{
			parameter: "lifecycle policy", at: repository + ".LifecyclePolicy", instead: "LifecyclePolicyText",
			reason: "images would pile up, and be paid for",
		},
	}},
}

var codeBuild = []step{
	{"project", []row{
		{parameter: "name", at: project + ".Name"},
		{parameter: "source", at: project + ".SecondarySources[SourceIdentifier=image].Type"},
		{
			parameter: "pushes to", at: project + ".Environment.EnvironmentVariables[Name=REPOSITORY_URI].Value",
			part: `[^/]+$`,
		},
		{parameter: "service role", at: project + ".ServiceRole", part: `(.*)\.Arn`},
	}},
	{"service role", []row{
		{parameter: "name", at: buildRole + ".RoleName"},
		{parameter: "path", at: buildRole + ".Path"},
		{parameter: "trust", at: buildRole + ".AssumeRolePolicyDocument.Statement[Effect=Allow].Principal.Service"},
	}},
	{"version check", []row{
		{
			parameter: "schedule", at: check + ".ScheduleExpression", instead: "cron(23 3 * * ? *)",
			reason: "daily; the article does not tell the expression",
		},
		{parameter: "starts", at: check + ".Targets[Id=Target0].Arn", part: `(.*)\.Arn`},
		{parameter: "compares", reason: "build.sh of this library does, which the build gets with each deployment"},
	}},
}

var ecsCluster = []step{
	{"aws ecs create-cluster", []row{
		{parameter: "--region", at: "Stack.Region"},
		{parameter: "--cluster-name", at: cluster + ".ClusterName"},
	}},
	{"aws ssm get-parameters", []row{
		{parameter: "--names", at: launch + ".LaunchTemplateData.ImageId", part: `/aws/.*/recommended`},
		{parameter: "--region", at: "Stack.Region"},
		{parameter: "output: type", reason: "EC2 reads the parameter, and of it image_id only"},
		{parameter: "output: agent version", reason: "belongs to the AMI of that day"},
		{parameter: "output: runtime version", reason: "belongs to the AMI of that day"},
		{parameter: "output: image_id", reason: "EC2 reads it at each launch"},
	}},
	{"userdata.txt", []row{
		{parameter: "interpreter", at: launch + ".LaunchTemplateData.UserData", part: `#!\S+`},
		{parameter: "line appended", at: launch + ".LaunchTemplateData.UserData", part: `(?m)^ECS_CLUSTER=.*$`},
		{parameter: "file appended to", at: launch + ".LaunchTemplateData.UserData", part: `(?m)^cat >> (\S+)`},
		{
			parameter: "encoding", at: launch + ".LaunchTemplateData.UserData", part: `^\S+`, instead: "Fn::Base64",
			reason: "CloudFormation encodes",
		},
	}},
	{"launch-template-data.json", []row{
		{
			parameter: "ImageId", at: launch + ".LaunchTemplateData.ImageId",
			instead: "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
			reason:  "each instance starts with the AMI of its own day, so fixes need no deployment; prop ImageID pins one",
		},
		{
			parameter: "IamInstanceProfile.Name", at: launch + ".LaunchTemplateData.IamInstanceProfile.Arn",
			instead: "ecsInstanceRole.Arn",
			reason: "the profile of that name is the stack's own, with a role for the ECS agent and no more, and referred " +
				"to by ARN",
		},
		{parameter: "InstanceType", at: launch + ".LaunchTemplateData.InstanceType"},
		{parameter: "TagSpecifications ResourceType", at: launch +
			".LaunchTemplateData.TagSpecifications[ResourceType=instance].ResourceType"},
		{parameter: "TagSpecifications Tags", at: launch +
			".LaunchTemplateData.TagSpecifications[ResourceType=instance].Tags"},
		{
			parameter: "UserData", at: launch + ".LaunchTemplateData.UserData", part: `systemctl enable .* (\S+)`,
			instead: "ecsrunners-firewall.service",
			reason: "host hardening stays on: before the lines of the article the script keeps containers from instance " +
				"metadata and agent",
		},
	}},
	{"aws ec2 create-launch-template", []row{
		{parameter: "--launch-template-name", at: launch + ".LaunchTemplateName"},
		{
			parameter: "--launch-template-data", at: launch + ".LaunchTemplateData",
			instead: "BlockDeviceMappings, IamInstanceProfile, ImageId, InstanceType, MetadataOptions, NetworkInterfaces, " +
				"TagSpecifications, UserData",
			reason: "not a file; and host hardening stays on: an encrypted volume, IMDSv2 with hop limit 1, a security " +
				"group without ingress",
		},
	}},
	{"aws autoscaling create-auto-scaling-group", []row{
		{parameter: "--auto-scaling-group-name", at: group + ".AutoScalingGroupName"},
		{parameter: "--launch-template LaunchTemplateName", at: group + ".LaunchTemplate.LaunchTemplateId"},
		{
			parameter: "--launch-template Version", at: group + ".LaunchTemplate.Version",
			instead: "GitHub-Actions-Launch-template.LatestVersionNumber",
			reason: "the latest version as of the deployment: the group starts what was deployed, and rolls back with the " +
				"stack",
		},
		{parameter: "--min-size", at: group + ".MinSize"},
		{parameter: "--max-size", at: group + ".MaxSize"},
		{parameter: "--vpc-zone-identifier", at: group + ".VPCZoneIdentifier"},
		{parameter: "--desired-capacity", at: group + ".DesiredCapacity"},
		{parameter: "--new-instances-protected-from-scale-in", at: group + ".NewInstancesProtectedFromScaleIn"},
	}},
	{"aws autoscaling describe-auto-scaling-groups", []row{
		{parameter: "--auto-scaling-group-name", at: provider + ".AutoScalingGroupProvider.AutoScalingGroupArn"},
	}},
	{"capacity_provider.json", []row{
		{parameter: "name", at: provider + ".Name"},
		{
			parameter: "autoScalingGroupArn", at: provider + ".AutoScalingGroupProvider.AutoScalingGroupArn",
			instead: "GitHub-Actions-asg",
			reason:  "a reference; ECS takes the name of the group as well",
		},
		{parameter: "managedScaling.status", at: provider + ".AutoScalingGroupProvider.ManagedScaling.Status"},
		{parameter: "managedScaling.targetCapacity", at: provider +
			".AutoScalingGroupProvider.ManagedScaling.TargetCapacity"},
		{parameter: "managedScaling.minimumScalingStepSize", at: provider +
			".AutoScalingGroupProvider.ManagedScaling.MinimumScalingStepSize"},
		{parameter: "managedScaling.maximumScalingStepSize", at: provider +
			".AutoScalingGroupProvider.ManagedScaling.MaximumScalingStepSize"},
		{parameter: "managedScaling.instanceWarmupPeriod", at: provider +
			".AutoScalingGroupProvider.ManagedScaling.InstanceWarmupPeriod"},
		{parameter: "managedTerminationProtection", at: provider + ".AutoScalingGroupProvider.ManagedTerminationProtection"},
		{
			parameter: "managedDraining", at: provider + ".AutoScalingGroupProvider.ManagedDraining", instead: "ENABLED",
			reason: "what ECS does when it is not set; said here, or the CDK would add a Lambda function that drains",
		},
		{parameter: "tags", at: provider + ".Tags[Key=Name]"},
	}},
	{"aws ecs create-capacity-provider", []row{
		{
			parameter: "--cli-input-json", at: provider, instead: "AutoScalingGroupProvider, Name, Tags",
			reason: "not a file: its content is the resource",
		},
		{parameter: "output: status", reason: "known after deployment only"},
	}},
	{"aws ecs put-cluster-capacity-providers", []row{
		{parameter: "--cluster", at: strategy + ".Cluster"},
		{parameter: "--capacity-providers", at: strategy + ".CapacityProviders"},
		{parameter: "--default-capacity-provider-strategy capacityProvider", at: strategy +
			".DefaultCapacityProviderStrategy[Weight=1].CapacityProvider"},
		{parameter: "--default-capacity-provider-strategy weight", at: strategy +
			".DefaultCapacityProviderStrategy[CapacityProvider=GitHubActionsCapacity].Weight"},
		{
			parameter: "output: base", at: strategy +
				".DefaultCapacityProviderStrategy[CapacityProvider=GitHubActionsCapacity].Base", instead: notSet,
			reason: "0 is what ECS takes when it is not set, here as in the article",
		},
		{parameter: "output: containerInsights", at: cluster + ".ClusterSettings[Name=containerInsights].Value"},
		{parameter: "output: attachment", reason: "ECS makes it, because managed scaling is on"},
		{parameter: "output: attachmentsStatus", reason: "known after deployment only"},
		{parameter: "output: instances, tasks and services", reason: "known after deployment only"},
	}},
	{"checks", []row{
		{parameter: "group's launch template", at: group + ".LaunchTemplate.LaunchTemplateId"},
		{parameter: "group's minimum", at: group + ".MinSize"},
		{parameter: "group's maximum", at: group + ".MaxSize"},
		{
			parameter: "group's desired capacity", at: group + ".DesiredCapacity", instead: notSet,
			reason: "a value would undo with each deployment what ECS has adjusted",
		},
		{
			parameter: "group's tag AmazonECSManaged", at: group + ".Tags[Key=AmazonECSManaged]", instead: "AmazonECSManaged=",
			reason: "in the template as well, so that no deployment takes it away: without it ECS no longer scales",
		},
		{parameter: "group's scaling policy", reason: "ECS makes it, because managed scaling is on"},
		{parameter: "group's activity", reason: "known after deployment only"},
		{parameter: "cluster's capacity provider", at: strategy + ".CapacityProviders"},
		{
			parameter: "cluster's managed scaling", at: provider + ".AutoScalingGroupProvider.ManagedScaling.Status",
			instead: "ENABLED",
			reason:  "the article tells what the console shows",
		},
		{parameter: "cluster's container instances", reason: "known after deployment only"},
	}},
}

const (
	bus          = "AWS::Events::EventBus"
	discoverer   = "AWS::EventSchemas::Discoverer"
	definition   = "AWS::ECS::TaskDefinition"
	taskRole     = "AWS::IAM::Role[RoleName=github-actions-self-hosted-runner-debian-iam-task-role]"
	agentRole    = "AWS::IAM::Role[Description=ECS agent: pull the image and write the log of the runner fleet debian]"
	webhook      = "AWS::Lambda::Function[FunctionName=git-actions-webhook-lambda-function]"
	registration = "AWS::Lambda::Function[Description=Registers runners at GitHub for the tasks that ask]"
	webhookURL   = "AWS::Lambda::Url[AuthType=NONE]"
	alarm        = "AWS::CloudWatch::Alarm"
	rule         = "AWS::Events::Rule"

	jobPolicy     = "AWS::IAM::Policy[PolicyName=github-actions-self-hosted-runner-debian-iam-task-role-policy]"
	webhookRole   = "AWS::IAM::Role[Description=GitHub's webhook: put events on the bus, read the webhook secret]"
	webhookPolicy = "AWS::IAM::Policy[Roles=GitHub's webhook: put events on the bus, read the webhook secret]"
)

var registrationToken = []step{
	{"token", []row{
		{parameter: "kind", reason: "filled in after deployment; GitHubToken takes this kind too, GitHubApp is the default"},
		{parameter: "scope", reason: "filled in after deployment; less is enough: GitHubToken tells"},
		{parameter: "owner", reason: "filled in after deployment"},
		{
			parameter: "used by", at: registration + ".Environment.Variables.ECSRUNNERS_GITHUB_CREDENTIAL_ID",
			instead: "github-actions-runner-registration-token",
			reason:  "jobs could read it in their container: only the registration function does",
		},
		{
			parameter: "registers runners of", at: registration + ".Environment.Variables.ECSRUNNERS_GITHUB_SCOPE",
			part: `^orgs/(.*)$`,
		},
	}},
}

var eventBus = []step{
	{"event bus", []row{{parameter: "name", at: bus + ".Name"}}},
	{"aws schemas create-discoverer", []row{
		{
			parameter: "--source-arn", at: discoverer + ".SourceArn", instead: "github-actions-event-bus.Arn",
			reason: "the series writes the name of its bus in two ways; here it is a reference",
		},
		{
			parameter: "--description", at: discoverer + ".Description", instead: "Schemas of GitHub's webhook events",
			reason: "the construct's own words",
		},
		{parameter: "output: DiscovererId", reason: "known after deployment only"},
		{parameter: "output: State", reason: "known after deployment only"},
		{parameter: "output: registry", reason: "EventBridge's own, to which every discoverer writes"},
	}},
	{"events", []row{
		{
			parameter: "types", at: webhook + ".Environment.Variables.ECSRUNNERS_ALLOWED_EVENTS", instead: "*",
			reason: "the same, in the construct's words",
		},
	}},
}

var taskDefinition = []step{
	{"task definition", []row{
		{parameter: "family", at: definition + ".Family"},
		{parameter: "containers", at: definition + ".ContainerDefinitions.Count"},
		{
			parameter: "RUNNER_LABELS",
			reason:    "the runner gets the labels of its job with its registration, any number of them",
		},
	}},
	{"secret", []row{
		{parameter: "name", at: "AWS::SecretsManager::Secret[Description=GitHub's credential of the runners, to be " +
			"filled in as JSON].Name"},
		{
			parameter: "form",
			reason:    "filled in after deployment, as JSON: a token and an App must not be mistaken for each other",
		},
	}},
	{"task role", []row{
		{parameter: "name", at: taskRole + ".RoleName"},
		{parameter: "trust", at: taskRole + ".AssumeRolePolicyDocument.Statement[Effect=Allow].Principal.Service"},
		{parameter: "sample action", at: jobPolicy + ".PolicyDocument.Statement[Effect=Allow].Action"},
		{parameter: "sample resource", at: jobPolicy + ".PolicyDocument.Statement[Effect=Allow].Resource"},
		{parameter: "policy name", at: jobPolicy + ".PolicyName"},
	}},
	{"execution role", []row{
		{
			parameter: "role", at: definition + ".ExecutionRoleArn",
			instead: "ECS agent: pull the image and write the log of the runner fleet debian.Arn",
			reason:  "it is separate; the series does not tell its name, which prop ExecutionRoleName would set",
		},
		{parameter: "trust", at: agentRole + ".AssumeRolePolicyDocument.Statement[Effect=Allow].Principal.Service"},
		{parameter: "trust policy file", reason: "the policy is in the template"},
	}},
}

var functionURL = []step{
	{"stack", []row{
		{parameter: "name", reason: "the webhook is in one stack with the cluster: a deployment of the app has one name"},
	}},
	{"function", []row{
		{parameter: "name", at: webhook + ".FunctionName"},
		{parameter: "runtime", at: webhook + ".Runtime", instead: "provided.al2023", reason: "the program is in Go"},
		{parameter: "architecture", at: webhook + ".Architectures"},
		{parameter: "memory", at: webhook + ".MemorySize"},
		{
			parameter: "timeout", at: webhook + ".Timeout", instead: "10",
			reason: "GitHub waits ten seconds; prop Timeout takes up to 60",
		},
		{parameter: "reserved concurrency", at: webhook + ".ReservedConcurrentExecutions"},
		{parameter: "GITHUB_WEBHOOK_SECRET_ARN", at: webhook + ".Environment.Variables.ECSRUNNERS_WEBHOOK_SECRET_ID"},
		{
			parameter: "EVENT_BUS_NAME", at: webhook + ".Environment.Variables.ECSRUNNERS_EVENT_BUS",
			instead: "github-actions-event-bus.Arn",
			reason:  "the series writes the name of its bus in two ways; here it is a reference",
		},
	}},
	{"function URL", []row{
		{parameter: "auth type", at: webhookURL + ".AuthType"},
		{parameter: "permission", at: "AWS::Lambda::Permission[FunctionUrlAuthType=NONE].Action"},
		{parameter: "principal", at: "AWS::Lambda::Permission[FunctionUrlAuthType=NONE].Principal"},
	}},
	{"secret", []row{
		{parameter: "name", at: "AWS::SecretsManager::Secret[Description=Secret of the GitHub webhook of the runners].Name"},
		{
			parameter: "value",
			at: "AWS::SecretsManager::Secret[Description=Secret of the GitHub webhook of the " +
				"runners].GenerateSecretString.PasswordLength", instead: "64",
			reason: "64 random letters and digits, made by Secrets Manager",
		},
	}},
	{"role", []row{
		{
			parameter: "writes its log", at: webhookRole + ".ManagedPolicyArns", instead: notSet,
			reason: "that policy lets it write any log; it may write its own only",
		},
		{parameter: "on the bus", at: webhookPolicy + ".PolicyDocument.Statement[Action=events:PutEvents].Action"},
		{
			parameter: "bus", at: webhookPolicy + ".PolicyDocument.Statement[Action=events:PutEvents].Resource",
			instead: "github-actions-event-bus.Arn",
			reason:  "the series writes the name of its bus in two ways; here it is a reference",
		},
		{
			parameter: "on the secret", at: webhookPolicy +
				".PolicyDocument.Statement[Resource=git-actions-webhook-secret].Action", instead: "secretsmanager:GetSecretValue",
			reason: "reading the value takes no more",
		},
		{parameter: "secret", at: webhookPolicy + ".PolicyDocument.Statement[Action=secretsmanager:GetSecretValue].Resource"},
	}},
	{"delivery", []row{
		{parameter: "form", reason: "the program takes JSON only, which GitHub sends when told so; it decodes base64 too"},
		{parameter: "signature", reason: "the program does the same"},
		{parameter: "order", reason: "the program checks the signature first: what GitHub did not sign is not parsed"},
		{parameter: "answers", reason: "202 and 401 as well; the program answers 200 to what it ignores, 400, 405, 413 " +
			"or 415 to what is no delivery, and 503 when the bus or the secret is out of reach"},
	}},
	{"event", []row{
		{parameter: "Source", at: rule + ".EventPattern.source", part: `^[^,]+`},
		{parameter: "DetailType", reason: "the program does the same, as the rule's pattern relies on"},
		{
			parameter: "Detail",
			reason:    "the payload with a member dispatch in front, from which the rule takes what the task needs",
		},
		{parameter: "filter", reason: "prop Events is * here; still, a ping and what comes of other owners or of public " +
			"repositories stays off the bus"},
	}},
	{"alarm", []row{
		{parameter: "name", at: alarm + ".AlarmName"},
		{parameter: "metric", at: alarm + ".MetricName"},
		{parameter: "statistic", at: alarm + ".Statistic"},
		{parameter: "comparison", at: alarm + ".ComparisonOperator"},
		{parameter: "threshold", at: alarm + ".Threshold"},
		{parameter: "period", at: alarm + ".Period"},
		{parameter: "evaluation periods", at: alarm + ".EvaluationPeriods"},
	}},
	{"outputs", []row{
		{parameter: "FunctionUrlEndpoint", at: "Output.FunctionUrlEndpoint"},
		{parameter: "LambdaFunctionName", at: "Output.LambdaFunctionName"},
		{parameter: "LambdaFunctionARN", at: "Output.LambdaFunctionARN"},
	}},
}

var eventRule = []step{
	{"rule", []row{
		{parameter: "event bus", at: rule + ".EventBusName"},
		{
			parameter: "labels of a job", at: rule + ".EventPattern.detail.dispatch.fleet", instead: "debian",
			reason: "any number: the function finds the fleet whose labels cover the job's",
		},
		{
			parameter: "starts", at: rule + ".Targets[Id=Task].EcsParameters.TaskDefinitionArn", part: `task-definition/(.*)$`,
		},
		{
			parameter: "variables", at: rule + ".Targets[Id=Task].InputTransformer.InputTemplate", part: `ECSRUNNERS_JOB_ID`,
			instead: "ECSRUNNERS_JOB_ID",
			reason:  "strings of the event's dispatch object, because an array makes the start fail",
		},
		{
			parameter: "one runner for a job by", at: rule + ".Targets[Id=Task].InputTransformer.InputPathsMap.job_id",
			instead: "$.detail.dispatch.job_id",
			reason:  "the id of the job: the registration function gives the task a runner for it",
		},
		{parameter: "runs-on", reason: "parallel jobs of a run attempt would share the label and swap their runners; " +
			"here jobs name labels of the fleet"},
	}},
	{"sample event", []row{
		{
			parameter: "schema",
			reason:    "EventBridge names a schema after source and detail-type of the events, which are these",
		},
		{parameter: "source", at: rule + ".EventPattern.source", part: `^[^,]+`},
		{parameter: "detail-type", at: rule + ".EventPattern.detail-type"},
		{parameter: "time", reason: "that of a sample"},
	}},
	{"pattern of JIT 6, same bus", []row{
		{parameter: "source", at: rule + ".EventPattern.source", part: `^[^,]+`},
		{parameter: "detail-type", at: rule + ".EventPattern.detail-type"},
		{parameter: "detail.organization.login", at: webhook + ".Environment.Variables.ECSRUNNERS_ALLOWED_OWNERS"},
		{parameter: "detail.workflow_job.status", at: rule + ".EventPattern.detail.action"},
	}},
}

func TestSourceSeries_HasItsParametersInTheTemplate(t *testing.T) {
	assemblies := map[string]assembly{}
	for _, a := range articles {
		s := a.series(t)
		if _, done := assemblies[a.example]; !done {
			assemblies[a.example] = synthesize(t, a.example)
		}
		assembly := assemblies[a.example]
		stack, ok := assembly.stacks(t)[a.stack]
		require.Truef(t, ok, "example %s has no stack %s", a.example, a.stack)
		region := stack.Environment[strings.LastIndex(stack.Environment, "/")+1:]
		table, problems := compare(s, a.steps, parseTemplate(t, assembly.read(t, stack.Properties.TemplateFile), region))
		if testing.Verbose() {
			t.Logf("Article %d, %s, and example %s\n%s", s.Article, s.Title, a.example, table)
		}
		for _, problem := range problems {
			t.Errorf("article %d, %s", s.Article, problem)
		}
	}
}

func TestSourceSeries_ReadsEveryFileOfParameters(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(articles[0].file()), "*"))
	require.NoError(t, err)
	var read []string
	for _, a := range articles {
		read = append(read, a.file())
	}
	assert.ElementsMatch(t, files, read, "files of parameters on the left, those that an article names on the right")
}

// series is what an article says. Each parameter is a step, a name and a value.
type series struct {
	Article    int
	Title      string
	Parameters [][3]string
}

func (a article) file() string { return filepath.Join("testdata", "source-series", a.data) }

func (a article) series(t *testing.T) series {
	t.Helper()
	content, err := os.ReadFile(a.file())
	require.NoError(t, err)
	var s series
	require.NoErrorf(t, json.Unmarshal(content, &s), "reading %s", a.file())
	return s
}

// compare holds a template against the series. It returns a table for reading,
// and what is wrong: with the template, with the rows, or with both together.
func compare(s series, steps []step, tpl template) (table string, problems []string) {
	rows := map[[2]string]row{}
	for _, step := range steps {
		for _, r := range step.rows {
			key := [2]string{step.name, r.parameter}
			if _, ok := rows[key]; ok {
				problems = append(problems, fmt.Sprintf("%s %s: it has two rows", step.name, r.parameter))
			}
			rows[key] = r
		}
	}
	var b strings.Builder
	var previous string
	var equal, wrong int
	for _, p := range s.Parameters {
		step, parameter, value := p[0], p[1], p[2]
		if step != previous {
			fmt.Fprintf(&b, "\n%s\n", step)
			previous = step
		}
		fmt.Fprintf(&b, "  %-55s %s\n", parameter, value)
		key := [2]string{step, parameter}
		r, ok := rows[key]
		if !ok {
			wrong++
			problems = append(problems, fmt.Sprintf("%s %s: it has no row, or the series names it twice", step, parameter))
			continue
		}
		delete(rows, key)
		got, problem := r.check(value, tpl)
		switch {
		case problem != "":
			wrong++
			problems = append(problems, fmt.Sprintf("%s %s: %s", step, parameter, problem))
			fmt.Fprintf(&b, "      ✗ %s\n", problem)
		case r.at == "":
			fmt.Fprintf(&b, "      – nothing in the template: %s\n", r.reason)
		case r.instead == "":
			equal++
			fmt.Fprintf(&b, "      = %s\n", r.at)
		default:
			fmt.Fprintf(&b, "      ≠ %s: %s\n        %s\n", r.at, got, r.reason)
		}
	}
	for _, step := range steps { // in their order
		for _, r := range step.rows {
			if _, ok := rows[[2]string{step.name, r.parameter}]; ok {
				problems = append(problems, fmt.Sprintf("%s %s: it has a row, but the series has no such parameter", step.name,
					r.parameter))
			}
		}
	}
	fmt.Fprintf(&b, "\n%d parameters: %d as in the series, %d otherwise for a reason, %d wrong\n", len(s.Parameters),
		equal, len(s.Parameters)-equal-wrong, wrong)
	return b.String(), problems
}

// check returns what answers to the series' value in the template, and what is
// wrong with that or with the row.
func (r row) check(value string, tpl template) (got, problem string) {
	different := r.at == "" || r.instead != ""
	switch {
	case different && r.reason == "":
		return "", fmt.Sprintf("the series has %q, the row something else, but no reason", value)
	case !different && r.reason != "":
		return "", "the row has a reason, but nothing that is different"
	case r.instead == value:
		return "", fmt.Sprintf("%q is the series' value, and needs no reason", value)
	case r.at == "":
		return "", ""
	}
	got, err := tpl.find(r.at)
	if err != nil {
		return "", err.Error()
	}
	if r.part != "" {
		match := regexp.MustCompile(r.part).FindStringSubmatch(got)
		if match == nil {
			return "", fmt.Sprintf("nothing at %s matches %s", r.at, r.part)
		}
		got = match[len(match)-1]
	}
	switch {
	case r.instead == "" && got != value:
		return "", fmt.Sprintf("the series has %q, the template has %q at %s", value, got, r.at)
	case r.instead != "" && got != r.instead:
		return "", fmt.Sprintf("the series has %q, for which the template should have %q, but has %q at %s", value,
			r.instead, got, r.at)
	}
	return got, ""
}

func TestSourceSeries_FailsWhen(t *testing.T) {
	tpl := parseTemplate(t,
		[]byte(`{"Resources": {"C": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "runners"}}}}`), "us-east-1")
	named := [3]string{"create-cluster", "--cluster-name", "runners"}
	renamed := [3]string{"create-cluster", "--cluster-name", "Runners"}
	same := row{parameter: "--cluster-name", at: cluster + ".ClusterName"}
	for name, test := range map[string]struct {
		parameters [][3]string
		rows       []row
		want       string // empty: nothing is wrong
	}{
		"nothing is wrong": {parameters: [][3]string{named}, rows: []row{same}},
		"nothing is wrong: another value for a reason": {
			parameters: [][3]string{renamed},
			rows:       []row{{parameter: "--cluster-name", at: same.at, instead: "runners", reason: "in lower case"}},
		},
		"the template has another value": {
			parameters: [][3]string{renamed}, rows: []row{same},
			want: `create-cluster --cluster-name: the series has "Runners", the template has "runners" at ` +
				`AWS::ECS::Cluster.ClusterName`,
		},
		"the template has another value than the row says": {
			parameters: [][3]string{renamed},
			rows:       []row{{parameter: "--cluster-name", at: same.at, instead: "RUNNERS", reason: "in capitals"}},
			want: `the series has "Runners", for which the template should have "RUNNERS", but has "runners" at ` +
				`AWS::ECS::Cluster.ClusterName`,
		},
		"another value has no reason": {
			parameters: [][3]string{renamed},
			rows:       []row{{parameter: "--cluster-name", at: same.at, instead: "runners"}},
			want:       `the series has "Runners", the row something else, but no reason`,
		},
		"an absence has no reason": {
			parameters: [][3]string{named}, rows: []row{{parameter: "--cluster-name"}},
			want: `the series has "runners", the row something else, but no reason`,
		},
		"an equal value has a reason": {
			parameters: [][3]string{named},
			rows:       []row{{parameter: "--cluster-name", at: same.at, reason: "just so"}},
			want:       "the row has a reason, but nothing that is different",
		},
		"the other value is the series'": {
			parameters: [][3]string{named},
			rows:       []row{{parameter: "--cluster-name", at: same.at, instead: "runners", reason: "just so"}},
			want:       `"runners" is the series' value, and needs no reason`,
		},
		"a parameter has no row": {
			parameters: [][3]string{named},
			want:       "create-cluster --cluster-name: it has no row, or the series names it twice",
		},
		"the series names a parameter twice": {
			parameters: [][3]string{named, named}, rows: []row{same},
			want: "create-cluster --cluster-name: it has no row, or the series names it twice",
		},
		"a row has no parameter": {
			rows: []row{same},
			want: "create-cluster --cluster-name: it has a row, but the series has no such parameter",
		},
		"a parameter has two rows": {
			parameters: [][3]string{named}, rows: []row{same, same},
			want: "create-cluster --cluster-name: it has two rows",
		},
		"the path leads nowhere": {
			parameters: [][3]string{named}, rows: []row{{parameter: "--cluster-name", at: "AWS::ECS::Service.Cluster"}},
			want: "0 resources of type AWS::ECS::Service",
		},
		"no part of the value answers": {
			parameters: [][3]string{named}, rows: []row{{parameter: "--cluster-name", at: same.at, part: "[0-9]+"}},
			want: "nothing at AWS::ECS::Cluster.ClusterName matches [0-9]+",
		},
	} {
		_, problems := compare(series{Parameters: test.parameters}, []step{{"create-cluster", test.rows}}, tpl)
		if test.want == "" {
			assert.Empty(t, problems, name)
			continue
		}
		if assert.Lenf(t, problems, 1, "nobody is told when %s", name) {
			assert.Contains(t, problems[0], test.want, name)
		}
	}
}
