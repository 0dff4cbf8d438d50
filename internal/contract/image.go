package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Environment variables of the build of the runner image, read by build.sh, which
// explains them.
const (
	EnvImageRepositoryURI  = "REPOSITORY_URI"
	EnvImageChannel        = "CHANNEL"
	EnvImageTrigger        = "TRIGGER"
	EnvImageRunnerVersion  = "RUNNER_VERSION"
	EnvImageRunnerSHA256   = "RUNNER_SHA256"
	EnvImageRunnerReleases = "RUNNER_RELEASES"
	EnvImageBase           = "BASE_IMAGE"
	EnvImageSudo           = "SUDO"
)

// ImageTriggerSchedule is the value of EnvImageTrigger in builds that nobody has
// asked for.
const ImageTriggerSchedule = "schedule"

// ImageSourceIdentifier names the source with the customer's Dockerfile, the
// second of the build: CodeBuild puts it where the variable CODEBUILD_SRC_DIR_image
// says. The first source is this library's.
const ImageSourceIdentifier = "image"

// DefaultImageChannel begins the tags from which tasks start.
const DefaultImageChannel = "latest"

// ImageChannelTag is the tag from which tasks of an architecture start. A build
// moves it to each image that has passed its check; every other tag stays where
// it is.
func ImageChannelTag(channel, architecture string) string { return channel + "-" + architecture }

// EnvImageProjects is the environment variable of the program that makes a
// deployment wait for the image.
const EnvImageProjects = "ECSRUNNERS_IMAGE_PROJECTS"

// Properties of the custom resource that stands for an image in a template. When
// one of them changes, the image is built anew.
const (
	// PropertyImageProject is the CodeBuild project that builds the image.
	PropertyImageProject = "Project"
	// PropertyImage is the name of the image in ECR, with its channel tag.
	PropertyImage = "Image"
	// PropertyImageLibrary is the hash of what this library contributes.
	PropertyImageLibrary = "Library"
	// PropertyImageSource is where the Dockerfile comes from.
	PropertyImageSource = "Source"
	// PropertyImageArguments are the other variables of the build.
	PropertyImageArguments = "Arguments"
)

// NotWaiting is the value of a project's parameter while no deployment waits.
const NotWaiting = "none"

// Metrics of the image, in the namespace ImageMetricNamespace.
const (
	ImageMetricNamespace = "ECSRunners/Image"
	// MetricImageAge is the age in days of the image that tasks start from, by
	// DimensionProject. It is written when a build has ended, which happens at
	// least once a day.
	MetricImageAge = "ImageAge"

	DimensionProject = "ProjectName"
)

// ImageProject is a CodeBuild project that builds the image, for one
// architecture.
type ImageProject struct {
	// Project is the name of the CodeBuild project.
	Project string `json:"project"`
	// Parameter is the name of the SSM parameter that tells whether a deployment
	// waits for a build.
	Parameter string `json:"parameter"`
	// Repository is the name of the ECR repository, Tag the channel tag.
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
}

// ImageBuild is the configuration of the program that makes a deployment wait
// for the image. The construct turns it into environment variables with
// Environment, the program reads them back with ParseImageBuild.
type ImageBuild struct {
	Projects []ImageProject
}

// Validate reports every setting that is missing.
func (b ImageBuild) Validate() error {
	if len(b.Projects) == 0 {
		return fmt.Errorf("%s %w", EnvImageProjects, ErrMissing)
	}
	var errs []error
	for i, p := range b.Projects {
		for name, value := range map[string]string{
			"project": p.Project, "parameter": p.Parameter, "repository": p.Repository, "tag": p.Tag,
		} {
			if value == "" {
				errs = append(errs, fmt.Errorf("%s[%d].%s %w", EnvImageProjects, i, name, ErrMissing))
			}
		}
	}
	return errors.Join(errs...)
}

// Environment returns the environment variables that carry b.
func (b ImageBuild) Environment() (map[string]string, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	projects, err := json.Marshal(b.Projects)
	if err != nil {
		return nil, fmt.Errorf("encoding projects: %w", err)
	}
	return map[string]string{EnvImageProjects: string(projects)}, nil
}

// ParseImageBuild reads the configuration with a function like os.LookupEnv.
func ParseImageBuild(lookup func(string) (string, bool)) (ImageBuild, error) {
	var b ImageBuild
	value, _ := lookup(EnvImageProjects)
	if value = strings.TrimSpace(value); value != "" {
		decoder := json.NewDecoder(strings.NewReader(value))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&b.Projects); err != nil || decoder.More() {
			return ImageBuild{}, fmt.Errorf("reading the environment: %s %w: %q, want a JSON list of projects", EnvImageProjects, ErrSetting, value)
		}
	}
	if err := b.Validate(); err != nil {
		return ImageBuild{}, fmt.Errorf("reading the environment: %w", err)
	}
	return b, nil
}

// ImageBuildVariables describes the environment variables of the program that
// makes a deployment wait for the image.
func ImageBuildVariables() []Variable {
	return []Variable{
		{EnvImageProjects, `projects, such as [{"project":"p","parameter":"/p","repository":"r","tag":"latest-x64"}] (required)`},
	}
}
