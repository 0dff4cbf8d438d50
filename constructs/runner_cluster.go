package constructs

import (
	"fmt"
	"maps"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/awsname"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// RunnerCluster is an ECS cluster on EC2 instances that come and go with the
// tasks. It has one default capacity, and any number of others for other
// architectures, sizes or prices.
//
// At rest no instance runs, and nothing in its template is charged for. ECS
// keeps two CloudWatch alarms for each capacity with managed scaling, which count
// towards the account's.
type RunnerCluster struct {
	constructs.Construct // filled by NewConstruct_Override

	props           RunnerClusterProps // with defaults
	vpc             awsec2.IVpc
	subnets         *awsec2.SelectedSubnets
	securityGroup   awsec2.ISecurityGroup
	connections     awsec2.Connections
	instanceRole    awsiam.IRole
	instanceProfile awsiam.InstanceProfile
	cluster         awsecs.Cluster
	association     awsecs.CfnClusterCapacityProviderAssociations
	capacities      []*RunnerCapacity
}

var _ awsec2.IConnectable = (*RunnerCluster)(nil)

// NewRunnerCluster adds a cluster to the scope. props may be nil. It panics
// with an error that names every prop that cannot be used.
func NewRunnerCluster(scope constructs.Construct, id string, props *RunnerClusterProps) *RunnerCluster {
	if props == nil {
		props = &RunnerClusterProps{}
	}
	p := props.WithDefaults()
	problems := problem.Of(p.Validate())
	stackNameProblems(&problems, scope, *p.DefaultCapacity)
	validateID(&problems, scope, id, "/DefaultCapacity/AutoScalingGroup")
	subnets := p.selectSubnets(&problems)
	if err := problems.Err(); err != nil {
		panic(fmt.Errorf("RunnerCluster %q:\n%w", id, err))
	}

	c := &RunnerCluster{props: p}
	constructs.NewConstruct_Override(c, scope, &id)
	c.vpc, c.subnets = p.VPC, subnets
	if c.vpc == nil {
		c.vpc = c.newVPC()
		c.subnets = c.vpc.SelectSubnets(&awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PUBLIC})
	}
	c.securityGroup = p.SecurityGroup
	if c.securityGroup == nil {
		c.securityGroup = awsec2.NewSecurityGroup(c, jsii.String("SecurityGroup"), &awsec2.SecurityGroupProps{
			Vpc:         c.vpc,
			Description: jsii.String("Instances of the GitHub Actions runners: nothing in, everything out"),
		})
	}
	c.connections = awsec2.NewConnections(&awsec2.ConnectionsProps{SecurityGroups: &[]awsec2.ISecurityGroup{c.securityGroup}})
	c.cluster = awsecs.NewCluster(c, jsii.String("Cluster"), &awsecs.ClusterProps{
		Vpc:                 c.vpc,
		ClusterName:         optional(p.ClusterName),
		ContainerInsightsV2: p.ContainerInsights,
	})
	c.instanceRole = p.InstanceRole
	if c.instanceRole == nil {
		c.instanceRole = c.newInstanceRole()
	}
	c.instanceProfile = awsiam.NewInstanceProfile(c, jsii.String("InstanceProfile"), &awsiam.InstanceProfileProps{
		Role:                c.instanceRole,
		InstanceProfileName: optional(p.InstanceProfileName),
	})
	// Not awsecs.Cluster's own AddAsgCapacityProvider: that widens the role, adds
	// to the user data, and knows only one default strategy, set in one call.
	c.association = awsecs.NewCfnClusterCapacityProviderAssociations(c, jsii.String("CapacityProviders"), &awsecs.CfnClusterCapacityProviderAssociationsProps{
		Cluster:                         c.cluster.ClusterName(),
		CapacityProviders:               &[]any{},
		DefaultCapacityProviderStrategy: []any{},
	})
	c.addCapacity("DefaultCapacity", *p.DefaultCapacity)
	c.Node().AddValidation(&strategyValidation{c})
	return c
}

// AddCapacity adds a further capacity, for tasks that name it or, with Weight
// or Base, by the cluster's default strategy. props may be nil. It panics with
// an error that names every prop that cannot be used.
func (c *RunnerCluster) AddCapacity(id string, props *RunnerCapacityProps) *RunnerCapacity {
	if props == nil {
		props = &RunnerCapacityProps{}
	}
	p := props.WithDefaults()
	problems := problem.Of(p.Validate())
	stackNameProblems(&problems, c, p)
	if c.Node().TryFindChild(&id) != nil {
		problems.Invalid("id", id, "an id that nothing in the cluster has")
	}
	validateID(&problems, c, id, "/AutoScalingGroup")
	others := map[string]RunnerCapacityProps{}
	for _, other := range c.capacities {
		others[*other.Node().Id()] = other.props
	}
	problems = append(problems, problem.Of(p.ValidateBeside(others))...)
	if err := problems.Err(); err != nil {
		panic(fmt.Errorf("capacity %q of RunnerCluster %q:\n%w", id, *c.Node().Id(), err))
	}
	return c.addCapacity(id, p)
}

// validateID reports an id that is too long: the CDK tags what it makes with its path,
// which for the longest ends in below.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
func validateID(l *problem.List, scope constructs.Construct, id, below string) {
	const most = 256
	if room := most - len(*scope.Node().Path()) - len("/") - len(below); len(id) > room {
		l.Invalid("id", id, fmt.Sprintf("at most %d characters below %q: the path is the value of a tag, and tags have at most %d", max(room, 0), *scope.Node().Path(), most))
	}
}

func (c *RunnerCluster) addCapacity(id string, p RunnerCapacityProps) *RunnerCapacity {
	capacity := newRunnerCapacity(c, id, p)
	c.capacities = append(c.capacities, capacity)
	var names []*string
	var strategy []any
	for _, capacity := range c.capacities {
		name := capacity.CapacityProvider().CapacityProviderName()
		names = append(names, name)
		if *capacity.props.Weight > 0 || capacity.props.Base > 0 {
			strategy = append(strategy, &awsecs.CfnClusterCapacityProviderAssociations_CapacityProviderStrategyProperty{
				CapacityProvider: name,
				Weight:           jsii.Number(*capacity.props.Weight),
				Base:             number(nonZero(capacity.props.Base)),
			})
		}
	}
	c.association.SetCapacityProviders(&names)
	c.association.SetDefaultCapacityProviderStrategy(strategy)
	return capacity
}

// Cluster is the ECS cluster.
func (c *RunnerCluster) Cluster() awsecs.ICluster { return c.cluster }

// VPC is the VPC of the instances, made or given.
func (c *RunnerCluster) VPC() awsec2.IVpc { return c.vpc }

// SecurityGroup is the security group of the instances, made or given.
func (c *RunnerCluster) SecurityGroup() awsec2.ISecurityGroup { return c.securityGroup }

// Connections are the network connections of the instances of all capacities.
func (c *RunnerCluster) Connections() awsec2.Connections { return c.connections }

// InstanceRole is the role of the instances, made or given. Containers in the
// network modes bridge and awsvpc cannot reach its credentials as long as they
// are not privileged and have no docker socket; in the mode host they can. It
// should hold little all the same. The ECS agent needs ecs:DiscoverPollEndpoint; on the
// cluster ecs:RegisterContainerInstance, ecs:DeregisterContainerInstance and the
// three ecs:Submit actions; on its container instances ecs:Poll,
// ecs:StartTelemetrySession and ecs:UpdateContainerInstancesState. It pulls
// images and writes logs with the execution role of each task.
func (c *RunnerCluster) InstanceRole() awsiam.IRole { return c.instanceRole }

// InstanceProfile hands InstanceRole to the instances.
func (c *RunnerCluster) InstanceProfile() awsiam.IInstanceProfile { return c.instanceProfile }

// CapacityProviderAssociations is the resource that ties the capacities to the
// cluster and holds its default strategy.
func (c *RunnerCluster) CapacityProviderAssociations() awsecs.CfnClusterCapacityProviderAssociations {
	return c.association
}

// DefaultCapacity is the capacity that every cluster has.
func (c *RunnerCluster) DefaultCapacity() *RunnerCapacity { return c.capacities[0] }

// Capacities are all capacities, the default one first, then in the order added.
func (c *RunnerCluster) Capacities() []*RunnerCapacity {
	return append([]*RunnerCapacity(nil), c.capacities...)
}

// MetricTaskCount is the number of running tasks. It panics unless the cluster
// has ContainerInsights, without which AWS publishes no such metric. ECS
// publishes no count of pending tasks outside services; what waits for
// instances shows in [RunnerCapacity.MetricReservation], above 100.
func (c *RunnerCluster) MetricTaskCount(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return c.insightsMetric(c, "TaskCount", nil, props)
}

// MetricContainerInstanceCount is the number of instances that are registered
// with the cluster. It panics unless the cluster has ContainerInsights.
func (c *RunnerCluster) MetricContainerInstanceCount(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return c.insightsMetric(c, "ContainerInstanceCount", nil, props)
}

// insightsMetric is a metric of the cluster, or of what further dimensions tell.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html
func (c *RunnerCluster) insightsMetric(scope constructs.IConstruct, name string, dimensions map[string]*string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if c.props.ContainerInsights == awsecs.ContainerInsights_DISABLED {
		panic(fmt.Errorf("RunnerCluster %q: metric %s needs ContainerInsights enabled or enhanced, got disabled", *c.Node().Id(), name))
	}
	all := map[string]*string{"ClusterName": c.cluster.ClusterName()}
	maps.Copy(all, dimensions)
	return metric{namespace: "ECS/ContainerInsights", name: name, dimensions: all, statistic: "Average"}.of(scope, props)
}

func (c *RunnerCluster) newVPC() awsec2.IVpc {
	return awsec2.NewVpc(c, jsii.String("Vpc"), &awsec2.VpcProps{
		MaxAzs:      jsii.Number(2),
		NatGateways: jsii.Number(0),
		// The launch template decides on public addresses.
		SubnetConfiguration: &[]*awsec2.SubnetConfiguration{{
			Name:                jsii.String("Public"),
			SubnetType:          awsec2.SubnetType_PUBLIC,
			MapPublicIpOnLaunch: jsii.Bool(false),
			CidrMask:            jsii.Number(20), // leaves room for other subnets
		}},
		// It takes a Lambda function; nothing here uses the default group.
		RestrictDefaultSecurityGroup: jsii.Bool(false),
	})
}

// newInstanceRole makes a role with what the agent needs, see
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
func (c *RunnerCluster) newInstanceRole() awsiam.IRole {
	role := awsiam.NewRole(c, jsii.String("InstanceRole"), &awsiam.RoleProps{
		RoleName:    optional(c.props.InstanceRoleName),
		Description: jsii.String("ECS agent of the GitHub Actions runners' instances"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("ec2.amazonaws.com"), nil),
	})
	allow := func(sid string, resource *string, actions ...string) {
		statement := &awsiam.PolicyStatementProps{
			Sid:       &sid,
			Actions:   jsii.Strings(actions...),
			Resources: &[]*string{resource},
		}
		if sid == "AgentOnItsInstance" {
			statement.Conditions = &map[string]any{"ArnEquals": map[string]any{"ecs:cluster": c.cluster.ClusterArn()}}
		}
		role.AddToPolicy(awsiam.NewPolicyStatement(statement))
	}
	allow("AgentFindsEcs", jsii.String("*"), "ecs:DiscoverPollEndpoint")
	allow("AgentInItsCluster", c.cluster.ClusterArn(),
		"ecs:RegisterContainerInstance", "ecs:DeregisterContainerInstance",
		"ecs:SubmitAttachmentStateChanges", "ecs:SubmitContainerStateChange", "ecs:SubmitTaskStateChange")
	allow("AgentOnItsInstance", awscdk.Stack_Of(c).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("ecs"), Resource: jsii.String("container-instance"), ResourceName: jsii.String("*"),
	}), "ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState")
	if c.props.SessionManager {
		// The managed policy would also let the instance read every parameter.
		// https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
		allow("SessionManager", jsii.String("*"), "ssm:UpdateInstanceInformation",
			"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
			"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel")
	}
	return role
}

// selectSubnets picks the subnets of a given VPC.
func (p RunnerClusterProps) selectSubnets(problems *problem.List) (selected *awsec2.SelectedSubnets) {
	if p.VPC == nil {
		return nil
	}
	selection := p.Subnets
	if selection == nil {
		selection = &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PUBLIC}
		if len(*p.VPC.PrivateSubnets()) > 0 {
			selection.SubnetType = awsec2.SubnetType_PRIVATE_WITH_EGRESS
		} else if len(*p.VPC.PublicSubnets()) == 0 {
			problems.Refused("VPC", "has neither private subnets with egress nor public subnets; give {Subnets} that have another way to GitHub")
			return nil
		}
	}
	defer func() { // of a type or group that VPC does not have, the CDK panics
		if refusal := recover(); refusal != nil {
			problems.Refused("Subnets", fmt.Sprintf("selects what {VPC} does not have (%v)", refusal))
		}
	}()
	selected = p.VPC.SelectSubnets(selection)
	if len(*selected.Subnets) == 0 {
		problems.Refused("Subnets", "selects no subnet of {VPC}")
	}
	return selected
}

// stackNameProblems refuses a stack after which CloudFormation would give a
// capacity provider a name that ECS refuses.
func stackNameProblems(l *problem.List, scope constructs.Construct, p RunnerCapacityProps) {
	if p.CapacityProviderName != "" {
		return
	}
	stack := awscdk.Stack_Of(scope)
	for stack.NestedStackParent() != nil {
		stack = stack.NestedStackParent()
	}
	name := *stack.StackName()
	if !*awscdk.Token_IsUnresolved(name) && awsname.IsReserved(name) {
		l.Required("CapacityProviderName", "the name of the stack, "+name+", begins with aws, ecs or fargate, and ECS refuses capacity providers that CloudFormation names after it")
	}
}

// strategyValidation finds at synthesis what only the complete set of
// capacities shows.
type strategyValidation struct{ cluster *RunnerCluster }

// Validate implements constructs.IValidation.
func (v *strategyValidation) Validate() *[]*string {
	for _, capacity := range v.cluster.capacities {
		if *capacity.props.Weight > 0 {
			return &[]*string{}
		}
	}
	return jsii.Strings("Weight must be 1 to 1000 for at least one capacity, got 0 for all: ECS refuses a default strategy without a weight")
}
