package constructs_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
)

// expectation is what a test wants at a path of a template, and what goes wrong
// without it. A nil want says that nothing is there.
type expectation struct {
	path      string
	want      any
	otherwise string
}

func assertAt(t *testing.T, tree any, expectations []expectation) {
	t.Helper()
	for _, e := range expectations {
		assert.EqualValuesf(t, e.want, cdktest.At(tree, e.path), "%s: %s", e.path, e.otherwise)
	}
}

// The whole inventory: nothing in it is charged for while no task runs. A NAT
// gateway, an address, a load balancer, an endpoint or a function would be.
func TestRunnerCluster_ByDefaultIsACompleteClusterThatCostsNothingAtRest(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	template := cdktest.Template(stack)

	assert.Equal(t, map[string]int{
		"AWS::EC2::VPC":                                 1,
		"AWS::EC2::InternetGateway":                     1,
		"AWS::EC2::VPCGatewayAttachment":                1,
		"AWS::EC2::Subnet":                              2,
		"AWS::EC2::RouteTable":                          2,
		"AWS::EC2::SubnetRouteTableAssociation":         2,
		"AWS::EC2::Route":                               2,
		"AWS::EC2::SecurityGroup":                       1,
		"AWS::IAM::Role":                                1,
		"AWS::IAM::Policy":                              1,
		"AWS::IAM::InstanceProfile":                     1,
		"AWS::ECS::Cluster":                             1,
		"AWS::ECS::ClusterCapacityProviderAssociations": 1,
		"AWS::EC2::LaunchTemplate":                      1,
		"AWS::AutoScaling::AutoScalingGroup":            1,
		"AWS::ECS::CapacityProvider":                    1,
	}, cdktest.Inventory(template),
		"what is new here may cost money while nothing runs, what is missing breaks the cluster")

	assertAt(t, cdktest.Properties(t, template, cluster.Cluster()), []expectation{
		{"ClusterName", nil, "a named cluster cannot be replaced"},
		{
			"ClusterSettings",
			[]any{map[string]any{"Name": "containerInsights", "Value": "disabled"}},
			"the account's default might turn Container Insights on, and it is charged for",
		},
	})
	assertAt(t, cdktest.Properties(t, template, cluster.SecurityGroup()), []expectation{
		{"SecurityGroupIngress", nil, "nothing may connect to an instance"},
		{"SecurityGroupEgress", []any{map[string]any{
			"CidrIp": "0.0.0.0/0", "IpProtocol": "-1",
			"Description": "Allow all outbound traffic by default",
		}}, "jobs need the internet"},
		{"VpcId", resolved(stack, cluster.VPC().VpcId()), "the group must be in the instances' VPC"},
	})
	for _, subnet := range *cluster.VPC().PublicSubnets() {
		assertAt(t, cdktest.Properties(t, template, subnet), []expectation{
			{"MapPublicIpOnLaunch", false, "only runners' instances get a public address, from their launch template"},
		})
	}
	assertAt(t, cdktest.Resource(t, template, "AWS::ECS::ClusterCapacityProviderAssociations"), []expectation{
		{"Cluster", resolved(stack, cluster.Cluster().ClusterName()), "the provider would belong to no cluster"},
		{
			"CapacityProviders",
			[]any{resolved(stack, cluster.DefaultCapacity().CapacityProvider().CapacityProviderName())},
			"tasks could not name the capacity",
		},
		{"DefaultCapacityProviderStrategy", []any{map[string]any{
			"CapacityProvider": resolved(stack, cluster.DefaultCapacity().CapacityProvider().CapacityProviderName()),
			"Weight":           1.0,
		}}, "a task without a strategy would not wait in PROVISIONING for instances, but fail"},
	})
	assertAt(t, cdktest.Resource(t, template, "AWS::IAM::InstanceProfile"), []expectation{
		{"Roles", []any{resolved(stack, cluster.InstanceRole().RoleName())}, "the agent would have no credentials"},
		{"InstanceProfileName", nil, "a second stack would collide"},
	})
	assert.Empty(t, cdktest.Warnings(stack), "the defaults must not need an excuse")
}

// An instance is worth as much to an attacker as its role. Here is all of it.
func TestRunnerCluster_InstanceRoleHoldsWhatTheAgentNeedsAndNoMore(t *testing.T) {
	agent := func(stack awscdk.Stack, cluster *constructs.RunnerCluster) []any {
		clusterARN := resolved(stack, cluster.Cluster().ClusterArn())
		return []any{
			map[string]any{"Sid": "AgentFindsEcs", "Effect": "Allow", "Action": "ecs:DiscoverPollEndpoint", "Resource": "*"},
			map[string]any{"Sid": "AgentInItsCluster", "Effect": "Allow", "Resource": clusterARN, "Action": []any{
				"ecs:DeregisterContainerInstance", "ecs:RegisterContainerInstance",
				"ecs:SubmitAttachmentStateChanges", "ecs:SubmitContainerStateChange", "ecs:SubmitTaskStateChange",
			}},
			map[string]any{
				"Sid": "AgentOnItsInstance", "Effect": "Allow",
				"Resource": resolved(stack, stack.FormatArn(&awscdk.ArnComponents{
					Service: jsii.String("ecs"), Resource: jsii.String("container-instance"), ResourceName: jsii.String("*"),
				})),
				"Action":    []any{"ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"},
				"Condition": map[string]any{"ArnEquals": map[string]any{"ecs:cluster": clusterARN}},
			},
		}
	}
	session := map[string]any{"Sid": "SessionManager", "Effect": "Allow", "Resource": "*", "Action": []any{
		"ssm:UpdateInstanceInformation",
		"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
		"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
	}}
	for _, test := range []struct {
		name  string
		props *constructs.RunnerClusterProps
		more  []any
	}{
		{name: "by default"},
		{name: "with Session Manager", props: &constructs.RunnerClusterProps{SessionManager: true}, more: []any{session}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stack := cdktest.NewStack(t)
			cluster := constructs.NewRunnerCluster(stack, "Cluster", test.props)
			cluster.AddCapacity("Second", nil)
			template := cdktest.Template(stack)

			role := cdktest.Resource(t, template, "AWS::IAM::Role")
			assertAt(t, role, []expectation{
				{"ManagedPolicyArns", nil, "AWS's managed policies allow far more than the agent needs"},
				{"Policies", nil, "permissions have one place"},
				{"RoleName", nil, "a second stack would collide"},
				{"AssumeRolePolicyDocument.Statement", []any{map[string]any{
					"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"Service": "ec2.amazonaws.com"},
				}}, "nobody but EC2 may take the role"},
			})
			policy := cdktest.Resource(t, template, "AWS::IAM::Policy")
			assert.ElementsMatch(t, append(agent(stack, cluster), test.more...), cdktest.At(policy, "PolicyDocument.Statement"),
				"each permission here is one that whoever gets hold of an instance has")
			assert.Equal(t, []any{resolved(stack, cluster.InstanceRole().RoleName())}, policy["Roles"])
		})
	}
}

func TestRunnerCluster_WithAGivenRoleAddsNothingToIt(t *testing.T) {
	stack := cdktest.NewStack(t)
	role := awsiam.NewRole(stack, jsii.String("Given"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("ec2.amazonaws.com"), nil),
	})
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{InstanceRole: role})
	cluster.AddCapacity("Second", nil)
	template := cdktest.Template(stack)

	assert.Same(t, role, cluster.InstanceRole())
	inventory := cdktest.Inventory(template)
	assert.Equal(t, 1, inventory["AWS::IAM::Role"], "the given role is the only one")
	assert.Zero(t, inventory["AWS::IAM::Policy"], "a given role is its owner's: nothing may be added")
	assertAt(t, cdktest.Properties(t, template, role), []expectation{{
		"ManagedPolicyArns", nil,
		"a given role is its owner's: nothing may be added",
	}})
	assertAt(t, cdktest.Resource(t, template, "AWS::IAM::InstanceProfile"), []expectation{
		{"Roles", []any{resolved(stack, role.RoleName())}, "instances would run with another role"},
	})
}

func TestRunnerCluster_RunsInTheSubnetsOfAGivenVPC(t *testing.T) {
	public := jsii.Strings("subnet-public1", "subnet-public2")
	private := jsii.Strings("subnet-private1", "subnet-private2")
	isolated := jsii.Strings("subnet-isolated1", "subnet-isolated2")
	for _, test := range []struct {
		name      string
		vpc       awsec2.VpcAttributes
		selection *awsec2.SubnetSelection
		capacity  *constructs.RunnerCapacityProps
		subnets   []any
		public    bool
	}{
		{
			name:    "the private ones if there are any",
			vpc:     awsec2.VpcAttributes{PublicSubnetIds: public, PrivateSubnetIds: private},
			subnets: []any{"subnet-private1", "subnet-private2"},
		},
		{
			name:    "else the public ones, with public addresses",
			vpc:     awsec2.VpcAttributes{PublicSubnetIds: public, IsolatedSubnetIds: isolated},
			subnets: []any{"subnet-public1", "subnet-public2"}, public: true,
		},
		{
			name: "those selected",
			vpc:  awsec2.VpcAttributes{PublicSubnetIds: public, PrivateSubnetIds: private},
			selection: &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PUBLIC, AvailabilityZones: jsii.Strings(
				"eu-central-1b")},
			subnets: []any{"subnet-public2"}, public: true,
		},
		{
			name:      "isolated ones when they are selected: they may have another way to GitHub",
			vpc:       awsec2.VpcAttributes{IsolatedSubnetIds: isolated},
			selection: &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PRIVATE_ISOLATED},
			subnets:   []any{"subnet-isolated1", "subnet-isolated2"},
		},
		{
			name:     "public ones without public addresses when told so",
			vpc:      awsec2.VpcAttributes{PublicSubnetIds: public},
			capacity: &constructs.RunnerCapacityProps{AssociatePublicIPAddress: jsii.Bool(false)},
			subnets:  []any{"subnet-public1", "subnet-public2"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			stack := cdktest.NewStack(t)
			test.vpc.VpcId = jsii.String("vpc-given")
			test.vpc.AvailabilityZones = jsii.Strings("eu-central-1a", "eu-central-1b")
			vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Given"), &test.vpc)
			cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
				VPC:     vpc,
				Subnets: test.selection, DefaultCapacity: test.capacity,
			})
			added := cluster.AddCapacity("Second", test.capacity)
			template := cdktest.Template(stack)

			assert.Same(t, vpc, cluster.VPC())
			assert.Zero(t, cdktest.Inventory(template)["AWS::EC2::VPC"], "a VPC too many")
			assertAt(t, cdktest.Properties(t, template, cluster.SecurityGroup()), []expectation{{
				"VpcId", "vpc-given",
				"instances could not use the group",
			}})
			for _, capacity := range []*constructs.RunnerCapacity{cluster.DefaultCapacity(), added} {
				assertAt(t, cdktest.Properties(t, template, capacity.AutoScalingGroup()), []expectation{
					{"VPCZoneIdentifier", test.subnets, "instances would run elsewhere"},
				})
				assertAt(t, cdktest.Properties(t, template, capacity.LaunchTemplate()), []expectation{
					{
						"LaunchTemplateData.NetworkInterfaces.0.AssociatePublicIpAddress", test.public,
						"in a public subnet an instance without an address cannot reach GitHub; in a private one, it must have none",
					},
				})
			}
		})
	}
}

func TestRunnerCluster_UsesAGivenSecurityGroup(t *testing.T) {
	stack := cdktest.NewStack(t)
	given := awsec2.SecurityGroup_FromSecurityGroupId(stack, jsii.String("Given"), jsii.String("sg-given"), nil)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{SecurityGroup: given})
	template := cdktest.Template(stack)

	assert.Same(t, given, cluster.SecurityGroup())
	assert.Zero(t, cdktest.Inventory(template)["AWS::EC2::SecurityGroup"])
	assertAt(t, cdktest.Properties(t, template, cluster.DefaultCapacity().LaunchTemplate()), []expectation{
		{"LaunchTemplateData.NetworkInterfaces.0.Groups", []any{"sg-given"}, "instances would be in another group"},
	})
}

func TestRunnerCluster_TakesPhysicalNames(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		ClusterName: "runners", InstanceRoleName: "runners-role", InstanceProfileName: "runners-profile",
	})
	template := cdktest.Template(stack)

	assertAt(t, cdktest.Properties(t, template, cluster.Cluster()), []expectation{{
		"ClusterName", "runners",
		"others find the cluster by its name",
	}})
	assertAt(t, cdktest.Resource(t, template, "AWS::IAM::Role"), []expectation{{
		"RoleName", "runners-role",
		"others refer to the role by its name",
	}})
	assertAt(t, cdktest.Resource(t, template, "AWS::IAM::InstanceProfile"), []expectation{{
		"InstanceProfileName",
		"runners-profile", "others refer to the profile by its name",
	}})
}

func TestRunnerCluster_ContainerInsights(t *testing.T) {
	stack := cdktest.NewStack(t)
	disabled := constructs.NewRunnerCluster(stack, "Disabled", &constructs.RunnerClusterProps{
		ContainerInsights: awsecs.ContainerInsights_DISABLED,
	})
	enabled := constructs.NewRunnerCluster(stack, "Enabled", &constructs.RunnerClusterProps{
		ContainerInsights: awsecs.ContainerInsights_ENABLED,
	})
	enhanced := constructs.NewRunnerCluster(stack, "Enhanced", &constructs.RunnerClusterProps{
		ContainerInsights: awsecs.ContainerInsights_ENHANCED,
	})
	template := cdktest.Template(stack)

	const otherwise = "what is collected is what is paid for"
	assertAt(t, cdktest.Properties(t, template, disabled.Cluster()), []expectation{{
		"ClusterSettings.0.Value", "disabled",
		otherwise,
	}})
	assertAt(t, cdktest.Properties(t, template, enabled.Cluster()), []expectation{{
		"ClusterSettings.0.Value", "enabled",
		otherwise,
	}})
	assertAt(t, cdktest.Properties(t, template, enhanced.Cluster()), []expectation{{
		"ClusterSettings.0.Value", "enhanced",
		otherwise,
	}})
}

func TestRunnerCluster_Metrics(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		ContainerInsights: awsecs.ContainerInsights_ENABLED,
	})
	capacity := cluster.AddCapacity("Second", nil)
	clusterName := resolved(stack, cluster.Cluster().ClusterName())
	for _, test := range []struct {
		metric          func(*awscloudwatch.MetricOptions) awscloudwatch.Metric
		namespace, name string
		dimensions      map[string]any
	}{
		{cluster.MetricTaskCount, "ECS/ContainerInsights", "TaskCount", map[string]any{"ClusterName": clusterName}},
		{
			cluster.MetricContainerInstanceCount, "ECS/ContainerInsights", "ContainerInstanceCount",
			map[string]any{"ClusterName": clusterName},
		},
		{capacity.MetricReservation, "AWS/ECS/ManagedScaling", "CapacityProviderReservation", map[string]any{
			"ClusterName":          clusterName,
			"CapacityProviderName": resolved(stack, capacity.CapacityProvider().CapacityProviderName()),
		}},
		{capacity.MetricInServiceInstances, "AWS/AutoScaling", "GroupInServiceInstances", map[string]any{
			"AutoScalingGroupName": resolved(stack, capacity.AutoScalingGroup().AutoScalingGroupName()),
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			metric := test.metric(nil)
			const otherwise = "an alarm would watch a metric that AWS does not publish, and stay silent"
			assert.Equal(t, test.namespace, *metric.Namespace(), otherwise)
			assert.Equal(t, test.name, *metric.MetricName(), otherwise)
			assert.Equal(t, test.dimensions, stack.Resolve(metric.Dimensions()), otherwise)
			assert.Equal(t, "Average", *metric.Statistic())
			assert.EqualValues(t, 60, *metric.Period().ToSeconds(nil))

			changed := test.metric(&awscloudwatch.MetricOptions{
				Statistic: jsii.String("Maximum"),
				Period:    awscdk.Duration_Minutes(jsii.Number(5)),
			})
			assert.Equal(t, "Maximum", *changed.Statistic())
			assert.EqualValues(t, 300, *changed.Period().ToSeconds(nil))
			assert.Equal(t, test.name, *changed.MetricName())
			assert.Equal(t, test.dimensions, stack.Resolve(changed.Dimensions()))
		})
	}
	t.Run("counts instances that the group publishes", func(t *testing.T) {
		assertAt(t, cdktest.Properties(t, cdktest.Template(stack), capacity.AutoScalingGroup()), []expectation{
			{
				"MetricsCollection",
				[]any{map[string]any{"Granularity": "1Minute"}},
				"a group publishes nothing unless it is told to",
			},
		})
	})
}

func TestRunnerCluster_MetricsOfContainerInsights_FailWithoutIt(t *testing.T) {
	cluster := constructs.NewRunnerCluster(cdktest.NewStack(t), "Cluster", nil)
	assert.Equal(t, `RunnerCluster "Cluster": metric TaskCount needs ContainerInsights enabled or enhanced, got disabled`,
		cdktest.PanicMessage(t, func() { cluster.MetricTaskCount(nil) }))
	assert.Equal(t, `RunnerCluster "Cluster": metric ContainerInstanceCount needs ContainerInsights enabled or `+
		`enhanced, got disabled`,
		cdktest.PanicMessage(t, func() { cluster.MetricContainerInstanceCount(nil) }))
}

func TestRunnerCluster_AccessorsReturnWhatWasMade(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	second := cluster.AddCapacity("Second", &constructs.RunnerCapacityProps{
		Architecture: constructs.ARM64, InstanceTypes: []string{"m8g.large"}, WarmPool: &constructs.WarmPoolOptions{},
	})
	assert.Nil(t, cluster.DefaultCapacity().WarmPool())

	for _, object := range []any{cluster, second} {
		accessors := reflect.ValueOf(object)
		for i := range accessors.NumMethod() {
			method := accessors.Type().Method(i)
			if method.Type.NumIn() != 1 || method.Type.NumOut() != 1 {
				continue
			}
			assert.Falsef(t, accessors.Method(i).Call(nil)[0].IsZero(), "%s.%s returns nothing", accessors.Type(), method.Name)
		}
	}
	assert.Same(t, cluster, stack.Node().FindChild(jsii.String("Cluster")),
		"a search of the tree must find our type, not a stand-in")
	assert.Same(t, cluster.DefaultCapacity(), cluster.Node().FindChild(jsii.String("DefaultCapacity")))
	assert.Same(t, second, cluster.Node().FindChild(jsii.String("Second")))
	require.Equal(t, []*constructs.RunnerCapacity{cluster.DefaultCapacity(), second}, cluster.Capacities())
	cluster.Capacities()[0] = nil
	assert.NotNil(t, cluster.DefaultCapacity(), "the caller's slice must not be the cluster's")
	assert.Equal(t, constructs.X64, cluster.DefaultCapacity().Architecture())
	assert.Equal(t, constructs.ARM64, second.Architecture())
}

func TestRunnerCluster_ConnectionsAreThoseOfItsInstances(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	other := awsec2.NewSecurityGroup(stack, jsii.String("Other"), &awsec2.SecurityGroupProps{Vpc: cluster.VPC()})

	other.Connections().AllowFrom(cluster, awsec2.Port_Tcp(jsii.Number(5432)), jsii.String("jobs to the database"))
	other.Connections().AllowFrom(cluster.DefaultCapacity(), awsec2.Port_Tcp(jsii.Number(6379)),
		jsii.String("jobs to the cache"))

	rules := cdktest.Resources(cdktest.Template(stack), "AWS::EC2::SecurityGroupIngress")
	require.Len(t, rules, 2)
	for _, rule := range rules {
		assertAt(t, rule, []expectation{
			{
				"SourceSecurityGroupId", resolved(stack, cluster.SecurityGroup().SecurityGroupId()),
				"what jobs need would stay closed to them",
			},
			{"GroupId", resolved(stack, other.SecurityGroupId()), "another group would be opened"},
		})
	}
}

func TestRunnerCluster_IsAConstructLikeAnyOther(t *testing.T) {
	stack := cdktest.NewStack(t)
	newTopic := func(scope awscdk.Stack, id string) awscdk.CfnResource {
		return awscdk.NewCfnResource(scope, &id, &awscdk.CfnResourceProps{Type: jsii.String("AWS::SNS::Topic")})
	}
	before, after := newTopic(stack, "Before"), newTopic(stack, "After")
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	second := cluster.AddCapacity("Second", nil)

	inside := awscdk.NewCfnResource(cluster, jsii.String("Inside"),
		&awscdk.CfnResourceProps{Type: jsii.String("AWS::SNS::Topic")})
	awscdk.NewCfnResource(second, jsii.String("Inside"), &awscdk.CfnResourceProps{Type: jsii.String("AWS::SNS::Topic")})
	awscdk.Tags_Of(cluster).Add(jsii.String("team"), jsii.String("builds"), nil)
	awscdk.Tags_Of(second).Add(jsii.String("purpose"), jsii.String("releases"), nil)
	awscdk.Annotations_Of(cluster).AddWarningV2(jsii.String("test:cluster"), jsii.String("of the cluster"))
	awscdk.Annotations_Of(second).AddWarningV2(jsii.String("test:capacity"), jsii.String("of the capacity"))
	cluster.Node().AddDependency(before)
	after.Node().AddDependency(cluster)
	template := cdktest.Template(stack)

	t.Run("as a scope", func(t *testing.T) {
		assert.Equal(t, "Test/Cluster/Inside", *inside.Node().Path())
		assert.Same(t, stack, awscdk.Stack_Of(cluster))
		assert.Equal(t, 4, cdktest.Inventory(template)["AWS::SNS::Topic"])
	})
	t.Run("in Tags_Of", func(t *testing.T) {
		team := map[string]any{"Key": "team", "Value": "builds"}
		purpose := map[string]any{"Key": "purpose", "Value": "releases"}
		launched := map[string]any{"Key": "team", "Value": "builds", "PropagateAtLaunch": true}
		for _, capacity := range []*constructs.RunnerCapacity{cluster.DefaultCapacity(), second} {
			launchTemplate := cdktest.Properties(t, template, capacity.LaunchTemplate())
			for i, launchedResource := range []string{"instance", "volume"} {
				specification := cdktest.At(launchTemplate, fmt.Sprintf("LaunchTemplateData.TagSpecifications.%d", i))
				require.Equal(t, launchedResource, cdktest.At(specification, "ResourceType"))
				assert.Containsf(t, cdktest.At(specification, "Tags"), team, "each %s costs money; the bill must show whose it is",
					launchedResource)
			}
			assert.Contains(t, cdktest.Properties(t, template, capacity.AutoScalingGroup())["Tags"], launched)
		}
		assert.Contains(t, cdktest.At(cdktest.Properties(t, template, second.LaunchTemplate()),
			"LaunchTemplateData.TagSpecifications.0.Tags"), purpose)
		assert.NotContains(t, cdktest.At(cdktest.Properties(t, template, cluster.DefaultCapacity().LaunchTemplate()),
			"LaunchTemplateData.TagSpecifications.0.Tags"), purpose, "a capacity's tags are not its sibling's")
	})
	t.Run("in Annotations_Of", func(t *testing.T) {
		assert.Equal(t, []string{
			"/Test/Cluster: of the cluster [ack: test:cluster]",
			"/Test/Cluster/Second: of the capacity [ack: test:capacity]",
		}, cdktest.Warnings(stack))
	})
	t.Run("in AddDependency", func(t *testing.T) {
		group := cdktest.Definition(t, template, second.AutoScalingGroup())
		assert.Contains(t, group["DependsOn"], cdktest.LogicalID(t, before),
			"the group could start instances before what they need is there")
		assert.Contains(t, cdktest.Definition(t, template, after)["DependsOn"], cdktest.LogicalID(t,
			second.AutoScalingGroup()),
			"what needs the cluster would be made before it")
	})
}

func TestRunnerCluster_TwoInOneStackDoNotCollide(t *testing.T) {
	stack := cdktest.NewStack(t)
	clusters := []*constructs.RunnerCluster{
		constructs.NewRunnerCluster(stack, "Blue", nil),
		constructs.NewRunnerCluster(stack, "Green", nil),
	}
	for _, cluster := range clusters {
		cluster.AddCapacity("Second", nil)
	}
	template := cdktest.Template(stack)

	inventory := cdktest.Inventory(template)
	assert.Equal(t, 2, inventory["AWS::ECS::Cluster"])
	assert.Equal(t, 4, inventory["AWS::ECS::CapacityProvider"])
	providers := map[any]any{}
	for _, association := range cdktest.Resources(template, "AWS::ECS::ClusterCapacityProviderAssociations") {
		providers[cdktest.At(association, "Cluster.Ref")] = association["CapacityProviders"]
	}
	for _, cluster := range clusters {
		own := resolved(stack, cluster.Cluster().ClusterName())
		assert.Equal(t, []any{
			resolved(stack, cluster.DefaultCapacity().CapacityProvider().CapacityProviderName()),
			resolved(stack, cluster.Capacities()[1].CapacityProvider().CapacityProviderName()),
		}, providers[cdktest.At(own, "Ref")], "a provider works for one cluster only")
		for _, capacity := range cluster.Capacities() {
			script := userData(t, template, capacity)
			assert.Containsf(t, script, fmt.Sprintf("\nECS_CLUSTER=${%s}\n", cdktest.At(own, "Ref")),
				"instances of %s would join another cluster", *capacity.Node().Path())
		}
	}
}

func TestRunnerCluster_AddCapacity_ExtendsTheDefaultStrategy(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		DefaultCapacity: &constructs.RunnerCapacityProps{Weight: new(2)},
	})
	byName := cluster.AddCapacity("ByName", nil)
	spot := cluster.AddCapacity("Spot", &constructs.RunnerCapacityProps{Weight: new(3)})
	baseOnly := cluster.AddCapacity("BaseOnly", &constructs.RunnerCapacityProps{Base: 5})
	association := cdktest.Resource(t, cdktest.Template(stack), "AWS::ECS::ClusterCapacityProviderAssociations")

	name := func(capacity *constructs.RunnerCapacity) any {
		return resolved(stack, capacity.CapacityProvider().CapacityProviderName())
	}
	assert.Equal(t, []any{name(cluster.DefaultCapacity()), name(byName), name(spot), name(baseOnly)},
		association["CapacityProviders"],
		"a task can name only providers of its cluster")
	assert.Equal(t, []any{
		map[string]any{"CapacityProvider": name(cluster.DefaultCapacity()), "Weight": 2.0},
		map[string]any{"CapacityProvider": name(spot), "Weight": 3.0},
		map[string]any{"CapacityProvider": name(baseOnly), "Weight": 1.0, "Base": 5.0},
	}, association["DefaultCapacityProviderStrategy"], "tasks that ask for nothing would run elsewhere than meant")
}

func TestRunnerCluster_AddCapacity_FailsWhenAnotherHasTheBase(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	cluster.AddCapacity("First", &constructs.RunnerCapacityProps{Base: 1})
	before := len(*cluster.Node().Children())

	assert.Equal(t, "capacity \"Second\" of RunnerCluster \"Cluster\":\n"+
		"Base must be 0, got 2: capacity First has a base already, and a cluster has one",
		cdktest.PanicMessage(t, func() { cluster.AddCapacity("Second", &constructs.RunnerCapacityProps{Base: 2}) }))
	assert.Len(t, *cluster.Node().Children(), before, "what was refused must not be deployed")
	assert.Len(t, cluster.Capacities(), 2)
}

func TestRunnerCluster_AddCapacity_FailsWhenTheIDIsTaken(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)

	for _, id := range []string{"DefaultCapacity", "Cluster", "Vpc"} {
		assert.Equal(t, "capacity \""+id+
			"\" of RunnerCluster \"Cluster\":\nid must be an id that nothing in the cluster has, got \""+id+"\"",
			cdktest.PanicMessage(t, func() { cluster.AddCapacity(id, nil) }))
	}
	assert.Len(t, cluster.Capacities(), 1)
	assert.Len(t, cdktest.Resource(t, cdktest.Template(stack),
		"AWS::ECS::ClusterCapacityProviderAssociations")["CapacityProviders"], 1)
}

func TestRunnerCluster_SynthesisFailsWhenNoCapacityHasAWeight(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		DefaultCapacity: &constructs.RunnerCapacityProps{Weight: new(0)},
	})
	cluster.AddCapacity("Second", nil)

	message := cdktest.PanicMessage(t, func() { cdktest.Template(stack) })
	assert.Contains(t, message, "[Test/Cluster] Weight must be 1 to 1000 for at least one capacity, got 0 for all: "+
		"ECS refuses a default strategy without a weight")
}

func TestRunnerCluster_SynthesizesWhenOnlyAnAddedCapacityHasAWeight(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		DefaultCapacity: &constructs.RunnerCapacityProps{Weight: new(0)},
	})
	second := cluster.AddCapacity("Second", &constructs.RunnerCapacityProps{Weight: new(1)})
	assertAt(t, cdktest.Resource(t, cdktest.Template(stack), "AWS::ECS::ClusterCapacityProviderAssociations"),
		[]expectation{
			{
				"DefaultCapacityProviderStrategy.0.CapacityProvider",
				resolved(stack, second.CapacityProvider().CapacityProviderName()), "the capacity without weight would get tasks",
			},
			{"DefaultCapacityProviderStrategy.1", nil, "the capacity without weight would get tasks"},
		})
}

// Each row is one way in which props of the cluster itself cannot work. Those
// of capacities are in TestRunnerCapacity_FailsWhen.
func TestRunnerCluster_FailsWhen(t *testing.T) {
	stack := cdktest.NewStack(t)
	zones := jsii.Strings("eu-central-1a")
	public := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Public"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-public"), AvailabilityZones: zones, PublicSubnetIds: jsii.Strings("subnet-public"),
	})
	isolated := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Isolated"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-isolated"), AvailabilityZones: zones, IsolatedSubnetIds: jsii.Strings("subnet-isolated"),
	})
	role := awsiam.Role_FromRoleName(stack, jsii.String("Role"), jsii.String("given"), nil)
	before := paths(stack)

	for _, test := range []struct {
		name  string
		props constructs.RunnerClusterProps
		want  []string
	}{
		{
			"the name of the cluster has characters that ECS refuses",
			constructs.RunnerClusterProps{ClusterName: "my runners"},
			[]string{`ClusterName must be at most 255 letters, digits, - and _, got "my runners"`},
		},
		{
			"the name of the role is too long",
			constructs.RunnerClusterProps{InstanceRoleName: strings.Repeat("r", 65)},
			[]string{`InstanceRoleName must be at most 64 letters, digits and + = , . @ _ -, got "` + strings.Repeat("r",
				65) + `"`},
		},
		{
			"the name of the profile has characters that IAM refuses",
			constructs.RunnerClusterProps{InstanceProfileName: "runners/profile"},
			[]string{`InstanceProfileName must be at most 64 letters, digits and + = , . @ _ -, got "runners/profile"`},
		},
		{
			"Container Insights is no choice of ECS's",
			constructs.RunnerClusterProps{ContainerInsights: "ON"},
			[]string{`ContainerInsights must be disabled, enabled or enhanced, got "on"`},
		},
		{
			"subnets are selected of no VPC",
			constructs.RunnerClusterProps{Subnets: &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PUBLIC}},
			[]string{"Subnets needs the VPC from which it selects"},
		},
		{
			"the VPC has isolated subnets only",
			constructs.RunnerClusterProps{VPC: isolated},
			[]string{"VPC has neither private subnets with egress nor public subnets; give Subnets that have another way to " +
				"GitHub"},
		},
		{
			"the selection matches no subnet",
			constructs.RunnerClusterProps{VPC: public, Subnets: &awsec2.SubnetSelection{
				SubnetType:        awsec2.SubnetType_PUBLIC,
				AvailabilityZones: jsii.Strings("eu-central-1z"),
			}},
			[]string{"Subnets selects no subnet of VPC"},
		},
		{
			"the selection names a kind of subnet that the VPC does not have",
			constructs.RunnerClusterProps{VPC: public, Subnets: &awsec2.SubnetSelection{
				SubnetType: awsec2.SubnetType_PRIVATE_ISOLATED,
			}},
			[]string{"Subnets selects what VPC does not have (ThereSubnetGroups: There are no 'Isolated' subnet groups in " +
				"this VPC. Available types: Public)"},
		},
		{
			"a given role gets a name",
			constructs.RunnerClusterProps{InstanceRole: role, InstanceRoleName: "mine"},
			[]string{`InstanceRoleName cannot be used with InstanceRole: it names the new role`},
		},
		{
			"a given role should get the permissions of Session Manager",
			constructs.RunnerClusterProps{InstanceRole: role, SessionManager: true},
			[]string{"SessionManager cannot be used with InstanceRole: nothing is added to a given role; give it the " +
				"permissions yourself"},
		},
		{
			"several props cannot be used, and then names them all",
			constructs.RunnerClusterProps{
				ClusterName: "a b", Subnets: &awsec2.SubnetSelection{}, InstanceRole: role, SessionManager: true,
				DefaultCapacity: &constructs.RunnerCapacityProps{MinInstances: 11},
			},
			[]string{
				`ClusterName must be at most 255 letters, digits, - and _, got "a b"`,
				"DefaultCapacity.MinInstances must be 0 to 10, got 11",
				"Subnets needs the VPC from which it selects",
				"SessionManager cannot be used with InstanceRole: nothing is added to a given role; give it the permissions " +
					"yourself",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, "RunnerCluster \"Cluster\":\n"+strings.Join(test.want, "\n"),
				cdktest.PanicMessage(t, func() { constructs.NewRunnerCluster(stack, "Cluster", &test.props) }))
			assert.Equal(t, before, paths(stack), "what was refused must not be deployed")
		})
	}
	t.Run("and can be made with better props afterwards", func(t *testing.T) {
		constructs.NewRunnerCluster(stack, "Cluster", nil)
		assert.Equal(t, 1, cdktest.Inventory(cdktest.Template(stack))["AWS::ECS::Cluster"])
	})
}

// ECS refuses capacity providers whose name begins with aws, ecs or fargate, in
// any case; CloudFormation derives an absent name from that of the root stack.
func TestRunnerCluster_FailsWhenTheStackGivesCapacityProvidersAReservedName(t *testing.T) {
	newStack := func(name string) awscdk.Stack {
		return awscdk.NewStack(cdktest.NewApp(t, nil), jsii.String("Stack"), &awscdk.StackProps{StackName: &name})
	}
	for _, test := range []struct {
		name  string
		stack awscdk.Stack
		root  string
	}{
		{"aws", newStack("awsRunners"), "awsRunners"},
		{"ECS in capitals", newStack("ECS-Runners"), "ECS-Runners"},
		{"Fargate, mixed", newStack("FargateFreeRunners"), "FargateFreeRunners"},
		{"of a stage", awscdk.NewStack(awscdk.NewStage(cdktest.NewApp(t, nil), jsii.String("Ecs"), nil),
			jsii.String("Runners"), nil), "Ecs-Runners"},
		{"of the root of nested stacks", awscdk.NewNestedStack(awscdk.NewNestedStack(newStack("EcsRunners"),
			jsii.String("Outer"), nil), jsii.String("Inner"), nil), "EcsRunners"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := fmt.Sprintf("CapacityProviderName is required: the name of the stack, %s, begins with aws, ecs or "+
				"fargate, and ECS refuses capacity providers that CloudFormation names after it", test.root)
			assert.Equal(t, "RunnerCluster \"Cluster\":\n"+want, cdktest.PanicMessage(t,
				func() { constructs.NewRunnerCluster(test.stack, "Cluster", nil) }))
			assert.Nil(t, test.stack.Node().TryFindChild(jsii.String("Cluster")), "what was refused must not be deployed")

			named := func(name string) *constructs.RunnerCapacityProps {
				return &constructs.RunnerCapacityProps{CapacityProviderName: name}
			}
			cluster := constructs.NewRunnerCluster(test.stack, "Cluster", &constructs.RunnerClusterProps{
				DefaultCapacity: named("first"),
			})
			assert.Equal(t, "capacity \"Second\" of RunnerCluster \"Cluster\":\n"+want, cdktest.PanicMessage(t,
				func() { cluster.AddCapacity("Second", nil) }))
			cluster.AddCapacity("Second", named("second"))
			assert.Equal(t, 2, cdktest.Inventory(cdktest.Template(test.stack))["AWS::ECS::CapacityProvider"])
		})
	}
}

func TestRunnerCluster_WorksInStacksWhoseNamesAreNotReserved(t *testing.T) {
	root := awscdk.NewStack(cdktest.NewApp(t, nil), jsii.String("MyEcs"), nil)
	nested := awscdk.NewNestedStack(root, jsii.String("EcsNested"), nil) // deployed as MyEcs-…
	constructs.NewRunnerCluster(root, "Cluster", nil)
	constructs.NewRunnerCluster(nested, "EcsCluster", nil)

	assert.Equal(t, 1, cdktest.Inventory(cdktest.Template(root))["AWS::ECS::Cluster"])
	assert.Equal(t, 1, cdktest.Inventory(cdktest.Template(nested))["AWS::ECS::Cluster"])
}

func TestRunnerCluster_NeverWritesToProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-given"), AvailabilityZones: jsii.Strings("eu-central-1a"), PublicSubnetIds: jsii.Strings(
			"subnet-public"),
	})
	for _, build := range []func() *constructs.RunnerClusterProps{
		func() *constructs.RunnerClusterProps { return &constructs.RunnerClusterProps{} },
		func() *constructs.RunnerClusterProps {
			return &constructs.RunnerClusterProps{
				VPC: vpc, Subnets: &awsec2.SubnetSelection{}, DefaultCapacity: &constructs.RunnerCapacityProps{
					InstanceTypes: []string{"m7i.large", "m6i.large"},
					Spot:          &constructs.SpotOptions{},
					Agent:         &constructs.AgentOptions{Extra: map[string]string{"ECS_LOGLEVEL": "debug"}},
				},
			}
		},
		func() *constructs.RunnerClusterProps {
			return &constructs.RunnerClusterProps{DefaultCapacity: &constructs.RunnerCapacityProps{InstanceTypes: []string{
				"m7i.large",
			}, WarmPool: &constructs.WarmPoolOptions{}}}
		},
	} {
		props, untouched := build(), build()
		cluster := constructs.NewRunnerCluster(stack, fmt.Sprintf("Cluster%d", len(*stack.Node().Children())), props)
		cluster.AddCapacity("Second", props.DefaultCapacity)
		assert.Equal(t, untouched, props, "props that one construct has changed mean something else to the next")
	}
}

// resolved is a token as the template has it.
func resolved(stack awscdk.Stack, token any) any { return stack.Resolve(token) }

// paths are those of everything in a stack.
func paths(stack awscdk.Stack) []string {
	var found []string
	for _, construct := range *stack.Node().FindAll("") {
		found = append(found, *construct.Node().Path())
	}
	return found
}

// userData is the user data of a capacity's instances.
func userData(t *testing.T, template map[string]any, capacity *constructs.RunnerCapacity) string {
	t.Helper()
	return cdktest.Text(t, cdktest.At(cdktest.Properties(t, template, capacity.LaunchTemplate()),
		"LaunchTemplateData.UserData"))
}
