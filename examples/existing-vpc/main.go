// Command existing-vpc deploys a cluster into the private subnets of a VPC that
// is there already, with a second capacity of arm64 Spot instances.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
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

	// Only tasks that name this capacity provider run here: an added capacity has
	// no part in the cluster's default strategy unless it is given a Weight, and
	// should have none when its architecture differs.
	cluster.AddCapacity("Arm64Spot", &constructs.RunnerCapacityProps{
		Architecture: constructs.ARM64,
		MaxInstances: 20,
		// AWS may take a Spot instance back, and its job with it. One On-Demand
		// instance comes first, the others are bought on the Spot market.
		Spot: &constructs.Spot{OnDemandBase: 1},
	})

	// Reaches every resource of the cluster that takes tags, and the instances and
	// volumes that it starts.
	awscdk.Tags_Of(cluster).Add(jsii.String("CostCenter"), jsii.String("continuous-integration"), nil)

	app.Synth(nil)
}
