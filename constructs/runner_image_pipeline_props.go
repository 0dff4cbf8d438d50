package constructs

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"

	"github.com/ecs-github-runners/ecsrunners/internal/awsname"
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// RunnerImagePipelineProps are the settings of a [RunnerImagePipeline]. All are
// optional.
type RunnerImagePipelineProps struct {
	// Source is where the Dockerfile comes from.
	//
	// Default: a new CodeCommit repository that starts with this library's.
	Source ImageSource `json:"-"`

	// Architectures are the processor architectures for which images are built, each by a CodeBuild
	// project of its own.
	//
	// Default: X64.
	Architectures []Architecture `json:"architectures" enum:"x64,arm64"`

	// RunnerVersion pins the version of actions/runner, such as "2.330.0". GitHub
	// gives no more jobs to a runner 30 days after a newer release.
	//
	// Default: the newest release; the pipeline checks for one every day.
	RunnerVersion string `json:"runnerVersion"`

	// RunnerSHA256 are the checksums of the archives of RunnerVersion, for each of
	// Architectures: 64 hexadecimal digits. With them no build asks GitHub's API. Not
	// allowed without RunnerVersion.
	//
	// Default: the checksums in the notes of the GitHub release.
	RunnerSHA256 map[Architecture]string `json:"runnerSha256"`

	// RunnerReleases is the address of a mirror of the archives, from which they can
	// be fetched without logging in: below it is
	// v2.330.0/actions-runner-linux-x64-2.330.0.tar.gz. Their checksums are verified
	// all the same. The releases themselves are still looked up at api.github.com,
	// unless RunnerVersion and RunnerSHA256 are given.
	//
	// Default: https://github.com/actions/runner/releases/download.
	RunnerReleases string `json:"runnerReleases"`

	// BaseImage is the image to start from, with or without a digest. It must be a
	// Debian 12 unless the Dockerfile is changed. One of another ECR repository can
	// be pulled when BuildRole may do so; one of another registry must be public.
	//
	// Default: Debian bookworm slim from the public ECR library.
	BaseImage string `json:"baseImage"`

	// Sudo lets jobs become root in their container.
	//
	// Default: false.
	Sudo bool `json:"sudo"`

	// Channel begins the tags from which tasks start: with "latest" and X64 the tag
	// is latest-x64. A build moves it to an image that has passed its check. At
	// most 64 letters, digits and . _ -.
	//
	// Default: latest.
	Channel string `json:"channel"`

	// Repository of ECR, in this account and region, to which the images go. Its
	// tags must be mutable, or at least those of the channel. The settings of a new
	// repository, up to EmptyOnDelete, are not allowed with it.
	//
	// Default: a new repository that scans images on push, and in which only the
	// tags of the channel can be moved.
	Repository awsecr.IRepository `json:"-"`

	// RepositoryName is the physical name of the new repository.
	//
	// Default: named by CloudFormation.
	RepositoryName string `json:"repositoryName"`

	// MaxImageCount is how many images the new repository keeps, beside those of
	// the channel: to those one can go back.
	//
	// Default: 5.
	MaxImageCount int `json:"maxImageCount"`

	// UntaggedImageAge is the age in whole days at which the new repository drops an
	// image without a tag.
	//
	// Default: 7 days.
	UntaggedImageAge time.Duration `json:"untaggedImageAge"`

	// EncryptionKey encrypts the images of the new repository.
	//
	// Default: encryption by keys that Amazon S3 manages (SSE-S3).
	EncryptionKey awskms.IKey `json:"-"`

	// EmptyOnDelete deletes the images with the new repository, which CloudFormation
	// cannot delete otherwise. It needs RemovalPolicy DESTROY.
	//
	// Default: false.
	EmptyOnDelete bool `json:"emptyOnDelete"`

	// RemovalPolicy says what becomes of the new ECR repository and of the new
	// CodeCommit repository when the stack is deleted: RETAIN or DESTROY. A later
	// stack takes retained repositories by Repository and Source.
	//
	// Default: RETAIN.
	RemovalPolicy awscdk.RemovalPolicy `json:"removalPolicy" enum:"retain,destroy"`

	// ProjectName is the physical name of the CodeBuild project. Those of the second
	// and further Architectures have the architecture after it: name-arm64.
	//
	// Default: named by CloudFormation.
	ProjectName string `json:"projectName"`

	// BuildRoleName is the physical name of the builds' role.
	//
	// Default: named by CloudFormation.
	BuildRoleName string `json:"buildRoleName"`

	// BuildRolePath is the path of the builds' role.
	//
	// Default: /service-role/, as CodeBuild's console has it.
	BuildRolePath string `json:"buildRolePath"`

	// ComputeType is the size of the machines that build: SMALL, MEDIUM, LARGE,
	// X_LARGE or X2_LARGE.
	//
	// Default: SMALL.
	ComputeType awscodebuild.ComputeType `json:"computeType" enum:"small,medium,large,x-large,x2-large"`

	// VPC in which the images are built. It needs a way out to GitHub, to Debian's
	// mirrors and to AWS. Docker's layers are not cached then.
	//
	// Default: none, builds run in CodeBuild's own network.
	VPC awsec2.IVpc `json:"-"`

	// Subnets of VPC in which the images are built. Not allowed without VPC.
	//
	// Default: the private subnets with egress.
	Subnets *awsec2.SubnetSelection `json:"-"`

	// SecurityGroups of the builds. Not allowed without VPC.
	//
	// Default: a new one without ingress rules; all egress is allowed.
	SecurityGroups []awsec2.ISecurityGroup `json:"-"`

	// Timeout is the time that a build may take, 5 to 40 minutes in whole minutes. A
	// deployment waits for the build.
	//
	// Default: 30 minutes.
	Timeout time.Duration `json:"timeout"`

	// Schedule is the schedule of the check for new versions, an expression of
	// EventBridge such as "rate(1 day)", or "none". The check builds only if there
	// is something new.
	//
	// Default: cron(23 3 * * ? *), daily.
	Schedule string `json:"schedule"`

	// LogRetentionDays is how many days events stay in the log groups of builds and
	// function, one of the values of CloudWatch Logs. The log groups stay when the
	// stack is deleted.
	//
	// Default: 30.
	LogRetentionDays int `json:"logRetentionDays"`

	// FunctionName is the physical name of the Lambda function that makes a
	// deployment wait for the image.
	//
	// Default: named by CloudFormation.
	FunctionName string `json:"functionName"`

	// Code replaces the function's program, for those who build it elsewhere. It
	// must hold an executable named bootstrap for ARM64.
	//
	// Default: our program, built at synthesis.
	Code awslambda.Code `json:"-"`

	// FailureTopic gets a message with the link to the log when a build has failed,
	// whoever started it. A topic from outside the app must let
	// events.amazonaws.com publish.
	//
	// Default: none.
	FailureTopic awssns.ITopic `json:"-"`

	// AlarmTopic gets an alarm when the function that makes a deployment wait fails,
	// and for each architecture: builds fail; the image is older than MaxImageAge; and,
	// with a Schedule of at least one check a day, nobody has found the image to be
	// current for three days. They cost ten cents a month each.
	//
	// Default: none, and no alarms.
	AlarmTopic awssns.ITopic `json:"-"`

	// MaxImageAge is the age in whole days from which AlarmTopic gets an alarm about an image. A
	// release of actions/runner comes every three to seven weeks, and GitHub gives an
	// older one no more jobs 30 days after it.
	//
	// Default: 60 days.
	MaxImageAge time.Duration `json:"maxImageAge"`
}

// The times within which a deployment learns how a build ended. CloudFormation waits an
// hour at most.
const (
	// imageQueueTimeout is how long a build may wait for others of the account: new
	// accounts run one at a time.
	imageQueueTimeout = 15 * time.Minute
	// imageAnswerMargin is what is left for the news of its end.
	imageAnswerMargin = 3 * time.Minute
	maxBuildTimeout   = time.Hour - imageQueueTimeout - imageAnswerMargin - 2*time.Minute
)

// noSchedule is the value of Schedule that turns the daily check off.
const noSchedule = "none"

// WithDefaults returns a copy with the defaults filled in.
func (p RunnerImagePipelineProps) WithDefaults() RunnerImagePipelineProps {
	if p.Architectures == nil {
		p.Architectures = []Architecture{X64}
	}
	p.Architectures = slices.Clone(p.Architectures)
	p.RunnerSHA256 = maps.Clone(p.RunnerSHA256)
	p.Channel = cmp.Or(p.Channel, imagebuildcontract.DefaultChannel)
	if p.Repository == nil {
		p.MaxImageCount = cmp.Or(p.MaxImageCount, 5)
		p.UntaggedImageAge = cmp.Or(p.UntaggedImageAge, 7*24*time.Hour)
	}
	p.RemovalPolicy = cmp.Or(p.RemovalPolicy, awscdk.RemovalPolicy_RETAIN)
	p.BuildRolePath = cmp.Or(p.BuildRolePath, "/service-role/")
	p.ComputeType = cmp.Or(p.ComputeType, awscodebuild.ComputeType_SMALL)
	p.Timeout = cmp.Or(p.Timeout, 30*time.Minute)
	p.Schedule = cmp.Or(p.Schedule, "cron(23 3 * * ? *)")
	p.LogRetentionDays = cmp.Or(p.LogRetentionDays, 30)
	p.MaxImageAge = cmp.Or(p.MaxImageAge, 60*24*time.Hour)
	return p
}

var (
	sha256Sum     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	httpAddress   = regexp.MustCompile(`^https?://[A-Za-z0-9.:_-]+(/[A-Za-z0-9._~/-]*)?$`)
	runnerVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
	imageRepositoryName = regexp.MustCompile(`^([a-z0-9]+([._-][a-z0-9]+)*/)*[a-z0-9]+([._-][a-z0-9]+)*$`)
	// A channel tag is the channel, a hyphen and the architecture.
	imageChannel = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)
	projectName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{1,149}$`)
	iamPath      = regexp.MustCompile(`^/([A-Za-z0-9+=,.@_-]+/)*$`)
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
	schedule = regexp.MustCompile(`^(cron\([^()]+( [^() ]+){5}\)|rate\([1-9][0-9]* (minutes?|hours?|days?)\))$`)
)

// Validate returns an error that names every value that cannot work, or nil. Limits come from the API references of
// CodeBuild, ECR, EventBridge and CloudFormation.
func (p RunnerImagePipelineProps) Validate() error {
	p = p.WithDefaults()
	var l problem.List
	l.Choices(p)
	l.Secrets(p)
	if p.Source != nil {
		l.Under("Source", p.Source.validate())
	}
	p.validateArchitectures(&l)
	p.validateRunner(&l)
	l.Match("BaseImage", p.BaseImage, awsname.Image, `an image such as "public.ecr.aws/docker/library/debian:bookworm-slim", with or without a digest`)
	l.Match("Channel", p.Channel, imageChannel, "at most 64 letters, digits and . _ -, beginning with a letter, a digit or _")
	p.validateRepository(&l)
	l.Match("ProjectName", p.ProjectName, projectName, "2 to 150 letters, digits, - and _, beginning with a letter or a digit")
	l.Match("BuildRoleName", p.BuildRoleName, iamName, iamNameRule)
	l.Match("BuildRolePath", p.BuildRolePath, iamPath, `a path such as "/service-role/"`)
	if p.VPC == nil && p.Subnets != nil {
		l.Refused("Subnets", "needs the {VPC} from which it selects")
	}
	if p.VPC == nil && len(p.SecurityGroups) > 0 {
		l.Refused("SecurityGroups", "needs the {VPC} of the security groups")
	}
	if d := p.Timeout; d < 5*time.Minute || d > maxBuildTimeout || d%time.Minute != 0 {
		l.Invalid("Timeout", d, fmt.Sprintf("5m to %s in whole minutes, because a deployment waits for the build and CloudFormation waits an hour at most", problem.Duration(maxBuildTimeout)))
	}
	if p.Schedule != noSchedule && !schedule.MatchString(p.Schedule) {
		l.Invalid("Schedule", p.Schedule, `an expression such as "cron(23 3 * * ? *)" or "rate(1 day)", or "none"`)
	}
	validateLogRetention(&l, p.LogRetentionDays)
	validateFunctionName(&l, p.FunctionName)
	validateDays(&l, "MaxImageAge", p.MaxImageAge)
	return l.Err()
}

func (p RunnerImagePipelineProps) validateArchitectures(l *problem.List) {
	if len(p.Architectures) == 0 {
		l.Refused("Architectures", "must not be empty: leave it out for the default")
	}
	for n, architecture := range p.Architectures {
		if slices.Contains(p.Architectures[:n], architecture) {
			l.Invalid(fmt.Sprintf("Architectures[%d]", n), string(architecture), "given once only")
		}
	}
}

func (p RunnerImagePipelineProps) validateRunner(l *problem.List) {
	l.Match("RunnerVersion", p.RunnerVersion, runnerVersion, `a release of actions/runner such as "2.330.0"`)
	for _, architecture := range slices.Sorted(maps.Keys(p.RunnerSHA256)) {
		path := fmt.Sprintf("RunnerSHA256[%q]", architecture)
		if !slices.Contains(p.Architectures, architecture) {
			l.Refused(path, fmt.Sprintf("is for none of {Architectures}, %v", p.Architectures))
		}
		l.Match(path, p.RunnerSHA256[architecture], sha256Sum, "64 hexadecimal digits in lower case")
	}
	if len(p.RunnerSHA256) > 0 && p.RunnerVersion == "" {
		l.Refused("RunnerSHA256", "needs the {RunnerVersion} that it is of")
	}
	l.Match("RunnerReleases", p.RunnerReleases, httpAddress, `an address such as "https://mirror.example.com/runner", below which is v2.330.0/actions-runner-linux-x64-2.330.0.tar.gz`)
}

func (p RunnerImagePipelineProps) validateRepository(l *problem.List) {
	if n := len(p.RepositoryName); n != 0 && (n < 2 || n > 256 || !imageRepositoryName.MatchString(p.RepositoryName)) {
		l.Invalid("RepositoryName", p.RepositoryName, "2 to 256 lower-case letters and digits, with single . _ - / between them")
	}
	if p.EmptyOnDelete && p.RemovalPolicy == awscdk.RemovalPolicy_RETAIN {
		l.Refused("EmptyOnDelete", "must be false when {RemovalPolicy} is retain, under which nothing is deleted")
	}
	if p.Repository == nil {
		problem.Range(l, "MaxImageCount", p.MaxImageCount, 1, 10000)
		validateDays(l, "UntaggedImageAge", p.UntaggedImageAge)
		return
	}
	ofNewRepository := func(path string, given bool) {
		if given {
			l.Conflict(path, "Repository", "it is a setting of the new repository")
		}
	}
	ofNewRepository("RepositoryName", p.RepositoryName != "")
	ofNewRepository("MaxImageCount", p.MaxImageCount != 0)
	ofNewRepository("UntaggedImageAge", p.UntaggedImageAge != 0)
	ofNewRepository("EncryptionKey", p.EncryptionKey != nil)
	ofNewRepository("EmptyOnDelete", p.EmptyOnDelete)
}

// checksDaily reports whether Schedule looks for a release at least once a day.
func (p RunnerImagePipelineProps) checksDaily() bool {
	if minutes, isRate := rateMinutes(p.Schedule); isRate {
		return minutes <= 24*60
	}
	fields := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(p.Schedule, "cron("), ")"))
	every := func(field int) bool { return fields[field] == "*" || fields[field] == "?" }
	// Minutes, hours, day of the month, month, day of the week, year.
	return len(fields) == 6 && every(2) && every(3) && every(4) && every(5)
}

// rateMinutes is the time between the checks of rate(1 day).
func rateMinutes(schedule string) (int, bool) {
	var n int
	var unit string
	if _, err := fmt.Sscanf(schedule, "rate(%d %s", &n, &unit); err != nil {
		return 0, false
	}
	for prefix, minutes := range map[string]int{"minute": 1, "hour": 60, "day": 24 * 60} {
		if strings.HasPrefix(unit, prefix) {
			return n * minutes, true
		}
	}
	return 0, false
}
