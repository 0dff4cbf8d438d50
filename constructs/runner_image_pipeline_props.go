package constructs

import (
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// RunnerImagePipelineProps are the settings of a [RunnerImagePipeline]. All are
// optional.
type RunnerImagePipelineProps struct {
	// Source of the Dockerfile.
	//
	// Default: a new CodeCommit repository that starts with this library's.
	Source ImageSource

	// Architectures for which images are built, each by a CodeBuild project of its
	// own.
	//
	// Default: X64.
	Architectures []Architecture

	// RunnerVersion pins the version of actions/runner, such as "2.330.0". GitHub
	// gives no more jobs to a runner 30 days after a newer release.
	//
	// Default: the newest, looked for daily.
	RunnerVersion string

	// RunnerSHA256 are the checksums of the archives of RunnerVersion, for each of
	// Architectures: 64 hexadecimal digits. With them no build asks GitHub's API. Not
	// allowed without RunnerVersion.
	//
	// Default: those that GitHub tells with the release.
	RunnerSHA256 map[Architecture]string

	// RunnerReleases is the address of a mirror of the archives, from which they can
	// be fetched without logging in: below it is
	// v2.330.0/actions-runner-linux-x64-2.330.0.tar.gz. Their checksums are verified
	// all the same. The releases themselves are still looked up at api.github.com,
	// unless RunnerVersion and RunnerSHA256 are given.
	//
	// Default: https://github.com/actions/runner/releases/download.
	RunnerReleases string

	// BaseImage is the image to start from, with or without a digest. It must be a
	// Debian 12 unless the Dockerfile is changed. One of another ECR repository can
	// be pulled when BuildRole may do so; one of another registry must be public.
	//
	// Default: Debian bookworm slim from the public ECR library.
	BaseImage string

	// Sudo lets jobs become root in their container.
	//
	// Default: false.
	Sudo bool

	// Channel begins the tags from which tasks start: with "latest" and X64 the tag
	// is latest-x64. A build moves it to an image that has passed its check. At
	// most 64 letters, digits and . _ -.
	//
	// Default: latest.
	Channel string

	// Repository of ECR, in this account and region, to which the images go. Its
	// tags must be mutable, or at least those of the channel. The settings of a new
	// repository, up to EmptyOnDelete, are not allowed with it.
	//
	// Default: a new repository that scans images on push, and in which only the
	// tags of the channel can be moved.
	Repository awsecr.IRepository

	// RepositoryName is the physical name of the new repository.
	//
	// Default: named by CloudFormation.
	RepositoryName string

	// MaxImageCount is how many images the new repository keeps, beside those of
	// the channel: to those one can go back.
	//
	// Default: 5.
	MaxImageCount int

	// UntaggedImageAge is the age in whole days at which the new repository drops an
	// image without a tag.
	//
	// Default: 7 days.
	UntaggedImageAge awscdk.Duration

	// EncryptionKey encrypts the images of the new repository.
	//
	// Default: a key of Amazon S3's.
	EncryptionKey awskms.IKey

	// EmptyOnDelete deletes the images with the new repository, which CloudFormation
	// cannot delete otherwise. It needs RemovalPolicy DESTROY.
	//
	// Default: false.
	EmptyOnDelete bool

	// RemovalPolicy says what becomes of the new ECR repository and of the new
	// CodeCommit repository when the stack is deleted: RETAIN or DESTROY. A later
	// stack takes retained repositories by Repository and Source.
	//
	// Default: RETAIN.
	RemovalPolicy awscdk.RemovalPolicy

	// ProjectName is the physical name of the CodeBuild project. Those of the second
	// and further Architectures have the architecture after it: name-arm64.
	//
	// Default: named by CloudFormation.
	ProjectName string

	// BuildRoleName is the physical name of the builds' role.
	//
	// Default: named by CloudFormation.
	BuildRoleName string

	// BuildRolePath is the path of the builds' role.
	//
	// Default: /service-role/, as CodeBuild's console has it.
	BuildRolePath string

	// ComputeType is the size of the machines that build: SMALL, MEDIUM, LARGE,
	// X_LARGE or X2_LARGE.
	//
	// Default: SMALL.
	ComputeType awscodebuild.ComputeType

	// VPC in which the images are built. It needs a way out to GitHub, to Debian's
	// mirrors and to AWS. Docker's layers are not cached then.
	//
	// Default: none, builds run in CodeBuild's own network.
	VPC awsec2.IVpc

	// Subnets of VPC in which the images are built. Not allowed without VPC.
	//
	// Default: the private subnets with egress.
	Subnets *awsec2.SubnetSelection

	// SecurityGroups of the builds. Not allowed without VPC.
	//
	// Default: a new one without ingress rules; all egress is allowed.
	SecurityGroups []awsec2.ISecurityGroup

	// Timeout of a build, 5 to 40 minutes in whole minutes. A deployment waits for
	// the build.
	//
	// Default: 30 minutes.
	Timeout awscdk.Duration

	// Schedule of the check for new versions, an expression of EventBridge such as
	// "rate(1 day)", or "none". The check builds only if there is something new.
	//
	// Default: cron(23 3 * * ? *), daily.
	Schedule string

	// LogRetentionDays of the log groups of builds and function, one of the values
	// of CloudWatch Logs. The log groups stay when the stack is deleted.
	//
	// Default: 30.
	LogRetentionDays int

	// FunctionName is the physical name of the Lambda function that makes a
	// deployment wait for the image.
	//
	// Default: named by CloudFormation.
	FunctionName string

	// Code replaces the function's program, for those who build it elsewhere. It
	// must hold an executable named bootstrap for ARM64.
	//
	// Default: our program, built at synthesis.
	Code awslambda.Code

	// FailureTopic gets a message with the link to the log when a build has failed,
	// whoever started it. A topic from outside the app must let
	// events.amazonaws.com publish.
	//
	// Default: none.
	FailureTopic awssns.ITopic

	// AlarmTopic gets an alarm when the function that makes a deployment wait fails,
	// and for each architecture: builds fail; the image is older than MaxImageAge; and,
	// with a Schedule of at least one check a day, nobody has found the image to be
	// current for three days. They cost ten cents a month each.
	//
	// Default: none, and no alarms.
	AlarmTopic awssns.ITopic

	// MaxImageAge is the age in whole days from which AlarmTopic hears of an image. A
	// release of actions/runner comes every three to seven weeks, and GitHub gives an
	// older one no more jobs 30 days after it.
	//
	// Default: 60 days.
	MaxImageAge awscdk.Duration
}

// settings are the props without their references to other resources, with
// defaults, and what is wrong with either.
func (p *RunnerImagePipelineProps) settings() (settings.Image, settings.Problems) {
	s := settings.Image{
		MaxImageAge:      duration(p.MaxImageAge),
		Architectures:    p.Architectures,
		RunnerVersion:    p.RunnerVersion,
		RunnerSHA256:     p.RunnerSHA256,
		RunnerReleases:   p.RunnerReleases,
		BaseImage:        p.BaseImage,
		Sudo:             p.Sudo,
		Channel:          p.Channel,
		RepositoryName:   p.RepositoryName,
		MaxImageCount:    p.MaxImageCount,
		UntaggedImageAge: duration(p.UntaggedImageAge),
		RemovalPolicy:    awsName(p.RemovalPolicy),
		EmptyOnDelete:    p.EmptyOnDelete,
		ProjectName:      p.ProjectName,
		BuildRoleName:    p.BuildRoleName,
		BuildRolePath:    p.BuildRolePath,
		ComputeType:      awsName(p.ComputeType),
		Timeout:          duration(p.Timeout),
		Schedule:         p.Schedule,
		LogRetentionDays: p.LogRetentionDays,
		FunctionName:     p.FunctionName,
	}
	var conflicts settings.Problems
	if p.Source != nil {
		s.Source, conflicts = p.Source.settings()
	}
	ofNewRepository := func(path string, given bool, got any) {
		if p.Repository != nil && given {
			conflicts.Add(path, got, "a setting of the new repository only: leave out Repository or "+path)
		}
	}
	ofNewRepository("RepositoryName", p.RepositoryName != "", p.RepositoryName)
	ofNewRepository("MaxImageCount", p.MaxImageCount != 0, p.MaxImageCount)
	ofNewRepository("UntaggedImageAge", p.UntaggedImageAge != nil, settings.Words("an age"))
	ofNewRepository("EncryptionKey", p.EncryptionKey != nil, settings.Words("a key"))
	ofNewRepository("EmptyOnDelete", p.EmptyOnDelete, true)
	if p.VPC == nil && p.Subnets != nil {
		conflicts.Add("Subnets", settings.Words("a selection without VPC"), "a selection together with the VPC it selects from")
	}
	if p.VPC == nil && len(p.SecurityGroups) > 0 {
		conflicts.Add("SecurityGroups", settings.Words("security groups without VPC"), "security groups together with their VPC")
	}
	s = s.WithDefaults()
	return s, append(s.Validate(), conflicts...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
