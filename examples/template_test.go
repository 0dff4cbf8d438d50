package examples_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// template is a CloudFormation template that is read by path.
type template struct {
	Resources map[string]resource
	Outputs   map[string]struct{ Value any }
	region    string
}

type resource struct {
	Type       string
	Properties map[string]any
}

// notSet is what a property that is absent reads as.
const notSet = "not set"

func parseTemplate(t *testing.T, content []byte, region string) template {
	t.Helper()
	parsed := template{region: region}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&parsed))
	return parsed
}

// segment is one step of a path: a name, or a name and the element of a list in
// which a member has a value.
var segment = regexp.MustCompile(`^([^\[\]]+)(?:\[([^=\]]+)=([^\]]*)\])?$`)

// find reads the value at a path: the type of a resource, then properties,
// joined with dots, such as
//
//	AWS::ECS::CapacityProvider.Tags[Key=Name].Value
//
// There must be one resource of that type, or, where there are several, of that
// type with a value: AWS::IAM::Role[Path=/service-role/].RoleName. A last step
// "Count" is the number of a list's elements. "Stack.Region" is the region to which
// the stack is bound, "Output.NAME" the value of an output.
func (t template) find(path string) (string, error) {
	if path == "Stack.Region" {
		return t.region, nil
	}
	if name, ok := strings.CutPrefix(path, "Output."); ok {
		output, ok := t.Outputs[name]
		if !ok {
			return "", fmt.Errorf("%s: the template has no output of this name", path)
		}
		return t.text(output.Value), nil
	}
	selector, properties, _ := strings.Cut(path, ".")
	parts := segment.FindStringSubmatch(selector)
	if parts == nil {
		return "", fmt.Errorf("%s: %q selects no resource", path, selector)
	}
	var found []resource
	for _, r := range t.Resources {
		if value, ok := r.Properties[parts[2]]; r.Type == parts[1] && (parts[2] == "" || ok && t.text(value) == parts[3]) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s: the template has %d resources of type %s, not one", path, len(found), selector)
	}
	var value any = found[0].Properties
	if properties == "" {
		return t.text(value), nil
	}
	segments := strings.Split(properties, ".")
	for i, s := range segments {
		parts := segment.FindStringSubmatch(s)
		if parts == nil {
			return "", fmt.Errorf("%s: %q is no step of a path", path, s)
		}
		if elements, ok := value.([]any); ok && s == "Count" && i == len(segments)-1 {
			return fmt.Sprint(len(elements)), nil
		}
		object, ok := value.(map[string]any)
		if !ok {
			return "", fmt.Errorf("%s: nothing can be below %s, before %q", path, t.text(value), s)
		}
		value, ok = object[parts[1]]
		if !ok && i == len(segments)-1 && parts[2] == "" {
			return notSet, nil
		}
		if !ok {
			return "", fmt.Errorf("%s: the template has no %s", path, parts[1])
		}
		if parts[2] == "" {
			continue
		}
		list, _ := value.([]any)
		at := slices.IndexFunc(list, func(element any) bool {
			object, _ := element.(map[string]any)
			member, ok := object[parts[2]]
			return ok && t.text(member) == parts[3]
		})
		if at < 0 {
			return "", fmt.Errorf("%s: the template has no %s", path, s)
		}
		value = list[at]
	}
	return t.text(value), nil
}

// text writes a value as a reader of the template would: a reference as the name
// of what it refers to, a tag as Key=Value, an object as its keys.
func (t template) text(value any) string {
	switch value := value.(type) {
	case []any:
		texts := make([]string, len(value))
		for i, element := range value {
			texts[i] = t.text(element)
		}
		return strings.Join(texts, ",")
	case map[string]any:
		if id, ok := value["Ref"].(string); ok {
			return t.name(id)
		}
		if args, ok := value["Fn::GetAtt"].([]any); ok && len(args) == 2 {
			return t.name(fmt.Sprint(args[0])) + "." + t.text(args[1])
		}
		if args, ok := value["Fn::Join"].([]any); ok && len(args) == 2 {
			var texts []string
			elements, _ := args[1].([]any)
			for _, element := range elements {
				texts = append(texts, t.text(element))
			}
			return strings.Join(texts, t.text(args[0]))
		}
		if encoded, ok := value["Fn::Base64"]; ok {
			return "Fn::Base64 " + t.text(encoded)
		}
		if key, ok := value["Key"]; ok {
			return t.text(key) + "=" + t.text(value["Value"])
		}
		return strings.Join(slices.Sorted(maps.Keys(value)), ", ")
	default:
		return fmt.Sprint(value)
	}
}

// name is the physical name of a resource or, when CloudFormation gives it one,
// its description, or else its type.
func (t template) name(id string) string {
	r, ok := t.Resources[id]
	if !ok {
		return id // a pseudo parameter
	}
	kind := r.Type[strings.LastIndex(r.Type, ":")+1:]
	for _, property := range []string{"Name", kind + "Name", "Description"} {
		if name, ok := r.Properties[property].(string); ok {
			return name
		}
	}
	return r.Type
}

func TestTemplate_ReadsValuesByPath(t *testing.T) {
	tpl := parseTemplate(t, []byte(`{"Resources": {
		"C1": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "runners"}},
		"G1": {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": {
			"MaxSize": "5", "Protected": true, "Zones": ["a", "b"],
			"Cluster": {"Ref": "C1"}, "Arn": {"Fn::GetAtt": ["C1", "Arn"]}, "Region": {"Ref": "AWS::Region"},
			"Script": {"Fn::Base64": {"Fn::Join": ["", ["cluster=", {"Ref": "C1"}, "\n"]]}},
			"Template": {"Version": 3, "Id": {"Ref": "T1"}},
			"Tags": [{"Key": "A", "Value": "1"}, {"Key": "B", "Value": "2"}]}},
		"P1": {"Type": "AWS::IAM::Policy", "Properties": {"Roles": [{"Ref": "R3"}]}},
		"R3": {"Type": "AWS::IAM::Role", "Properties": {"Description": "jobs"}},
		"T1": {"Type": "AWS::EC2::LaunchTemplate"}, "T2": {"Type": "AWS::EC2::LaunchTemplate"},
		"R1": {"Type": "AWS::IAM::Role", "Properties": {"Path": "/a/", "RoleName": "one"}},
		"R2": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "two"}}},
		"Outputs": {"Name": {"Value": {"Ref": "C1"}}}}`), "eu-west-1")
	const group = "AWS::AutoScaling::AutoScalingGroup"
	for _, test := range []struct{ path, want, err string }{
		{path: "Stack.Region", want: "eu-west-1"},
		{path: "Output.Name", want: "runners"},
		{path: "AWS::ECS::Cluster", want: "ClusterName"},
		{path: group + ".MaxSize", want: "5"},
		{path: group + ".Protected", want: "true"},
		{path: group + ".Zones", want: "a,b"},
		{path: group + ".Zones.Count", want: "2"},
		{path: group + ".Cluster", want: "runners"},
		{path: group + ".Arn", want: "runners.Arn"},
		{path: group + ".Region", want: "AWS::Region"},
		{path: group + ".Script", want: "Fn::Base64 cluster=runners\n"},
		{path: group + ".Template", want: "Id, Version"},
		{path: group + ".Template.Version", want: "3"},
		{path: group + ".Template.Id", want: "AWS::EC2::LaunchTemplate"},
		{path: group + ".Tags[Key=B]", want: "B=2"},
		{path: group + ".Tags[Key=B].Value", want: "2"},
		{path: group + ".Desired", want: "not set"},
		{path: "AWS::IAM::Role[Path=/a/].RoleName", want: "one"},
		{path: "AWS::IAM::Role[RoleName=two].Path", want: "not set"},
		{path: group + ".Template.Name", want: "not set"},
		{path: "AWS::IAM::Policy.Roles", want: "jobs"},

		{path: "Output.Other", err: "no output of this name"},
		{path: group + ".MaxSize.Count", err: `nothing can be below 5, before "Count"`},
		{path: group + ".Templat.Version", err: "no Templat"},
		{path: group + ".Tags[Key=C]", err: "no Tags[Key=C]"},
		{path: group + ".MaxSize.Value", err: `nothing can be below 5, before "Value"`},
		{path: group + ".Tags[0]", err: `"Tags[0]" is no step of a path`},
		{path: "AWS::EC2::LaunchTemplate", err: "2 resources of type AWS::EC2::LaunchTemplate"},
		{path: "AWS::IAM::Role[Path=/b/].RoleName", err: "0 resources of type AWS::IAM::Role[Path=/b/]"},
		{path: "AWS::IAM::Role.RoleName", err: "3 resources of type AWS::IAM::Role"},
		{path: "AWS::IAM::Role[0].RoleName", err: `"AWS::IAM::Role[0]" selects no resource`},
		{path: "AWS::EC2::VPC.Tags", err: "0 resources of type AWS::EC2::VPC"},
	} {
		got, err := tpl.find(test.path)
		if test.err != "" {
			assert.ErrorContains(t, err, test.err, test.path)
			continue
		}
		assert.NoError(t, err, test.path)
		assert.Equal(t, test.want, got, test.path)
	}
}
