// Package constructs holds the AWS CDK constructs of ecsrunners: ephemeral,
// autoscaling, self-hosted GitHub Actions runners on Amazon ECS.
//
// In the order in which a job meets them:
//
//   - [WebhookIngress] takes GitHub's webhook deliveries, puts them on an event bus,
//     and has a rule for each fleet that starts a task for each queued job.
//   - [RunnerCluster] is the ECS cluster on which the tasks run. Each [RunnerCapacity]
//     of it is a kind of EC2 instance that comes and goes with the tasks.
//   - [RunnerFleet] is a kind of runner: labels, and the task definition with the image
//     in which jobs run.
//   - [RunnerRegistration] registers a runner at GitHub for each task, for one job. It
//     alone holds the credential for GitHub.
//   - [RunnerImagePipeline] builds the image and keeps it fresh.
//
// The smallest complete app:
//
//	defer jsii.Close()
//	app := awscdk.NewApp(nil)
//	imageStack := awscdk.NewStack(app, jsii.String("GitHubRunnersImage"), nil)
//	image := constructs.NewRunnerImagePipeline(imageStack, "Image", nil)
//
//	stack := awscdk.NewStack(app, jsii.String("GitHubRunners"), nil)
//	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
//	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
//		Scope:   constructs.Organization("my-org"),
//		Cluster: cluster,
//	})
//	linux := constructs.NewRunnerFleet(stack, "Linux", &constructs.RunnerFleetProps{
//		Registration: registration,
//		Image:        image.Image(),
//		Labels:       []string{"self-hosted", "linux", "x64"},
//	})
//	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{Owners: []string{"my-org"}})
//	ingress.AddFleet(linux)
//
//	output := func(name, description string, value *string) {
//		awscdk.NewCfnOutput(stack, &name, &awscdk.CfnOutputProps{Description: &description, Value: value})
//	}
//	output("GitHubCredentialCommand", "Fills in GitHub's credential from a file credential.json", registration.CredentialCommand())
//	output("WebhookURL", "Payload URL for the webhook at GitHub", ingress.URL())
//	output("WebhookSecretCommand", "Prints the secret for the webhook at GitHub", jsii.String(
//		"aws secretsmanager get-secret-value --query SecretString --output text --secret-id "+*ingress.Secret().SecretArn()))
//
//	app.Synth(nil)
//
// After the deployment, run the commands in the stack's outputs: the first stores the
// credential for GitHub. Then add a webhook for the event workflow_job at GitHub, with
// the URL in the outputs and the secret that the other command prints.
//
// # Props
//
// Props are plain Go values for literals, for which the zero value means the default,
// time.Duration for times, and CDK interfaces for other resources. A constructor
// panics with one error that names every prop that cannot be used, and adds nothing
// to the tree then. Doubtful props are annotated as warnings with an id, which
// awscdk.Annotations can acknowledge.
//
// # Compatibility
//
// The ids of constructs in the tree are part of the API: changing one replaces
// resources, and is a breaking change.
package constructs
