package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/constructs-go/constructs/v10"

	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
)

// RunnerImage says where the image comes from in which jobs run. Values are made
// by [RunnerImagePipeline.Image], [RepositoryImage] and [RegistryImage].
//
// It names a tag and never a digest: a digest would bring each new image to the
// tasks by a deployment only, and could not cross stacks.
type RunnerImage interface {
	// supports reports whether there is an image for an architecture.
	supports(architecture Architecture) bool
	// bind returns the image for containers below a scope, which is not deployed
	// before the image is there.
	bind(scope constructs.Construct, architecture Architecture) awsecs.ContainerImage
}

// RepositoryImage is an image in a repository of ECR, which something else
// builds from this library's runner-image folder and keeps fresh. The tag must
// stand for an image of the architecture in use, or for images of several.
func RepositoryImage(repository awsecr.IRepository, tag string) RunnerImage {
	return repositoryImage{repository, tag}
}

type repositoryImage struct {
	repository awsecr.IRepository
	tag        string
}

func (i repositoryImage) supports(Architecture) bool { return true }

func (i repositoryImage) bind(constructs.Construct, Architecture) awsecs.ContainerImage {
	return awsecs.ContainerImage_FromEcrRepository(i.repository, &i.tag)
}

// RegistryImage is an image in another registry, by the name with which it is
// pulled without logging in, such as "registry.example.com/runner:stable".
func RegistryImage(name string) RunnerImage { return registryImage(name) }

type registryImage string

func (i registryImage) supports(Architecture) bool { return true }

func (i registryImage) bind(constructs.Construct, Architecture) awsecs.ContainerImage {
	name := string(i)
	return awsecs.ContainerImage_FromRegistry(&name, nil)
}

// pipelineImage is the image that a pipeline builds.
type pipelineImage struct{ pipeline *RunnerImagePipeline }

func (i pipelineImage) supports(architecture Architecture) bool {
	_, found := i.pipeline.builds[architecture]
	return found
}

func (i pipelineImage) bind(scope constructs.Construct, architecture Architecture) awsecs.ContainerImage {
	build := i.pipeline.build(architecture)
	scope.Node().AddDependency(build.resource)
	tag := imagebuildcontract.ChannelTag(i.pipeline.props.Channel, string(architecture))
	return awsecs.ContainerImage_FromEcrRepository(i.pipeline.repository, &tag)
}
