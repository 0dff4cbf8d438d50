package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/config"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

func TestParse_ReadsEveryKeyOfTheImage(t *testing.T) {
	t.Parallel()
	got, err := config.Parse(`{"image": {
		"source": {"codeCommit": {"repositoryName": "dockerfile", "existing": true, "branch": "trunk"}},
		"architectures": ["arm64", "x64"], "runnerVersion": "2.330.0", "runnerSha256": {"x64": "` + strings.Repeat("a", 64) + `"}, "runnerReleases": "https://mirror.example.com/runner", "baseImage": "debian:12", "sudo": true, "channel": "stable",
		"repositoryName": "runner", "maxImageCount": 9, "untaggedImageAge": "24h", "removalPolicy": "destroy", "emptyOnDelete": true,
		"projectName": "build", "buildRoleName": "build-role", "buildRolePath": "/ci/", "computeType": "medium", "timeout": "20m",
		"schedule": "none", "logRetentionDays": 7, "functionName": "wait", "maxImageAge": "720h",
		"encryptionKeyArn": "arn:aws:kms:eu-central-1:111122223333:key/k", "buildInVpc": true,
		"failureTopicArn": "arn:aws:sns:eu-central-1:111122223333:failures", "alarmTopicArn": "arn:aws:sns:eu-central-1:111122223333:alarms"
	}, "vpc": {"id": "vpc-01234567", "availabilityZones": ["eu-central-1a"], "subnetIds": ["subnet-01234567"]}}`)
	require.NoError(t, err)
	assert.Equal(t, &settings.Image{
		Source:        settings.ImageSource{CodeCommit: &settings.CodeCommitSource{RepositoryName: "dockerfile", Existing: true, Branch: "trunk"}},
		Architectures: []settings.Architecture{settings.ARM64, settings.X64}, RunnerVersion: "2.330.0", BaseImage: "debian:12", Sudo: true, Channel: "stable",
		RepositoryName: "runner", MaxImageCount: 9, UntaggedImageAge: new(settings.Duration(24 * time.Hour)), RemovalPolicy: "destroy", EmptyOnDelete: true,
		ProjectName: "build", BuildRoleName: "build-role", BuildRolePath: "/ci/", ComputeType: "medium", Timeout: new(settings.Duration(20 * time.Minute)),
		Schedule: "none", LogRetentionDays: 7, FunctionName: "wait", MaxImageAge: new(settings.Duration(720 * time.Hour)),
		RunnerSHA256: map[settings.Architecture]string{settings.X64: strings.Repeat("a", 64)}, RunnerReleases: "https://mirror.example.com/runner",
		EncryptionKeyARN: "arn:aws:kms:eu-central-1:111122223333:key/k", BuildInVPC: true,
		FailureTopicARN: "arn:aws:sns:eu-central-1:111122223333:failures", AlarmTopicARN: "arn:aws:sns:eu-central-1:111122223333:alarms",
	}, got.Image)

	got, err = config.Parse(`{"image": {}}`)
	require.NoError(t, err)
	assert.Equal(t, new(settings.Image{}.WithDefaults()), got.Image)
	assert.Equal(t, "GitHubRunnersImage", got.ImageStackName())
}

func TestParse_RefusesAnImageThatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := config.Parse(`{"stackName": "` + strings.Repeat("s", 124) + `", "image": {
		"source": {"folder": {"path": "."}, "gitHub": {"repository": "image", "connectionArn": "x"}}, "maxImageCount": 20000
	}}`)
	assert.EqualError(t, err, `context key "ecsrunners":
stackName: got "`+strings.Repeat("s", 124)+`"; allowed: at most 123 letters, digits and - with an image, whose stack has Image after that name
image.source.gitHub.repository: got "image"; allowed: the full name of a repository, such as "my-org/runner-image"
image.source.gitHub.connectionArn: got "x"; allowed: the ARN of a connection, such as `+settings.SomeConnectionARN+`
image.source: got 2 sources; allowed: one source, or none for a new CodeCommit repository
image.maxImageCount: got 20000; allowed: 1 to 10000`)

	for _, vpc := range []string{`null`, `{"id": "vpc-01234567", "availabilityZones": ["eu-central-1a"], "subnetIds": ["subnet-01234567"], "public": true}`} {
		_, err = config.Parse(`{"image": {"buildInVpc": true}, "vpc": ` + vpc + `}`)
		assert.EqualError(t, err, `context key "ecsrunners":
image.buildInVpc: got true; allowed: true together with vpc whose subnets are not public: CodeBuild gives builds no public address`)
	}

	_, err = config.Parse(`{"image": {"maxImageCount": 0, "timout": "5m"}}`)
	require.ErrorContains(t, err, "image.maxImageCount: got 0")
	assert.ErrorContains(t, err, "image.timout")
}
