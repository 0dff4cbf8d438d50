package constructs

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
)

// newFunction makes the function that makes a deployment wait.
func (p *RunnerImagePipeline) newFunction() awslambda.Function {
	var configuration imagebuildcontract.Config
	for _, architecture := range p.props.Architectures {
		build := p.builds[architecture]
		configuration.Projects = append(configuration.Projects, imagebuildcontract.Project{
			Project:    *build.project.ProjectName(),
			Parameter:  build.waiting(),
			Repository: *p.repository.RepositoryName(),
			Tag:        p.channelTag(architecture),
		})
	}
	environment, err := configuration.Environment()
	if err != nil {
		panic(fmt.Errorf("RunnerImagePipeline %q: %w", *p.Node().Id(), err))
	}
	p.functionLogs = newLogGroup(p, "FunctionLogs", nil, p.props.LogRetentionDays)
	return newFunction(p, functionProps{
		program:       bundle.ImageBuild,
		name:          p.props.FunctionName,
		description:   "Starts builds of the runner image for CloudFormation and tells it how they ended",
		architecture:  ARM64,
		memorySizeMiB: 256,
		timeout:       2 * time.Minute,
		environment:   environment,
		logs:          p.functionLogs,
		role:          p.newFunctionRole(),
		code:          p.props.Code,
	})
}

// newFunctionRole lets the function start and follow these builds, keep its notes,
// see the state of its own stack and the age of the image.
func (p *RunnerImagePipeline) newFunctionRole() awsiam.Role {
	role := awsiam.NewRole(p, jsii.String("FunctionRole"), &awsiam.RoleProps{
		Description: jsii.String("Runner image: start and follow its builds for CloudFormation"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	allow := func(resources []*string, actions ...string) {
		role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: jsii.Strings(actions...), Resources: &resources}))
	}
	var projects, parameters []*string
	for _, architecture := range p.props.Architectures {
		projects = append(projects, p.builds[architecture].project.ProjectArn())
		parameters = append(parameters, awscdk.Stack_Of(p).FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("ssm"), Resource: jsii.String("parameter"),
			ResourceName: jsii.String(strings.TrimPrefix(p.builds[architecture].waiting(), "/")),
		}))
	}
	allow(projects, "codebuild:StartBuild", "codebuild:BatchGetBuilds")
	// No action of KMS: who may use the parameter may use the account's key of Systems
	// Manager for it.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/secure-string-parameter-kms-encryption.html
	allow(parameters, "ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameter")
	allow([]*string{p.repository.RepositoryArn()}, "ecr:DescribeImages")
	allow([]*string{awscdk.Aws_STACK_ID()}, "cloudformation:DescribeStacks")
	p.functionLogs.GrantWrite(role)
	return role
}

func (p *RunnerImagePipeline) newEndedRule() awsevents.Rule {
	rule := p.onBuilds("Ended", "Tells the function that a build of the runner image has ended", finalStatuses)
	rule.AddTarget(awseventstargets.NewLambdaFunction(p.function, nil))
	return rule
}

// newResource stands for an image: CloudFormation waits for it.
func (p *RunnerImagePipeline) newResource(architecture Architecture, build imageBuild, source boundSource, library awss3assets.Asset, ended awsevents.Rule) awscdk.CustomResource {
	arguments, err := json.Marshal(p.arguments(architecture))
	if err != nil {
		panic(fmt.Errorf("RunnerImagePipeline %q: %w", *p.Node().Id(), err))
	}
	tag := p.channelTag(architecture)
	resource := awscdk.NewCustomResource(p, jsii.String("Image"+architectureID[architecture]), &awscdk.CustomResourceProps{
		ResourceType:   jsii.String("Custom::RunnerImage"),
		ServiceToken:   p.function.FunctionArn(),
		ServiceTimeout: minutes(p.props.Timeout + imageQueueTimeout + imageAnswerMargin),
		Properties: &map[string]any{
			imagebuildcontract.PropertyProject:   build.project.ProjectName(),
			imagebuildcontract.PropertyImage:     p.repository.RepositoryUriForTag(&tag),
			imagebuildcontract.PropertyLibrary:   library.AssetHash(),
			imagebuildcontract.PropertySource:    source.location,
			imagebuildcontract.PropertyArguments: string(arguments),
		},
	})
	// Without the one the build could do nothing, without the other nobody would
	// hear of its end.
	resource.Node().AddDependency(p.role.Node().FindChild(jsii.String("DefaultPolicy")), ended)
	return resource
}
