package stacks_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
)

// acceptance is a finding of cdk-nag's AwsSolutions pack that is meant, with its
// reason. In finding and construct, three dots stand for any text. Acceptances are
// here and not in the constructs, so that who imports those does not get cdk-nag
// with them, and decides anew.
type acceptance struct{ finding, construct, reason string }

// accepts reports whether an acceptance is about a finding.
func (a acceptance) accepts(f finding) bool {
	return fits(a.finding, f.id) && fits(a.construct, f.construct)
}

// fits reports whether text is a pattern's, in which three dots stand for any text.
func fits(pattern, text string) bool {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\.\.\.`, ".*") + "$").MatchString(text)
}

// assertExplained checks that cdk-nag finds in the stacks what is accepted, and
// nothing else.
func assertExplained(t *testing.T, accepted []acceptance, built map[string]awscdk.Stack) {
	t.Helper()
	explained := make([]bool, len(accepted))
	for name, stack := range built {
		awscdk.Aspects_Of(stack).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Reports: jsii.Bool(false)}), nil)
		found := findings(stack)
		assert.NotEmptyf(t, found, "%s: cdk-nag did not run", name)
		for _, f := range found {
			known := false
			for i, a := range accepted {
				if a.accepts(f) {
					known, explained[i] = true, true
				}
			}
			assert.Truef(t, known, "%s: %s at %s: %s; change it, or explain it in the table", name, f.id, f.construct,
				f.explanation)
		}
	}
	for i, a := range accepted {
		assert.Truef(t, explained[i], "%s at %s is no finding any more; delete its row, which would hide the next one",
			a.finding, a.construct)
		assert.NotEmptyf(t, a.reason, "%s at %s is accepted without a reason", a.finding, a.construct)
	}
}

// nagContext keeps findings, being errors in annotations, from ending the
// synthesis.
var nagContext = map[string]any{"@aws-cdk/core:annotationsInValidationReport": false}

var accepted = []acceptance{
	{
		"AwsSolutions-VPC7", "Cluster/Vpc/Resource",
		"flow logs cost money with every job; the VPC holds nothing but runners, and whoever needs flow logs adds them " +
			"to RunnerCluster.VPC",
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
		"AwsSolutions-IAM5[Resource::arn:...:container-instance/*]", "Cluster/InstanceRole/DefaultPolicy/Resource",
		"the ids of instances are not known before they start; a condition holds the statement to this cluster",
	},
	{
		"AwsSolutions-AS3", "Cluster/.../AutoScalingGroup/ASG",
		"instances come and go with jobs, many times a day; ECS emits events of both, and nobody wants mail about them",
	},
	{
		"CdkNagValidationFailure[AwsSolutions-EC26]", "Cluster/.../AutoScalingGroup/ASG",
		"the rule cannot follow a reference to a launch template; that its volume is encrypted is asserted in the tests " +
			"of RunnerCapacity",
	},
	{
		"AwsSolutions-SQS3", "Ingress/DeadLetters/Resource",
		"the queue is itself the dead-letter queue, of an event bus, which the rule does not see",
	},
	{
		"AwsSolutions-SMG4", "Ingress/Secret/Resource",
		"GitHub has a copy of this secret and no way to rotate it by itself; WebhookIngressProps.PreviousSecret lets it " +
			"be changed without a gap",
	},
	{
		"AwsSolutions-SMG4", "Registration/Credential/Resource",
		"keys of Apps and tokens are made at GitHub by hand; the function reads a new one within five minutes",
	},
	{
		"AwsSolutions-DDB3", "Registration/Ledger/Resource",
		"the ledger holds nothing that GitHub does not know, for days; the configuration turns recovery on",
	},
	{
		"AwsSolutions-IAM5[Resource::arn:...:task/<ClusterC2E21B66>/*]", "Registration/Role/DefaultPolicy/Resource",
		"the ids of tasks are not known before they start; the resource is this cluster's tasks",
	},
	{
		"AwsSolutions-IAM5[Resource::arn:...:task/<ClusterC2E21B66>/*]", "Ingress/RuleRole-.../Resource",
		"tags are given to tasks as they start, which the condition demands; the resource is this cluster's tasks",
	},
	{
		"AwsSolutions-IAM5[Resource::arn:...:task-definition/...:*]", "Ingress/RuleRole-.../Resource",
		"any revision of the family, so that a new one needs no new policy; one with a revision could not cross stacks",
	},
	{
		"AwsSolutions-IAM5[Resource::*]", "Fleet-.../ExecutionRole/DefaultPolicy/Resource",
		"ecr:GetAuthorizationToken knows no resources",
	},
	{
		"AwsSolutions-ECS2", "Fleet-.../TaskDefinition/Resource",
		"the variables are limits, an address and what the customer adds; a test finds no secret in them",
	},
}

func TestRunnersStack_HasNoFindingOfCdkNagThatIsNotExplained(t *testing.T) {
	built := map[string]awscdk.Stack{}
	for _, s := range scenarios(t) {
		_, stack := s.build(t, nagContext)
		built[s.name] = stack
	}
	assertExplained(t, accepted, built)
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
