package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/userdata"
)

// RunnerCapacity is a kind of instance that a [RunnerCluster] can start: launch
// template, Auto Scaling group and capacity provider. It is made by
// NewRunnerCluster and AddCapacity.
type RunnerCapacity struct {
	constructs.Construct // filled by NewConstruct_Override

	props            RunnerCapacityProps // with defaults
	cluster          *RunnerCluster
	launchTemplate   awsec2.LaunchTemplate
	autoScalingGroup awsautoscaling.AutoScalingGroup
	capacityProvider awsecs.AsgCapacityProvider
	warmPool         awsautoscaling.WarmPool
}

var _ awsec2.IConnectable = (*RunnerCapacity)(nil)

func newRunnerCapacity(cluster *RunnerCluster, id string, p RunnerCapacityProps) *RunnerCapacity {
	c := &RunnerCapacity{props: p, cluster: cluster}
	constructs.NewConstruct_Override(c, cluster, &id)
	c.launchTemplate = c.newLaunchTemplate()
	c.autoScalingGroup = c.newAutoScalingGroup()
	c.capacityProvider = awsecs.NewAsgCapacityProvider(c, jsii.String("CapacityProvider"), &awsecs.AsgCapacityProviderProps{
		AutoScalingGroup:                   c.autoScalingGroup,
		CapacityProviderName:               optional(p.CapacityProviderName),
		EnableManagedScaling:               p.ManagedScaling,
		EnableManagedTerminationProtection: p.ManagedTerminationProtection,
		EnableManagedDraining:              p.ManagedDraining,
		TargetCapacityPercent:              jsii.Number(p.TargetCapacityPercent),
		MinimumScalingStepSize:             jsii.Number(p.MinimumScalingStepSize),
		MaximumScalingStepSize:             jsii.Number(p.MaximumScalingStepSize),
		InstanceWarmupPeriod:               jsii.Number(p.InstanceWarmupPeriod.Seconds()),
	})
	if !*p.ManagedScaling {
		// The CDK leaves all of it out, which an update of the provider may take for
		// "as before".
		c.capacityProvider.Node().FindChild(jsii.String("CapacityProvider")).(awsecs.CfnCapacityProvider).AddPropertyOverride(
			jsii.String("AutoScalingGroupProvider.ManagedScaling.Status"), jsii.String("DISABLED"))
	}
	for _, warning := range p.warnings() {
		warn(c, warning.id, warning.message)
	}
	return c
}

// LaunchTemplate is the launch template. Commands added to its user data run
// after ours and before the ECS agent starts. One that fails keeps the host out
// of the cluster, as a failed command of the library does.
func (c *RunnerCapacity) LaunchTemplate() awsec2.LaunchTemplate { return c.launchTemplate }

// AutoScalingGroup is the Auto Scaling group. ECS sets its desired capacity;
// it must have no other scaling policy, and keep its AmazonECSManaged tag.
func (c *RunnerCapacity) AutoScalingGroup() awsautoscaling.AutoScalingGroup {
	return c.autoScalingGroup
}

// CapacityProvider is the ECS capacity provider.
func (c *RunnerCapacity) CapacityProvider() awsecs.AsgCapacityProvider { return c.capacityProvider }

// WarmPool is the warm pool, nil without one.
func (c *RunnerCapacity) WarmPool() awsautoscaling.WarmPool { return c.warmPool }

// Architecture is the processor architecture of the instances.
func (c *RunnerCapacity) Architecture() Architecture { return c.props.Architecture }

// Connections are the network connections of the instances, shared by all
// capacities of the cluster.
func (c *RunnerCapacity) Connections() awsec2.Connections { return c.cluster.connections }

// MetricReservation is the metric by which ECS scales: the instances needed in
// percent of those that run. Above TargetCapacityPercent tasks wait for
// instances. ECS publishes it each minute while managed scaling is on.
func (c *RunnerCapacity) MetricReservation(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return metric{namespace: "AWS/ECS/ManagedScaling", name: "CapacityProviderReservation", statistic: "Average", dimensions: map[string]*string{
		"CapacityProviderName": c.capacityProvider.CapacityProviderName(),
		"ClusterName":          c.cluster.cluster.ClusterName(),
	}}.of(c, props)
}

// MetricInServiceInstances is the number of instances that run, as the Auto
// Scaling group counts them.
func (c *RunnerCapacity) MetricInServiceInstances(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return metric{namespace: "AWS/AutoScaling", name: "GroupInServiceInstances", statistic: "Average", dimensions: map[string]*string{
		"AutoScalingGroupName": c.autoScalingGroup.AutoScalingGroupName(),
	}}.of(c, props)
}

func (c *RunnerCapacity) newLaunchTemplate() awsec2.LaunchTemplate {
	p := c.props
	script, err := userdata.Render(p.host(*c.cluster.cluster.ClusterName()))
	if err != nil {
		panic(fmt.Errorf("RunnerCapacity %q: %w", *c.Node().Id(), err))
	}
	image := p.MachineImage
	if image == nil {
		image = &literalImage{id: p.ImageID}
	}
	public := p.AssociatePublicIPAddress
	if public == nil {
		public = c.cluster.subnets.HasPublic
	}
	var instanceType awsec2.InstanceType
	if !c.mixed() {
		instanceType = awsec2.NewInstanceType(&p.InstanceTypes[0])
	}
	launchTemplate := awsec2.NewLaunchTemplate(c, jsii.String("LaunchTemplate"), &awsec2.LaunchTemplateProps{
		LaunchTemplateName:       optional(p.LaunchTemplateName),
		MachineImage:             image,
		InstanceType:             instanceType,
		InstanceProfile:          c.cluster.instanceProfile,
		SecurityGroup:            c.cluster.securityGroup,
		AssociatePublicIpAddress: public,
		UserData:                 awsec2.UserData_Custom(&script),
		RequireImdsv2:            jsii.Bool(true),
		HttpPutResponseHopLimit:  jsii.Number(1),
		HttpProtocolIpv6:         jsii.Bool(false),
		BlockDevices: &[]*awsec2.BlockDevice{{
			DeviceName: &p.RootDeviceName,
			Volume: awsec2.BlockDeviceVolume_Ebs(jsii.Number(p.RootVolumeSizeGiB), &awsec2.EbsDeviceOptions{
				VolumeType:          awsec2.EbsDeviceVolumeType_GP3,
				Encrypted:           jsii.Bool(true),
				Throughput:          jsii.Number(p.RootVolumeThroughput),
				DeleteOnTermination: jsii.Bool(true),
			}),
		}},
	})
	awscdk.Tags_Of(launchTemplate).Add(jsii.String("Name"), c.Node().Path(), nil) // as instances show in EC2
	if p.MachineImage == nil {
		awscdk.Validations_Of(launchTemplate).Acknowledge(&awscdk.Acknowledgment{
			Id:     jsii.String("CloudFormation-Validate::E1152"),
			Reason: jsii.String("the rule knows only AMI ids; launch templates take resolve:ssm: too, see https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html"),
		})
	}
	return launchTemplate
}

// mixed reports whether the group needs a mixed instances policy.
func (c *RunnerCapacity) mixed() bool {
	return len(c.props.InstanceTypes) > 1 || c.props.Spot != nil
}

func (c *RunnerCapacity) newAutoScalingGroup() awsautoscaling.AutoScalingGroup {
	p := c.props
	groupProps := &awsautoscaling.AutoScalingGroupProps{
		AutoScalingGroupName: optional(p.AutoScalingGroupName),
		Vpc:                  c.cluster.vpc,
		VpcSubnets:           &awsec2.SubnetSelection{Subnets: c.cluster.subnets.Subnets},
		// No desired capacity: each deployment would reset what ECS has set.
		MinCapacity:  jsii.Number(p.MinInstances),
		MaxCapacity:  jsii.Number(p.MaxInstances),
		GroupMetrics: &[]awsautoscaling.GroupMetrics{awsautoscaling.GroupMetrics_All()}, // free of charge
		UpdatePolicy: p.UpdatePolicy,
	}
	if p.MaxInstanceLifetime != 0 {
		groupProps.MaxInstanceLifetime = seconds(p.MaxInstanceLifetime)
	}
	if c.mixed() {
		groupProps.MixedInstancesPolicy = c.mixedInstancesPolicy()
	} else {
		groupProps.LaunchTemplate = c.launchTemplate
	}
	group := awsautoscaling.NewAutoScalingGroup(c, jsii.String("AutoScalingGroup"), groupProps)
	// Instances boot with a way out, and are gone before it is.
	group.Node().AddDependency(c.cluster.subnets.InternetConnectivityEstablished)
	// ECS adds this tag by itself when it creates a provider, and stops scaling
	// when it is gone: in the template, an update cannot take it away.
	awscdk.Tags_Of(group).Add(jsii.String("AmazonECSManaged"), jsii.String(""), nil)
	if p.WarmPool != nil {
		c.warmPool = group.AddWarmPool(&awsautoscaling.WarmPoolOptions{
			MinSize:                  jsii.Number(p.WarmPool.MinSize),
			MaxGroupPreparedCapacity: number(p.WarmPool.MaxPreparedCapacity),
			PoolState:                p.WarmPool.State,
			ReuseOnScaleIn:           jsii.Bool(false), // not supported by ECS
		})
	}
	return group
}

func (c *RunnerCapacity) mixedInstancesPolicy() *awsautoscaling.MixedInstancesPolicy {
	p := c.props
	var overrides []*awsautoscaling.LaunchTemplateOverrides
	for _, t := range p.InstanceTypes {
		overrides = append(overrides, &awsautoscaling.LaunchTemplateOverrides{InstanceType: awsec2.NewInstanceType(&t)})
	}
	distribution := &awsautoscaling.InstancesDistribution{
		OnDemandAllocationStrategy:          awsautoscaling.OnDemandAllocationStrategy_PRIORITIZED,
		OnDemandPercentageAboveBaseCapacity: jsii.Number(100),
	}
	if p.Spot != nil {
		distribution.OnDemandBaseCapacity = jsii.Number(p.Spot.OnDemandBase)
		distribution.OnDemandPercentageAboveBaseCapacity = jsii.Number(p.Spot.OnDemandPercentage)
		distribution.SpotAllocationStrategy = p.Spot.AllocationStrategy
	}
	return &awsautoscaling.MixedInstancesPolicy{
		LaunchTemplate:          c.launchTemplate,
		LaunchTemplateOverrides: &overrides,
		InstancesDistribution:   distribution,
	}
}

// literalImage is a machine image that goes into the template as it is: an AMI,
// or "resolve:ssm:" and a parameter, which EC2 reads at each launch.
type literalImage struct{ id string }

// GetImage implements awsec2.IMachineImage.
func (i *literalImage) GetImage(constructs.Construct) *awsec2.MachineImageConfig {
	return &awsec2.MachineImageConfig{
		ImageId:  &i.id,
		OsType:   awsec2.OperatingSystemType_LINUX,
		UserData: awsec2.UserData_Custom(jsii.String("")),
	}
}

// host is what the user data of the instances must know.
func (p RunnerCapacityProps) host(clusterName string) userdata.Host {
	return userdata.Host{
		ClusterName:       clusterName,
		ReservedMemoryMiB: *p.Agent.ReservedMemoryMiB,
		TaskCleanupWait:   p.Agent.TaskCleanupWait,
		ImagePullBehavior: p.Agent.ImagePullBehavior,
		Privileged:        p.Agent.Privileged,
		Spot:              p.Spot != nil,
		WarmPool:          p.WarmPool != nil,
		Extra:             p.Agent.Extra,
	}
}
