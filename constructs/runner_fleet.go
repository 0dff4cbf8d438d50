package constructs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// RunnerFleet is a kind of runner: labels, and the tasks that run the jobs that
// ask for them. It starts nothing by itself: [WebhookIngress.AddFleet] makes the
// rule that starts a task for each queued job.
//
// Jobs have the permissions of the task role. It may register the task and no
// more, unless grants to the fleet add to it: every job of every repository that
// may use the fleet then has them.
type RunnerFleet struct {
	constructs.Construct // filled by NewConstruct_Override

	props          RunnerFleetProps // with defaults
	registration   *RunnerRegistration
	capacity       *RunnerCapacity
	taskRole       awsiam.Role
	grantee        awsiam.IRole
	executionRole  awsiam.Role
	logGroup       awslogs.LogGroup
	taskDefinition awsecs.Ec2TaskDefinition
}

var _ awsiam.IGrantable = (*RunnerFleet)(nil)

// NewRunnerFleet adds a fleet to the scope. It panics with an error that names
// every prop that cannot be used.
func NewRunnerFleet(scope constructs.Construct, id string, props *RunnerFleetProps) *RunnerFleet {
	if props == nil {
		props = &RunnerFleetProps{}
	}
	p := *props
	if p.Name == "" {
		p.Name = strings.ToLower(id)
	}
	p, err := p.WithDefaults().placed()
	if err != nil {
		panic(fmt.Errorf("RunnerFleet %q:\n%w", id, inWordsOf(*props, err)))
	}

	f := &RunnerFleet{props: p, registration: p.Registration, capacity: p.Capacity}
	constructs.NewConstruct_Override(f, scope, &id)
	family := p.Family
	if family == "" {
		family = *awscdk.Names_UniqueResourceName(f, &awscdk.UniqueResourceNameOptions{
			Separator: jsii.String("-"), MaxLength: jsii.Number(maxFamily),
		})
	}
	role, err := f.registration.addFleet(p, family)
	if err != nil {
		f.Node().Scope().Node().TryRemoveChild(&id)
		panic(fmt.Errorf("RunnerFleet %q:\n%w", id, inWordsOf(*props, err)))
	}
	f.taskRole, f.grantee = role, role
	if awscdk.Stack_Of(f) != awscdk.Stack_Of(f.registration) {
		// What is granted is a policy in this stack then: the role's own stack comes
		// first and can know nothing of this one.
		f.grantee = awsiam.Role_FromRoleName(f, jsii.String("TaskRole"), role.RoleName(), nil)
	}
	f.executionRole = awsiam.NewRole(f, jsii.String("ExecutionRole"), &awsiam.RoleProps{
		RoleName:    optional(p.ExecutionRoleName),
		Description: jsii.String("ECS agent: pull the image and write the log of the runner fleet " + p.Name),
		AssumedBy:   ecsTasks(f),
	})
	f.logGroup = f.newLogGroup()
	f.taskDefinition = f.newTaskDefinition(family)
	for _, warning := range p.warningsIn(p.placement()) {
		warn(f, warning.id, warning.message)
	}
	warn(f, unroutedFleet, "no WebhookIngress has the fleet, so that no job starts a task of it: add it with AddFleet")
	return f
}

// unroutedFleet is the id of the warning about a fleet, until an ingress has it.
const unroutedFleet = "ecsrunners:unroutedFleet"

// inWordsOf explains a problem with a name that the caller did not write: it is the
// construct's id.
func inWordsOf(given RunnerFleetProps, err error) error {
	problems := problem.Of(err)
	for i, p := range problems {
		if p.Path == "Name" && given.Name == "" {
			problems[i].Reason = "it is the id in lower case; give {Name}, or another id"
		}
	}
	if len(problems) == 0 {
		return err
	}
	return problems
}

// placed returns the props with their capacity and the size of a task, and an error
// that names everything that cannot be used.
func (p RunnerFleetProps) placed() (RunnerFleetProps, error) {
	problems := problem.Of(p.Validate())
	if p.Image == nil {
		problems.Required("Image", "the image in which jobs run, such as RunnerImagePipeline.Image()")
	}
	if p.Registration == nil {
		problems.Required("Registration", "the registration that gives the tasks their runners")
		return p, problems.Err()
	}
	cluster := p.Registration.cluster
	if p.Capacity == nil {
		p.Capacity = cluster.DefaultCapacity()
	}
	p, misfits := p.Fit(p.placement())
	problems = append(problems, problem.Of(misfits)...)
	if p.Capacity.cluster != cluster {
		problems.Invalid("Capacity", *p.Capacity.Node().Path(), "a capacity of "+*cluster.Node().Path()+", the cluster of {Registration}")
	}
	if p.Image != nil && !p.Image.supports(p.Capacity.Architecture()) {
		problems.Refused("Image", "must be an image for "+string(p.Capacity.Architecture())+", the architecture of the capacity: add it to {Architectures} of the RunnerImagePipeline")
	}
	return p, problems.Err()
}

// placement is where the fleet's tasks run.
func (p RunnerFleetProps) placement() Placement {
	return Placement{
		Capacity:      p.Capacity.props,
		PublicSubnets: *p.Capacity.cluster.subnets.HasPublic,
		Scope:         p.Registration.props.Scope,
	}
}

// FleetName is the name of the fleet.
func (f *RunnerFleet) FleetName() string { return f.props.Name }

// Labels are the labels of the fleet's runners.
func (f *RunnerFleet) Labels() []string { return slices.Clone(f.props.Labels) }

// Capacity is the capacity on which the tasks run.
func (f *RunnerFleet) Capacity() *RunnerCapacity { return f.capacity }

// TaskDefinition is the definition of the tasks. Name it by its family: its ARN
// has the revision in it, which changes with every deployment that changes it.
func (f *RunnerFleet) TaskDefinition() awsecs.Ec2TaskDefinition { return f.taskDefinition }

// TaskRole is the role of jobs. Its trust policy must stay as it is: by the name
// of a session, which ECS alone may choose, the registration knows a task.
func (f *RunnerFleet) TaskRole() awsiam.IRole { return f.grantee }

// GrantPrincipal is the role of jobs: bucket.GrantRead(fleet) lets every job of
// the fleet read.
func (f *RunnerFleet) GrantPrincipal() awsiam.IPrincipal { return f.grantee.GrantPrincipal() }

// ExecutionRole is the role with which the ECS agent pulls the image and writes
// the log.
func (f *RunnerFleet) ExecutionRole() awsiam.IRole { return f.executionRole }

// LogGroup is the log group with the runners' logs. The last line of each is a
// JSON object that says how it ended.
func (f *RunnerFleet) LogGroup() awslogs.ILogGroup { return f.logGroup }

// MetricMemoryUtilized is the memory in MiB that the fleet's tasks use: its maximum
// reports whether MemoryMiB is enough. It panics unless the cluster has
// ContainerInsights, without which AWS publishes no such metric.
func (f *RunnerFleet) MetricMemoryUtilized(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return f.metric("MemoryUtilized", props)
}

// MetricCPUUtilized are the CPU units that the fleet's tasks use, of which a vCPU
// has 1024. It panics unless the cluster has ContainerInsights.
func (f *RunnerFleet) MetricCPUUtilized(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return f.metric("CpuUtilized", props)
}

// How many tasks start and fail to start is measured where they are started, see
// [WebhookIngress.MetricFailedInvocations].
func (f *RunnerFleet) metric(name string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return f.capacity.cluster.insightsMetric(f, name, map[string]*string{"TaskDefinitionFamily": f.taskDefinition.Family()}, props)
}

// ecsTasks is ECS, as far as it starts tasks of this account and region.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
func ecsTasks(scope constructs.Construct) awsiam.IPrincipal {
	stack := awscdk.Stack_Of(scope)
	return awsiam.NewServicePrincipal(jsii.String("ecs-tasks.amazonaws.com"), &awsiam.ServicePrincipalOpts{
		Conditions: &map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
			"ArnLike": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
				Service: jsii.String("ecs"), Resource: jsii.String("*"), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
			})},
		},
	})
}

func leaseSeconds(p RunnerFleetProps) int {
	return int(registrationcontract.Lease(p.StartTimeout, p.IdleTimeout).Seconds())
}

func (f *RunnerFleet) newLogGroup() awslogs.LogGroup {
	logs := newLogGroup(f, "Logs", optional(f.props.LogGroupName), f.props.LogRetentionDays)
	if f.props.LogEncryptionKey != nil {
		logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetKmsKeyId(f.props.LogEncryptionKey.KeyArn())
	}
	return logs
}

func (f *RunnerFleet) newTaskDefinition(family string) awsecs.Ec2TaskDefinition {
	p := f.props
	var volumes []*awsecs.Volume
	for _, mount := range p.Mounts {
		if !slices.Contains(volumes, mount.Volume) {
			volumes = append(volumes, mount.Volume)
		}
	}
	definition := awsecs.NewEc2TaskDefinition(f, jsii.String("TaskDefinition"), &awsecs.Ec2TaskDefinitionProps{
		Family:        &family,
		TaskRole:      f.taskRole,
		ExecutionRole: f.executionRole,
		NetworkMode:   p.NetworkMode,
		Volumes:       &volumes,
	})
	container := definition.AddContainer(jsii.String("Runner"), &awsecs.ContainerDefinitionOptions{
		ContainerName:   &p.ContainerName,
		Image:           p.Image.bind(f, f.capacity.Architecture()),
		Cpu:             jsii.Number(p.CPU),
		MemoryLimitMiB:  jsii.Number(p.MemoryMiB),
		Essential:       jsii.Bool(true),
		Environment:     f.environment(),
		Secrets:         &p.Secrets,
		Privileged:      jsii.Bool(p.Privileged),
		LinuxParameters: f.newLinuxParameters(),
		Ulimits:         f.ulimits(),
		StopTimeout:     seconds(p.StopTimeout),
		// A job must not hang because its log is not taken.
		Logging: awsecs.LogDriver_AwsLogs(&awsecs.AwsLogDriverProps{
			LogGroup:      f.logGroup,
			StreamPrefix:  &p.Name,
			Mode:          awsecs.AwsLogDriverMode_NON_BLOCKING,
			MaxBufferSize: awscdk.Size_Mebibytes(jsii.Number(4)),
		}),
	})
	for _, mount := range p.Mounts {
		container.AddMountPoints(&awsecs.MountPoint{
			SourceVolume: mount.Volume.Name, ContainerPath: &mount.Path, ReadOnly: &mount.ReadOnly,
		})
	}
	return definition
}

// environment is what the supervisor and the jobs of every task of the fleet see.
func (f *RunnerFleet) environment() *map[string]*string {
	p := f.props
	variables := maps.Clone(p.Environment)
	if variables == nil {
		variables = map[string]string{}
	}
	ours, err := runnercontract.Config{
		RegistrationURL:    *f.registration.URL(),
		RegistrationRegion: *awscdk.Stack_Of(f.registration).Region(),
		IdleTimeout:        p.IdleTimeout,
		Lifetime:           p.Lifetime,
		StartTimeout:       p.StartTimeout,
		StopTimeout:        p.StopTimeout,
	}.Environment()
	if err != nil {
		panic(fmt.Errorf("RunnerFleet %q: %w", *f.Node().Id(), err))
	}
	maps.Copy(variables, ours)
	return pointers(variables)
}

// newLinuxParameters leaves Docker's init out, because the supervisor is one, and
// takes away what jobs could reach their neighbours' traffic with.
func (f *RunnerFleet) newLinuxParameters() awsecs.LinuxParameters {
	parameters := awsecs.NewLinuxParameters(f, jsii.String("LinuxParameters"), &awsecs.LinuxParametersProps{
		InitProcessEnabled: jsii.Bool(false),
		SharedMemorySize:   number(nonZero(f.props.ShmSizeMiB)),
	})
	if !f.props.Privileged {
		parameters.DropCapabilities(awsecs.Capability_NET_RAW, awsecs.Capability_MKNOD)
	}
	for _, folder := range slices.Sorted(maps.Keys(f.props.TmpfsMiB)) {
		parameters.AddTmpfs(&awsecs.Tmpfs{
			ContainerPath: &folder,
			Size:          jsii.Number(f.props.TmpfsMiB[folder]),
			// Docker's own options let nothing in it be executed.
			MountOptions: &[]awsecs.TmpfsMountOption{awsecs.TmpfsMountOption_EXEC, awsecs.TmpfsMountOption_NODEV, awsecs.TmpfsMountOption_NOSUID},
		})
	}
	return parameters
}

func (f *RunnerFleet) ulimits() *[]*awsecs.Ulimit {
	if f.props.Ulimits != nil {
		return &f.props.Ulimits
	}
	return &[]*awsecs.Ulimit{{
		Name: awsecs.UlimitName_NOFILE, SoftLimit: jsii.Number(65536), HardLimit: jsii.Number(65536),
	}}
}
