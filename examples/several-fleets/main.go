// Command several-fleets deploys four kinds of runners: for most jobs, for jobs on
// Graviton, for small jobs that share an instance, and for jobs that may be lost
// with a Spot instance.
//
// A job goes to the first fleet, in the order of AddFleet, that has all labels it
// asks for. "runs-on: [self-hosted, linux]" is covered by all four here and goes to
// the first; who wants another one names the label that tells it apart.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	imageStack := awscdk.NewStack(app, jsii.String("GitHubRunnersImage"), nil)
	image := constructs.NewRunnerImagePipeline(imageStack, "Image", &constructs.RunnerImagePipelineProps{
		Architectures: []constructs.Architecture{constructs.X64, constructs.ARM64},
	})

	stack := awscdk.NewStack(app, jsii.String("GitHubRunners"), nil)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	graviton := cluster.AddCapacity("Graviton", &constructs.RunnerCapacityProps{Architecture: constructs.ARM64})
	shared := cluster.AddCapacity("Shared", &constructs.RunnerCapacityProps{
		InstanceTypes: []string{"m7i.xlarge", "m6i.xlarge"}, // 4 vCPU, 16 GiB
		MaxInstances:  4,
	})
	spot := cluster.AddCapacity("Spot", &constructs.RunnerCapacityProps{MaxInstances: 50, Spot: &constructs.Spot{}})

	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope:   constructs.Organization("my-org"),
		Cluster: cluster,
	})
	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{Owners: []string{"my-org"}})
	add := func(id string, props constructs.RunnerFleetProps) {
		props.Registration, props.Image = registration, image.Image()
		ingress.AddFleet(constructs.NewRunnerFleet(stack, id, &props))
	}
	add("Linux", constructs.RunnerFleetProps{
		Labels: []string{"self-hosted", "linux", "x64"},
	})
	add("Graviton", constructs.RunnerFleetProps{
		Labels:   []string{"self-hosted", "linux", "arm64"},
		Capacity: graviton,
	})
	// Four of these fit one instance: for jobs that trust each other, which the runner
	// group sees to, because ECS on EC2 is no boundary between tasks.
	add("Small", constructs.RunnerFleetProps{
		Labels:      []string{"self-hosted", "linux", "x64", "small"},
		Capacity:    shared,
		CPU:         1024,
		MemoryMiB:   3584,
		RunnerGroup: "trusted-repositories",
	})
	add("Spot", constructs.RunnerFleetProps{
		Labels:   []string{"self-hosted", "linux", "x64", "spot"},
		Capacity: spot,
	})

	app.Synth(nil)
}
