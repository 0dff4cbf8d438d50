package settings_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

func TestCluster_WithDefaults(t *testing.T) {
	t.Parallel()
	first := defaultCapacity()
	first.Weight = new(1)
	second := defaultCapacity()
	second.Weight = new(0)
	based := defaultCapacity()
	based.Weight, based.Base = new(1), 2

	assert.Equal(t,
		settings.Cluster{ContainerInsights: "disabled", DefaultCapacity: first, Capacities: map[string]settings.Capacity{}},
		settings.Cluster{}.WithDefaults())
	assert.Equal(t,
		settings.Cluster{ContainerInsights: "disabled", DefaultCapacity: first, Capacities: map[string]settings.Capacity{"Added": second, "Based": based}},
		settings.Cluster{Capacities: map[string]settings.Capacity{"Added": {}, "Based": {Base: 2}}}.WithDefaults(),
		"tasks that ask for no capacity would run on an added one, or a base would be without effect")
}

func TestCluster_WithDefaults_KeepsEveryValueGiven(t *testing.T) {
	t.Parallel()
	assert.Equal(t, filled[settings.Cluster](t), filled[settings.Cluster](t).WithDefaults())
}

func TestCluster_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 256)
	for name, c := range map[string]struct {
		given settings.Cluster
		want  []string
	}{
		"the defaults": {settings.Cluster{}, nil},
		"what is at the limit": {
			settings.Cluster{
				ClusterName: long[:255], InstanceRoleName: "a+=,.@_-9" + long[:55], InstanceProfileName: long[:64],
				ContainerInsights: "enhanced",
				DefaultCapacity:   settings.Capacity{Weight: new(0)},
				Capacities:        map[string]settings.Capacity{"Arm64Large": {Architecture: settings.ARM64, Base: 3, Weight: new(5)}},
			},
			nil,
		},
		"names with a space": {
			settings.Cluster{ClusterName: "my cluster", InstanceRoleName: "my role", InstanceProfileName: "my profile"},
			[]string{
				`ClusterName: got "my cluster"; allowed: at most 255 letters, digits, - and _`,
				`InstanceRoleName: got "my role"; allowed: at most 64 letters, digits and + = , . @ _ -`,
				`InstanceProfileName: got "my profile"; allowed: at most 64 letters, digits and + = , . @ _ -`,
			},
		},
		"names that are too long": {
			settings.Cluster{ClusterName: long, InstanceRoleName: long[:65], InstanceProfileName: long[:65]},
			[]string{
				`ClusterName: got "` + long + `"; allowed: at most 255 letters, digits, - and _`,
				`InstanceRoleName: got "` + long[:65] + `"; allowed: at most 64 letters, digits and + = , . @ _ -`,
				`InstanceProfileName: got "` + long[:65] + `"; allowed: at most 64 letters, digits and + = , . @ _ -`,
			},
		},
		"unknown insights": {
			settings.Cluster{ContainerInsights: "on"},
			[]string{`ContainerInsights: got "on"; allowed: disabled, enabled, enhanced`},
		},
		"ids that cannot be construct ids": {
			settings.Cluster{Capacities: map[string]settings.Capacity{"DefaultCapacity": {}, "a/b": {}, "2nd": {}, "": {}}},
			[]string{
				`Capacities: got ""; allowed: ids of letters and digits that begin with a letter, other than CapacityProviders, Cluster, DefaultCapacity, InstanceProfile, InstanceRole, SecurityGroup, Vpc`,
				`Capacities: got "2nd"; allowed: ids of letters and digits that begin with a letter, other than CapacityProviders, Cluster, DefaultCapacity, InstanceProfile, InstanceRole, SecurityGroup, Vpc`,
				`Capacities: got "DefaultCapacity"; allowed: ids of letters and digits that begin with a letter, other than CapacityProviders, Cluster, DefaultCapacity, InstanceProfile, InstanceRole, SecurityGroup, Vpc`,
				`Capacities: got "a/b"; allowed: ids of letters and digits that begin with a letter, other than CapacityProviders, Cluster, DefaultCapacity, InstanceProfile, InstanceRole, SecurityGroup, Vpc`,
			},
		},
		"problems of capacities": {
			settings.Cluster{
				DefaultCapacity: settings.Capacity{Architecture: "arm"},
				Capacities:      map[string]settings.Capacity{"B": {Spot: &settings.Spot{OnDemandBase: -1}}, "A": {MinInstances: 11}},
			},
			[]string{
				`DefaultCapacity.Architecture: got "arm"; allowed: x64, arm64`,
				`Capacities["A"].MinInstances: got 11; allowed: 0 to 10`,
				`Capacities["B"].Spot.OnDemandBase: got -1; allowed: 0 to 10`,
			},
		},
		"a base beside the default capacity's": {
			settings.Cluster{DefaultCapacity: settings.Capacity{Base: 1}, Capacities: map[string]settings.Capacity{"A": {Base: 2}, "B": {}}},
			[]string{`Capacities["A"].Base: got 2; allowed: 0, because DefaultCapacity has the base already and a cluster has one`},
		},
		"a base beside another capacity's": {
			settings.Cluster{Capacities: map[string]settings.Capacity{"A": {Base: 1}, "B": {Base: 2}}},
			[]string{`Capacities["B"].Base: got 2; allowed: 0, because Capacities["A"] has the base already and a cluster has one`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := c.given.WithDefaults().Validate()
			assert.Equal(t, c.want, texts(problems))
			for _, p := range problems {
				assertField(t, reflect.TypeFor[settings.Cluster](), p.Path)
			}
		})
	}
}

func TestCluster_Validate_FailsWhenCapacitiesShareANameOrTheBaseHasNoEffect(t *testing.T) {
	t.Parallel()
	named := settings.Capacity{CapacityProviderName: "p", AutoScalingGroupName: "g", LaunchTemplateName: "template"}
	c := settings.Cluster{DefaultCapacity: named, Capacities: map[string]settings.Capacity{
		"Based": {Base: 3, Weight: new(0)},
		"Same":  named,
	}}.WithDefaults()
	var got []string
	for _, p := range c.Validate() {
		got = append(got, p.Error())
	}
	assert.Equal(t, []string{
		`Capacities["Based"].Base: got 3; allowed: 0 while Weight is 0: ECS places no task on a capacity without a weight`,
		`Capacities["Same"].CapacityProviderName: got "p"; allowed: a name that no other capacity has`,
		`Capacities["Same"].AutoScalingGroupName: got "g"; allowed: a name that no other capacity has`,
		`Capacities["Same"].LaunchTemplateName: got "template"; allowed: a name that no other capacity has`,
	}, got)
}

func TestValidate_LeavesTokensToTheCDK(t *testing.T) {
	t.Parallel()
	const token = "runners-${Token[AWS.Region.4]}"
	c := settings.Cluster{
		ClusterName: token, InstanceRoleName: token, InstanceProfileName: token,
		DefaultCapacity: settings.Capacity{ImageID: token, CapacityProviderName: token, AutoScalingGroupName: token, LaunchTemplateName: token},
	}.WithDefaults()
	assert.Empty(t, c.Validate(), "a name could not be a parameter")
}
