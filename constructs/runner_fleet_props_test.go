package constructs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

func someFleet() constructs.RunnerFleetProps {
	return constructs.RunnerFleetProps{Name: "linux", Labels: []string{"self-hosted", "linux"}}
}

func TestFleet_WithDefaults(t *testing.T) {
	assert.Equal(t, constructs.RunnerFleetProps{
		Name: "linux", Labels: []string{"self-hosted", "linux"},
		NetworkMode:      awsecs.NetworkMode_BRIDGE,
		IdleTimeout:      5 * time.Minute,
		Lifetime:         6*time.Hour + 30*time.Minute,
		StartTimeout:     5 * time.Minute,
		StopTimeout:      2 * time.Minute,
		ContainerName:    "runner",
		LogRetentionDays: 30,
	}, someFleet().WithDefaults())
	assert.Equal(t, filled[constructs.RunnerFleetProps](t), filled[constructs.RunnerFleetProps](t).WithDefaults(),
		"a value that was given is gone")
}

func TestFleet_Validate_NamesTheFieldTheValueAndWhatIsAllowed(t *testing.T) {
	const (
		name   = "Name must be at most 24 lower-case letters, digits and single hyphens, beginning with a letter, got %s"
		labels = "Labels must be one to 100 labels of letters, digits and . _ -, at most 4000 characters together, got "
	)
	for _, test := range []struct {
		name   string
		change func(*constructs.RunnerFleetProps)
		want   string
	}{
		{
			"no name", func(f *constructs.RunnerFleetProps) { f.Name = "" },
			"Name is required: part of the names of the fleet's runners",
		},
		{"a capital", func(f *constructs.RunnerFleetProps) { f.Name = "Linux" }, strings.Replace(name, "%s", `"Linux"`, 1)},
		{"no labels", func(f *constructs.RunnerFleetProps) { f.Labels = nil }, labels + "an empty list: no labels"},
		{
			"a label with a comma", func(f *constructs.RunnerFleetProps) { f.Labels = []string{"a,b"} },
			labels + `["a,b"]: label is not valid: "a,b", want letters, digits, dots, hyphens and underscores`,
		},
		{
			"group zero", func(f *constructs.RunnerFleetProps) { f.RunnerGroup = "0" },
			`RunnerGroup must be the name of a runner group, or its id from 1, got "0"`,
		},
		{
			"group with a space", func(f *constructs.RunnerFleetProps) { f.RunnerGroup = "group " },
			`RunnerGroup must be the name of a runner group, or its id from 1, got "group "`,
		},
		{
			"little CPU", func(f *constructs.RunnerFleetProps) { f.CPU = 127 },
			"CPU must be at least 128 CPU units, of which a vCPU has 1024, or left out for a whole instance, got 127",
		},
		{
			"little memory", func(f *constructs.RunnerFleetProps) { f.MemoryMiB = 511 },
			"MemoryMiB must be at least 512 MiB, below which actions/runner does not work, or left out for a whole " +
				"instance, got 511",
		},
		{
			"the network of the host", func(f *constructs.RunnerFleetProps) { f.NetworkMode = awsecs.NetworkMode_HOST },
			`NetworkMode must be bridge or awsvpc, got "host"`,
		},
		{
			"a relative tmpfs", func(f *constructs.RunnerFleetProps) { f.TmpfsMiB = map[string]int{"work": 1} },
			`TmpfsMiB["work"] must be an absolute path such as "/home/runner/_work"`,
		},
		{
			"an empty tmpfs", func(f *constructs.RunnerFleetProps) { f.TmpfsMiB = map[string]int{"/work": 0} },
			`TmpfsMiB["/work"] must be 1 to 33554432, got 0`,
		},
		{
			"AWS's name for a constant of the CDK", func(f *constructs.RunnerFleetProps) { f.NetworkMode = "awsvpc" },
			`NetworkMode must be the CDK's constant for bridge or awsvpc, got "awsvpc"`,
		},
		{
			"two sizes of /dev/shm", func(f *constructs.RunnerFleetProps) {
				f.TmpfsMiB, f.ShmSizeMiB = map[string]int{"/dev/shm": 100}, 100
			},
			`TmpfsMiB["/dev/shm"] cannot be used with ShmSizeMiB: both are the size of /dev/shm`,
		},
		{
			"less /dev/shm than Docker's", func(f *constructs.RunnerFleetProps) { f.ShmSizeMiB = 63 },
			"ShmSizeMiB must be 64 to 33554432, got 63",
		},
		{
			"a short idle time", func(f *constructs.RunnerFleetProps) { f.IdleTimeout = time.Second },
			"IdleTimeout must be 30s to 24h in whole seconds, after which GitHub cancels jobs, got 1s",
		},
		{
			"a long life", func(f *constructs.RunnerFleetProps) { f.Lifetime = 145 * time.Hour },
			"Lifetime must be 10m to 144h in whole seconds, got 145h: GitHub ends a job after five days",
		},
		{
			"a stop beyond the job's life", func(f *constructs.RunnerFleetProps) {
				f.Lifetime, f.StopTimeout = 10*time.Minute, 11*time.Minute
			},
			"StopTimeout must be at most Lifetime (10m), after which no job runs, got 11m",
		},
		{
			"a tmpfs over the runner", func(f *constructs.RunnerFleetProps) { f.TmpfsMiB = map[string]int{"/home": 1} },
			`TmpfsMiB["/home"] would hide /home/runner of the image, without which no runner starts`,
		},
		{
			"a tmpfs over the supervisor", func(f *constructs.RunnerFleetProps) {
				f.TmpfsMiB = map[string]int{"/opt/ecsrunners": 1}
			},
			`TmpfsMiB["/opt/ecsrunners"] would hide /opt/ecsrunners of the image, without which no runner starts`,
		},
		{
			"a volume over the runner", func(f *constructs.RunnerFleetProps) {
				f.Mounts = []constructs.MountOptions{{Volume: &awsecs.Volume{Name: jsii.String("v")}, Path: "/home/runner/"}}
			},
			`Mounts[0] would hide /home/runner of the image, without which no runner starts`,
		},
		{
			"a volume and a tmpfs at a path", func(f *constructs.RunnerFleetProps) {
				f.TmpfsMiB = map[string]int{"/cache": 128}
				f.Mounts = []constructs.MountOptions{{Volume: &awsecs.Volume{Name: jsii.String("v")}, Path: "/cache"}}
			},
			`Mounts[0] cannot be used with TmpfsMiB: both are at /cache`,
		},
		{
			"half a second", func(f *constructs.RunnerFleetProps) { f.StartTimeout = 90500 * time.Millisecond },
			"StartTimeout must be 30s to 1h in whole seconds, got 1m30.5s",
		},
		{
			"no time to cancel", func(f *constructs.RunnerFleetProps) { f.StopTimeout = 19 * time.Second },
			"StopTimeout must be 20s to 144h in whole seconds, of which the last 10s are for cancelling a job, got 19s",
		},
		{"a variable of ours", func(f *constructs.RunnerFleetProps) {
			f.Environment = map[string]string{
				"ECSRUNNERS_JOB_ID": "1",
			}
		}, `Environment["ECSRUNNERS_JOB_ID"] must not begin with ECSRUNNERS_: those variables configure the supervisor`},
		{"an argument of the runner", func(f *constructs.RunnerFleetProps) {
			f.Environment = map[string]string{"ACTIONS_RUNNER_INPUT_TOKEN": "1"}
		}, `Environment["ACTIONS_RUNNER_INPUT_TOKEN"] must not begin with ACTIONS_RUNNER_INPUT_: the supervisor sets ` +
			`those arguments of actions/runner`},
		{
			"no variable", func(f *constructs.RunnerFleetProps) { f.Environment = map[string]string{"A-B": "1"} },
			`Environment["A-B"] must be letters, digits and _, beginning with a letter or _`,
		},
		{
			"a family with a revision", func(f *constructs.RunnerFleetProps) { f.Family = "runner:1" },
			`Family must be at most 255 letters, digits, - and _, got "runner:1"`,
		},
		{
			"a container with a dot", func(f *constructs.RunnerFleetProps) { f.ContainerName = "a.b" },
			`ContainerName must be at most 255 letters, digits, - and _, got "a.b"`,
		},
		{
			"a task role with a slash", func(f *constructs.RunnerFleetProps) { f.TaskRoleName = "a/b" },
			`TaskRoleName must be at most 64 letters, digits and + = , . @ _ -, got "a/b"`,
		},
		{
			"an execution role with a slash", func(f *constructs.RunnerFleetProps) { f.ExecutionRoleName = "a/b" },
			`ExecutionRoleName must be at most 64 letters, digits and + = , . @ _ -, got "a/b"`,
		},
		{
			"a log group with a colon", func(f *constructs.RunnerFleetProps) { f.LogGroupName = "a:b" },
			`LogGroupName must be at most 512 letters, digits and . _ / # -, got "a:b"`,
		},
		{
			"an odd retention", func(f *constructs.RunnerFleetProps) { f.LogRetentionDays = 2 },
			"LogRetentionDays must be one of [1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 " +
				"3653], got 2",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			fleet := someFleet().WithDefaults()
			test.change(&fleet)
			assert.EqualError(t, fleet.Validate(), test.want)
		})
	}
	assert.NoError(t, someFleet().WithDefaults().Validate())
}

func TestFleet_Fit_FillsTheSmallestInstance(t *testing.T) {
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
		fleet, problems := someFleet().WithDefaults().Fit(constructs.Placement{Capacity: constructs.RunnerCapacityProps{
			InstanceTypes: test.types,
		}.WithDefaults()})
		assert.NoError(t, problems)
		assert.Equal(t, test.cpu, fleet.CPU, test.types)
		assert.Equal(t, test.memory, fleet.MemoryMiB, test.types)
	}
}

func TestFleet_Fit_ShowsTheArithmetic(t *testing.T) {
	large := constructs.RunnerCapacityProps{}.WithDefaults()
	for _, test := range []struct {
		name   string
		change func(*constructs.RunnerFleetProps)
		in     constructs.Placement
		want   string
	}{
		{
			"too much memory", func(f *constructs.RunnerFleetProps) { f.MemoryMiB = 7363 },
			constructs.Placement{Capacity: large},
			"MemoryMiB must be at most 7362, or the task never starts, got 7363: m7i-flex.large, the smallest instance type " +
				"of the capacity, has 8192 MiB; it registers about 8192 x 0.93 = 7618 with ECS, of which 256 are reserved",
		},
		{
			"too much CPU", func(f *constructs.RunnerFleetProps) { f.CPU = 2049 },
			constructs.Placement{Capacity: large},
			"CPU must be at most 2048, or the task never starts, got 2049: m7i-flex.large, the smallest instance type of " +
				"the capacity, has 2 vCPU of 1024 units",
		},
		{
			"tmpfs beyond the memory", func(f *constructs.RunnerFleetProps) {
				f.TmpfsMiB, f.ShmSizeMiB = map[string]int{"/a": 4000, "/b": 2557}, 100
			},
			constructs.Placement{Capacity: large},
			"TmpfsMiB and ShmSizeMiB must leave 512 MiB of MemoryMiB (7168), because they count as the task's memory, " +
				"got 6657 MiB",
		},
		{
			"tmpfs beyond the memory of a type that is not known", func(f *constructs.RunnerFleetProps) {
				f.TmpfsMiB = map[string]int{"/a": 7000}
			},
			constructs.Placement{Capacity: constructs.RunnerCapacityProps{InstanceTypes: []string{"g6.xlarge"}}.WithDefaults()},
			"TmpfsMiB and ShmSizeMiB must leave 512 MiB of MemoryMiB (7168), because they count as the task's memory, " +
				"got 7000 MiB",
		},
		{
			"jobs that outlive their instances", func(f *constructs.RunnerFleetProps) { f.Lifetime = 24 * time.Hour },
			constructs.Placement{Capacity: constructs.RunnerCapacityProps{
				MaxInstanceLifetime: 24 * time.Hour, ManagedTerminationProtection: new(false),
			}.WithDefaults()},
			"Lifetime must be such that with StartTimeout and IdleTimeout it is at most MaxInstanceLifetime (24h) of the " +
				"capacity, which has no ManagedTerminationProtection, got 24h: its instances are replaced with their jobs",
		},
		{
			"privileged", func(f *constructs.RunnerFleetProps) { f.Privileged = true },
			constructs.Placement{Capacity: large},
			"Privileged needs Agent.Privileged of the capacity: the agent refuses the container otherwise",
		},
		{
			"awsvpc in public subnets", func(f *constructs.RunnerFleetProps) { f.NetworkMode = awsecs.NetworkMode_AWS_VPC },
			constructs.Placement{Capacity: large, PublicSubnets: true},
			`NetworkMode must be bridge in public subnets: tasks in awsvpc mode on EC2 get no public address, and so cannot ` +
				`reach GitHub`,
		},
		{
			"a group in a repository", func(f *constructs.RunnerFleetProps) { f.RunnerGroup = "g" },
			constructs.Placement{Capacity: large, Scope: constructs.Repository("o/r")},
			`RunnerGroup must be left out: a repository has no runner groups`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			fleet := someFleet().WithDefaults()
			test.change(&fleet)
			_, problems := fleet.Fit(test.in)
			assert.EqualError(t, problems, test.want)
		})
	}
	for name, change := range map[string]func(*constructs.RunnerFleetProps){
		"exactly enough beside the tmpfs": func(f *constructs.RunnerFleetProps) { f.TmpfsMiB = map[string]int{"/a": 6656} },
		"a long wait before a short job": func(f *constructs.RunnerFleetProps) {
			f.IdleTimeout, f.Lifetime = 6*time.Hour, 10*time.Minute
		},
		"a tmpfs for the work": func(f *constructs.RunnerFleetProps) {
			f.TmpfsMiB = map[string]int{"/home/runner/_work": 128, "/opt/cache": 128}
		},
	} {
		fleet := someFleet().WithDefaults()
		change(&fleet)
		assert.NoError(t, fleet.Validate(), name)
		_, problems := fleet.Fit(constructs.Placement{Capacity: large})
		assert.NoError(t, problems, name)
	}
	fleet := someFleet().WithDefaults()
	fleet.CPU, fleet.MemoryMiB, fleet.NetworkMode = 2048, 7362, awsecs.NetworkMode_AWS_VPC
	_, problems := fleet.Fit(constructs.Placement{Capacity: large})
	assert.NoError(t, problems, "exactly all of an instance is not too much")
}

func TestFleet_Warnings(t *testing.T) {
	spot := constructs.Placement{Capacity: constructs.RunnerCapacityProps{Spot: &constructs.SpotOptions{}}.WithDefaults()}
	fleet := someFleet().WithDefaults()
	assert.Empty(t, constructs.FleetWarnings(fleet, spot))
	fleet.StopTimeout = time.Hour
	assert.Empty(t, constructs.FleetWarnings(fleet, constructs.Placement{
		Capacity: constructs.RunnerCapacityProps{}.WithDefaults(),
	}))
	assert.Equal(t, []string{
		"ecsrunners:stopTimeoutOnSpot: StopTimeout is 1h on a capacity with Spot: an interruption leaves a job 2m, and " +
			"GitHub shows one that is still running then as lost, not as cancelled; use 2m unless tasks are stopped by hand",
	}, constructs.FleetWarnings(fleet, spot))
}

func TestIngress_Warnings(t *testing.T) {
	ingress := constructs.WebhookIngressProps{Owners: []string{"my-org"}}
	assert.Empty(t, constructs.IngressWarnings(ingress.WithDefaults()))
	ingress.MaximumRetryAttempts = new(0)
	assert.Equal(t, []string{
		"ecsrunners:eventAgeWithoutRetries: MaximumRetryAttempts is 0: EventBridge tries once to start a task, and " +
			"MaximumEventAge (15m) has no effect; a job whose start ECS throttles gets no runner from its rule",
	}, constructs.IngressWarnings(ingress.WithDefaults()))
}
