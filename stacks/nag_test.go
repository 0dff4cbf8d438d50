package stacks_test

import (
	"path"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
)

// accepted are the findings of cdk-nag's AwsSolutions pack that are meant, each
// with its reason. They are here and not in the constructs, so that who imports
// those does not get cdk-nag with them, and decides anew.
var accepted = []struct{ finding, construct, reason string }{
	{
		"AwsSolutions-VPC7", "Cluster/Vpc/Resource",
		"flow logs cost money with every job; the VPC holds nothing but runners, and whoever needs flow logs adds them to RunnerCluster.VPC",
	},
	{
		"AwsSolutions-ECS4", "Cluster/Cluster/Resource",
		"Container Insights is charged for by the metric; the configuration turns it on",
	},
	{
		"AwsSolutions-IAM5[Resource::*]", "Cluster/InstanceRole/DefaultPolicy/Resource",
		"ecs:DiscoverPollEndpoint and the actions of Session Manager know no resources",
	},
	{
		"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:container-instance/*]", "Cluster/InstanceRole/DefaultPolicy/Resource",
		"the ids of instances are not known before they start; a condition holds the statement to this cluster",
	},
	{
		"AwsSolutions-IAM5[Resource::arn:aws:ecs:eu-central-1:111122223333:container-instance/*]", "Cluster/InstanceRole/DefaultPolicy/Resource",
		"the same, in a stack whose account and region are fixed",
	},
	{
		"AwsSolutions-AS3", "Cluster/*/AutoScalingGroup/ASG",
		"instances come and go with jobs, many times a day; ECS emits events of both, and nobody wants mail about them",
	},
	{
		"CdkNagValidationFailure[AwsSolutions-EC26]", "Cluster/*/AutoScalingGroup/ASG",
		"the rule cannot follow a reference to a launch template; that its volume is encrypted is asserted in the tests of RunnerCapacity",
	},
	{
		"AwsSolutions-SQS3", "Ingress/DeadLetters/Resource",
		"the queue is itself the dead-letter queue, of an event bus, which the rule does not see",
	},
	{
		"AwsSolutions-SMG4", "Ingress/Secret/Resource",
		"GitHub has a copy of this secret and no way to rotate it by itself; WebhookIngressProps.PreviousSecret lets it be changed without a gap",
	},
}

func TestRunnersStack_HasNoFindingOfCdkNagThatIsNotExplained(t *testing.T) {
	explained := make([]bool, len(accepted))
	for _, s := range scenarios(t) {
		// Otherwise findings, being errors in annotations, would end the synthesis.
		_, stack := s.build(t, map[string]any{"@aws-cdk/core:annotationsInValidationReport": false})
		awscdk.Aspects_Of(stack).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Reports: jsii.Bool(false)}), nil)
		found := findings(stack)
		assert.NotEmptyf(t, found, "%s: cdk-nag did not run", s.name)
		for _, f := range found {
			known := false
			for i, a := range accepted {
				matches, err := path.Match(a.construct, f.construct)
				require.NoError(t, err)
				if matches && a.finding == f.id {
					known, explained[i] = true, true
				}
			}
			assert.Truef(t, known, "%s: %s at %s: %s; change it, or explain it in accepted", s.name, f.id, f.construct, f.explanation)
		}
	}
	for i, a := range accepted {
		assert.Truef(t, explained[i], "%s at %s is no finding any more; delete its row from accepted, which would hide the next one", a.finding, a.construct)
		assert.NotEmptyf(t, a.reason, "%s at %s is accepted without a reason", a.finding, a.construct)
	}
}

type finding struct{ id, construct, explanation string }

// findings are what cdk-nag has annotated: rules that failed, and rules that
// could not be applied.
func findings(stack awscdk.Stack) []finding {
	var found []finding
	for _, annotation := range append(cdktest.Errors(stack), cdktest.Warnings(stack)...) {
		parts := strings.SplitN(annotation, ": ", 3)
		construct := strings.TrimPrefix(parts[0], "/"+*stack.StackName()+"/")
		found = append(found, finding{id: parts[1], construct: construct, explanation: parts[2]})
	}
	return found
}
