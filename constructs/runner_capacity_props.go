package constructs

import (
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// RunnerCapacityProps are the settings of a [RunnerCapacity]. All are optional.
type RunnerCapacityProps struct {
	// Architecture of the instances.
	//
	// Default: X64.
	Architecture Architecture

	// InstanceTypes that may be started, best first. Several keep jobs running when
	// AWS is short of one; they should have the same vCPU and memory, because
	// managed scaling counts with the smallest (a warning tells).
	//
	// Default: m7i-flex.large, m7i.large, m6i.large; with ARM64 m8g.large,
	// m7g.large, m6g.large. All have 2 vCPU and 8 GiB.
	InstanceTypes []string

	// MinInstances that run even when no job does, 0 to MaxInstances.
	//
	// Default: 0.
	MinInstances int

	// MaxInstances that run at the same time, 1 to 5000.
	//
	// Default: 10.
	MaxInstances int

	// Spot buys instances on the Spot market. AWS can take a Spot instance away at
	// two minutes' notice, and the job on it is lost.
	//
	// Default: On-Demand instances only.
	Spot *Spot

	// ImageID of the instances: an AMI, or "resolve:ssm:" and the name of a
	// Systems Manager parameter that EC2 reads at each launch. The image needs
	// what user data relies on: bash, systemd, docker.service, iptables, and the
	// ECS agent as ecs.service. Not allowed with MachineImage.
	//
	// Default: AWS's parameter for the recommended ECS-optimized Amazon Linux 2023.
	// A capacity that starts from zero thus gets fixes without a deployment.
	ImageID string

	// MachineImage is the image of the instances as the CDK knows it. Not allowed
	// with ImageID. The CDK usually reads it at deployment, so instances get fixes
	// only by deploying again.
	//
	// Default: ImageID.
	MachineImage awsec2.IMachineImage

	// RootDeviceName of the image.
	//
	// Default: /dev/xvda, right for Amazon Linux.
	RootDeviceName string

	// RootVolumeSizeGiB is the size of the encrypted gp3 root volume, which holds
	// images, containers and workspaces, 30 to 16384 GiB.
	//
	// Default: 50.
	RootVolumeSizeGiB int

	// RootVolumeThroughput in MiB/s, 125 to 750 (what 3000 IOPS allow). More than
	// 125 costs extra.
	//
	// Default: 125.
	RootVolumeThroughput int

	// AssociatePublicIPAddress gives each instance a public address, set in the
	// launch template whatever the subnet's own setting is.
	//
	// Default: true in public subnets, else false.
	AssociatePublicIPAddress *bool

	// MaxInstanceLifetime after which EC2 Auto Scaling replaces an instance, 1 to
	// 365 days. It bounds the age of the AMI where MinInstances keeps instances up.
	// Managed termination protection puts the replacement off until the instance is
	// empty; without it a replaced instance takes its job along.
	//
	// Default: none; instances leave when they are empty.
	MaxInstanceLifetime awscdk.Duration

	// UpdatePolicy replaces running instances when a deployment changes the launch
	// template, with their jobs.
	//
	// Default: none; new settings reach new instances.
	UpdatePolicy awsautoscaling.UpdatePolicy

	// WarmPool keeps instances that have booted once, stopped or running, to start
	// faster. It needs a single instance type and no Spot.
	//
	// Default: none.
	WarmPool *WarmPool

	// ManagedScaling lets ECS set the number of instances. Without it tasks start
	// only on instances that something else keeps up.
	//
	// Default: true.
	ManagedScaling *bool

	// TargetCapacityPercent is the share of the instances that ECS tries to keep
	// busy, 1 to 100. Below 100 it keeps whole idle instances, at no load too.
	//
	// Default: 100.
	TargetCapacityPercent int

	// MinimumScalingStepSize is the least number of instances that ECS starts at
	// once, 1 to 10000.
	//
	// Default: 1.
	MinimumScalingStepSize int

	// MaximumScalingStepSize is the greatest number of instances that ECS starts
	// at once, MinimumScalingStepSize to 10000.
	//
	// Default: MaxInstances.
	MaximumScalingStepSize int

	// InstanceWarmupPeriod during which ECS starts no further instances, 0 to
	// 10000 seconds. It must cover the time from launch to registration.
	//
	// Default: 2 minutes.
	InstanceWarmupPeriod awscdk.Duration

	// ManagedTerminationProtection keeps instances with a running task from being
	// scaled in. It needs ManagedScaling. A stack whose instances are protected
	// cannot be deleted until they are gone.
	//
	// Default: true; false when ManagedScaling is false.
	ManagedTerminationProtection *bool

	// ManagedDraining sets instances that are about to be terminated to DRAINING,
	// so that no further task is placed on them. Tasks on them run on.
	//
	// Default: true.
	ManagedDraining *bool

	// Weight in the cluster's default capacity provider strategy, 0 to 1000: the
	// capacity's share of the tasks that ask for no capacity. With weight 0 and
	// base 0 a capacity is used only by who names it.
	//
	// Default: 1 for the default capacity and for one with Base, 0 for others.
	Weight *int

	// Base is the number of tasks that the default strategy places here before
	// weights count, 0 to 100000. One capacity of a cluster can have it.
	//
	// Default: 0.
	Base int

	// Agent configures the ECS agent.
	//
	// Default: the defaults of Agent.
	Agent *Agent

	// CapacityProviderName is the physical name of the capacity provider. It must
	// not begin with aws, ecs or fargate in any case. A named provider cannot be
	// replaced by CloudFormation.
	//
	// Default: named by CloudFormation after the stack, whose name must therefore
	// not begin so either.
	CapacityProviderName string

	// AutoScalingGroupName is the physical name of the Auto Scaling group.
	//
	// Default: named by CloudFormation.
	AutoScalingGroupName string

	// LaunchTemplateName is the physical name of the launch template.
	//
	// Default: named by CloudFormation.
	LaunchTemplateName string
}

// Architecture is a processor architecture, in GitHub's words.
type Architecture = settings.Architecture

// The architectures for which GitHub releases Linux runners and AWS has
// ECS-optimized images.
const (
	X64   = settings.X64
	ARM64 = settings.ARM64
)

// Spot says how much of a capacity is bought on the Spot market. Its zero value
// means everything.
type Spot struct {
	// OnDemandBase is the number of instances bought On-Demand before any on the
	// Spot market, 0 to MaxInstances.
	//
	// Default: 0.
	OnDemandBase int

	// OnDemandPercentage of the instances above OnDemandBase that are bought
	// On-Demand, 0 to 100.
	//
	// Default: 0.
	OnDemandPercentage int

	// AllocationStrategy by which AWS chooses among the instance types.
	//
	// Default: price-capacity-optimized.
	AllocationStrategy awsautoscaling.SpotAllocationStrategy
}

// WarmPool keeps instances that have booted once, so that they start faster.
// They are charged for: their volumes when stopped, everything when running.
type WarmPool struct {
	// MinSize is the least number of instances in the pool.
	//
	// Default: 0.
	MinSize int

	// MaxPreparedCapacity bounds the instances in the pool and in the group
	// together, MinSize to MaxInstances.
	//
	// Default: MaxInstances.
	MaxPreparedCapacity *int

	// State in which the instances wait: stopped or running. Hibernation takes an
	// image that is made for it, which the ECS-optimized ones are not.
	//
	// Default: stopped.
	State awsautoscaling.PoolState
}

// Agent configures the ECS agent of the instances.
type Agent struct {
	// ReservedMemoryMiB is kept from tasks, for the agent, docker and the system.
	//
	// Default: 256.
	ReservedMemoryMiB *int

	// TaskCleanupWait is how long the agent keeps the containers of a stopped task,
	// at least a minute. They hold disk space.
	//
	// Default: 10 minutes.
	TaskCleanupWait awscdk.Duration

	// ImagePullBehavior is one of default (pull, and use a cached image when that
	// fails), always, once, prefer-cached.
	//
	// Default: default.
	ImagePullBehavior string

	// Privileged lets containers be privileged. One that is can take over the host
	// and the credentials of every task on it: only for one job an instance.
	//
	// Default: false; the agent refuses to start privileged containers.
	Privileged bool

	// Extra are further variables of the agent, by name. Those that this library
	// writes itself are refused.
	//
	// See https://github.com/aws/amazon-ecs-agent#environment-variables.
	//
	// Default: none.
	Extra map[string]string
}

// settings are the props without their references to other resources. They
// still lack the defaults.
func (p *RunnerCapacityProps) settings() settings.Capacity {
	s := settings.Capacity{
		Architecture:  p.Architecture,
		InstanceTypes: p.InstanceTypes,
		MinInstances:  p.MinInstances,
		MaxInstances:  p.MaxInstances,

		ImageID:                  p.ImageID,
		RootDeviceName:           p.RootDeviceName,
		RootVolumeSizeGiB:        p.RootVolumeSizeGiB,
		RootVolumeThroughput:     p.RootVolumeThroughput,
		AssociatePublicIPAddress: p.AssociatePublicIPAddress,
		MaxInstanceLifetime:      duration(p.MaxInstanceLifetime),

		ManagedScaling:               p.ManagedScaling,
		TargetCapacityPercent:        p.TargetCapacityPercent,
		MinimumScalingStepSize:       p.MinimumScalingStepSize,
		MaximumScalingStepSize:       p.MaximumScalingStepSize,
		InstanceWarmupPeriod:         duration(p.InstanceWarmupPeriod),
		ManagedTerminationProtection: p.ManagedTerminationProtection,
		ManagedDraining:              p.ManagedDraining,
		Weight:                       p.Weight,
		Base:                         p.Base,

		CapacityProviderName: p.CapacityProviderName,
		AutoScalingGroupName: p.AutoScalingGroupName,
		LaunchTemplateName:   p.LaunchTemplateName,
	}
	if p.Spot != nil {
		s.Spot = &settings.Spot{
			OnDemandBase:       p.Spot.OnDemandBase,
			OnDemandPercentage: p.Spot.OnDemandPercentage,
			AllocationStrategy: awsName(p.Spot.AllocationStrategy),
		}
	}
	if p.WarmPool != nil {
		s.WarmPool = &settings.WarmPool{
			MinSize:             p.WarmPool.MinSize,
			MaxPreparedCapacity: p.WarmPool.MaxPreparedCapacity,
			State:               awsName(p.WarmPool.State),
		}
	}
	if p.Agent != nil {
		s.Agent = settings.Agent{
			ReservedMemoryMiB: p.Agent.ReservedMemoryMiB,
			TaskCleanupWait:   duration(p.Agent.TaskCleanupWait),
			ImagePullBehavior: p.Agent.ImagePullBehavior,
			Privileged:        p.Agent.Privileged,
			Extra:             p.Agent.Extra,
		}
	}
	return s
}

// conflicts are the problems that settings cannot show.
func (p *RunnerCapacityProps) conflicts() settings.Problems {
	var ps settings.Problems
	if p.ImageID != "" && p.MachineImage != nil {
		ps.Add("ImageID", p.ImageID, "ImageID or MachineImage, not both")
	}
	return ps
}

// awsName turns a name of the CDK's into AWS's own: LOWEST_PRICE is lowest-price.
func awsName[T ~string](cdkName T) string {
	return strings.ToLower(strings.ReplaceAll(string(cdkName), "_", "-"))
}

// cdkName is the inverse of awsName.
func cdkName[T ~string](awsName string) T {
	return T(strings.ToUpper(strings.ReplaceAll(awsName, "-", "_")))
}

func duration(d awscdk.Duration) *settings.Duration {
	if d == nil {
		return nil
	}
	return new(settings.Duration(time.Duration(*d.ToMilliseconds(nil)) * time.Millisecond))
}
