package constructs_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
)

func TestRunnerCapacity_ByDefaultIsHardenedAndScalesFromZero(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	capacity := cluster.DefaultCapacity()
	template := cdktest.Template(stack)
	launchTemplate := cdktest.Properties(t, template, capacity.LaunchTemplate())

	assertAt(t, launchTemplate, []expectation{
		{"LaunchTemplateName", nil, "a second stack would collide"},
		{"LaunchTemplateData.ImageId", "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id", "EC2 must read the image at each launch, so that fixes come without a deployment"},
		{"LaunchTemplateData.InstanceType", nil, "the group's overrides name the types"},
		{"LaunchTemplateData.IamInstanceProfile.Arn", resolved(stack, cluster.InstanceProfile().InstanceProfileArn()), "the agent would have no credentials"},
		{"LaunchTemplateData.MetadataOptions", map[string]any{
			"HttpTokens": "required", "HttpPutResponseHopLimit": 1.0, "HttpProtocolIpv6": "disabled",
		}, "a job could take the instance's credentials and, with them, those of every task on it"},
		{"LaunchTemplateData.BlockDeviceMappings", []any{map[string]any{
			"DeviceName": "/dev/xvda",
			"Ebs":        map[string]any{"VolumeType": "gp3", "VolumeSize": 50.0, "Throughput": 125.0, "Encrypted": true, "DeleteOnTermination": true},
		}}, "workspaces lie on this volume"},
		{"LaunchTemplateData.NetworkInterfaces", []any{map[string]any{
			"DeviceIndex": 0.0, "AssociatePublicIpAddress": true,
			"Groups": []any{resolved(stack, cluster.SecurityGroup().SecurityGroupId())},
		}}, "in a subnet without NAT an instance without an address reaches neither GitHub nor ECS"},
	})
	assertAt(t, cdktest.Properties(t, template, capacity.AutoScalingGroup()), []expectation{
		{"AutoScalingGroupName", nil, "a second stack would collide"},
		{"MinSize", "0", "an idle cluster would cost money"},
		{"MaxSize", "10", "ten jobs at a time"},
		{"DesiredCapacity", nil, "each deployment would reset what ECS has set, and kill jobs"},
		{"MaxInstanceLifetime", nil, "replacement kills jobs"},
		{"NewInstancesProtectedFromScaleIn", true, "managed termination protection does not work without it"},
		{"Tags", []any{map[string]any{"Key": "AmazonECSManaged", "Value": "", "PropagateAtLaunch": true}}, "without this tag ECS stops scaling"},
		{"VPCZoneIdentifier", []any{
			resolved(stack, (*cluster.VPC().PublicSubnets())[0].SubnetId()), resolved(stack, (*cluster.VPC().PublicSubnets())[1].SubnetId()),
		}, "one zone can run out of instances"},
		{"LaunchTemplate", nil, "the mixed instances policy has it"},
		{"MixedInstancesPolicy.InstancesDistribution", map[string]any{
			"OnDemandAllocationStrategy": "prioritized", "OnDemandPercentageAboveBaseCapacity": 100.0,
		}, "without Spot no job may be lost to the Spot market, and the first type is the preferred one"},
		{"MixedInstancesPolicy.LaunchTemplate.Overrides", []any{
			map[string]any{"InstanceType": "m7i-flex.large"}, map[string]any{"InstanceType": "m7i.large"}, map[string]any{"InstanceType": "m6i.large"},
		}, "jobs would wait whenever AWS is short of one type"},
		{"MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification", map[string]any{
			"LaunchTemplateId": resolved(stack, capacity.LaunchTemplate().LaunchTemplateId()),
			"Version":          resolved(stack, capacity.LaunchTemplate().LatestVersionNumber()),
		}, "new settings would not reach new instances"},
	})
	assert.Equal(t, map[string]any{
		"AutoScalingGroupProvider": map[string]any{
			"AutoScalingGroupArn": map[string]any{"Ref": cdktest.LogicalID(t, capacity.AutoScalingGroup())},
			"ManagedScaling": map[string]any{
				"Status": "ENABLED", "TargetCapacity": 100.0,
				"MinimumScalingStepSize": 1.0, "MaximumScalingStepSize": 10.0, "InstanceWarmupPeriod": 120.0,
			},
			"ManagedTerminationProtection": "ENABLED",
			"ManagedDraining":              "ENABLED",
		},
	}, cdktest.Properties(t, template, capacity.CapacityProvider()), "this is what scales from zero, meets a burst at once and spares running jobs")

	agentConfig := agentConfig(t, template, capacity)
	assert.Equal(t, []string{
		"ECS_AWSVPC_BLOCK_IMDS=true",
		fmt.Sprintf("ECS_CLUSTER=${%s}", cdktest.LogicalID(t, cluster.Cluster())),
		"ECS_DISABLE_PRIVILEGED=true",
		"ECS_ENABLE_TASK_IAM_ROLE=true",
		"ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=false",
		"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=10m0s",
		"ECS_IMAGE_PULL_BEHAVIOR=default",
		"ECS_RESERVED_MEMORY=256",
	}, agentConfig)
	assert.Contains(t, userData(t, template, capacity), "drop iptables -d 169.254.169.254/32", "containers could reach the instance's credentials")
}

// Each row sets props and says where in the template they must arrive.
func TestRunnerCapacity_EveryPropReachesTheTemplate(t *testing.T) {
	seconds := func(n int) awscdk.Duration { return awscdk.Duration_Seconds(jsii.Number(n)) }
	const (
		instanceType   = "LaunchTemplateData.InstanceType"
		managedScaling = "AutoScalingGroupProvider.ManagedScaling"
		protection     = "AutoScalingGroupProvider.ManagedTerminationProtection"
		draining       = "AutoScalingGroupProvider.ManagedDraining"
	)
	tests := []struct {
		name           string
		props          constructs.RunnerCapacityProps
		launchTemplate []expectation
		group          []expectation
		provider       []expectation
		agent          []string
	}{
		{
			name:  "Graviton",
			props: constructs.RunnerCapacityProps{Architecture: constructs.ARM64},
			launchTemplate: []expectation{
				{"LaunchTemplateData.ImageId", "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id", "an x64 image does not boot on Graviton"},
			},
			group: []expectation{{"MixedInstancesPolicy.LaunchTemplate.Overrides", []any{
				map[string]any{"InstanceType": "m8g.large"}, map[string]any{"InstanceType": "m7g.large"}, map[string]any{"InstanceType": "m6g.large"},
			}, "an arm64 image does not boot on x64"}},
		},
		{
			name:           "one instance type",
			props:          constructs.RunnerCapacityProps{InstanceTypes: []string{"c7i.xlarge"}},
			launchTemplate: []expectation{{instanceType, "c7i.xlarge", "EC2 could not launch anything"}},
			group: []expectation{
				{"MixedInstancesPolicy", nil, "it is of no use with one type, and excludes warm pools"},
			},
		},
		{
			name:           "several instance types",
			props:          constructs.RunnerCapacityProps{InstanceTypes: []string{"c7i.xlarge", "c6i.xlarge"}},
			launchTemplate: []expectation{{instanceType, nil, "the overrides name the types"}},
			group: []expectation{{"MixedInstancesPolicy.LaunchTemplate.Overrides", []any{
				map[string]any{"InstanceType": "c7i.xlarge"}, map[string]any{"InstanceType": "c6i.xlarge"},
			}, "EC2 prefers them in this order"}},
		},
		{
			name:  "a range of instances",
			props: constructs.RunnerCapacityProps{MinInstances: 2, MaxInstances: 40},
			group: []expectation{
				{"MinSize", "2", "jobs would wait for instances that should be there"},
				{"MaxSize", "40", "jobs would wait, or the bill would grow"},
				{"DesiredCapacity", nil, "each deployment would reset what ECS has set"},
			},
			provider: []expectation{{managedScaling + ".MaximumScalingStepSize", 40, "a burst would be met in several rounds"}},
		},
		{
			name:  "Spot, all of it",
			props: constructs.RunnerCapacityProps{Spot: &constructs.Spot{}},
			group: []expectation{{"MixedInstancesPolicy.InstancesDistribution", map[string]any{
				"OnDemandAllocationStrategy": "prioritized", "OnDemandBaseCapacity": 0.0, "OnDemandPercentageAboveBaseCapacity": 0.0,
				"SpotAllocationStrategy": "price-capacity-optimized",
			}, "instances would be bought at another price than asked for"}},
			agent: []string{"ECS_ENABLE_SPOT_INSTANCE_DRAINING=true"},
		},
		{
			name: "Spot, some of it, one type",
			props: constructs.RunnerCapacityProps{
				InstanceTypes: []string{"m7i.large"},
				Spot:          &constructs.Spot{OnDemandBase: 2, OnDemandPercentage: 25, AllocationStrategy: awsautoscaling.SpotAllocationStrategy_LOWEST_PRICE},
			},
			launchTemplate: []expectation{{instanceType, nil, "the overrides name the types"}},
			group: []expectation{
				{"MixedInstancesPolicy.InstancesDistribution", map[string]any{
					"OnDemandAllocationStrategy": "prioritized", "OnDemandBaseCapacity": 2.0, "OnDemandPercentageAboveBaseCapacity": 25.0,
					"SpotAllocationStrategy": "lowest-price",
				}, "instances would be bought at another price than asked for"},
				{"MixedInstancesPolicy.LaunchTemplate.Overrides", []any{map[string]any{"InstanceType": "m7i.large"}}, "EC2 could not launch anything"},
			},
		},
		{
			name:           "an AMI",
			props:          constructs.RunnerCapacityProps{ImageID: "ami-0123456789abcdef0"},
			launchTemplate: []expectation{{"LaunchTemplateData.ImageId", "ami-0123456789abcdef0", "instances would run another image"}},
		},
		{
			name: "a root volume",
			props: constructs.RunnerCapacityProps{
				RootDeviceName: "/dev/sda1", RootVolumeSizeGiB: 200, RootVolumeThroughput: 500,
			},
			launchTemplate: []expectation{
				{"LaunchTemplateData.BlockDeviceMappings.0.DeviceName", "/dev/sda1", "a second volume would be added, the root volume left as it is"},
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.VolumeSize", 200, "jobs would run out of disk"},
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.Throughput", 500, "jobs would wait for the disk"},
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.Encrypted", true, "workspaces lie on this volume"},
			},
		},
		{
			name:           "no public address",
			props:          constructs.RunnerCapacityProps{AssociatePublicIPAddress: jsii.Bool(false)},
			launchTemplate: []expectation{{"LaunchTemplateData.NetworkInterfaces.0.AssociatePublicIpAddress", false, "instances would be in the internet"}},
		},
		{
			name:  "a maximum lifetime",
			props: constructs.RunnerCapacityProps{MaxInstanceLifetime: awscdk.Duration_Days(jsii.Number(7))},
			group: []expectation{{"MaxInstanceLifetime", 604800, "instances would grow old with their AMI"}},
		},
		{
			name:  "a warm pool",
			props: constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large"}, WarmPool: &constructs.WarmPool{MinSize: 1, MaxPreparedCapacity: new(4), State: awsautoscaling.PoolState_RUNNING}},
			agent: []string{"ECS_WARM_POOLS_CHECK=true"},
		},
		{
			name:  "no managed scaling",
			props: constructs.RunnerCapacityProps{ManagedScaling: jsii.Bool(false)},
			group: []expectation{{"NewInstancesProtectedFromScaleIn", nil, "whoever scales the group could not scale in"}},
			provider: []expectation{
				{managedScaling, map[string]any{"Status": "DISABLED"}, "ECS and another would both set the number of instances"},
				{protection, "DISABLED", "ECS refuses it without managed scaling"},
				{draining, "ENABLED", "draining does not depend on scaling"},
			},
		},
		{
			name: "other scaling",
			props: constructs.RunnerCapacityProps{
				MaxInstances: 100, TargetCapacityPercent: 80, MinimumScalingStepSize: 2, MaximumScalingStepSize: 50, InstanceWarmupPeriod: seconds(300),
			},
			provider: []expectation{{managedScaling, map[string]any{
				"Status": "ENABLED", "TargetCapacity": 80.0, "MinimumScalingStepSize": 2.0, "MaximumScalingStepSize": 50.0, "InstanceWarmupPeriod": 300.0,
			}, "ECS would scale in another way than asked for"}},
		},
		{
			name:  "no protection and no draining",
			props: constructs.RunnerCapacityProps{ManagedTerminationProtection: jsii.Bool(false), ManagedDraining: jsii.Bool(false)},
			group: []expectation{{"NewInstancesProtectedFromScaleIn", nil, "instances would stay protected"}},
			provider: []expectation{
				{protection, "DISABLED", "instances would stay protected"},
				{draining, "DISABLED", "it was turned off"},
			},
		},
		{
			name: "another agent",
			props: constructs.RunnerCapacityProps{Agent: &constructs.Agent{
				ReservedMemoryMiB: new(0), TaskCleanupWait: seconds(90), ImagePullBehavior: "prefer-cached", Privileged: true,
				Extra: map[string]string{"ECS_LOGLEVEL": "debug", "HTTP_PROXY": "http://proxy:3128"},
			}},
			agent: []string{
				"ECS_RESERVED_MEMORY=0", "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=1m30s", "ECS_IMAGE_PULL_BEHAVIOR=prefer-cached",
				"ECS_DISABLE_PRIVILEGED=false", "ECS_LOGLEVEL=debug", "HTTP_PROXY=http://proxy:3128",
			},
		},
		{
			name:           "names",
			props:          constructs.RunnerCapacityProps{CapacityProviderName: "runners-x64", AutoScalingGroupName: "runners x64", LaunchTemplateName: "runners/x64"},
			launchTemplate: []expectation{{"LaunchTemplateName", "runners/x64", "others refer to the template by its name"}},
			group:          []expectation{{"AutoScalingGroupName", "runners x64", "others refer to the group by its name"}},
			provider:       []expectation{{"Name", "runners-x64", "tasks name the provider"}},
		},
		{
			name: "the least of everything",
			props: constructs.RunnerCapacityProps{
				MaxInstances: 1, RootVolumeSizeGiB: 30, RootVolumeThroughput: 125, MaxInstanceLifetime: awscdk.Duration_Days(jsii.Number(1)),
				TargetCapacityPercent: 1, MinimumScalingStepSize: 1, MaximumScalingStepSize: 1, InstanceWarmupPeriod: seconds(0),
			},
			group: []expectation{{"MaxInstanceLifetime", 86400, "a limit that we allow must arrive"}},
			provider: []expectation{{managedScaling, map[string]any{
				"Status": "ENABLED", "TargetCapacity": 1.0, "MinimumScalingStepSize": 1.0, "MaximumScalingStepSize": 1.0, "InstanceWarmupPeriod": 0.0,
			}, "a limit that we allow must arrive"}},
		},
		{
			name: "the most of everything",
			props: constructs.RunnerCapacityProps{
				MinInstances: 5000, MaxInstances: 5000, RootVolumeSizeGiB: 16384, RootVolumeThroughput: 750, MaxInstanceLifetime: awscdk.Duration_Days(jsii.Number(365)),
				TargetCapacityPercent: 100, MinimumScalingStepSize: 10000, MaximumScalingStepSize: 10000, InstanceWarmupPeriod: seconds(10000), Weight: new(1000), Base: 100000,
			},
			launchTemplate: []expectation{
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.VolumeSize", 16384, "a limit that we allow must arrive"},
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.Throughput", 750, "a limit that we allow must arrive"},
			},
			provider: []expectation{{managedScaling, map[string]any{
				"Status": "ENABLED", "TargetCapacity": 100.0, "MinimumScalingStepSize": 10000.0, "MaximumScalingStepSize": 10000.0, "InstanceWarmupPeriod": 10000.0,
			}, "a limit that we allow must arrive"}},
		},
	}

	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	capacities := make([]*constructs.RunnerCapacity, len(tests))
	for i := range tests {
		capacities[i] = cluster.AddCapacity(fmt.Sprintf("Capacity%d", i), &tests[i].props)
	}
	template := cdktest.Template(stack)

	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			capacity := capacities[i]
			assertAt(t, cdktest.Properties(t, template, capacity.LaunchTemplate()), test.launchTemplate)
			group := cdktest.Properties(t, template, capacity.AutoScalingGroup())
			assertAt(t, group, test.group)
			assertAt(t, cdktest.Properties(t, template, capacity.CapacityProvider()), test.provider)
			assert.Subset(t, agentConfig(t, template, capacity), test.agent, "the agent would behave otherwise")

			launchTemplate := cdktest.At(group, "LaunchTemplate")
			if launchTemplate == nil {
				launchTemplate = cdktest.At(group, "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification")
			}
			assertAt(t, launchTemplate, []expectation{{"LaunchTemplateId", resolved(stack, capacity.LaunchTemplate().LaunchTemplateId()), "instances would be those of another capacity"}})
		})
	}
	t.Run("no prop forgotten", func(t *testing.T) {
		set := map[string]bool{
			"MachineImage": true, // TestRunnerCapacity_TakesAMachineImage
			"UpdatePolicy": true, // TestRunnerCapacity_TakesAnUpdatePolicy
		}
		for _, test := range tests {
			collectSet(set, "", reflect.ValueOf(test.props))
		}
		for _, field := range fields("", reflect.TypeFor[constructs.RunnerCapacityProps]()) {
			assert.Truef(t, set[field], "no row sets %s: nothing shows that it reaches the template", field)
		}
	})
	t.Run("no function drains instances", func(t *testing.T) {
		assert.Zero(t, cdktest.Inventory(template)["AWS::Lambda::Function"], "the CDK adds one, with a topic and a hook, when it thinks that ECS does not drain")
	})
}

func TestRunnerCapacity_TakesAMachineImage(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		DefaultCapacity: &constructs.RunnerCapacityProps{MachineImage: awsecs.EcsOptimizedImage_AmazonLinux2023(awsecs.AmiHardwareType_STANDARD, nil)},
	})
	template := cdktest.Template(stack)

	image := cdktest.At(cdktest.Properties(t, template, cluster.DefaultCapacity().LaunchTemplate()), "LaunchTemplateData.ImageId.Ref")
	require.NotNil(t, image, "instances would run another image")
	assert.Equal(t, "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id", cdktest.At(template, fmt.Sprintf("Parameters.%s.Default", image)))
	assert.Contains(t, agentConfig(t, template, cluster.DefaultCapacity()), fmt.Sprintf("ECS_CLUSTER=${%s}", cdktest.LogicalID(t, cluster.Cluster())),
		"the image's own user data would replace the hardening")
}

func TestRunnerCapacity_TakesAnUpdatePolicy(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{DefaultCapacity: &constructs.RunnerCapacityProps{
		UpdatePolicy: awsautoscaling.UpdatePolicy_RollingUpdate(&awsautoscaling.RollingUpdateOptions{MaxBatchSize: jsii.Number(3)}),
	}})
	plain := cluster.AddCapacity("Plain", nil)
	template := cdktest.Template(stack)

	assertAt(t, cdktest.Definition(t, template, cluster.DefaultCapacity().AutoScalingGroup()), []expectation{
		{"UpdatePolicy.AutoScalingRollingUpdate.MaxBatchSize", 3, "running instances would keep their old settings"},
	})
	assertAt(t, cdktest.Definition(t, template, plain.AutoScalingGroup()), []expectation{
		{"UpdatePolicy.AutoScalingRollingUpdate", nil, "a deployment would kill jobs"},
		{"UpdatePolicy.AutoScalingReplacingUpdate", nil, "a deployment would kill jobs"},
	})
}

func TestRunnerCapacity_WarmPool(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	oneType := func(pool constructs.WarmPool) *constructs.RunnerCapacityProps {
		return &constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large"}, WarmPool: &pool}
	}
	stopped := cluster.AddCapacity("Stopped", oneType(constructs.WarmPool{}))
	running := cluster.AddCapacity("Running", oneType(constructs.WarmPool{MinSize: 2, MaxPreparedCapacity: new(5), State: awsautoscaling.PoolState_RUNNING}))
	template := cdktest.Template(stack)

	pools := map[any]any{}
	for _, pool := range cdktest.Resources(template, "AWS::AutoScaling::WarmPool") {
		pools[cdktest.At(pool, "AutoScalingGroupName.Ref")] = pool
	}
	require.Len(t, pools, 2)
	assertAt(t, pools[cdktest.LogicalID(t, stopped.AutoScalingGroup())], []expectation{
		{"PoolState", "Stopped", "a running pool is charged for in full"},
		{"MinSize", 0, "a pool is charged for"},
		{"MaxGroupPreparedCapacity", nil, "EC2 takes MaxInstances then"},
		{"InstanceReusePolicy.ReuseOnScaleIn", false, "ECS does not support it"},
	})
	assertAt(t, pools[cdktest.LogicalID(t, running.AutoScalingGroup())], []expectation{
		{"PoolState", "Running", "instances would start more slowly than asked for"},
		{"MinSize", 2, "instances would be missing"},
		{"MaxGroupPreparedCapacity", 5, "the pool would cost more"},
	})
}

// Each row is one way in which props of a capacity cannot work. It is held
// against both ways to make one.
func TestRunnerCapacity_FailsWhen(t *testing.T) {
	seconds := func(n float64) awscdk.Duration { return awscdk.Duration_Seconds(&n) }
	image := awsecs.EcsOptimizedImage_AmazonLinux2023(awsecs.AmiHardwareType_STANDARD, nil)
	oneType := []string{"m7i.large"}
	const (
		noSpot  = "WarmPool: got a warm pool with Spot; allowed: a warm pool with On-Demand instances only: leave out Spot or WarmPool"
		noMixed = "WarmPool: got a warm pool with 3 instance types; allowed: a warm pool with a single instance type: give one in InstanceTypes, or leave out WarmPool"
	)
	extra := func(name, value string) constructs.RunnerCapacityProps {
		return constructs.RunnerCapacityProps{Agent: &constructs.Agent{Extra: map[string]string{name: value}}}
	}
	own := func(name, reason string) []string {
		return []string{fmt.Sprintf(`Agent.Extra[%q]: got "x"; allowed: variables that ecsrunners does not write itself (%s)`, name, reason)}
	}
	tests := []struct {
		name  string
		props constructs.RunnerCapacityProps
		want  []string
	}{
		{
			"there are no runners for the architecture",
			constructs.RunnerCapacityProps{Architecture: "riscv", InstanceTypes: oneType, ImageID: "ami-0123456789abcdef0"},
			[]string{`Architecture: got "riscv"; allowed: x64, arm64`},
		},
		{
			"the list of instance types is empty",
			constructs.RunnerCapacityProps{InstanceTypes: []string{}},
			[]string{"InstanceTypes: got an empty list; allowed: at least one instance type, or none given for the default"},
		},
		{
			"an instance type is none",
			constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large", "large"}},
			[]string{`InstanceTypes[1]: got "large"; allowed: an instance type such as "m7i.large"`},
		},
		{
			"an instance type is of another architecture",
			constructs.RunnerCapacityProps{InstanceTypes: []string{"m7g.large"}},
			[]string{`InstanceTypes[0]: got "m7g.large"; allowed: types of architecture x64; this one is arm64`},
		},
		{
			"an instance type is of another architecture, the other way round",
			constructs.RunnerCapacityProps{Architecture: constructs.ARM64, InstanceTypes: []string{"m8g.large", "m7i.large"}},
			[]string{`InstanceTypes[1]: got "m7i.large"; allowed: types of architecture arm64; this one is x64`},
		},
		{
			"an instance type is there twice",
			constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large", "m7i.large"}},
			[]string{`InstanceTypes[1]: got "m7i.large"; allowed: each instance type once`},
		},
		{
			"more instances must run than may",
			constructs.RunnerCapacityProps{MinInstances: 11, MaxInstances: 10},
			[]string{"MinInstances: got 11; allowed: 0 to 10"},
		},
		{
			"fewer than no instances must run",
			constructs.RunnerCapacityProps{MinInstances: -1},
			[]string{"MinInstances: got -1; allowed: 0 to 10"},
		},
		{
			"fewer than no instances may run",
			constructs.RunnerCapacityProps{MaxInstances: -1},
			[]string{"MaxInstances: got -1; allowed: 1 to 5000"},
		},
		{
			"more instances may run than ECS has in a cluster",
			constructs.RunnerCapacityProps{MaxInstances: 5001},
			[]string{"MaxInstances: got 5001; allowed: 1 to 5000"},
		},
		{
			"the On-Demand base is above the instances",
			constructs.RunnerCapacityProps{MaxInstances: 3, Spot: &constructs.Spot{OnDemandBase: 4}},
			[]string{"Spot.OnDemandBase: got 4; allowed: 0 to 3"},
		},
		{
			"the On-Demand share is above the whole",
			constructs.RunnerCapacityProps{Spot: &constructs.Spot{OnDemandPercentage: 101}},
			[]string{"Spot.OnDemandPercentage: got 101; allowed: 0 to 100"},
		},
		{
			"the allocation strategy is none of EC2's",
			constructs.RunnerCapacityProps{Spot: &constructs.Spot{AllocationStrategy: "CHEAPEST"}},
			[]string{`Spot.AllocationStrategy: got "cheapest"; allowed: price-capacity-optimized, capacity-optimized, capacity-optimized-prioritized, lowest-price`},
		},
		{
			"the image is none",
			constructs.RunnerCapacityProps{ImageID: "ubuntu"},
			[]string{`ImageID: got "ubuntu"; allowed: an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a parameter`},
		},
		{
			"there are two images",
			constructs.RunnerCapacityProps{ImageID: "ami-0123456789abcdef0", MachineImage: image},
			[]string{`ImageID: got "ami-0123456789abcdef0"; allowed: ImageID or MachineImage, not both`},
		},
		{
			"the root device is none",
			constructs.RunnerCapacityProps{RootDeviceName: "xvda"},
			[]string{`RootDeviceName: got "xvda"; allowed: a device such as "/dev/xvda"`},
		},
		{
			"the root volume is smaller than the image",
			constructs.RunnerCapacityProps{RootVolumeSizeGiB: 29},
			[]string{"RootVolumeSizeGiB: got 29; allowed: 30 to 16384"},
		},
		{
			"the root volume is larger than gp3",
			constructs.RunnerCapacityProps{RootVolumeSizeGiB: 16385},
			[]string{"RootVolumeSizeGiB: got 16385; allowed: 30 to 16384"},
		},
		{
			"the root volume is faster than its IOPS allow",
			constructs.RunnerCapacityProps{RootVolumeThroughput: 751},
			[]string{"RootVolumeThroughput: got 751; allowed: 125 to 750"},
		},
		{
			"instances live shorter than EC2 Auto Scaling can tell",
			constructs.RunnerCapacityProps{MaxInstanceLifetime: awscdk.Duration_Hours(jsii.Number(23))},
			[]string{"MaxInstanceLifetime: got 23h; allowed: 24h to 8760h (1 to 365 days), in whole seconds"},
		},
		{
			"instances live longer than EC2 Auto Scaling can tell",
			constructs.RunnerCapacityProps{MaxInstanceLifetime: awscdk.Duration_Days(jsii.Number(366))},
			[]string{"MaxInstanceLifetime: got 8784h; allowed: 24h to 8760h (1 to 365 days), in whole seconds"},
		},
		{
			"a warm pool meets Spot",
			constructs.RunnerCapacityProps{InstanceTypes: oneType, Spot: &constructs.Spot{}, WarmPool: &constructs.WarmPool{}},
			[]string{noSpot},
		},
		{
			"a warm pool meets several instance types",
			constructs.RunnerCapacityProps{WarmPool: &constructs.WarmPool{}},
			[]string{noMixed},
		},
		{
			"a warm pool meets both",
			constructs.RunnerCapacityProps{Spot: &constructs.Spot{}, WarmPool: &constructs.WarmPool{}},
			[]string{noSpot, noMixed},
		},
		{
			"a warm pool is smaller than empty",
			constructs.RunnerCapacityProps{InstanceTypes: oneType, WarmPool: &constructs.WarmPool{MinSize: -1}},
			[]string{"WarmPool.MinSize: got -1; allowed: 0 to MaxInstances (10)"},
		},
		{
			"a warm pool prepares more than may run",
			constructs.RunnerCapacityProps{InstanceTypes: oneType, WarmPool: &constructs.WarmPool{MaxPreparedCapacity: new(11)}},
			[]string{"WarmPool.MaxPreparedCapacity: got 11; allowed: MinSize (0) to MaxInstances (10)"},
		},
		{
			"a warm pool prepares less than it holds",
			constructs.RunnerCapacityProps{InstanceTypes: oneType, WarmPool: &constructs.WarmPool{MinSize: 3, MaxPreparedCapacity: new(2)}},
			[]string{"WarmPool.MaxPreparedCapacity: got 2; allowed: MinSize (3) to MaxInstances (10)"},
		},
		{
			"a warm pool waits in no state of EC2's",
			constructs.RunnerCapacityProps{InstanceTypes: oneType, WarmPool: &constructs.WarmPool{State: "ASLEEP"}},
			[]string{`WarmPool.State: got "asleep"; allowed: stopped, running`},
		},
		{
			"the target is above all instances",
			constructs.RunnerCapacityProps{TargetCapacityPercent: 101},
			[]string{"TargetCapacityPercent: got 101; allowed: 1 to 100"},
		},
		{
			"the target is below none",
			constructs.RunnerCapacityProps{TargetCapacityPercent: -1},
			[]string{"TargetCapacityPercent: got -1; allowed: 1 to 100"},
		},
		{
			"the least step is above ECS's",
			constructs.RunnerCapacityProps{MinimumScalingStepSize: 10001, MaximumScalingStepSize: 10001},
			[]string{"MinimumScalingStepSize: got 10001; allowed: 1 to 10000", "MaximumScalingStepSize: got 10001; allowed: 10000 to 10000"},
		},
		{
			"the greatest step is below the least",
			constructs.RunnerCapacityProps{MinimumScalingStepSize: 5, MaximumScalingStepSize: 4},
			[]string{"MaximumScalingStepSize: got 4; allowed: 5 to 10000"},
		},
		{
			"the warm-up is longer than ECS waits",
			constructs.RunnerCapacityProps{InstanceWarmupPeriod: seconds(10001)},
			[]string{"InstanceWarmupPeriod: got 2h46m41s; allowed: 0s to 10000s, in whole seconds"},
		},
		{
			"the warm-up is no whole number of seconds",
			constructs.RunnerCapacityProps{InstanceWarmupPeriod: awscdk.Duration_Millis(jsii.Number(90500))},
			[]string{"InstanceWarmupPeriod: got 1m30.5s; allowed: 0s to 10000s, in whole seconds"},
		},
		{
			"instances are protected without managed scaling",
			constructs.RunnerCapacityProps{ManagedScaling: jsii.Bool(false), ManagedTerminationProtection: jsii.Bool(true)},
			[]string{"ManagedTerminationProtection: got true; allowed: false when ManagedScaling is false: ECS protects only the instances that it scales"},
		},
		{
			"the weight is above ECS's",
			constructs.RunnerCapacityProps{Weight: new(1001)},
			[]string{"Weight: got 1001; allowed: 0 to 1000"},
		},
		{
			"the weight is negative",
			constructs.RunnerCapacityProps{Weight: new(-1)},
			[]string{"Weight: got -1; allowed: 0 to 1000"},
		},
		{
			"the base is above ECS's",
			constructs.RunnerCapacityProps{Base: 100001},
			[]string{"Base: got 100001; allowed: 0 to 100000"},
		},
		{
			"the base is negative",
			constructs.RunnerCapacityProps{Base: -1},
			[]string{"Base: got -1; allowed: 0 to 100000"},
		},
		{
			"the agent reserves less than nothing",
			constructs.RunnerCapacityProps{Agent: &constructs.Agent{ReservedMemoryMiB: new(-1)}},
			[]string{"Agent.ReservedMemoryMiB: got -1; allowed: 0 or more"},
		},
		{
			"the agent cleans up faster than it can",
			constructs.RunnerCapacityProps{Agent: &constructs.Agent{TaskCleanupWait: seconds(59)}},
			[]string{"Agent.TaskCleanupWait: got 59s; allowed: 1m or more"},
		},
		{
			"the agent pulls images in no way of its own",
			constructs.RunnerCapacityProps{Agent: &constructs.Agent{ImagePullBehavior: "never"}},
			[]string{`Agent.ImagePullBehavior: got "never"; allowed: default, always, once, prefer-cached`},
		},
		{
			"a variable of the agent has a prop of its own",
			extra("ECS_IMAGE_PULL_BEHAVIOR", "x"), own("ECS_IMAGE_PULL_BEHAVIOR", "use ImagePullBehavior"),
		},
		{
			"a variable of the agent would join another cluster",
			extra("ECS_CLUSTER", "x"), own("ECS_CLUSTER", "the capacity's own cluster"),
		},
		{
			"a variable of the agent would undo the hardening",
			extra("ECS_AWSVPC_BLOCK_IMDS", "x"), own("ECS_AWSVPC_BLOCK_IMDS", "part of the host's hardening"),
		},
		{
			"a variable is none of the agent's",
			extra("PATH", "/bin"),
			[]string{`Agent.Extra["PATH"]: got "/bin"; allowed: names of agent variables such as ECS_LOGLEVEL`},
		},
		{
			"a variable of the agent smuggles in another",
			extra("ECS_LOGLEVEL", "debug\nECS_CLUSTER=other"),
			[]string{`Agent.Extra["ECS_LOGLEVEL"]: got "debug\nECS_CLUSTER=other"; allowed: one line`},
		},
		{
			"ECS refuses the name of the capacity provider",
			constructs.RunnerCapacityProps{CapacityProviderName: "EcsRunners"},
			[]string{`CapacityProviderName: got "EcsRunners"; allowed: at most 255 letters, digits, - and _, not beginning with aws, ecs or fargate in any case`},
		},
		{
			"the name of the capacity provider has characters that ECS refuses",
			constructs.RunnerCapacityProps{CapacityProviderName: "my runners"},
			[]string{`CapacityProviderName: got "my runners"; allowed: at most 255 letters, digits, - and _, not beginning with aws, ecs or fargate in any case`},
		},
		{
			"the name of the group has a colon",
			constructs.RunnerCapacityProps{AutoScalingGroupName: "runners:x64"},
			[]string{`AutoScalingGroupName: got "runners:x64"; allowed: at most 255 characters, no colon`},
		},
		{
			"the name of the launch template is too short",
			constructs.RunnerCapacityProps{LaunchTemplateName: "lt"},
			[]string{`LaunchTemplateName: got "lt"; allowed: 3 to 128 letters, digits and ( ) . / _ -`},
		},
		{
			"several props cannot be used, and then names them all",
			constructs.RunnerCapacityProps{MinInstances: 11, RootVolumeSizeGiB: 1, Base: -1, ImageID: "x", MachineImage: image},
			[]string{
				"MinInstances: got 11; allowed: 0 to 10",
				`ImageID: got "x"; allowed: an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a parameter`,
				"RootVolumeSizeGiB: got 1; allowed: 30 to 16384",
				"Base: got -1; allowed: 0 to 100000",
				`ImageID: got "x"; allowed: ImageID or MachineImage, not both`,
			},
		},
	}

	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Good", nil)
	before := paths(stack)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, "capacity \"Bad\" of RunnerCluster \"Good\":\n"+strings.Join(test.want, "\n"),
				cdktest.PanicMessage(t, func() { cluster.AddCapacity("Bad", &test.props) }))
			assert.Equal(t, "RunnerCluster \"Bad\":\nDefaultCapacity."+strings.Join(test.want, "\nDefaultCapacity."),
				cdktest.PanicMessage(t, func() {
					constructs.NewRunnerCluster(stack, "Bad", &constructs.RunnerClusterProps{DefaultCapacity: &test.props})
				}))
			assert.Equal(t, before, paths(stack), "what was refused must not be deployed")
		})
	}
	assert.Len(t, cluster.Capacities(), 1)
}

func TestRunnerCapacity_WarnsWhen(t *testing.T) {
	seconds := func(n int) awscdk.Duration { return awscdk.Duration_Seconds(jsii.Number(n)) }
	tests := []struct {
		name  string
		props constructs.RunnerCapacityProps
		id    string // empty: there is nothing to warn of
		text  string
	}{
		{
			"the target keeps a capacity from zero",
			constructs.RunnerCapacityProps{TargetCapacityPercent: 80},
			"ecsrunners:targetBelow100",
			"TargetCapacityPercent is 80 with MinInstances 0: ECS keeps idle instances below 100, so the capacity does not stay at zero; use 100 unless spare instances are wanted",
		},
		{
			"not of a target when instances run anyway",
			constructs.RunnerCapacityProps{TargetCapacityPercent: 80, MinInstances: 1},
			"", "",
		},
		{
			"a burst takes several rounds",
			constructs.RunnerCapacityProps{MaxInstances: 20, MaximumScalingStepSize: 19, InstanceWarmupPeriod: seconds(150)},
			"ecsrunners:smallScalingStep",
			"MaximumScalingStepSize 19 is below MaxInstances 20: a burst of jobs is met in several rounds, an InstanceWarmupPeriod (2m30s) apart",
		},
		{
			"ECS would not wait for instances",
			constructs.RunnerCapacityProps{InstanceWarmupPeriod: seconds(59)},
			"ecsrunners:shortWarmup",
			"InstanceWarmupPeriod 59s is below 1m, less than an instance needs to boot and register: ECS will count instances that are not there yet and start too many",
		},
		{
			"not of a warm-up of a minute",
			constructs.RunnerCapacityProps{InstanceWarmupPeriod: seconds(60)},
			"", "",
		},
		{
			"instance types differ in memory",
			constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large", "c7i.large"}},
			"ecsrunners:unequalInstanceTypes",
			"InstanceTypes differ in size: m7i.large (2 vCPU, 8 GiB), c7i.large (2 vCPU, 4 GiB); managed scaling counts with the smallest, so tasks that fit only a larger one never start",
		},
		{
			"instance types differ in vCPU and memory",
			constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large", "m7i.xlarge"}},
			"ecsrunners:unequalInstanceTypes",
			"InstanceTypes differ in size: m7i.large (2 vCPU, 8 GiB), m7i.xlarge (4 vCPU, 16 GiB); managed scaling counts with the smallest, so tasks that fit only a larger one never start",
		},
		{
			"the size of an instance type is not known",
			constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large", "x2iezn.2xlarge"}},
			"ecsrunners:unknownInstanceTypes",
			"InstanceTypes has types whose size this library does not know: x2iezn.2xlarge; make sure that all have the same vCPU and memory, because managed scaling counts with the smallest",
		},
		{
			"not of a single instance type",
			constructs.RunnerCapacityProps{InstanceTypes: []string{"x2iezn.2xlarge"}},
			"", "",
		},
		{
			"not of scaling that ECS does not do",
			constructs.RunnerCapacityProps{ManagedScaling: jsii.Bool(false), TargetCapacityPercent: 80, MaximumScalingStepSize: 1, InstanceWarmupPeriod: seconds(0)},
			"", "",
		},
	}

	app := cdktest.NewApp(t, nil)
	heard := awscdk.NewStack(app, jsii.String("Heard"), nil)
	acknowledged := awscdk.NewStack(app, jsii.String("Acknowledged"), nil)
	for i := range tests {
		id := fmt.Sprintf("Cluster%d", i)
		constructs.NewRunnerCluster(heard, id, &constructs.RunnerClusterProps{DefaultCapacity: &tests[i].props})
		cluster := constructs.NewRunnerCluster(acknowledged, id, &constructs.RunnerClusterProps{DefaultCapacity: &tests[i].props})
		if tests[i].id != "" {
			awscdk.Annotations_Of(cluster).AcknowledgeWarning(&tests[i].id, jsii.String("meant so"))
		}
	}
	warnings := map[string][]string{}
	for _, warning := range cdktest.Warnings(heard) {
		path, text, _ := strings.Cut(warning, ": ")
		warnings[path] = append(warnings[path], text)
	}

	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := warnings[fmt.Sprintf("/Heard/Cluster%d/DefaultCapacity", i)]
			if test.id == "" {
				assert.Empty(t, got, "a warning too many teaches to overlook warnings")
				return
			}
			assert.Equal(t, []string{fmt.Sprintf("%s [ack: %s]", test.text, test.id)}, got)
		})
	}
	t.Run("and is silent once acknowledged", func(t *testing.T) {
		assert.Empty(t, cdktest.Warnings(acknowledged), "cdk synth --strict would fail on what was decided")
	})
	t.Run("not of the defaults", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
		cluster.AddCapacity("Arm", &constructs.RunnerCapacityProps{Architecture: constructs.ARM64, Spot: &constructs.Spot{}})
		assert.Empty(t, cdktest.Warnings(stack))
	})
}

// agentConfig is what the user data writes into /etc/ecs/ecs.config.
func agentConfig(t *testing.T, template map[string]any, capacity *constructs.RunnerCapacity) []string {
	t.Helper()
	_, rest, found := strings.Cut(userData(t, template, capacity), "/etc/ecs/ecs.config <<'EOF'\n")
	require.True(t, found, "the user data does not configure the agent")
	config, _, found := strings.Cut(rest, "\nEOF\n")
	require.True(t, found)
	lines := strings.Split(config, "\n")
	slices.Sort(lines)
	return slices.DeleteFunc(lines, func(line string) bool { return line == "" })
}

// fields are the paths of the literals among props, Spot.OnDemandBase and so on.
func fields(path string, props reflect.Type) []string {
	var found []string
	for i := range props.NumField() {
		field := props.Field(i)
		if field.Type.Kind() == reflect.Pointer && field.Type.Elem().Kind() == reflect.Struct {
			found = append(found, fields(path+field.Name+".", field.Type.Elem())...)
			continue
		}
		found = append(found, path+field.Name)
	}
	return found
}

// collectSet notes the fields that are not zero.
func collectSet(set map[string]bool, path string, props reflect.Value) {
	for i := range props.NumField() {
		field, value := props.Type().Field(i), props.Field(i)
		if value.Kind() == reflect.Pointer && value.Type().Elem().Kind() == reflect.Struct {
			if !value.IsNil() {
				collectSet(set, path+field.Name+".", value.Elem())
			}
			continue
		}
		if !value.IsZero() {
			set[path+field.Name] = true
		}
	}
}
