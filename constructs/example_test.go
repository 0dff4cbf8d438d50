package constructs_test

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

// The defaults are a cluster without instances at rest: up to ten On-Demand
// instances of 2 vCPU and 8 GiB come and go with the tasks.
func ExampleNewRunnerCluster() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)

	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)

	fmt.Println(cluster.DefaultCapacity().Architecture())
	// Output: x64
}

// A second capacity on the Spot market, for tasks that ask for it: its weight
// in the default strategy is 0.
func ExampleRunnerCluster_AddCapacity() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)

	graviton := cluster.AddCapacity("Graviton", &constructs.RunnerCapacityProps{
		Architecture: constructs.ARM64,
		MaxInstances: 50,
		Spot:         &constructs.SpotOptions{OnDemandBase: 1},
	})

	fmt.Println(graviton.Architecture(), len(cluster.Capacities()))
	// Output: arm64 2
}

// The whole system: an image, a cluster, the registration of runners at GitHub, a
// fleet, and the ingress that starts a task of it for each queued job.
func Example() {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []any{}}})
	imageStack := awscdk.NewStack(app, jsii.String("RunnersImage"), nil)
	image := constructs.NewRunnerImagePipeline(imageStack, "Image", nil)

	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope:   constructs.Organization("my-org"),
		Cluster: cluster,
	})
	linux := constructs.NewRunnerFleet(stack, "Linux", &constructs.RunnerFleetProps{
		Registration: registration,
		Image:        image.Image(),
		Labels:       []string{"self-hosted", "linux", "x64"},
	})
	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{Owners: []string{"my-org"}})
	ingress.AddFleet(linux)
	awscdk.NewCfnOutput(stack, jsii.String("URL"), &awscdk.CfnOutputProps{Value: ingress.URL()})
	awscdk.NewCfnOutput(stack, jsii.String("FillIn"), &awscdk.CfnOutputProps{Value: registration.CredentialCommand()})

	fmt.Println(linux.FleetName(), linux.Labels())
	// Output: linux [self-hosted linux x64]
}

// The credential is a secret that is there already, and the runners go to an
// enterprise of a GitHub Enterprise Server.
func ExampleNewRunnerRegistration() {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []any{}}})
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	token := awssecretsmanager.Secret_FromSecretNameV2(stack, jsii.String("Token"), jsii.String("github/runners"))

	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope:      constructs.Enterprise("my-enterprise"),
		Credential: constructs.GitHubToken(token),
		GitHubURL:  "https://github.example.com",
		Cluster:    cluster,
	})

	fmt.Println(*registration.Credential().SecretName())
	// Output: github/runners
}

// Two jobs share an instance of 4 vCPU and 16 GiB, and may read a bucket.
func ExampleNewRunnerFleet() {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []any{}}})
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	large := cluster.AddCapacity("Large", &constructs.RunnerCapacityProps{InstanceTypes: []string{
		"m7i.xlarge",
		"m6i.xlarge",
	}})
	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope: constructs.Organization("my-org"), Cluster: cluster,
	})

	fleet := constructs.NewRunnerFleet(stack, "Shared", &constructs.RunnerFleetProps{
		Registration: registration,
		Image:        constructs.RegistryImage("registry.example.com/runner:stable"),
		Labels:       []string{"self-hosted", "linux", "x64", "shared"},
		Capacity:     large,
		CPU:          2048,
		MemoryMiB:    7168,
	})
	bucket := awss3.NewBucket(stack, jsii.String("Cache"), nil)
	bucket.GrantRead(fleet, nil)

	fmt.Println(fleet.FleetName())
	// Output: shared
}

// The ingress accepts what the webhooks of one organization deliver. AddFleet
// sends jobs to the first fleet that has their labels.
func ExampleNewWebhookIngress() {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []any{}}})
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)

	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{
		Owners: []string{"my-org"},
	})
	awscdk.NewCfnOutput(stack, jsii.String("URL"), &awscdk.CfnOutputProps{Value: ingress.URL()})

	fmt.Println(len(*stack.Node().Children()))
	// Output: 2
}

// The defaults are a repository in CodeCommit with a Dockerfile that is yours to
// change, and an image of it that is built at each deployment, push and release.
func ExampleNewRunnerImagePipeline() {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []any{}}})
	stack := awscdk.NewStack(app, jsii.String("Image"), nil)

	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", nil)
	awscdk.NewCfnOutput(stack, jsii.String("CloneURL"),
		&awscdk.CfnOutputProps{Value: pipeline.SourceRepository().RepositoryCloneUrlHttp()})

	fmt.Println(pipeline.Architectures())
	// Output: [x64]
}

// The instances run in private subnets of a VPC that is there already. Tasks then
// can have network interfaces of their own.
func ExampleNewRunnerCluster_existingVPC() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId:                      jsii.String("vpc-0123456789abcdef0"),
		AvailabilityZones:          jsii.Strings("eu-central-1a", "eu-central-1b"),
		PrivateSubnetIds:           jsii.Strings("subnet-0123456789abcdef0", "subnet-0123456789abcdef1"),
		PrivateSubnetRouteTableIds: jsii.Strings("rtb-0123456789abcdef0", "rtb-0123456789abcdef1"),
	})

	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{VPC: vpc})

	fmt.Println(*cluster.VPC().VpcId())
	// Output: vpc-0123456789abcdef0
}

// A job goes to the first fleet that has all its labels, so the more expensive fleet
// comes second.
func ExampleWebhookIngress_AddFleet() {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []any{}}})
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	large := cluster.AddCapacity("Large", &constructs.RunnerCapacityProps{InstanceTypes: []string{
		"m7i.4xlarge",
		"m6i.4xlarge",
	}})
	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope: constructs.Organization("my-org"), Cluster: cluster,
	})
	image := constructs.RegistryImage("registry.example.com/runner:stable")
	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{Owners: []string{"my-org"}})

	for _, props := range []constructs.RunnerFleetProps{
		{Name: "linux", Labels: []string{"self-hosted", "linux", "x64"}},
		{Name: "linux-large", Labels: []string{"self-hosted", "linux", "x64", "large"}, Capacity: large},
	} {
		props.Registration, props.Image = registration, image
		fleet := constructs.NewRunnerFleet(stack, "Fleet-"+props.Name, &props)
		ingress.AddFleet(fleet)
		fmt.Println(fleet.FleetName(), "runs on", *fleet.Capacity().Node().Id())
	}
	// Output:
	// linux runs on DefaultCapacity
	// linux-large runs on Large
}

// Somebody hears of jobs that no fleet covers: they wait for a runner that never
// comes.
func ExampleWebhookIngress_MetricUncoveredJobs() {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []any{}}})
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{Owners: []string{"my-org"}})

	metric := ingress.MetricUncoveredJobs(nil)
	metric.CreateAlarm(stack, jsii.String("UncoveredJobs"), &awscloudwatch.CreateAlarmOptions{
		Threshold:          jsii.Number(1),
		EvaluationPeriods:  jsii.Number(1),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	})

	fmt.Println(*metric.Namespace(), *metric.MetricName(), *metric.Statistic())
	// Output: ECSRunners/Webhook UncoveredJobs Sum
}

// The image is built elsewhere, from the folder runner-image of this library.
func ExampleRegistryImage() {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []any{}}})
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope: constructs.Repository("my-org/app"), Cluster: cluster,
	})

	fleet := constructs.NewRunnerFleet(stack, "Linux", &constructs.RunnerFleetProps{
		Registration: registration,
		Image:        constructs.RegistryImage("registry.example.com/runner:stable"),
		Labels:       []string{"self-hosted"},
	})

	fmt.Println(*fleet.TaskDefinition().DefaultContainer().ImageName())
	// Output: registry.example.com/runner:stable
}

// The program of the function is built by the company's own pipeline, from package
// lambda/webhook, and put into a bucket.
func ExampleWebhookIngressProps_code() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	programs := awss3.Bucket_FromBucketName(stack, jsii.String("Programs"), jsii.String("my-programs"))

	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{
		Owners: []string{"my-org"},
		Code: awslambda.Code_FromBucketV2(programs, jsii.String("webhook.zip"),
			&awslambda.BucketOptions{ObjectVersion: jsii.String("1")}),
	})

	function := ingress.Function().Node().DefaultChild().(awslambda.CfnFunction)
	fmt.Println(stack.Resolve(function.Code()).(map[string]any)["s3Key"])
	// Output: webhook.zip
}
