// Command source-series deploys what Tony Tannous's series "Scalable Self-Hosted
// GitHub Runners on AWS Cloud" (techtoaster.io) builds with the AWS CLI, with its
// names and values: the image of articles 2, 4 and 5, the cluster of article 6, and
// what takes jobs from GitHub to it, articles 3, 7, 8, 9 and 11.
//
// It shows how each of them is set, not how to set them: the defaults of this
// library differ where the articles' values cost money or jobs. A test holds the
// templates against every parameter of the articles.
package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	image := newImage(app)
	cluster := newCluster(app)
	newRunners(cluster, image)
	app.Synth(nil)
}

// newImage is the image of "ECR Runner Image Repository", "Hosting the Runner
// Docker Artifacts on CodeCommit" and "Build/Push Runner Image using CodeBuild",
// articles 2, 4 and 5.
func newImage(app awscdk.App) *constructs.RunnerImagePipeline {
	stack := awscdk.NewStack(app, jsii.String("SourceSeriesImage"), &awscdk.StackProps{
		Env: &awscdk.Environment{Region: jsii.String("us-east-1")}, // --region of each command
	})
	return constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{
		// The series does not give the name of the CodeCommit repository.
		Source: constructs.CodeCommitSource(&constructs.CodeCommitSourceProps{
			RepositoryName: "github-actions-self-hosted-runner-debian",
		}),

		// aws ecr create-repository
		RepositoryName: "github-actions-self-hosted-runner-debian",

		ProjectName:   "github-actions-self-hosted-runner-debian-build",
		BuildRoleName: "github-actions-self-hosted-runner-debian-build-role",
		BuildRolePath: "/service-role/",
	})
}

// newCluster is the cluster of "Scalable ECS Cluster", article 6.
func newCluster(app awscdk.App) *constructs.RunnerCluster {
	stack := awscdk.NewStack(app, jsii.String("SourceSeries"), &awscdk.StackProps{
		Env: &awscdk.Environment{Region: jsii.String("us-east-1")}, // --region of each command
	})

	// The default VPC, of which the article shows two subnets. Put in your own:
	// aws ec2 describe-vpcs --filters Name=is-default,Values=true
	vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("DefaultVpc"), &awsec2.VpcAttributes{
		VpcId:             jsii.String("vpc-0a1b2c3d"),
		AvailabilityZones: jsii.Strings("us-east-1a", "us-east-1b"),
		PublicSubnetIds:   jsii.Strings("subnet-f7f6ec4d", "subnet-74b07fb6"),
	})
	awscdk.Annotations_Of(vpc).AcknowledgeWarning(jsii.String("@aws-cdk/aws-ec2:noSubnetRouteTableId"),
		jsii.String("nothing here needs the route tables of the subnets"))

	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		VPC: vpc,
		// aws ecs create-cluster
		ClusterName: "GitHub-Actions-Runners",
		// The article takes the profile of this name that Amazon ECS's guide has one
		// make. This one is new: if the account has that, choose another name.
		InstanceProfileName: "ecsInstanceRole",
		DefaultCapacity: &constructs.RunnerCapacityProps{
			// aws ec2 create-launch-template. The article writes the AMI of the day into
			// it, here instances start with the AMI of their own day. To pin it:
			// ImageID: "ami-09e56bbbf745f34c3".
			LaunchTemplateName: "GitHub-Actions-Launch-template",
			InstanceTypes:      []string{"t2.micro"},

			// aws autoscaling create-auto-scaling-group
			AutoScalingGroupName: "GitHub-Actions-asg",
			MinInstances:         0,
			MaxInstances:         5,

			// aws ecs create-capacity-provider
			CapacityProviderName:         "GitHubActionsCapacity",
			ManagedScaling:               jsii.Bool(true),
			TargetCapacityPercent:        80,
			MinimumScalingStepSize:       1,
			MaximumScalingStepSize:       1,
			InstanceWarmupPeriod:         new(300 * time.Second),
			ManagedTerminationProtection: jsii.Bool(false),

			// aws ecs put-cluster-capacity-providers
			Weight: new(1),
		},
	})

	// Tags go by the CDK's own means. These reach the instances:
	capacity := cluster.DefaultCapacity()
	awscdk.Tags_Of(capacity.LaunchTemplate()).Add(jsii.String("Name"), jsii.String("AmazonLinux2023"), nil)
	awscdk.Tags_Of(capacity.CapacityProvider()).Add(jsii.String("Name"), jsii.String("GitHubActionsCapacity"), nil)

	// Warnings that these values rightly cause.
	acknowledge := awscdk.Annotations_Of(capacity).AcknowledgeWarning
	acknowledge(jsii.String("ecsrunners:targetBelow100"),
		jsii.String("the article's value; its checks show the idle instances that come of it"))
	acknowledge(jsii.String("ecsrunners:smallScalingStep"),
		jsii.String("the article's value; it starts one instance after the other"))
	return cluster
}

// newRunners is what takes jobs to the cluster: "Self-hosted GitHub Runner(s)
// Registration Token", "EventBus and Schema Discovery for Webhook Events", "ECS
// Runner Task Definition", "Lambda Function URL" and "EventBridge Rule", articles 3,
// 7, 8, 9 and 11.
func newRunners(cluster *constructs.RunnerCluster, image *constructs.RunnerImagePipeline) {
	stack := awscdk.Stack_Of(cluster)

	// The article gives the token to the container. Here only a function reads it.
	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope:      constructs.Organization("foo-organisation"),
		Cluster:    cluster,
		Credential: constructs.GitHubToken(nil),
		SecretName: "github-actions-runner-registration-token",
	})

	fleet := constructs.NewRunnerFleet(stack, "Debian", &constructs.RunnerFleetProps{
		Registration: registration,
		Image:        image.Image(),
		Labels:       []string{"self-hosted", "linux", "x64"}, // any number: the series knows one
		Family:       "github-actions-self-hosted-runner-debian-task",
		TaskRoleName: "github-actions-self-hosted-runner-debian-iam-task-role",
	})
	// The article's sample of what jobs may do. Without its name it would be shorter:
	// fleet.GrantPrincipal().AddToPrincipalPolicy(…).
	awsiam.NewPolicy(stack, jsii.String("JobPolicy"), &awsiam.PolicyProps{
		PolicyName: jsii.String("github-actions-self-hosted-runner-debian-iam-task-role-policy"),
		Roles:      &[]awsiam.IRole{fleet.TaskRole()},
		Statements: &[]awsiam.PolicyStatement{awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions: jsii.Strings("ec2:Describe*"), Resources: jsii.Strings("*"),
		})},
	})

	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{
		Owners:              []string{"foo-organisation"},
		Events:              []string{"*"},
		EventBusName:        "github-actions-event-bus",
		SchemaDiscovery:     true,
		SecretName:          "git-actions-webhook-secret",
		FunctionName:        "git-actions-webhook-lambda-function",
		Architecture:        constructs.X64,
		MemorySizeMiB:       128,
		ReservedConcurrency: new(10),
	})
	ingress.AddFleet(fleet)
	ingress.Function().MetricInvocations(&awscloudwatch.MetricOptions{
		Statistic: jsii.String("Sum"), Period: awscdk.Duration_Seconds(jsii.Number(300)),
	}).CreateAlarm(stack, jsii.String("Invocations"), &awscloudwatch.CreateAlarmOptions{
		AlarmName:          jsii.String("git-actions-webhook-invocations-alarm"),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
		Threshold:          jsii.Number(2000),
		EvaluationPeriods:  jsii.Number(2),
	})
	awscdk.NewCfnOutput(stack, jsii.String("FunctionUrlEndpoint"), &awscdk.CfnOutputProps{Value: ingress.URL()})
	awscdk.NewCfnOutput(stack, jsii.String("LambdaFunctionName"), &awscdk.CfnOutputProps{Value: ingress.Function().FunctionName()})
	awscdk.NewCfnOutput(stack, jsii.String("LambdaFunctionARN"), &awscdk.CfnOutputProps{Value: ingress.Function().FunctionArn()})
}
