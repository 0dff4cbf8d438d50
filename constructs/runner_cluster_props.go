package constructs

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// RunnerClusterProps are the settings of a [RunnerCluster]. All are optional.
type RunnerClusterProps struct {
	// VPC in which the instances run.
	//
	// Default: a new VPC of two availability zones with public subnets only. It has
	// no NAT gateway, which would cost more than an idle cluster. In a stack whose
	// account and region are fixed, the CDK looks the zones up.
	VPC awsec2.IVpc

	// Subnets of VPC in which the instances run. They need a way out to GitHub
	// and to AWS. Not allowed without VPC.
	//
	// Default: the private subnets with egress, if VPC has any, else its public ones.
	Subnets *awsec2.SubnetSelection

	// SecurityGroup of the instances.
	//
	// Default: a new one without ingress rules; all egress is allowed.
	SecurityGroup awsec2.ISecurityGroup

	// ClusterName is the physical name of the ECS cluster. A named cluster cannot
	// be replaced by CloudFormation.
	//
	// Default: named by CloudFormation.
	ClusterName string

	// ContainerInsights collects metrics and logs of tasks, at CloudWatch's price
	// for custom metrics.
	//
	// Default: disabled, whatever the default of the account is.
	ContainerInsights awsecs.ContainerInsights

	// InstanceRole is the role of the instances, shared by all capacities. Nothing
	// is added to it: it must let the ECS agent work, see [RunnerCluster.InstanceRole].
	//
	// Default: a new role with what the agent needs and no more.
	InstanceRole awsiam.IRole

	// InstanceRoleName is the physical name of the new role. Not allowed with
	// InstanceRole.
	//
	// Default: named by CloudFormation.
	InstanceRoleName string

	// InstanceProfileName is the physical name of the instance profile.
	//
	// Default: named by CloudFormation.
	InstanceProfileName string

	// SessionManager lets operators open a shell on the instances with AWS Systems
	// Manager Session Manager: the new role gets the four ssmmessages actions and
	// ssm:UpdateInstanceInformation. Not allowed with InstanceRole.
	//
	// Default: false.
	SessionManager bool

	// DefaultCapacity is the capacity on which tasks run that ask for none. More
	// are added with [RunnerCluster.AddCapacity].
	//
	// Default: the defaults of RunnerCapacityProps.
	DefaultCapacity *RunnerCapacityProps
}

// settings are the props without their references to other resources, with
// defaults, and what is wrong with either.
func (p *RunnerClusterProps) settings() (settings.Cluster, settings.Problems) {
	s := settings.Cluster{
		ClusterName:         p.ClusterName,
		ContainerInsights:   strings.ToLower(string(p.ContainerInsights)),
		InstanceRoleName:    p.InstanceRoleName,
		InstanceProfileName: p.InstanceProfileName,
		SessionManager:      p.SessionManager,
	}
	var conflicts settings.Problems
	if p.DefaultCapacity != nil {
		s.DefaultCapacity = p.DefaultCapacity.settings()
		conflicts.Under("DefaultCapacity", p.DefaultCapacity.conflicts())
	}
	if p.VPC == nil && p.Subnets != nil {
		conflicts.Add("Subnets", settings.Words("a selection without VPC"), "a selection together with the VPC it selects from")
	}
	if p.InstanceRole != nil && p.InstanceRoleName != "" {
		conflicts.Add("InstanceRoleName", p.InstanceRoleName, "a name for the new role only: leave out InstanceRole or InstanceRoleName")
	}
	if p.InstanceRole != nil && p.SessionManager {
		conflicts.Add("SessionManager", true, "false with InstanceRole, to which nothing is added: give that role the permissions, or leave out InstanceRole")
	}
	s = s.WithDefaults()
	return s, append(s.Validate(), conflicts...)
}
