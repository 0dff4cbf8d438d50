package constructs

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/instancetype"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// RunnerFleetProps are the settings of a [RunnerFleet]. Registration, Image and
// Labels are required.
type RunnerFleetProps struct {
	// Registration that gives the fleet's tasks their runners. Required.
	Registration *RunnerRegistration `json:"-"`

	// Image is the image in which jobs run. Required.
	Image RunnerImage `json:"-"`

	// Labels are the labels of the runners: those that a job names in runs-on. A job
	// goes to the fleet when all labels it names are among them, compared without
	// case. Letters, digits and . _ -; at most 100 and 4,000 characters together.
	// GitHub adds none: "self-hosted" is a label like any other. Required.
	Labels []string `json:"labels"`

	// Name is the name of the fleet, part of the names of its runners: at most 24
	// lower-case letters, digits and single hyphens, beginning with a letter.
	//
	// Default: the construct's id in lower case.
	Name string `json:"name"`

	// RunnerGroup is the runner group at GitHub to which the runners belong: its
	// name, or its id as a number. It decides which repositories may use them. A
	// repository has none.
	//
	// Default: the default group, with the id 1.
	RunnerGroup string `json:"runnerGroup"`

	// Capacity is the capacity on which the tasks run. It must be one of the
	// registration's cluster.
	//
	// Default: the cluster's default capacity.
	Capacity *RunnerCapacity `json:"-"`

	// CPU is the share of the processors that a task gets, in CPU units, of which a
	// vCPU has 1024.
	//
	// Default: all of the capacity's smallest instance type; 2048 if that is not
	// known to this library.
	CPU int `json:"cpu"`

	// MemoryMiB is the memory of a task. A job that takes more is killed. A task that
	// fits no instance never starts, which is refused here: an instance registers
	// about 93 percent of its memory with ECS, less the agent's reservation.
	//
	// Default: all of the capacity's smallest instance type, in steps of 256: one
	// job an instance, because ECS on EC2 is no boundary between tasks; 7168 if that
	// is not known to this library.
	MemoryMiB int `json:"memoryMiB"`

	// OneJobPerInstance keeps ECS from placing two tasks of the fleet on one
	// instance, where they would fit.
	//
	// Default: false. The default size has that effect.
	OneJobPerInstance bool `json:"oneJobPerInstance"`

	// Privileged gives jobs every capability of the host, for docker in the
	// container: they own the host then, and the credentials of every task on it.
	// The capacity must allow it with Agent.Privileged.
	//
	// Default: false.
	Privileged bool `json:"privileged"`

	// NetworkMode is the network mode of the tasks: BRIDGE or AWS_VPC. With AWS_VPC
	// each task has a network interface of its own, of which an instance has few,
	// and no public address: it takes private subnets with a way out.
	//
	// Default: BRIDGE.
	NetworkMode awsecs.NetworkMode `json:"networkMode" enum:"bridge,awsvpc"`

	// TmpfsMiB are folders of the container that are kept in memory, by path, with
	// their sizes in MiB. They count as the task's memory, and with ShmSizeMiB must
	// leave 512 MiB of it.
	//
	// Default: none.
	TmpfsMiB map[string]int `json:"tmpfsMiB"`

	// ShmSizeMiB is the size of /dev/shm, through which browsers share memory between
	// their processes, at least 64 MiB. It counts as the task's memory.
	//
	// Default: 64, Docker's own.
	ShmSizeMiB int `json:"shmSizeMiB"`

	// Mounts are further volumes of the container.
	//
	// Default: none.
	Mounts []MountOptions `json:"-"`

	// Ulimits of the container, instead of the default's.
	//
	// Default: 65536 open files.
	Ulimits []*awsecs.Ulimit `json:"-"`

	// IdleTimeout is how long a runner waits for a job before it ends, 30 seconds to
	// 24 hours. A task without a job ends after StartTimeout and IdleTimeout together.
	//
	// Default: 5 minutes.
	IdleTimeout time.Duration `json:"idleTimeout"`

	// Lifetime is how long a job may run, from its own start, 10 minutes to 6 days.
	// One that is still running then is cancelled. A capacity with MaxInstanceLifetime
	// and without ManagedTerminationProtection must leave room for it.
	//
	// Default: 6 hours 30 minutes, more than GitHub gives a job by default.
	Lifetime time.Duration `json:"lifetime"`

	// StartTimeout is how long actions/runner may take until it listens for jobs,
	// 30 seconds to an hour.
	//
	// Default: 5 minutes.
	StartTimeout time.Duration `json:"startTimeout"`

	// StopTimeout is how long a job may go on when its task is stopped, 20 seconds
	// to Lifetime; in the last 10 seconds it is cancelled. ECS stops no task by
	// itself, but people do, and Spot interruptions, which give two minutes.
	//
	// Default: 2 minutes.
	StopTimeout time.Duration `json:"stopTimeout"`

	// Environment are variables that jobs see. Templates and the ECS console show
	// them.
	//
	// Default: none.
	Environment map[string]string `json:"environment"`

	// Secrets are variables that jobs see, with values from Secrets Manager or
	// Parameter Store. Every job of every repository that may use the fleet can read
	// and keep them: prefer GitHub's own secrets, or a role by OpenID Connect.
	//
	// Default: none.
	Secrets map[string]awsecs.Secret `json:"-"`

	// Family is the family of the task definition. It must be literal: rules and
	// policies name the family, never a revision.
	//
	// Default: derived from the path of the construct.
	Family string `json:"family"`

	// ContainerName is the name of the container.
	//
	// Default: runner.
	ContainerName string `json:"containerName"`

	// TaskRoleName is the physical name of the role of jobs.
	//
	// Default: named by CloudFormation.
	TaskRoleName string `json:"taskRoleName"`

	// ExecutionRoleName is the physical name of the role with which the ECS agent
	// pulls the image and writes the log.
	//
	// Default: named by CloudFormation.
	ExecutionRoleName string `json:"executionRoleName"`

	// LogGroupName is the physical name of the log group with the runners' logs.
	//
	// Default: named by CloudFormation.
	LogGroupName string `json:"logGroupName"`

	// LogRetentionDays is how many days events stay in the log group, one of the values
	// of CloudWatch Logs. The log group stays when the stack is deleted.
	//
	// Default: 30.
	LogRetentionDays int `json:"logRetentionDays"`

	// LogEncryptionKey encrypts the log group. The key's policy must let CloudWatch
	// Logs use it.
	//
	// Default: a key of CloudWatch Logs' own.
	LogEncryptionKey awskms.IKey `json:"-"`
}

// MountOptions describe a volume in the container.
type MountOptions struct {
	// Volume to mount. Docker's volumes and folders of the host outlive a task, and
	// so hand what one job leaves to the next. Required.
	Volume *awsecs.Volume
	// Path in the container at which it appears. Required.
	Path string
	// ReadOnly keeps jobs from writing to it.
	//
	// Default: false.
	ReadOnly bool
}

// WithDefaults returns a copy with the defaults filled in but CPU and MemoryMiB,
// which depend on the capacity, see Fit.
func (p RunnerFleetProps) WithDefaults() RunnerFleetProps {
	p.Labels = slices.Clone(p.Labels)
	p.NetworkMode = cmp.Or(p.NetworkMode, awsecs.NetworkMode_BRIDGE)
	p.TmpfsMiB = maps.Clone(p.TmpfsMiB)
	p.IdleTimeout = cmp.Or(p.IdleTimeout, runnercontract.DefaultIdleTimeout)
	p.Lifetime = cmp.Or(p.Lifetime, runnercontract.DefaultLifetime)
	p.StartTimeout = cmp.Or(p.StartTimeout, runnercontract.DefaultStartTimeout)
	p.StopTimeout = cmp.Or(p.StopTimeout, runnercontract.DefaultStopTimeout)
	p.Environment = maps.Clone(p.Environment)
	p.ContainerName = cmp.Or(p.ContainerName, "runner")
	p.LogRetentionDays = cmp.Or(p.LogRetentionDays, 30)
	return p
}

var (
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
	taskFamily    = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9_-]{1,%d}$`, maxFamily))
	containerName = taskFamily
	logGroup      = regexp.MustCompile(`^[A-Za-z0-9._/#-]{1,512}$`)
	variableName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// maxFamily is the most characters that the family of a task definition may have.
const maxFamily = 255

// https://docs.github.com/en/actions/hosting-your-own-runners/managing-self-hosted-runners/managing-access-to-self-hosted-runners-using-groups
const maxRunnerGroupName = 128

// Validate returns an error that names every value that cannot work, or nil. What depends on the capacity is left to Fit,
// and whether Image and Registration are given to NewRunnerFleet.
func (p RunnerFleetProps) Validate() error {
	p = p.WithDefaults()
	var l problem.List
	l.Choices(p)
	l.Secrets(p)
	if p.Name == "" {
		l.Required("Name", "part of the names of the fleet's runners")
	} else if !labels.IsFleetName(p.Name) {
		l.Invalid("Name", p.Name, "at most 24 lower-case letters, digits and single hyphens, beginning with a letter")
	}
	if err := labels.Validate(p.Labels); err != nil {
		l.Invalid("Labels", p.Labels, "one to 100 labels of letters, digits and . _ -, at most 4000 characters together: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if id, err := strconv.ParseInt(p.RunnerGroup, 10, 64); len(p.RunnerGroup) > maxRunnerGroupName || err == nil && id <= 0 || p.RunnerGroup != strings.TrimSpace(p.RunnerGroup) {
		l.Invalid("RunnerGroup", p.RunnerGroup, "the name of a runner group, or its id from 1")
	}
	if p.CPU < 0 || p.CPU != 0 && p.CPU < 128 { // ECS refuses less
		l.Invalid("CPU", p.CPU, "at least 128 CPU units, of which a vCPU has 1024, or left out for a whole instance")
	}
	if p.MemoryMiB < 0 || p.MemoryMiB != 0 && p.MemoryMiB < minMemoryMiB {
		l.Invalid("MemoryMiB", p.MemoryMiB, "at least 512 MiB, below which actions/runner does not work, or left out for a whole instance")
	}
	for _, folder := range slices.Sorted(maps.Keys(p.TmpfsMiB)) {
		field := fmt.Sprintf("TmpfsMiB[%q]", folder)
		if !path.IsAbs(folder) || path.Clean(folder) != folder || folder == "/" {
			l.Refused(field, `must be an absolute path such as "/home/runner/_work"`)
		}
		problem.Range(&l, field, p.TmpfsMiB[folder], 1, maxMemoryMiB)
		if folder == "/dev/shm" && p.ShmSizeMiB != 0 {
			l.Conflict(field, "ShmSizeMiB", "both are the size of /dev/shm")
		}
	}
	if p.ShmSizeMiB != 0 {
		problem.Range(&l, "ShmSizeMiB", p.ShmSizeMiB, 64, maxMemoryMiB)
	}
	p.validateTimes(&l)
	p.validateFolders(&l)
	for _, name := range slices.Sorted(maps.Keys(p.Environment)) {
		validateVariable(&l, "Environment", name)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Secrets)) {
		validateVariable(&l, "Secrets", name)
		if _, twice := p.Environment[name]; twice {
			l.Conflict(fmt.Sprintf("Secrets[%q]", name), "Environment", "the variable is in both")
		}
	}
	for i, mount := range p.Mounts {
		if mount.Volume == nil || mount.Volume.Name == nil || !strings.HasPrefix(mount.Path, "/") {
			l.Refused(fmt.Sprintf("Mounts[%d]", i), "needs a named {Volume} and an absolute {Path}")
		}
	}
	if problem.Unresolved(p.Family) {
		l.Refused("Family", "must be literal text, not a token: rules and policies are written for the family")
	}
	l.Match("Family", p.Family, taskFamily, "at most 255 letters, digits, - and _")
	l.Match("ContainerName", p.ContainerName, containerName, "at most 255 letters, digits, - and _")
	l.Match("TaskRoleName", p.TaskRoleName, iamName, iamNameRule)
	l.Match("ExecutionRoleName", p.ExecutionRoleName, iamName, iamNameRule)
	l.Match("LogGroupName", p.LogGroupName, logGroup, "at most 512 letters, digits and . _ / # -")
	validateLogRetention(&l, p.LogRetentionDays)
	return l.Err()
}

func (p RunnerFleetProps) validateTimes(l *problem.List) {
	within := func(path string, got, low, high time.Duration, why string) {
		if got < low || got > high || got%time.Second != 0 {
			l.Invalid(path, got, fmt.Sprintf("%s to %s in whole seconds%s", problem.Duration(low), problem.Duration(high), why))
		}
	}
	within("IdleTimeout", p.IdleTimeout, 30*time.Second, 24*time.Hour, ", after which GitHub cancels jobs")
	within("Lifetime", p.Lifetime, 10*time.Minute, maxLifetime, ": GitHub ends a job after five days")
	within("StartTimeout", p.StartTimeout, 30*time.Second, time.Hour, "")
	within("StopTimeout", p.StopTimeout, runnercontract.StopReserve+10*time.Second, maxLifetime, ", of which the last "+problem.Duration(runnercontract.StopReserve)+" are for cancelling a job")
	if p.StopTimeout > p.Lifetime && p.StopTimeout <= maxLifetime {
		l.Invalid("StopTimeout", p.StopTimeout, fmt.Sprintf("at most {Lifetime} (%s), after which no job runs", problem.Duration(p.Lifetime)))
	}
}

// maxLifetime is longer than the five days after which GitHub ends a job.
const maxLifetime = 6 * 24 * time.Hour

// longest is how long a task lives at most, see package lifecycle of the supervisor.
func (p RunnerFleetProps) longest() time.Duration { return p.StartTimeout + p.IdleTimeout + p.Lifetime }

// validateFolders checks what covers folders of the image.
func (p RunnerFleetProps) validateFolders(l *problem.List) {
	needed := []string{runnercontract.Root, runnercontract.SupervisorRoot, runnercontract.HooksRoot, "/usr/bin"}
	covers := func(folder string) (string, bool) {
		for _, need := range needed {
			if folder == need || strings.HasPrefix(need, strings.TrimSuffix(folder, "/")+"/") {
				return need, true
			}
		}
		return "", false
	}
	for _, folder := range slices.Sorted(maps.Keys(p.TmpfsMiB)) {
		field := fmt.Sprintf("TmpfsMiB[%q]", folder)
		if need, covered := covers(folder); covered {
			l.Refused(field, "would hide "+need+" of the image, without which no runner starts")
		}
	}
	for i, mount := range p.Mounts {
		field := fmt.Sprintf("Mounts[%d]", i)
		if need, covered := covers(path.Clean(mount.Path)); covered {
			l.Refused(field, "would hide "+need+" of the image, without which no runner starts")
		}
		if _, twice := p.TmpfsMiB[path.Clean(mount.Path)]; twice {
			l.Conflict(field, "TmpfsMiB", "both are at "+mount.Path)
		}
	}
}

// warningsIn name what works in a placement but is probably not meant. They expect
// Validate and Fit to have found nothing.
func (p RunnerFleetProps) warningsIn(place Placement) []warning {
	var ws []warning
	if place.Capacity.Spot != nil && p.StopTimeout > spotNotice {
		ws = append(ws, warning{"ecsrunners:stopTimeoutOnSpot", fmt.Sprintf("StopTimeout is %s on a capacity with Spot: an interruption leaves a job %s, and GitHub shows one that is still running then as lost, not as cancelled; use %[2]s unless tasks are stopped by hand", problem.Duration(p.StopTimeout), problem.Duration(spotNotice))})
	}
	return ws
}

// spotNotice is the notice that AWS gives before it takes a Spot instance.
const spotNotice = 2 * time.Minute

// maxMemoryMiB is the memory of the largest instances of EC2, 32 TiB.
const maxMemoryMiB = 32 << 20

// runnerInputPrefix begins the variables that actions/runner takes for arguments.
const runnerInputPrefix = "ACTIONS_RUNNER_INPUT_"

// validateVariable checks the name of a variable that a customer adds to the
// container.
func validateVariable(l *problem.List, field, name string) {
	path := fmt.Sprintf("%s[%q]", field, name)
	switch {
	case strings.HasPrefix(name, runnercontract.EnvPrefix):
		l.Refused(path, "must not begin with "+runnercontract.EnvPrefix+": those variables configure the supervisor")
	case strings.HasPrefix(name, runnerInputPrefix):
		l.Refused(path, "must not begin with "+runnerInputPrefix+": the supervisor sets those arguments of actions/runner")
	case !variableName.MatchString(name):
		l.Refused(path, "must be letters, digits and _, beginning with a letter or _")
	}
}

// minMemoryMiB is the memory below which actions/runner does not work.
const minMemoryMiB = 512

// Placement is where the tasks of a fleet run, as far as it limits the fleet.
type Placement struct {
	// Capacity on whose instances the tasks run.
	Capacity RunnerCapacityProps
	// PublicSubnets says that the instances are in public subnets.
	PublicSubnets bool
	// Scope in which the runners are registered.
	Scope RunnerScope
}

// Fit returns the props with CPU and MemoryMiB filled in for a capacity, and an error
// that names what does not fit there: ECS would never start such a task, and say
// nothing.
func (p RunnerFleetProps) Fit(place Placement) (RunnerFleetProps, error) {
	var l problem.List
	c := place.Capacity.WithDefaults()
	if p.Privileged && !c.Agent.Privileged {
		l.Refused("Privileged", "needs {Agent.Privileged} of the capacity: the agent refuses the container otherwise")
	}
	if p.NetworkMode == awsecs.NetworkMode_AWS_VPC && place.PublicSubnets {
		l.Refused("NetworkMode", "must be bridge in public subnets: tasks in awsvpc mode on EC2 get no public address, and so cannot reach GitHub")
	}
	if p.RunnerGroup != "" && place.Scope.scope.Kind == registrationcontract.ScopeRepository {
		l.Refused("RunnerGroup", "must be left out: a repository has no runner groups")
	}
	whole := c.oneJobPerInstance()
	p.CPU = cmp.Or(p.CPU, whole.cpu)
	p.MemoryMiB = cmp.Or(p.MemoryMiB, whole.memoryMiB)
	if inMemory := p.ShmSizeMiB + sum(maps.Values(p.TmpfsMiB)); inMemory > 0 && p.MemoryMiB-inMemory < minMemoryMiB {
		l.Refused("TmpfsMiB", fmt.Sprintf("and {ShmSizeMiB} must leave %d MiB of {MemoryMiB} (%d), because they count as the task's memory, got %d MiB", minMemoryMiB, p.MemoryMiB, inMemory))
	}
	if age := c.MaxInstanceLifetime; age > 0 && !*c.ManagedTerminationProtection && age < p.longest() {
		l.Invalid("Lifetime", p.Lifetime, fmt.Sprintf("such that with {StartTimeout} and {IdleTimeout} it is at most {MaxInstanceLifetime} (%s) of the capacity, which has no {ManagedTerminationProtection}: its instances are replaced with their jobs", problem.Duration(age)))
	}
	instanceType, size, known := c.smallest()
	if !known {
		return p, l.Err()
	}
	room := c.room(size)
	if p.MemoryMiB > room.memoryMiB {
		l.Invalid("MemoryMiB", p.MemoryMiB, fmt.Sprintf("at most %d, or the task never starts: %s, the smallest instance type of the capacity, has %d MiB; it registers about %d x %g = %d with ECS, of which %d are reserved",
			room.memoryMiB, instanceType, size.MemoryMiB, size.MemoryMiB, registeredShare, room.memoryMiB+*c.Agent.ReservedMemoryMiB, *c.Agent.ReservedMemoryMiB))
	}
	if p.CPU > room.cpu {
		l.Invalid("CPU", p.CPU, fmt.Sprintf("at most %d, or the task never starts: %s, the smallest instance type of the capacity, has %d vCPU of 1024 units", room.cpu, instanceType, size.VCPU))
	}
	return p, l.Err()
}

func sum(numbers iter.Seq[int]) (total int) {
	for n := range numbers {
		total += n
	}
	return total
}

// registeredShare is the part of an instance's nominal memory that it registers
// with ECS at least: the kernel and the firmware keep the rest.
const registeredShare = 0.93

// taskSize is what a task may take of an instance.
type taskSize struct {
	cpu       int // units, of which a vCPU has 1024
	memoryMiB int
}

// defaultTaskSize is that of instances whose size is not known: it fits the
// default instance types.
var defaultTaskSize = taskSize{cpu: 2048, memoryMiB: 7168}

// smallest returns the smallest instance type whose size is known, by memory first,
// and false if none is. Managed scaling counts with it.
func (p RunnerCapacityProps) smallest() (instanceType string, size instancetype.Size, known bool) {
	for _, t := range p.InstanceTypes {
		s, ok := instancetype.SizeOf(t)
		if ok && (!known || s.MemoryMiB < size.MemoryMiB || s.MemoryMiB == size.MemoryMiB && s.VCPU < size.VCPU) {
			instanceType, size, known = t, s, true
		}
	}
	return instanceType, size, known
}

// room is what tasks have on an instance of a size: its memory as registered, less
// what is kept for the agent, docker and the system.
func (p RunnerCapacityProps) room(size instancetype.Size) taskSize {
	return taskSize{
		cpu:       size.VCPU * 1024,
		memoryMiB: int(math.Floor(float64(size.MemoryMiB)*registeredShare)) - *p.Agent.ReservedMemoryMiB,
	}
}

// oneJobPerInstance is the size of a task that fills the smallest instance type of
// the capacity, its memory rounded down to 256 MiB.
func (p RunnerCapacityProps) oneJobPerInstance() taskSize {
	_, size, known := p.smallest()
	if !known {
		return defaultTaskSize
	}
	room := p.room(size)
	room.memoryMiB -= room.memoryMiB % 256
	return room
}
