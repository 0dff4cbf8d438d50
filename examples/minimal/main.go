// Command minimal deploys the whole system with every default: an image that is
// built and kept fresh, x64 On-Demand instances that come and go with the jobs,
// none at rest, in a VPC of their own, and runners for one organization.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	// A stack of its own, so that a build that fails holds nothing else up.
	imageStack := awscdk.NewStack(app, jsii.String("GitHubRunnersImage"), nil)
	image := constructs.NewRunnerImagePipeline(imageStack, "Image", nil)

	// Without Env the stacks go where the credentials of "cdk deploy" lead. Their
	// names must not begin with aws, ecs or fargate: ECS refuses capacity
	// providers that CloudFormation names after such a stack.
	stack := awscdk.NewStack(app, jsii.String("GitHubRunners"), nil)
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

	// What is to be filled in at AWS, and at GitHub. The secret itself is no output:
	// who may see the stack may not be who may see the secret.
	output := func(name, description string, value *string) {
		awscdk.NewCfnOutput(stack, &name, &awscdk.CfnOutputProps{Description: &description, Value: value})
	}
	output("GitHubCredentialCommand", "Fills in GitHub's credential from a file credential.json", registration.CredentialCommand())
	output("WebhookURL", "Payload URL for the webhook at GitHub", ingress.URL())
	output("WebhookSecretCommand", "Prints the secret for the webhook at GitHub", jsii.String(
		"aws secretsmanager get-secret-value --query SecretString --output text --secret-id "+*ingress.Secret().SecretArn()))

	app.Synth(nil)
}
