package constructs_test

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
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
		Spot:         &constructs.Spot{OnDemandBase: 1},
	})

	fmt.Println(graviton.Architecture(), len(cluster.Capacities()))
	// Output: arm64 2
}

// runners is a fleet as far as the ingress is concerned.
type runners struct{}

func (runners) FleetName() string { return "linux" }
func (runners) Labels() []string  { return []string{"self-hosted", "linux", "x64"} }

// The ingress accepts what the webhooks of one organization deliver, and sends
// jobs to the first fleet that has their labels.
func ExampleNewWebhookIngress() {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []any{}}})
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)

	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{
		Owners: []string{"my-org"},
	})
	ingress.AddFleet(runners{})
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
