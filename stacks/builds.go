package stacks

import (
	"slices"

	awsconstructs "github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners"
	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// startBuilds begins to build the programs of all stacks of a configuration, so
// that they are built side by side: each construct waits for its own. It does
// nothing where assets are not bundled, or of some stacks only.
func startBuilds(scope awsconstructs.Construct, c config.Config) {
	bundled, some := scope.Node().TryGetContext(jsii.String("aws:cdk:bundling-stacks")).([]any)
	if some && !slices.Contains(bundled, any("**")) {
		return
	}
	for _, program := range programs(c) {
		bundle.Default.Start(program)
	}
}

// programs are those of the constructs of all stacks of a configuration.
func programs(c config.Config) []bundle.Program {
	var found []bundle.Program
	add := func(folder string, architecture constructs.Architecture) {
		program, err := bundle.NewProgram(ecsrunners.Sources, folder, string(architecture))
		if err == nil { // the construct reports the error
			found = append(found, program)
		}
	}
	if c.Image != nil {
		add(bundle.ImageBuild, constructs.ARM64)
	}
	if c.Webhook != nil {
		add(bundle.Webhook, c.Webhook.Architecture)
	}
	if c.Registration != nil {
		add(bundle.Registration, constructs.ARM64)
	}
	return found
}
