package constructs_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

// defaultCapacity is what a user gets who says nothing.
func defaultCapacity() constructs.RunnerCapacityProps {
	return constructs.RunnerCapacityProps{
		Architecture:  constructs.X64,
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
		InstanceWarmupPeriod:         new(2 * time.Minute),
		ManagedTerminationProtection: new(true),
		ManagedDraining:              new(true),
		Weight:                       new(0),

		Agent: &constructs.AgentOptions{
			ReservedMemoryMiB: new(256),
			TaskCleanupWait:   time.Minute,
			ImagePullBehavior: "default",
		},
	}
}

func TestCapacity_WithDefaults(t *testing.T) {
	// Each case says what is given, and what is then different from the defaults.
	for name, c := range map[string]struct {
		given func(*constructs.RunnerCapacityProps)
		want  func(*constructs.RunnerCapacityProps)
	}{
		"nothing given": {
			given: func(*constructs.RunnerCapacityProps) {},
			want:  func(*constructs.RunnerCapacityProps) {},
		},
		"arm64 has its own instance types and image": {
			given: func(c *constructs.RunnerCapacityProps) { c.Architecture = constructs.ARM64 },
			want: func(c *constructs.RunnerCapacityProps) {
				c.Architecture = constructs.ARM64
				c.InstanceTypes = []string{"m8g.large", "m7g.large", "m6g.large"}
				c.ImageID = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
			},
		},
		"an unknown architecture has neither": {
			given: func(c *constructs.RunnerCapacityProps) { c.Architecture = "riscv64" },
			want: func(c *constructs.RunnerCapacityProps) {
				c.Architecture, c.InstanceTypes, c.ImageID = "riscv64", nil, ""
			},
		},
		"no instance types is not the same as none given": {
			given: func(c *constructs.RunnerCapacityProps) { c.InstanceTypes = []string{} },
			want:  func(c *constructs.RunnerCapacityProps) { c.InstanceTypes = []string{} },
		},
		"the greatest step follows MaxInstances": {
			given: func(c *constructs.RunnerCapacityProps) { c.MaxInstances = 40 },
			want:  func(c *constructs.RunnerCapacityProps) { c.MaxInstances, c.MaximumScalingStepSize = 40, 40 },
		},
		"the greatest step is not below the least": {
			given: func(c *constructs.RunnerCapacityProps) { c.MinimumScalingStepSize = 50 },
			want:  func(c *constructs.RunnerCapacityProps) { c.MinimumScalingStepSize, c.MaximumScalingStepSize = 50, 50 },
		},
		"the greatest step is not above what ECS takes": {
			given: func(c *constructs.RunnerCapacityProps) { c.MaxInstances = 20000 },
			want:  func(c *constructs.RunnerCapacityProps) { c.MaxInstances, c.MaximumScalingStepSize = 20000, 10000 },
		},
		"Spot instances are chosen by price and capacity": {
			given: func(c *constructs.RunnerCapacityProps) { c.Spot = &constructs.SpotOptions{} },
			want: func(c *constructs.RunnerCapacityProps) {
				c.Spot = &constructs.SpotOptions{
					OnDemandBase: 0, OnDemandPercentage: 0,
					AllocationStrategy: "PRICE_CAPACITY_OPTIMIZED",
				}
			},
		},
		"a warm pool waits stopped": {
			given: func(c *constructs.RunnerCapacityProps) { c.WarmPool = &constructs.WarmPoolOptions{} },
			want:  func(c *constructs.RunnerCapacityProps) { c.WarmPool = &constructs.WarmPoolOptions{State: "STOPPED"} },
		},
		"without managed scaling ECS cannot protect instances": {
			given: func(c *constructs.RunnerCapacityProps) { c.ManagedScaling = new(false) },
			want: func(c *constructs.RunnerCapacityProps) {
				c.ManagedScaling, c.ManagedTerminationProtection = new(false), new(false)
			},
		},
		"a false, a zero and a 0s that were given stay": {
			given: func(c *constructs.RunnerCapacityProps) {
				c.ManagedTerminationProtection, c.ManagedDraining = new(false), new(false)
				c.InstanceWarmupPeriod, c.Agent = new(time.Duration(0)), &constructs.AgentOptions{ReservedMemoryMiB: new(0)}
				c.Weight = new(0)
			},
			want: func(c *constructs.RunnerCapacityProps) {
				c.ManagedTerminationProtection, c.ManagedDraining = new(false), new(false)
				c.InstanceWarmupPeriod, c.Agent.ReservedMemoryMiB = new(time.Duration(0)), new(0)
				c.Weight = new(0)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var given constructs.RunnerCapacityProps
			c.given(&given)
			want := defaultCapacity()
			c.want(&want)
			assert.Equal(t, want, given.WithDefaults())
		})
	}
}

func TestCapacity_WithDefaults_KeepsEveryValueGiven(t *testing.T) {
	given := filled[constructs.RunnerCapacityProps](t)
	assert.Equal(t, filled[constructs.RunnerCapacityProps](t), given.WithDefaults())
}

func TestWithDefaults_SharesNothingWithTheOriginal(t *testing.T) {
	shares := func(props, withDefaults any) {
		assert.Emptyf(t, shared(reflect.ValueOf(props), reflect.ValueOf(withDefaults), "props"),
			"a caller that changes its %T later would change the construct", props)
	}
	capacity := filled[constructs.RunnerCapacityProps](t)
	shares(capacity, capacity.WithDefaults())
	assert.Equal(t, filled[constructs.RunnerCapacityProps](t), capacity, "WithDefaults wrote to the caller's props")
	cluster := filled[constructs.RunnerClusterProps](t)
	shares(cluster, cluster.WithDefaults())
	fleet := filled[constructs.RunnerFleetProps](t)
	shares(fleet, fleet.WithDefaults())
	image := filled[constructs.RunnerImagePipelineProps](t)
	shares(image, image.WithDefaults())
	registration := filled[constructs.RunnerRegistrationProps](t)
	shares(registration, registration.WithDefaults())
	webhook := filled[constructs.WebhookIngressProps](t)
	shares(webhook, webhook.WithDefaults())

	shares(constructs.RunnerCapacityProps{}.WithDefaults(), constructs.RunnerCapacityProps{}.WithDefaults())
}

func TestWithDefaults_ChangesNothingTheSecondTime(t *testing.T) {
	for name, p := range map[string]constructs.RunnerCapacityProps{
		"nothing given":    {},
		"everything given": filled[constructs.RunnerCapacityProps](t),
		"optional parts": {
			Architecture: constructs.ARM64, WarmPool: &constructs.WarmPoolOptions{},
			Spot: &constructs.SpotOptions{},
		},
		"no scaling": {ManagedScaling: new(false)},
		"what is wrong": {
			Architecture: "riscv64", MaxInstances: -1, MinimumScalingStepSize: 20000,
			MaximumScalingStepSize: -1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			once := p.WithDefaults()
			assert.Equal(t, once, once.WithDefaults())
		})
	}
}

func TestCapacity_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	for name, c := range map[string]struct {
		given func(*constructs.RunnerCapacityProps)
		want  []string
	}{
		"the defaults": {
			func(*constructs.RunnerCapacityProps) {},
			nil,
		},
		"architecture in another's words": {
			func(c *constructs.RunnerCapacityProps) { c.Architecture = "amd64" },
			[]string{`Architecture must be x64 or arm64, got "amd64"`},
		},
		"unknown architecture with instance types": {
			func(c *constructs.RunnerCapacityProps) {
				c.Architecture, c.InstanceTypes = "amd64", []string{"m7i.large", "m7g.large"}
			},
			[]string{`Architecture must be x64 or arm64, got "amd64"`},
		},

		"no instance types": {
			func(c *constructs.RunnerCapacityProps) { c.InstanceTypes = []string{} },
			[]string{`InstanceTypes must be at least one instance type, or left out for the default, got an empty list`},
		},
		"no instance type": {
			func(c *constructs.RunnerCapacityProps) { c.InstanceTypes = []string{"m7i.large", "large"} },
			[]string{`InstanceTypes[1] must be an instance type such as "m7i.large", got "large"`},
		},
		"Graviton in an x64 capacity": {
			func(c *constructs.RunnerCapacityProps) { c.InstanceTypes = []string{"m7i.large", "m7g.large"} },
			[]string{`InstanceTypes[1] must be of Architecture x64, and this type is arm64, got "m7g.large"`},
		},
		"x64 in an arm64 capacity": {
			func(c *constructs.RunnerCapacityProps) {
				c.Architecture, c.InstanceTypes = constructs.ARM64, []string{"m7i.large"}
			},
			[]string{`InstanceTypes[0] must be of Architecture arm64, and this type is x64, got "m7i.large"`},
		},
		"an instance type twice": {
			func(c *constructs.RunnerCapacityProps) {
				c.InstanceTypes = []string{"m7i.large", "m6i.large", "m7i.large"}
			},
			[]string{`InstanceTypes[2] must be given once only, got "m7i.large"`},
		},

		"fewer than no instances": {
			func(c *constructs.RunnerCapacityProps) { c.MinInstances = -1 },
			[]string{`MinInstances must be 0 to 10, got -1`},
		},
		"a minimum above the maximum": {
			func(c *constructs.RunnerCapacityProps) { c.MinInstances, c.MaxInstances = 4, 3 },
			[]string{`MinInstances must be 0 to 3, got 4`},
		},
		"a negative maximum": {
			func(c *constructs.RunnerCapacityProps) { c.MaxInstances = -1 },
			[]string{`MaxInstances must be 1 to 5000, got -1`},
		},
		"a maximum above what ECS registers": {
			func(c *constructs.RunnerCapacityProps) { c.MaxInstances = 20000 },
			[]string{`MaxInstances must be 1 to 5000, got 20000`},
		},

		"a negative On-Demand base": {
			func(c *constructs.RunnerCapacityProps) { c.Spot = &constructs.SpotOptions{OnDemandBase: -1} },
			[]string{`Spot.OnDemandBase must be 0 to 10, got -1`},
		},
		"an On-Demand base above the maximum": {
			func(c *constructs.RunnerCapacityProps) {
				c.MaxInstances, c.Spot = 3, &constructs.SpotOptions{OnDemandBase: 4}
			},
			[]string{`Spot.OnDemandBase must be 0 to 3, got 4`},
		},
		"a negative On-Demand percentage": {
			func(c *constructs.RunnerCapacityProps) { c.Spot = &constructs.SpotOptions{OnDemandPercentage: -1} },
			[]string{`Spot.OnDemandPercentage must be 0 to 100, got -1`},
		},
		"an On-Demand percentage above 100": {
			func(c *constructs.RunnerCapacityProps) { c.Spot = &constructs.SpotOptions{OnDemandPercentage: 101} },
			[]string{`Spot.OnDemandPercentage must be 0 to 100, got 101`},
		},
		"an unknown allocation strategy": {
			func(c *constructs.RunnerCapacityProps) {
				c.Spot = &constructs.SpotOptions{AllocationStrategy: "CHEAPEST"}
			},
			[]string{`Spot.AllocationStrategy must be price-capacity-optimized, capacity-optimized, ` +
				`capacity-optimized-prioritized or lowest-price, got "cheapest"`},
		},

		"a name for an image": {
			func(c *constructs.RunnerCapacityProps) { c.ImageID = "amazon-linux-2023" },
			[]string{`ImageID must be an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a ` +
				`parameter, got "amazon-linux-2023"`},
		},
		"a parameter without a name": {
			func(c *constructs.RunnerCapacityProps) { c.ImageID = "resolve:ssm:" },
			[]string{`ImageID must be an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a ` +
				`parameter, got "resolve:ssm:"`},
		},
		"a device without its folder": {
			func(c *constructs.RunnerCapacityProps) { c.RootDeviceName = "xvda" },
			[]string{`RootDeviceName must be a device such as "/dev/xvda", got "xvda"`},
		},
		"a volume smaller than the image": {
			func(c *constructs.RunnerCapacityProps) { c.RootVolumeSizeGiB = 29 },
			[]string{`RootVolumeSizeGiB must be 30 to 16384, got 29`},
		},
		"a volume larger than gp3": {
			func(c *constructs.RunnerCapacityProps) { c.RootVolumeSizeGiB = 16385 },
			[]string{`RootVolumeSizeGiB must be 30 to 16384, got 16385`},
		},
		"throughput below gp3's": {
			func(c *constructs.RunnerCapacityProps) { c.RootVolumeThroughput = 124 },
			[]string{`RootVolumeThroughput must be 125 to 750, got 124`},
		},
		"throughput above what 3000 IOPS allow": {
			func(c *constructs.RunnerCapacityProps) { c.RootVolumeThroughput = 751 },
			[]string{`RootVolumeThroughput must be 125 to 750, got 751`},
		},
		"a lifetime below a day": {
			func(c *constructs.RunnerCapacityProps) { c.MaxInstanceLifetime = 24*time.Hour - time.Second },
			[]string{`MaxInstanceLifetime must be 24h to 8760h (1 to 365 days), in whole seconds, got 23h59m59s`},
		},
		"a lifetime above a year": {
			func(c *constructs.RunnerCapacityProps) { c.MaxInstanceLifetime = 8761 * time.Hour },
			[]string{`MaxInstanceLifetime must be 24h to 8760h (1 to 365 days), in whole seconds, got 8761h`},
		},
		"a lifetime with a fraction of a second": {
			func(c *constructs.RunnerCapacityProps) {
				c.MaxInstanceLifetime = 48*time.Hour + 500*time.Millisecond
			},
			[]string{`MaxInstanceLifetime must be 24h to 8760h (1 to 365 days), in whole seconds, got 48h0m0.5s`},
		},

		"a warm pool with Spot and several types": {
			func(c *constructs.RunnerCapacityProps) {
				c.WarmPool, c.Spot = &constructs.WarmPoolOptions{}, &constructs.SpotOptions{}
			},
			[]string{
				`WarmPool cannot be used with Spot: its instances are On-Demand; leave out one of them`,
				`WarmPool needs a single instance type, got 3 in InstanceTypes`,
			},
		},
		"a warm pool of a negative size": {
			func(c *constructs.RunnerCapacityProps) {
				c.InstanceTypes, c.WarmPool = []string{"m7i.large"}, &constructs.WarmPoolOptions{MinSize: -1}
			},
			[]string{`WarmPool.MinSize must be 0 to 10, got -1`},
		},
		"a warm pool that may hold less than it must": {
			func(c *constructs.RunnerCapacityProps) {
				c.InstanceTypes, c.WarmPool = []string{"m7i.large"}, &constructs.WarmPoolOptions{
					MinSize:             3,
					MaxPreparedCapacity: new(2),
				}
			},
			[]string{`WarmPool.MaxPreparedCapacity must be from MinSize (3) to MaxInstances (10), got 2`},
		},
		"a warm pool that may hold more than the group": {
			func(c *constructs.RunnerCapacityProps) {
				c.InstanceTypes, c.WarmPool = []string{"m7i.large"}, &constructs.WarmPoolOptions{MaxPreparedCapacity: new(11)}
			},
			[]string{`WarmPool.MaxPreparedCapacity must be from MinSize (0) to MaxInstances (10), got 11`},
		},
		"a warm pool in an unknown state": {
			func(c *constructs.RunnerCapacityProps) {
				c.InstanceTypes, c.WarmPool = []string{"m7i.large"}, &constructs.WarmPoolOptions{State: "ASLEEP"}
			},
			[]string{`WarmPool.State must be stopped or running, got "asleep"`},
		},

		"a negative target": {
			func(c *constructs.RunnerCapacityProps) { c.TargetCapacityPercent = -1 },
			[]string{`TargetCapacityPercent must be 1 to 100, got -1`},
		},
		"a target above 100": {
			func(c *constructs.RunnerCapacityProps) { c.TargetCapacityPercent = 101 },
			[]string{`TargetCapacityPercent must be 1 to 100, got 101`},
		},
		"a negative least step": {
			func(c *constructs.RunnerCapacityProps) { c.MinimumScalingStepSize = -1 },
			[]string{`MinimumScalingStepSize must be 1 to 10000, got -1`},
		},
		"a least step above what ECS takes": {
			func(c *constructs.RunnerCapacityProps) { c.MinimumScalingStepSize = 20000 },
			[]string{`MinimumScalingStepSize must be 1 to 10000, got 20000`},
		},
		"a greatest step below the least": {
			func(c *constructs.RunnerCapacityProps) { c.MinimumScalingStepSize, c.MaximumScalingStepSize = 5, 4 },
			[]string{`MaximumScalingStepSize must be 5 to 10000, got 4`},
		},
		"a greatest step above what ECS takes": {
			func(c *constructs.RunnerCapacityProps) { c.MaximumScalingStepSize = 10001 },
			[]string{`MaximumScalingStepSize must be 1 to 10000, got 10001`},
		},
		"both steps out of range": {
			func(c *constructs.RunnerCapacityProps) { c.MinimumScalingStepSize, c.MaximumScalingStepSize = -2, -1 },
			[]string{
				`MinimumScalingStepSize must be 1 to 10000, got -2`,
				`MaximumScalingStepSize must be 1 to 10000, got -1`,
			},
		},
		"a negative warm-up": {
			func(c *constructs.RunnerCapacityProps) { c.InstanceWarmupPeriod = new(-time.Second) },
			[]string{`InstanceWarmupPeriod must be 0s to 10000s, in whole seconds, got -1s`},
		},
		"a warm-up above what ECS takes": {
			func(c *constructs.RunnerCapacityProps) {
				c.InstanceWarmupPeriod = new(10001 * time.Second)
			},
			[]string{`InstanceWarmupPeriod must be 0s to 10000s, in whole seconds, got 2h46m41s`},
		},
		"a warm-up with a fraction of a second": {
			func(c *constructs.RunnerCapacityProps) {
				c.InstanceWarmupPeriod = new(1500 * time.Millisecond)
			},
			[]string{`InstanceWarmupPeriod must be 0s to 10000s, in whole seconds, got 1.5s`},
		},
		"termination protection without managed scaling": {
			func(c *constructs.RunnerCapacityProps) {
				c.ManagedScaling, c.ManagedTerminationProtection = new(false), new(true)
			},
			[]string{`ManagedTerminationProtection must be false when ManagedScaling is false: ECS protects only the ` +
				`instances that it scales`},
		},
		"a negative weight": {
			func(c *constructs.RunnerCapacityProps) { c.Weight = new(-1) },
			[]string{`Weight must be 0 to 1000, got -1`},
		},
		"a weight above what ECS takes": {
			func(c *constructs.RunnerCapacityProps) { c.Weight = new(1001) },
			[]string{`Weight must be 0 to 1000, got 1001`},
		},
		"a negative base": {
			func(c *constructs.RunnerCapacityProps) { c.Base = -1 },
			[]string{`Base must be 0 to 100000, got -1`},
		},
		"a base above what ECS takes": {
			func(c *constructs.RunnerCapacityProps) { c.Base = 100001 },
			[]string{`Base must be 0 to 100000, got 100001`},
		},

		"negative reserved memory": {
			func(c *constructs.RunnerCapacityProps) {
				c.Agent = &constructs.AgentOptions{ReservedMemoryMiB: new(-1)}
			},
			[]string{`Agent.ReservedMemoryMiB must be 0 or more, got -1`},
		},
		"a clean-up that the agent would ignore": {
			func(c *constructs.RunnerCapacityProps) {
				c.Agent = &constructs.AgentOptions{TaskCleanupWait: 59 * time.Second}
			},
			[]string{`Agent.TaskCleanupWait must be 1m or more, in whole seconds, got 59s`},
		},
		"an unknown pull behaviour": {
			func(c *constructs.RunnerCapacityProps) {
				c.Agent = &constructs.AgentOptions{ImagePullBehavior: "never"}
			},
			[]string{`Agent.ImagePullBehavior must be default, always, once or prefer-cached, got "never"`},
		},
		"a variable that is none of the agent's": {
			func(c *constructs.RunnerCapacityProps) {
				c.Agent = &constructs.AgentOptions{Extra: map[string]string{"PATH": "/tmp", "ecs_loglevel": "debug"}}
			},
			[]string{
				`Agent.Extra["PATH"] is not the name of an agent variable, such as ECS_LOGLEVEL`,
				`Agent.Extra["ecs_loglevel"] is not the name of an agent variable, such as ECS_LOGLEVEL`,
			},
		},
		"a variable with a second one in its value": {
			func(c *constructs.RunnerCapacityProps) {
				c.Agent = &constructs.AgentOptions{Extra: map[string]string{
					"ECS_LOGLEVEL": "debug\nECS_CLUSTER=other",
					"ECS_LOGFILE":  "a\rb",
				}}
			},
			[]string{
				`Agent.Extra["ECS_LOGFILE"] must be one line, got "a\rb"`,
				`Agent.Extra["ECS_LOGLEVEL"] must be one line, got "debug\nECS_CLUSTER=other"`,
			},
		},
		"a variable with a second one in its name": {
			func(c *constructs.RunnerCapacityProps) {
				c.Agent = &constructs.AgentOptions{Extra: map[string]string{"ECS_A=1\nECS_CLUSTER": "other"}}
			},
			[]string{`Agent.Extra["ECS_A=1\nECS_CLUSTER"] is not the name of an agent variable, such as ECS_LOGLEVEL`},
		},

		"a capacity provider as AWS names its own": {
			func(c *constructs.RunnerCapacityProps) { c.CapacityProviderName = "FargateLike" },
			[]string{`CapacityProviderName must be at most 255 letters, digits, - and _, not beginning with aws, ecs or ` +
				`fargate in any case, got "FargateLike"`},
		},
		"a capacity provider with a dot": {
			func(c *constructs.RunnerCapacityProps) { c.CapacityProviderName = "my.runners" },
			[]string{`CapacityProviderName must be at most 255 letters, digits, - and _, not beginning with aws, ecs or ` +
				`fargate in any case, got "my.runners"`},
		},
		"an Auto Scaling group with a colon": {
			func(c *constructs.RunnerCapacityProps) { c.AutoScalingGroupName = "my:runners" },
			[]string{`AutoScalingGroupName must be at most 255 characters without a colon, got "my:runners"`},
		},
		"a launch template of two letters": {
			func(c *constructs.RunnerCapacityProps) { c.LaunchTemplateName = "ab" },
			[]string{`LaunchTemplateName must be 3 to 128 letters, digits and ( ) . / _ -, got "ab"`},
		},
		"names that are too long": {
			func(c *constructs.RunnerCapacityProps) {
				c.CapacityProviderName = strings.Repeat("p", 256)
				c.AutoScalingGroupName = strings.Repeat("g", 256)
				c.LaunchTemplateName = strings.Repeat("t", 129)
			},
			[]string{
				`CapacityProviderName must be at most 255 letters, digits, - and _, not beginning with aws, ecs or fargate in ` +
					`any case, got "` + strings.Repeat("p", 256) + `"`,
				`AutoScalingGroupName must be at most 255 characters without a colon, got "` + strings.Repeat("g", 256) + `"`,
				`LaunchTemplateName must be 3 to 128 letters, digits and ( ) . / _ -, got "` + strings.Repeat("t", 129) + `"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var given constructs.RunnerCapacityProps
			c.given(&given)
			problems := given.WithDefaults().Validate()
			assert.Equal(t, c.want, lines(problems))
		})
	}
}

func TestCapacity_Validate_RefusesVariablesThatAreWrittenAnyway(t *testing.T) {
	const hardening = "part of the host hardening"
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
		c := constructs.RunnerCapacityProps{Agent: &constructs.AgentOptions{Extra: map[string]string{
			name: "x",
		}}}.WithDefaults()
		assert.Equal(t,
			[]string{`Agent.Extra["` + name + `"] is a variable that ecsrunners writes itself: ` + reason},
			lines(c.Validate()))
	}
}

func TestCapacity_Validate_RefusesSecretsWithoutRepeatingThem(t *testing.T) {
	for name, instead := range map[string]string{
		"AWS_ACCESS_KEY_ID":     "the agent has the instance role",
		"AWS_SECRET_ACCESS_KEY": "the agent has the instance role",
		"AWS_SESSION_TOKEN":     "the agent has the instance role",
		"ECS_ENGINE_AUTH_DATA":  "give containers repository credentials from AWS Secrets Manager",
	} {
		c := constructs.RunnerCapacityProps{Agent: &constructs.AgentOptions{Extra: map[string]string{
			name: "hunter2\n",
		}}}.WithDefaults()
		assert.Equal(t,
			[]string{`Agent.Extra["` + name + `"] is a secret, and templates and user data are readable: ` + instead},
			lines(c.Validate()))
	}
}

func TestCapacity_Validate_AcceptsWhatIsAtTheLimit(t *testing.T) {
	for name, given := range map[string]constructs.RunnerCapacityProps{
		"the least": {
			MaxInstances: 1, Spot: &constructs.SpotOptions{}, RootVolumeSizeGiB: 30, RootVolumeThroughput: 125,
			MaxInstanceLifetime: 24 * time.Hour, InstanceWarmupPeriod: new(time.Duration(0)),
			TargetCapacityPercent: 1, MinimumScalingStepSize: 1, MaximumScalingStepSize: 1, Weight: new(0),
			Agent:                &constructs.AgentOptions{ReservedMemoryMiB: new(0), TaskCleanupWait: time.Minute},
			CapacityProviderName: "p", AutoScalingGroupName: "g", LaunchTemplateName: "tpl",
			ImageID: "ami-01234567", RootDeviceName: "/dev/sda1",
		},
		"the greatest": {
			MinInstances: 5000, MaxInstances: 5000, Spot: &constructs.SpotOptions{OnDemandBase: 5000, OnDemandPercentage: 100},
			RootVolumeSizeGiB: 16384, RootVolumeThroughput: 750, MaxInstanceLifetime: 8760 * time.Hour,
			InstanceWarmupPeriod: new(10000 * time.Second), TargetCapacityPercent: 100,
			MinimumScalingStepSize: 10000, MaximumScalingStepSize: 10000, Weight: new(1000), Base: 100000,
			CapacityProviderName: strings.Repeat("p", 255), AutoScalingGroupName: strings.Repeat("g", 255),
			LaunchTemplateName: strings.Repeat("t", 128),
			ImageID:            "ami-0123456789abcdef0",
		},
		"other images": {ImageID: "resolve:ssm:/golden-image/runner_v1.2:stable"},
		"names that only look reserved": {
			CapacityProviderName: "my-ecs_runners", LaunchTemplateName: "ecs/(runners).1-a_b",
			AutoScalingGroupName: "ecs runners/1",
		},
		"a warm pool": {
			InstanceTypes: []string{"m7i.large"}, MaxInstances: 4,
			WarmPool: &constructs.WarmPoolOptions{MinSize: 4, MaxPreparedCapacity: new(4), State: "RUNNING"},
		},
		"an empty warm pool": {
			InstanceTypes: []string{"m7i.large"},
			WarmPool:      &constructs.WarmPoolOptions{MinSize: 0, MaxPreparedCapacity: new(0), State: "RUNNING"},
		},
		"the agent's own variables": {Agent: &constructs.AgentOptions{
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
			assert.Empty(t, lines(given.WithDefaults().Validate()))
		})
	}
}

func TestCapacity_Warnings(t *testing.T) {
	type warnings = []string
	for name, c := range map[string]struct {
		given constructs.RunnerCapacityProps
		want  warnings
	}{
		"the defaults": {constructs.RunnerCapacityProps{}, nil},
		"an idle instance that stays": {
			constructs.RunnerCapacityProps{TargetCapacityPercent: 80},
			warnings{"ecsrunners:targetBelow100: TargetCapacityPercent is 80 with MinInstances 0: ECS keeps idle instances " +
				"below 100, so the capacity does not stay at zero; use 100 unless spare instances are wanted"},
		},
		"an idle instance that was asked for": {
			constructs.RunnerCapacityProps{TargetCapacityPercent: 80, MinInstances: 1},
			nil,
		},
		"a small step": {
			constructs.RunnerCapacityProps{MaximumScalingStepSize: 2},
			warnings{"ecsrunners:smallScalingStep: MaximumScalingStepSize 2 is below MaxInstances 10: a burst of jobs is " +
				"met in several rounds, an InstanceWarmupPeriod (2m) apart"},
		},
		"a warm-up shorter than a boot": {
			constructs.RunnerCapacityProps{InstanceWarmupPeriod: new(59 * time.Second)},
			warnings{"ecsrunners:shortWarmup: InstanceWarmupPeriod 59s is below 1m, less than an instance needs to boot and " +
				"register: ECS will count instances that are not there yet and start too many"},
		},
		"a warm-up of a minute": {constructs.RunnerCapacityProps{InstanceWarmupPeriod: new(time.Minute)}, nil},
		"what ECS does not scale": {
			constructs.RunnerCapacityProps{
				ManagedScaling: new(false), TargetCapacityPercent: 80, MaximumScalingStepSize: 2,
				InstanceWarmupPeriod: new(time.Duration(0)),
			},
			nil,
		},
		"types of unequal size": {
			constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large", "c7i.large", "m7i.xlarge"}},
			warnings{"ecsrunners:unequalInstanceTypes: InstanceTypes differ in size: m7i.large (2 vCPU, 8 GiB), c7i.large " +
				"(2 vCPU, 4 GiB), m7i.xlarge (4 vCPU, 16 GiB); managed scaling counts with the smallest, so tasks that fit " +
				"only a larger one never start"},
		},
		"types of unknown size": {
			constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large", "c5n.large", "i7ie.large"}},
			warnings{"ecsrunners:unknownInstanceTypes: InstanceTypes has types whose size this library does not know: " +
				"c5n.large, i7ie.large; make sure that all have the same vCPU and memory, because managed scaling counts with " +
				"the smallest"},
		},
		"a single type of unknown size": {constructs.RunnerCapacityProps{InstanceTypes: []string{"c5n.large"}}, nil},
		"everything at once": {
			constructs.RunnerCapacityProps{
				TargetCapacityPercent: 90, MaximumScalingStepSize: 1, InstanceWarmupPeriod: new(time.Duration(0)),
				InstanceTypes: []string{"t3.micro", "t3.nano", "g5.xlarge"},
			},
			warnings{
				"ecsrunners:targetBelow100: TargetCapacityPercent is 90 with MinInstances 0: ECS keeps idle instances below " +
					"100, so the capacity does not stay at zero; use 100 unless spare instances are wanted",
				"ecsrunners:smallScalingStep: MaximumScalingStepSize 1 is below MaxInstances 10: a burst of jobs is met in " +
					"several rounds, an InstanceWarmupPeriod (0s) apart",
				"ecsrunners:shortWarmup: InstanceWarmupPeriod 0s is below 1m, less than an instance needs to boot and " +
					"register: ECS will count instances that are not there yet and start too many",
				"ecsrunners:unequalInstanceTypes: InstanceTypes differ in size: t3.micro (2 vCPU, 1 GiB), t3.nano (2 vCPU, 0.5 " +
					"GiB); managed scaling counts with the smallest, so tasks that fit only a larger one never start",
				"ecsrunners:unknownInstanceTypes: InstanceTypes has types whose size this library does not know: g5.xlarge; " +
					"make sure that all have the same vCPU and memory, because managed scaling counts with the smallest",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			given := c.given.WithDefaults()
			require.Empty(t, lines(given.Validate()), "warnings are about what works")
			assert.Equal(t, c.want, constructs.Warnings(given))
		})
	}
}

// lines are the problems that an error names.
func lines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
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
			if v.Type().Field(i).Tag.Get("json") != "-" { // a reference
				fill(t, v.Field(i))
			}
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
			if a.Type().Field(i).Tag.Get("json") == "-" {
				continue
			}
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
