package constructs_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
)

func TestRunnerCluster_Smoke(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	cluster.AddCapacity("Arm", &constructs.RunnerCapacityProps{Architecture: constructs.ARM64, TargetCapacityPercent: 80, WarmPool: &constructs.WarmPool{}, InstanceTypes: []string{"m8g.large"}})
	tpl := cdktest.Template(stack)
	assert.NotNil(t, cdktest.Resource(t, tpl, "AWS::ECS::Cluster"))
	t.Log(cdktest.Warnings(stack))
	t.Log(cdktest.PanicMessage(t, func() {
		cluster.AddCapacity("Bad", &constructs.RunnerCapacityProps{MinInstances: 20, InstanceTypes: []string{"m8g.large", "x"}, WarmPool: &constructs.WarmPool{}, CapacityProviderName: "EcsFoo"})
	}))
	t.Log(cdktest.PanicMessage(t, func() { constructs.NewRunnerCluster(stack, "Cluster", nil) }))
}
