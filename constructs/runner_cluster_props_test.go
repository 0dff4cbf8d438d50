package constructs_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func TestCluster_WithDefaults(t *testing.T) {
	capacity := defaultCapacity()
	capacity.Weight = new(1)
	assert.Equal(t, constructs.RunnerClusterProps{ContainerInsights: "DISABLED", DefaultCapacity: &capacity},
		constructs.RunnerClusterProps{}.WithDefaults())
}

func TestCluster_WithDefaults_KeepsEveryValueGiven(t *testing.T) {
	assert.Equal(t, filled[constructs.RunnerClusterProps](t), filled[constructs.RunnerClusterProps](t).WithDefaults())
}

func TestCluster_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	long := strings.Repeat("n", 256)
	for name, c := range map[string]struct {
		given constructs.RunnerClusterProps
		want  []string
	}{
		"the defaults": {constructs.RunnerClusterProps{}, nil},
		"what is at the limit": {
			constructs.RunnerClusterProps{
				ClusterName: long[:255], InstanceRoleName: "a+=,.@_-9" + long[:55], InstanceProfileName: long[:64],
				ContainerInsights: "ENHANCED",
				DefaultCapacity:   &constructs.RunnerCapacityProps{Weight: new(0)},
			},
			nil,
		},
		"names with a space": {
			constructs.RunnerClusterProps{
				ClusterName: "my cluster", InstanceRoleName: "my role",
				InstanceProfileName: "my profile",
			},
			[]string{
				`ClusterName must be at most 255 letters, digits, - and _, got "my cluster"`,
				`InstanceRoleName must be at most 64 letters, digits and + = , . @ _ -, got "my role"`,
				`InstanceProfileName must be at most 64 letters, digits and + = , . @ _ -, got "my profile"`,
			},
		},
		"names that are too long": {
			constructs.RunnerClusterProps{ClusterName: long, InstanceRoleName: long[:65], InstanceProfileName: long[:65]},
			[]string{
				`ClusterName must be at most 255 letters, digits, - and _, got "` + long + `"`,
				`InstanceRoleName must be at most 64 letters, digits and + = , . @ _ -, got "` + long[:65] + `"`,
				`InstanceProfileName must be at most 64 letters, digits and + = , . @ _ -, got "` + long[:65] + `"`,
			},
		},
		"unknown insights": {
			constructs.RunnerClusterProps{ContainerInsights: "ON"},
			[]string{`ContainerInsights must be disabled, enabled or enhanced, got "on"`},
		},
		"problems of the default capacity": {
			constructs.RunnerClusterProps{DefaultCapacity: &constructs.RunnerCapacityProps{
				Architecture: "arm",
				MinInstances: 11,
			}},
			[]string{
				`DefaultCapacity.Architecture must be x64 or arm64, got "arm"`,
				`DefaultCapacity.MinInstances must be 0 to 10, got 11`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, lines(c.given.WithDefaults().Validate()))
		})
	}
}

func TestCapacity_ValidateBeside_NamesWhatTwoCapacitiesCannotBothHave(t *testing.T) {
	named := constructs.RunnerCapacityProps{
		CapacityProviderName: "p", AutoScalingGroupName: "g",
		LaunchTemplateName: "template", Base: 2,
	}
	others := map[string]constructs.RunnerCapacityProps{"Same": named, "Other": {CapacityProviderName: "q"}}
	assert.Equal(t, []string{
		`CapacityProviderName must be a name that no other capacity has, got "p": capacity Same has it`,
		`AutoScalingGroupName must be a name that no other capacity has, got "g": capacity Same has it`,
		`LaunchTemplateName must be a name that no other capacity has, got "template": capacity Same has it`,
		`Base must be 0, got 2: capacity Same has a base already, and a cluster has one`,
	}, lines(named.ValidateBeside(others)))
	assert.NoError(t, constructs.RunnerCapacityProps{}.ValidateBeside(others))
}

func TestValidate_LeavesTokensToTheCDK(t *testing.T) {
	const token = "runners-${Token[AWS.Region.4]}"
	c := constructs.RunnerClusterProps{
		ClusterName: token, InstanceRoleName: token, InstanceProfileName: token,
		DefaultCapacity: &constructs.RunnerCapacityProps{
			ImageID: token, CapacityProviderName: token,
			AutoScalingGroupName: token, LaunchTemplateName: token,
		},
	}.WithDefaults()
	assert.Empty(t, c.Validate(), "a name could not be a parameter")
}
