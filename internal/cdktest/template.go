package cdktest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	awsconstructs "github.com/aws/constructs-go/constructs/v10"
	"github.com/stretchr/testify/require"
)

// Definition is the resource of a construct as the template has it: Type,
// Properties, DependsOn and so on.
func Definition(t testing.TB, template map[string]any, construct awsconstructs.IConstruct) map[string]any {
	t.Helper()
	definition, ok := At(template, "Resources."+LogicalID(t, construct)).(map[string]any)
	require.Truef(t, ok, "%s is not in the template", *construct.Node().Path())
	return definition
}

// LogicalID is the key of a construct's resource in the template.
func LogicalID(t testing.TB, construct awsconstructs.IConstruct) string {
	t.Helper()
	resource := construct
	if _, ok := resource.(awscdk.CfnElement); !ok {
		resource = construct.Node().DefaultChild()
	}
	if resource == nil { // some constructs name their only resource otherwise
		children := *construct.Node().Children()
		require.Lenf(t, children, 1, "children of %s", *construct.Node().Path())
		resource = children[0]
	}
	element, ok := resource.(awscdk.CfnElement)
	require.Truef(t, ok, "%s stands for no resource", *construct.Node().Path())
	return *awscdk.Stack_Of(construct).GetLogicalId(element)
}

// Properties are those of the resource of a construct.
func Properties(t testing.TB, template map[string]any, construct awsconstructs.IConstruct) map[string]any {
	t.Helper()
	properties, _ := Definition(t, template, construct)["Properties"].(map[string]any)
	return properties
}

// Inventory counts the resources of a template by their type.
func Inventory(template map[string]any) map[string]int {
	count := map[string]int{}
	resources, _ := template["Resources"].(map[string]any)
	for _, resource := range resources {
		count[fmt.Sprint(At(resource, "Type"))]++
	}
	return count
}

// Resources are the properties of all resources of a type, by logical id.
func Resources(template map[string]any, resourceType string) map[string]map[string]any {
	found := map[string]map[string]any{}
	resources, _ := template["Resources"].(map[string]any)
	for id, resource := range resources {
		if At(resource, "Type") == resourceType {
			found[id], _ = At(resource, "Properties").(map[string]any)
		}
	}
	return found
}

// Resource returns the properties of the only resource of a type.
func Resource(t testing.TB, template map[string]any, resourceType string) map[string]any {
	t.Helper()
	found := Resources(template, resourceType)
	require.Lenf(t, found, 1, "resources of type %s: %v", resourceType, slices.Sorted(maps.Keys(found)))
	for _, properties := range found {
		return properties
	}
	return nil
}

// At follows a path of keys and list indexes, such as "Tags.0.Key", into a part
// of a template. It is nil where the path leads nowhere.
func At(tree any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch node := tree.(type) {
		case map[string]any:
			tree = node[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(node) {
				return nil
			}
			tree = node[i]
		default:
			return nil
		}
	}
	return tree
}

// Text reads a value that CloudFormation puts together, such as user data:
// what it fills in at deployment is spelled as in Fn::Sub, ${Name}.
func Text(t testing.TB, value any) string {
	t.Helper()
	if text, ok := value.(string); ok {
		return text
	}
	function, _ := value.(map[string]any)
	require.Lenf(t, function, 1, "not text: %v", value)
	for name, argument := range function {
		switch name {
		case "Fn::Base64":
			return Text(t, argument)
		case "Ref":
			return fmt.Sprintf("${%v}", argument)
		case "Fn::GetAtt":
			return fmt.Sprintf("${%v.%v}", At(argument, "0"), At(argument, "1"))
		case "Fn::Join":
			separator, _ := At(argument, "0").(string)
			parts, _ := At(argument, "1").([]any)
			texts := make([]string, len(parts))
			for i, part := range parts {
				texts[i] = Text(t, part)
			}
			return strings.Join(texts, separator)
		}
	}
	require.Failf(t, "not text", "%v", value)
	return ""
}
