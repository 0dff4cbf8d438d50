package constructs

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// The rule that starts a task for each queued job of a fleet. It is written as
// CloudFormation has it: the CDK's target for ECS names a revision of the task
// definition, knows no capacity provider strategy and does not grant the task
// role.

// newRule makes the rule of a fleet, with a role of its own.
func (w *WebhookIngress) newRule(fleet *RunnerFleet) awsevents.CfnRule {
	name := fleet.props.Name
	w.letRulesSendDeadLetters()
	role := w.newRuleRole(fleet)
	rule := awsevents.NewCfnRule(w, jsii.String("Rule-"+name), &awsevents.CfnRuleProps{
		Description:  jsii.String("Starts a task for each queued job of the runner fleet " + name),
		EventBusName: w.bus.EventBusName(),
		EventPattern: map[string]any{
			"source":      []string{contract.SourceGitHub, contract.SourceRedispatch},
			"detail-type": []string{contract.DetailTypeWorkflowJob},
			"detail": map[string]any{
				"action":                []string{contract.ActionQueued},
				contract.MemberDispatch: map[string]any{contract.DispatchFleet: []string{name}},
			},
		},
		Targets: []any{&awsevents.CfnRule_TargetProperty{
			Id:               jsii.String("Task"),
			Arn:              fleet.capacity.cluster.cluster.ClusterArn(),
			RoleArn:          role.RoleArn(),
			EcsParameters:    fleet.ecsParameters(),
			InputTransformer: fleet.inputTransformer(),
			DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: w.deadLetters.QueueArn()},
			RetryPolicy: &awsevents.CfnRule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(w.props.MaximumEventAge.Seconds()),
				MaximumRetryAttempts:     jsii.Number(*w.props.MaximumRetryAttempts),
			},
		}},
	})
	// A task that starts before all that it needs is there would leave its job waiting.
	rule.Node().AddDependency(fleet.taskDefinition, fleet.executionRole, fleet.taskRole, fleet.registration.register,
		fleet.capacity.cluster.association)
	return rule
}

// letRulesSendDeadLetters lets the rules of the bus put events into the queue.
func (w *WebhookIngress) letRulesSendDeadLetters() {
	if len(w.rules) > 0 {
		return
	}
	w.deadLetters.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("DeadLettersOfTheBus"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{w.deadLetters.QueueArn()},
		Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": w.ruleARNs()}},
	}))
}

// ruleARNs matches the rules of the bus. The rules' own ARNs are known only once
// they are there, and they need their roles before.
func (w *WebhookIngress) ruleARNs() *string {
	return awscdk.Stack_Of(w).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("events"), Resource: jsii.String("rule"), ResourceName: jsii.String(*w.bus.EventBusName() + "/*"),
	})
}

// newRuleRole lets EventBridge start tasks of the fleet's family, whatever their
// revision, on the fleet's cluster, with the fleet's roles. ECS decides by the
// revision that it has found for the family.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
func (w *WebhookIngress) newRuleRole(fleet *RunnerFleet) awsiam.Role {
	stack := awscdk.Stack_Of(w)
	onCluster := map[string]any{"ArnEquals": map[string]any{"ecs:cluster": fleet.capacity.cluster.cluster.ClusterArn()}}
	return awsiam.NewRole(w, jsii.String("RuleRole-"+fleet.props.Name), &awsiam.RoleProps{
		Description: jsii.String("EventBridge: start tasks of the runner fleet " + fleet.props.Name),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
				"ArnLike":      map[string]any{"aws:SourceArn": w.ruleARNs()},
			},
		}),
		// Inline, so that the rule never is without it.
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"StartTasks": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &[]awsiam.PolicyStatement{
				awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
					Actions:    jsii.Strings("ecs:RunTask"),
					Resources:  &[]*string{jsii.String(fleet.familyARN() + ":*")},
					Conditions: &onCluster,
				}),
				awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
					Actions: jsii.Strings("ecs:TagResource"),
					Resources: &[]*string{stack.FormatArn(&awscdk.ArnComponents{
						Service: jsii.String("ecs"), Resource: jsii.String("task"), ResourceName: jsii.String(*fleet.capacity.cluster.cluster.ClusterName() + "/*"),
					})},
					Conditions: &map[string]any{"StringEquals": map[string]any{"ecs:CreateAction": "RunTask"}},
				}),
				awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
					Actions:    jsii.Strings("iam:PassRole"),
					Resources:  &[]*string{fleet.taskRole.RoleArn(), fleet.executionRole.RoleArn()},
					Conditions: &map[string]any{"StringEquals": map[string]any{"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
				}),
			}}),
		},
	})
}

// familyARN is the ARN of the task definition without a revision: ECS takes the
// newest. One with a revision could not cross stacks, and would be out of date
// with the next deployment.
func (f *RunnerFleet) familyARN() string {
	return *awscdk.Stack_Of(f).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("ecs"), Resource: jsii.String("task-definition"), ResourceName: f.taskDefinition.Family(),
	})
}

// ecsParameters say how tasks start: on the fleet's capacity by name, because a
// task without a capacity provider starts no instances.
func (f *RunnerFleet) ecsParameters() *awsevents.CfnRule_EcsParametersProperty {
	parameters := &awsevents.CfnRule_EcsParametersProperty{
		TaskDefinitionArn: jsii.String(f.familyARN()),
		TaskCount:         jsii.Number(1),
		CapacityProviderStrategy: []any{&awsevents.CfnRule_CapacityProviderStrategyItemProperty{
			CapacityProvider: f.capacity.capacityProvider.CapacityProviderName(), Weight: jsii.Number(1),
		}},
		PlacementStrategies:  []any{&awsevents.CfnRule_PlacementStrategyProperty{Type: jsii.String("binpack"), Field: jsii.String("memory")}},
		EnableEcsManagedTags: jsii.Bool(true),
		PropagateTags:        jsii.String("TASK_DEFINITION"),
	}
	if f.props.OneJobPerInstance {
		parameters.PlacementConstraints = []any{&awsevents.CfnRule_PlacementConstraintProperty{Type: jsii.String("distinctInstance")}}
	}
	if f.props.NetworkMode == awsecs.NetworkMode_AWS_VPC {
		var subnets []*string
		for _, subnet := range *f.capacity.cluster.subnets.Subnets {
			subnets = append(subnets, subnet.SubnetId())
		}
		parameters.NetworkConfiguration = &awsevents.CfnRule_NetworkConfigurationProperty{
			AwsVpcConfiguration: &awsevents.CfnRule_AwsVpcConfigurationProperty{
				Subnets:        &subnets,
				SecurityGroups: &[]*string{f.capacity.cluster.securityGroup.SecurityGroupId()},
				AssignPublicIp: jsii.String("DISABLED"),
			},
		}
	}
	return parameters
}

// taskVariables are the variables that an event sets for its task, each from a
// member of the event's dispatch object.
var taskVariables = []struct{ name, member string }{
	{runnercontract.EnvJobID, contract.DispatchJobID},
	{runnercontract.EnvRepository, contract.DispatchRepository},
	{runnercontract.EnvFleet, contract.DispatchFleet},
	{runnercontract.EnvAttempt, contract.DispatchAttempt},
	{runnercontract.EnvDeliveryID, contract.DispatchDeliveryID},
}

// inputTransformer makes the overrides of RunTask from the event. EventBridge puts
// the JSON of each member in place of its name, strings with their quotes: every
// member is a string, because ECS takes no other values.
func (f *RunnerFleet) inputTransformer() *awsevents.CfnRule_InputTransformerProperty {
	paths := map[string]*string{}
	var variables []string
	for _, v := range taskVariables {
		paths[v.member] = jsii.String(contract.DispatchPath(v.member))
		variables = append(variables, fmt.Sprintf(`{"name":%q,"value":<%s>}`, v.name, v.member))
	}
	container, err := json.Marshal(f.props.ContainerName)
	if err != nil { // it is text
		panic(err)
	}
	return &awsevents.CfnRule_InputTransformerProperty{
		InputPathsMap: &paths,
		InputTemplate: jsii.String(fmt.Sprintf(`{"containerOverrides":[{"name":%s,"environment":[%s]}]}`, container, strings.Join(variables, ","))),
	}
}
