package settings

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
)

// Image is the pipeline that builds the runner image. What each field means is
// told at constructs.RunnerImagePipelineProps.
type Image struct {
	Source        ImageSource    `json:"source"`
	Architectures []Architecture `json:"architectures"`
	RunnerVersion string         `json:"runnerVersion"`
	BaseImage     string         `json:"baseImage"`

	RunnerSHA256   map[Architecture]string `json:"runnerSha256"`
	RunnerReleases string                  `json:"runnerReleases"`

	Sudo    bool   `json:"sudo"`
	Channel string `json:"channel"`

	RepositoryName   string    `json:"repositoryName"`
	MaxImageCount    int       `json:"maxImageCount"`
	UntaggedImageAge *Duration `json:"untaggedImageAge"`
	RemovalPolicy    string    `json:"removalPolicy"`
	EmptyOnDelete    bool      `json:"emptyOnDelete"`

	ProjectName      string    `json:"projectName"`
	BuildRoleName    string    `json:"buildRoleName"`
	BuildRolePath    string    `json:"buildRolePath"`
	ComputeType      string    `json:"computeType"`
	Timeout          *Duration `json:"timeout"`
	Schedule         string    `json:"schedule"`
	LogRetentionDays int       `json:"logRetentionDays"`

	FunctionName string `json:"functionName"`

	// Constructs take these as values of their own types.
	EncryptionKeyARN string    `json:"encryptionKeyArn"`
	BuildInVPC       bool      `json:"buildInVpc"`
	FailureTopicARN  string    `json:"failureTopicArn"`
	AlarmTopicARN    string    `json:"alarmTopicArn"`
	MaxImageAge      *Duration `json:"maxImageAge"`
}

// ChecksDaily tells whether Schedule looks for a release at least once a day.
func (i Image) ChecksDaily() bool {
	if minutes, isRate := rateMinutes(i.Schedule); isRate {
		return minutes <= 24*60
	}
	fields := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(i.Schedule, "cron("), ")"))
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

// ImageSource is where the Dockerfile comes from: at most one field is set. The
// constructs have a factory for each.
type ImageSource struct {
	CodeCommit *CodeCommitSource `json:"codeCommit"`
	Folder     *FolderSource     `json:"folder"`
	GitHub     *GitHubSource     `json:"gitHub"`
}

// CodeCommitSource is a CodeCommit repository, new or existing.
type CodeCommitSource struct {
	RepositoryName string `json:"repositoryName"`
	Existing       bool   `json:"existing"`
	Branch         string `json:"branch"`
}

// FolderSource is a folder of the machine that synthesizes.
type FolderSource struct {
	Path string `json:"path"`
}

// GitHubSource is a repository at GitHub, read through a connection.
type GitHubSource struct {
	Repository    string `json:"repository"`
	ConnectionARN string `json:"connectionArn"`
	Branch        string `json:"branch"`
}

// Values of RemovalPolicy.
const (
	RemovalRetain  = "retain"
	RemovalDestroy = "destroy"
)

// The times within which a deployment hears of a build. CloudFormation waits an
// hour at most.
const (
	// ImageQueueTimeout is how long a build may wait for others of the account: new
	// accounts run one at a time.
	ImageQueueTimeout = 15 * time.Minute
	// ImageAnswerMargin is what is left for the news of its end.
	ImageAnswerMargin = 3 * time.Minute
)

// NoSchedule is the value of Schedule that turns the daily check off.
const NoSchedule = "none"

var (
	removalPolicies = []string{RemovalRetain, RemovalDestroy}
	// https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html
	imageComputeTypes = []string{"small", "medium", "large", "x-large", "x2-large"}
)

// DefaultBranch is the branch of a source whose settings name none.
const DefaultBranch = "main"

// WithDefaults returns a copy with every absent value filled in.
func (i Image) WithDefaults() Image {
	i.Source = i.Source.WithDefaults()
	if i.Architectures == nil {
		i.Architectures = []Architecture{X64}
	}
	i.Architectures = slices.Clone(i.Architectures)
	i.RunnerSHA256 = maps.Clone(i.RunnerSHA256)
	set(&i.Channel, imagebuildcontract.DefaultChannel)
	set(&i.MaxImageCount, 5)
	setPointer(&i.UntaggedImageAge, Duration(7*24*time.Hour))
	set(&i.RemovalPolicy, RemovalRetain)
	set(&i.BuildRolePath, "/service-role/")
	set(&i.ComputeType, imageComputeTypes[0])
	setPointer(&i.Timeout, Duration(30*time.Minute))
	set(&i.Schedule, "cron(23 3 * * ? *)")
	set(&i.LogRetentionDays, 30)
	setPointer(&i.MaxImageAge, Duration(60*24*time.Hour))
	return i
}

// WithDefaults returns a copy with every absent value filled in, those of the
// source that is chosen included.
func (s ImageSource) WithDefaults() ImageSource {
	if s.chosen() == 0 {
		s.CodeCommit = &CodeCommitSource{}
	}
	if s.CodeCommit != nil {
		source := *s.CodeCommit
		set(&source.Branch, DefaultBranch)
		s.CodeCommit = &source
	}
	if s.GitHub != nil {
		source := *s.GitHub
		set(&source.Branch, DefaultBranch)
		s.GitHub = &source
	}
	return s
}

var (
	sha256Sum     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	httpAddress   = regexp.MustCompile(`^https?://[A-Za-z0-9.:_-]+(/[A-Za-z0-9._~/-]*)?$`)
	keyARN        = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$`)
	runnerVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
	imageRepositoryName = regexp.MustCompile(`^([a-z0-9]+([._-][a-z0-9]+)*/)*[a-z0-9]+([._-][a-z0-9]+)*$`)
	imageReference      = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._/:@-]{0,511}$`)
	// A channel tag is the channel, a hyphen and the architecture.
	imageChannel = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)
	projectName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{1,149}$`)
	iamPath      = regexp.MustCompile(`^/([A-Za-z0-9+=,.@_-]+/)*$`)
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
	schedule = regexp.MustCompile(`^(cron\([^()]+( [^() ]+){5}\)|rate\([1-9][0-9]* (minutes?|hours?|days?)\))$`)
	// https://docs.aws.amazon.com/codecommit/latest/userguide/limits.html
	topicARN       = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)
	codeCommitName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	branchName     = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,200}$`)
	connectionARN  = regexp.MustCompile(`^arn:aws[a-z-]*:(codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{12}:connection/[0-9a-f-]{36}$`)
)

// SomeConnectionARN passes for the ARN of a connection that has none yet.
const SomeConnectionARN = "arn:aws:codeconnections:eu-central-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"

// Validate names every value that cannot work. It expects WithDefaults to have
// been called. Limits come from the API references of CodeBuild, ECR, EventBridge
// and CloudFormation.
func (i Image) Validate() Problems {
	var ps Problems
	ps.Under("Source", i.Source.Validate())
	if n := i.Source.chosen(); n > 1 {
		ps.Add("Source", Words(fmt.Sprintf("%d sources", n)), "one source, or none for a new CodeCommit repository")
	}
	if len(i.Architectures) == 0 {
		ps.Add("Architectures", Words("an empty list"), "at least one of "+oneOf(architectures))
	}
	for n, architecture := range i.Architectures {
		path := fmt.Sprintf("Architectures[%d]", n)
		if !slices.Contains(architectures, string(architecture)) {
			ps.Add(path, string(architecture), oneOf(architectures))
		} else if slices.Contains(i.Architectures[:n], architecture) {
			ps.Add(path, string(architecture), "each architecture once")
		}
	}
	name := func(path, got string, pattern *regexp.Regexp, allowed string) {
		if got != "" && !pattern.MatchString(got) {
			ps.Add(path, got, allowed)
		}
	}
	choice := func(path, got string, allowed []string) {
		if !slices.Contains(allowed, got) {
			ps.Add(path, got, oneOf(allowed))
		}
	}
	name("RunnerVersion", i.RunnerVersion, runnerVersion, `a release of actions/runner such as "2.330.0"`)
	for _, architecture := range slices.Sorted(maps.Keys(i.RunnerSHA256)) {
		path := fmt.Sprintf("RunnerSHA256[%q]", architecture)
		if !slices.Contains(i.Architectures, architecture) {
			ps.Add(path, i.RunnerSHA256[architecture], fmt.Sprintf("checksums for Architectures, %v", i.Architectures))
		}
		name(path, i.RunnerSHA256[architecture], sha256Sum, "64 hexadecimal digits in lower case")
	}
	if len(i.RunnerSHA256) > 0 && i.RunnerVersion == "" {
		ps.Add("RunnerSHA256", Words("checksums without RunnerVersion"), "checksums together with the RunnerVersion they are of")
	}
	name("RunnerReleases", i.RunnerReleases, httpAddress, `an address such as "https://mirror.example.com/runner", below which is v2.330.0/actions-runner-linux-x64-2.330.0.tar.gz`)
	name("BaseImage", i.BaseImage, imageReference, `an image such as "public.ecr.aws/docker/library/debian:bookworm-slim", with or without a digest`)
	name("Channel", i.Channel, imageChannel, "at most 64 letters, digits and . _ -, beginning with a letter, a digit or _")
	if n := len(i.RepositoryName); n != 0 && (n < 2 || n > 256 || !imageRepositoryName.MatchString(i.RepositoryName)) {
		ps.Add("RepositoryName", i.RepositoryName, "2 to 256 lower-case letters and digits, with single . _ - / between them")
	}
	if i.MaxImageCount < 1 || i.MaxImageCount > 10000 {
		ps.Add("MaxImageCount", i.MaxImageCount, "1 to 10000")
	}
	if d := time.Duration(*i.UntaggedImageAge); d < 24*time.Hour || d%(24*time.Hour) != 0 {
		ps.Add("UntaggedImageAge", *i.UntaggedImageAge, "whole days, 24h or more")
	}
	if d := time.Duration(*i.MaxImageAge); d < 24*time.Hour || d%(24*time.Hour) != 0 {
		ps.Add("MaxImageAge", *i.MaxImageAge, "whole days, 24h or more")
	}
	name("EncryptionKeyARN", i.EncryptionKeyARN, keyARN, "the ARN of a KMS key")
	name("FailureTopicARN", i.FailureTopicARN, topicARN, "the ARN of an SNS topic")
	name("AlarmTopicARN", i.AlarmTopicARN, topicARN, "the ARN of an SNS topic")
	choice("RemovalPolicy", i.RemovalPolicy, removalPolicies)
	if i.EmptyOnDelete && i.RemovalPolicy == RemovalRetain {
		ps.Add("EmptyOnDelete", true, "false with RemovalPolicy retain, under which nothing is deleted")
	}
	name("ProjectName", i.ProjectName, projectName, "2 to 150 letters, digits, - and _, beginning with a letter or a digit")
	name("BuildRoleName", i.BuildRoleName, iamName, "at most 64 letters, digits and + = , . @ _ -")
	name("BuildRolePath", i.BuildRolePath, iamPath, `a path such as "/service-role/"`)
	choice("ComputeType", i.ComputeType, imageComputeTypes)
	most := time.Hour - ImageQueueTimeout - ImageAnswerMargin - 2*time.Minute
	if d := time.Duration(*i.Timeout); d < 5*time.Minute || d > most || d%time.Minute != 0 {
		ps.Add("Timeout", *i.Timeout, fmt.Sprintf("5m to %s in whole minutes: a deployment waits for the build, and CloudFormation waits an hour at most", Duration(most)))
	}
	if i.Schedule != NoSchedule && !schedule.MatchString(i.Schedule) {
		ps.Add("Schedule", i.Schedule, `an expression such as "cron(23 3 * * ? *)" or "rate(1 day)", or "none"`)
	}
	if !slices.Contains(logRetentionDays, i.LogRetentionDays) {
		ps.Add("LogRetentionDays", i.LogRetentionDays, fmt.Sprint(logRetentionDays))
	}
	name("FunctionName", i.FunctionName, functionName, "at most 64 letters, digits, - and _")
	return ps
}

// Validate names every value of a source that cannot work. It expects
// WithDefaults to have been called.
func (s ImageSource) Validate() Problems {
	var ps Problems
	if s.CodeCommit != nil {
		ps.Under("CodeCommit", s.CodeCommit.validate())
	}
	if s.Folder != nil {
		ps.Under("Folder", s.Folder.validate())
	}
	if s.GitHub != nil {
		ps.Under("GitHub", s.GitHub.validate())
	}
	return ps
}

func (s ImageSource) chosen() int {
	n := 0
	for _, chosen := range []bool{s.CodeCommit != nil, s.Folder != nil, s.GitHub != nil} {
		if chosen {
			n++
		}
	}
	return n
}

func (s CodeCommitSource) validate() Problems {
	var ps Problems
	if s.RepositoryName != "" && (!codeCommitName.MatchString(s.RepositoryName) || strings.HasSuffix(s.RepositoryName, ".git")) {
		ps.Add("RepositoryName", s.RepositoryName, "at most 100 letters, digits and . _ -, not ending in .git")
	}
	if s.Existing && s.RepositoryName == "" {
		ps.Add("RepositoryName", s.RepositoryName, "the name of the existing repository")
	}
	validateBranch(&ps, s.Branch)
	return ps
}

func (s FolderSource) validate() Problems {
	var ps Problems
	if s.Path == "" {
		ps.Add("Path", s.Path, "a folder with a Dockerfile")
	}
	return ps
}

func (s GitHubSource) validate() Problems {
	var ps Problems
	if !contract.IsRepositoryName(s.Repository) {
		ps.Add("Repository", s.Repository, `the full name of a repository, such as "my-org/runner-image"`)
	}
	if !connectionARN.MatchString(s.ConnectionARN) {
		ps.Add("ConnectionARN", s.ConnectionARN, "the ARN of a connection, such as "+SomeConnectionARN)
	}
	validateBranch(&ps, s.Branch)
	return ps
}

func validateBranch(ps *Problems, branch string) {
	if !branchName.MatchString(branch) || strings.HasPrefix(branch, "-") || strings.Contains(branch, "..") {
		ps.Add("Branch", branch, `the name of a branch, such as "main"`)
	}
}
