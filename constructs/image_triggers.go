package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
)

// finalStatuses are those of a build that has ended; failedStatuses without those
// that nobody needs to know about.
// https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html
var (
	finalStatuses  = []string{"SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"}
	failedStatuses = []string{"FAILED", "FAULT", "TIMED_OUT"}
)

// onBuilds is a rule for builds of the pipeline's projects that have come to a
// status.
func (p *RunnerImagePipeline) onBuilds(id, description string, statuses []string) awsevents.Rule {
	var projects []any
	for _, architecture := range p.props.Architectures {
		projects = append(projects, p.builds[architecture].project.ProjectName())
	}
	return awsevents.NewRule(p, &id, &awsevents.RuleProps{
		Description: &description,
		EventPattern: &awsevents.EventPattern{
			Source:     jsii.Strings("aws.codebuild"),
			DetailType: jsii.Strings("CodeBuild Build State Change"),
			Detail:     &map[string]any{"project-name": projects, "build-status": statuses},
		},
	})
}

// addTriggers starts builds when the Dockerfile is pushed, and daily.
func (p *RunnerImagePipeline) addTriggers(source boundSource) {
	var role awsiam.Role
	start := func(rule awsevents.Rule, input awsevents.RuleTargetInput) {
		if role == nil {
			role = p.newTriggerRole()
		}
		for _, architecture := range p.props.Architectures {
			rule.AddTarget(awseventstargets.NewCodeBuildProject(p.builds[architecture].project, &awseventstargets.CodeBuildProjectProps{
				Event: input, EventRole: role,
			}))
		}
	}
	if source.onPush != nil {
		start(source.onPush(), nil)
	}
	if p.props.Schedule == noSchedule {
		return
	}
	start(awsevents.NewRule(p, jsii.String("Schedule"), &awsevents.RuleProps{
		Description: jsii.String("Looks for a new release of actions/runner or of the base image, and builds the runner image then"),
		Schedule:    awsevents.Schedule_Expression(&p.props.Schedule),
	}), awsevents.RuleTargetInput_FromObject(map[string]any{
		"environmentVariablesOverride": []any{map[string]any{
			"name": imagebuildcontract.EnvTrigger, "value": imagebuildcontract.TriggerSchedule, "type": "PLAINTEXT",
		}},
	}))
}

// newTriggerRole lets EventBridge start builds, for rules of this account and region.
// The CDK's own role would serve any rule. The rules' ARNs are known only once they
// are there, and they need the role before.
func (p *RunnerImagePipeline) newTriggerRole() awsiam.Role {
	stack := awscdk.Stack_Of(p)
	return awsiam.NewRole(p, jsii.String("TriggerRole"), &awsiam.RoleProps{
		Description: jsii.String("EventBridge: start builds of the runner image"),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
				"ArnLike": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
					Service: jsii.String("events"), Resource: jsii.String("rule"), ResourceName: jsii.String("*"),
				})},
			},
		}),
	})
}
