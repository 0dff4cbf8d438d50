package settings

import (
	"fmt"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

// Fleet is a kind of runner. What each field means is told at
// constructs.RunnerFleetProps.
type Fleet struct {
	Name        string   `json:"name"`
	Labels      []string `json:"labels"`
	RunnerGroup string   `json:"runnerGroup"`

	// Capacity is the id of the capacity, Image the name of an image in a registry:
	// constructs take both as values of their own types.
	Capacity string `json:"capacity"`
	Image    string `json:"image"`

	CPU               int            `json:"cpu"`
	MemoryMiB         int            `json:"memoryMiB"`
	OneJobPerInstance bool           `json:"oneJobPerInstance"`
	Privileged        bool           `json:"privileged"`
	NetworkMode       string         `json:"networkMode"`
	TmpfsMiB          map[string]int `json:"tmpfsMiB"`

	IdleTimeout  *Duration `json:"idleTimeout"`
	Lifetime     *Duration `json:"lifetime"`
	StartTimeout *Duration `json:"startTimeout"`
	StopTimeout  *Duration `json:"stopTimeout"`

	Environment map[string]string `json:"environment"`

	Family            string `json:"family"`
	ContainerName     string `json:"containerName"`
	TaskRoleName      string `json:"taskRoleName"`
	ExecutionRoleName string `json:"executionRoleName"`
	LogGroupName      string `json:"logGroupName"`
	LogRetentionDays  int    `json:"logRetentionDays"`
}

// Network modes of tasks on EC2 in which the hosts' firewall holds.
const (
	NetworkBridge = "bridge"
	NetworkAwsVPC = "awsvpc"
)

var networkModes = []string{NetworkBridge, NetworkAwsVPC}

// DefaultStopTimeout is the default of Fleet.StopTimeout: the notice that AWS
// gives of a Spot interruption.
const DefaultStopTimeout = 2 * time.Minute

// WithDefaults returns a copy with every absent value filled in but CPU and
// MemoryMiB, which depend on the capacity.
func (f Fleet) WithDefaults() Fleet {
	f.Labels = slices.Clone(f.Labels)
	set(&f.NetworkMode, NetworkBridge)
	f.TmpfsMiB = maps.Clone(f.TmpfsMiB)
	setPointer(&f.IdleTimeout, Duration(runnercontract.DefaultIdleTimeout))
	setPointer(&f.Lifetime, Duration(runnercontract.DefaultLifetime))
	setPointer(&f.StartTimeout, Duration(runnercontract.DefaultStartTimeout))
	setPointer(&f.StopTimeout, Duration(DefaultStopTimeout))
	f.Environment = maps.Clone(f.Environment)
	set(&f.ContainerName, "runner")
	set(&f.LogRetentionDays, 30)
	return f
}

var (
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
	taskFamily    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	containerName = taskFamily
	logGroup      = regexp.MustCompile(`^[A-Za-z0-9._/#-]{1,512}$`)
	variableName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// https://docs.github.com/en/actions/hosting-your-own-runners/managing-self-hosted-runners/managing-access-to-self-hosted-runners-using-groups
	maxRunnerGroupName = 128
)

// Validate names every value that cannot work. It expects WithDefaults to have
// been called.
func (f Fleet) Validate() Problems {
	var ps Problems
	if !labels.IsFleetName(f.Name) {
		ps.Add("Name", f.Name, "at most 24 lower-case letters, digits and single hyphens, beginning with a letter")
	}
	if err := labels.Validate(f.Labels); err != nil {
		ps.Add("Labels", f.Labels, "one to 100 labels of letters, digits and . _ -, at most 4000 characters together ("+strings.ReplaceAll(err.Error(), "\n", "; ")+")")
	}
	if id, err := strconv.ParseInt(f.RunnerGroup, 10, 64); len(f.RunnerGroup) > maxRunnerGroupName || err == nil && id <= 0 || f.RunnerGroup != strings.TrimSpace(f.RunnerGroup) {
		ps.Add("RunnerGroup", f.RunnerGroup, "the name of a runner group, or its id: a number from 1")
	}
	if f.Capacity != "" && !constructID.MatchString(f.Capacity) {
		ps.Add("Capacity", f.Capacity, "the id of one of the cluster's capacities")
	}
	validateName(&ps, "Image", f.Image, imageReference, `an image such as "registry.example.com/runner:stable"`)
	if f.CPU < 0 || f.CPU != 0 && f.CPU < 128 { // ECS refuses less
		ps.Add("CPU", f.CPU, "CPU units from 128, of which a vCPU has 1024, or none given for a whole instance")
	}
	if f.MemoryMiB < 0 || f.MemoryMiB != 0 && f.MemoryMiB < 512 {
		ps.Add("MemoryMiB", f.MemoryMiB, "512 MiB or more, below which actions/runner does not work, or none given for a whole instance")
	}
	if !slices.Contains(networkModes, f.NetworkMode) {
		ps.Add("NetworkMode", f.NetworkMode, oneOf(networkModes))
	}
	for _, folder := range slices.Sorted(maps.Keys(f.TmpfsMiB)) {
		field := fmt.Sprintf("TmpfsMiB[%q]", folder)
		if !path.IsAbs(folder) || path.Clean(folder) != folder || folder == "/" {
			ps.Add(field, f.TmpfsMiB[folder], `absolute paths such as "/home/runner/_work"`)
		}
		if f.TmpfsMiB[folder] < 1 {
			ps.Add(field, f.TmpfsMiB[folder], "1 MiB or more")
		}
	}
	f.validateTimes(&ps)
	for _, name := range slices.Sorted(maps.Keys(f.Environment)) {
		ValidateVariable(&ps, "Environment", name)
	}
	validateName(&ps, "Family", f.Family, taskFamily, "at most 255 letters, digits, - and _")
	validateName(&ps, "ContainerName", f.ContainerName, containerName, "at most 255 letters, digits, - and _")
	validateName(&ps, "TaskRoleName", f.TaskRoleName, iamName, "at most 64 letters, digits and + = , . @ _ -")
	validateName(&ps, "ExecutionRoleName", f.ExecutionRoleName, iamName, "at most 64 letters, digits and + = , . @ _ -")
	validateName(&ps, "LogGroupName", f.LogGroupName, logGroup, "at most 512 letters, digits and . _ / # -")
	validateLogRetention(&ps, f.LogRetentionDays)
	return ps
}

func (f Fleet) validateTimes(ps *Problems) {
	within := func(path string, got *Duration, low, high time.Duration, why string) {
		if d := time.Duration(*got); d < low || d > high || d%time.Second != 0 {
			ps.Add(path, *got, fmt.Sprintf("%s to %s in whole seconds%s", Duration(low), Duration(high), why))
		}
	}
	within("IdleTimeout", f.IdleTimeout, 30*time.Second, 24*time.Hour, ", after which GitHub cancels jobs")
	within("Lifetime", f.Lifetime, 10*time.Minute, 6*24*time.Hour, ": GitHub ends a job after five days")
	within("StartTimeout", f.StartTimeout, 30*time.Second, time.Hour, "")
	within("StopTimeout", f.StopTimeout, runnercontract.StopReserve+10*time.Second, 6*24*time.Hour, ", of which the last "+Duration(runnercontract.StopReserve).String()+" are for cancelling a job")
	if time.Duration(*f.Lifetime) <= time.Duration(*f.IdleTimeout)+time.Duration(*f.StartTimeout) {
		ps.Add("Lifetime", *f.Lifetime, fmt.Sprintf("more than IdleTimeout (%s) and StartTimeout (%s) together", *f.IdleTimeout, *f.StartTimeout))
	}
}

// ValidateVariable checks the name of a variable that a customer adds to the
// container.
func ValidateVariable(ps *Problems, field, name string) {
	path := fmt.Sprintf("%s[%q]", field, name)
	switch {
	case strings.HasPrefix(name, runnercontract.EnvPrefix):
		ps.Add(path, Words("a variable of ecsrunners"), "names that do not begin with "+runnercontract.EnvPrefix+": those tell the supervisor what to do")
	case strings.HasPrefix(name, runnerInputPrefix):
		ps.Add(path, Words("an argument of actions/runner"), "names that do not begin with "+runnerInputPrefix+": the supervisor sets those")
	case !variableName.MatchString(name):
		ps.Add(path, Words("no variable's name"), "letters, digits and _, beginning with a letter or _")
	}
}

// runnerInputPrefix begins the variables that actions/runner takes for arguments.
const runnerInputPrefix = "ACTIONS_RUNNER_INPUT_"

// registeredShare is the part of an instance's nominal memory that it registers
// with ECS at least: the kernel and the firmware keep the rest.
const registeredShare = 0.93

// TaskSize is what a task may take of an instance, so that one job fills it.
type TaskSize struct {
	CPU       int // units, of which a vCPU has 1024
	MemoryMiB int
}

// Smallest returns the least instance type of a capacity whose size is known, by
// memory first, and false if none is. Managed scaling counts with it.
func (c Capacity) Smallest() (instanceType string, size InstanceSize, known bool) {
	for _, t := range c.InstanceTypes {
		s, ok := SizeOf(t)
		if ok && (!known || s.MemoryMiB < size.MemoryMiB || s.MemoryMiB == size.MemoryMiB && s.VCPU < size.VCPU) {
			instanceType, size, known = t, s, true
		}
	}
	return instanceType, size, known
}

// Room is what tasks have on an instance of a size: its memory as registered,
// less what is kept for the agent, docker and the system.
func (c Capacity) Room(size InstanceSize) TaskSize {
	return TaskSize{
		CPU:       size.VCPU * 1024,
		MemoryMiB: int(math.Floor(float64(size.MemoryMiB)*registeredShare)) - *c.Agent.ReservedMemoryMiB,
	}
}

// defaultTaskSize is that of instances whose size is not known: it fits the
// default instance types.
var defaultTaskSize = TaskSize{CPU: 2048, MemoryMiB: 7168}

// OneJobAnInstance is the size of a task that fills the smallest instance type of
// the capacity, its memory rounded down to 256 MiB.
func (c Capacity) OneJobAnInstance() TaskSize {
	_, size, known := c.Smallest()
	if !known {
		return defaultTaskSize
	}
	room := c.Room(size)
	room.MemoryMiB -= room.MemoryMiB % 256
	return room
}

// Surroundings are what a fleet must fit.
type Surroundings struct {
	Capacity      Capacity
	PublicSubnets bool // of the capacity's instances
	Scope         registrationcontract.Scope
}

// Fit completes CPU and MemoryMiB for a capacity and names what does not fit the
// surroundings: ECS would never start such a task, and say nothing.
func (f Fleet) Fit(s Surroundings) (Fleet, Problems) {
	var ps Problems
	c := s.Capacity
	if f.Privileged && !c.Agent.Privileged {
		ps.Add("Privileged", true, "false, unless Agent.Privileged of the capacity is true: the agent refuses the container")
	}
	if f.NetworkMode == NetworkAwsVPC && s.PublicSubnets {
		ps.Add("NetworkMode", f.NetworkMode, "bridge in public subnets: tasks in awsvpc mode on EC2 get no public address, and so no way to GitHub")
	}
	if f.RunnerGroup != "" && s.Scope.Kind == registrationcontract.ScopeRepository {
		ps.Add("RunnerGroup", f.RunnerGroup, "none: a repository has no runner groups")
	}
	whole := c.OneJobAnInstance()
	set(&f.CPU, whole.CPU)
	set(&f.MemoryMiB, whole.MemoryMiB)
	instanceType, size, known := c.Smallest()
	if !known {
		return f, ps
	}
	room := c.Room(size)
	if f.MemoryMiB > room.MemoryMiB {
		ps.Add("MemoryMiB", f.MemoryMiB, fmt.Sprintf("at most %d, or the task never starts: %s, the smallest instance type of the capacity, has %d MiB; it registers about %d x %g = %d with ECS, of which %d are reserved",
			room.MemoryMiB, instanceType, size.MemoryMiB, size.MemoryMiB, registeredShare, int(math.Floor(float64(size.MemoryMiB)*registeredShare)), *c.Agent.ReservedMemoryMiB))
	}
	if f.CPU > room.CPU {
		ps.Add("CPU", f.CPU, fmt.Sprintf("at most %d, or the task never starts: %s, the smallest instance type of the capacity, has %d vCPU of 1024 units", room.CPU, instanceType, size.VCPU))
	}
	tmpfs := 0
	for _, size := range f.TmpfsMiB {
		tmpfs += size
	}
	if tmpfs >= f.MemoryMiB {
		ps.Add("TmpfsMiB", Words(fmt.Sprintf("%d MiB in all", tmpfs)), fmt.Sprintf("less than MemoryMiB (%d): what is in a tmpfs counts as the task's memory", f.MemoryMiB))
	}
	return f, ps
}
