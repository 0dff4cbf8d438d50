// Command minimal deploys a cluster with every default: x64 On-Demand instances
// that come and go with the tasks, none at rest, in a VPC of their own.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	// Without Env the stack goes where the credentials of "cdk deploy" lead. Its
	// name must not begin with aws, ecs or fargate: ECS refuses capacity
	// providers that CloudFormation names after such a stack.
	stack := awscdk.NewStack(app, jsii.String("GitHubRunners"), nil)

	constructs.NewRunnerCluster(stack, "Cluster", nil)

	app.Synth(nil)
}
