package constructs

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
	"github.com/ecs-github-runners/ecsrunners/internal/userdata"
)

// RunnerCapacity is a kind of instance that a [RunnerCluster] can start: launch
// template, Auto Scaling group and capacity provider. It is made by
// NewRunnerCluster and AddCapacity.
type RunnerCapacity struct {
	constructs.Construct // filled by NewConstruct_Override

	settings         settings.Capacity
	cluster          *RunnerCluster
	launchTemplate   awsec2.LaunchTemplate
	autoScalingGroup awsautoscaling.AutoScalingGroup
	capacityProvider awsecs.AsgCapacityProvider
	warmPool         awsautoscaling.WarmPool
}

var _ awsec2.IConnectable = (*RunnerCapacity)(nil)

func newRunnerCapacity(cluster *RunnerCluster, id string, props *RunnerCapacityProps, s settings.Capacity) *RunnerCapacity {
	c := &RunnerCapacity{settings: s, cluster: cluster}
	constructs.NewConstruct_Override(c, cluster, &id)
	c.launchTemplate = c.newLaunchTemplate(props)
	c.autoScalingGroup = c.newAutoScalingGroup(props)
	c.capacityProvider = awsecs.NewAsgCapacityProvider(c, jsii.String("CapacityProvider"), &awsecs.AsgCapacityProviderProps{
		AutoScalingGroup:                   c.autoScalingGroup,
		CapacityProviderName:               optional(s.CapacityProviderName),
		EnableManagedScaling:               s.ManagedScaling,
		EnableManagedTerminationProtection: s.ManagedTerminationProtection,
		EnableManagedDraining:              s.ManagedDraining,
		TargetCapacityPercent:              jsii.Number(s.TargetCapacityPercent),
		MinimumScalingStepSize:             jsii.Number(s.MinimumScalingStepSize),
		MaximumScalingStepSize:             jsii.Number(s.MaximumScalingStepSize),
		InstanceWarmupPeriod:               jsii.Number(time.Duration(*s.InstanceWarmupPeriod).Seconds()),
	})
	if !*s.ManagedScaling {
		// The CDK leaves all of it out, which an update of the provider may take for
		// "as before".
		c.capacityProvider.Node().FindChild(jsii.String("CapacityProvider")).(awsecs.CfnCapacityProvider).AddPropertyOverride(
			jsii.String("AutoScalingGroupProvider.ManagedScaling.Status"), jsii.String("DISABLED"))
	}
	for _, warning := range s.Warnings() {
		awscdk.Annotations_Of(c).AddWarningV2(&warning.ID, &warning.Message)
	}
	return c
}

// LaunchTemplate is the launch template. Commands added to its user data run
// after ours and before the ECS agent starts. One that fails keeps the host out
// of the cluster, as one of ours does.
func (c *RunnerCapacity) LaunchTemplate() awsec2.LaunchTemplate { return c.launchTemplate }

// AutoScalingGroup is the Auto Scaling group. ECS sets its desired capacity;
// it must get no scaling policy of another's, and keep its AmazonECSManaged tag.
func (c *RunnerCapacity) AutoScalingGroup() awsautoscaling.AutoScalingGroup {
	return c.autoScalingGroup
}

// CapacityProvider is the ECS capacity provider.
func (c *RunnerCapacity) CapacityProvider() awsecs.AsgCapacityProvider { return c.capacityProvider }

// WarmPool is the warm pool, nil without one.
func (c *RunnerCapacity) WarmPool() awsautoscaling.WarmPool { return c.warmPool }

// Architecture of the instances.
func (c *RunnerCapacity) Architecture() Architecture { return c.settings.Architecture }

// Connections are the network connections of the instances, shared by all
// capacities of the cluster.
func (c *RunnerCapacity) Connections() awsec2.Connections { return c.cluster.connections }

// MetricReservation is the metric by which ECS scales: the instances needed in
// percent of those that run. Above TargetCapacityPercent tasks wait for
// instances. ECS publishes it each minute while managed scaling is on.
func (c *RunnerCapacity) MetricReservation(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return newMetric(c, "AWS/ECS/ManagedScaling", "CapacityProviderReservation", map[string]*string{
		"CapacityProviderName": c.capacityProvider.CapacityProviderName(),
		"ClusterName":          c.cluster.cluster.ClusterName(),
	}, props)
}

// MetricInServiceInstances is the number of instances that run, as the Auto
// Scaling group counts them.
func (c *RunnerCapacity) MetricInServiceInstances(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return newMetric(c, "AWS/AutoScaling", "GroupInServiceInstances", map[string]*string{
		"AutoScalingGroupName": c.autoScalingGroup.AutoScalingGroupName(),
	}, props)
}

func (c *RunnerCapacity) newLaunchTemplate(props *RunnerCapacityProps) awsec2.LaunchTemplate {
	s := c.settings
	script, err := userdata.Render(*c.cluster.cluster.ClusterName(), s)
	if err != nil {
		panic(fmt.Errorf("RunnerCapacity %q: %w", *c.Node().Id(), err))
	}
	image := props.MachineImage
	if image == nil {
		image = &literalImage{id: s.ImageID}
	}
	public := s.AssociatePublicIPAddress
	if public == nil {
		public = c.cluster.subnets.HasPublic
	}
	var instanceType awsec2.InstanceType
	if !c.mixed() {
		instanceType = awsec2.NewInstanceType(&s.InstanceTypes[0])
	}
	launchTemplate := awsec2.NewLaunchTemplate(c, jsii.String("LaunchTemplate"), &awsec2.LaunchTemplateProps{
		LaunchTemplateName:       optional(s.LaunchTemplateName),
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
			DeviceName: &s.RootDeviceName,
			Volume: awsec2.BlockDeviceVolume_Ebs(jsii.Number(s.RootVolumeSizeGiB), &awsec2.EbsDeviceOptions{
				VolumeType:          awsec2.EbsDeviceVolumeType_GP3,
				Encrypted:           jsii.Bool(true),
				Throughput:          jsii.Number(s.RootVolumeThroughput),
				DeleteOnTermination: jsii.Bool(true),
			}),
		}},
	})
	awscdk.Tags_Of(launchTemplate).Add(jsii.String("Name"), c.Node().Path(), nil) // as instances show in EC2
	if props.MachineImage == nil {
		awscdk.Validations_Of(launchTemplate).Acknowledge(&awscdk.Acknowledgment{
			Id:     jsii.String("CloudFormation-Validate::E1152"),
			Reason: jsii.String("the rule knows only AMI ids; launch templates take resolve:ssm: too, see https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html"),
		})
	}
	return launchTemplate
}

// mixed tells whether the group needs a mixed instances policy.
func (c *RunnerCapacity) mixed() bool {
	return len(c.settings.InstanceTypes) > 1 || c.settings.Spot != nil
}

func (c *RunnerCapacity) newAutoScalingGroup(props *RunnerCapacityProps) awsautoscaling.AutoScalingGroup {
	s := c.settings
	groupProps := &awsautoscaling.AutoScalingGroupProps{
		AutoScalingGroupName: optional(s.AutoScalingGroupName),
		Vpc:                  c.cluster.vpc,
		VpcSubnets:           &awsec2.SubnetSelection{Subnets: c.cluster.subnets.Subnets},
		// No desired capacity: each deployment would reset what ECS has set.
		MinCapacity:  jsii.Number(s.MinInstances),
		MaxCapacity:  jsii.Number(s.MaxInstances),
		GroupMetrics: &[]awsautoscaling.GroupMetrics{awsautoscaling.GroupMetrics_All()}, // free of charge
		UpdatePolicy: props.UpdatePolicy,
	}
	if s.MaxInstanceLifetime != nil {
		groupProps.MaxInstanceLifetime = awscdk.Duration_Seconds(jsii.Number(time.Duration(*s.MaxInstanceLifetime).Seconds()))
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
	if s.WarmPool != nil {
		c.warmPool = group.AddWarmPool(&awsautoscaling.WarmPoolOptions{
			MinSize:                  jsii.Number(s.WarmPool.MinSize),
			MaxGroupPreparedCapacity: number(s.WarmPool.MaxPreparedCapacity),
			PoolState:                cdkName[awsautoscaling.PoolState](s.WarmPool.State),
			ReuseOnScaleIn:           jsii.Bool(false), // not supported by ECS
		})
	}
	return group
}

func (c *RunnerCapacity) mixedInstancesPolicy() *awsautoscaling.MixedInstancesPolicy {
	s := c.settings
	var overrides []*awsautoscaling.LaunchTemplateOverrides
	for _, t := range s.InstanceTypes {
		overrides = append(overrides, &awsautoscaling.LaunchTemplateOverrides{InstanceType: awsec2.NewInstanceType(&t)})
	}
	distribution := &awsautoscaling.InstancesDistribution{
		OnDemandAllocationStrategy:          awsautoscaling.OnDemandAllocationStrategy_PRIORITIZED,
		OnDemandPercentageAboveBaseCapacity: jsii.Number(100),
	}
	if s.Spot != nil {
		distribution.OnDemandBaseCapacity = jsii.Number(s.Spot.OnDemandBase)
		distribution.OnDemandPercentageAboveBaseCapacity = jsii.Number(s.Spot.OnDemandPercentage)
		distribution.SpotAllocationStrategy = cdkName[awsautoscaling.SpotAllocationStrategy](s.Spot.AllocationStrategy)
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

func number(n *int) *float64 {
	if n == nil {
		return nil
	}
	return jsii.Number(*n)
}
