package constructs_test

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
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
	large := cluster.AddCapacity("Large", &constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.xlarge", "m6i.xlarge"}})
	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope: constructs.Organization("my-org"), Cluster: cluster,
	})

	fleet := constructs.NewRunnerFleet(stack, "Shared", &constructs.RunnerFleetProps{
		Registration: registration,
		Image:        constructs.ImageFromRegistry("registry.example.com/runner:stable"),
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
	awscdk.NewCfnOutput(stack, jsii.String("CloneURL"), &awscdk.CfnOutputProps{Value: pipeline.SourceRepository().RepositoryCloneUrlHttp()})

	fmt.Println(pipeline.Architectures())
	// Output: [x64]
}
