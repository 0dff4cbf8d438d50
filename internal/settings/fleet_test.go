package settings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

func someFleet() settings.Fleet {
	return settings.Fleet{Name: "linux", Labels: []string{"self-hosted", "linux"}}
}

func TestFleet_WithDefaults(t *testing.T) {
	t.Parallel()
	assert.Equal(t, settings.Fleet{
		Name: "linux", Labels: []string{"self-hosted", "linux"},
		NetworkMode:      "bridge",
		IdleTimeout:      new(settings.Duration(5 * time.Minute)),
		Lifetime:         new(settings.Duration(6*time.Hour + 30*time.Minute)),
		StartTimeout:     new(settings.Duration(5 * time.Minute)),
		StopTimeout:      new(settings.Duration(2 * time.Minute)),
		ContainerName:    "runner",
		LogRetentionDays: 30,
	}, someFleet().WithDefaults())
	assert.Equal(t, filled[settings.Fleet](t), filled[settings.Fleet](t).WithDefaults(), "a value that was given is gone")

	given := filled[settings.Fleet](t)
	got := given.WithDefaults()
	got.Labels[0] = "changed"
	for name := range got.Environment {
		got.Environment[name] = "changed"
	}
	*got.IdleTimeout = 1
	assert.Equal(t, filled[settings.Fleet](t), given, "a caller that changes its props later would change the construct")
}

func TestFleet_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	t.Parallel()
	const (
		name   = "Name: got %s; allowed: at most 24 lower-case letters, digits and single hyphens, beginning with a letter"
		labels = "one to 100 labels of letters, digits and . _ -, at most 4000 characters together "
	)
	for _, test := range []struct {
		name   string
		change func(*settings.Fleet)
		want   string
	}{
		{"no name", func(f *settings.Fleet) { f.Name = "" }, strings.Replace(name, "%s", `""`, 1)},
		{"a capital", func(f *settings.Fleet) { f.Name = "Linux" }, strings.Replace(name, "%s", `"Linux"`, 1)},
		{"no labels", func(f *settings.Fleet) { f.Labels = nil }, "Labels: got an empty list; allowed: " + labels + "(no labels)"},
		{"a label with a comma", func(f *settings.Fleet) { f.Labels = []string{"a,b"} }, `Labels: got ["a,b"]; allowed: ` + labels + `(label is not valid: "a,b", want letters, digits, dots, hyphens and underscores)`},
		{"group zero", func(f *settings.Fleet) { f.RunnerGroup = "0" }, `RunnerGroup: got "0"; allowed: the name of a runner group, or its id: a number from 1`},
		{"group with a space", func(f *settings.Fleet) { f.RunnerGroup = "group " }, `RunnerGroup: got "group "; allowed: the name of a runner group, or its id: a number from 1`},
		{"a capacity that is no id", func(f *settings.Fleet) { f.Capacity = "a-b" }, `Capacity: got "a-b"; allowed: the id of one of the cluster's capacities`},
		{"an image that is no name", func(f *settings.Fleet) { f.Image = "An image" }, `Image: got "An image"; allowed: an image such as "registry.example.com/runner:stable"`},
		{"little CPU", func(f *settings.Fleet) { f.CPU = 127 }, "CPU: got 127; allowed: CPU units from 128, of which a vCPU has 1024, or none given for a whole instance"},
		{"little memory", func(f *settings.Fleet) { f.MemoryMiB = 511 }, "MemoryMiB: got 511; allowed: 512 MiB or more, below which actions/runner does not work, or none given for a whole instance"},
		{"the network of the host", func(f *settings.Fleet) { f.NetworkMode = "host" }, `NetworkMode: got "host"; allowed: bridge, awsvpc`},
		{"a relative tmpfs", func(f *settings.Fleet) { f.TmpfsMiB = map[string]int{"work": 1} }, `TmpfsMiB["work"]: got 1; allowed: absolute paths such as "/home/runner/_work"`},
		{"an empty tmpfs", func(f *settings.Fleet) { f.TmpfsMiB = map[string]int{"/work": 0} }, `TmpfsMiB["/work"]: got 0; allowed: 1 MiB or more`},
		{"a short idle time", func(f *settings.Fleet) { f.IdleTimeout = new(settings.Duration(time.Second)) }, "IdleTimeout: got 1s; allowed: 30s to 24h in whole seconds, after which GitHub cancels jobs"},
		{"a long life", func(f *settings.Fleet) { f.Lifetime = new(settings.Duration(145 * time.Hour)) }, "Lifetime: got 145h; allowed: 10m to 144h in whole seconds: GitHub ends a job after five days"},
		{"no life beside waiting", func(f *settings.Fleet) { f.Lifetime = new(settings.Duration(10 * time.Minute)) }, "Lifetime: got 10m; allowed: more than IdleTimeout (5m) and StartTimeout (5m) together"},
		{"half a second", func(f *settings.Fleet) { f.StartTimeout = new(settings.Duration(90500 * time.Millisecond)) }, "StartTimeout: got 1m30.5s; allowed: 30s to 1h in whole seconds"},
		{"no time to cancel", func(f *settings.Fleet) { f.StopTimeout = new(settings.Duration(19 * time.Second)) }, "StopTimeout: got 19s; allowed: 20s to 144h in whole seconds, of which the last 10s are for cancelling a job"},
		{"a variable of ours", func(f *settings.Fleet) { f.Environment = map[string]string{"ECSRUNNERS_JOB_ID": "1"} }, `Environment["ECSRUNNERS_JOB_ID"]: got a variable of ecsrunners; allowed: names that do not begin with ECSRUNNERS_: those tell the supervisor what to do`},
		{"an argument of the runner", func(f *settings.Fleet) { f.Environment = map[string]string{"ACTIONS_RUNNER_INPUT_TOKEN": "1"} }, `Environment["ACTIONS_RUNNER_INPUT_TOKEN"]: got an argument of actions/runner; allowed: names that do not begin with ACTIONS_RUNNER_INPUT_: the supervisor sets those`},
		{"no variable", func(f *settings.Fleet) { f.Environment = map[string]string{"A-B": "1"} }, `Environment["A-B"]: got no variable's name; allowed: letters, digits and _, beginning with a letter or _`},
		{"a family with a revision", func(f *settings.Fleet) { f.Family = "runner:1" }, `Family: got "runner:1"; allowed: at most 255 letters, digits, - and _`},
		{"a container with a dot", func(f *settings.Fleet) { f.ContainerName = "a.b" }, `ContainerName: got "a.b"; allowed: at most 255 letters, digits, - and _`},
		{"a task role with a slash", func(f *settings.Fleet) { f.TaskRoleName = "a/b" }, `TaskRoleName: got "a/b"; allowed: at most 64 letters, digits and + = , . @ _ -`},
		{"an execution role with a slash", func(f *settings.Fleet) { f.ExecutionRoleName = "a/b" }, `ExecutionRoleName: got "a/b"; allowed: at most 64 letters, digits and + = , . @ _ -`},
		{"a log group with a colon", func(f *settings.Fleet) { f.LogGroupName = "a:b" }, `LogGroupName: got "a:b"; allowed: at most 512 letters, digits and . _ / # -`},
		{"an odd retention", func(f *settings.Fleet) { f.LogRetentionDays = 2 }, "LogRetentionDays: got 2; allowed: [1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fleet := someFleet().WithDefaults()
			test.change(&fleet)
			assert.EqualError(t, fleet.Validate().Err(), test.want)
		})
	}
	assert.NoError(t, someFleet().WithDefaults().Validate().Err())
}

func TestFleet_Fit_FillsTheSmallestInstance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		types       []string
		cpu, memory int
	}{
		{nil, 2048, 7168}, // the default types: 8192 x 0.93 - 256 = 7362
		{[]string{"t2.micro"}, 1024, 512},
		{[]string{"m7i.xlarge", "m7i.large"}, 2048, 7168},
		{[]string{"g6.xlarge", "m7i.xlarge"}, 4096, 14848},
		{[]string{"g6.xlarge"}, 2048, 7168}, // not known
	} {
		fleet, problems := someFleet().WithDefaults().Fit(settings.Surroundings{Capacity: settings.Capacity{InstanceTypes: test.types}.WithDefaults()})
		assert.NoError(t, problems.Err())
		assert.Equal(t, test.cpu, fleet.CPU, test.types)
		assert.Equal(t, test.memory, fleet.MemoryMiB, test.types)
	}
}

func TestFleet_Fit_ShowsTheArithmetic(t *testing.T) {
	t.Parallel()
	large := settings.Capacity{}.WithDefaults()
	for _, test := range []struct {
		name   string
		change func(*settings.Fleet)
		in     settings.Surroundings
		want   string
	}{
		{
			"too much memory", func(f *settings.Fleet) { f.MemoryMiB = 7363 },
			settings.Surroundings{Capacity: large},
			"MemoryMiB: got 7363; allowed: at most 7362, or the task never starts: m7i-flex.large, the smallest instance type of the capacity, has 8192 MiB; it registers about 8192 x 0.93 = 7618 with ECS, of which 256 are reserved",
		},
		{
			"too much CPU", func(f *settings.Fleet) { f.CPU = 2049 },
			settings.Surroundings{Capacity: large},
			"CPU: got 2049; allowed: at most 2048, or the task never starts: m7i-flex.large, the smallest instance type of the capacity, has 2 vCPU of 1024 units",
		},
		{
			"tmpfs beyond the memory", func(f *settings.Fleet) { f.TmpfsMiB = map[string]int{"/a": 4000, "/b": 3168} },
			settings.Surroundings{Capacity: large},
			"TmpfsMiB: got 7168 MiB in all; allowed: less than MemoryMiB (7168): what is in a tmpfs counts as the task's memory",
		},
		{
			"privileged", func(f *settings.Fleet) { f.Privileged = true },
			settings.Surroundings{Capacity: large},
			"Privileged: got true; allowed: false, unless Agent.Privileged of the capacity is true: the agent refuses the container",
		},
		{
			"awsvpc in public subnets", func(f *settings.Fleet) { f.NetworkMode = "awsvpc" },
			settings.Surroundings{Capacity: large, PublicSubnets: true},
			`NetworkMode: got "awsvpc"; allowed: bridge in public subnets: tasks in awsvpc mode on EC2 get no public address, and so no way to GitHub`,
		},
		{
			"a group in a repository", func(f *settings.Fleet) { f.RunnerGroup = "g" },
			settings.Surroundings{Capacity: large, Scope: registrationcontract.Scope{Kind: registrationcontract.ScopeRepository}},
			`RunnerGroup: got "g"; allowed: none: a repository has no runner groups`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fleet := someFleet().WithDefaults()
			test.change(&fleet)
			_, problems := fleet.Fit(test.in)
			assert.EqualError(t, problems.Err(), test.want)
		})
	}
	fleet := someFleet().WithDefaults()
	fleet.CPU, fleet.MemoryMiB, fleet.NetworkMode = 2048, 7362, "awsvpc"
	_, problems := fleet.Fit(settings.Surroundings{Capacity: large})
	assert.NoError(t, problems.Err(), "exactly all of an instance is not too much")
}
