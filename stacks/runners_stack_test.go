package stacks_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
	"github.com/ecs-github-runners/ecsrunners/snapshottest"
	"github.com/ecs-github-runners/ecsrunners/stacks"
	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// rich is a configuration as a large organization might write it.
const rich = `{
	"stackName": "BuildFarm",
	"account": "111122223333",
	"region": "eu-central-1",
	"tags": {"team": "developer-experience", "cost-center": "4711"},
	"vpc": {
		"id": "vpc-0123456789abcdef0",
		"availabilityZones": ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
		"subnetIds": ["subnet-0000000000000000a", "subnet-0000000000000000b", "subnet-0000000000000000c"]
	},
	"image": {"architectures": ["x64", "arm64"]},
	"webhook": {
		"owners": ["octo-org"],
		"repositories": ["octo-org/service-*"],
		"maximumEventAge": "10m",
		"maximumRetryAttempts": 20
	},
	"registration": {
		"organization": "octo-org",
		"gitHubUrl": "https://octo.ghe.com",
		"credential": "token",
		"secretArn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:github/runners-AbCdEf",
		"deployment": "farm",
		"pointInTimeRecovery": true,
		"removalPolicy": "retain",
		"reservedConcurrency": 20
	},
	"fleets": [
		{
			"name": "linux", "labels": ["self-hosted", "linux", "x64"],
			"runnerGroup": "Default", "cpu": 2048, "memoryMiB": 7168,
			"idleTimeout": "10m", "environment": {"GOPROXY": "https://proxy.example.com"}
		},
		{
			"name": "graviton", "labels": ["self-hosted", "linux", "arm64"], "capacity": "Graviton",
			"networkMode": "awsvpc", "tmpfsMiB": {"/home/runner/_work": 1024}, "oneJobPerInstance": true
		},
		{
			"name": "spot", "labels": ["self-hosted", "linux", "x64", "spot"], "capacity": "Spot",
			"image": "registry.example.com/runner:stable", "family": "spot-runner"
		}
	],
	"cluster": {
		"clusterName": "build-farm",
		"containerInsights": "enhanced",
		"sessionManager": true,
		"defaultCapacity": {
			"instanceTypes": ["m7i.xlarge", "m6i.xlarge"],
			"minInstances": 1,
			"maxInstances": 40,
			"rootVolumeSizeGiB": 200,
			"maxInstanceLifetime": "168h",
			"base": 2
		},
		"capacities": {
			"Spot": {
				"maxInstances": 100,
				"spot": {"onDemandBase": 1, "onDemandPercentage": 10},
				"weight": 3
			},
			"Graviton": {
				"architecture": "arm64",
				"instanceTypes": ["m8g.large"],
				"warmPool": {"minSize": 2},
				"capacityProviderName": "graviton",
				"agent": {"reservedMemoryMiB": 512, "extra": {"ECS_LOGLEVEL": "debug"}}
			}
		}
	}
}`

// committed is the configuration in cdk.json.
func committed(t *testing.T) map[string]any {
	t.Helper()
	return snapshottest.NewApp(t, nil).Node().TryGetContext(jsii.String(config.Key)).(map[string]any)
}

// scenarios are configurations, as the CDK hands them out, whose stacks are
// tested as a whole.
func scenarios(t *testing.T) []scenario {
	t.Helper()
	fixed := maps.Clone(committed(t))
	fixed["account"], fixed["region"] = "111122223333", "eu-central-1"
	return []scenario{
		{"default", committed(t)},
		{"default-in-an-account", fixed},
		{"rich", rich},
	}
}

type scenario struct {
	name          string
	configuration any
}

// build makes the app and its stack as cmd/app does.
func (s scenario) build(t *testing.T, context map[string]any) (awscdk.App, *stacks.RunnersStack) {
	t.Helper()
	merged := maps.Clone(context)
	if merged == nil {
		merged = map[string]any{}
	}
	merged[config.Key] = s.configuration
	app := snapshottest.NewApp(t, merged)
	c, err := config.Parse(app.Node().TryGetContext(jsii.String(config.Key)))
	require.NoError(t, err)
	var image constructs.RunnerImage
	if c.Image != nil {
		image = stacks.NewRunnerImageStack(app, c).Pipeline().Image()
	}
	return app, stacks.NewRunnersStack(app, c, image)
}

func TestRunnersStack_Snapshots(t *testing.T) {
	for _, s := range scenarios(t) {
		_, stack := s.build(t, nil)
		snapshottest.Compare(t, s.name, stack)
		assert.Emptyf(t, cdktest.Warnings(stack), "%s: cdk synth --strict would fail", s.name)
	}
}

func TestRunnersStack_ByDefaultCostsNothingAtRest(t *testing.T) {
	_, stack := scenarios(t)[0].build(t, nil)
	template := cdktest.Template(stack)

	inventory := cdktest.Inventory(template)
	for _, charged := range []string{
		"AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::Instance", "AWS::EC2::VPCEndpoint",
		"AWS::ElasticLoadBalancing::LoadBalancer", "AWS::ElasticLoadBalancingV2::LoadBalancer",
	} {
		assert.Zerof(t, inventory[charged], "%s is charged for by the hour, while no job runs too", charged)
	}
	group := cdktest.Resource(t, template, "AWS::AutoScaling::AutoScalingGroup")
	assert.Equal(t, "0", group["MinSize"], "an instance would run while no job does")
	assert.NotContains(t, group, "DesiredCapacity", "a deployment would start instances")
}

func TestRunnersStack_TheClusterWithItsVPCIsSmall(t *testing.T) {
	_, stack := scenarios(t)[0].build(t, nil)
	cluster := map[string]int{}
	total, inCluster := 0, 0
	resources := cdktest.Template(stack)["Resources"].(map[string]any)
	for id, resource := range resources {
		total++
		if strings.HasPrefix(id, "Cluster") {
			inCluster++
			cluster[fmt.Sprint(cdktest.At(resource, "Type"))]++
		}
	}
	t.Logf("the default stack has %d resources, %d of them are the cluster with its VPC: %v", total, inCluster, cluster)
	assert.Equal(t, 1, cluster["AWS::EC2::VPC"], "the count must be that of the cluster with its VPC")
	assert.Less(t, inCluster, 30, "a platform engineer should be able to read it")
}

func TestRunnersStack_LooksNothingUp(t *testing.T) {
	all := scenarios(t)
	for _, s := range []scenario{all[0], all[2]} {
		app, _ := s.build(t, nil)
		assert.Emptyf(t, app.Synth(nil).Manifest().Missing,
			"%s: synthesis would need credentials, and the template would depend on the account", s.name)
	}
}

func TestRunnersStack_TagsEverything(t *testing.T) {
	app, stack := scenario{"rich", rich}.build(t, nil)
	want := map[string]string{"team": "developer-experience", "cost-center": "4711"}

	got := map[string]string{}
	for key, value := range *app.Synth(nil).GetStackByName(stack.StackName()).Tags() {
		got[key] = *value
	}
	assert.Equal(t, want, got, "CloudFormation would not tag what it makes by itself")

	template := cdktest.Template(stack)
	for _, resourceType := range []string{
		"AWS::ECS::Cluster", "AWS::ECS::CapacityProvider", "AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::SecurityGroup",
		"AWS::IAM::Role", "AWS::Lambda::Function",
	} {
		found := cdktest.Resources(template, resourceType)
		require.NotEmpty(t, found, resourceType)
		for id, properties := range found {
			assert.Subsetf(t, tags(properties["Tags"]), want, "%s %s: nobody could tell whose it is", resourceType, id)
		}
	}
	for id, properties := range cdktest.Resources(template, "AWS::EC2::LaunchTemplate") {
		for i, launched := range []string{"instance", "volume"} {
			specification := cdktest.At(properties, fmt.Sprintf("LaunchTemplateData.TagSpecifications.%d", i))
			require.Equal(t, launched, cdktest.At(specification, "ResourceType"))
			assert.Subsetf(t, tags(cdktest.At(specification, "Tags")), want, "%s: nobody could tell whose the %s is",
				id, launched)
		}
	}
}

// tags are those of a resource by their keys.
func tags(list any) map[string]string {
	found := map[string]string{}
	entries, _ := list.([]any)
	for _, entry := range entries {
		found[fmt.Sprint(cdktest.At(entry, "Key"))] = fmt.Sprint(cdktest.At(entry, "Value"))
	}
	return found
}

func TestRunnersStack_RunsInTheConfiguredVPC(t *testing.T) {
	for _, test := range []struct {
		name   string
		public bool
	}{{"private", false}, {"public", true}} {
		t.Run(test.name, func(t *testing.T) {
			s := scenario{test.name, fmt.Sprintf(`{
				"webhook": {"owners": ["octo-org"]},
				"vpc": {
					"id": "vpc-0123456789abcdef0", "public": %t,
					"availabilityZones": ["eu-central-1a", "eu-central-1a", "eu-central-1b"],
					"subnetIds": ["subnet-0000000000000000a", "subnet-0000000000000000b", "subnet-0000000000000000c"]
				}}`, test.public)}
			_, stack := s.build(t, nil)
			template := cdktest.Template(stack)

			assert.Zero(t, cdktest.Inventory(template)["AWS::EC2::VPC"], "a VPC too many")
			assert.Equal(t, []any{"subnet-0000000000000000a", "subnet-0000000000000000b", "subnet-0000000000000000c"},
				cdktest.Resource(t, template, "AWS::AutoScaling::AutoScalingGroup")["VPCZoneIdentifier"],
				"instances would run elsewhere")
			assert.Equal(t, "vpc-0123456789abcdef0", cdktest.Resource(t, template, "AWS::EC2::SecurityGroup")["VpcId"])
			assert.Equal(t, test.public, cdktest.At(cdktest.Resource(t, template, "AWS::EC2::LaunchTemplate"),
				"LaunchTemplateData.NetworkInterfaces.0.AssociatePublicIpAddress"),
				"in public subnets instances cannot reach GitHub without an address; in private ones they must have none")
		})
	}
}

// Whatever changes with a release must not be what another stack imports, or
// what somebody has copied from the outputs: CloudFormation refuses to change an
// export that is in use, and a copy goes stale.
func TestRunnersStack_OutputsAreStable(t *testing.T) {
	for _, s := range scenarios(t) {
		_, stack := s.build(t, nil)
		template := cdktest.Template(stack)
		outputs := template["Outputs"].(map[string]any)
		require.NotEmpty(t, outputs)
		for name, output := range outputs {
			assert.Nilf(t, cdktest.At(output, "Export"), "%s: output %s is exported", s.name, name)
			for _, id := range references(output) {
				switch resourceType := cdktest.At(template, "Resources."+id+".Type"); resourceType {
				case "AWS::ECS::TaskDefinition", "AWS::Lambda::Version", "AWS::EC2::LaunchTemplate":
					assert.Failf(t, "an output that changes with each release", "%s: output %s refers to %s, a %s", s.name, name, id,
						resourceType)
				}
			}
		}
	}
}

// references are the logical ids that a part of a template refers to.
func references(part any) []string {
	var ids []string
	switch part := part.(type) {
	case map[string]any:
		if id, ok := part["Ref"].(string); ok {
			ids = append(ids, id)
		}
		if id, ok := cdktest.At(part, "Fn::GetAtt.0").(string); ok {
			ids = append(ids, id)
		}
		for _, member := range part {
			ids = append(ids, references(member)...)
		}
	case []any:
		for _, member := range part {
			ids = append(ids, references(member)...)
		}
	}
	return ids
}

func TestRunnersStack_AccessorsReturnWhatWasMade(t *testing.T) {
	_, stack := scenarios(t)[0].build(t, nil)
	assert.Same(t, stack.Cluster(), stack.Node().FindChild(jsii.String("Cluster")))
	assert.Same(t, stack.Ingress(), stack.Node().FindChild(jsii.String("Ingress")))
}
