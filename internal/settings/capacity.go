package settings

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Architecture is a processor architecture, in GitHub's words.
type Architecture string

// The architectures for which GitHub releases Linux runners and AWS has
// ECS-optimized images.
const (
	X64   Architecture = "x64"
	ARM64 Architecture = "arm64"
)

// Capacity is one launch template, Auto Scaling group and capacity provider.
// What each field means is told at constructs.RunnerCapacityProps.
type Capacity struct {
	Architecture  Architecture `json:"architecture"`
	InstanceTypes []string     `json:"instanceTypes"`
	MinInstances  int          `json:"minInstances"`
	MaxInstances  int          `json:"maxInstances"`
	Spot          *Spot        `json:"spot"`

	ImageID                  string    `json:"imageId"`
	RootDeviceName           string    `json:"rootDeviceName"`
	RootVolumeSizeGiB        int       `json:"rootVolumeSizeGiB"`
	RootVolumeThroughput     int       `json:"rootVolumeThroughput"`
	AssociatePublicIPAddress *bool     `json:"associatePublicIpAddress"`
	MaxInstanceLifetime      *Duration `json:"maxInstanceLifetime"`
	WarmPool                 *WarmPool `json:"warmPool"`

	ManagedScaling               *bool     `json:"managedScaling"`
	TargetCapacityPercent        int       `json:"targetCapacityPercent"`
	MinimumScalingStepSize       int       `json:"minimumScalingStepSize"`
	MaximumScalingStepSize       int       `json:"maximumScalingStepSize"`
	InstanceWarmupPeriod         *Duration `json:"instanceWarmupPeriod"`
	ManagedTerminationProtection *bool     `json:"managedTerminationProtection"`
	ManagedDraining              *bool     `json:"managedDraining"`
	Weight                       *int      `json:"weight"`
	Base                         int       `json:"base"`

	Agent Agent `json:"agent"`

	CapacityProviderName string `json:"capacityProviderName"`
	AutoScalingGroupName string `json:"autoScalingGroupName"`
	LaunchTemplateName   string `json:"launchTemplateName"`
}

// Spot is how much of a capacity is bought on the Spot market.
type Spot struct {
	OnDemandBase       int    `json:"onDemandBase"`
	OnDemandPercentage int    `json:"onDemandPercentage"`
	AllocationStrategy string `json:"allocationStrategy"`
}

// WarmPool is a pool of instances that have booted once.
type WarmPool struct {
	MinSize             int    `json:"minSize"`
	MaxPreparedCapacity *int   `json:"maxPreparedCapacity"`
	State               string `json:"state"`
}

// Agent is the configuration of the ECS agent.
type Agent struct {
	ReservedMemoryMiB *int              `json:"reservedMemoryMiB"`
	TaskCleanupWait   *Duration         `json:"taskCleanupWait"`
	ImagePullBehavior string            `json:"imagePullBehavior"`
	Privileged        bool              `json:"privileged"`
	Extra             map[string]string `json:"extra"`
}

var (
	architectures        = []string{string(X64), string(ARM64)}
	allocationStrategies = []string{"price-capacity-optimized", "capacity-optimized", "capacity-optimized-prioritized", "lowest-price"}
	warmPoolStates       = []string{"stopped", "running"}
	imagePullBehaviors   = []string{"default", "always", "once", "prefer-cached"}
)

// ECS-optimized Amazon Linux 2023 by AWS's public parameters, read by EC2 at
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

// WithDefaults returns a copy with every absent value filled in, which shares no
// memory with the original. It is the only place where the defaults of a
// capacity are. Values that are wrong stay, for Validate to name.
func (c Capacity) WithDefaults() Capacity {
	set(&c.Architecture, X64)
	if c.InstanceTypes == nil {
		c.InstanceTypes = defaultInstanceTypes[c.Architecture]
	}
	c.InstanceTypes = slices.Clone(c.InstanceTypes)
	set(&c.MaxInstances, 10)
	if c.Spot != nil {
		spot := *c.Spot
		set(&spot.AllocationStrategy, allocationStrategies[0])
		c.Spot = &spot
	}
	set(&c.ImageID, ecsOptimizedImages[c.Architecture])
	set(&c.RootDeviceName, "/dev/xvda")
	set(&c.RootVolumeSizeGiB, 50)
	set(&c.RootVolumeThroughput, 125)
	own(&c.AssociatePublicIPAddress)
	own(&c.MaxInstanceLifetime)
	if c.WarmPool != nil {
		pool := *c.WarmPool
		set(&pool.State, warmPoolStates[0])
		own(&pool.MaxPreparedCapacity)
		c.WarmPool = &pool
	}
	setPointer(&c.ManagedScaling, true)
	set(&c.TargetCapacityPercent, 100)
	set(&c.MinimumScalingStepSize, 1)
	set(&c.MaximumScalingStepSize, min(max(c.MaxInstances, c.MinimumScalingStepSize), maxScalingStep))
	setPointer(&c.InstanceWarmupPeriod, Duration(2*time.Minute))
	setPointer(&c.ManagedTerminationProtection, *c.ManagedScaling)
	setPointer(&c.ManagedDraining, true)
	own(&c.Weight)
	setPointer(&c.Agent.ReservedMemoryMiB, 256)
	setPointer(&c.Agent.TaskCleanupWait, Duration(10*time.Minute))
	set(&c.Agent.ImagePullBehavior, imagePullBehaviors[0])
	c.Agent.Extra = maps.Clone(c.Agent.Extra)
	return c
}

var (
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html
	capacityProviderName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	// ECS compares without case, so "EcsRunners" is refused as well.
	reservedPrefix     = regexp.MustCompile(`(?i)^(aws|ecs|fargate)`)
	launchTemplateName = regexp.MustCompile(`^[A-Za-z0-9()./_-]{3,128}$`)
	imageID            = regexp.MustCompile(`^(ami-[0-9a-f]{8,17}|resolve:ssm:[A-Za-z0-9_.:/-]+)$`)
	deviceName         = regexp.MustCompile(`^/dev/[a-z0-9]+$`)
	agentVariable      = regexp.MustCompile(`^(ECS|AWS|HTTPS?|NO)_[A-Z0-9_]+$`)
)

// ReservedName tells whether ECS refuses a capacity provider of that name, or
// one whose name CloudFormation derives from a stack of that name.
func ReservedName(name string) bool { return reservedPrefix.MatchString(name) }

// Agent variables that this library writes itself: by a field of Agent, from
// the capacity's other settings, or because a host that does without them no
// longer keeps jobs from each other's credentials.
var ownAgentVariables = map[string]string{
	"ECS_CLUSTER":                                "the capacity's own cluster",
	"ECS_RESERVED_MEMORY":                        "use ReservedMemoryMiB",
	"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION":      "use TaskCleanupWait",
	"ECS_IMAGE_PULL_BEHAVIOR":                    "use ImagePullBehavior",
	"ECS_DISABLE_PRIVILEGED":                     "use Privileged",
	"ECS_ENABLE_SPOT_INSTANCE_DRAINING":          "written when Spot is set",
	"ECS_WARM_POOLS_CHECK":                       "written when WarmPool is set",
	"ECS_AWSVPC_BLOCK_IMDS":                      "part of the host's hardening",
	"ECS_ENABLE_TASK_IAM_ROLE":                   "part of the host's hardening",
	"ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST":      "part of the host's hardening",
	"ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS":     "part of the host's hardening",
	"ECS_SKIP_LOCALHOST_TRAFFIC_FILTER":          "part of the host's hardening",
	"ECS_CONTAINER_INSTANCE_TAGS":                "the agent may not tag; use awscdk.Tags_Of",
	"ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM": "the agent may not tag; use awscdk.Tags_Of",
}

// Agent variables whose values are secrets, with what to do instead.
var secretAgentVariables = map[string]string{
	"AWS_ACCESS_KEY_ID":     "the agent has the instance role",
	"AWS_SECRET_ACCESS_KEY": "the agent has the instance role",
	"AWS_SESSION_TOKEN":     "the agent has the instance role",
	"ECS_ENGINE_AUTH_DATA":  "give containers repository credentials from AWS Secrets Manager",
}

// Validate names every value that cannot work. It expects WithDefaults to have
// been called. Limits come from the API references of Amazon ECS and Amazon
// EC2 Auto Scaling.
func (c Capacity) Validate() Problems {
	var ps Problems
	within := func(path string, got, low, high int) {
		if got < low || got > high {
			ps.Add(path, got, fmt.Sprintf("%d to %d", low, high))
		}
	}
	choice := func(path, got string, allowed []string) {
		if !slices.Contains(allowed, got) {
			ps.Add(path, got, oneOf(allowed))
		}
	}

	choice("Architecture", string(c.Architecture), architectures)
	within("MaxInstances", c.MaxInstances, 1, 5000)
	within("MinInstances", c.MinInstances, 0, max(c.MaxInstances, 0))
	c.validateInstanceTypes(&ps)
	if c.Spot != nil {
		within("Spot.OnDemandBase", c.Spot.OnDemandBase, 0, max(c.MaxInstances, 0))
		within("Spot.OnDemandPercentage", c.Spot.OnDemandPercentage, 0, 100)
		choice("Spot.AllocationStrategy", c.Spot.AllocationStrategy, allocationStrategies)
	}

	if c.ImageID != "" && !unresolved(c.ImageID) && !imageID.MatchString(c.ImageID) {
		ps.Add("ImageID", c.ImageID, `an AMI such as "ami-0123456789abcdef0", or "resolve:ssm:" and the name of a parameter`)
	}
	if !deviceName.MatchString(c.RootDeviceName) {
		ps.Add("RootDeviceName", c.RootDeviceName, `a device such as "/dev/xvda"`)
	}
	within("RootVolumeSizeGiB", c.RootVolumeSizeGiB, 30, 16384)
	within("RootVolumeThroughput", c.RootVolumeThroughput, 125, 750)
	if c.MaxInstanceLifetime != nil {
		if d := time.Duration(*c.MaxInstanceLifetime); d < 24*time.Hour || d > 365*24*time.Hour || d%time.Second != 0 {
			ps.Add("MaxInstanceLifetime", *c.MaxInstanceLifetime, "24h to 8760h (1 to 365 days), in whole seconds")
		}
	}
	c.validateWarmPool(&ps)

	within("TargetCapacityPercent", c.TargetCapacityPercent, 1, 100)
	within("MinimumScalingStepSize", c.MinimumScalingStepSize, 1, maxScalingStep)
	within("MaximumScalingStepSize", c.MaximumScalingStepSize, min(max(c.MinimumScalingStepSize, 1), maxScalingStep), maxScalingStep)
	if d := time.Duration(*c.InstanceWarmupPeriod); d < 0 || d > 10000*time.Second || d%time.Second != 0 {
		ps.Add("InstanceWarmupPeriod", *c.InstanceWarmupPeriod, "0s to 10000s, in whole seconds")
	}
	if *c.ManagedTerminationProtection && !*c.ManagedScaling {
		ps.Add("ManagedTerminationProtection", true, "false when ManagedScaling is false: ECS protects only the instances that it scales")
	}
	if c.Weight != nil {
		within("Weight", *c.Weight, 0, 1000)
	}
	within("Base", c.Base, 0, 100000)
	if c.Base > 0 && c.Weight != nil && *c.Weight == 0 {
		ps.Add("Base", c.Base, "0 while Weight is 0: ECS places no task on a capacity without a weight")
	}

	ps.Under("Agent", c.Agent.validate())

	if name := c.CapacityProviderName; name != "" && !unresolved(name) && (!capacityProviderName.MatchString(name) || ReservedName(name)) {
		ps.Add("CapacityProviderName", name, "at most 255 letters, digits, - and _, not beginning with aws, ecs or fargate in any case")
	}
	if name := c.AutoScalingGroupName; !unresolved(name) && (len(name) > 255 || strings.Contains(name, ":")) {
		ps.Add("AutoScalingGroupName", name, "at most 255 characters, no colon")
	}
	if name := c.LaunchTemplateName; name != "" && !unresolved(name) && !launchTemplateName.MatchString(name) {
		ps.Add("LaunchTemplateName", name, "3 to 128 letters, digits and ( ) . / _ -")
	}
	return ps
}

func (c Capacity) validateInstanceTypes(ps *Problems) {
	if c.InstanceTypes != nil && len(c.InstanceTypes) == 0 { // nil: there is no default for a wrong architecture
		ps.Add("InstanceTypes", c.InstanceTypes, "at least one instance type, or none given for the default")
	}
	for i, t := range c.InstanceTypes {
		path := fmt.Sprintf("InstanceTypes[%d]", i)
		arch, ok := ArchitectureOf(t)
		switch {
		case !ok:
			ps.Add(path, t, `an instance type such as "m7i.large"`)
		case slices.Contains(architectures, string(c.Architecture)) && arch != c.Architecture:
			ps.Add(path, t, fmt.Sprintf("types of architecture %s; this one is %s", c.Architecture, arch))
		case slices.Contains(c.InstanceTypes[:i], t):
			ps.Add(path, t, "each instance type once")
		}
	}
}

// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutWarmPool.html
func (c Capacity) validateWarmPool(ps *Problems) {
	if c.WarmPool == nil {
		return
	}
	if c.Spot != nil {
		ps.Add("WarmPool", Words("a warm pool with Spot"), "a warm pool with On-Demand instances only: leave out Spot or WarmPool")
	}
	if len(c.InstanceTypes) > 1 {
		ps.Add("WarmPool", Words(fmt.Sprintf("a warm pool with %d instance types", len(c.InstanceTypes))), "a warm pool with a single instance type: give one in InstanceTypes, or leave out WarmPool")
	}
	if n := c.WarmPool.MinSize; n < 0 || n > c.MaxInstances {
		ps.Add("WarmPool.MinSize", n, fmt.Sprintf("0 to MaxInstances (%d)", c.MaxInstances))
	} else if n := c.WarmPool.MaxPreparedCapacity; n != nil && (*n < c.WarmPool.MinSize || *n > c.MaxInstances) {
		ps.Add("WarmPool.MaxPreparedCapacity", *n, fmt.Sprintf("MinSize (%d) to MaxInstances (%d)", c.WarmPool.MinSize, c.MaxInstances))
	}
	if !slices.Contains(warmPoolStates, c.WarmPool.State) {
		ps.Add("WarmPool.State", c.WarmPool.State, oneOf(warmPoolStates))
	}
}

func (a Agent) validate() Problems {
	var ps Problems
	if *a.ReservedMemoryMiB < 0 {
		ps.Add("ReservedMemoryMiB", *a.ReservedMemoryMiB, "0 or more")
	}
	if time.Duration(*a.TaskCleanupWait) < time.Minute { // the agent ignores less
		ps.Add("TaskCleanupWait", *a.TaskCleanupWait, "1m or more")
	}
	if !slices.Contains(imagePullBehaviors, a.ImagePullBehavior) {
		ps.Add("ImagePullBehavior", a.ImagePullBehavior, oneOf(imagePullBehaviors))
	}
	for _, name := range slices.Sorted(maps.Keys(a.Extra)) {
		path := fmt.Sprintf("Extra[%q]", name)
		if instead, secret := secretAgentVariables[name]; secret {
			ps.Add(path, Words("a secret"), "no secrets, because templates and user data are readable: "+instead)
			continue
		}
		if reason, own := ownAgentVariables[name]; own {
			ps.Add(path, a.Extra[name], "variables that ecsrunners does not write itself ("+reason+")")
		} else if !agentVariable.MatchString(name) {
			ps.Add(path, a.Extra[name], "names of agent variables such as ECS_LOGLEVEL")
		}
		if strings.ContainsAny(a.Extra[name], "\r\n") {
			ps.Add(path, a.Extra[name], "one line")
		}
	}
	return ps
}

// Warnings names what works but is probably not meant. It expects Validate to
// have found nothing.
func (c Capacity) Warnings() []Warning {
	var ws []Warning
	warn := func(id, format string, args ...any) {
		ws = append(ws, Warning{ID: "ecsrunners:" + id, Message: fmt.Sprintf(format, args...)})
	}
	if *c.ManagedScaling {
		if c.TargetCapacityPercent < 100 && c.MinInstances == 0 {
			warn("targetBelow100", "TargetCapacityPercent is %d with MinInstances 0: ECS keeps idle instances below 100, so the capacity does not stay at zero; use 100 unless spare instances are wanted", c.TargetCapacityPercent)
		}
		if c.MaximumScalingStepSize < c.MaxInstances {
			warn("smallScalingStep", "MaximumScalingStepSize %d is below MaxInstances %d: a burst of jobs is met in several rounds, an InstanceWarmupPeriod (%s) apart", c.MaximumScalingStepSize, c.MaxInstances, *c.InstanceWarmupPeriod)
		}
		if time.Duration(*c.InstanceWarmupPeriod) < time.Minute {
			warn("shortWarmup", "InstanceWarmupPeriod %s is below 1m, less than an instance needs to boot and register: ECS will count instances that are not there yet and start too many", *c.InstanceWarmupPeriod)
		}
	}
	if len(c.InstanceTypes) < 2 {
		return ws
	}
	var sizes, unknown []string
	distinct := map[InstanceSize]bool{}
	for _, t := range c.InstanceTypes {
		size, ok := SizeOf(t)
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

// unresolved tells whether text is, or has in it, a token that the CDK fills in
// later, such as the value of a parameter. What it will be cannot be checked.
func unresolved(text string) bool { return strings.Contains(text, "${Token[") }

// SharedNames names the physical names of a capacity that another one of the
// same cluster has already.
func (c Capacity) SharedNames(others []Capacity) Problems {
	var ps Problems
	for _, name := range []struct {
		path string
		of   func(Capacity) string
	}{
		{"CapacityProviderName", func(c Capacity) string { return c.CapacityProviderName }},
		{"AutoScalingGroupName", func(c Capacity) string { return c.AutoScalingGroupName }},
		{"LaunchTemplateName", func(c Capacity) string { return c.LaunchTemplateName }},
	} {
		for _, other := range others {
			if got := name.of(c); got != "" && got == name.of(other) {
				ps.Add(name.path, got, "a name that no other capacity has")
				break
			}
		}
	}
	return ps
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func setPointer[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
	own(field)
}

// own makes a field point to a copy of the value, if it points to any.
func own[T any](field **T) {
	if *field != nil {
		value := **field
		*field = &value
	}
}
