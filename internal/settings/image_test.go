package settings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

func defaultImage() settings.Image {
	return settings.Image{
		Source:           settings.ImageSource{CodeCommit: &settings.CodeCommitSource{Branch: "main"}},
		Architectures:    []settings.Architecture{settings.X64},
		Channel:          "latest",
		MaxImageCount:    5,
		UntaggedImageAge: new(settings.Duration(7 * 24 * time.Hour)),
		RemovalPolicy:    "retain",
		BuildRolePath:    "/service-role/",
		ComputeType:      "small",
		Timeout:          new(settings.Duration(30 * time.Minute)),
		Schedule:         "cron(23 3 * * ? *)",
		LogRetentionDays: 30,
		MaxImageAge:      new(settings.Duration(60 * 24 * time.Hour)),
	}
}

func TestImage_ChecksDaily(t *testing.T) {
	t.Parallel()
	for schedule, want := range map[string]bool{
		"cron(23 3 * * ? *)": true, "cron(0 3,15 ? * * *)": true, "rate(1 day)": true, "rate(12 hours)": true, "rate(1440 minutes)": true,
		"cron(0 3 ? * MON *)": false, "cron(0 3 1 * ? *)": false, "cron(0 3 * 1 ? *)": false, "rate(2 days)": false, "rate(25 hours)": false, "none": false,
	} {
		image := defaultImage()
		image.Schedule = schedule
		assert.Equal(t, want, image.ChecksDaily(), schedule)
	}
}

func TestImage_WithDefaults(t *testing.T) {
	t.Parallel()
	assert.Equal(t, defaultImage(), settings.Image{}.WithDefaults())
	assert.Equal(t, filled[settings.Image](t), filled[settings.Image](t).WithDefaults(), "a value that was given is gone")

	for name, test := range map[string]struct{ given, want settings.ImageSource }{
		"folder": {
			settings.ImageSource{Folder: &settings.FolderSource{Path: "image"}},
			settings.ImageSource{Folder: &settings.FolderSource{Path: "image"}},
		},
		"GitHub": {
			settings.ImageSource{GitHub: &settings.GitHubSource{Repository: "o/r"}},
			settings.ImageSource{GitHub: &settings.GitHubSource{Repository: "o/r", Branch: "main"}},
		},
	} {
		given := test.given
		assert.Equal(t, test.want, given.WithDefaults(), name)
		assert.Equal(t, given, test.given, "the caller's settings were changed")
	}
}

func TestImage_WithDefaults_LeavesTheCallersAlone(t *testing.T) {
	t.Parallel()
	source := &settings.CodeCommitSource{RepositoryName: "image"}
	architectures := []settings.Architecture{settings.ARM64}
	image := settings.Image{Source: settings.ImageSource{CodeCommit: source}, Architectures: architectures}.WithDefaults()
	image.Architectures[0] = settings.X64
	assert.Equal(t, &settings.CodeCommitSource{RepositoryName: "image"}, source)
	assert.Equal(t, []settings.Architecture{settings.ARM64}, architectures)
}

const connection = "arn:aws:codeconnections:eu-central-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"

func TestImage_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	t.Parallel()
	duration := func(d time.Duration) *settings.Duration { return new(settings.Duration(d)) }
	for name, test := range map[string]struct {
		given settings.Image
		want  []string
	}{
		"the defaults": {settings.Image{}, nil},
		"what is at the limit": {settings.Image{
			Architectures: []settings.Architecture{settings.ARM64, settings.X64}, RunnerVersion: "2.330.0", Sudo: true,
			RunnerSHA256:   map[settings.Architecture]string{settings.X64: strings.Repeat("0", 64), settings.ARM64: strings.Repeat("f", 64)},
			RunnerReleases: "http://mirror.example.com:8080/a/b", EncryptionKeyARN: "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-0",
			BaseImage: "registry.example.com:5000/debian:12@sha256:" + strings.Repeat("0", 64),
			Channel:   strings.Repeat("c", 64), RepositoryName: "a" + strings.Repeat("/b", 127) + "c", MaxImageCount: 10000,
			UntaggedImageAge: duration(24 * time.Hour), RemovalPolicy: "destroy", EmptyOnDelete: true,
			ProjectName: strings.Repeat("p", 150), BuildRoleName: strings.Repeat("r", 64), BuildRolePath: "/", ComputeType: "x2-large",
			Timeout: duration(40 * time.Minute), Schedule: "rate(1 day)", LogRetentionDays: 3653, FunctionName: strings.Repeat("f", 64),
		}, nil},
		"no schedule":            {settings.Image{Schedule: "none"}, nil},
		"an existing repository": {settings.Image{Source: settings.ImageSource{CodeCommit: &settings.CodeCommitSource{RepositoryName: "r", Existing: true, Branch: "release/1.x"}}}, nil},
		"a GitHub repository":    {settings.Image{Source: settings.ImageSource{GitHub: &settings.GitHubSource{Repository: "my-org/image", ConnectionARN: connection}}}, nil},
		"names that do not fit": {
			settings.Image{
				RunnerVersion: "v2.330.0", BaseImage: "debian bookworm", Channel: "a b", RepositoryName: "Image", ProjectName: "p", BuildRoleName: "a b",
				BuildRolePath: "service-role", RemovalPolicy: "keep", ComputeType: "huge", Schedule: "daily", FunctionName: "a.b",
			},
			[]string{
				`RunnerVersion: got "v2.330.0"; allowed: a release of actions/runner such as "2.330.0"`,
				`BaseImage: got "debian bookworm"; allowed: an image such as "public.ecr.aws/docker/library/debian:bookworm-slim", with or without a digest`,
				`Channel: got "a b"; allowed: at most 64 letters, digits and . _ -, beginning with a letter, a digit or _`,
				`RepositoryName: got "Image"; allowed: 2 to 256 lower-case letters and digits, with single . _ - / between them`,
				`RemovalPolicy: got "keep"; allowed: retain, destroy`,
				`ProjectName: got "p"; allowed: 2 to 150 letters, digits, - and _, beginning with a letter or a digit`,
				`BuildRoleName: got "a b"; allowed: at most 64 letters, digits and + = , . @ _ -`,
				`BuildRolePath: got "service-role"; allowed: a path such as "/service-role/"`,
				`ComputeType: got "huge"; allowed: small, medium, large, x-large, x2-large`,
				`Schedule: got "daily"; allowed: an expression such as "cron(23 3 * * ? *)" or "rate(1 day)", or "none"`,
				`FunctionName: got "a.b"; allowed: at most 64 letters, digits, - and _`,
			},
		},
		"checksums of nothing": {
			settings.Image{
				RunnerSHA256:   map[settings.Architecture]string{settings.ARM64: strings.Repeat("0", 64), settings.X64: strings.Repeat("F", 64)},
				RunnerReleases: "mirror.example.com", EncryptionKeyARN: "alias/key",
			},
			[]string{
				`RunnerSHA256["arm64"]: got "0000000000000000000000000000000000000000000000000000000000000000"; allowed: checksums for Architectures, [x64]`,
				`RunnerSHA256["x64"]: got "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"; allowed: 64 hexadecimal digits in lower case`,
				`RunnerSHA256: got checksums without RunnerVersion; allowed: checksums together with the RunnerVersion they are of`,
				`RunnerReleases: got "mirror.example.com"; allowed: an address such as "https://mirror.example.com/runner", below which is v2.330.0/actions-runner-linux-x64-2.330.0.tar.gz`,
				`EncryptionKeyARN: got "alias/key"; allowed: the ARN of a KMS key`,
			},
		},
		"numbers out of range": {
			settings.Image{
				Architectures: []settings.Architecture{"arm", settings.X64, settings.X64}, MaxImageCount: -1, UntaggedImageAge: duration(36 * time.Hour),
				Timeout: duration(41 * time.Minute), LogRetentionDays: 31,
			},
			[]string{
				`Architectures[0]: got "arm"; allowed: x64, arm64`,
				`Architectures[2]: got "x64"; allowed: each architecture once`,
				`MaxImageCount: got -1; allowed: 1 to 10000`,
				`UntaggedImageAge: got 36h; allowed: whole days, 24h or more`,
				`Timeout: got 41m; allowed: 5m to 40m in whole minutes: a deployment waits for the build, and CloudFormation waits an hour at most`,
				`LogRetentionDays: got 31; allowed: [1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653]`,
			},
		},
		"a list without architectures": {
			settings.Image{Architectures: []settings.Architecture{}},
			[]string{`Architectures: got an empty list; allowed: at least one of x64, arm64`},
		},
		"images to delete that are retained": {
			settings.Image{EmptyOnDelete: true},
			[]string{`EmptyOnDelete: got true; allowed: false with RemovalPolicy retain, under which nothing is deleted`},
		},
		"a timeout too short": {
			settings.Image{Timeout: duration(90 * time.Second)},
			[]string{`Timeout: got 1m30s; allowed: 5m to 40m in whole minutes: a deployment waits for the build, and CloudFormation waits an hour at most`},
		},
		"three sources": {
			settings.Image{Source: settings.ImageSource{
				CodeCommit: &settings.CodeCommitSource{RepositoryName: "image.git", Branch: "a b"},
				Folder:     &settings.FolderSource{},
				GitHub:     &settings.GitHubSource{Repository: "image", ConnectionARN: "connection", Branch: "-f"},
			}},
			[]string{
				`Source.CodeCommit.RepositoryName: got "image.git"; allowed: at most 100 letters, digits and . _ -, not ending in .git`,
				`Source.CodeCommit.Branch: got "a b"; allowed: the name of a branch, such as "main"`,
				`Source.Folder.Path: got ""; allowed: a folder with a Dockerfile`,
				`Source.GitHub.Repository: got "image"; allowed: the full name of a repository, such as "my-org/runner-image"`,
				`Source.GitHub.ConnectionARN: got "connection"; allowed: the ARN of a connection, such as arn:aws:codeconnections:eu-central-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef`,
				`Source.GitHub.Branch: got "-f"; allowed: the name of a branch, such as "main"`,
				`Source: got 3 sources; allowed: one source, or none for a new CodeCommit repository`,
			},
		},
		"an existing repository without a name": {
			settings.Image{Source: settings.ImageSource{CodeCommit: &settings.CodeCommitSource{Existing: true}}},
			[]string{`Source.CodeCommit.RepositoryName: got ""; allowed: the name of the existing repository`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, problem := range test.given.WithDefaults().Validate() {
				got = append(got, problem.Error())
			}
			assert.Equal(t, test.want, got)
		})
	}
}
