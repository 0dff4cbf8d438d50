// Package docs_test holds the documents to what they describe.
package docs_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Types that only one template of the default app has.
const (
	runners = "AWS::ECS::Cluster"
	image   = "AWS::CodeBuild::Project"
)

// What the documents say about a deployment is what its templates set, not what a
// constant somewhere says: a program's own default can be overruled by a construct.
var facts = []struct {
	document string
	// phrase has %v where the value is.
	phrase string
	// template, resource and property lead to the value. The template is named by a type
	// that it alone has, the resource by its logical id without the hash, an element of
	// a list by its index or its Name.
	template, resource, property string
	// as says how the document spells the value.
	as func(value any) string
}{
	{
		"operations.md", "| `ECSRUNNERS_IDLE_TIMEOUT` | %v |", runners, task, environment + "ECSRUNNERS_IDLE_TIMEOUT.Value",
		short,
	},
	{"operations.md", "| `ECSRUNNERS_LIFETIME` | %v |", runners, task, environment + "ECSRUNNERS_LIFETIME.Value", short},
	{"operations.md", "| `ECSRUNNERS_START_TIMEOUT` | %v |", runners, task, environment +
		"ECSRUNNERS_START_TIMEOUT.Value", short},
	{
		"operations.md", "| `ECSRUNNERS_STOP_TIMEOUT` | %v |", runners, task, environment + "ECSRUNNERS_STOP_TIMEOUT.Value",
		short,
	},
	{"operations.md", "| `ECSRUNNERS_STOP_TIMEOUT` | %v |", runners, task, "ContainerDefinitions.0.StopTimeout", short},

	{
		"operations.md", "retry the start of a task for %v.", runners, rule,
		"Targets.0.RetryPolicy.MaximumEventAgeInSeconds", words,
	},

	{"defaults.md", "| Instances | %v to ", runners, group, "MinSize", plain},
	{"defaults.md", "| Instances | 0 to %v |", runners, group, "MaxSize", plain},
	{"defaults.md", "| Instance types | %v, ", runners, group, instanceTypes + "0.InstanceType", plain},
	{"defaults.md", ", %v, ", runners, group, instanceTypes + "1.InstanceType", plain},
	{"defaults.md", ", %v | With several types", runners, group, instanceTypes + "2.InstanceType", plain},
	{
		"defaults.md", "| AMI | ECS-optimized Amazon Linux 2023, %v at each launch |", runners, launch,
		"LaunchTemplateData.ImageId", resolved,
	},
	{"defaults.md", "| Root volume | %v GiB ", runners, launch, rootVolume + "VolumeSize", plain},
	{"defaults.md", "GiB %v, ", runners, launch, rootVolume + "VolumeType", plain},
	{"defaults.md", "gp3, %v ", runners, launch, rootVolume + "Encrypted", yes("encrypted")},
	{
		"defaults.md", "| IMDSv2, hop limit %v ", runners, launch,
		"LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit", plain,
	},
	{"defaults.md", "| Target capacity | %v % |", runners, provider, scaling + "TargetCapacity", plain},
	{"defaults.md", "| Scaling step | %v to ", runners, provider, scaling + "MinimumScalingStepSize", plain},
	{"defaults.md", "| Scaling step | 1 to %v,", runners, provider, scaling + "MaximumScalingStepSize", plain},
	{"defaults.md", "| Instance warm-up | %v |", runners, provider, scaling + "InstanceWarmupPeriod", words},
	{
		"defaults.md", "| Managed termination protection | %v |", runners, provider,
		"AutoScalingGroupProvider.ManagedTerminationProtection", plain,
	},
	{"defaults.md", "| Managed draining | %v |", runners, provider, "AutoScalingGroupProvider.ManagedDraining", plain},
	{"defaults.md", "| Container Insights | %v |", runners, "Cluster", "ClusterSettings.0.Value", plain},
	{
		"defaults.md", "| Webhook events | `%v` of", runners, webhook, "Environment.Variables.ECSRUNNERS_ALLOWED_EVENTS",
		plain,
	},
	{
		"defaults.md", "of your owners, private repositories%v", runners, webhook,
		"Environment.Variables.ECSRUNNERS_ALLOW_PUBLIC_REPOSITORIES", no(" only"),
	},
	{
		"defaults.md", "| Retries of a start | For %v |", runners, rule, "Targets.0.RetryPolicy.MaximumEventAgeInSeconds",
		words,
	},
	{"defaults.md", "| Task size | %v CPU units, ", runners, task, "ContainerDefinitions.0.Cpu", plain},
	{"defaults.md", " CPU units, %v MiB: one job per instance |", runners, task, "ContainerDefinitions.0.Memory", plain},
	{"defaults.md", "| Idle timeout | %v |", runners, task, environment + "ECSRUNNERS_IDLE_TIMEOUT.Value", words},
	{"defaults.md", "| Lifetime | %v |", runners, task, environment + "ECSRUNNERS_LIFETIME.Value", words},
	{"defaults.md", "| Stop timeout | %v |", runners, task, "ContainerDefinitions.0.StopTimeout", words},
	{"defaults.md", "| Log retention | %v days |", runners, "Fleetlinuxx64Logs", "RetentionInDays", plain},
	{"defaults.md", "| Log retention | %v days |", runners, "IngressLogs", "RetentionInDays", plain},
	{"defaults.md", "| Log retention | %v days |", runners, "RegistrationLogs", "RetentionInDays", plain},
	{"defaults.md", "| Log retention | %v days |", image, "ImageLogsX64", "RetentionInDays", plain},
	{"defaults.md", "| Image builds | %v, ", image, "ImageBuildX64", "Environment.ComputeType", plain},
	{"defaults.md", ", %v minutes | A build", image, "ImageBuildX64", "TimeoutInMinutes", plain},
	{"defaults.md", "| Images kept | %v, ", image, "ImageRepository", "LifecyclePolicy.LifecyclePolicyText", keptImages},
	{"defaults.md", "| Check for new releases | `%v`,", image, "ImageSchedule", "ScheduleExpression", plain},

	{
		"operations.md", "by default `%v` or `latest-arm64`.", image, "ImageBuildX64",
		"Environment.EnvironmentVariables.CHANNEL.Value", plain,
	},
	{
		"runner-image.md", "| `CHANNEL` | `%v` or", image, "ImageBuildX64", "Environment.EnvironmentVariables.CHANNEL.Value",
		plain,
	},
	{"webhook.md", "caches it for %v.", runners, webhook, "Environment.Variables.ECSRUNNERS_WEBHOOK_SECRET_TTL", words},
	{
		"registration.md", "but at least %v.", runners, "RegistrationFunction", "Environment.Variables.ECSRUNNERS_FLEETS",
		lease,
	},
	{
		"../SECURITY.md", "a hop limit of %v.", runners, launch,
		"LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit", plain,
	},
	{
		"security.md", "a hop limit of %v,", runners, launch, "LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit",
		plain,
	},
}

// Resources of the templates, and where their properties have what the facts are about.
const (
	group    = "ClusterDefaultCapacityAutoScalingGroupASG"
	launch   = "ClusterDefaultCapacityLaunchTemplate"
	provider = "ClusterDefaultCapacityCapacityProvider"
	rule     = "IngressRulelinuxx64"
	task     = "Fleetlinuxx64TaskDefinition"
	webhook  = "IngressFunction"

	environment   = "ContainerDefinitions.0.Environment."
	instanceTypes = "MixedInstancesPolicy.LaunchTemplate.Overrides."
	rootVolume    = "LaunchTemplateData.BlockDeviceMappings.0.Ebs."
	scaling       = "AutoScalingGroupProvider.ManagedScaling."
)

func TestDocs_SayWhatTheTemplatesSet(t *testing.T) {
	t.Parallel()
	for _, fact := range facts {
		value := property(t, fact.template, fact.resource, fact.property)
		want := strings.Replace(fact.phrase, "%v", fact.as(value), 1)
		assert.Truef(t, strings.Contains(text(t, fact.document), want), "docs/%s does not say %q: %s of %s is %v",
			fact.document, want, fact.property, fact.resource, value)
	}
}

// resources are those of a template of the default app, as the tests in stacks keep
// it, by their logical ids.
func resources(t *testing.T, template string) map[string]resource {
	t.Helper()
	snapshots := os.DirFS("../stacks/testdata/snapshots")
	var found []map[string]resource
	require.NoError(t, fs.WalkDir(snapshots, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasPrefix(entry.Name(), "default.") {
			return err
		}
		content, err := fs.ReadFile(snapshots, path)
		if err != nil {
			return err
		}
		var tree struct{ Resources map[string]resource }
		if err := json.Unmarshal(content, &tree); err != nil {
			return err
		}
		for _, r := range tree.Resources {
			if r.Type == template {
				found = append(found, tree.Resources)
				break
			}
		}
		return nil
	}))
	require.Lenf(t, found, 1, "templates of the default app with %s", template)
	return found[0]
}

type resource struct {
	Type       string
	Properties any
}

// property is a property of a resource in a template.
func property(t *testing.T, template, name, path string) any {
	t.Helper()
	id := regexp.MustCompile("^" + name + "[0-9A-F]{8}$")
	var found []any
	for candidate, r := range resources(t, template) {
		if id.MatchString(candidate) {
			found = append(found, r.Properties)
		}
	}
	require.Lenf(t, found, 1, "resources named %s", name)
	value := at(found[0], path)
	require.NotNilf(t, value, "%s has no %s", name, path)
	return value
}

func at(tree any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch node := tree.(type) {
		case map[string]any:
			tree = node[key]
		case []any:
			tree = nil
			for i, element := range node {
				if member, ok := element.(map[string]any); strconv.Itoa(i) == key || ok && member["Name"] == key {
					tree = element
				}
			}
		default:
			return nil
		}
	}
	return tree
}

// text is a document with its lines joined.
func text(t *testing.T, document string) string {
	t.Helper()
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	return strings.ReplaceAll(string(content), "\n", " ")
}

// duration reads a number of seconds, or the text of a duration.
func duration(value any) time.Duration {
	if seconds, ok := value.(float64); ok {
		return time.Duration(seconds) * time.Second
	}
	d, err := time.ParseDuration(fmt.Sprint(value))
	if err != nil {
		panic(err)
	}
	return d
}

// short spells a duration as 2m or 6h30m.
func short(value any) string {
	s := duration(value).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}

// words spells a duration as 2 minutes or 6 hours 30 minutes.
func words(value any) string {
	d := duration(value)
	var parts []string
	for _, unit := range []struct {
		name string
		time.Duration
	}{{"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		n := int(d / unit.Duration)
		d %= unit.Duration
		switch {
		case n == 1:
			parts = append(parts, "1 "+unit.name)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, unit.name))
		}
	}
	return strings.Join(parts, " ")
}

func plain(value any) string { return fmt.Sprint(value) }

// yes spells true, and no false.
func yes(word string) func(any) string { return boolean("true", word) }
func no(word string) func(any) string  { return boolean("false", word) }

func boolean(want, word string) func(any) string {
	return func(value any) string {
		if fmt.Sprint(value) == want {
			return word
		}
		return fmt.Sprintf("(the opposite: %v)", value)
	}
}

// resolved says when an AMI is chosen.
func resolved(value any) string {
	if strings.HasPrefix(fmt.Sprint(value), "resolve:ssm:") && strings.Contains(fmt.Sprint(value), "amazon-linux-2023") {
		return "resolved"
	}
	return fmt.Sprint(value)
}

// keptImages is how many images a lifecycle policy keeps.
func keptImages(value any) string {
	var policy struct {
		Rules []struct {
			Selection struct {
				TagStatus   string `json:"tagStatus"`
				CountNumber int    `json:"countNumber"`
			} `json:"selection"`
		} `json:"rules"`
	}
	if err := json.Unmarshal([]byte(fmt.Sprint(value)), &policy); err != nil {
		return err.Error()
	}
	for _, rule := range policy.Rules {
		if rule.Selection.TagStatus == "any" {
			return strconv.Itoa(rule.Selection.CountNumber)
		}
	}
	return "all"
}

// lease is the lease of the fleet in the registration's list of fleets.
func lease(value any) string {
	seconds := regexp.MustCompile(`"?lease_seconds\\*"?:([0-9]+)`).FindStringSubmatch(fmt.Sprint(value))
	if seconds == nil {
		return "a lease"
	}
	n, err := strconv.ParseFloat(seconds[1], 64)
	if err != nil {
		return err.Error()
	}
	return words(n)
}
