package enum_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/internal/enum"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for aws, cdk := range map[string]string{
		"price-capacity-optimized": "PRICE_CAPACITY_OPTIMIZED", "x2-large": "X2_LARGE", "bridge": "BRIDGE",
		"awsvpc": "AWS_VPC", "": "",
	} {
		assert.Equal(t, aws, enum.AWS(cdk))
		assert.Equal(t, cdk, enum.CDK(aws))
	}
	for _, text := range []string{"BRIDGE", "Bridge", "x2_large", "AWS_VPC", "AwsVpc"} {
		assert.NotEqual(t, text, enum.CDK(text), "a spelling that AWS does not know is taken for a member")
		assert.Equal(t, text, enum.AWS(enum.CDK(text)), "an error would show other text than was given")
	}
}
