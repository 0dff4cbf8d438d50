package snapshottest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// What the CDK adds for itself, which says nothing about what is deployed.
var (
	noiseTopLevel  = map[string][]string{"Parameters": {"BootstrapVersion"}, "Rules": {"CheckBootstrapVersion"}, "Conditions": {"CDKMetadataAvailable"}}
	noiseResources = "AWS::CDK::Metadata"
)

// normalize sorts a template, drops the noise, breaks long texts into lines, and
// names the hashes of assets by the order of their first use, which keeps equal
// hashes equal. Other hashes, such as the digest of an image, are what is deployed.
func normalize(template []byte, assets assetIDs) ([]byte, error) {
	decoded, err := decode(template)
	if err != nil {
		return nil, err
	}
	tree, ok := decoded.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("got a %T; allowed: an object", decoded)
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
		if !assets[string(hash)] {
			return hash
		}
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
