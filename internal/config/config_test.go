package config_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/config"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

func TestParse_GivesDefaultsWhenNothingIsConfigured(t *testing.T) {
	t.Parallel()
	want := config.Config{StackName: "GitHubRunners", Cluster: settings.Cluster{}.WithDefaults()}
	for name, value := range map[string]any{
		"no context":                          nil,
		"an empty object":                     map[string]any{},
		"null on the command line":            "null",
		"an empty object on the command line": " {} ",
		"nulls": `{"stackName": null, "account": null, "tags": null, "vpc": null,
			"cluster": {"defaultCapacity": {"maxInstances": null, "spot": null, "instanceTypes": null, "instanceWarmupPeriod": null}, "capacities": null}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse(value)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestParse_ReadsEveryKey(t *testing.T) {
	t.Parallel()
	const text = `{
		"stackName": "Runners", "account": "012345678901", "region": "eu-central-1", "tags": {"team": "platform", "cost-center": "42"},
		"vpc": {
			"id": "vpc-0123456789abcdef0", "availabilityZones": ["eu-central-1a", "eu-central-1b"],
			"subnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"], "public": true
		},
		"cluster": {
			"clusterName": "runners", "containerInsights": "enhanced", "instanceRoleName": "runners-role", "instanceProfileName": "runners-profile", "sessionManager": true,
			"defaultCapacity": {
				"architecture": "arm64", "instanceTypes": ["c8g.large", "c7g.large"], "minInstances": 1, "maxInstances": 20,
				"spot": {"onDemandBase": 1, "onDemandPercentage": 25, "allocationStrategy": "lowest-price"},
				"imageId": "ami-0123456789abcdef0", "rootDeviceName": "/dev/sda1", "rootVolumeSizeGiB": 100, "rootVolumeThroughput": 250,
				"associatePublicIpAddress": false, "maxInstanceLifetime": "168h",
				"managedScaling": true, "targetCapacityPercent": 90, "minimumScalingStepSize": 2, "maximumScalingStepSize": 15,
				"instanceWarmupPeriod": "90s", "managedTerminationProtection": false, "managedDraining": false, "weight": 3, "base": 4,
				"agent": {"reservedMemoryMiB": 512, "taskCleanupWait": "5m", "imagePullBehavior": "once", "privileged": true, "extra": {"ECS_LOGLEVEL": "debug"}},
				"capacityProviderName": "provider", "autoScalingGroupName": "group", "launchTemplateName": "template"
			},
			"capacities": {"Warm": {
				"instanceTypes": ["m7i.large"], "weight": 0,
				"warmPool": {"minSize": 1, "maxPreparedCapacity": 2, "state": "running"}
			}}
		}
	}`
	want := config.Config{
		StackName: "Runners", Account: "012345678901", Region: "eu-central-1", Tags: map[string]string{"team": "platform", "cost-center": "42"},
		VPC: &config.VPC{
			ID: "vpc-0123456789abcdef0", AvailabilityZones: []string{"eu-central-1a", "eu-central-1b"},
			SubnetIDs: []string{"subnet-0123456789abcdef0", "subnet-0123456789abcdef1"}, Public: true,
		},
		Cluster: settings.Cluster{
			ClusterName: "runners", ContainerInsights: "enhanced", InstanceRoleName: "runners-role", InstanceProfileName: "runners-profile", SessionManager: true,
			DefaultCapacity: settings.Capacity{
				Architecture: settings.ARM64, InstanceTypes: []string{"c8g.large", "c7g.large"}, MinInstances: 1, MaxInstances: 20,
				Spot:    &settings.Spot{OnDemandBase: 1, OnDemandPercentage: 25, AllocationStrategy: "lowest-price"},
				ImageID: "ami-0123456789abcdef0", RootDeviceName: "/dev/sda1", RootVolumeSizeGiB: 100, RootVolumeThroughput: 250,
				AssociatePublicIPAddress: new(false), MaxInstanceLifetime: new(settings.Duration(168 * time.Hour)),
				ManagedScaling: new(true), TargetCapacityPercent: 90, MinimumScalingStepSize: 2, MaximumScalingStepSize: 15,
				InstanceWarmupPeriod: new(settings.Duration(90 * time.Second)), ManagedTerminationProtection: new(false), ManagedDraining: new(false),
				Weight: new(3), Base: 4,
				Agent: settings.Agent{
					ReservedMemoryMiB: new(512), TaskCleanupWait: new(settings.Duration(5 * time.Minute)), ImagePullBehavior: "once",
					Privileged: true, Extra: map[string]string{"ECS_LOGLEVEL": "debug"},
				},
				CapacityProviderName: "provider", AutoScalingGroupName: "group", LaunchTemplateName: "template",
			},
			Capacities: map[string]settings.Capacity{"Warm": settings.Capacity{
				InstanceTypes: []string{"m7i.large"}, Weight: new(0),
				WarmPool: &settings.WarmPool{MinSize: 1, MaxPreparedCapacity: new(2), State: "running"},
			}.WithDefaults()},
		},
	}
	fromText, err := config.Parse(text) // cdk -c ecsrunners='{…}'
	require.NoError(t, err)
	assert.Equal(t, want, fromText)

	var object any // cdk.json, as jsii hands it out: numbers are float64
	require.NoError(t, json.Unmarshal([]byte(text), &object))
	fromObject, err := config.Parse(object)
	require.NoError(t, err)
	assert.Equal(t, want, fromObject)
}

func TestParse_KeepsZerosThatMeanZero(t *testing.T) {
	t.Parallel()
	const zeros = `{
		"minInstances": 0, "weight": 0, "base": 0, "instanceWarmupPeriod": "0s",
		"managedScaling": false, "managedDraining": false, "associatePublicIpAddress": false,
		"instanceTypes": ["m7i.large"], "warmPool": {"minSize": 0, "maxPreparedCapacity": 0},
		"agent": {"reservedMemoryMiB": 0, "privileged": false}
	}`
	c, err := config.Parse(`{"vpc": null, "cluster": {"sessionManager": false, "defaultCapacity": ` + zeros + `, "capacities": {
		"Same": ` + zeros + `,
		"Spot": {"weight": 1, "spot": {"onDemandBase": 0, "onDemandPercentage": 0}}
	}}}`)
	require.NoError(t, err)
	for _, capacity := range []settings.Capacity{c.Cluster.DefaultCapacity, c.Cluster.Capacities["Same"]} {
		assert.Equal(t, new(0), capacity.Weight, "the capacity would get tasks that did not ask for it")
		assert.Equal(t, new(0), capacity.Agent.ReservedMemoryMiB)
		assert.Equal(t, new(settings.Duration(0)), capacity.InstanceWarmupPeriod)
		assert.Equal(t, new(false), capacity.ManagedScaling)
		assert.Equal(t, new(false), capacity.ManagedDraining)
		assert.Equal(t, new(false), capacity.AssociatePublicIPAddress, "the instances would get public addresses")
		assert.Equal(t, new(0), capacity.WarmPool.MaxPreparedCapacity)
	}
	assert.Equal(t, &settings.Spot{AllocationStrategy: "price-capacity-optimized"}, c.Cluster.Capacities["Spot"].Spot)
}

// What must never come back in an error.
const (
	githubToken = "ghp_0123456789abcdefghijABCDEFGHIJ456789"
	fineGrained = "github_pat_11ABCDEFG0123456789abcd_0123456789abcdef"
	accessKey   = "AKIAIOSFODNN7EXAMPLE"
	privateKey  = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow"
)

func TestParse_FailsWithOneLineAProblem(t *testing.T) {
	t.Parallel()
	const (
		noSecrets = `no secrets: cdk.json is committed and the template is readable; put it into AWS Secrets Manager`
		tag       = `keys of 1 to 128 and values of up to 256 letters, digits, spaces and + - = . _ : / @, keys not beginning with aws:`
		stackName = `at most 128 letters, digits and -, beginning with a letter, but not with aws, ecs or fargate in any case: ECS refuses capacity providers that CloudFormation names after such a stack`
	)
	for name, c := range map[string]struct {
		value any
		want  []string
	}{
		"not an object":                  {`[1]`, []string{`ecsrunners: got a list; allowed: an object`}},
		"a text on the command line":     {`"x"`, []string{`ecsrunners: got "x"; allowed: an object`}},
		"a number in cdk.json":           {7, []string{`ecsrunners: got 7; allowed: an object`}},
		"a secret in place of an object": {`"` + githubToken + `"`, []string{`ecsrunners: got what looks like a secret; allowed: an object`}},
		"a misspelled key":               {`{"stackname": "Runners"}`, []string{`stackname: got an unknown key; allowed: a known key; the nearest is "stackName"`}},
		"a key that misses a letter":     {`{"cluster": {"defaultCapacity": {"spot": {"onDemandBas": 1}}}}`, []string{`cluster.defaultCapacity.spot.onDemandBas: got an unknown key; allowed: a known key; the nearest is "onDemandBase"`}},
		"a prop's name":                  {`{"cluster": {"defaultCapacity": {"InstanceTypes": ["m7i.large"]}}}`, []string{`cluster.defaultCapacity.InstanceTypes: got an unknown key; allowed: a known key; the nearest is "instanceTypes"`}},
		"a misspelled key of a capacity": {`{"cluster": {"capacities": {"Arm": {"agent": {"reservedMemory": 1}}}}}`, []string{`cluster.capacities["Arm"].agent.reservedMemory: got an unknown key; allowed: a known key; the nearest is "reservedMemoryMiB"`}},
		"zones of another region": {`{"account": "111122223333", "region": "eu-central-1", "vpc": {
			"id": "vpc-01234567", "availabilityZones": ["eu-central-1a", "us-east-1a"], "subnetIds": ["subnet-01234567", "subnet-76543210"]
		}}`, []string{`vpc.availabilityZones[1]: got "us-east-1a"; allowed: zones of region eu-central-1`}},
		"an address with a password": {`{"cluster": {"defaultCapacity": {"agent": {"extra": {"HTTPS_PROXY": "http://user:hunter2@proxy.example.com"}}}}}`, []string{
			`cluster.defaultCapacity.agent.extra["HTTPS_PROXY"]: got what looks like a secret; allowed: ` + noSecrets,
		}},
		"tags that AWS refuses": {`{"tags": {"aws:team": "x", "": "x", "team": "a*b"}}`, []string{
			`tags[""]: got "x"; allowed: ` + tag,
			`tags["aws:team"]: got "x"; allowed: ` + tag,
			`tags["team"]: got "a*b"; allowed: ` + tag,
		}},
		"keys that would break a path": {`{"a.b": 1, "": 2, "c\nd": 3}`, []string{
			`"": got an unknown key; allowed: a known key; the nearest is "vpc"`,
			`"a.b": got an unknown key; allowed: a known key; the nearest is "tags"`,
			`"c\nd": got an unknown key; allowed: a known key; the nearest is "vpc"`,
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
				`account: got 123456789012; allowed: text`,
				`cluster.capacities: got a list; allowed: an object`,
				`cluster.containerInsights: got an object; allowed: text`,
				`cluster.defaultCapacity.agent.extra["ECS_A"]: got 1; allowed: text`,
				`cluster.defaultCapacity.agent.extra["ECS_B"]: got a list; allowed: text`,
				`cluster.defaultCapacity.instanceTypes: got "m7i.large"; allowed: a list`,
				`cluster.defaultCapacity.instanceWarmupPeriod: got 120; allowed: a duration such as "90s", "10m" or "168h"`,
				`cluster.defaultCapacity.managedScaling: got 1; allowed: true or false`,
				`cluster.defaultCapacity.maxInstanceLifetime: got an object; allowed: a duration such as "90s", "10m" or "168h"`,
				`cluster.defaultCapacity.maxInstances: got true; allowed: a whole number`,
				`cluster.defaultCapacity.minInstances: got "1"; allowed: a whole number`,
				`cluster.defaultCapacity.spot: got true; allowed: an object`,
				`cluster.sessionManager: got "yes"; allowed: true or false`,
				`region: got true; allowed: text`,
				`stackName: got 7; allowed: text`,
				`tags: got a list; allowed: an object`,
				`vpc: got "vpc-0123456789abcdef0"; allowed: an object`,
			},
		},
		"numbers that are not whole": {
			`{"cluster": {"defaultCapacity": {"maxInstances": 1.5, "base": 1e2, "minInstances": 99999999999999999999}}}`,
			[]string{
				`cluster.defaultCapacity.base: got 1e2; allowed: a whole number`,
				`cluster.defaultCapacity.maxInstances: got 1.5; allowed: a whole number`,
				`cluster.defaultCapacity.minInstances: got 99999999999999999999; allowed: a whole number`,
			},
		},
		"a number in cdk.json that is not whole": {
			map[string]any{"cluster": map[string]any{"defaultCapacity": map[string]any{"maxInstances": 1.5}}},
			[]string{`cluster.defaultCapacity.maxInstances: got 1.5; allowed: a whole number`},
		},
		"a duration in words": {
			`{"cluster": {"defaultCapacity": {"agent": {"taskCleanupWait": "ten minutes"}}}}`,
			[]string{`cluster.defaultCapacity.agent.taskCleanupWait: got "ten minutes"; allowed: a duration such as "90s", "10m" or "168h"`},
		},
		"a wrong type in a list": {
			`{"cluster": {"defaultCapacity": {"instanceTypes": ["m7i.large", 7, null]}}}`,
			[]string{`cluster.defaultCapacity.instanceTypes[1]: got 7; allowed: text`},
		},

		"zeros that would become defaults": {
			`{"cluster": {"defaultCapacity": {
				"maxInstances": 0, "rootVolumeSizeGiB": 0, "rootVolumeThroughput": 0,
				"targetCapacityPercent": 0, "minimumScalingStepSize": 0, "maximumScalingStepSize": 0
			}}}`,
			[]string{
				`cluster.defaultCapacity.maxInstances: got 0; allowed: not 0; leave the key out for the default, 10`,
				`cluster.defaultCapacity.maximumScalingStepSize: got 0; allowed: not 0; leave the key out for the default, 10`,
				`cluster.defaultCapacity.minimumScalingStepSize: got 0; allowed: not 0; leave the key out for the default, 1`,
				`cluster.defaultCapacity.rootVolumeSizeGiB: got 0; allowed: not 0; leave the key out for the default, 50`,
				`cluster.defaultCapacity.rootVolumeThroughput: got 0; allowed: not 0; leave the key out for the default, 125`,
				`cluster.defaultCapacity.targetCapacityPercent: got 0; allowed: not 0; leave the key out for the default, 100`,
			},
		},
		"zeros in a capacity of any name": {
			`{"cluster": {"capacities": {"Arm": {"maxInstances": 0}, "Other": {"targetCapacityPercent": 0}}}}`,
			[]string{
				`cluster.capacities["Arm"].maxInstances: got 0; allowed: not 0; leave the key out for the default, 10`,
				`cluster.capacities["Other"].targetCapacityPercent: got 0; allowed: not 0; leave the key out for the default, 100`,
			},
		},

		"secrets in any text": {
			map[string]any{
				"stackName": githubToken,
				"tags":      map[string]any{"token": "Bearer " + fineGrained, "oauth": strings.Replace(githubToken, "ghp", "gho", 1)},
				"vpc":       map[string]any{"subnetIds": []any{strings.Replace(githubToken, "ghp", "ghs", 1)}},
				"cluster": map[string]any{
					"defaultCapacity": map[string]any{"agent": map[string]any{"extra": map[string]any{
						"ECS_X": accessKey, "ECS_Y": strings.Replace(accessKey, "AKIA", "ASIA", 1), "ECS_Z": privateKey,
					}}},
				},
			},
			[]string{
				`cluster.defaultCapacity.agent.extra["ECS_X"]: got what looks like a secret; allowed: ` + noSecrets,
				`cluster.defaultCapacity.agent.extra["ECS_Y"]: got what looks like a secret; allowed: ` + noSecrets,
				`cluster.defaultCapacity.agent.extra["ECS_Z"]: got what looks like a secret; allowed: ` + noSecrets,
				`stackName: got what looks like a secret; allowed: ` + noSecrets,
				`tags["oauth"]: got what looks like a secret; allowed: ` + noSecrets,
				`tags["token"]: got what looks like a secret; allowed: ` + noSecrets,
				`vpc.subnetIds[0]: got what looks like a secret; allowed: ` + noSecrets,
			},
		},
		"secrets in place of other types": {
			map[string]any{
				"tags":    githubToken,
				"cluster": map[string]any{"sessionManager": fineGrained, "defaultCapacity": map[string]any{"maxInstances": accessKey, "instanceTypes": privateKey, "instanceWarmupPeriod": githubToken}},
			},
			[]string{
				`cluster.defaultCapacity.instanceTypes: got what looks like a secret; allowed: a list`,
				`cluster.defaultCapacity.instanceWarmupPeriod: got what looks like a secret; allowed: a duration such as "90s", "10m" or "168h"`,
				`cluster.defaultCapacity.maxInstances: got what looks like a secret; allowed: a whole number`,
				`cluster.sessionManager: got what looks like a secret; allowed: true or false`,
				`tags: got what looks like a secret; allowed: an object`,
			},
		},
		"secrets in keys": {
			map[string]any{
				githubToken: 1,
				"tags":      map[string]any{fineGrained: "x"},
				"cluster":   map[string]any{accessKey: true, "capacities": map[string]any{githubToken: map[string]any{"maxInstances": -1}}},
			},
			[]string{
				`cluster: got a key that looks like a secret; allowed: ` + noSecrets,
				`cluster.capacities: got a key that looks like a secret; allowed: ` + noSecrets,
				`ecsrunners: got a key that looks like a secret; allowed: ` + noSecrets,
				`tags: got a key that looks like a secret; allowed: ` + noSecrets,
			},
		},

		"a stack named as AWS names its own":    {`{"stackName": "AWSRunners"}`, []string{`stackName: got "AWSRunners"; allowed: ` + stackName}},
		"a stack named after ECS":               {`{"stackName": "ecs-runners"}`, []string{`stackName: got "ecs-runners"; allowed: ` + stackName}},
		"a stack named after Fargate":           {`{"stackName": "fArGateRunners"}`, []string{`stackName: got "fArGateRunners"; allowed: ` + stackName}},
		"a stack name with an underscore":       {`{"stackName": "my_runners"}`, []string{`stackName: got "my_runners"; allowed: ` + stackName}},
		"a stack name that begins with a digit": {`{"stackName": "1runners"}`, []string{`stackName: got "1runners"; allowed: ` + stackName}},
		"a stack name that is too long": {
			`{"stackName": "` + strings.Repeat("r", 129) + `"}`,
			[]string{`stackName: got "` + strings.Repeat("r", 129) + `"; allowed: ` + stackName},
		},
		"an account that is no number": {
			`{"account": "my-account", "region": "eu-central-1"}`,
			[]string{`account: got "my-account"; allowed: 12 digits`},
		},
		"a region in words": {
			`{"account": "012345678901", "region": "Frankfurt"}`,
			[]string{`region: got "Frankfurt"; allowed: a region such as "eu-central-1"`},
		},
		"an account without a region": {
			`{"account": "012345678901"}`,
			[]string{`account, region: got "012345678901" and ""; allowed: both or neither`},
		},
		"a region without an account": {
			`{"region": "eu-central-1"}`,
			[]string{`account, region: got "" and "eu-central-1"; allowed: both or neither`},
		},

		"an empty VPC": {
			`{"vpc": {}}`,
			[]string{
				`vpc.id: got ""; allowed: a VPC such as "vpc-0123456789abcdef0"`,
				`vpc.subnetIds: got an empty list; allowed: at least one subnet, and one for each of the 0 availabilityZones, in their order`,
			},
		},
		"a VPC with a subnet too few": {
			`{"vpc": {"id": "vpc-01234567", "availabilityZones": ["eu-central-1a", "eu-central-1b"], "subnetIds": ["subnet-01234567"]}}`,
			[]string{`vpc.subnetIds: got ["subnet-01234567"]; allowed: at least one subnet, and one for each of the 2 availabilityZones, in their order`},
		},
		"a VPC of other things": {
			`{"vpc": {"id": "eni-01234567", "availabilityZones": ["eu-central-1"], "subnetIds": ["vpc-01234567"], "public": true}}`,
			[]string{
				`vpc.id: got "eni-01234567"; allowed: a VPC such as "vpc-0123456789abcdef0"`,
				`vpc.subnetIds[0]: got "vpc-01234567"; allowed: a subnet such as "subnet-0123456789abcdef0"`,
				`vpc.availabilityZones[0]: got "eu-central-1"; allowed: a zone such as "eu-central-1a"`,
			},
		},

		"problems of the cluster under their keys": {
			`{"cluster": {
				"containerInsights": "on",
				"defaultCapacity": {"imageId": "latest", "instanceTypes": ["m7i.large", "m7g.large"], "spot": {"onDemandPercentage": 101}, "agent": {"extra": {"ECS_CLUSTER": "x"}}},
				"capacities": {"Arm": {"architecture": "arm"}, "a.B": {"associatePublicIpAddress": true, "rootVolumeSizeGiB": 8}}
			}}`,
			[]string{
				`cluster.containerInsights: got "on"; allowed: disabled, enabled, enhanced`,
				`cluster.defaultCapacity.instanceTypes[1]: got "m7g.large"; allowed: types of architecture x64; this one is arm64`,
				`cluster.defaultCapacity.spot.onDemandPercentage: got 101; allowed: 0 to 100`,
				`cluster.defaultCapacity.imageId: got "latest"; allowed: an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a parameter`,
				`cluster.defaultCapacity.agent.extra["ECS_CLUSTER"]: got "x"; allowed: variables that ecsrunners does not write itself (the capacity's own cluster)`,
				`cluster.capacities["Arm"].architecture: got "arm"; allowed: x64, arm64`,
				`cluster.capacities: got "a.B"; allowed: ids of letters and digits that begin with a letter, other than CapacityProviders, Cluster, DefaultCapacity, InstanceProfile, InstanceRole, SecurityGroup, Vpc`,
				`cluster.capacities["a.B"].rootVolumeSizeGiB: got 8; allowed: 30 to 16384`,
			},
		},
		"no weight anywhere": {
			`{"cluster": {"defaultCapacity": {"weight": 0}, "capacities": {"Arm": {}}}}`,
			[]string{`cluster.defaultCapacity.weight: got 0; allowed: 1 to 1000, here or in one of capacities: ECS refuses a default strategy without a weight`},
		},
		"two bases": {
			`{"cluster": {"defaultCapacity": {"base": 1}, "capacities": {"Arm": {"base": 1}}}}`,
			[]string{`cluster.capacities["Arm"].base: got 1; allowed: 0, because DefaultCapacity has the base already and a cluster has one`},
		},
		"everything at once": {
			`{"stackName": "ecs", "account": "1", "vpc": {"id": "x", "subnetIds": ["subnet-01234567"], "availabilityZones": ["eu-central-1a"]}, "cluster": {"clusterName": "a b", "defaultCapacity": {"minInstances": 11}}}`,
			[]string{
				`stackName: got "ecs"; allowed: ` + stackName,
				`account: got "1"; allowed: 12 digits`,
				`account, region: got "1" and ""; allowed: both or neither`,
				`vpc.id: got "x"; allowed: a VPC such as "vpc-0123456789abcdef0"`,
				`cluster.clusterName: got "a b"; allowed: at most 255 letters, digits, - and _`,
				`cluster.defaultCapacity.minInstances: got 11; allowed: 0 to 10`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse(c.value)
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			assert.Equal(t, `context key "ecsrunners":`, lines[0])
			assert.Equal(t, c.want, lines[1:])
			assert.Equal(t, config.Config{}, got, "a refused configuration was handed out")
			var problem settings.Problem
			assert.True(t, errors.As(err, &problem))
		})
	}
}

func TestParse_FailsWhenTheValueIsNotJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                  `reading context key "ecsrunners": decoding JSON: EOF`,
		`{"stackName": `:    `reading context key "ecsrunners": decoding JSON: unexpected EOF`,
		`stackName=Runners`: `reading context key "ecsrunners": decoding JSON: invalid character 's' looking for beginning of value`,
		`{} {}`:             `reading context key "ecsrunners": decoding JSON: more than one value`,
		`{}]`:               `reading context key "ecsrunners": decoding JSON: more than one value`,
	} {
		_, err := config.Parse(text)
		assert.EqualErrorf(t, err, want, "%s", text)
	}
	_, err := config.Parse(func() {})
	assert.EqualError(t, err, `reading context key "ecsrunners": encoding JSON: json: unsupported type: func()`)
}

func TestParse_AcceptsRegionsAndZonesOfEveryPartition(t *testing.T) {
	t.Parallel()
	for zone, region := range map[string]string{
		"us-east-1a": "us-east-1", "ap-southeast-5b": "ap-southeast-5", "us-gov-west-1a": "us-gov-west-1", "cn-north-1a": "cn-north-1",
		"us-iso-east-1a": "us-iso-east-1", "us-isob-east-1a": "us-isob-east-1", "eusc-de-east-1a": "eusc-de-east-1",
		"us-west-2-lax-1a": "us-west-2", "us-east-1-wl1-bos-wlz-1": "us-east-1",
	} {
		_, err := config.Parse(map[string]any{
			"account": "012345678901", "region": region,
			"vpc": map[string]any{"id": "vpc-01234567", "availabilityZones": []string{zone}, "subnetIds": []string{"subnet-01234567"}},
		})
		assert.NoErrorf(t, err, "%s in %s", zone, region)
	}
}

func TestConfig_JSONNamesAreTheTagsOfEveryField(t *testing.T) {
	t.Parallel()
	for _, of := range []reflect.Type{reflect.TypeFor[config.Config](), reflect.TypeFor[config.VPC]()} {
		for i := range of.NumField() {
			field := of.Field(i)
			assert.Equalf(t, field.Tag.Get("json"), settings.JSONName(field.Name), "%s.%s", of, field.Name)
		}
	}
}

var token = regexp.MustCompile(`gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY|\bA[KS]IA[A-Z0-9]{16}\b`)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`null`, `{}`, `[]`, `{"stackName":"Runners","tags":{"a":"b"}}`, `{"stackName":"` + githubToken + `","` + accessKey + `":1}`,
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
			var joined interface{ Unwrap() []error }
			if errors.As(err, &joined) {
				assert.Equal(t, len(joined.Unwrap()), strings.Count(err.Error(), "\n"), "a problem is not on one line")
			}
			return
		}
		require.NoError(t, c.Validate().Err(), "a configuration was accepted that is not valid")
		require.Equal(t, c, c.WithDefaults(), "a configuration lacks defaults")
		encoded, err := json.Marshal(c)
		require.NoError(t, err)
		assert.NotRegexp(t, token, string(encoded), "a secret was accepted")
		again, err := config.Parse(string(encoded))
		require.NoError(t, err, "a configuration cannot be written out in full")
		assert.Equal(t, c, again)
	})
}
