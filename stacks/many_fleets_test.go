package stacks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/control/fleets"
)

// Limits of CloudFormation and IAM.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const (
	maxResources     = 500
	maxTemplate      = 1_000_000
	maxRolePolicies  = 10_240 // characters of all inline policies of a role
	maxTrustPolicy   = 2_048
	maxRulesAnywhere = 100
)

// A company has a fleet for each team, architecture and size.
func TestRunnersStack_HasRoomForSixtyFleets(t *testing.T) {
	const n = 60
	var list []map[string]any
	for i := range n {
		team := fmt.Sprintf("team-of-product-%02d", i)
		list = append(list, map[string]any{"name": team, "labels": []string{"self-hosted", "linux", "x64", team}})
	}
	configuration, err := json.Marshal(map[string]any{
		"image": map[string]any{}, "webhook": map[string]any{"owners": []string{"octo"}},
		"registration": map[string]any{"organization": "octo"}, "fleets": list,
	})
	require.NoError(t, err)
	template, _ := system(t, string(configuration))

	text, err := json.Marshal(template)
	require.NoError(t, err)
	resources := template["Resources"].(map[string]any)
	t.Logf("%d fleets: %d resources, %d KB", n, len(resources), len(text)/1000)
	assert.Less(t, len(resources), maxResources-20, "CloudFormation refuses the stack, or will with one more alarm")
	assert.Less(t, len(text), maxTemplate*9/10)
	assert.LessOrEqual(t, len(cdktest.Resources(template, "AWS::Events::Rule")), maxRulesAnywhere)
	assertRoleLimits(t, template)

	registration, err := registrationcontract.Parse(tableOf(t, template, registrationcontract.EnvFleets))
	require.NoError(t, err, "the registration would not start")
	webhook, err := webhookcontract.Parse(tableOf(t, template, webhookcontract.EnvRoutes))
	require.NoError(t, err, "the webhook would not start")
	require.Len(t, registration.Fleets, n)
	require.Len(t, webhook.Routes, n)
	for i, fleet := range list {
		assert.Equal(t, fleet["name"], registration.Fleets[i].Name)
		assert.Equal(t, fleet["name"], webhook.Routes[i].Name, "another order: jobs would go to other fleets")
		assert.ElementsMatch(t, fleet["labels"], webhook.Routes[i].Labels)
	}
}

// assertRoleLimits holds the sizes of the policies in each role, white space left out
// as IAM does, with ARNs in place of what is not known yet.
func assertRoleLimits(t *testing.T, template map[string]any) {
	t.Helper()
	sizes := map[string]int{}
	size := func(document any) int {
		text, err := json.Marshal(document)
		require.NoError(t, err)
		return len(text) // longer than what it becomes: {"Fn::GetAtt":[…]} is no shorter than an ARN
	}
	for id, resource := range template["Resources"].(map[string]any) {
		switch cdktest.At(resource, "Type") {
		case "AWS::IAM::Role":
			assert.Less(t, size(cdktest.At(resource, "Properties.AssumeRolePolicyDocument")), maxTrustPolicy, id)
			policies, _ := cdktest.At(resource, "Properties.Policies").([]any)
			for _, policy := range policies {
				sizes[id] += size(cdktest.At(policy, "PolicyDocument"))
			}
		case "AWS::IAM::Policy":
			for _, role := range cdktest.At(resource, "Properties.Roles").([]any) {
				sizes[fmt.Sprint(cdktest.At(role, "Ref"))] += size(cdktest.At(resource, "Properties.PolicyDocument"))
			}
		}
	}
	require.NotEmpty(t, sizes)
	for id, n := range sizes {
		assert.Lessf(t, n, maxRolePolicies, "the inline policies of %s", id)
	}
}

// tableOf is the environment of the function that has a table of fleets, loaded as
// its program does.
func tableOf(t *testing.T, template map[string]any, variable string) func(string) (string, bool) {
	t.Helper()
	parameters := templateParameters{}
	for id, resource := range template["Resources"].(map[string]any) {
		if cdktest.At(resource, "Type") == "AWS::SSM::Parameter" {
			parameters["${"+id+"}"] = cdktest.Text(t, cdktest.At(resource, "Properties.Value"))
		}
	}
	for _, function := range cdktest.Resources(template, "AWS::Lambda::Function") {
		variables, _ := cdktest.At(function, "Environment.Variables").(map[string]any)
		if variables[variable] == nil {
			continue
		}
		lookup, err := fleets.Load(t.Context(), func(name string) (string, bool) {
			value, found := variables[name]
			if !found {
				return "", false
			}
			if name == registrationcontract.EnvDeployment {
				return "later", true
			}
			return cdktest.Text(t, value), true
		}, variable, func() fleets.Store { return parameters })
		require.NoError(t, err)
		return lookup
	}
	require.Fail(t, "no function has "+variable)
	return nil
}

// exampleRoleID is as long as the id of a role, which stands in a table.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
const exampleRoleID = "AROACKCEVSQ6C2EXAMPLE"

var cdkToken = regexp.MustCompile(`\$\{[^}]*\}`)

// templateParameters are the parameters in a template, by what their Ref becomes here.
type templateParameters map[string]string

func (p templateParameters) GetParameters(
	_ context.Context, input *ssm.GetParametersInput, _ ...func(*ssm.Options),
) (*ssm.GetParametersOutput, error) {
	output := &ssm.GetParametersOutput{}
	for _, name := range input.Names {
		if value, found := p[name]; found {
			if n := len(cdkToken.ReplaceAllString(value, exampleRoleID)); n > 4096 {
				return nil, fmt.Errorf("parameter %s has %d characters", name, n)
			}
			output.Parameters = append(output.Parameters, types.Parameter{Name: &name, Value: &value})
		}
	}
	return output, nil
}
