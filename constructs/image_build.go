package constructs

import (
	"fmt"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
)

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
func (p *RunnerImagePipeline) grantNetworkInterfaces() {
	stack := awscdk.Stack_Of(p)
	var subnets []any
	for _, id := range *p.props.VPC.SelectSubnets(p.props.subnetSelection()).SubnetIds {
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

func (p RunnerImagePipelineProps) subnetSelection() *awsec2.SubnetSelection {
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
func (p *RunnerImagePipeline) newBuild(i int, architecture Architecture, source boundSource, library awss3assets.Asset) imageBuild {
	s, id := p.props, architectureID[architecture]
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
	variables[imagebuildcontract.EnvRepositoryURI] = &awscodebuild.BuildEnvironmentVariable{Value: p.repository.RepositoryUri()}
	variables[imagebuildcontract.EnvChannel] = &awscodebuild.BuildEnvironmentVariable{Value: p.channelTag(architecture)}
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
			ComputeType: s.ComputeType,
			Privileged:  jsii.Bool(true), // Docker needs it
		},
		EnvironmentVariables: &variables,
		Role:                 p.role.WithoutPolicyUpdates(nil), // the CDK would add more than is needed
		Timeout:              minutes(s.Timeout),
		QueuedTimeout:        minutes(imageQueueTimeout),
		Logging: &awscodebuild.LoggingOptions{CloudWatch: &awscodebuild.CloudWatchLoggingOptions{
			LogGroup: logs, Enabled: jsii.Bool(true),
		}},
		GrantReportGroupPermissions: jsii.Bool(false),
	}
	if s.VPC != nil {
		build.Vpc, build.SubnetSelection = s.VPC, s.subnetSelection()
		if len(s.SecurityGroups) > 0 {
			build.SecurityGroups = &s.SecurityGroups
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
	return imageBuild{project: project, logs: logs}
}

// waiting is the name of the parameter in which the function notes which deployment
// waits for which build. The function makes it: what CloudFormation makes is not
// encrypted.
func (b imageBuild) waiting() string { return "/ecsrunners/waiting/" + *b.project.ProjectName() }

// arguments are the variables of the build for an architecture that the props say.
func (p *RunnerImagePipeline) arguments(architecture Architecture) map[string]string {
	arguments := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			arguments[name] = value
		}
	}
	set(imagebuildcontract.EnvRunnerVersion, p.props.RunnerVersion)
	set(imagebuildcontract.EnvRunnerSHA256, p.props.RunnerSHA256[architecture])
	set(imagebuildcontract.EnvRunnerReleases, p.props.RunnerReleases)
	set(imagebuildcontract.EnvBase, p.props.BaseImage)
	if p.props.Sudo {
		set(imagebuildcontract.EnvSudo, "true")
	}
	return arguments
}
