package stacks

import (
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// clusterProps are the props that the settings stand for, without the default
// capacity's siblings, which are added one by one.
func clusterProps(s settings.Cluster) *constructs.RunnerClusterProps {
	return &constructs.RunnerClusterProps{
		ClusterName:         s.ClusterName,
		ContainerInsights:   cdkName[awsecs.ContainerInsights](s.ContainerInsights),
		InstanceRoleName:    s.InstanceRoleName,
		InstanceProfileName: s.InstanceProfileName,
		SessionManager:      s.SessionManager,
		DefaultCapacity:     capacityProps(s.DefaultCapacity),
	}
}

func capacityProps(s settings.Capacity) *constructs.RunnerCapacityProps {
	p := &constructs.RunnerCapacityProps{
		Architecture:  s.Architecture,
		InstanceTypes: s.InstanceTypes,
		MinInstances:  s.MinInstances,
		MaxInstances:  s.MaxInstances,

		ImageID:                  s.ImageID,
		RootDeviceName:           s.RootDeviceName,
		RootVolumeSizeGiB:        s.RootVolumeSizeGiB,
		RootVolumeThroughput:     s.RootVolumeThroughput,
		AssociatePublicIPAddress: s.AssociatePublicIPAddress,
		MaxInstanceLifetime:      duration(s.MaxInstanceLifetime),

		ManagedScaling:               s.ManagedScaling,
		TargetCapacityPercent:        s.TargetCapacityPercent,
		MinimumScalingStepSize:       s.MinimumScalingStepSize,
		MaximumScalingStepSize:       s.MaximumScalingStepSize,
		InstanceWarmupPeriod:         duration(s.InstanceWarmupPeriod),
		ManagedTerminationProtection: s.ManagedTerminationProtection,
		ManagedDraining:              s.ManagedDraining,
		Weight:                       s.Weight,
		Base:                         s.Base,

		Agent: &constructs.Agent{
			ReservedMemoryMiB: s.Agent.ReservedMemoryMiB,
			TaskCleanupWait:   duration(s.Agent.TaskCleanupWait),
			ImagePullBehavior: s.Agent.ImagePullBehavior,
			Privileged:        s.Agent.Privileged,
			Extra:             s.Agent.Extra,
		},

		CapacityProviderName: s.CapacityProviderName,
		AutoScalingGroupName: s.AutoScalingGroupName,
		LaunchTemplateName:   s.LaunchTemplateName,
	}
	if s.Spot != nil {
		p.Spot = &constructs.Spot{
			OnDemandBase:       s.Spot.OnDemandBase,
			OnDemandPercentage: s.Spot.OnDemandPercentage,
			AllocationStrategy: cdkName[awsautoscaling.SpotAllocationStrategy](s.Spot.AllocationStrategy),
		}
	}
	if s.WarmPool != nil {
		p.WarmPool = &constructs.WarmPool{
			MinSize:             s.WarmPool.MinSize,
			MaxPreparedCapacity: s.WarmPool.MaxPreparedCapacity,
			State:               cdkName[awsautoscaling.PoolState](s.WarmPool.State),
		}
	}
	return p
}

func webhookProps(s settings.Webhook) *constructs.WebhookIngressProps {
	return &constructs.WebhookIngressProps{
		Owners:                  s.Owners,
		Repositories:            s.Repositories,
		Events:                  s.Events,
		AllowPublicRepositories: s.AllowPublicRepositories,
		EventBusName:            s.EventBusName,
		SchemaDiscovery:         s.SchemaDiscovery,
		ArchiveRetention:        duration(s.ArchiveRetention),
		MaximumEventAge:         duration(s.MaximumEventAge),
		MaximumRetryAttempts:    s.MaximumRetryAttempts,
		SecretName:              s.SecretName,
		SecretCacheTTL:          duration(s.SecretCacheTTL),
		FunctionName:            s.FunctionName,
		Architecture:            s.Architecture,
		MemorySizeMiB:           s.MemorySizeMiB,
		Timeout:                 duration(s.Timeout),
		ReservedConcurrency:     s.ReservedConcurrency,
		LogRetentionDays:        s.LogRetentionDays,
		Tracing:                 s.Tracing,
	}
}

// registrationProps are the props that the settings stand for, without the cluster
// and an existing secret, which are constructs.
func registrationProps(s settings.Registration) *constructs.RunnerRegistrationProps {
	return &constructs.RunnerRegistrationProps{
		GitHubURL:           s.GitHubURL,
		SecretName:          s.SecretName,
		Deployment:          s.Deployment,
		TableName:           s.TableName,
		PointInTimeRecovery: s.PointInTimeRecovery,
		RemovalPolicy:       cdkName[awscdk.RemovalPolicy](s.RemovalPolicy),
		FunctionName:        s.FunctionName,
		MemorySizeMiB:       s.MemorySizeMiB,
		ReservedConcurrency: s.ReservedConcurrency,
		LogRetentionDays:    s.LogRetentionDays,
	}
}

// scope is where at GitHub the settings register runners.
func scope(s settings.Registration) constructs.RunnerScope {
	switch {
	case s.Organization != "":
		return constructs.Organization(s.Organization)
	case s.Repository != "":
		return constructs.Repository(s.Repository)
	default:
		return constructs.Enterprise(s.Enterprise)
	}
}

// fleetProps are the props that the settings stand for, without registration,
// capacity and image, which are constructs.
func fleetProps(s settings.Fleet) *constructs.RunnerFleetProps {
	return &constructs.RunnerFleetProps{
		Name:              s.Name,
		Labels:            s.Labels,
		RunnerGroup:       s.RunnerGroup,
		CPU:               s.CPU,
		MemoryMiB:         s.MemoryMiB,
		OneJobPerInstance: s.OneJobPerInstance,
		Privileged:        s.Privileged,
		NetworkMode:       networkMode(s.NetworkMode),
		TmpfsMiB:          s.TmpfsMiB,
		IdleTimeout:       duration(s.IdleTimeout),
		Lifetime:          duration(s.Lifetime),
		StartTimeout:      duration(s.StartTimeout),
		StopTimeout:       duration(s.StopTimeout),
		Environment:       s.Environment,
		Family:            s.Family,
		ContainerName:     s.ContainerName,
		TaskRoleName:      s.TaskRoleName,
		ExecutionRoleName: s.ExecutionRoleName,
		LogGroupName:      s.LogGroupName,
		LogRetentionDays:  s.LogRetentionDays,
	}
}

// networkMode is the CDK's name for a network mode, which for awsvpc is not made
// as others are.
func networkMode(s string) awsecs.NetworkMode {
	if s == settings.NetworkAwsVPC {
		return awsecs.NetworkMode_AWS_VPC
	}
	return cdkName[awsecs.NetworkMode](s)
}

// imageProps are the props that the settings stand for, without the source, which
// may be a construct.
func imageProps(s settings.Image) *constructs.RunnerImagePipelineProps {
	return &constructs.RunnerImagePipelineProps{
		Architectures:    s.Architectures,
		RunnerVersion:    s.RunnerVersion,
		RunnerSHA256:     s.RunnerSHA256,
		RunnerReleases:   s.RunnerReleases,
		BaseImage:        s.BaseImage,
		Sudo:             s.Sudo,
		Channel:          s.Channel,
		RepositoryName:   s.RepositoryName,
		MaxImageCount:    s.MaxImageCount,
		UntaggedImageAge: duration(s.UntaggedImageAge),
		RemovalPolicy:    cdkName[awscdk.RemovalPolicy](s.RemovalPolicy),
		EmptyOnDelete:    s.EmptyOnDelete,
		ProjectName:      s.ProjectName,
		BuildRoleName:    s.BuildRoleName,
		BuildRolePath:    s.BuildRolePath,
		ComputeType:      cdkName[awscodebuild.ComputeType](s.ComputeType),
		Timeout:          duration(s.Timeout),
		Schedule:         s.Schedule,
		LogRetentionDays: s.LogRetentionDays,
		FunctionName:     s.FunctionName,
		MaxImageAge:      duration(s.MaxImageAge),
	}
}

// cdkName is the CDK's name for a value of AWS's: lowest-price is LOWEST_PRICE.
func cdkName[T ~string](awsName string) T {
	return T(strings.ToUpper(strings.ReplaceAll(awsName, "-", "_")))
}

func duration(d *settings.Duration) awscdk.Duration {
	if d == nil {
		return nil
	}
	return awscdk.Duration_Seconds(jsii.Number(time.Duration(*d).Seconds()))
}
