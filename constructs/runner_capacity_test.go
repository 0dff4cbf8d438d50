package constructs_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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
		{
			"LaunchTemplateData.ImageId", "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
			"EC2 must read the image at each launch, so that fixes come without a deployment",
		},
		{"LaunchTemplateData.InstanceType", nil, "the group's overrides name the types"},
		{
			"LaunchTemplateData.IamInstanceProfile.Arn", resolved(stack, cluster.InstanceProfile().InstanceProfileArn()),
			"the agent would have no credentials",
		},
		{"LaunchTemplateData.MetadataOptions", map[string]any{
			"HttpTokens": "required", "HttpPutResponseHopLimit": 1.0, "HttpProtocolIpv6": "disabled",
		}, "a job could take the instance's credentials and, with them, those of every task on it"},
		{"LaunchTemplateData.BlockDeviceMappings", []any{map[string]any{
			"DeviceName": "/dev/xvda",
			"Ebs": map[string]any{
				"VolumeType": "gp3", "VolumeSize": 50.0, "Throughput": 125.0, "Encrypted": true,
				"DeleteOnTermination": true,
			},
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
		{
			"Tags",
			[]any{map[string]any{"Key": "AmazonECSManaged", "Value": "", "PropagateAtLaunch": true}},
			"without this tag ECS stops scaling",
		},
		{"VPCZoneIdentifier", []any{
			resolved(stack, (*cluster.VPC().PublicSubnets())[0].SubnetId()),
			resolved(stack, (*cluster.VPC().PublicSubnets())[1].SubnetId()),
		}, "one zone can run out of instances"},
		{"LaunchTemplate", nil, "the mixed instances policy has it"},
		{"MixedInstancesPolicy.InstancesDistribution", map[string]any{
			"OnDemandAllocationStrategy": "prioritized", "OnDemandPercentageAboveBaseCapacity": 100.0,
		}, "without Spot no job may be lost to the Spot market, and the first type is the preferred one"},
		{"MixedInstancesPolicy.LaunchTemplate.Overrides", []any{
			map[string]any{"InstanceType": "m7i-flex.large"},
			map[string]any{"InstanceType": "m7i.large"},
			map[string]any{"InstanceType": "m6i.large"},
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
	}, cdktest.Properties(t, template, capacity.CapacityProvider()),
		"this is what scales from zero, meets a burst at once and spares running jobs")

	agentConfig := agentConfig(t, template, capacity)
	assert.Equal(t, []string{
		"ECS_AWSVPC_BLOCK_IMDS=true",
		fmt.Sprintf("ECS_CLUSTER=${%s}", cdktest.LogicalID(t, cluster.Cluster())),
		"ECS_DISABLE_PRIVILEGED=true",
		"ECS_ENABLE_TASK_IAM_ROLE=true",
		"ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=false",
		"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=1m0s",
		"ECS_IMAGE_PULL_BEHAVIOR=default",
		"ECS_RESERVED_MEMORY=256",
	}, agentConfig)
	assert.Contains(t, userData(t, template, capacity), "drop iptables -d 169.254.169.254/32",
		"containers could reach the instance's credentials")
}

// Each row sets props and says where in the template they must arrive.
func TestRunnerCapacity_EveryPropReachesTheTemplate(t *testing.T) {
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
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
				{
					"LaunchTemplateData.ImageId",
					"resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id",
					"an x64 image does not boot on Graviton",
				},
			},
			group: []expectation{{"MixedInstancesPolicy.LaunchTemplate.Overrides", []any{
				map[string]any{"InstanceType": "m8g.large"},
				map[string]any{"InstanceType": "m7g.large"},
				map[string]any{"InstanceType": "m6g.large"},
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
			props: constructs.RunnerCapacityProps{Spot: &constructs.SpotOptions{}},
			group: []expectation{{"MixedInstancesPolicy.InstancesDistribution", map[string]any{
				"OnDemandAllocationStrategy": "prioritized", "OnDemandBaseCapacity": 0.0,
				"OnDemandPercentageAboveBaseCapacity": 0.0,
				"SpotAllocationStrategy":              "price-capacity-optimized",
			}, "instances would be bought at another price than asked for"}},
			agent: []string{"ECS_ENABLE_SPOT_INSTANCE_DRAINING=true"},
		},
		{
			name: "Spot, some of it, one type",
			props: constructs.RunnerCapacityProps{
				InstanceTypes: []string{"m7i.large"},
				Spot: &constructs.SpotOptions{
					OnDemandBase: 2, OnDemandPercentage: 25,
					AllocationStrategy: awsautoscaling.SpotAllocationStrategy_LOWEST_PRICE,
				},
			},
			launchTemplate: []expectation{{instanceType, nil, "the overrides name the types"}},
			group: []expectation{
				{"MixedInstancesPolicy.InstancesDistribution", map[string]any{
					"OnDemandAllocationStrategy": "prioritized", "OnDemandBaseCapacity": 2.0,
					"OnDemandPercentageAboveBaseCapacity": 25.0,
					"SpotAllocationStrategy":              "lowest-price",
				}, "instances would be bought at another price than asked for"},
				{
					"MixedInstancesPolicy.LaunchTemplate.Overrides",
					[]any{map[string]any{"InstanceType": "m7i.large"}},
					"EC2 could not launch anything",
				},
			},
		},
		{
			name:  "an AMI",
			props: constructs.RunnerCapacityProps{ImageID: "ami-0123456789abcdef0"},
			launchTemplate: []expectation{{
				"LaunchTemplateData.ImageId", "ami-0123456789abcdef0",
				"instances would run another image",
			}},
		},
		{
			name: "a root volume",
			props: constructs.RunnerCapacityProps{
				RootDeviceName: "/dev/sda1", RootVolumeSizeGiB: 200, RootVolumeThroughput: 500,
			},
			launchTemplate: []expectation{
				{
					"LaunchTemplateData.BlockDeviceMappings.0.DeviceName", "/dev/sda1",
					"a second volume would be added, the root volume left as it is",
				},
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.VolumeSize", 200, "jobs would run out of disk"},
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.Throughput", 500, "jobs would wait for the disk"},
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.Encrypted", true, "workspaces lie on this volume"},
			},
		},
		{
			name:  "no public address",
			props: constructs.RunnerCapacityProps{AssociatePublicIPAddress: jsii.Bool(false)},
			launchTemplate: []expectation{{
				"LaunchTemplateData.NetworkInterfaces.0.AssociatePublicIpAddress", false,
				"instances would be in the internet",
			}},
		},
		{
			name:  "a maximum lifetime",
			props: constructs.RunnerCapacityProps{MaxInstanceLifetime: 7 * 24 * time.Hour},
			group: []expectation{{"MaxInstanceLifetime", 604800, "instances would grow old with their AMI"}},
		},
		{
			name: "a warm pool",
			props: constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large"}, WarmPool: &constructs.WarmPoolOptions{
				MinSize: 1, MaxPreparedCapacity: new(4), State: awsautoscaling.PoolState_RUNNING,
			}},
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
				MaxInstances: 100, TargetCapacityPercent: 80, MinimumScalingStepSize: 2, MaximumScalingStepSize: 50,
				InstanceWarmupPeriod: new(seconds(300)),
			},
			provider: []expectation{{managedScaling, map[string]any{
				"Status": "ENABLED", "TargetCapacity": 80.0, "MinimumScalingStepSize": 2.0, "MaximumScalingStepSize": 50.0,
				"InstanceWarmupPeriod": 300.0,
			}, "ECS would scale in another way than asked for"}},
		},
		{
			name: "no protection and no draining",
			props: constructs.RunnerCapacityProps{
				ManagedTerminationProtection: jsii.Bool(false),
				ManagedDraining:              jsii.Bool(false),
			},
			group: []expectation{{"NewInstancesProtectedFromScaleIn", nil, "instances would stay protected"}},
			provider: []expectation{
				{protection, "DISABLED", "instances would stay protected"},
				{draining, "DISABLED", "it was turned off"},
			},
		},
		{
			name: "another agent",
			props: constructs.RunnerCapacityProps{Agent: &constructs.AgentOptions{
				ReservedMemoryMiB: new(0), TaskCleanupWait: seconds(90), ImagePullBehavior: "prefer-cached", Privileged: true,
				Extra: map[string]string{"ECS_LOGLEVEL": "debug", "HTTP_PROXY": "http://proxy:3128"},
			}},
			agent: []string{
				"ECS_RESERVED_MEMORY=0", "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=1m30s", "ECS_IMAGE_PULL_BEHAVIOR=prefer-cached",
				"ECS_DISABLE_PRIVILEGED=false", "ECS_LOGLEVEL=debug", "HTTP_PROXY=http://proxy:3128",
			},
		},
		{
			name: "names",
			props: constructs.RunnerCapacityProps{
				CapacityProviderName: "runners-x64",
				AutoScalingGroupName: "runners x64", LaunchTemplateName: "runners/x64",
			},
			launchTemplate: []expectation{{"LaunchTemplateName", "runners/x64", "others refer to the template by its name"}},
			group:          []expectation{{"AutoScalingGroupName", "runners x64", "others refer to the group by its name"}},
			provider:       []expectation{{"Name", "runners-x64", "tasks name the provider"}},
		},
		{
			name: "the least of everything",
			props: constructs.RunnerCapacityProps{
				MaxInstances: 1, RootVolumeSizeGiB: 30, RootVolumeThroughput: 125, MaxInstanceLifetime: 24 * time.Hour,
				TargetCapacityPercent: 1, MinimumScalingStepSize: 1, MaximumScalingStepSize: 1,
				InstanceWarmupPeriod: new(seconds(0)),
			},
			group: []expectation{{"MaxInstanceLifetime", 86400, "a limit that we allow must arrive"}},
			provider: []expectation{{managedScaling, map[string]any{
				"Status": "ENABLED", "TargetCapacity": 1.0, "MinimumScalingStepSize": 1.0, "MaximumScalingStepSize": 1.0,
				"InstanceWarmupPeriod": 0.0,
			}, "a limit that we allow must arrive"}},
		},
		{
			name: "the most of everything",
			props: constructs.RunnerCapacityProps{
				MinInstances: 5000, MaxInstances: 5000, RootVolumeSizeGiB: 16384, RootVolumeThroughput: 750,
				MaxInstanceLifetime:   365 * 24 * time.Hour,
				TargetCapacityPercent: 100, MinimumScalingStepSize: 10000, MaximumScalingStepSize: 10000,
				InstanceWarmupPeriod: new(seconds(10000)), Weight: new(1000), Base: 100000,
			},
			launchTemplate: []expectation{
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.VolumeSize", 16384, "a limit that we allow must arrive"},
				{"LaunchTemplateData.BlockDeviceMappings.0.Ebs.Throughput", 750, "a limit that we allow must arrive"},
			},
			provider: []expectation{{managedScaling, map[string]any{
				"Status": "ENABLED", "TargetCapacity": 100.0, "MinimumScalingStepSize": 10000.0, "MaximumScalingStepSize": 10000.0,
				"InstanceWarmupPeriod": 10000.0,
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
			assertAt(t, launchTemplate,
				[]expectation{{
					"LaunchTemplateId", resolved(stack, capacity.LaunchTemplate().LaunchTemplateId()),
					"instances would be those of another capacity",
				}})
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
		assert.Zero(t, cdktest.Inventory(template)["AWS::Lambda::Function"],
			"the CDK adds one, with a topic and a hook, when it thinks that ECS does not drain")
	})
}

func TestRunnerCapacity_TakesAMachineImage(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		DefaultCapacity: &constructs.RunnerCapacityProps{MachineImage: awsecs.EcsOptimizedImage_AmazonLinux2023(
			awsecs.AmiHardwareType_STANDARD, nil)},
	})
	template := cdktest.Template(stack)

	image := cdktest.At(cdktest.Properties(t, template, cluster.DefaultCapacity().LaunchTemplate()),
		"LaunchTemplateData.ImageId.Ref")
	require.NotNil(t, image, "instances would run another image")
	assert.Equal(t, "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id", cdktest.At(template,
		fmt.Sprintf("Parameters.%s.Default", image)))
	assert.Contains(t, agentConfig(t, template, cluster.DefaultCapacity()), fmt.Sprintf("ECS_CLUSTER=${%s}",
		cdktest.LogicalID(t, cluster.Cluster())),
		"the image's own user data would replace the hardening")
}

func TestRunnerCapacity_TakesAnUpdatePolicy(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		DefaultCapacity: &constructs.RunnerCapacityProps{
			UpdatePolicy: awsautoscaling.UpdatePolicy_RollingUpdate(&awsautoscaling.RollingUpdateOptions{
				MaxBatchSize: jsii.Number(3),
			}),
		},
	})
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
	oneType := func(pool constructs.WarmPoolOptions) *constructs.RunnerCapacityProps {
		return &constructs.RunnerCapacityProps{InstanceTypes: []string{"m7i.large"}, WarmPool: &pool}
	}
	stopped := cluster.AddCapacity("Stopped", oneType(constructs.WarmPoolOptions{}))
	running := cluster.AddCapacity("Running", oneType(constructs.WarmPoolOptions{
		MinSize: 2, MaxPreparedCapacity: new(5),
		State: awsautoscaling.PoolState_RUNNING,
	}))
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

// The rules themselves are in TestCapacity_Validate.
func TestRunnerCapacity_FailsWhenSeveralPropsCannotBeUsed_AndNamesThemAll(t *testing.T) {
	props := constructs.RunnerCapacityProps{
		MinInstances: 11, RootVolumeSizeGiB: 1, Base: -1, ImageID: "x",
		MachineImage: awsecs.EcsOptimizedImage_AmazonLinux2023(awsecs.AmiHardwareType_STANDARD, nil),
	}
	want := []string{
		"MinInstances must be 0 to 10, got 11",
		"ImageID cannot be used with MachineImage: give the image of the instances once",
		`ImageID must be an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a parameter, got "x"`,
		"RootVolumeSizeGiB must be 30 to 16384, got 1",
		"Base must be 0 to 100000, got -1",
	}
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Good", nil)
	before := paths(stack)
	assert.Equal(t, "capacity \"Bad\" of RunnerCluster \"Good\":\n"+strings.Join(want, "\n"),
		cdktest.PanicMessage(t, func() { cluster.AddCapacity("Bad", &props) }))
	assert.Equal(t, "RunnerCluster \"Bad\":\nDefaultCapacity."+strings.Join(want, "\nDefaultCapacity."),
		cdktest.PanicMessage(t, func() {
			constructs.NewRunnerCluster(stack, "Bad", &constructs.RunnerClusterProps{DefaultCapacity: &props})
		}))
	assert.Equal(t, before, paths(stack), "what was refused must not be deployed")
	assert.Len(t, cluster.Capacities(), 1)
}

// The warnings themselves are in TestCapacity_Warnings.
func TestRunnerCapacity_WarnsUntilTheWarningIsAcknowledged(t *testing.T) {
	app := cdktest.NewApp(t, nil)
	heard := awscdk.NewStack(app, jsii.String("Heard"), nil)
	acknowledged := awscdk.NewStack(app, jsii.String("Acknowledged"), nil)
	for _, stack := range []awscdk.Stack{heard, acknowledged} {
		cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
			DefaultCapacity: &constructs.RunnerCapacityProps{TargetCapacityPercent: 80},
		})
		cluster.AddCapacity("Arm", &constructs.RunnerCapacityProps{
			Architecture: constructs.ARM64,
			Spot:         &constructs.SpotOptions{},
		})
		if stack == acknowledged {
			awscdk.Annotations_Of(cluster).AcknowledgeWarning(jsii.String("ecsrunners:targetBelow100"), jsii.String("meant so"))
		}
	}
	assert.Equal(t, []string{
		"/Heard/Cluster/DefaultCapacity: TargetCapacityPercent is 80 with MinInstances 0: ECS keeps idle instances below " +
			"100, " +
			"so the capacity does not stay at zero; use 100 unless spare instances are wanted [ack: ecsrunners:targetBelow100]",
	}, cdktest.Warnings(heard), "defaults must not warn, or people learn to overlook warnings")
	assert.Empty(t, cdktest.Warnings(acknowledged), "cdk synth --strict would fail on what was decided")
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
