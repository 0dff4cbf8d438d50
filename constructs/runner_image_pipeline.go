package constructs

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodecommit"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners"
	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
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

	settings         settings.Image
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
	waiting  awsssm.StringParameter
	resource awscdk.CustomResource
}

// NewRunnerImagePipeline adds a pipeline to the scope. props may be nil. It panics
// with an error that names every prop that cannot be used.
func NewRunnerImagePipeline(scope constructs.Construct, id string, props *RunnerImagePipelineProps) *RunnerImagePipeline {
	if props == nil {
		props = &RunnerImagePipelineProps{}
	}
	s, problems := props.settings()
	if err := problems.Err(); err != nil {
		panic(fmt.Errorf("RunnerImagePipeline %q:\n%w", id, err))
	}

	p := &RunnerImagePipeline{settings: s, builds: map[Architecture]imageBuild{}}
	constructs.NewConstruct_Override(p, scope, &id)
	p.repository = props.Repository
	if p.repository == nil {
		p.repository = p.newRepository(props)
	}
	from := props.Source
	if from == nil {
		from = ImageSourceCodeCommit(nil)
	}
	source := from.bind(p, s.Source)
	p.sourceRepository = source.repository
	tree, err := bundle.LibraryTree(ecsrunners.Sources)
	library := p.treeAsset("Library", tree, err)

	p.role = awsiam.NewRole(p, jsii.String("BuildRole"), &awsiam.RoleProps{
		RoleName:    optional(s.BuildRoleName),
		Path:        &s.BuildRolePath,
		Description: jsii.String("Builds of the GitHub Actions runners' image"),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("codebuild.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Stack_Of(p).Account()}},
		}),
	})
	grantReadAsset(p.role, library)
	source.grantRead(p.role)
	p.grantPush()
	if props.VPC != nil {
		p.grantNetworkInterfaces(props)
	}
	for i, architecture := range s.Architectures {
		p.builds[architecture] = p.newBuild(i, architecture, props, source, library)
	}

	p.function = p.newFunction(props.Code)
	ended := p.newEndedRule()
	for _, architecture := range s.Architectures {
		build := p.builds[architecture]
		build.resource = p.newResource(architecture, build, source, library, ended)
		p.builds[architecture] = build
	}
	p.addTriggers(source)
	p.addAlarms(props)
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
	return slices.Clone(p.settings.Architectures)
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
	age := newMetric(p, contract.ImageMetricNamespace, contract.MetricImageAge, map[string]*string{
		contract.DimensionProject: p.build(architecture).project.ProjectName(),
	}, &awscloudwatch.MetricOptions{Statistic: jsii.String("Maximum"), Period: awscdk.Duration_Days(jsii.Number(1))})
	if props == nil {
		return age
	}
	return age.With(props)
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
		panic(fmt.Errorf("RunnerImagePipeline %q: architecture: got %q; allowed: %v", *p.Node().Id(), architecture, p.settings.Architectures))
	}
	return build
}

// architectureID is the part of an architecture in the ids of constructs.
var architectureID = map[Architecture]string{X64: "X64", ARM64: "Arm64"}

func (p *RunnerImagePipeline) channelTag(architecture Architecture) string {
	return contract.ImageChannelTag(p.settings.Channel, string(architecture))
}

// newRepository makes a repository in which no tag but the channel's can be moved.
func (p *RunnerImagePipeline) newRepository(props *RunnerImagePipelineProps) awsecr.IRepository {
	s := p.settings
	var mutable []awsecr.ImageTagMutabilityExclusionFilter
	var rules []*awsecr.LifecycleRule
	add := func(rule awsecr.LifecycleRule) {
		rule.RulePriority = jsii.Number(len(rules) + 1)
		rules = append(rules, &rule)
	}
	for _, architecture := range s.Architectures {
		tag := p.channelTag(architecture)
		mutable = append(mutable, awsecr.ImageTagMutabilityExclusionFilter_Wildcard(&tag))
		// An image that a rule is about is out of reach of the rules below.
		add(awsecr.LifecycleRule{
			Description:    jsii.String("Tasks start from " + tag),
			TagStatus:      awsecr.TagStatus_TAGGED,
			TagPatternList: jsii.Strings(tag),
			MaxImageCount:  jsii.Number(1),
		})
	}
	add(awsecr.LifecycleRule{
		Description: jsii.String("Nothing refers to images without a tag"),
		TagStatus:   awsecr.TagStatus_UNTAGGED,
		MaxImageAge: awscdk.Duration_Days(jsii.Number(time.Duration(*s.UntaggedImageAge).Hours() / 24)),
	})
	add(awsecr.LifecycleRule{
		Description:   jsii.String("Some images to go back to"),
		TagStatus:     awsecr.TagStatus_ANY,
		MaxImageCount: jsii.Number(s.MaxImageCount),
	})
	options := &awsecr.RepositoryProps{
		RepositoryName:                     optional(s.RepositoryName),
		ImageScanOnPush:                    jsii.Bool(true),
		ImageTagMutability:                 awsecr.TagMutability_IMMUTABLE_WITH_EXCLUSION,
		ImageTagMutabilityExclusionFilters: &mutable,
		LifecycleRules:                     &rules,
		Encryption:                         awsecr.RepositoryEncryption_AES_256(),
		RemovalPolicy:                      p.removalPolicy(),
	}
	if props.EncryptionKey != nil {
		options.Encryption, options.EncryptionKey = awsecr.RepositoryEncryption_KMS(), props.EncryptionKey
	}
	repository := awsecr.NewRepository(p, jsii.String("Repository"), options)
	if s.EmptyOnDelete || s.RemovalPolicy == settings.RemovalRetain {
		// Not by the prop, which the CDK has for DESTROY only: what is to be retained is
		// deleted when a first deployment is rolled back, after an image may have been pushed.
		repository.Node().DefaultChild().(awsecr.CfnRepository).SetEmptyOnDelete(jsii.Bool(true))
	}
	return repository
}

// treeAsset uploads a part of this library as it is.
func (p *RunnerImagePipeline) treeAsset(id string, tree bundle.Tree, err error) awss3assets.Asset {
	var hash string
	if err == nil {
		hash, err = tree.Hash()
	}
	// Inside the assembly: what is outside may be gone when it is deployed.
	folder := filepath.Join(*awscdk.Stage_Of(p).AssetOutdir(), "image-"+hash) // a dot would begin an extension
	if err == nil {
		err = tree.Extract(folder)
	}
	if err != nil {
		panic(fmt.Errorf("RunnerImagePipeline %q: %w", *p.Node().Id(), err))
	}
	return awss3assets.NewAsset(p, &id, &awss3assets.AssetProps{
		Path:          &folder,
		AssetHash:     &hash,
		AssetHashType: awscdk.AssetHashType_CUSTOM,
	})
}

// grantReadAsset lets CodeBuild fetch one object, see
// https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
func grantReadAsset(grantee awsiam.IGrantable, asset awss3assets.Asset) {
	awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings("s3:GetObject", "s3:GetObjectVersion"),
		ResourceArns: &[]*string{asset.Bucket().ArnForObjects(asset.S3ObjectKey())},
	})
	awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings("s3:GetBucketAcl", "s3:GetBucketLocation"),
		ResourceArns: &[]*string{asset.Bucket().BucketArn()},
	})
}

// grantPush lets the builds look for images, push them and move tags. They cannot
// delete any.
func (p *RunnerImagePipeline) grantPush() {
	p.role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("ecr:GetAuthorizationToken"), // knows no resources
		Resources: jsii.Strings("*"),
	}))
	p.role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
			"ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"),
		Resources: &[]*string{p.repository.RepositoryArn()},
	}))
}

// grantNetworkInterfaces lets CodeBuild connect builds to the VPC, see
// https://docs.aws.amazon.com/codebuild/latest/userguide/auth-and-access-control-iam-identity-based-access-control.html#customer-managed-policies-example-create-vpc-network-interface
func (p *RunnerImagePipeline) grantNetworkInterfaces(props *RunnerImagePipelineProps) {
	stack := awscdk.Stack_Of(p)
	var subnets []any
	for _, id := range *props.VPC.SelectSubnets(props.subnetSelection()).SubnetIds {
		subnets = append(subnets, stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("ec2"), Resource: jsii.String("subnet"), ResourceName: id,
		}))
	}
	p.role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeDhcpOptions",
			"ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
		Resources: jsii.Strings("*"),
	}))
	p.role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings("ec2:CreateNetworkInterfacePermission"),
		Resources: &[]*string{stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("ec2"), Resource: jsii.String("network-interface"), ResourceName: jsii.String("*"),
		})},
		Conditions: &map[string]any{"StringEquals": map[string]any{
			"ec2:AuthorizedService": "codebuild.amazonaws.com",
			"ec2:Subnet":            subnets,
		}},
	}))
}

func (p *RunnerImagePipelineProps) subnetSelection() *awsec2.SubnetSelection {
	if p.Subnets != nil {
		return p.Subnets
	}
	return &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PRIVATE_WITH_EGRESS}
}

// The standard images of CodeBuild, by their major versions: CodeBuild keeps them
// patched.
var buildImage = map[Architecture]func() awscodebuild.IBuildImage{
	X64:   awscodebuild.LinuxBuildImage_AMAZON_LINUX_2023_5,
	ARM64: awscodebuild.LinuxArmBuildImage_AMAZON_LINUX_2023_STANDARD_3_0,
}

// newBuild makes the project for an architecture, the i-th of the pipeline.
func (p *RunnerImagePipeline) newBuild(i int, architecture Architecture, props *RunnerImagePipelineProps, source boundSource, library awss3assets.Asset) imageBuild {
	s, id := p.settings, architectureID[architecture]
	name := s.ProjectName
	if name != "" && i > 0 {
		name += "-" + string(architecture)
	}
	logs := newLogGroup(p, "Logs"+id, nil, s.LogRetentionDays)
	logs.GrantWrite(p.role)
	variables := map[string]*awscodebuild.BuildEnvironmentVariable{}
	for name, value := range p.arguments(architecture) {
		variables[name] = &awscodebuild.BuildEnvironmentVariable{Value: value}
	}
	variables[contract.EnvImageRepositoryURI] = &awscodebuild.BuildEnvironmentVariable{Value: p.repository.RepositoryUri()}
	variables[contract.EnvImageChannel] = &awscodebuild.BuildEnvironmentVariable{Value: p.channelTag(architecture)}
	build := &awscodebuild.ProjectProps{
		ProjectName: optional(name),
		Description: jsii.String("Builds the image of the GitHub Actions runners for " + string(architecture)),
		// The library's part comes first: CodeBuild takes the build specification from it.
		Source: awscodebuild.Source_S3(&awscodebuild.S3SourceProps{
			Bucket: library.Bucket(), Path: library.S3ObjectKey(),
		}),
		SecondarySources: &[]awscodebuild.ISource{source.source},
		BuildSpec:        awscodebuild.BuildSpec_FromSourceFilename(jsii.String(bundle.BuildSpec)),
		Environment: &awscodebuild.BuildEnvironment{
			BuildImage:  buildImage[architecture](),
			ComputeType: cdkName[awscodebuild.ComputeType](s.ComputeType),
			Privileged:  jsii.Bool(true), // Docker needs it
		},
		EnvironmentVariables: &variables,
		Role:                 p.role.WithoutPolicyUpdates(nil), // the CDK would add more than is needed
		Timeout:              minutes(time.Duration(*s.Timeout)),
		QueuedTimeout:        minutes(settings.ImageQueueTimeout),
		Logging: &awscodebuild.LoggingOptions{CloudWatch: &awscodebuild.CloudWatchLoggingOptions{
			LogGroup: logs, Enabled: jsii.Bool(true),
		}},
		GrantReportGroupPermissions: jsii.Bool(false),
	}
	if props.VPC != nil {
		build.Vpc, build.SubnetSelection = props.VPC, props.subnetSelection()
		if len(props.SecurityGroups) > 0 {
			build.SecurityGroups = &props.SecurityGroups
		}
	} else if architecture == X64 {
		// CodeBuild has no local cache in a VPC, and none for Docker's layers on ARM.
		// https://docs.aws.amazon.com/codebuild/latest/userguide/caching-local.html
		build.Cache = awscodebuild.Cache_Local(awscodebuild.LocalCacheMode_DOCKER_LAYER)
	}
	project := awscodebuild.NewProject(p, jsii.String("Build"+id), build)
	// CodeBuild tries at creation what the role may do in a VPC and with a connection.
	project.Node().AddDependency(p.role.Node().FindChild(jsii.String("DefaultPolicy")))
	if s.BuildRolePath != "/" {
		awscdk.Validations_Of(project).Acknowledge(&awscdk.Acknowledgment{
			Id:     jsii.String("CloudFormation-Validate::E3050"),
			Reason: jsii.String("the project refers to the role by its ARN, which has the path in it; the rule takes it for its name"),
		})
	}
	if source.connection != nil {
		project.Node().DefaultChild().(awscodebuild.CfnProject).AddPropertyOverride(jsii.String("SecondarySources.0.Auth"),
			map[string]any{"Type": "CODECONNECTIONS", "Resource": source.connection})
	}
	return imageBuild{
		project: project,
		logs:    logs,
		waiting: awsssm.NewStringParameter(p, jsii.String("Waiting"+id), &awsssm.StringParameterProps{
			Description: jsii.String("Which deployment waits for which build of the runner image; kept by the function"),
			StringValue: jsii.String(contract.NotWaiting),
		}),
	}
}

// arguments are the variables of the build for an architecture that the props say.
func (p *RunnerImagePipeline) arguments(architecture Architecture) map[string]string {
	arguments := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			arguments[name] = value
		}
	}
	set(contract.EnvImageRunnerVersion, p.settings.RunnerVersion)
	set(contract.EnvImageRunnerSHA256, p.settings.RunnerSHA256[architecture])
	set(contract.EnvImageRunnerReleases, p.settings.RunnerReleases)
	set(contract.EnvImageBase, p.settings.BaseImage)
	if p.settings.Sudo {
		set(contract.EnvImageSudo, "true")
	}
	return arguments
}

// newFunction makes the function that makes a deployment wait.
func (p *RunnerImagePipeline) newFunction(code awslambda.Code) awslambda.Function {
	var configuration contract.ImageBuild
	for _, architecture := range p.settings.Architectures {
		build := p.builds[architecture]
		configuration.Projects = append(configuration.Projects, contract.ImageProject{
			Project:    *build.project.ProjectName(),
			Parameter:  *build.waiting.ParameterName(),
			Repository: *p.repository.RepositoryName(),
			Tag:        p.channelTag(architecture),
		})
	}
	environment, err := configuration.Environment()
	if err != nil {
		panic(fmt.Errorf("RunnerImagePipeline %q: %w", *p.Node().Id(), err))
	}
	variables := make(map[string]*string, len(environment))
	for name, value := range environment {
		variables[name] = &value
	}
	if code == nil {
		code = programCode(p, bundle.ImageBuild, ARM64)
	}
	p.functionLogs = newLogGroup(p, "FunctionLogs", nil, p.settings.LogRetentionDays)
	role := p.newFunctionRole()
	function := awslambda.NewFunction(p, jsii.String("Function"), &awslambda.FunctionProps{
		FunctionName:  optional(p.settings.FunctionName),
		Description:   jsii.String("Starts builds of the runner image for CloudFormation and tells it how they ended"),
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  lambdaArchitecture[ARM64](),
		Handler:       jsii.String("bootstrap"),
		Code:          code,
		Environment:   &variables,
		MemorySize:    jsii.Number(256),
		Timeout:       minutes(2 * time.Minute),
		LogGroup:      p.functionLogs,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		Role:          role,
	})
	explainRoleDependency(function)
	return function
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
	for _, architecture := range p.settings.Architectures {
		projects = append(projects, p.builds[architecture].project.ProjectArn())
		parameters = append(parameters, p.builds[architecture].waiting.ParameterArn())
	}
	allow(projects, "codebuild:StartBuild", "codebuild:BatchGetBuilds")
	allow(parameters, "ssm:GetParameter", "ssm:PutParameter")
	allow([]*string{p.repository.RepositoryArn()}, "ecr:DescribeImages")
	allow([]*string{awscdk.Aws_STACK_ID()}, "cloudformation:DescribeStacks")
	p.functionLogs.GrantWrite(role)
	return role
}

// finalStatuses are those of a build that has ended; failedStatuses without those
// that nobody needs to hear of.
// https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html
var (
	finalStatuses  = []string{"SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"}
	failedStatuses = []string{"FAILED", "FAULT", "TIMED_OUT"}
)

// onBuilds is a rule for builds of the pipeline's projects that have come to a
// status.
func (p *RunnerImagePipeline) onBuilds(id, description string, statuses []string) awsevents.Rule {
	var projects []any
	for _, architecture := range p.settings.Architectures {
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
		ServiceTimeout: minutes(time.Duration(*p.settings.Timeout) + settings.ImageQueueTimeout + settings.ImageAnswerMargin),
		Properties: &map[string]any{
			contract.PropertyImageProject:   build.project.ProjectName(),
			contract.PropertyImage:          p.repository.RepositoryUriForTag(&tag),
			contract.PropertyImageLibrary:   library.AssetHash(),
			contract.PropertyImageSource:    source.location,
			contract.PropertyImageArguments: string(arguments),
		},
	})
	// Without the one the build could do nothing, without the other nobody would
	// hear of its end.
	resource.Node().AddDependency(p.role.Node().FindChild(jsii.String("DefaultPolicy")), ended)
	return resource
}

// addTriggers starts builds when the Dockerfile is pushed, and daily.
func (p *RunnerImagePipeline) addTriggers(source boundSource) {
	start := func(rule awsevents.Rule, input awsevents.RuleTargetInput) {
		for _, architecture := range p.settings.Architectures {
			rule.AddTarget(awseventstargets.NewCodeBuildProject(p.builds[architecture].project, &awseventstargets.CodeBuildProjectProps{Event: input}))
		}
	}
	if source.onPush != nil {
		start(source.onPush(), nil)
	}
	if p.settings.Schedule == settings.NoSchedule {
		return
	}
	start(awsevents.NewRule(p, jsii.String("Schedule"), &awsevents.RuleProps{
		Description: jsii.String("Looks for a new release of actions/runner or of the base image, and builds the runner image then"),
		Schedule:    awsevents.Schedule_Expression(&p.settings.Schedule),
	}), awsevents.RuleTargetInput_FromObject(map[string]any{
		"environmentVariablesOverride": []any{map[string]any{
			"name": contract.EnvImageTrigger, "value": contract.ImageTriggerSchedule, "type": "PLAINTEXT",
		}},
	}))
}

// addAlarms tells those who want to hear of builds that fail, and of builds that
// do not take place.
func (p *RunnerImagePipeline) addAlarms(props *RunnerImagePipelineProps) {
	if props.FailureTopic != nil {
		rule := p.onBuilds("Failed", "Tells of builds of the runner image that have failed", failedStatuses)
		field := func(path string) string { return *awsevents.EventField_FromPath(&path) }
		rule.AddTarget(awseventstargets.NewSnsTopic(props.FailureTopic, &awseventstargets.SnsTopicProps{
			Message: awsevents.RuleTargetInput_FromText(jsii.String("Building the runner image with project " + field("$.detail.project-name") +
				" ended with " + field("$.detail.build-status") + ". Tasks start from the image before. Its log: " + field("$.detail.additional-information.logs.deep-link"))),
		}))
	}
	if props.AlarmTopic == nil {
		return
	}
	action := awscloudwatchactions.NewSnsAction(props.AlarmTopic)
	p.function.MetricErrors(nil).CreateAlarm(p, jsii.String("FunctionFails"), &awscloudwatch.CreateAlarmOptions{
		AlarmDescription: jsii.String("The function that tells CloudFormation how a build of the runner image ended has failed; " +
			"after two more attempts, a deployment that waits for it would do so until it times out"),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		Threshold:          jsii.Number(1),
		EvaluationPeriods:  jsii.Number(1),
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	}).AddAlarmAction(action)
	for _, architecture := range p.settings.Architectures {
		p.MetricFailedBuilds(architecture, nil).CreateAlarm(p, jsii.String("BuildsFail"+architectureID[architecture]), &awscloudwatch.CreateAlarmOptions{
			AlarmDescription:   jsii.String("A build of the runner image for " + string(architecture) + " has failed; tasks start from the image before"),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
			Threshold:          jsii.Number(1),
			EvaluationPeriods:  jsii.Number(1),
			TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
		}).AddAlarmAction(action)
		days := time.Duration(*p.settings.MaxImageAge).Hours() / 24
		p.MetricImageAge(architecture, nil).CreateAlarm(p, jsii.String("ImageOld"+architectureID[architecture]), &awscloudwatch.CreateAlarmOptions{
			AlarmDescription:   jsii.String(fmt.Sprintf("The runner image for %s is %v days old; GitHub gives it no more jobs 30 days after a newer release of actions/runner", architecture, days)),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
			Threshold:          jsii.Number(days),
			EvaluationPeriods:  jsii.Number(1),
			TreatMissingData:   awscloudwatch.TreatMissingData_IGNORE, // it is written when a build has ended
		}).AddAlarmAction(action)
		// Rarer checks do not fit the seven days that CloudWatch looks back.
		if !p.settings.ChecksDaily() {
			continue
		}
		p.MetricSucceededBuilds(architecture, &awscloudwatch.MetricOptions{Period: awscdk.Duration_Days(jsii.Number(1))}).
			CreateAlarm(p, jsii.String("ImageUnchecked"+architectureID[architecture]), &awscloudwatch.CreateAlarmOptions{
				AlarmDescription: jsii.String("Nobody has found the runner image for " + string(architecture) +
					" to be current for three days; GitHub gives it no more jobs 30 days after a newer release of actions/runner"),
				ComparisonOperator: awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD,
				Threshold:          jsii.Number(1),
				EvaluationPeriods:  jsii.Number(3),
				TreatMissingData:   awscloudwatch.TreatMissingData_BREACHING,
			}).AddAlarmAction(action)
	}
}

// removalPolicy is what becomes of the new repositories. What is to be retained is
// deleted all the same when a first deployment is rolled back: the next attempt
// could not make it again.
func (p *RunnerImagePipeline) removalPolicy() awscdk.RemovalPolicy {
	if p.settings.RemovalPolicy == settings.RemovalRetain {
		return awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE
	}
	return awscdk.RemovalPolicy_DESTROY
}

func minutes(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Minutes(jsii.Number(d.Minutes()))
}
