package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

func TestParse_RefusesAnImageThatCannotBe(t *testing.T) {
	_, err := config.Parse(`{"stackName": "` + strings.Repeat("s", 124) + `", "image": {
		"source": {"folder": {"path": "."}, "gitHub": {"repository": "image", "connectionArn": "x"}}, "maxImageCount": 20000
	}}`)
	assert.EqualError(t, err, `context key "ecsrunners":
stackName must be at most 123 letters, digits and - with an image, whose stack has Image after that name, got "`+
		strings.Repeat("s", 124)+`"
image.maxImageCount must be 1 to 10000, got 20000
image.source must have one source, or none for a new CodeCommit repository, got 2
image.source.gitHub.repository must be the full name of a repository, such as "my-org/runner-image", got "image"
image.source.gitHub.connectionArn must be the ARN of a connection, such as arn:aws:codeconnections:eu-central-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef, got "x"`)

	_, err = config.Parse(`{"image": {
		"source": {"codeCommit": {"existing": true, "branch": "a b"}, "folder": {}},
		"encryptionKeyArn": "alias/key", "failureTopicArn": "topic", "alarmTopicArn": "topic"
	}}`)
	assert.EqualError(t, err, `context key "ecsrunners":
image.source must have one source, or none for a new CodeCommit repository, got 2
image.source.codeCommit.branch must be the name of a branch, such as "main", got "a b"
image.source.codeCommit.repositoryName is required: the name of the existing repository
image.source.folder.path is required: a folder with a Dockerfile
image.encryptionKeyArn must be the ARN of a KMS key, got "alias/key"
image.failureTopicArn must be the ARN of an SNS topic, got "topic"
image.alarmTopicArn must be the ARN of an SNS topic, got "topic"`)

	for _, vpc := range []string{`null`, `{"id": "vpc-01234567", "availabilityZones": ["eu-central-1a"], "subnetIds": ` +
		`["subnet-01234567"], "public": true}`} {
		_, err = config.Parse(`{"image": {"buildInVpc": true}, "vpc": ` + vpc + `}`)
		assert.EqualError(t, err, `context key "ecsrunners":
image.buildInVpc needs vpc with subnets that are not public: CodeBuild gives builds no public address`)
	}

	_, err = config.Parse(`{"image": {"maxImageCount": 0, "timout": "5m"}}`)
	require.ErrorContains(t, err, "image.maxImageCount must not be 0")
	assert.ErrorContains(t, err, "image.timout")
}
