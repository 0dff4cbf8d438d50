//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/require"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

// resource is one of the synthesized template.
type resource struct {
	Type       string
	Properties map[string]any
}

// readTemplate takes what CloudFormation would make from the default template.
func (s *system) readTemplate() {
	t := s.t
	file, err := os.ReadFile("../../stacks/testdata/snapshots/TestRunnersStack_Snapshots/default.GitHubRunners.json")
	require.NoError(t, err)
	var template struct{ Resources map[string]resource }
	require.NoError(t, json.Unmarshal(file, &template))
	s.resources = template.Resources
	s.rule = s.only("AWS::Events::Rule", func(map[string]any) bool { return true })
	s.definition = s.only("AWS::ECS::TaskDefinition", func(map[string]any) bool { return true })
}

// only is the one resource of a type that a test of its properties lets through.
func (s *system) only(of string, wanted func(map[string]any) bool) map[string]any {
	var found []map[string]any
	for _, r := range s.resources {
		if r.Type == of && wanted(r.Properties) {
			found = append(found, r.Properties)
		}
	}
	require.Len(s.t, found, 1, of)
	return found[0]
}

// variables are those of the function that has a variable, with what CloudFormation
// fills in. Others replace those of which the test's surroundings need another.
func (s *system) variables(of string, others map[string]string) map[string]string {
	environment := func(p map[string]any) map[string]any {
		e, _ := p["Environment"].(map[string]any)
		v, _ := e["Variables"].(map[string]any)
		return v
	}
	function := s.only("AWS::Lambda::Function", func(p map[string]any) bool { return environment(p)[of] != nil })
	variables := map[string]string{}
	for name, value := range environment(function) {
		variables[name] = fmt.Sprint(s.resolve(value))
	}
	for name, value := range others {
		require.Contains(s.t, variables, name, "the template has no such variable")
		variables[name] = value
	}
	return variables
}

// resolve fills in what CloudFormation knows once it has made the resources, as far
// as the programs read it.
func (s *system) resolve(value any) any {
	switch v := value.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = s.resolve(v[i])
		}
		return list
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if text, known := s.intrinsic(name, argument); known {
					return text
				}
			}
		}
		object := make(map[string]any, len(v))
		for name := range v {
			object[name] = s.resolve(v[name])
		}
		return object
	}
	return value
}

func (s *system) intrinsic(name string, argument any) (string, bool) {
	switch name {
	case "Ref":
		logical := fmt.Sprint(argument)
		switch r := s.resources[logical]; {
		case logical == "AWS::Region":
			return region, true
		case r.Type == "AWS::DynamoDB::Table":
			return s.ledgers[len(s.ledgers)-1], true
		case r.Type == "AWS::SecretsManager::Secret" && strings.HasPrefix(logical, "Ingress"):
			return "webhook", true
		case r.Type == "AWS::SecretsManager::Secret":
			return "github", true
		}
		return "ref-" + logical, true
	case "Fn::GetAtt":
		list := argument.([]any)
		switch of, attribute := s.resources[fmt.Sprint(list[0])].Type, fmt.Sprint(list[1]); of + "." + attribute {
		case "AWS::ECS::Cluster.Arn":
			return cluster, true
		case "AWS::IAM::Role.RoleId":
			return roleID, true
		case "AWS::Events::EventBus.Arn":
			return "bus", true
		case "AWS::Lambda::Url.FunctionUrl":
			return s.front.URL, true
		default:
			return "arn:aws:iam::123456789012:role/" + fmt.Sprint(list[0]), true
		}
	case "Fn::Join":
		list := argument.([]any)
		var parts []string
		for _, part := range list[1].([]any) {
			parts = append(parts, fmt.Sprint(s.resolve(part)))
		}
		return strings.Join(parts, fmt.Sprint(list[0])), true
	case "Fn::Select", "Fn::Split", "Fn::ImportValue":
		return "resolved", true
	}
	return "", false
}

// container is the runner's in the task definition.
func (s *system) runnerContainer() ecstypes.ContainerDefinition {
	list := s.resolve(s.definition["ContainerDefinitions"]).([]any)
	require.Len(s.t, list, 1)
	encoded, err := json.Marshal(list[0])
	require.NoError(s.t, err)
	var container ecstypes.ContainerDefinition
	require.NoError(s.t, json.Unmarshal(encoded, &container))
	for _, v := range container.Environment {
		require.NotContains(s.t, *v.Value, "resolved", "variable %s", *v.Name)
	}
	return container
}

// registrationVariables are those of the synthesized function for the newest ledger.
func (s *system) registrationVariables() map[string]string {
	return s.variables(registrationcontract.EnvScope, map[string]string{
		registrationcontract.EnvDeployment: "e2e",
		registrationcontract.EnvGitHubURL:  s.github.URL,
	})
}
