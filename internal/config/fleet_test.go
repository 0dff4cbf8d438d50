package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/config"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

func TestParse_ReadsEveryKeyOfRegistrationAndFleets(t *testing.T) {
	t.Parallel()
	got, err := config.Parse(`{
		"webhook": {"owners": ["octo"]}, "image": {"architectures": ["arm64"]},
		"cluster": {"capacities": {"Arm": {"architecture": "arm64", "agent": {"privileged": true}}}},
		"vpc": {"id": "vpc-0123456789abcdef0", "availabilityZones": ["eu-central-1a"], "subnetIds": ["subnet-0123456789abcdef0"]},
		"registration": {
			"enterprise": "globo", "gitHubUrl": "https://github.example.com/", "credential": "token",
			"secretArn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:name-AbCdEf", "deployment": "farm",
			"tableName": "ledger", "pointInTimeRecovery": true, "removalPolicy": "retain",
			"functionName": "register", "memorySizeMiB": 512, "reservedConcurrency": 0, "logRetentionDays": 7
		},
		"fleets": [{
			"name": "arm", "labels": ["self-hosted", "arm64"], "runnerGroup": "7", "capacity": "Arm", "image": "registry.example.com/runner:1",
			"cpu": 1024, "memoryMiB": 2048, "oneJobPerInstance": true, "privileged": true, "networkMode": "awsvpc", "tmpfsMiB": {"/work": 64},
			"idleTimeout": "1m", "lifetime": "1h", "startTimeout": "2m", "stopTimeout": "3m", "environment": {"A": "b"},
			"family": "family", "containerName": "container", "taskRoleName": "task", "executionRoleName": "execution",
			"logGroupName": "/runners", "logRetentionDays": 1
		}, {"name": "second", "labels": ["x"], "capacity": "Arm"}]
	}`)
	require.NoError(t, err)
	assert.Equal(t, &settings.Registration{
		Enterprise: "globo", GitHubURL: "https://github.example.com", Credential: "token",
		SecretARN: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:name-AbCdEf", Deployment: "farm",
		TableName: "ledger", PointInTimeRecovery: true, RemovalPolicy: "retain",
		FunctionName: "register", MemorySizeMiB: 512, ReservedConcurrency: new(0), LogRetentionDays: 7,
	}, got.Registration)
	minutes := func(n int) *settings.Duration { return new(settings.Duration(time.Duration(n) * time.Minute)) }
	assert.Equal(t, []settings.Fleet{
		{
			Name: "arm", Labels: []string{"self-hosted", "arm64"}, RunnerGroup: "7", Capacity: "Arm", Image: "registry.example.com/runner:1",
			CPU: 1024, MemoryMiB: 2048, OneJobPerInstance: true, Privileged: true, NetworkMode: "awsvpc", TmpfsMiB: map[string]int{"/work": 64},
			IdleTimeout: minutes(1), Lifetime: minutes(60), StartTimeout: minutes(2), StopTimeout: minutes(3), Environment: map[string]string{"A": "b"},
			Family: "family", ContainerName: "container", TaskRoleName: "task", ExecutionRoleName: "execution",
			LogGroupName: "/runners", LogRetentionDays: 1,
		},
		settings.Fleet{Name: "second", Labels: []string{"x"}, Capacity: "Arm"}.WithDefaults(),
	}, got.Fleets)
}

func TestParse_RefusesFleetsThatCannotRunJobs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ given, want string }{
		"alone": {`{"fleets": [{"name": "a", "labels": ["x"]}, {"name": "b", "labels": ["y"], "image": "registry.example.com/runner"}]}`, `context key "ecsrunners":
fleets: got 2 fleets; allowed: fleets together with registration, which gives their tasks runners
fleets: got 2 fleets; allowed: fleets together with webhook, which starts their tasks
fleets[0].image: got none; allowed: the name of an image, or image.architectures with "x64", for which one is built`},
		"in the wrong place": {`{
			"webhook": {"owners": ["octo"]}, "image": {}, "registration": {"repository": "octo/app"},
			"cluster": {"capacities": {"Arm": {"architecture": "arm64"}}},
			"fleets": [
				{"name": "a", "labels": ["x"], "networkMode": "awsvpc", "runnerGroup": "g", "memoryMiB": 8192},
				{"name": "a", "labels": ["y"], "capacity": "Arm"},
				{"name": "c", "labels": ["z"], "capacity": "Spot", "timeout": 1}
			]}`, `context key "ecsrunners":
fleets[2].timeout: got an unknown key; allowed: a known key; the nearest is "idleTimeout"`},
		"in the wrong place, spelled right": {`{
			"webhook": {"owners": ["octo"]}, "image": {}, "registration": {"repository": "octo/app"},
			"cluster": {"capacities": {"Arm": {"architecture": "arm64"}}},
			"fleets": [
				{"name": "a", "labels": ["x"], "networkMode": "awsvpc", "runnerGroup": "g", "memoryMiB": 8192},
				{"name": "a", "labels": ["y"], "capacity": "Arm"},
				{"name": "c", "labels": ["z"], "capacity": "Spot"}
			]}`, `context key "ecsrunners":
fleets[0].networkMode: got "awsvpc"; allowed: bridge in public subnets: tasks in awsvpc mode on EC2 get no public address, and so no way to GitHub
fleets[0].runnerGroup: got "g"; allowed: none: a repository has no runner groups
fleets[0].memoryMiB: got 8192; allowed: at most 7362, or the task never starts: m7i-flex.large, the smallest instance type of the capacity, has 8192 MiB; it registers about 8192 x 0.93 = 7618 with ECS, of which 256 are reserved
fleets[1].name: got "a"; allowed: a name that no other fleet has
fleets[1].image: got none; allowed: the name of an image, or image.architectures with "arm64", for which one is built
fleets[2].capacity: got "Spot"; allowed: one of cluster.capacities (Arm), or none for cluster.defaultCapacity`},
		"with a zero and a secret": {`{"fleets": [{"name": "a", "labels": ["x"], "logRetentionDays": 0, "environment": {"TOKEN": "` + githubToken + `"}}]}`, `context key "ecsrunners":
fleets[0].environment["TOKEN"]: got what looks like a secret; allowed: no secrets: cdk.json is committed and the template is readable; put it into AWS Secrets Manager
fleets[0].logRetentionDays: got 0; allowed: not 0; leave the key out for the default, 30`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse(test.given)
			assert.EqualError(t, err, test.want)
		})
	}
}
