package constructs

import (
	"cmp"
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// RunnerClusterProps are the settings of a [RunnerCluster]. All are optional.
type RunnerClusterProps struct {
	// VPC in which the instances run.
	//
	// Default: a new VPC of two availability zones with public subnets only. It has
	// no NAT gateway, which would cost more than an idle cluster. In a stack whose
	// account and region are fixed, the CDK looks the zones up.
	VPC awsec2.IVpc `json:"-"`

	// Subnets of VPC in which the instances run. They need a way out to GitHub
	// and to AWS. Not allowed without VPC.
	//
	// Default: the private subnets with egress, if VPC has any, else its public ones.
	Subnets *awsec2.SubnetSelection `json:"-"`

	// SecurityGroup of the instances.
	//
	// Default: a new one without ingress rules; all egress is allowed.
	SecurityGroup awsec2.ISecurityGroup `json:"-"`

	// ClusterName is the physical name of the ECS cluster. A named cluster cannot
	// be replaced by CloudFormation.
	//
	// Default: named by CloudFormation.
	ClusterName string `json:"clusterName"`

	// ContainerInsights collects metrics and logs of tasks, at CloudWatch's price
	// for custom metrics.
	//
	// Default: disabled, whatever the default of the account is.
	ContainerInsights awsecs.ContainerInsights `json:"containerInsights" enum:"disabled,enabled,enhanced"`

	// InstanceRole is the role of the instances, shared by all capacities. Nothing
	// is added to it: it must let the ECS agent work, see [RunnerCluster.InstanceRole].
	//
	// Default: a new role with what the agent needs and no more.
	InstanceRole awsiam.IRole `json:"-"`

	// InstanceRoleName is the physical name of the new role. Not allowed with
	// InstanceRole.
	//
	// Default: named by CloudFormation.
	InstanceRoleName string `json:"instanceRoleName"`

	// InstanceProfileName is the physical name of the instance profile.
	//
	// Default: named by CloudFormation.
	InstanceProfileName string `json:"instanceProfileName"`

	// SessionManager lets operators open a shell on the instances with AWS Systems
	// Manager Session Manager: the new role gets the four ssmmessages actions and
	// ssm:UpdateInstanceInformation. Not allowed with InstanceRole.
	//
	// Default: false.
	SessionManager bool `json:"sessionManager"`

	// DefaultCapacity is the capacity on which tasks run that ask for none. More
	// are added with [RunnerCluster.AddCapacity].
	//
	// Default: the defaults of RunnerCapacityProps.
	DefaultCapacity *RunnerCapacityProps `json:"defaultCapacity"`
}

var (
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCluster.html
	clusterName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	iamName     = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,64}$`)
)

// What names of roles and instance profiles must be.
const iamNameRule = "at most 64 letters, digits and + = , . @ _ -"

// WithDefaults returns a copy with the defaults filled in, those of DefaultCapacity
// included.
func (p RunnerClusterProps) WithDefaults() RunnerClusterProps {
	p.ContainerInsights = cmp.Or(p.ContainerInsights, awsecs.ContainerInsights_DISABLED)
	capacity := RunnerCapacityProps{}
	if p.DefaultCapacity != nil {
		capacity = *p.DefaultCapacity
	}
	capacity.Weight = orDefault(capacity.Weight, 1)
	capacity = capacity.WithDefaults()
	p.DefaultCapacity = &capacity
	return p
}

// Validate returns an error that names every value that cannot work, or nil.
func (p RunnerClusterProps) Validate() error {
	p = p.WithDefaults()
	var l problem.List
	l.Choices(p)
	l.Secrets(p)
	l.Match("ClusterName", p.ClusterName, clusterName, "at most 255 letters, digits, - and _")
	l.Match("InstanceRoleName", p.InstanceRoleName, iamName, iamNameRule)
	l.Match("InstanceProfileName", p.InstanceProfileName, iamName, iamNameRule)
	l.Under("DefaultCapacity", problem.Of(p.DefaultCapacity.Validate()))
	if p.VPC == nil && p.Subnets != nil {
		l.Refused("Subnets", "needs the {VPC} from which it selects")
	}
	if p.InstanceRole != nil && p.InstanceRoleName != "" {
		l.Conflict("InstanceRoleName", "InstanceRole", "it names the new role")
	}
	if p.InstanceRole != nil && p.SessionManager {
		l.Conflict("SessionManager", "InstanceRole", "nothing is added to a given role; give it the permissions yourself")
	}
	return l.Err()
}
