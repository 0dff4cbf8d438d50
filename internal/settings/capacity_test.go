package settings_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// defaultCapacity is what a user gets who says nothing.
func defaultCapacity() settings.Capacity {
	return settings.Capacity{
		Architecture:  settings.X64,
		InstanceTypes: []string{"m7i-flex.large", "m7i.large", "m6i.large"},
		MinInstances:  0,
		MaxInstances:  10,

		ImageID:              "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
		RootDeviceName:       "/dev/xvda",
		RootVolumeSizeGiB:    50,
		RootVolumeThroughput: 125,

		ManagedScaling:               new(true),
		TargetCapacityPercent:        100,
		MinimumScalingStepSize:       1,
		MaximumScalingStepSize:       10,
		InstanceWarmupPeriod:         new(settings.Duration(2 * time.Minute)),
		ManagedTerminationProtection: new(true),
		ManagedDraining:              new(true),

		Agent: settings.Agent{
			ReservedMemoryMiB: new(256),
			TaskCleanupWait:   new(settings.Duration(10 * time.Minute)),
			ImagePullBehavior: "default",
		},
	}
}

func TestCapacity_WithDefaults(t *testing.T) {
	t.Parallel()
	// Each case says what is given, and what is then different from the defaults.
	for name, c := range map[string]struct {
		given func(*settings.Capacity)
		want  func(*settings.Capacity)
	}{
		"nothing given": {
			given: func(*settings.Capacity) {},
			want:  func(*settings.Capacity) {},
		},
		"arm64 has its own instance types and image": {
			given: func(c *settings.Capacity) { c.Architecture = settings.ARM64 },
			want: func(c *settings.Capacity) {
				c.Architecture = settings.ARM64
				c.InstanceTypes = []string{"m8g.large", "m7g.large", "m6g.large"}
				c.ImageID = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
			},
		},
		"an unknown architecture has neither": {
			given: func(c *settings.Capacity) { c.Architecture = "riscv64" },
			want: func(c *settings.Capacity) {
				c.Architecture, c.InstanceTypes, c.ImageID = "riscv64", nil, ""
			},
		},
		"no instance types is not the same as none given": {
			given: func(c *settings.Capacity) { c.InstanceTypes = []string{} },
			want:  func(c *settings.Capacity) { c.InstanceTypes = []string{} },
		},
		"the greatest step follows MaxInstances": {
			given: func(c *settings.Capacity) { c.MaxInstances = 40 },
			want:  func(c *settings.Capacity) { c.MaxInstances, c.MaximumScalingStepSize = 40, 40 },
		},
		"the greatest step is not below the least": {
			given: func(c *settings.Capacity) { c.MinimumScalingStepSize = 50 },
			want:  func(c *settings.Capacity) { c.MinimumScalingStepSize, c.MaximumScalingStepSize = 50, 50 },
		},
		"the greatest step is not above what ECS takes": {
			given: func(c *settings.Capacity) { c.MaxInstances = 20000 },
			want:  func(c *settings.Capacity) { c.MaxInstances, c.MaximumScalingStepSize = 20000, 10000 },
		},
		"Spot instances are chosen by price and capacity": {
			given: func(c *settings.Capacity) { c.Spot = &settings.Spot{} },
			want: func(c *settings.Capacity) {
				c.Spot = &settings.Spot{OnDemandBase: 0, OnDemandPercentage: 0, AllocationStrategy: "price-capacity-optimized"}
			},
		},
		"a warm pool waits stopped": {
			given: func(c *settings.Capacity) { c.WarmPool = &settings.WarmPool{} },
			want:  func(c *settings.Capacity) { c.WarmPool = &settings.WarmPool{State: "stopped"} },
		},
		"without managed scaling ECS cannot protect instances": {
			given: func(c *settings.Capacity) { c.ManagedScaling = new(false) },
			want: func(c *settings.Capacity) {
				c.ManagedScaling, c.ManagedTerminationProtection = new(false), new(false)
			},
		},
		"a false, a zero and a 0s that were given stay": {
			given: func(c *settings.Capacity) {
				c.ManagedTerminationProtection, c.ManagedDraining = new(false), new(false)
				c.InstanceWarmupPeriod, c.Agent.ReservedMemoryMiB = new(settings.Duration(0)), new(0)
				c.Weight = new(0)
			},
			want: func(c *settings.Capacity) {
				c.ManagedTerminationProtection, c.ManagedDraining = new(false), new(false)
				c.InstanceWarmupPeriod, c.Agent.ReservedMemoryMiB = new(settings.Duration(0)), new(0)
				c.Weight = new(0)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var given settings.Capacity
			c.given(&given)
			want := defaultCapacity()
			c.want(&want)
			assert.Equal(t, want, given.WithDefaults())
		})
	}
}

func TestCapacity_WithDefaults_KeepsEveryValueGiven(t *testing.T) {
	t.Parallel()
	given := filled[settings.Capacity](t)
	assert.Equal(t, filled[settings.Capacity](t), given.WithDefaults())
}

func TestWithDefaults_SharesNothingWithTheOriginal(t *testing.T) {
	t.Parallel()
	cluster := filled[settings.Cluster](t)
	got := cluster.WithDefaults()
	assert.Equal(t, filled[settings.Cluster](t), cluster, "WithDefaults wrote to the caller's props")
	assert.Empty(t, shared(reflect.ValueOf(cluster), reflect.ValueOf(got), "Cluster"),
		"a caller that changes its props later would change the construct")

	capacity := filled[settings.Capacity](t)
	assert.Empty(t, shared(reflect.ValueOf(capacity), reflect.ValueOf(capacity.WithDefaults()), "Capacity"),
		"a caller that changes its props later would change the construct")

	first, second := settings.Capacity{}.WithDefaults(), settings.Capacity{}.WithDefaults()
	assert.Empty(t, shared(reflect.ValueOf(first), reflect.ValueOf(second), "Capacity"),
		"a change to one capacity would change the defaults of the next")
}

func TestWithDefaults_ChangesNothingTheSecondTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]settings.Cluster{
		"nothing given":    {},
		"everything given": filled[settings.Cluster](t),
		"optional parts": {
			DefaultCapacity: settings.Capacity{Spot: &settings.Spot{}},
			Capacities: map[string]settings.Capacity{
				"Arm": {Architecture: settings.ARM64, WarmPool: &settings.WarmPool{}},
				"Own": {ManagedScaling: new(false)},
			},
		},
		"what is wrong": {DefaultCapacity: settings.Capacity{
			Architecture: "riscv64", MaxInstances: -1, MinimumScalingStepSize: 20000, MaximumScalingStepSize: -1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			once := c.WithDefaults()
			assert.Equal(t, once, once.WithDefaults())
		})
	}
}

func TestCapacity_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given func(*settings.Capacity)
		want  []string
	}{
		"the defaults": {
			func(*settings.Capacity) {},
			nil,
		},
		"architecture in another's words": {
			func(c *settings.Capacity) { c.Architecture = "amd64" },
			[]string{`Architecture: got "amd64"; allowed: x64, arm64`},
		},
		"unknown architecture with instance types": {
			func(c *settings.Capacity) {
				c.Architecture, c.InstanceTypes = "amd64", []string{"m7i.large", "m7g.large"}
			},
			[]string{`Architecture: got "amd64"; allowed: x64, arm64`},
		},

		"no instance types": {
			func(c *settings.Capacity) { c.InstanceTypes = []string{} },
			[]string{`InstanceTypes: got an empty list; allowed: at least one instance type, or none given for the default`},
		},
		"no instance type": {
			func(c *settings.Capacity) { c.InstanceTypes = []string{"m7i.large", "large"} },
			[]string{`InstanceTypes[1]: got "large"; allowed: an instance type such as "m7i.large"`},
		},
		"Graviton in an x64 capacity": {
			func(c *settings.Capacity) { c.InstanceTypes = []string{"m7i.large", "m7g.large"} },
			[]string{`InstanceTypes[1]: got "m7g.large"; allowed: types of architecture x64; this one is arm64`},
		},
		"x64 in an arm64 capacity": {
			func(c *settings.Capacity) {
				c.Architecture, c.InstanceTypes = settings.ARM64, []string{"m7i.large"}
			},
			[]string{`InstanceTypes[0]: got "m7i.large"; allowed: types of architecture arm64; this one is x64`},
		},
		"an instance type twice": {
			func(c *settings.Capacity) { c.InstanceTypes = []string{"m7i.large", "m6i.large", "m7i.large"} },
			[]string{`InstanceTypes[2]: got "m7i.large"; allowed: each instance type once`},
		},

		"fewer than no instances": {
			func(c *settings.Capacity) { c.MinInstances = -1 },
			[]string{`MinInstances: got -1; allowed: 0 to 10`},
		},
		"a minimum above the maximum": {
			func(c *settings.Capacity) { c.MinInstances, c.MaxInstances = 4, 3 },
			[]string{`MinInstances: got 4; allowed: 0 to 3`},
		},
		"a negative maximum": {
			func(c *settings.Capacity) { c.MaxInstances = -1 },
			[]string{`MaxInstances: got -1; allowed: 1 to 5000`},
		},
		"a maximum above what ECS registers": {
			func(c *settings.Capacity) { c.MaxInstances = 20000 },
			[]string{`MaxInstances: got 20000; allowed: 1 to 5000`},
		},

		"a negative On-Demand base": {
			func(c *settings.Capacity) { c.Spot = &settings.Spot{OnDemandBase: -1} },
			[]string{`Spot.OnDemandBase: got -1; allowed: 0 to 10`},
		},
		"an On-Demand base above the maximum": {
			func(c *settings.Capacity) { c.MaxInstances, c.Spot = 3, &settings.Spot{OnDemandBase: 4} },
			[]string{`Spot.OnDemandBase: got 4; allowed: 0 to 3`},
		},
		"a negative On-Demand percentage": {
			func(c *settings.Capacity) { c.Spot = &settings.Spot{OnDemandPercentage: -1} },
			[]string{`Spot.OnDemandPercentage: got -1; allowed: 0 to 100`},
		},
		"an On-Demand percentage above 100": {
			func(c *settings.Capacity) { c.Spot = &settings.Spot{OnDemandPercentage: 101} },
			[]string{`Spot.OnDemandPercentage: got 101; allowed: 0 to 100`},
		},
		"an unknown allocation strategy": {
			func(c *settings.Capacity) { c.Spot = &settings.Spot{AllocationStrategy: "cheapest"} },
			[]string{`Spot.AllocationStrategy: got "cheapest"; allowed: price-capacity-optimized, capacity-optimized, capacity-optimized-prioritized, lowest-price`},
		},

		"a name for an image": {
			func(c *settings.Capacity) { c.ImageID = "amazon-linux-2023" },
			[]string{`ImageID: got "amazon-linux-2023"; allowed: an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a parameter`},
		},
		"a parameter without a name": {
			func(c *settings.Capacity) { c.ImageID = "resolve:ssm:" },
			[]string{`ImageID: got "resolve:ssm:"; allowed: an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a parameter`},
		},
		"a device without its folder": {
			func(c *settings.Capacity) { c.RootDeviceName = "xvda" },
			[]string{`RootDeviceName: got "xvda"; allowed: a device such as "/dev/xvda"`},
		},
		"a volume smaller than the image": {
			func(c *settings.Capacity) { c.RootVolumeSizeGiB = 29 },
			[]string{`RootVolumeSizeGiB: got 29; allowed: 30 to 16384`},
		},
		"a volume larger than gp3": {
			func(c *settings.Capacity) { c.RootVolumeSizeGiB = 16385 },
			[]string{`RootVolumeSizeGiB: got 16385; allowed: 30 to 16384`},
		},
		"throughput below gp3's": {
			func(c *settings.Capacity) { c.RootVolumeThroughput = 124 },
			[]string{`RootVolumeThroughput: got 124; allowed: 125 to 750`},
		},
		"throughput above what 3000 IOPS allow": {
			func(c *settings.Capacity) { c.RootVolumeThroughput = 751 },
			[]string{`RootVolumeThroughput: got 751; allowed: 125 to 750`},
		},
		"a lifetime below a day": {
			func(c *settings.Capacity) { c.MaxInstanceLifetime = new(settings.Duration(24*time.Hour - time.Second)) },
			[]string{`MaxInstanceLifetime: got 23h59m59s; allowed: 24h to 8760h (1 to 365 days), in whole seconds`},
		},
		"a lifetime above a year": {
			func(c *settings.Capacity) { c.MaxInstanceLifetime = new(settings.Duration(8761 * time.Hour)) },
			[]string{`MaxInstanceLifetime: got 8761h; allowed: 24h to 8760h (1 to 365 days), in whole seconds`},
		},
		"a lifetime with a fraction of a second": {
			func(c *settings.Capacity) {
				c.MaxInstanceLifetime = new(settings.Duration(48*time.Hour + 500*time.Millisecond))
			},
			[]string{`MaxInstanceLifetime: got 48h0m0.5s; allowed: 24h to 8760h (1 to 365 days), in whole seconds`},
		},

		"a warm pool with Spot and several types": {
			func(c *settings.Capacity) { c.WarmPool, c.Spot = &settings.WarmPool{}, &settings.Spot{} },
			[]string{
				`WarmPool: got a warm pool with Spot; allowed: a warm pool with On-Demand instances only: leave out Spot or WarmPool`,
				`WarmPool: got a warm pool with 3 instance types; allowed: a warm pool with a single instance type: give one in InstanceTypes, or leave out WarmPool`,
			},
		},
		"a warm pool of a negative size": {
			func(c *settings.Capacity) {
				c.InstanceTypes, c.WarmPool = []string{"m7i.large"}, &settings.WarmPool{MinSize: -1}
			},
			[]string{`WarmPool.MinSize: got -1; allowed: 0 to MaxInstances (10)`},
		},
		"a warm pool that may hold less than it must": {
			func(c *settings.Capacity) {
				c.InstanceTypes, c.WarmPool = []string{"m7i.large"}, &settings.WarmPool{MinSize: 3, MaxPreparedCapacity: new(2)}
			},
			[]string{`WarmPool.MaxPreparedCapacity: got 2; allowed: MinSize (3) to MaxInstances (10)`},
		},
		"a warm pool that may hold more than the group": {
			func(c *settings.Capacity) {
				c.InstanceTypes, c.WarmPool = []string{"m7i.large"}, &settings.WarmPool{MaxPreparedCapacity: new(11)}
			},
			[]string{`WarmPool.MaxPreparedCapacity: got 11; allowed: MinSize (0) to MaxInstances (10)`},
		},
		"a warm pool in an unknown state": {
			func(c *settings.Capacity) {
				c.InstanceTypes, c.WarmPool = []string{"m7i.large"}, &settings.WarmPool{State: "asleep"}
			},
			[]string{`WarmPool.State: got "asleep"; allowed: stopped, running`},
		},

		"a negative target": {
			func(c *settings.Capacity) { c.TargetCapacityPercent = -1 },
			[]string{`TargetCapacityPercent: got -1; allowed: 1 to 100`},
		},
		"a target above 100": {
			func(c *settings.Capacity) { c.TargetCapacityPercent = 101 },
			[]string{`TargetCapacityPercent: got 101; allowed: 1 to 100`},
		},
		"a negative least step": {
			func(c *settings.Capacity) { c.MinimumScalingStepSize = -1 },
			[]string{`MinimumScalingStepSize: got -1; allowed: 1 to 10000`},
		},
		"a least step above what ECS takes": {
			func(c *settings.Capacity) { c.MinimumScalingStepSize = 20000 },
			[]string{`MinimumScalingStepSize: got 20000; allowed: 1 to 10000`},
		},
		"a greatest step below the least": {
			func(c *settings.Capacity) { c.MinimumScalingStepSize, c.MaximumScalingStepSize = 5, 4 },
			[]string{`MaximumScalingStepSize: got 4; allowed: 5 to 10000`},
		},
		"a greatest step above what ECS takes": {
			func(c *settings.Capacity) { c.MaximumScalingStepSize = 10001 },
			[]string{`MaximumScalingStepSize: got 10001; allowed: 1 to 10000`},
		},
		"both steps out of range": {
			func(c *settings.Capacity) { c.MinimumScalingStepSize, c.MaximumScalingStepSize = -2, -1 },
			[]string{
				`MinimumScalingStepSize: got -2; allowed: 1 to 10000`,
				`MaximumScalingStepSize: got -1; allowed: 1 to 10000`,
			},
		},
		"a negative warm-up": {
			func(c *settings.Capacity) { c.InstanceWarmupPeriod = new(settings.Duration(-time.Second)) },
			[]string{`InstanceWarmupPeriod: got -1s; allowed: 0s to 10000s, in whole seconds`},
		},
		"a warm-up above what ECS takes": {
			func(c *settings.Capacity) { c.InstanceWarmupPeriod = new(settings.Duration(10001 * time.Second)) },
			[]string{`InstanceWarmupPeriod: got 2h46m41s; allowed: 0s to 10000s, in whole seconds`},
		},
		"a warm-up with a fraction of a second": {
			func(c *settings.Capacity) { c.InstanceWarmupPeriod = new(settings.Duration(1500 * time.Millisecond)) },
			[]string{`InstanceWarmupPeriod: got 1.5s; allowed: 0s to 10000s, in whole seconds`},
		},
		"termination protection without managed scaling": {
			func(c *settings.Capacity) {
				c.ManagedScaling, c.ManagedTerminationProtection = new(false), new(true)
			},
			[]string{`ManagedTerminationProtection: got true; allowed: false when ManagedScaling is false: ECS protects only the instances that it scales`},
		},
		"a negative weight": {
			func(c *settings.Capacity) { c.Weight = new(-1) },
			[]string{`Weight: got -1; allowed: 0 to 1000`},
		},
		"a weight above what ECS takes": {
			func(c *settings.Capacity) { c.Weight = new(1001) },
			[]string{`Weight: got 1001; allowed: 0 to 1000`},
		},
		"a negative base": {
			func(c *settings.Capacity) { c.Base = -1 },
			[]string{`Base: got -1; allowed: 0 to 100000`},
		},
		"a base above what ECS takes": {
			func(c *settings.Capacity) { c.Base = 100001 },
			[]string{`Base: got 100001; allowed: 0 to 100000`},
		},

		"negative reserved memory": {
			func(c *settings.Capacity) { c.Agent.ReservedMemoryMiB = new(-1) },
			[]string{`Agent.ReservedMemoryMiB: got -1; allowed: 0 or more`},
		},
		"a clean-up that the agent would ignore": {
			func(c *settings.Capacity) { c.Agent.TaskCleanupWait = new(settings.Duration(59 * time.Second)) },
			[]string{`Agent.TaskCleanupWait: got 59s; allowed: 1m or more`},
		},
		"an unknown pull behaviour": {
			func(c *settings.Capacity) { c.Agent.ImagePullBehavior = "never" },
			[]string{`Agent.ImagePullBehavior: got "never"; allowed: default, always, once, prefer-cached`},
		},
		"a variable that is none of the agent's": {
			func(c *settings.Capacity) { c.Agent.Extra = map[string]string{"PATH": "/tmp", "ecs_loglevel": "debug"} },
			[]string{
				`Agent.Extra["PATH"]: got "/tmp"; allowed: names of agent variables such as ECS_LOGLEVEL`,
				`Agent.Extra["ecs_loglevel"]: got "debug"; allowed: names of agent variables such as ECS_LOGLEVEL`,
			},
		},
		"a variable with a second one in its value": {
			func(c *settings.Capacity) {
				c.Agent.Extra = map[string]string{"ECS_LOGLEVEL": "debug\nECS_CLUSTER=other", "ECS_LOGFILE": "a\rb"}
			},
			[]string{
				`Agent.Extra["ECS_LOGFILE"]: got "a\rb"; allowed: one line`,
				`Agent.Extra["ECS_LOGLEVEL"]: got "debug\nECS_CLUSTER=other"; allowed: one line`,
			},
		},
		"a variable with a second one in its name": {
			func(c *settings.Capacity) { c.Agent.Extra = map[string]string{"ECS_A=1\nECS_CLUSTER": "other"} },
			[]string{`Agent.Extra["ECS_A=1\nECS_CLUSTER"]: got "other"; allowed: names of agent variables such as ECS_LOGLEVEL`},
		},

		"a capacity provider as AWS names its own": {
			func(c *settings.Capacity) { c.CapacityProviderName = "FargateLike" },
			[]string{`CapacityProviderName: got "FargateLike"; allowed: at most 255 letters, digits, - and _, not beginning with aws, ecs or fargate in any case`},
		},
		"a capacity provider with a dot": {
			func(c *settings.Capacity) { c.CapacityProviderName = "my.runners" },
			[]string{`CapacityProviderName: got "my.runners"; allowed: at most 255 letters, digits, - and _, not beginning with aws, ecs or fargate in any case`},
		},
		"an Auto Scaling group with a colon": {
			func(c *settings.Capacity) { c.AutoScalingGroupName = "my:runners" },
			[]string{`AutoScalingGroupName: got "my:runners"; allowed: at most 255 characters, no colon`},
		},
		"a launch template of two letters": {
			func(c *settings.Capacity) { c.LaunchTemplateName = "ab" },
			[]string{`LaunchTemplateName: got "ab"; allowed: 3 to 128 letters, digits and ( ) . / _ -`},
		},
		"names that are too long": {
			func(c *settings.Capacity) {
				c.CapacityProviderName = strings.Repeat("p", 256)
				c.AutoScalingGroupName = strings.Repeat("g", 256)
				c.LaunchTemplateName = strings.Repeat("t", 129)
			},
			[]string{
				`CapacityProviderName: got "` + strings.Repeat("p", 256) + `"; allowed: at most 255 letters, digits, - and _, not beginning with aws, ecs or fargate in any case`,
				`AutoScalingGroupName: got "` + strings.Repeat("g", 256) + `"; allowed: at most 255 characters, no colon`,
				`LaunchTemplateName: got "` + strings.Repeat("t", 129) + `"; allowed: 3 to 128 letters, digits and ( ) . / _ -`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var given settings.Capacity
			c.given(&given)
			problems := given.WithDefaults().Validate()
			assert.Equal(t, c.want, texts(problems))
			for _, p := range problems {
				assertField(t, reflect.TypeFor[settings.Capacity](), p.Path)
			}
		})
	}
}

func TestCapacity_Validate_RefusesVariablesThatAreWrittenAnyway(t *testing.T) {
	t.Parallel()
	const hardening = "part of the host's hardening"
	for name, reason := range map[string]string{
		"ECS_CLUSTER":                            "the capacity's own cluster",
		"ECS_RESERVED_MEMORY":                    "use ReservedMemoryMiB",
		"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION":  "use TaskCleanupWait",
		"ECS_IMAGE_PULL_BEHAVIOR":                "use ImagePullBehavior",
		"ECS_DISABLE_PRIVILEGED":                 "use Privileged",
		"ECS_ENABLE_SPOT_INSTANCE_DRAINING":      "written when Spot is set",
		"ECS_WARM_POOLS_CHECK":                   "written when WarmPool is set",
		"ECS_AWSVPC_BLOCK_IMDS":                  hardening,
		"ECS_ENABLE_TASK_IAM_ROLE":               hardening,
		"ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST":  hardening,
		"ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS": hardening,
		"ECS_SKIP_LOCALHOST_TRAFFIC_FILTER":      hardening,
	} {
		c := settings.Capacity{Agent: settings.Agent{Extra: map[string]string{name: "x"}}}.WithDefaults()
		assert.Equal(t,
			[]string{`Agent.Extra["` + name + `"]: got "x"; allowed: variables that ecsrunners does not write itself (` + reason + `)`},
			texts(c.Validate()))
	}
}

func TestCapacity_Validate_RefusesSecretsWithoutRepeatingThem(t *testing.T) {
	t.Parallel()
	for name, instead := range map[string]string{
		"AWS_ACCESS_KEY_ID":     "the agent has the instance role",
		"AWS_SECRET_ACCESS_KEY": "the agent has the instance role",
		"AWS_SESSION_TOKEN":     "the agent has the instance role",
		"ECS_ENGINE_AUTH_DATA":  "give containers repository credentials from AWS Secrets Manager",
	} {
		c := settings.Capacity{Agent: settings.Agent{Extra: map[string]string{name: "hunter2\n"}}}.WithDefaults()
		assert.Equal(t,
			[]string{`Agent.Extra["` + name + `"]: got a secret; allowed: no secrets, because templates and user data are readable: ` + instead},
			texts(c.Validate()))
	}
}

func TestCapacity_Validate_AcceptsWhatIsAtTheLimit(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]settings.Capacity{
		"the least": {
			MaxInstances: 1, Spot: &settings.Spot{}, RootVolumeSizeGiB: 30, RootVolumeThroughput: 125,
			MaxInstanceLifetime: new(settings.Duration(24 * time.Hour)), InstanceWarmupPeriod: new(settings.Duration(0)),
			TargetCapacityPercent: 1, MinimumScalingStepSize: 1, MaximumScalingStepSize: 1, Weight: new(0),
			Agent:                settings.Agent{ReservedMemoryMiB: new(0), TaskCleanupWait: new(settings.Duration(time.Minute))},
			CapacityProviderName: "p", AutoScalingGroupName: "g", LaunchTemplateName: "tpl",
			ImageID: "ami-01234567", RootDeviceName: "/dev/sda1",
		},
		"the greatest": {
			MinInstances: 5000, MaxInstances: 5000, Spot: &settings.Spot{OnDemandBase: 5000, OnDemandPercentage: 100},
			RootVolumeSizeGiB: 16384, RootVolumeThroughput: 750, MaxInstanceLifetime: new(settings.Duration(8760 * time.Hour)),
			InstanceWarmupPeriod: new(settings.Duration(10000 * time.Second)), TargetCapacityPercent: 100,
			MinimumScalingStepSize: 10000, MaximumScalingStepSize: 10000, Weight: new(1000), Base: 100000,
			CapacityProviderName: strings.Repeat("p", 255), AutoScalingGroupName: strings.Repeat("g", 255), LaunchTemplateName: strings.Repeat("t", 128),
			ImageID: "ami-0123456789abcdef0",
		},
		"other images": {ImageID: "resolve:ssm:/golden-image/runner_v1.2:stable"},
		"names that only look reserved": {
			CapacityProviderName: "my-ecs_runners", LaunchTemplateName: "ecs/(runners).1-a_b", AutoScalingGroupName: "ecs runners/1",
		},
		"a warm pool": {
			InstanceTypes: []string{"m7i.large"}, MaxInstances: 4,
			WarmPool: &settings.WarmPool{MinSize: 4, MaxPreparedCapacity: new(4), State: "running"},
		},
		"an empty warm pool": {
			InstanceTypes: []string{"m7i.large"},
			WarmPool:      &settings.WarmPool{MinSize: 0, MaxPreparedCapacity: new(0), State: "running"},
		},
		"the agent's own variables": {Agent: settings.Agent{
			ImagePullBehavior: "prefer-cached", Privileged: true,
			Extra: map[string]string{
				"ECS_LOGLEVEL": "debug", "HTTP_PROXY": "http://proxy.example:3128", "HTTPS_PROXY": "http://proxy.example:3128",
				"NO_PROXY": "169.254.169.254,169.254.170.2,/var/run/docker.sock", "AWS_DEFAULT_REGION": "eu-central-1",
				"ECS_INSTANCE_ATTRIBUTES": `{"team": "a=b"}`,
			},
		}},
		"unprotected instances that something else scales": {ManagedScaling: new(false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, texts(given.WithDefaults().Validate()))
		})
	}
}

func TestReservedName(t *testing.T) {
	t.Parallel()
	for name, reserved := range map[string]bool{
		"aws": true, "AWSRunners": true, "ecs-runners": true, "EcsRunners": true, "eCsRunners": true, "FARGATE_SPOT": true,
		"": false, "GitHubRunners": false, "my-ecs": false, "ec2": false, "farGat": false,
	} {
		assert.Equalf(t, reserved, settings.ReservedName(name), "%q", name)
	}
}

func TestCapacity_Warnings(t *testing.T) {
	t.Parallel()
	type warnings = []settings.Warning
	for name, c := range map[string]struct {
		given settings.Capacity
		want  warnings
	}{
		"the defaults": {settings.Capacity{}, nil},
		"an idle instance that stays": {
			settings.Capacity{TargetCapacityPercent: 80},
			warnings{{"ecsrunners:targetBelow100", "TargetCapacityPercent is 80 with MinInstances 0: ECS keeps idle instances below 100, so the capacity does not stay at zero; use 100 unless spare instances are wanted"}},
		},
		"an idle instance that was asked for": {settings.Capacity{TargetCapacityPercent: 80, MinInstances: 1}, nil},
		"a small step": {
			settings.Capacity{MaximumScalingStepSize: 2},
			warnings{{"ecsrunners:smallScalingStep", "MaximumScalingStepSize 2 is below MaxInstances 10: a burst of jobs is met in several rounds, an InstanceWarmupPeriod (2m) apart"}},
		},
		"a warm-up shorter than a boot": {
			settings.Capacity{InstanceWarmupPeriod: new(settings.Duration(59 * time.Second))},
			warnings{{"ecsrunners:shortWarmup", "InstanceWarmupPeriod 59s is below 1m, less than an instance needs to boot and register: ECS will count instances that are not there yet and start too many"}},
		},
		"a warm-up of a minute": {settings.Capacity{InstanceWarmupPeriod: new(settings.Duration(time.Minute))}, nil},
		"what ECS does not scale": {
			settings.Capacity{ManagedScaling: new(false), TargetCapacityPercent: 80, MaximumScalingStepSize: 2, InstanceWarmupPeriod: new(settings.Duration(0))},
			nil,
		},
		"types of unequal size": {
			settings.Capacity{InstanceTypes: []string{"m7i.large", "c7i.large", "m7i.xlarge"}},
			warnings{{"ecsrunners:unequalInstanceTypes", "InstanceTypes differ in size: m7i.large (2 vCPU, 8 GiB), c7i.large (2 vCPU, 4 GiB), m7i.xlarge (4 vCPU, 16 GiB); managed scaling counts with the smallest, so tasks that fit only a larger one never start"}},
		},
		"types of unknown size": {
			settings.Capacity{InstanceTypes: []string{"m7i.large", "c5n.large", "i7ie.large"}},
			warnings{{"ecsrunners:unknownInstanceTypes", "InstanceTypes has types whose size this library does not know: c5n.large, i7ie.large; make sure that all have the same vCPU and memory, because managed scaling counts with the smallest"}},
		},
		"a single type of unknown size": {settings.Capacity{InstanceTypes: []string{"c5n.large"}}, nil},
		"everything at once": {
			settings.Capacity{
				TargetCapacityPercent: 90, MaximumScalingStepSize: 1, InstanceWarmupPeriod: new(settings.Duration(0)),
				InstanceTypes: []string{"t3.micro", "t3.nano", "g5.xlarge"},
			},
			warnings{
				{"ecsrunners:targetBelow100", "TargetCapacityPercent is 90 with MinInstances 0: ECS keeps idle instances below 100, so the capacity does not stay at zero; use 100 unless spare instances are wanted"},
				{"ecsrunners:smallScalingStep", "MaximumScalingStepSize 1 is below MaxInstances 10: a burst of jobs is met in several rounds, an InstanceWarmupPeriod (0s) apart"},
				{"ecsrunners:shortWarmup", "InstanceWarmupPeriod 0s is below 1m, less than an instance needs to boot and register: ECS will count instances that are not there yet and start too many"},
				{"ecsrunners:unequalInstanceTypes", "InstanceTypes differ in size: t3.micro (2 vCPU, 1 GiB), t3.nano (2 vCPU, 0.5 GiB); managed scaling counts with the smallest, so tasks that fit only a larger one never start"},
				{"ecsrunners:unknownInstanceTypes", "InstanceTypes has types whose size this library does not know: g5.xlarge; make sure that all have the same vCPU and memory, because managed scaling counts with the smallest"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given := c.given.WithDefaults()
			require.Empty(t, texts(given.Validate()), "warnings are about what works")
			assert.Equal(t, c.want, given.Warnings())
		})
	}
}

func texts(problems settings.Problems) []string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	return lines
}

// assertField fails unless the path of a problem leads to a field.
func assertField(t *testing.T, in reflect.Type, path string) {
	t.Helper()
	for _, part := range strings.Split(strings.SplitN(path, `["`, 2)[0], ".") {
		name, _, indexed := strings.Cut(part, "[")
		field, ok := in.FieldByName(name)
		require.Truef(t, ok, "the problem is at %s, but %s has no field %s", path, in, name)
		in = field.Type
		if in.Kind() == reflect.Pointer || indexed {
			in = in.Elem()
		}
	}
}

// filled makes a value that is not zero anywhere, and the same each time.
func filled[T any](t *testing.T) T {
	t.Helper()
	var value T
	fill(t, reflect.ValueOf(&value).Elem())
	return value
}

func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		element := reflect.New(v.Type().Elem()).Elem()
		fill(t, element)
		v.SetMapIndex(reflect.ValueOf("given").Convert(v.Type().Key()), element)
	case reflect.String:
		v.SetString("given")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	default:
		t.Fatalf("a setting of kind %s: tell fill how to fill it", v.Kind())
	}
}

// shared lists the paths at which two values share memory that can be changed.
func shared(a, b reflect.Value, path string) []string {
	var paths []string
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			paths = append(paths, shared(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name)...)
		}
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if a.IsNil() || b.IsNil() {
			return nil
		}
		if a.Pointer() == b.Pointer() {
			return []string{path}
		}
		if a.Kind() == reflect.Pointer {
			return shared(a.Elem(), b.Elem(), path)
		}
		if a.Kind() == reflect.Map {
			for _, key := range a.MapKeys() {
				paths = append(paths, shared(a.MapIndex(key), b.MapIndex(key), path+"["+key.String()+"]")...)
			}
		}
	}
	return paths
}
