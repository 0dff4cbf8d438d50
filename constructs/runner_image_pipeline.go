package constructs

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodecommit"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners"
	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
)

// RunnerImagePipeline builds the image in which jobs run and keeps it fresh: from
// a Dockerfile that is the customer's to change, and from the supervisor of this
// library.
//
// It builds when it is deployed, if anything has changed that goes into the image;
// when the Dockerfile is pushed to CodeCommit; and when the daily check finds a
// new release of actions/runner or of the base image. A deployment waits for its
// build and fails with the link to the log if that fails, so that no fleet starts
// from an image that is not there.
type RunnerImagePipeline struct {
	constructs.Construct // filled by NewConstruct_Override

	props            RunnerImagePipelineProps // with defaults
	repository       awsecr.IRepository
	sourceRepository awscodecommit.IRepository
	role             awsiam.Role
	builds           map[Architecture]imageBuild
	function         awslambda.Function
	functionLogs     awslogs.LogGroup
}

// imageBuild is what there is of each architecture.
type imageBuild struct {
	project  awscodebuild.Project
	logs     awslogs.LogGroup
	resource awscdk.CustomResource
}

// NewRunnerImagePipeline adds a pipeline to the scope. props may be nil. It panics
// with an error that names every prop that cannot be used.
func NewRunnerImagePipeline(scope constructs.Construct, id string, props *RunnerImagePipelineProps) *RunnerImagePipeline {
	if props == nil {
		props = &RunnerImagePipelineProps{}
	}
	given := props.WithDefaults()
	if given.Source == nil {
		given.Source = CodeCommitSource(nil)
	}
	if err := given.Validate(); err != nil {
		panic(fmt.Errorf("RunnerImagePipeline %q:\n%w", id, err))
	}

	p := &RunnerImagePipeline{props: given, builds: map[Architecture]imageBuild{}}
	constructs.NewConstruct_Override(p, scope, &id)
	p.repository = given.Repository
	if p.repository == nil {
		p.repository = p.newRepository()
	}
	source := given.Source.bind(p)
	p.sourceRepository = source.repository
	tree, err := bundle.LibraryTree(ecsrunners.Sources)
	library := p.treeAsset("Library", tree, err)

	p.role = awsiam.NewRole(p, jsii.String("BuildRole"), &awsiam.RoleProps{
		RoleName:    optional(given.BuildRoleName),
		Path:        &given.BuildRolePath,
		Description: jsii.String("Builds of the GitHub Actions runners' image"),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("codebuild.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Stack_Of(p).Account()}},
		}),
	})
	grantReadAsset(p.role, library)
	source.grantRead(p.role)
	p.grantPush()
	if given.VPC != nil {
		p.grantNetworkInterfaces()
	}
	for i, architecture := range given.Architectures {
		p.builds[architecture] = p.newBuild(i, architecture, source, library)
	}

	p.function = p.newFunction()
	ended := p.newEndedRule()
	for _, architecture := range given.Architectures {
		build := p.builds[architecture]
		build.resource = p.newResource(architecture, build, source, library, ended)
		p.builds[architecture] = build
	}
	p.addTriggers(source)
	p.addAlarms()
	return p
}

// Image is the image that tasks start from, for the architectures of the
// pipeline. What uses it is deployed after the image has been built.
func (p *RunnerImagePipeline) Image() RunnerImage { return pipelineImage{p} }

// Repository is the repository with the images, made or given.
func (p *RunnerImagePipeline) Repository() awsecr.IRepository { return p.repository }

// SourceRepository is the CodeCommit repository with the Dockerfile, made or
// given. It is nil when the source is another.
func (p *RunnerImagePipeline) SourceRepository() awscodecommit.IRepository {
	return p.sourceRepository
}

// Architectures are those for which there are images.
func (p *RunnerImagePipeline) Architectures() []Architecture {
	return slices.Clone(p.props.Architectures)
}

// Project is the CodeBuild project for an architecture. It panics for others than
// the pipeline's.
func (p *RunnerImagePipeline) Project(architecture Architecture) awscodebuild.IProject {
	return p.build(architecture).project
}

// LogGroup is the log group of the builds for an architecture. It panics for
// others than the pipeline's.
func (p *RunnerImagePipeline) LogGroup(architecture Architecture) awslogs.ILogGroup {
	return p.build(architecture).logs
}

// BuildRole is the role of the builds. The steps of the Dockerfile do not get its
// credentials, but who can change the Dockerfile decides what jobs run in.
func (p *RunnerImagePipeline) BuildRole() awsiam.IRole { return p.role }

// Function is the Lambda function that makes a deployment wait for the image.
func (p *RunnerImagePipeline) Function() awslambda.IFunction { return p.function }

// FunctionLogGroup is the log group of the function.
func (p *RunnerImagePipeline) FunctionLogGroup() awslogs.ILogGroup { return p.functionLogs }

// MetricImageAge is the age in days of the image that tasks of an architecture
// start from. It is written when a build has ended, so at least daily. An old
// image is no fault as long as [RunnerImagePipeline.MetricSucceededBuilds] shows
// that it is checked. It panics for others than the pipeline's architectures.
func (p *RunnerImagePipeline) MetricImageAge(architecture Architecture, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return metric{
		namespace:  imagebuildcontract.MetricNamespace,
		name:       imagebuildcontract.MetricImageAge,
		dimensions: map[string]*string{imagebuildcontract.DimensionProject: p.build(architecture).project.ProjectName()},
		statistic:  "Maximum",
		period:     awscdk.Duration_Days(jsii.Number(1)),
	}.of(p, props)
}

// MetricSucceededBuilds is the number of builds for an architecture after which
// the image was current, whether or not it had to be built. It panics for others
// than the pipeline's architectures.
func (p *RunnerImagePipeline) MetricSucceededBuilds(architecture Architecture, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return p.build(architecture).project.MetricSucceededBuilds(props)
}

// MetricFailedBuilds is the number of builds for an architecture that have failed.
// It panics for others than the pipeline's architectures.
func (p *RunnerImagePipeline) MetricFailedBuilds(architecture Architecture, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return p.build(architecture).project.MetricFailedBuilds(props)
}

func (p *RunnerImagePipeline) build(architecture Architecture) imageBuild {
	build, found := p.builds[architecture]
	if !found {
		panic(fmt.Errorf("RunnerImagePipeline %q: architecture must be one of %v, got %q", *p.Node().Id(), p.props.Architectures, architecture))
	}
	return build
}

// architectureID is the part of an architecture in the ids of constructs.
var architectureID = map[Architecture]string{X64: "X64", ARM64: "Arm64"}

func (p *RunnerImagePipeline) channelTag(architecture Architecture) string {
	return imagebuildcontract.ChannelTag(p.props.Channel, string(architecture))
}
