package examples_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

// runnersTemplate is the template of the stack GitHubRunners of an example.
func runnersTemplate(t *testing.T, example string) template {
	t.Helper()
	assembly := synthesize(t, example)
	stack, ok := assembly.stacks(t)["GitHubRunners"]
	require.Truef(t, ok, "example %s has no stack GitHubRunners", example)
	return parseTemplate(t, assembly.read(t, stack.Properties.TemplateFile), "")
}

const webhookFunction = "AWS::Lambda::Function[Description=Takes GitHub's webhook deliveries and puts them on the " +
	"event bus]"

func TestSeveralFleets_GiveEachJobTheFleetThatItsCommentsPromise(t *testing.T) {
	tpl := runnersTemplate(t, "several-fleets")
	table, err := tpl.find(webhookFunction + ".Environment.Variables." + webhookcontract.EnvRoutes)
	require.NoError(t, err)
	var fleets []contract.Fleet
	require.NoError(t, json.Unmarshal([]byte(table), &fleets))
	routes, err := labels.NewRoutes(fleets) // what the webhook's program does with it
	require.NoError(t, err)
	assert.Empty(t, routes.Shadows(), "a fleet of the example never gets a job")
	for _, test := range []struct{ runsOn, fleet string }{
		{"self-hosted", "linux"},
		{"self-hosted,linux", "linux"},
		{"self-hosted,linux,x64", "linux"},
		{"self-hosted,linux,arm64", "graviton"},
		{"arm64", "graviton"},
		{"self-hosted,linux,small", "small"},
		{"self-hosted,linux,spot", "spot"},
		{"self-hosted,linux,x64,large", "large"},
		{"Self-Hosted,Linux,LARGE", "large"},
		{"self-hosted,linux,arm64,large", ""},
		{"self-hosted,windows", ""},
	} {
		fleet, _ := routes.Fleet(strings.Split(test.runsOn, ","))
		assert.Equalf(t, test.fleet, fleet, "runs-on: [%s]", test.runsOn)
	}
}

func TestSeveralFleets_StartTasksWhereTheyFit(t *testing.T) {
	tpl := runnersTemplate(t, "several-fleets")
	for _, test := range []struct {
		fleet, tag, instances string
		cpu, memory           string
		onDemand              string // of the instances beyond the base, in percent
	}{
		{"linux", "latest-x64", "m7i-flex.large,m7i.large,m6i.large", "2048", "7168", "100"},
		{"graviton", "latest-arm64", "m8g.large,m7g.large,m6g.large", "2048", "7168", "100"},
		{"small", "latest-x64", "m7i.xlarge,m6i.xlarge", "1024", "3584", "100"},
		{"spot", "latest-x64", "m7i-flex.large,m7i.large,m6i.large", "2048", "7168", "0"},
		{"large", "latest-x64", "m7i.4xlarge,m6i.4xlarge", "16384", "60672", "100"},
	} {
		target := tpl.ruleTarget(t, test.fleet)
		parameters := object(target["EcsParameters"])
		strategy := elements(parameters["CapacityProviderStrategy"])
		require.Lenf(t, strategy, 1, "fleet %s", test.fleet)
		provider := tpl.referred(t, strategy[0]["CapacityProvider"])
		group := tpl.referred(t, object(provider.Properties["AutoScalingGroupProvider"])["AutoScalingGroupArn"])
		mixed := object(group.Properties["MixedInstancesPolicy"])
		var types []string
		for _, override := range elements(object(mixed["LaunchTemplate"])["Overrides"]) {
			types = append(types, fmt.Sprint(override["InstanceType"]))
		}
		assert.Equalf(t, test.instances, strings.Join(types, ","), "fleet %s: instances on which its tasks start", test.fleet)
		if share, ok := object(mixed["InstancesDistribution"])["OnDemandPercentageAboveBaseCapacity"]; ok ||
			test.onDemand != "100" {
			assert.Equalf(t, test.onDemand, fmt.Sprint(share), "fleet %s: share of On-Demand instances", test.fleet)
		}

		arn := tpl.text(parameters["TaskDefinitionArn"])
		container := tpl.container(t, arn[strings.LastIndex(arn, "/")+1:])
		image := tpl.text(container["Image"])
		assert.Equalf(t, test.tag, image[strings.LastIndex(image, ":")+1:],
			"fleet %s: an image for another architecture does not start", test.fleet)
		assert.Equalf(t, test.cpu, fmt.Sprint(container["Cpu"]), "fleet %s: CPU", test.fleet)
		assert.Equalf(t, test.memory, fmt.Sprint(container["Memory"]), "fleet %s: memory", test.fleet)
	}
}

func TestExamples_RegisterRunnersInTheGroupsThatTheyName(t *testing.T) {
	for _, test := range []struct{ example, fleet, group string }{
		{"several-fleets", "linux", ""},
		{"several-fleets", "small", "trusted-repositories"},
		{"several-fleets", "large", ""},
		{"existing-vpc", "internal", "internal-network"},
	} {
		table, err := runnersTemplate(t, test.example).find(registration + ".Environment.Variables.ECSRUNNERS_FLEETS")
		require.NoError(t, err)
		var fleets []struct {
			Name  string
			Group string `json:"runner_group"`
		}
		require.NoErrorf(t, json.Unmarshal([]byte(table), &fleets), "%s: the registration function cannot read %s",
			test.example, table)
		groups := map[string]string{}
		for _, fleet := range fleets {
			groups[fleet.Name] = fleet.Group
		}
		got, ok := groups[test.fleet]
		assert.Truef(t, ok, "%s: the registration function knows no fleet %s", test.example, test.fleet)
		assert.Equalf(t, test.group, got, "%s: fleet %s is open to other repositories than the example says", test.example,
			test.fleet)
	}
}

func TestExistingVPC_RunsJobsInItsPrivateSubnetsWithWhatIsGranted(t *testing.T) {
	tpl := runnersTemplate(t, "existing-vpc")
	subnets, err := tpl.find(group + ".VPCZoneIdentifier")
	require.NoError(t, err)
	assert.Equal(t, "subnet-0a1b2c3d4e5f60718,subnet-0b2c3d4e5f60718a9", subnets)
	var addresses []string
	for _, r := range tpl.Resources {
		if r.Type == launch {
			data := object(r.Properties["LaunchTemplateData"])
			for _, network := range elements(data["NetworkInterfaces"]) {
				addresses = append(addresses, fmt.Sprint(network["AssociatePublicIpAddress"]))
			}
		}
	}
	assert.NotContains(t, addresses, "true", "instances in private subnets have public addresses")

	found := false
	for _, r := range tpl.Resources {
		if r.Type != "AWS::IAM::Policy" || tpl.text(r.Properties["Roles"]) != "Jobs of the runner fleet internal" {
			continue
		}
		for _, statement := range elements(object(r.Properties["PolicyDocument"])["Statement"]) {
			if strings.Contains(tpl.text(statement["Resource"]), ":s3:::my-org-packages") {
				found = true
				assert.Equal(t, "s3:GetBucket*,s3:GetObject*,s3:List*", tpl.text(statement["Action"]),
					"jobs may do more than read the bucket")
			}
		}
	}
	assert.True(t, found, "jobs cannot read the bucket")
}

// What must be copied to make an example work is in its outputs. The values of
// secrets are not.
func TestExamples_HaveOutputsToCopy(t *testing.T) {
	for _, example := range []string{"minimal", "existing-vpc", "several-fleets"} {
		tpl := runnersTemplate(t, example)
		for output, want := range map[string]string{
			"WebhookURL": "AWS::Lambda::Url.FunctionUrl",
			"WebhookSecretCommand": "aws secretsmanager get-secret-value --query SecretString --output text --secret-id " +
				"Secret of the GitHub webhook of the runners",
			"GitHubCredentialCommand": "aws secretsmanager put-secret-value --secret-string file://credential.json " +
				"--secret-id GitHub's credential of the runners, to be filled in as JSON",
		} {
			got, err := tpl.find("Output." + output)
			assert.NoErrorf(t, err, "%s", example)
			assert.Equalf(t, want, got, "%s: output %s", example, output)
		}
	}
}

// ruleTarget is what the rule of a fleet starts.
func (t template) ruleTarget(tt *testing.T, fleet string) map[string]any {
	tt.Helper()
	for _, r := range t.Resources {
		if r.Type != rule ||
			fmt.Sprint(r.Properties["Description"]) != "Starts a task for each queued job of the runner fleet "+fleet {
			continue
		}
		targets := elements(r.Properties["Targets"])
		require.Lenf(tt, targets, 1, "fleet %s", fleet)
		return targets[0]
	}
	require.Failf(tt, "no rule", "fleet %s: nothing starts its tasks", fleet)
	return nil
}

// container is the only one of a task definition.
func (t template) container(tt *testing.T, family string) map[string]any {
	tt.Helper()
	for _, r := range t.Resources {
		if r.Type == definition && r.Properties["Family"] == family {
			containers := elements(r.Properties["ContainerDefinitions"])
			require.Lenf(tt, containers, 1, "family %s", family)
			return containers[0]
		}
	}
	require.Failf(tt, "no task definition", "family %s", family)
	return nil
}

// referred is the resource to which a Ref leads.
func (t template) referred(tt *testing.T, reference any) resource {
	tt.Helper()
	id, _ := object(reference)["Ref"].(string)
	r, ok := t.Resources[id]
	require.Truef(tt, ok, "%v refers to no resource", reference)
	return r
}

func object(value any) map[string]any {
	object, _ := value.(map[string]any)
	return object
}

func elements(value any) []map[string]any {
	list, _ := value.([]any)
	objects := make([]map[string]any, len(list))
	for i, element := range list {
		objects[i] = object(element)
	}
	return objects
}
