package constructs

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"

	"github.com/ecs-github-runners/ecsrunners/internal/awsname"
	"github.com/ecs-github-runners/ecsrunners/internal/instancetype"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// RunnerCapacityProps are the settings of a [RunnerCapacity]. All are optional.
type RunnerCapacityProps struct {
	// Architecture is the processor architecture of the instances.
	//
	// Default: X64.
	Architecture Architecture `json:"architecture" enum:"x64,arm64"`

	// InstanceTypes are the types of instances that may be started, best first.
	// Several keep jobs running when AWS is short of one; they should have the same
	// vCPU and memory, because managed scaling counts with the smallest (a warning
	// tells).
	//
	// Default: m7i-flex.large, m7i.large, m6i.large; with ARM64 m8g.large,
	// m7g.large, m6g.large. All have 2 vCPU and 8 GiB.
	InstanceTypes []string `json:"instanceTypes"`

	// MinInstances is the number of instances that run even when no job does, 0 to
	// MaxInstances.
	//
	// Default: 0.
	MinInstances int `json:"minInstances"`

	// MaxInstances is the largest number of instances that run at the same time, 1
	// to 5000.
	//
	// Default: 10.
	MaxInstances int `json:"maxInstances"`

	// Spot buys instances on the Spot market. AWS can take a Spot instance away at
	// two minutes' notice, and the job on it is lost.
	//
	// Default: On-Demand instances only.
	Spot *SpotOptions `json:"spot"`

	// ImageID is the image of the instances: an AMI, or "resolve:ssm:" and the name
	// of a Systems Manager parameter that EC2 reads at each launch. The image needs
	// what user data relies on: bash, systemd, docker.service, iptables, and the ECS
	// agent as ecs.service. Not allowed with MachineImage.
	//
	// Default: AWS's parameter for the recommended ECS-optimized Amazon Linux 2023.
	// A capacity that starts from zero thus gets fixes without a deployment.
	ImageID string `json:"imageId"`

	// MachineImage is the image of the instances as the CDK knows it. Not allowed
	// with ImageID. The CDK usually reads it at deployment, so instances get fixes
	// only by deploying again.
	//
	// Default: ImageID.
	MachineImage awsec2.IMachineImage `json:"-"`

	// RootDeviceName is the name of the image's root device.
	//
	// Default: /dev/xvda, right for Amazon Linux.
	RootDeviceName string `json:"rootDeviceName"`

	// RootVolumeSizeGiB is the size of the encrypted gp3 root volume, which holds
	// images, containers and workspaces, 30 to 16384 GiB.
	//
	// Default: 50.
	RootVolumeSizeGiB int `json:"rootVolumeSizeGiB"`

	// RootVolumeThroughput is the throughput of the root volume in MiB/s, 125 to 750
	// (what 3000 IOPS allow). More than 125 costs extra.
	//
	// Default: 125.
	RootVolumeThroughput int `json:"rootVolumeThroughput"`

	// AssociatePublicIPAddress gives each instance a public address, set in the
	// launch template whatever the subnet's own setting is.
	//
	// Default: true in public subnets, else false.
	AssociatePublicIPAddress *bool `json:"associatePublicIpAddress"`

	// MaxInstanceLifetime is the age after which EC2 Auto Scaling replaces an instance, 1 to
	// 365 days. It bounds the age of the AMI where MinInstances keeps instances up.
	// Managed termination protection puts the replacement off until the instance is
	// empty; without it a replaced instance takes its job along.
	//
	// Default: none; instances leave when they are empty.
	MaxInstanceLifetime time.Duration `json:"maxInstanceLifetime"`

	// UpdatePolicy replaces running instances when a deployment changes the launch
	// template, with their jobs.
	//
	// Default: none; new settings reach new instances.
	UpdatePolicy awsautoscaling.UpdatePolicy `json:"-"`

	// WarmPool keeps instances that have booted once, stopped or running, to start
	// faster. It needs a single instance type and no Spot.
	//
	// Default: none.
	WarmPool *WarmPoolOptions `json:"warmPool"`

	// ManagedScaling lets ECS set the number of instances. Without it tasks start
	// only on instances that something else keeps up.
	//
	// Default: true.
	ManagedScaling *bool `json:"managedScaling"`

	// TargetCapacityPercent is the share of the instances that ECS tries to keep
	// busy, 1 to 100. Below 100 it keeps whole idle instances, at no load too.
	//
	// Default: 100.
	TargetCapacityPercent int `json:"targetCapacityPercent"`

	// MinimumScalingStepSize is the least number of instances that ECS starts at
	// once, 1 to 10000.
	//
	// Default: 1.
	MinimumScalingStepSize int `json:"minimumScalingStepSize"`

	// MaximumScalingStepSize is the greatest number of instances that ECS starts
	// at once, MinimumScalingStepSize to 10000.
	//
	// Default: MaxInstances.
	MaximumScalingStepSize int `json:"maximumScalingStepSize"`

	// InstanceWarmupPeriod is the time during which ECS starts no further instances, 0 to
	// 10000 seconds. It must cover the time from launch to registration.
	//
	// Default: 2 minutes.
	InstanceWarmupPeriod *time.Duration `json:"instanceWarmupPeriod"`

	// ManagedTerminationProtection keeps instances with a running task from being
	// scaled in. It needs ManagedScaling. A stack whose instances are protected
	// cannot be deleted until they are gone.
	//
	// Default: true; false when ManagedScaling is false.
	ManagedTerminationProtection *bool `json:"managedTerminationProtection"`

	// ManagedDraining sets instances that are about to be terminated to DRAINING,
	// so that no further task is placed on them. Tasks on them run on.
	//
	// Default: true.
	ManagedDraining *bool `json:"managedDraining"`

	// Weight is the weight in the cluster's default capacity provider strategy, 0 to
	// 1000: the capacity's share of the tasks that ask for no capacity. With weight
	// 0 and base 0 a capacity is used only by tasks whose strategy names it.
	//
	// Default: 1 for the default capacity and for one with a base, 0 for others.
	Weight *int `json:"weight"`

	// Base is the number of tasks that the default strategy places here before
	// weights count, 0 to 100000. One capacity of a cluster can have it.
	//
	// Default: 0.
	Base int `json:"base"`

	// Agent configures the ECS agent.
	//
	// Default: the defaults of AgentOptions.
	Agent *AgentOptions `json:"agent"`

	// CapacityProviderName is the physical name of the capacity provider. It must
	// not begin with aws, ecs or fargate in any case. A named provider cannot be
	// replaced by CloudFormation.
	//
	// Default: named by CloudFormation after the stack, whose name must therefore
	// not begin so either.
	CapacityProviderName string `json:"capacityProviderName"`

	// AutoScalingGroupName is the physical name of the Auto Scaling group.
	//
	// Default: named by CloudFormation.
	AutoScalingGroupName string `json:"autoScalingGroupName"`

	// LaunchTemplateName is the physical name of the launch template.
	//
	// Default: named by CloudFormation.
	LaunchTemplateName string `json:"launchTemplateName"`
}

// Architecture is a processor architecture, in GitHub's terms.
type Architecture string

// The architectures for which GitHub releases Linux runners and AWS publishes
// ECS-optimized images.
const (
	X64   Architecture = "x64"
	ARM64 Architecture = "arm64"
)

// SpotOptions say how much of a capacity is bought on the Spot market. Its zero value
// means everything.
type SpotOptions struct {
	// OnDemandBase is the number of instances bought On-Demand before any on the
	// Spot market, 0 to MaxInstances.
	//
	// Default: 0.
	OnDemandBase int `json:"onDemandBase"`

	// OnDemandPercentage is the share of the instances above OnDemandBase that are bought
	// On-Demand, 0 to 100.
	//
	// Default: 0.
	OnDemandPercentage int `json:"onDemandPercentage"`

	// AllocationStrategy is the strategy by which AWS chooses among the instance
	// types.
	//
	// Default: price-capacity-optimized.
	AllocationStrategy awsautoscaling.SpotAllocationStrategy `json:"allocationStrategy" enum:"price-capacity-optimized,capacity-optimized,capacity-optimized-prioritized,lowest-price"`
}

// WarmPoolOptions describe a pool of instances that have booted once, so that they
// start faster. They are charged for: their volumes when stopped, everything when running.
type WarmPoolOptions struct {
	// MinSize is the least number of instances in the pool.
	//
	// Default: 0.
	MinSize int `json:"minSize"`

	// MaxPreparedCapacity bounds the instances in the pool and in the group
	// together, MinSize to MaxInstances.
	//
	// Default: MaxInstances.
	MaxPreparedCapacity *int `json:"maxPreparedCapacity"`

	// State is the state in which the instances wait: stopped or running.
	// Hibernation takes an image that is made for it, which the ECS-optimized ones
	// are not.
	//
	// Default: stopped.
	State awsautoscaling.PoolState `json:"state" enum:"stopped,running"`
}

// AgentOptions configure the ECS agent of the instances.
type AgentOptions struct {
	// ReservedMemoryMiB is the memory that is kept from tasks, for the agent, docker and the system.
	//
	// Default: 256.
	ReservedMemoryMiB *int `json:"reservedMemoryMiB"`

	// TaskCleanupWait is how long the agent keeps the containers of a stopped task,
	// at least a minute. They hold disk space that the next task may need.
	//
	// Default: 1 minute.
	TaskCleanupWait time.Duration `json:"taskCleanupWait"`

	// ImagePullBehavior is one of default (pull, and use a cached image when that
	// fails), always, once, prefer-cached.
	//
	// Default: default.
	ImagePullBehavior string `json:"imagePullBehavior" enum:"default,always,once,prefer-cached"`

	// Privileged lets containers be privileged. One that is can take over the host
	// and the credentials of every task on it: only for one job an instance.
	//
	// Default: false; the agent refuses to start privileged containers.
	Privileged bool `json:"privileged"`

	// Extra are further variables of the agent, by name. Those that this library
	// writes itself are refused.
	//
	// See https://github.com/aws/amazon-ecs-agent#environment-variables.
	//
	// Default: none.
	Extra map[string]string `json:"extra"`
}

// ECS-optimized Amazon Linux 2023 by AWS's public parameters, which EC2 reads at
// each launch.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html
var ecsOptimizedImages = map[Architecture]string{
	X64:   "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
	ARM64: "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id",
}

// Types of one size, several so that a shortage of one does not stop jobs.
var defaultInstanceTypes = map[Architecture][]string{
	X64:   {"m7i-flex.large", "m7i.large", "m6i.large"},
	ARM64: {"m8g.large", "m7g.large", "m6g.large"},
}

// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ManagedScaling.html
const maxScalingStep = 10000

// WithDefaults returns a copy with the defaults filled in, which shares no memory
// with the original. Values that are wrong stay, for Validate to name.
func (p RunnerCapacityProps) WithDefaults() RunnerCapacityProps {
	p.Architecture = cmp.Or(p.Architecture, X64)
	if p.InstanceTypes == nil {
		p.InstanceTypes = defaultInstanceTypes[p.Architecture]
	}
	p.InstanceTypes = slices.Clone(p.InstanceTypes)
	p.MaxInstances = cmp.Or(p.MaxInstances, 10)
	if p.Spot != nil {
		spot := *p.Spot
		spot.AllocationStrategy = cmp.Or(spot.AllocationStrategy, awsautoscaling.SpotAllocationStrategy_PRICE_CAPACITY_OPTIMIZED)
		p.Spot = &spot
	}
	if p.MachineImage == nil {
		p.ImageID = cmp.Or(p.ImageID, ecsOptimizedImages[p.Architecture])
	}
	p.RootDeviceName = cmp.Or(p.RootDeviceName, "/dev/xvda")
	p.RootVolumeSizeGiB = cmp.Or(p.RootVolumeSizeGiB, 50)
	p.RootVolumeThroughput = cmp.Or(p.RootVolumeThroughput, 125)
	p.AssociatePublicIPAddress = clone(p.AssociatePublicIPAddress)
	if p.WarmPool != nil {
		pool := *p.WarmPool
		pool.State = cmp.Or(pool.State, awsautoscaling.PoolState_STOPPED)
		pool.MaxPreparedCapacity = clone(pool.MaxPreparedCapacity)
		p.WarmPool = &pool
	}
	p.ManagedScaling = orDefault(p.ManagedScaling, true)
	p.TargetCapacityPercent = cmp.Or(p.TargetCapacityPercent, 100)
	p.MinimumScalingStepSize = cmp.Or(p.MinimumScalingStepSize, 1)
	p.MaximumScalingStepSize = cmp.Or(p.MaximumScalingStepSize, min(max(p.MaxInstances, p.MinimumScalingStepSize), maxScalingStep))
	p.InstanceWarmupPeriod = orDefault(p.InstanceWarmupPeriod, 2*time.Minute)
	p.ManagedTerminationProtection = orDefault(p.ManagedTerminationProtection, *p.ManagedScaling)
	p.ManagedDraining = orDefault(p.ManagedDraining, true)
	p.Weight = orDefault(p.Weight, min(max(p.Base, 0), 1))
	agent := AgentOptions{}
	if p.Agent != nil {
		agent = *p.Agent
	}
	agent.ReservedMemoryMiB = orDefault(agent.ReservedMemoryMiB, 256)
	agent.TaskCleanupWait = cmp.Or(agent.TaskCleanupWait, time.Minute)
	agent.ImagePullBehavior = cmp.Or(agent.ImagePullBehavior, "default")
	agent.Extra = maps.Clone(agent.Extra)
	p.Agent = &agent
	return p
}

var (
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html
	capacityProviderName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	autoScalingGroupName = regexp.MustCompile(`^[^:]{1,255}$`)
	launchTemplateName   = regexp.MustCompile(`^[A-Za-z0-9()./_-]{3,128}$`)
	imageID              = regexp.MustCompile(`^(ami-[0-9a-f]{8,17}|resolve:ssm:[A-Za-z0-9_.:/-]+)$`)
	deviceName           = regexp.MustCompile(`^/dev/[a-z0-9]+$`)
	agentVariable        = regexp.MustCompile(`^(ECS|AWS|HTTPS?|NO)_[A-Z0-9_]+$`)
)

// Agent variables that this library writes itself: by a field of Agent, from
// the capacity's other settings, or because a host that does without them no
// longer keeps jobs from each other's credentials.
var ownAgentVariables = map[string]string{
	"ECS_CLUSTER":                                "the capacity's own cluster",
	"ECS_RESERVED_MEMORY":                        "use {ReservedMemoryMiB}",
	"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION":      "use {TaskCleanupWait}",
	"ECS_IMAGE_PULL_BEHAVIOR":                    "use {ImagePullBehavior}",
	"ECS_DISABLE_PRIVILEGED":                     "use {Privileged}",
	"ECS_ENABLE_SPOT_INSTANCE_DRAINING":          "written when {Spot} is set",
	"ECS_WARM_POOLS_CHECK":                       "written when {WarmPool} is set",
	"ECS_AWSVPC_BLOCK_IMDS":                      "part of the host hardening",
	"ECS_ENABLE_TASK_IAM_ROLE":                   "part of the host hardening",
	"ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST":      "part of the host hardening",
	"ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS":     "part of the host hardening",
	"ECS_SKIP_LOCALHOST_TRAFFIC_FILTER":          "part of the host hardening",
	"ECS_CONTAINER_INSTANCE_TAGS":                "the agent is not allowed to tag; use awscdk.Tags_Of",
	"ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM": "the agent is not allowed to tag; use awscdk.Tags_Of",
}

// Agent variables whose values are secrets, with what to do instead.
var secretAgentVariables = map[string]string{
	"AWS_ACCESS_KEY_ID":     "the agent has the instance role",
	"AWS_SECRET_ACCESS_KEY": "the agent has the instance role",
	"AWS_SESSION_TOKEN":     "the agent has the instance role",
	"ECS_ENGINE_AUTH_DATA":  "give containers repository credentials from AWS Secrets Manager",
}

// Validate returns an error that names every value that cannot work, or nil. Limits come from the API references of
// Amazon ECS and Amazon EC2 Auto Scaling.
func (p RunnerCapacityProps) Validate() error {
	p = p.WithDefaults()
	var l problem.List
	l.Choices(p)
	l.Secrets(p)
	problem.Range(&l, "MaxInstances", p.MaxInstances, 1, 5000)
	problem.Range(&l, "MinInstances", p.MinInstances, 0, max(p.MaxInstances, 0))
	p.validateInstanceTypes(&l)
	if p.Spot != nil {
		problem.Range(&l, "Spot.OnDemandBase", p.Spot.OnDemandBase, 0, max(p.MaxInstances, 0))
		problem.Range(&l, "Spot.OnDemandPercentage", p.Spot.OnDemandPercentage, 0, 100)
	}

	if p.ImageID != "" && p.MachineImage != nil {
		l.Conflict("ImageID", "MachineImage", "give the image of the instances once")
	}
	l.Match("ImageID", p.ImageID, imageID, `an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a parameter`)
	l.Match("RootDeviceName", p.RootDeviceName, deviceName, `a device such as "/dev/xvda"`)
	problem.Range(&l, "RootVolumeSizeGiB", p.RootVolumeSizeGiB, 30, 16384)
	problem.Range(&l, "RootVolumeThroughput", p.RootVolumeThroughput, 125, 750)
	if d := p.MaxInstanceLifetime; d != 0 && (d < 24*time.Hour || d > 365*24*time.Hour || d%time.Second != 0) {
		l.Invalid("MaxInstanceLifetime", d, "24h to 8760h (1 to 365 days), in whole seconds")
	}
	p.validateWarmPool(&l)

	problem.Range(&l, "TargetCapacityPercent", p.TargetCapacityPercent, 1, 100)
	problem.Range(&l, "MinimumScalingStepSize", p.MinimumScalingStepSize, 1, maxScalingStep)
	problem.Range(&l, "MaximumScalingStepSize", p.MaximumScalingStepSize, min(max(p.MinimumScalingStepSize, 1), maxScalingStep), maxScalingStep)
	if d := *p.InstanceWarmupPeriod; d < 0 || d > 10000*time.Second || d%time.Second != 0 {
		l.Invalid("InstanceWarmupPeriod", d, "0s to 10000s, in whole seconds")
	}
	if *p.ManagedTerminationProtection && !*p.ManagedScaling {
		l.Refused("ManagedTerminationProtection", "must be false when {ManagedScaling} is false: ECS protects only the instances that it scales")
	}
	problem.Range(&l, "Weight", *p.Weight, 0, 1000)
	problem.Range(&l, "Base", p.Base, 0, 100000)
	if p.Base > 0 && *p.Weight == 0 {
		l.Invalid("Base", p.Base, "0 while {Weight} is 0: ECS places no task on a capacity without a weight")
	}

	p.Agent.validate(&l)

	const provider = "at most 255 letters, digits, - and _, not beginning with aws, ecs or fargate in any case"
	l.Match("CapacityProviderName", p.CapacityProviderName, capacityProviderName, provider)
	if awsname.IsReserved(p.CapacityProviderName) {
		l.Invalid("CapacityProviderName", p.CapacityProviderName, provider)
	}
	l.Match("AutoScalingGroupName", p.AutoScalingGroupName, autoScalingGroupName, "at most 255 characters without a colon")
	l.Match("LaunchTemplateName", p.LaunchTemplateName, launchTemplateName, "3 to 128 letters, digits and ( ) . / _ -")
	return l.Err()
}

func (p RunnerCapacityProps) validateInstanceTypes(l *problem.List) {
	if p.InstanceTypes != nil && len(p.InstanceTypes) == 0 { // nil: there is no default for a wrong architecture
		l.Invalid("InstanceTypes", p.InstanceTypes, "at least one instance type, or left out for the default")
	}
	for i, t := range p.InstanceTypes {
		path := fmt.Sprintf("InstanceTypes[%d]", i)
		arch, ok := instancetype.ArchitectureOf(t)
		switch {
		case !ok:
			l.Invalid(path, t, `an instance type such as "m7i.large"`)
		case defaultInstanceTypes[p.Architecture] != nil && arch != string(p.Architecture):
			l.Invalid(path, t, fmt.Sprintf("of {Architecture} %s, and this type is %s", p.Architecture, arch))
		case slices.Contains(p.InstanceTypes[:i], t):
			l.Invalid(path, t, "given once only")
		}
	}
}

// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutWarmPool.html
func (p RunnerCapacityProps) validateWarmPool(l *problem.List) {
	if p.WarmPool == nil {
		return
	}
	if p.Spot != nil {
		l.Conflict("WarmPool", "Spot", "its instances are On-Demand; leave out one of them")
	}
	if len(p.InstanceTypes) > 1 {
		l.Refused("WarmPool", fmt.Sprintf("needs a single instance type, got %d in {InstanceTypes}", len(p.InstanceTypes)))
	}
	problem.Range(l, "WarmPool.MinSize", p.WarmPool.MinSize, 0, max(p.MaxInstances, 0))
	if n := p.WarmPool.MaxPreparedCapacity; n != nil && (*n < p.WarmPool.MinSize || *n > p.MaxInstances) {
		l.Invalid("WarmPool.MaxPreparedCapacity", *n, fmt.Sprintf("from {MinSize} (%d) to {MaxInstances} (%d)", p.WarmPool.MinSize, p.MaxInstances))
	}
}

func (a *AgentOptions) validate(l *problem.List) {
	if *a.ReservedMemoryMiB < 0 {
		l.Invalid("Agent.ReservedMemoryMiB", *a.ReservedMemoryMiB, "0 or more")
	}
	if a.TaskCleanupWait < time.Minute || a.TaskCleanupWait%time.Second != 0 { // the agent ignores less
		l.Invalid("Agent.TaskCleanupWait", a.TaskCleanupWait, "1m or more, in whole seconds")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Extra)) {
		path := fmt.Sprintf("Agent.Extra[%q]", name)
		if instead, secret := secretAgentVariables[name]; secret {
			l.Refused(path, "is a secret, and templates and user data are readable: "+instead)
			continue
		}
		if reason, own := ownAgentVariables[name]; own {
			l.Refused(path, "is a variable that ecsrunners writes itself: "+reason)
		} else if !agentVariable.MatchString(name) {
			l.Refused(path, "is not the name of an agent variable, such as ECS_LOGLEVEL")
		}
		if strings.ContainsAny(a.Extra[name], "\r\n") {
			l.Invalid(path, a.Extra[name], "one line")
		}
	}
}

// ValidateBeside returns an error that names what cannot be together with other
// capacities of the same cluster, by their ids, or nil.
func (p RunnerCapacityProps) ValidateBeside(others map[string]RunnerCapacityProps) error {
	var l problem.List
	for _, id := range slices.Sorted(maps.Keys(others)) {
		other := others[id]
		same := func(path, name, of string) {
			if name != "" && name == of {
				l.Invalid(path, name, "a name that no other capacity has: capacity "+id+" has it")
			}
		}
		same("CapacityProviderName", p.CapacityProviderName, other.CapacityProviderName)
		same("AutoScalingGroupName", p.AutoScalingGroupName, other.AutoScalingGroupName)
		same("LaunchTemplateName", p.LaunchTemplateName, other.LaunchTemplateName)
		if p.Base > 0 && other.Base > 0 {
			l.Invalid("Base", p.Base, "0: capacity "+id+" has a base already, and a cluster has one")
		}
	}
	return l.Err()
}

// warning is about a value that works but is probably not what was meant. Its id
// is stable: it is what awscdk.Annotations' AcknowledgeWarning takes.
type warning struct{ id, message string }

// warnings name what works but is probably not meant. They expect Validate to have
// found nothing.
func (p RunnerCapacityProps) warnings() []warning {
	var ws []warning
	warn := func(id, format string, args ...any) {
		ws = append(ws, warning{"ecsrunners:" + id, fmt.Sprintf(format, args...)})
	}
	if *p.ManagedScaling {
		if p.TargetCapacityPercent < 100 && p.MinInstances == 0 {
			warn("targetBelow100", "TargetCapacityPercent is %d with MinInstances 0: ECS keeps idle instances below 100, so the capacity does not stay at zero; use 100 unless spare instances are wanted", p.TargetCapacityPercent)
		}
		if p.MaximumScalingStepSize < p.MaxInstances {
			warn("smallScalingStep", "MaximumScalingStepSize %d is below MaxInstances %d: a burst of jobs is met in several rounds, an InstanceWarmupPeriod (%s) apart", p.MaximumScalingStepSize, p.MaxInstances, problem.Duration(*p.InstanceWarmupPeriod))
		}
		if *p.InstanceWarmupPeriod < time.Minute {
			warn("shortWarmup", "InstanceWarmupPeriod %s is below 1m, less than an instance needs to boot and register: ECS will count instances that are not there yet and start too many", problem.Duration(*p.InstanceWarmupPeriod))
		}
	}
	if len(p.InstanceTypes) < 2 {
		return ws
	}
	var sizes, unknown []string
	distinct := map[instancetype.Size]bool{}
	for _, t := range p.InstanceTypes {
		size, ok := instancetype.SizeOf(t)
		if !ok {
			unknown = append(unknown, t)
			continue
		}
		distinct[size] = true
		sizes = append(sizes, fmt.Sprintf("%s (%s)", t, size))
	}
	if len(distinct) > 1 {
		warn("unequalInstanceTypes", "InstanceTypes differ in size: %s; managed scaling counts with the smallest, so tasks that fit only a larger one never start", strings.Join(sizes, ", "))
	}
	if len(unknown) > 0 {
		warn("unknownInstanceTypes", "InstanceTypes has types whose size this library does not know: %s; make sure that all have the same vCPU and memory, because managed scaling counts with the smallest", strings.Join(unknown, ", "))
	}
	return ws
}

func clone[T any](value *T) *T {
	if value == nil {
		return nil
	}
	copied := *value
	return &copied
}

// orDefault is a pointer to a copy of the value, or of the default if there is none.
func orDefault[T any](value *T, def T) *T {
	if value == nil {
		return &def
	}
	return clone(value)
}
