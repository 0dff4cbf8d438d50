package awsname_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/internal/awsname"
)

func TestIsReserved(t *testing.T) {
	t.Parallel()
	for name, reserved := range map[string]bool{
		"aws": true, "AWSRunners": true, "ecs-runners": true, "EcsRunners": true, "eCsRunners": true, "FARGATE_SPOT": true,
		"": false, "GitHubRunners": false, "my-ecs": false, "ec2": false, "farGat": false,
	} {
		assert.Equalf(t, reserved, awsname.IsReserved(name), "%q", name)
	}
}
