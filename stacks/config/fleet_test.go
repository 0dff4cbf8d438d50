package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

func TestParse_RefusesFleetsThatCannotRunJobs(t *testing.T) {
	for name, test := range map[string]struct{ given, want string }{
		"alone": {`{"fleets": [{"name": "a", "labels": ["x"]}, {"name": "b", "labels": ["y"], "image": ` +
			`"registry.example.com/runner"}]}`, `context key "ecsrunners":
registration is required: it registers the runners of the fleets
webhook is required: it starts the tasks of the fleets
fleets[0].image is required: there is no image that is built; add the key image, or name one here`},
		"in the wrong place": {`{
			"webhook": {"owners": ["octo"]}, "image": {}, "registration": {"repository": "octo/app"},
			"cluster": {"capacities": {"Arm": {"architecture": "arm64"}}},
			"fleets": [
				{"name": "a", "labels": ["x"], "networkMode": "awsvpc", "runnerGroup": "g", "memoryMiB": 8192},
				{"name": "a", "labels": ["y"], "capacity": "Arm"},
				{"name": "c", "labels": ["z"], "capacity": "Spot", "timeout": 1}
			]}`, `context key "ecsrunners":
fleets[2].timeout is not a known key; did you mean "idleTimeout"?`},
		"in the wrong place, spelled right": {`{
			"webhook": {"owners": ["octo"]}, "image": {}, "registration": {"repository": "octo/app"},
			"cluster": {"capacities": {"Arm": {"architecture": "arm64"}}},
			"fleets": [
				{"name": "a", "labels": ["x"], "networkMode": "awsvpc", "runnerGroup": "g", "memoryMiB": 8192},
				{"name": "a", "labels": ["y"], "capacity": "Arm"},
				{"name": "c", "labels": ["z"], "capacity": "Spot"}
			]}`, `context key "ecsrunners":
fleets[0].networkMode must be bridge in public subnets: tasks in awsvpc mode on EC2 get no public address, and so cannot reach GitHub
fleets[0].runnerGroup must be left out: a repository has no runner groups
fleets[0].memoryMiB must be at most 7362, or the task never starts, got 8192: m7i-flex.large, the smallest instance type of the capacity, has 8192 MiB; it registers about 8192 x 0.93 = 7618 with ECS, of which 256 are reserved
fleets[1].name must be a name that no other fleet has, got "a"
fleets[1].image is required: image.architectures does not have "arm64", so none is built
fleets[2].capacity must be Arm or left out for the default capacity, got "Spot"`},
		"with a zero and a secret": {
			`{"fleets": [{"name": "a", "labels": ["x"], "logRetentionDays": 0, "environment": {"TOKEN": "` + githubToken +
				`"}}]}`, `context key "ecsrunners":
fleets[0].environment["TOKEN"] has what looks like a secret: cdk.json is committed and the template is readable; put it into AWS Secrets Manager
fleets[0].logRetentionDays must not be 0; leave the key out for the default, 30`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse(test.given)
			assert.EqualError(t, err, test.want)
		})
	}
}
