// Command existing-vpc deploys runners whose jobs run in the private subnets of a
// VPC that is there already, beside what they are to reach, and may read a bucket.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	// The image is built in CodeBuild's own network. With the props VPC and Subnets
	// it is built in yours.
	imageStack := awscdk.NewStack(app, jsii.String("GitHubRunnersImage"), nil)
	image := constructs.NewRunnerImagePipeline(imageStack, "Image", nil)

	stack := awscdk.NewStack(app, jsii.String("GitHubRunners"), nil)
	// Put in your own. Vpc_FromLookup would be shorter, but needs credentials at
	// synthesis, and the template would no longer come from this file alone.
	vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId:             jsii.String("vpc-0a1b2c3d4e5f60718"),
		AvailabilityZones: jsii.Strings("eu-central-1a", "eu-central-1b"),
		// In the order of the zones. They need a way out to GitHub and to AWS, a NAT
		// gateway for example.
		PrivateSubnetIds: jsii.Strings("subnet-0a1b2c3d4e5f60718", "subnet-0b2c3d4e5f60718a9"),
	})
	awscdk.Annotations_Of(vpc).AcknowledgeWarning(jsii.String("@aws-cdk/aws-ec2:noSubnetRouteTableId"),
		jsii.String("nothing here needs the route tables of the subnets"))

	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		VPC: vpc, // its private subnets, as long as Subnets selects no others
		// For a shell on an instance without SSH: aws ssm start-session --target …
		SessionManager: true,
		DefaultCapacity: &constructs.RunnerCapacityProps{
			MaxInstances: 20,
		},
	})
	registration := constructs.NewRunnerRegistration(stack, "Registration", &constructs.RunnerRegistrationProps{
		Scope:   constructs.Organization("my-org"),
		Cluster: cluster,
	})

	// Jobs reach the network with the address and the security group of their
	// instance: let that group in where they are to go, such as
	// database.Connections().AllowDefaultPortFrom(cluster, nil).
	internal := constructs.NewRunnerFleet(stack, "Internal", &constructs.RunnerFleetProps{
		Registration: registration,
		Image:        image.Image(),
		Labels:       []string{"self-hosted", "linux", "x64", "internal"},
		// Only the repositories that this group is open to get at the network and the
		// bucket. It must be there at GitHub before the first job.
		RunnerGroup: "internal-network",
	})
	// A grant to the fleet is one to every job of every repository that may use it.
	bucket := awss3.Bucket_FromBucketName(stack, jsii.String("Packages"), jsii.String("my-org-packages"))
	bucket.GrantRead(internal, nil)

	ingress := constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{Owners: []string{"my-org"}})
	ingress.AddFleet(internal)

	// What is to be filled in at AWS, and at GitHub.
	output := func(name, description string, value *string) {
		awscdk.NewCfnOutput(stack, &name, &awscdk.CfnOutputProps{Description: &description, Value: value})
	}
	output("GitHubCredentialCommand", "Fills in GitHub's credential from a file credential.json", registration.CredentialCommand())
	output("WebhookURL", "Payload URL for the webhook at GitHub", ingress.URL())
	output("WebhookSecretCommand", "Prints the secret for the webhook at GitHub", jsii.String(
		"aws secretsmanager get-secret-value --query SecretString --output text --secret-id "+*ingress.Secret().SecretArn()))

	// Reaches every resource of the cluster that takes tags, and the instances and
	// volumes that it starts.
	awscdk.Tags_Of(cluster).Add(jsii.String("CostCenter"), jsii.String("continuous-integration"), nil)

	app.Synth(nil)
}
