// Command ingress is the app of a user who takes the webhook's ingress into a
// stack of their own.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Consumer"), nil)
	constructs.NewWebhookIngress(stack, "Ingress", &constructs.WebhookIngressProps{Owners: []string{"octo-org"}})
	app.Synth(nil)
}
