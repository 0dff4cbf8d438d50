package snapshottest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"
)

// What the CDK adds for itself, which says nothing about what is deployed.
var (
	assetHash      = regexp.MustCompile(`[0-9a-f]{64}`)
	noiseTopLevel  = map[string][]string{"Parameters": {"BootstrapVersion"}, "Rules": {"CheckBootstrapVersion"}, "Conditions": {"CDKMetadataAvailable"}}
	noiseResources = "AWS::CDK::Metadata"
)

// normalize sorts a template, drops the noise, breaks long texts into lines, and
// names asset hashes by the order of their first use, which keeps equal hashes
// equal.
func normalize(template []byte) ([]byte, error) {
	var tree map[string]any
	decoder := json.NewDecoder(bytes.NewReader(template))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	for section, names := range noiseTopLevel {
		members, _ := tree[section].(map[string]any)
		for _, name := range names {
			delete(members, name)
		}
		if members != nil && len(members) == 0 {
			delete(tree, section)
		}
	}
	resources, _ := tree["Resources"].(map[string]any)
	for id, resource := range resources {
		if resource, _ := resource.(map[string]any); resource["Type"] == noiseResources {
			delete(resources, id)
		}
	}
	breakLines(tree)
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(tree); err != nil {
		return nil, err
	}
	names := map[string]string{}
	return assetHash.ReplaceAllFunc(b.Bytes(), func(hash []byte) []byte {
		name, ok := names[string(hash)]
		if !ok {
			name = fmt.Sprintf("<asset-%d>", len(names)+1)
			names[string(hash)] = name
		}
		return []byte(name)
	}), nil
}

// linesKey stands in a snapshot for a text of several lines, such as user data.
const linesKey = "<lines>"

// breakLines turns such texts into lists of lines, so that a diff shows the line
// that has changed.
func breakLines(node any) any {
	switch node := node.(type) {
	case map[string]any:
		for key, child := range node {
			node[key] = breakLines(child)
		}
	case []any:
		for i, child := range node {
			node[i] = breakLines(child)
		}
	case string:
		if strings.Contains(node, "\n") {
			return map[string]any{linesKey: strings.Split(node, "\n")}
		}
	}
	return node
}

// difference lists the values that differ, by their path in the template.
func difference(want, got []byte) string {
	before, after := flatten(want), flatten(got)
	var lines []string
	for path, value := range before {
		if now, ok := after[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s\n    gone: %s", path, value))
		} else if now != value {
			lines = append(lines, fmt.Sprintf("%s\n    was: %s\n    is:  %s", path, value, now))
		}
	}
	for path, value := range after {
		if _, ok := before[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s\n    new: %s", path, value))
		}
	}
	sort.Strings(lines)
	const most = 40
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("… and %d more", len(lines)-most))
	}
	return strings.Join(lines, "\n")
}

// flatten lists the values in a template by their paths. A file that is no JSON
// is one value.
func flatten(template []byte) map[string]string {
	var tree any
	if err := json.Unmarshal(template, &tree); err != nil {
		return map[string]string{"": err.Error()}
	}
	flat := map[string]string{}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case map[string]any:
			for key, child := range node {
				walk(strings.TrimPrefix(path+"."+key, "."), child)
			}
		case []any:
			for i, child := range node {
				walk(fmt.Sprintf("%s[%d]", path, i), child)
			}
		default:
			flat[path] = fmt.Sprintf("%#v", node)
		}
	}
	walk("", tree)
	return flat
}
