package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodecommit"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	awsconstructs "github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// RunnerImageStack builds the image in which jobs run and keeps it fresh. It is a
// stack of its own so that a build that fails holds nothing else up.
type RunnerImageStack struct {
	awscdk.Stack // filled by NewStack_Override

	pipeline *constructs.RunnerImagePipeline
}

// NewRunnerImageStack adds the stack that the configuration describes. The
// configuration must come from config.Parse and have an image.
func NewRunnerImageStack(scope awsconstructs.Construct, c config.Config) *RunnerImageStack {
	s := &RunnerImageStack{}
	initialize(s, scope, c.ImageStackName(), "Image of ephemeral GitHub Actions runners on Amazon ECS", c)
	image := c.Image.RunnerImagePipelineProps
	image.Source = s.imageSource(c.Image.Source)
	topic := func(id, arn string) awssns.ITopic {
		if arn == "" {
			return nil
		}
		return awssns.Topic_FromTopicArn(s, &id, &arn)
	}
	image.FailureTopic, image.AlarmTopic = topic("FailureTopic", c.Image.FailureTopicARN), topic("AlarmTopic", c.Image.AlarmTopicARN)
	if arn := c.Image.EncryptionKeyARN; arn != "" {
		image.EncryptionKey = awskms.Key_FromKeyArn(s, jsii.String("EncryptionKey"), &arn)
	}
	if c.Image.BuildInVPC {
		image.VPC, image.Subnets = existingVPC(s, c.VPC)
	}
	s.pipeline = constructs.NewRunnerImagePipeline(s, "Image", &image)

	output(s, "RepositoryURI", "ECR repository with the images", s.pipeline.Repository().RepositoryUri())
	if source := s.pipeline.SourceRepository(); source != nil {
		output(s, "CloneURL", "Repository with the Dockerfile, yours to change", source.RepositoryCloneUrlHttp())
	}
	for _, architecture := range s.pipeline.Architectures() {
		id := map[constructs.Architecture]string{constructs.X64: "BuildProjectX64", constructs.ARM64: "BuildProjectArm64"}[architecture]
		output(s, id, "CodeBuild project that builds the image for "+string(architecture), s.pipeline.Project(architecture).ProjectName())
	}
	return s
}

// Pipeline builds the image.
func (s *RunnerImageStack) Pipeline() *constructs.RunnerImagePipeline { return s.pipeline }

// imageSource is the configured source of the Dockerfile.
func (s *RunnerImageStack) imageSource(source config.ImageSource) constructs.ImageSource {
	switch {
	case source.Folder != nil:
		return constructs.FolderSource(source.Folder.Path)
	case source.GitHub != nil:
		return constructs.GitHubSource(source.GitHub)
	case source.CodeCommit.Existing:
		props := source.CodeCommit.CodeCommitSourceProps
		props.Repository = awscodecommit.Repository_FromRepositoryName(s, jsii.String("Dockerfile"), &props.RepositoryName)
		props.RepositoryName = "" // that of a new one
		return constructs.CodeCommitSource(&props)
	default:
		return constructs.CodeCommitSource(&source.CodeCommit.CodeCommitSourceProps)
	}
}
