package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

func TestParse_GivesDefaultsWhenNothingIsConfigured(t *testing.T) {
	want := config.Config{}.WithDefaults()
	assert.Equal(t, "GitHubRunners", want.StackName)
	for name, value := range map[string]any{
		"no context":                          nil,
		"an empty object":                     map[string]any{},
		"null on the command line":            "null",
		"an empty object on the command line": " {} ",
		"nulls": `{"stackName": null, "account": null, "tags": null, "vpc": null,
			"cluster": {"defaultCapacity": {"maxInstances": null, "spot": null, "instanceTypes": null, "instanceWarmupPeriod": null}, "capacities": null}}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.Parse(value)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

// A key whose field stays empty would be documented, accepted and without effect.
func TestParse_ReadsEveryKey(t *testing.T) {
	object := sample(t, "", reflect.TypeFor[config.Config]())
	text, err := json.Marshal(object)
	require.NoError(t, err)
	for name, value := range map[string]any{
		"cdk.json, as jsii hands it out":        object,
		"the command line: -c ecsrunners='{…}'": string(text),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Decode(value)
			require.NoError(t, err)
			got, err := json.Marshal(c)
			require.NoError(t, err)
			assert.JSONEq(t, string(text), string(got))
		})
	}
}

// sample is a JSON value for a type of the configuration: each key of an object has
// a value of its own.
func sample(t *testing.T, path string, of reflect.Type) any {
	t.Helper()
	text := strings.ReplaceAll(strings.Trim(path, "."), ".", "-")
	switch {
	case of == reflect.TypeFor[time.Duration]():
		return fmt.Sprintf("%dh", 7+len(path))
	case of.Kind() == reflect.Pointer:
		return sample(t, path, of.Elem())
	case of.Kind() == reflect.Struct:
		object := map[string]any{}
		for key, field := range config.Fields(of) {
			object[key] = sample(t, path+"."+key, field.Type)
		}
		return object
	case of.Kind() == reflect.Slice:
		return []any{sample(t, path, of.Elem()), sample(t, path, of.Elem())}
	case of.Kind() == reflect.Map:
		return map[string]any{"a key": sample(t, path, of.Elem())}
	case of.Kind() == reflect.String:
		return strings.ToLower(text)
	case of.Kind() == reflect.Bool:
		return true
	case of.Kind() == reflect.Int:
		return float64(7 + len(path))
	default:
		t.Fatalf("%s is of type %s: say here what a value looks like", path, of)
		return nil
	}
}

func TestParse_KeepsZerosThatMeanZero(t *testing.T) {
	const zeros = `{
		"minInstances": 0, "weight": 0, "base": 0, "instanceWarmupPeriod": "0s",
		"managedScaling": false, "managedDraining": false, "associatePublicIpAddress": false,
		"instanceTypes": ["m7i.large"], "warmPool": {"minSize": 0, "maxPreparedCapacity": 0},
		"agent": {"reservedMemoryMiB": 0, "privileged": false}
	}`
	c, err := config.Parse(`{"vpc": null, "cluster": {"sessionManager": false, "defaultCapacity": ` + zeros +
		`, "capacities": {
		"Same": ` + zeros + `,
		"Spot": {"weight": 1, "spot": {"onDemandBase": 0, "onDemandPercentage": 0}}
	}}}`)
	require.NoError(t, err)
	for _, capacity := range []constructs.RunnerCapacityProps{*c.Cluster.DefaultCapacity, c.Cluster.Capacities["Same"]} {
		assert.Equal(t, new(0), capacity.Weight, "the capacity would get tasks that did not ask for it")
		assert.Equal(t, new(0), capacity.Agent.ReservedMemoryMiB)
		assert.Equal(t, new(time.Duration(0)), capacity.InstanceWarmupPeriod)
		assert.Equal(t, new(false), capacity.ManagedScaling)
		assert.Equal(t, new(false), capacity.ManagedDraining)
		assert.Equal(t, new(false), capacity.AssociatePublicIPAddress, "the instances would get public addresses")
		assert.Equal(t, new(0), capacity.WarmPool.MaxPreparedCapacity)
	}
	assert.Equal(t, &constructs.SpotOptions{AllocationStrategy: "PRICE_CAPACITY_OPTIMIZED"},
		c.Cluster.Capacities["Spot"].Spot)
}

// What must never come back in an error.
const (
	githubToken = "ghp_0123456789abcdefghijABCDEFGHIJ456789"
	fineGrained = "github_pat_11ABCDEFG0123456789abcd_0123456789abcdef"
	accessKey   = "AKIAIOSFODNN7EXAMPLE"
	privateKey  = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow"
)

func TestParse_FailsWithOneLineAProblem(t *testing.T) {
	const (
		noSecrets = `cdk.json is committed and the template is readable; put it into AWS Secrets Manager`
		tag       = ` must be a key of 1 to 128 and a value of up to 256 letters, digits, spaces and +-=._:/@, the key ` +
			`not beginning with aws:, got `
	)
	stackName := func(got string) string {
		return `stackName must be at most 128 letters, digits and -, beginning with a letter, but not with aws, ecs or ` +
			`fargate in any case, got "` +
			got + `": ECS refuses capacity providers that CloudFormation names after such a stack`
	}
	for name, c := range map[string]struct {
		value any
		want  []string
	}{
		"not an object":              {`[1]`, []string{`ecsrunners must be an object, got a list`}},
		"a text on the command line": {`"x"`, []string{`ecsrunners must be an object, got "x"`}},
		"a number in cdk.json":       {7, []string{`ecsrunners must be an object, got 7`}},
		"a secret in place of an object": {
			`"` + githubToken + `"`,
			[]string{`ecsrunners has what looks like a secret: cdk.json is committed and the template is readable; put it ` +
				`into AWS Secrets Manager`},
		},
		"a misspelled key": {
			`{"stackname": "Runners"}`,
			[]string{`stackname is not a known key; did you mean "stackName"?`},
		},
		"a key that misses a letter": {
			`{"cluster": {"defaultCapacity": {"spot": {"onDemandBas": 1}}}}`,
			[]string{`cluster.defaultCapacity.spot.onDemandBas is not a known key; did you mean "onDemandBase"?`},
		},
		"a prop's name": {
			`{"cluster": {"defaultCapacity": {"InstanceTypes": ["m7i.large"]}}}`,
			[]string{`cluster.defaultCapacity.InstanceTypes is not a known key; did you mean "instanceTypes"?`},
		},
		"a misspelled key of a capacity": {
			`{"cluster": {"capacities": {"Arm": {"agent": {"reservedMemory": 1}}}}}`,
			[]string{`cluster.capacities["Arm"].agent.reservedMemory is not a known key; did you mean "reservedMemoryMiB"?`},
		},
		"choices in another spelling": {`{"cluster": {"containerInsights": "ENHANCED", "defaultCapacity": {
			"architecture": "ARM64", "spot": {"allocationStrategy": "Lowest-Price"}, "agent": {"imagePullBehavior": "Always"}
		}}, "image": {"removalPolicy": "ReTain", "computeType": "x2_large", "architectures": ["X64"]}}`, []string{
			`image.architectures[0] must be x64 or arm64, got "X64"`,
			`image.removalPolicy must be retain or destroy, got "ReTain"`,
			`image.computeType must be small, medium, large, x-large or x2-large, got "x2_large"`,
			`cluster.containerInsights must be disabled, enabled or enhanced, got "ENHANCED"`,
			`cluster.defaultCapacity.architecture must be x64 or arm64, got "ARM64"`,
			`cluster.defaultCapacity.spot.allocationStrategy must be price-capacity-optimized, capacity-optimized, ` +
				`capacity-optimized-prioritized or lowest-price, got "Lowest-Price"`,
			`cluster.defaultCapacity.agent.imagePullBehavior must be default, always, once or prefer-cached, got "Always"`,
		}},
		"zones of another region": {`{"account": "111122223333", "region": "eu-central-1", "vpc": {
			"id": "vpc-01234567", "availabilityZones": ["eu-central-1a", "us-east-1a"], "subnetIds": ["subnet-01234567",
			"subnet-76543210"]
		}}`, []string{`vpc.availabilityZones[1] must be a zone of region eu-central-1, got "us-east-1a"`}},
		"an address with a password": {`{"cluster": {"defaultCapacity": {"agent": {"extra": {"HTTPS_PROXY": ` +
			`"http://user:hunter2@proxy.example.com"}}}}}`, []string{
			`cluster.defaultCapacity.agent.extra["HTTPS_PROXY"] has what looks like a secret: ` + noSecrets,
		}},
		"tags that AWS refuses": {`{"tags": {"aws:team": "x", "": "x", "team": "a*b"}}`, []string{
			`tags[""]` + tag + `"x"`,
			`tags["aws:team"]` + tag + `"x"`,
			`tags["team"]` + tag + `"a*b"`,
		}},
		"keys that would break a path": {`{"a.b": 1, "": 2, "c\nd": 3}`, []string{
			`"" is not a known key; known are account, cluster, fleets, image, region, registration, stackName, tags, vpc, ` +
				`webhook`,
			`"a.b" is not a known key; known are account, cluster, fleets, image, region, registration, stackName, tags, ` +
				`vpc, webhook`,
			`"c\nd" is not a known key; known are account, cluster, fleets, image, region, registration, stackName, tags, ` +
				`vpc, webhook`,
		}},

		"wrong types": {
			`{
				"stackName": 7, "account": 123456789012, "region": true, "tags": ["a"], "vpc": "vpc-0123456789abcdef0",
				"cluster": {
					"containerInsights": {}, "sessionManager": "yes", "capacities": [],
					"defaultCapacity": {
						"instanceTypes": "m7i.large", "minInstances": "1", "maxInstances": true, "managedScaling": 1, "spot": true,
						"instanceWarmupPeriod": 120, "maxInstanceLifetime": {}, "agent": {"extra": {"ECS_A": 1, "ECS_B": ["x"]}}
					}
				}
			}`,
			[]string{
				`account must be text, got 123456789012`,
				`cluster.capacities must be an object, got a list`,
				`cluster.containerInsights must be text, got an object`,
				`cluster.defaultCapacity.agent.extra["ECS_A"] must be text, got 1`,
				`cluster.defaultCapacity.agent.extra["ECS_B"] must be text, got a list`,
				`cluster.defaultCapacity.instanceTypes must be a list, got "m7i.large"`,
				`cluster.defaultCapacity.instanceWarmupPeriod must be a duration such as "90s", "10m" or "168h", got 120`,
				`cluster.defaultCapacity.managedScaling must be true or false, got 1`,
				`cluster.defaultCapacity.maxInstanceLifetime must be a duration such as "90s", "10m" or "168h", got an object`,
				`cluster.defaultCapacity.maxInstances must be a whole number, got true`,
				`cluster.defaultCapacity.minInstances must be a whole number, got "1"`,
				`cluster.defaultCapacity.spot must be an object, got true`,
				`cluster.sessionManager must be true or false, got "yes"`,
				`region must be text, got true`,
				`stackName must be text, got 7`,
				`tags must be an object, got a list`,
				`vpc must be an object, got "vpc-0123456789abcdef0"`,
			},
		},
		"numbers that are not whole": {
			`{"cluster": {"defaultCapacity": {"maxInstances": 1.5, "base": 1e2, "minInstances": 99999999999999999999}}}`,
			[]string{
				`cluster.defaultCapacity.base must be a whole number, got 1e2`,
				`cluster.defaultCapacity.maxInstances must be a whole number, got 1.5`,
				`cluster.defaultCapacity.minInstances must be a whole number, got 99999999999999999999`,
			},
		},
		"a number in cdk.json that is not whole": {
			map[string]any{"cluster": map[string]any{"defaultCapacity": map[string]any{"maxInstances": 1.5}}},
			[]string{`cluster.defaultCapacity.maxInstances must be a whole number, got 1.5`},
		},
		"a duration in words": {
			`{"cluster": {"defaultCapacity": {"agent": {"taskCleanupWait": "ten minutes"}}}}`,
			[]string{`cluster.defaultCapacity.agent.taskCleanupWait must be a duration such as "90s", "10m" or "168h", got ` +
				`"ten minutes"`},
		},
		"a wrong type in a list": {
			`{"cluster": {"defaultCapacity": {"instanceTypes": ["m7i.large", 7, null]}}}`,
			[]string{`cluster.defaultCapacity.instanceTypes[1] must be text, got 7`},
		},

		"zeros that would become defaults": {
			`{"cluster": {"defaultCapacity": {
				"maxInstances": 0, "rootVolumeSizeGiB": 0, "rootVolumeThroughput": 0,
				"targetCapacityPercent": 0, "minimumScalingStepSize": 0, "maximumScalingStepSize": 0
			}}}`,
			[]string{
				`cluster.defaultCapacity.maxInstances must not be 0; leave the key out for the default, 10`,
				`cluster.defaultCapacity.maximumScalingStepSize must not be 0; leave the key out for the default, 10`,
				`cluster.defaultCapacity.minimumScalingStepSize must not be 0; leave the key out for the default, 1`,
				`cluster.defaultCapacity.rootVolumeSizeGiB must not be 0; leave the key out for the default, 50`,
				`cluster.defaultCapacity.rootVolumeThroughput must not be 0; leave the key out for the default, 125`,
				`cluster.defaultCapacity.targetCapacityPercent must not be 0; leave the key out for the default, 100`,
			},
		},
		"zeros in a capacity of any name": {
			`{"cluster": {"capacities": {"Arm": {"maxInstances": 0}, "Other": {"targetCapacityPercent": 0}}}}`,
			[]string{
				`cluster.capacities["Arm"].maxInstances must not be 0; leave the key out for the default, 10`,
				`cluster.capacities["Other"].targetCapacityPercent must not be 0; leave the key out for the default, 100`,
			},
		},

		"secrets in any text": {
			map[string]any{
				"stackName": githubToken,
				"tags": map[string]any{"token": "Bearer " + fineGrained, "oauth": strings.Replace(githubToken, "ghp",
					"gho", 1)},
				"vpc": map[string]any{"subnetIds": []any{strings.Replace(githubToken, "ghp", "ghs", 1)}},
				"cluster": map[string]any{
					"defaultCapacity": map[string]any{"agent": map[string]any{"extra": map[string]any{
						"ECS_X": accessKey, "ECS_Y": strings.Replace(accessKey, "AKIA", "ASIA", 1), "ECS_Z": privateKey,
					}}},
				},
			},
			[]string{
				`cluster.defaultCapacity.agent.extra["ECS_X"] has what looks like a secret: ` + noSecrets,
				`cluster.defaultCapacity.agent.extra["ECS_Y"] has what looks like a secret: ` + noSecrets,
				`cluster.defaultCapacity.agent.extra["ECS_Z"] has what looks like a secret: ` + noSecrets,
				`stackName has what looks like a secret: ` + noSecrets,
				`tags["oauth"] has what looks like a secret: ` + noSecrets,
				`tags["token"] has what looks like a secret: ` + noSecrets,
				`vpc.subnetIds[0] has what looks like a secret: ` + noSecrets,
			},
		},
		"secrets in place of other types": {
			map[string]any{
				"tags": githubToken,
				"cluster": map[string]any{"sessionManager": fineGrained, "defaultCapacity": map[string]any{
					"maxInstances": accessKey, "instanceTypes": privateKey, "instanceWarmupPeriod": githubToken,
				}},
			},
			[]string{
				`cluster.defaultCapacity.instanceTypes has what looks like a secret: cdk.json is committed and the template is ` +
					`readable; put it into AWS Secrets Manager`,
				`cluster.defaultCapacity.instanceWarmupPeriod has what looks like a secret: cdk.json is committed and the ` +
					`template is readable; put it into AWS Secrets Manager`,
				`cluster.defaultCapacity.maxInstances has what looks like a secret: cdk.json is committed and the template is ` +
					`readable; put it into AWS Secrets Manager`,
				`cluster.sessionManager has what looks like a secret: cdk.json is committed and the template is readable; put ` +
					`it into AWS Secrets Manager`,
				`tags has what looks like a secret: cdk.json is committed and the template is readable; put it into AWS ` +
					`Secrets Manager`,
			},
		},
		"secrets in keys": {
			map[string]any{
				githubToken: 1,
				"tags":      map[string]any{fineGrained: "x"},
				"cluster": map[string]any{accessKey: true, "capacities": map[string]any{githubToken: map[string]any{
					"maxInstances": -1,
				}}},
			},
			[]string{
				`cluster has what looks like a secret: ` + noSecrets,
				`cluster.capacities has what looks like a secret: ` + noSecrets,
				`ecsrunners has what looks like a secret: ` + noSecrets,
				`tags has what looks like a secret: ` + noSecrets,
			},
		},

		"a stack named as AWS names its own":    {`{"stackName": "AWSRunners"}`, []string{stackName("AWSRunners")}},
		"a stack named after ECS":               {`{"stackName": "ecs-runners"}`, []string{stackName("ecs-runners")}},
		"a stack named after Fargate":           {`{"stackName": "fArGateRunners"}`, []string{stackName("fArGateRunners")}},
		"a stack name with an underscore":       {`{"stackName": "my_runners"}`, []string{stackName("my_runners")}},
		"a stack name that begins with a digit": {`{"stackName": "1runners"}`, []string{stackName("1runners")}},
		"a stack name that is too long": {
			`{"stackName": "` + strings.Repeat("r", 129) + `"}`,
			[]string{stackName(strings.Repeat("r", 129))},
		},
		"an account that is no number": {
			`{"account": "my-account", "region": "eu-central-1"}`,
			[]string{`account must be 12 digits, got "my-account"`},
		},
		"a region in words": {
			`{"account": "012345678901", "region": "Frankfurt"}`,
			[]string{`region must be a region such as "eu-central-1", got "Frankfurt"`},
		},
		"an account without a region": {
			`{"account": "012345678901"}`,
			[]string{`account, region must be given both or neither, got "012345678901" and ""`},
		},
		"a region without an account": {
			`{"region": "eu-central-1"}`,
			[]string{`account, region must be given both or neither, got "" and "eu-central-1"`},
		},

		"an empty VPC": {
			`{"vpc": {}}`,
			[]string{
				`vpc.id is required: the id of the VPC`,
				`vpc.subnetIds must be at least one subnet, and one for each of the 0 availabilityZones, in their order, got ` +
					`an empty list`,
			},
		},
		"a VPC with a subnet too few": {
			`{"vpc": {"id": "vpc-01234567", "availabilityZones": ["eu-central-1a", "eu-central-1b"], "subnetIds": ` +
				`["subnet-01234567"]}}`,
			[]string{`vpc.subnetIds must be at least one subnet, and one for each of the 2 availabilityZones, in their ` +
				`order, got ["subnet-01234567"]`},
		},
		"a VPC of other things": {
			`{"vpc": {"id": "eni-01234567", "availabilityZones": ["eu-central-1"], "subnetIds": ["vpc-01234567"], "public": ` +
				`true}}`,
			[]string{
				`vpc.id must be a VPC such as "vpc-0123456789abcdef0", got "eni-01234567"`,
				`vpc.subnetIds[0] must be a subnet such as "subnet-0123456789abcdef0", got "vpc-01234567"`,
				`vpc.availabilityZones[0] must be a zone such as "eu-central-1a", got "eu-central-1"`,
			},
		},

		"problems of the cluster under their keys": {
			`{"cluster": {
				"containerInsights": "on",
				"defaultCapacity": {"imageId": "latest", "instanceTypes": ["m7i.large", "m7g.large"],
				"spot": {"onDemandPercentage": 101}, "agent": {"extra": {"ECS_CLUSTER": "x"}}},
				"capacities": {"Arm": {"architecture": "arm"}, "a.B": {"associatePublicIpAddress": true, "rootVolumeSizeGiB": 8}}
			}}`,
			[]string{
				`cluster.containerInsights must be disabled, enabled or enhanced, got "on"`,
				`cluster.defaultCapacity.instanceTypes[1] must be of architecture x64, and this type is arm64, got "m7g.large"`,
				`cluster.defaultCapacity.spot.onDemandPercentage must be 0 to 100, got 101`,
				`cluster.defaultCapacity.imageId must be an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the ` +
					`name of a parameter, got "latest"`,
				`cluster.defaultCapacity.agent.extra["ECS_CLUSTER"] is a variable that ecsrunners writes itself: the ` +
					`capacity's own cluster`,
				`cluster.capacities["Arm"].architecture must be x64 or arm64, got "arm"`,
				`cluster.capacities must be ids of at most 100 letters and digits that begin with a letter, other than ` +
					`CapacityProviders, Cluster, DefaultCapacity, InstanceProfile, InstanceRole, SecurityGroup or Vpc, got "a.B"`,
				`cluster.capacities["a.B"].rootVolumeSizeGiB must be 30 to 16384, got 8`,
			},
		},
		"an id that is too long for a tag": {
			`{"cluster": {"capacities": {"` + strings.Repeat("a", 101) + `": {}}}}`,
			[]string{`cluster.capacities must be ids of at most 100 letters and digits that begin with a letter, other than ` +
				`CapacityProviders, Cluster, DefaultCapacity, InstanceProfile, InstanceRole, SecurityGroup or Vpc, got "` +
				strings.Repeat("a", 101) + `"`},
		},
		"no weight anywhere": {
			`{"cluster": {"defaultCapacity": {"weight": 0}, "capacities": {"Arm": {}}}}`,
			[]string{`cluster.defaultCapacity.weight must be 1 to 1000 here or in one of capacities, got 0: ECS refuses a ` +
				`default strategy without a weight`},
		},
		"two bases": {
			`{"cluster": {"defaultCapacity": {"base": 1}, "capacities": {"Arm": {"base": 1}}}}`,
			[]string{`cluster.capacities["Arm"].base must be 0, got 1: capacity DefaultCapacity has a base already, and a ` +
				`cluster has one`},
		},
		"everything at once": {
			`{"stackName": "ecs", "account": "1", "vpc": {"id": "x", "subnetIds": ["subnet-01234567"], "availabilityZones": ` +
				`["eu-central-1a"]}, "cluster": {"clusterName": "a b", "defaultCapacity": {"minInstances": 11}}}`,
			[]string{
				stackName("ecs"),
				`account must be 12 digits, got "1"`,
				`account, region must be given both or neither, got "1" and ""`,
				`vpc.id must be a VPC such as "vpc-0123456789abcdef0", got "x"`,
				`cluster.clusterName must be at most 255 letters, digits, - and _, got "a b"`,
				`cluster.defaultCapacity.minInstances must be 0 to 10, got 11`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.Parse(c.value)
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			assert.Equal(t, `context key "ecsrunners":`, lines[0])
			assert.Equal(t, c.want, lines[1:])
			assert.Equal(t, config.Config{}, got, "a refused configuration was handed out")
		})
	}
}

func TestParse_FailsWhenTheValueIsNotJSON(t *testing.T) {
	for text, want := range map[string]string{
		``:               `reading context key "ecsrunners": decoding JSON: EOF`,
		`{"stackName": `: `reading context key "ecsrunners": decoding JSON: unexpected EOF`,
		`stackName=Runners`: `reading context key "ecsrunners": decoding JSON: invalid character 's' looking for ` +
			`beginning of value`,
		`{} {}`: `reading context key "ecsrunners": decoding JSON: more than one value`,
		`{}]`:   `reading context key "ecsrunners": decoding JSON: more than one value`,
	} {
		_, err := config.Parse(text)
		assert.EqualErrorf(t, err, want, "%s", text)
	}
	_, err := config.Parse(func() {})
	assert.EqualError(t, err, `reading context key "ecsrunners": encoding JSON: json: unsupported type: func()`)
}

func TestParse_AcceptsRegionsAndZonesOfEveryPartition(t *testing.T) {
	for zone, region := range map[string]string{
		"us-east-1a": "us-east-1", "ap-southeast-5b": "ap-southeast-5", "us-gov-west-1a": "us-gov-west-1",
		"cn-north-1a":    "cn-north-1",
		"us-iso-east-1a": "us-iso-east-1", "us-isob-east-1a": "us-isob-east-1", "eusc-de-east-1a": "eusc-de-east-1",
		"us-west-2-lax-1a": "us-west-2", "us-east-1-wl1-bos-wlz-1": "us-east-1",
	} {
		_, err := config.Parse(map[string]any{
			"account": "012345678901", "region": region,
			"vpc": map[string]any{
				"id": "vpc-01234567", "availabilityZones": []string{zone},
				"subnetIds": []string{"subnet-01234567"},
			},
		})
		assert.NoErrorf(t, err, "%s in %s", zone, region)
	}
}

// Messages turn the names of fields into keys by this rule.
func TestConfig_KeysAreTheNamesOfTheFields(t *testing.T) {
	var check func(of reflect.Type)
	check = func(of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for key, field := range config.Fields(of) {
			assert.Equalf(t, problem.JSONName(field.Name), key, "%s.%s", of, field.Name)
			check(field.Type)
		}
	}
	check(reflect.TypeFor[config.Config]())
}

var token = regexp.MustCompile(`gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|-----BEGIN [A-Z ]*PRIVATE ` +
	`KEY|\bA[KS]IA[A-Z0-9]{16}\b`)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`null`, `{}`, `[]`, `{"stackName":"Runners","tags":{"a":"b"}}`, `{"stackName":"` + githubToken + `","` +
			accessKey + `":1}`,
		`{"account":"012345678901","region":"eu-central-1","vpc":{"id":"vpc-01234567","availabilityZones":["eu-central-1a"],"subnetIds":["subnet-01234567"]}}`,
		`{"cluster":{"sessionManager":true,"defaultCapacity":{"weight":0,"spot":{"onDemandBase":2},"instanceWarmupPeriod":"0s"},"capacities":{"A.b":{"base":1},"Arm":{"architecture":"arm64","weight":1}}}}`,
		`{"cluster":{"defaultCapacity":{"instanceTypes":["m7i.large"],"warmPool":{"maxPreparedCapacity":3},"agent":{"extra":{"ECS_LOGLEVEL":"debug","..":""}}}}}`,
		`{"cluster":{"defaultCapacity":{"maxInstances":0,"maxInstanceLifetime":"24h","managedScaling":false,"x\ny":[{}]}}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse(text)
		if err != nil {
			assert.Equal(t, config.Config{}, c, "a refused configuration was handed out")
			assert.NotRegexp(t, token, err.Error(), "a secret was repeated")
			var problems problem.List
			if errors.As(err, &problems) {
				assert.Equal(t, len(problems), strings.Count(err.Error(), "\n"), "a problem is not on one line")
			}
			return
		}
		require.NoError(t, c.Validate(), "a configuration was accepted that is not valid")
		require.Equal(t, c, c.WithDefaults(), "a configuration lacks defaults")
		encoded, err := json.Marshal(c)
		require.NoError(t, err)
		assert.NotRegexp(t, token, string(encoded), "a secret was accepted")
		again, err := config.Parse(string(encoded))
		require.NoError(t, err, "a configuration cannot be written out in full")
		assert.Equal(t, c, again)
	})
}
