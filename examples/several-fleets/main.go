// Command several-fleets deploys five kinds of runners: for most jobs, for jobs on
// Graviton, for small jobs that share an instance, for jobs that may be lost with a
// Spot instance, and for jobs that take a large machine.
//
// A job goes to the first fleet, in the order of AddFleet, that has all labels the
// job names. So labels and order are one design:
//
//   - The fleet for most jobs comes first. "runs-on: [self-hosted, linux]" is covered
//     by all five, and should cost what most jobs cost.
//   - Every other fleet has a label of its own, which a job names to get there:
//     "runs-on: [self-hosted, linux, large]".
//   - GitHub may give such a job without a label of its own to a runner that another
//     fleet has started for another job, which waits then until the next task of its
//     fleet: give the first fleet a label, too, and let its jobs name it, where that
//     matters.
//   - A fleet whose labels an earlier one has all would never get a job. Synthesis
//     warns of it, as ecsrunners:shadowedFleet, and "cdk synth --strict" fails.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	// One pipeline, a build and a tag for each architecture: a fleet gets the one
	// that its capacity can run.
	imageStack := awscdk.NewStack(app, jsii.String("GitHubRunnersImage"), nil)
	image := constructs.NewRunnerImagePipeline(imageStack, "Image", &constructs.RunnerImagePipelineProps{
		Architectures: []constructs.Architecture{constructs.X64, constructs.ARM64},
	})

	// Capacities cost nothing while no job runs on them.
	stack := awscdk.NewStack(app, jsii.String("GitHubRunners"), nil)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	graviton := cluster.AddCapacity("Graviton", &constructs.RunnerCapacityProps{Architecture: constructs.ARM64})
	shared := cluster.AddCapacity("Shared", &constructs.RunnerCapacityProps{
		InstanceTypes: []string{"m7i.xlarge", "m6i.xlarge"}, // 4 vCPU, 16 GiB
		MaxInstances:  4,
	})
	spot := cluster.AddCapacity("Spot", &constructs.RunnerCapacityProps{
		MaxInstances: 50,
		// AWS may take a Spot instance back, and its job with it. One On-Demand
		// instance comes first, the others are bought on the Spot market.
		Spot: &constructs.SpotOptions{OnDemandBase: 1},
	})
	large := cluster.AddCapacity("Large", &constructs.RunnerCapacityProps{
		InstanceTypes:     []string{"m7i.4xlarge", "m6i.4xlarge"}, // 16 vCPU, 64 GiB
		MaxInstances:      5,
		RootVolumeSizeGiB: 200, // large builds leave large workspaces
	})

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
	// group sees to, because ECS on EC2 is no boundary between tasks. The group must be
	// there at GitHub before the first job.
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
	// Neither CPU nor MemoryMiB: a job gets all of an instance.
	add("Large", constructs.RunnerFleetProps{
		Labels:   []string{"self-hosted", "linux", "x64", "large"},
		Capacity: large,
	})

	// What is to be filled in at AWS, and at GitHub.
	output := func(name, description string, value *string) {
		awscdk.NewCfnOutput(stack, &name, &awscdk.CfnOutputProps{Description: &description, Value: value})
	}
	output("GitHubCredentialCommand", "Fills in GitHub's credential from a file credential.json", registration.CredentialCommand())
	output("WebhookURL", "Payload URL for the webhook at GitHub", ingress.URL())
	output("WebhookSecretCommand", "Prints the secret for the webhook at GitHub", jsii.String(
		"aws secretsmanager get-secret-value --query SecretString --output text --secret-id "+*ingress.Secret().SecretArn()))

	app.Synth(nil)
}
