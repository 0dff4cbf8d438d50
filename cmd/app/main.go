// Command app is the CDK app that cdk.json names: it deploys the runners that
// the "ecsrunners" object of the CDK context describes.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/stacks"
	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	c, err := config.Parse(app.Node().TryGetContext(jsii.String(config.Key)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		jsii.Close()
		os.Exit(1)
	}
	var image constructs.RunnerImage
	if c.Image != nil {
		image = stacks.NewRunnerImageStack(app, c).Pipeline().Image()
	}
	stacks.NewRunnersStack(app, c, image)
	app.Synth(nil)
}
