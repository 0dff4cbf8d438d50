package constructs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// RunnerFleetProps are the settings of a [RunnerFleet]. Registration, Image and
// Labels are required.
type RunnerFleetProps struct {
	// Registration that gives the fleet's tasks their runners. Required.
	Registration *RunnerRegistration

	// Image in which jobs run. Required.
	Image RunnerImage

	// Labels of the runners, in GitHub's words the ones a job names in runs-on. A
	// job goes to the fleet when all labels it names are among them, compared
	// without case. Letters, digits and . _ -; at most 100 and 4,000 characters
	// together. GitHub adds none: "self-hosted" is a label as any other. Required.
	Labels []string

	// Name of the fleet, part of the names of its runners: at most 24 lower-case
	// letters, digits and single hyphens, beginning with a letter.
	//
	// Default: the construct's id in lower case.
	Name string

	// RunnerGroup at GitHub to which the runners belong: its name, or its id as a
	// number. It decides which repositories may use them. A repository has none.
	//
	// Default: the default group, with the id 1.
	RunnerGroup string

	// Capacity on which the tasks run. It must be one of the registration's cluster.
	//
	// Default: the cluster's default capacity.
	Capacity *RunnerCapacity

	// CPU units of a task, of which a vCPU has 1024.
	//
	// Default: all of the capacity's smallest instance type; 2048 if that is not
	// known to this library.
	CPU int

	// MemoryMiB is the memory of a task. A job that takes more is killed. A task that
	// fits no instance never starts, which is refused here: an instance registers
	// about 93 percent of its memory with ECS, less the agent's reservation.
	//
	// Default: all of the capacity's smallest instance type, in steps of 256: one
	// job an instance, because ECS on EC2 is no boundary between tasks; 7168 if that
	// is not known to this library.
	MemoryMiB int

	// OneJobPerInstance keeps ECS from placing two tasks of the fleet on one
	// instance, where they would fit.
	//
	// Default: false. The default size has that effect.
	OneJobPerInstance bool

	// Privileged gives jobs every capability of the host, for docker in the
	// container: they own the host then, and the credentials of every task on it.
	// The capacity must allow it with Agent.Privileged.
	//
	// Default: false.
	Privileged bool

	// NetworkMode of the tasks: BRIDGE or AWS_VPC. With AWS_VPC each task has a
	// network interface of its own, of which an instance has few, and no public
	// address: it takes private subnets with a way out.
	//
	// Default: BRIDGE.
	NetworkMode awsecs.NetworkMode

	// TmpfsMiB are folders of the container that are kept in memory, by path, with
	// their sizes in MiB. They count as the task's memory.
	//
	// Default: none.
	TmpfsMiB map[string]int

	// Mounts are further volumes of the container.
	//
	// Default: none.
	Mounts []Mount

	// Ulimits of the container, instead of the default's.
	//
	// Default: 65536 open files.
	Ulimits []*awsecs.Ulimit

	// IdleTimeout is how long a runner waits for a job before it ends, 30 seconds to
	// 24 hours.
	//
	// Default: 5 minutes.
	IdleTimeout awscdk.Duration

	// Lifetime is how long a task lives, 10 minutes to 6 days. It ends jobs: one
	// that is still running then is cancelled.
	//
	// Default: 6 hours 30 minutes, more than GitHub gives a job by default.
	Lifetime awscdk.Duration

	// StartTimeout is how long actions/runner may take until it listens for jobs,
	// 30 seconds to an hour.
	//
	// Default: 5 minutes.
	StartTimeout awscdk.Duration

	// StopTimeout is how long a job may go on when its task is stopped, 20 seconds
	// to 6 days; in the last 10 seconds it is cancelled. ECS stops no task by
	// itself, but people do, and Spot interruptions, which give two minutes.
	//
	// Default: 2 minutes.
	StopTimeout awscdk.Duration

	// Environment are variables that jobs see. Templates and the ECS console show
	// them.
	//
	// Default: none.
	Environment map[string]string

	// Secrets are variables that jobs see, with values from Secrets Manager or
	// Parameter Store. Every job of every repository that may use the fleet can read
	// and keep them: prefer GitHub's own secrets, or a role by OpenID Connect.
	//
	// Default: none.
	Secrets map[string]awsecs.Secret

	// Family is the family of the task definition. It must be literal: rules and
	// policies name the family, never a revision.
	//
	// Default: derived from the path of the construct.
	Family string

	// ContainerName is the name of the container.
	//
	// Default: runner.
	ContainerName string

	// TaskRoleName and ExecutionRoleName are physical names of roles.
	//
	// Default: named by CloudFormation.
	TaskRoleName      string
	ExecutionRoleName string

	// LogGroupName is the physical name of the log group with the runners' logs.
	//
	// Default: named by CloudFormation.
	LogGroupName string

	// LogRetentionDays of the log group, one of the values of CloudWatch Logs. The
	// log group stays when the stack is deleted.
	//
	// Default: 30.
	LogRetentionDays int

	// LogEncryptionKey encrypts the log group. The key's policy must let CloudWatch
	// Logs use it.
	//
	// Default: a key of CloudWatch Logs' own.
	LogEncryptionKey awskms.IKey
}

// Mount is a volume in the container.
type Mount struct {
	// Volume to mount. Docker's volumes and folders of the host outlive a task, and
	// so hand what one job leaves to the next.
	Volume *awsecs.Volume
	// Path in the container at which it appears.
	Path string
	// ReadOnly keeps jobs from writing to it.
	//
	// Default: false.
	ReadOnly bool
}

// settings are the props without their references to other resources, with
// defaults, and what is wrong with either.
func (p *RunnerFleetProps) settings(id string) (settings.Fleet, *RunnerCapacity, settings.Problems) {
	s := settings.Fleet{
		Name:              p.Name,
		Labels:            p.Labels,
		RunnerGroup:       p.RunnerGroup,
		CPU:               p.CPU,
		MemoryMiB:         p.MemoryMiB,
		OneJobPerInstance: p.OneJobPerInstance,
		Privileged:        p.Privileged,
		NetworkMode:       networkMode(p.NetworkMode),
		TmpfsMiB:          p.TmpfsMiB,
		IdleTimeout:       duration(p.IdleTimeout),
		Lifetime:          duration(p.Lifetime),
		StartTimeout:      duration(p.StartTimeout),
		StopTimeout:       duration(p.StopTimeout),
		Environment:       p.Environment,
		Family:            p.Family,
		ContainerName:     p.ContainerName,
		TaskRoleName:      p.TaskRoleName,
		ExecutionRoleName: p.ExecutionRoleName,
		LogGroupName:      p.LogGroupName,
		LogRetentionDays:  p.LogRetentionDays,
	}
	if s.Name == "" {
		s.Name = strings.ToLower(id)
	}
	s = s.WithDefaults()
	problems := s.Validate()
	if unresolved(p.Family) {
		problems.Add("Family", settings.Words("a token"), "literal text: rules and policies are written for the family")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Secrets)) {
		settings.ValidateVariable(&problems, "Secrets", name)
		if _, twice := p.Environment[name]; twice {
			problems.Add(fmt.Sprintf("Secrets[%q]", name), settings.Words("a variable of Environment too"), "each variable once")
		}
	}
	for i, mount := range p.Mounts {
		if mount.Volume == nil || mount.Volume.Name == nil || !strings.HasPrefix(mount.Path, "/") {
			problems.Add(fmt.Sprintf("Mounts[%d]", i), settings.Words("a mount without a named Volume or an absolute Path"), "both")
		}
	}
	if p.Image == nil {
		problems.Add("Image", settings.Words("none"), "the image in which jobs run, such as RunnerImagePipeline.Image()")
	}
	if p.Registration == nil {
		problems.Add("Registration", settings.Words("none"), "the registration that gives the tasks their runners")
		return s, nil, problems
	}
	capacity := p.Capacity
	if capacity == nil {
		capacity = p.Registration.cluster.DefaultCapacity()
	}
	s, misfits := s.Fit(settings.Surroundings{
		Capacity:      capacity.settings,
		PublicSubnets: *capacity.cluster.subnets.HasPublic,
		Scope:         p.Registration.settings.Scope(),
	})
	problems = append(problems, misfits...)
	if capacity.cluster != p.Registration.cluster {
		problems.Add("Capacity", *capacity.Node().Path(), "a capacity of "+*p.Registration.cluster.Node().Path()+", the cluster of Registration")
	}
	if p.Image != nil && !p.Image.supports(capacity.Architecture()) {
		problems.Add("Image", settings.Words("an image without "+string(capacity.Architecture())), "an image for the architecture of the capacity: add it to Architectures of the RunnerImagePipeline")
	}
	return s, capacity, problems
}

// networkMode is the CDK's value in ECS's words, which also the configuration
// takes.
func networkMode(mode awsecs.NetworkMode) string {
	if mode == awsecs.NetworkMode_AWS_VPC {
		return settings.NetworkAwsVPC
	}
	return strings.ToLower(string(mode))
}
