package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/config"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// The reference is what platform engineers configure by; a key, a type or a
// default that is wrong there is a bug.
func TestReadme_ConfigurationReferenceIsTrue(t *testing.T) {
	t.Parallel()
	c := config.Config{
		VPC: &config.VPC{},
		Image: &settings.Image{Source: settings.ImageSource{
			CodeCommit: &settings.CodeCommitSource{}, Folder: &settings.FolderSource{}, GitHub: &settings.GitHubSource{},
		}},
		Webhook:      &settings.Webhook{},
		Registration: &settings.Registration{},
		Fleets:       []settings.Fleet{{}},
		Cluster:      settings.Cluster{DefaultCapacity: settings.Capacity{Spot: &settings.Spot{}, WarmPool: &settings.WarmPool{}}},
	}.WithDefaults()
	arm := settings.Capacity{Architecture: settings.ARM64}.WithDefaults()
	unscaled := settings.Capacity{ManagedScaling: new(false)}.WithDefaults()
	many := settings.Capacity{MaxInstances: 77}.WithDefaults()
	require.Equal(t, many.MaxInstances, many.MaximumScalingStepSize)

	want := map[string]row{}
	describe(t, want, "", reflect.ValueOf(c))
	// Defaults that depend on something else.
	for key, text := range map[string]string{
		"vpc.id":                            "required",
		"vpc.availabilityZones":             "required",
		"vpc.subnetIds":                     "required",
		"image.source.folder.path":          "required",
		"image.source.gitHub.repository":    "required",
		"image.source.gitHub.connectionArn": "required",
		"webhook.owners":                    "required",
		"fleets[].name":                     "required",
		"fleets[].labels":                   "required",
		"fleets[].cpu":                      "all of the smallest instance type",
		"fleets[].memoryMiB":                "all of the smallest instance type",

		"cluster.defaultCapacity.instanceTypes": code(t, c.Cluster.DefaultCapacity.InstanceTypes) + "; with " + code(t, arm.Architecture) + " " + code(t, arm.InstanceTypes),
		"cluster.defaultCapacity.imageId":       code(t, c.Cluster.DefaultCapacity.ImageID) + "; with " + code(t, arm.Architecture) + " " + code(t, arm.ImageID),

		"cluster.defaultCapacity.associatePublicIpAddress":     "`true` in public subnets, else `false`",
		"cluster.defaultCapacity.maximumScalingStepSize":       "`maxInstances`",
		"cluster.defaultCapacity.managedTerminationProtection": code(t, true) + "; without `managedScaling` " + code(t, unscaled.ManagedTerminationProtection),
	} {
		require.Containsf(t, want, key, "an exception for a key that does not exist")
		want[key] = row{want[key].kind, text}
	}

	got := reference(t)
	for key, row := range want {
		if assert.Containsf(t, got, key, "README.md does not tell of %s (%s, default %s)", key, row.kind, row.text) {
			assert.Equalf(t, row, got[key], "README.md is wrong about %s", key)
		}
	}
	for key := range got {
		assert.Containsf(t, want, key, "README.md tells of %s, which is refused as an unknown key", key)
	}
}

// row is what is checked of a row: the type, and the text on the default.
type row struct{ kind, text string }

// describe adds the rows of the keys of an object, whose fields have their
// defaults.
func describe(t *testing.T, rows map[string]row, prefix string, object reflect.Value) {
	t.Helper()
	for i := range object.NumField() {
		key := prefix + object.Type().Field(i).Tag.Get("json")
		field := object.Field(i)
		optional := field.Kind() == reflect.Pointer
		of := field.Type()
		if optional {
			of = of.Elem()
		}
		switch {
		case of == reflect.TypeFor[settings.Duration]():
			rows[key] = row{"duration", code(t, field.Interface())}
		case of.Kind() == reflect.Struct:
			if optional {
				rows[key] = row{"object", "none"}
				require.Falsef(t, field.IsNil(), "%s is not filled in, so its keys would not be checked", key)
				field = field.Elem()
			} else {
				rows[key] = row{"object", "`{}`"}
			}
			describe(t, rows, key+".", field)
		case of == reflect.TypeFor[map[string]settings.Capacity]():
			rows[key+".<id>"] = row{"object", "none"}
		case of.Kind() == reflect.Map && of.Elem().Kind() == reflect.Int:
			rows[key] = row{"map of whole numbers", code(t, field.Interface())}
		case of.Kind() == reflect.Map:
			require.Equal(t, reflect.String, of.Elem().Kind())
			rows[key] = row{"map of text", code(t, field.Interface())}
		case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct:
			rows[key] = row{"list of objects", "none"}
			require.Equalf(t, 1, field.Len(), "%s needs an element, or its keys would not be checked", key)
			describe(t, rows, key+"[].", field.Index(0))
		case of.Kind() == reflect.Slice:
			require.Equal(t, reflect.String, of.Elem().Kind())
			rows[key] = row{"list of text", code(t, field.Interface())}
		case of.Kind() == reflect.String:
			rows[key] = row{"text", code(t, field.Interface())}
		case of.Kind() == reflect.Int:
			rows[key] = row{"whole number", code(t, field.Interface())}
		case of.Kind() == reflect.Bool:
			rows[key] = row{"true or false", code(t, field.Interface())}
		default:
			t.Fatalf("%s is of type %s: say here what README.md calls it", key, of)
		}
	}
}

// code is a value as one writes it in cdk.json.
func code(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	if text := string(encoded); text != "null" && text != `""` {
		return "`" + text + "`"
	}
	return "none"
}

// reference reads the table of README.md.
func reference(t *testing.T) map[string]row {
	t.Helper()
	file, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, rest, begins := strings.Cut(string(file), "<!-- BEGIN configuration -->\n")
	table, _, ends := strings.Cut(rest, "<!-- END configuration -->\n")
	require.True(t, begins && ends, "README.md has no table between <!-- BEGIN configuration --> and <!-- END configuration -->")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	require.Greater(t, len(lines), 2)
	require.Equal(t, []string{"| Key | Type | Default | Meaning |", "| --- | --- | --- | --- |"}, lines[:2])
	rows := map[string]row{}
	for _, line := range lines[2:] {
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
		require.Lenf(t, cells, 4, "not a row of four cells: %s", line)
		key := strings.Trim(cells[0], "`")
		require.Equal(t, fmt.Sprintf("`%s`", key), cells[0])
		require.NotContainsf(t, rows, key, "README.md tells of %s twice", key)
		require.NotEmptyf(t, cells[3], "README.md does not tell what %s means", key)
		rows[key] = row{kind: cells[1], text: cells[2]}
	}
	return rows
}
