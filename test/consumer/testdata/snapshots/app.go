// Package app is a stack of a user, with a snapshot test.
package app

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

// NewRunners adds the stack.
func NewRunners(app awscdk.App, maxInstances int) awscdk.Stack {
	stack := awscdk.NewStack(app, jsii.String("Runners"), nil)
	constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		DefaultCapacity: &constructs.RunnerCapacityProps{MaxInstances: maxInstances},
	})
	constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{Owners: []string{"octo-org"}})
	return stack
}
