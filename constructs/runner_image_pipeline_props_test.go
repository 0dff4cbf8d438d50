package constructs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func defaultImage() constructs.RunnerImagePipelineProps {
	return constructs.RunnerImagePipelineProps{
		Architectures:    []constructs.Architecture{constructs.X64},
		Channel:          "latest",
		MaxImageCount:    5,
		UntaggedImageAge: 7 * 24 * time.Hour,
		RemovalPolicy:    awscdk.RemovalPolicy_RETAIN,
		BuildRolePath:    "/service-role/",
		ComputeType:      awscodebuild.ComputeType_SMALL,
		Timeout:          30 * time.Minute,
		Schedule:         "cron(23 3 * * ? *)",
		LogRetentionDays: 30,
		MaxImageAge:      60 * 24 * time.Hour,
	}
}

func TestImage_ChecksDaily(t *testing.T) {
	for schedule, want := range map[string]bool{
		"cron(23 3 * * ? *)": true, "cron(0 3,15 ? * * *)": true, "rate(1 day)": true, "rate(12 hours)": true,
		"rate(1440 minutes)":  true,
		"cron(0 3 ? * MON *)": false, "cron(0 3 1 * ? *)": false, "cron(0 3 * 1 ? *)": false, "rate(2 days)": false,
		"rate(25 hours)": false, "none": false,
	} {
		image := defaultImage()
		image.Schedule = schedule
		assert.Equal(t, want, constructs.ChecksDaily(image), schedule)
	}
}

func TestImage_WithDefaults(t *testing.T) {
	assert.Equal(t, defaultImage(), constructs.RunnerImagePipelineProps{}.WithDefaults())
	assert.Equal(t, filled[constructs.RunnerImagePipelineProps](t), filled[constructs.RunnerImagePipelineProps](
		t).WithDefaults(), "a value that was given is gone")
}

func TestImage_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	for name, test := range map[string]struct {
		given constructs.RunnerImagePipelineProps
		want  []string
	}{
		"the defaults": {constructs.RunnerImagePipelineProps{}, nil},
		"what is at the limit": {constructs.RunnerImagePipelineProps{
			Architectures: []constructs.Architecture{constructs.ARM64, constructs.X64}, RunnerVersion: "2.330.0", Sudo: true,
			RunnerSHA256: map[constructs.Architecture]string{
				constructs.X64:   strings.Repeat("0", 64),
				constructs.ARM64: strings.Repeat("f", 64),
			},
			RunnerReleases: "http://mirror.example.com:8080/a/b",
			BaseImage:      "registry.example.com:5000/debian:12@sha256:" + strings.Repeat("0", 64),
			Channel:        strings.Repeat("c", 64), RepositoryName: "a" + strings.Repeat("/b", 127) + "c", MaxImageCount: 10000,
			UntaggedImageAge: 24 * time.Hour, RemovalPolicy: awscdk.RemovalPolicy_DESTROY, EmptyOnDelete: true,
			ProjectName: strings.Repeat("p", 150), BuildRoleName: strings.Repeat("r", 64), BuildRolePath: "/",
			ComputeType: awscodebuild.ComputeType_X2_LARGE,
			Timeout:     40 * time.Minute, Schedule: "rate(1 day)", LogRetentionDays: 3653,
			FunctionName: strings.Repeat("f", 64),
		}, nil},
		"no schedule": {constructs.RunnerImagePipelineProps{Schedule: "none"}, nil},
		"names that do not fit": {
			constructs.RunnerImagePipelineProps{
				RunnerVersion: "v2.330.0", BaseImage: "debian bookworm", Channel: "a b", RepositoryName: "Image", ProjectName: "p",
				BuildRoleName: "a b",
				BuildRolePath: "service-role", RemovalPolicy: "KEEP", ComputeType: "HUGE", Schedule: "daily", FunctionName: "a.b",
			},
			[]string{
				`RemovalPolicy must be retain or destroy, got "keep"`,
				`ComputeType must be small, medium, large, x-large or x2-large, got "huge"`,
				`RunnerVersion must be a release of actions/runner such as "2.330.0", got "v2.330.0"`,
				`BaseImage must be an image such as "public.ecr.aws/docker/library/debian:bookworm-slim", with or without a ` +
					`digest, got "debian bookworm"`,
				`Channel must be at most 64 letters, digits and . _ -, beginning with a letter, a digit or _, got "a b"`,
				`RepositoryName must be 2 to 256 lower-case letters and digits, with single . _ - / between them, got "Image"`,
				`ProjectName must be 2 to 150 letters, digits, - and _, beginning with a letter or a digit, got "p"`,
				`BuildRoleName must be at most 64 letters, digits and + = , . @ _ -, got "a b"`,
				`BuildRolePath must be a path such as "/service-role/", got "service-role"`,
				`Schedule must be an expression such as "cron(23 3 * * ? *)" or "rate(1 day)", or "none", got "daily"`,
				`FunctionName must be at most 64 letters, digits, - and _, got "a.b"`,
			},
		},
		"checksums of nothing": {
			constructs.RunnerImagePipelineProps{
				RunnerSHA256: map[constructs.Architecture]string{
					constructs.ARM64: strings.Repeat("0", 64),
					constructs.X64:   strings.Repeat("F", 64),
				},
				RunnerReleases: "mirror.example.com",
			},
			[]string{
				`RunnerSHA256["arm64"] is for none of Architectures, [x64]`,
				`RunnerSHA256["x64"] must be 64 hexadecimal digits in lower case, got ` +
					`"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"`,
				`RunnerSHA256 needs the RunnerVersion that it is of`,
				`RunnerReleases must be an address such as "https://mirror.example.com/runner", below which is ` +
					`v2.330.0/actions-runner-linux-x64-2.330.0.tar.gz, got "mirror.example.com"`,
			},
		},
		"numbers out of range": {
			constructs.RunnerImagePipelineProps{
				Architectures: []constructs.Architecture{"arm", constructs.X64, constructs.X64}, MaxImageCount: -1,
				UntaggedImageAge: 36 * time.Hour,
				Timeout:          41 * time.Minute, LogRetentionDays: 31,
			},
			[]string{
				`Architectures[0] must be x64 or arm64, got "arm"`,
				`Architectures[2] must be given once only, got "x64"`,
				`MaxImageCount must be 1 to 10000, got -1`,
				`UntaggedImageAge must be whole days, 24h or more, got 36h`,
				`Timeout must be 5m to 40m in whole minutes, because a deployment waits for the build and CloudFormation waits ` +
					`an hour at most, got 41m`,
				`LogRetentionDays must be one of [1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 ` +
					`3288 3653], got 31`,
			},
		},
		"a list without architectures": {
			constructs.RunnerImagePipelineProps{Architectures: []constructs.Architecture{}},
			[]string{`Architectures must not be empty: leave it out for the default`},
		},
		"images to delete that are retained": {
			constructs.RunnerImagePipelineProps{EmptyOnDelete: true},
			[]string{`EmptyOnDelete must be false when RemovalPolicy is retain, under which nothing is deleted`},
		},
		"a timeout too short": {
			constructs.RunnerImagePipelineProps{Timeout: 90 * time.Second},
			[]string{`Timeout must be 5m to 40m in whole minutes, because a deployment waits for the build and ` +
				`CloudFormation waits an hour at most, got 1m30s`},
		},
		"a source": {
			constructs.RunnerImagePipelineProps{Source: constructs.CodeCommitSource(&constructs.CodeCommitSourceProps{
				RepositoryName: "image.git", Branch: "a b",
			})},
			[]string{
				`Source.CodeCommit.RepositoryName must be at most 100 letters, digits and . _ -, not ending in .git, got ` +
					`"image.git"`,
				`Source.CodeCommit.Branch must be the name of a branch, such as "main", got "a b"`,
			},
		},
		"a source at GitHub": {
			constructs.RunnerImagePipelineProps{Source: constructs.GitHubSource(&constructs.GitHubSourceProps{
				Repository: "image", ConnectionARN: "connection", Branch: "-f",
			})},
			[]string{
				`Source.GitHub.Repository must be the full name of a repository, such as "my-org/runner-image", got "image"`,
				`Source.GitHub.ConnectionARN must be the ARN of a connection, such as ` +
					`arn:aws:codeconnections:eu-central-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef, got ` +
					`"connection"`,
				`Source.GitHub.Branch must be the name of a branch, such as "main", got "-f"`,
			},
		},
		"a folder without a Dockerfile": {
			constructs.RunnerImagePipelineProps{Source: constructs.FolderSource("testdata")},
			[]string{`Source.Folder.Path must be a folder with a Dockerfile, got "testdata"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, lines(test.given.WithDefaults().Validate()))
		})
	}
}
