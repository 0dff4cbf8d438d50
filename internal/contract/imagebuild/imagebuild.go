package imagebuild

import (
	"errors"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
)

// Environment variables of the build of the runner image, read by build.sh, which
// explains them.
const (
	EnvRepositoryURI  = "REPOSITORY_URI"
	EnvChannel        = "CHANNEL"
	EnvTrigger        = "TRIGGER"
	EnvRunnerVersion  = "RUNNER_VERSION"
	EnvRunnerSHA256   = "RUNNER_SHA256"
	EnvRunnerReleases = "RUNNER_RELEASES"
	EnvBase           = "BASE_IMAGE"
	EnvSudo           = "SUDO"
)

// TriggerSchedule is the value of EnvTrigger in builds that nobody has asked for.
const TriggerSchedule = "schedule"

// SourceIdentifier names the source with the customer's Dockerfile, the second of
// the build: CodeBuild puts it where the variable CODEBUILD_SRC_DIR_image says. The
// first source is this library's.
const SourceIdentifier = "image"

// DefaultChannel begins the tags from which tasks start.
const DefaultChannel = "latest"

// ChannelTag is the tag from which tasks of an architecture start. A build moves
// it to each image that has passed its check; every other tag stays where it is.
func ChannelTag(channel, architecture string) string { return channel + "-" + architecture }

// EnvProjects is the environment variable of the program that makes a deployment
// wait for the image: the projects that build it, as JSON.
const EnvProjects = "ECSRUNNERS_IMAGE_PROJECTS"

// Properties of the custom resource that stands for an image in a template. When
// one of them changes, the image is built again.
const (
	// PropertyProject is the CodeBuild project that builds the image.
	PropertyProject = "Project"
	// PropertyImage is the name of the image in ECR, with its channel tag.
	PropertyImage = "Image"
	// PropertyLibrary is the hash of what this library contributes.
	PropertyLibrary = "Library"
	// PropertySource is where the Dockerfile comes from.
	PropertySource = "Source"
	// PropertyArguments are the other variables of the build.
	PropertyArguments = "Arguments"
)

// Metrics of the image, in the namespace MetricNamespace.
const (
	MetricNamespace = "ECSRunners/Image"
	// MetricImageAge is the age in days of the image that tasks start from, by
	// DimensionProject. It is written when a build has ended, which happens at
	// least once a day.
	MetricImageAge = "ImageAge"
	// DimensionProject is the name of the CodeBuild project.
	DimensionProject = "ProjectName"
)

// Project is a CodeBuild project that builds the image, for one architecture.
type Project struct {
	// Project is the name of the CodeBuild project.
	Project string `json:"project"`
	// Parameter is the name of the SSM parameter that says which deployment waits for
	// which build. The program makes it, and deletes it when nobody waits any more:
	// it holds an address at which CloudFormation takes anybody's answer, and the
	// parameters that CloudFormation makes are not encrypted.
	Parameter string `json:"parameter"`
	// Repository is the name of the ECR repository, Tag the channel tag.
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
}

// Config is the configuration of the program that makes a deployment wait for the
// image. The construct turns it into environment variables with Environment, the
// program reads them back with Parse.
type Config struct {
	// Projects are the projects whose builds deployments wait for. At least one.
	Projects []Project
}

// variables binds the variables to the fields of c.
func (c *Config) variables() env.Table {
	const example = `[{"project":"p","parameter":"/p","repository":"r","tag":"latest-x64"}]`
	return env.Table{
		{Name: EnvProjects, Text: "projects, such as " + example, Required: true, Value: env.JSON(&c.Projects, example, checkProject)},
	}
}

func checkProject(name string, p Project) error {
	var errs []error
	for _, member := range []struct{ name, value string }{
		{"project", p.Project}, {"parameter", p.Parameter}, {"repository", p.Repository}, {"tag", p.Tag},
	} {
		if member.value == "" {
			errs = append(errs, env.Missing(name+"."+member.name))
		}
	}
	return errors.Join(errs...)
}

// Environment returns the environment variables that carry c. Its error names
// every setting that is missing.
func (c Config) Environment() (map[string]string, error) { return c.variables().Render() }

// Parse reads the configuration with a function like os.LookupEnv. Its error names
// everything that is missing or wrong.
func Parse(lookup func(string) (string, bool)) (Config, error) {
	return env.Parse((*Config).variables, lookup)
}
