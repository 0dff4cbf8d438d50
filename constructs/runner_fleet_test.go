package constructs_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// system is everything that a fleet needs, in one stack unless a test spreads it.
type system struct {
	stack        awscdk.Stack
	cluster      *constructs.RunnerCluster
	registration *constructs.RunnerRegistration
}

func newSystem(t *testing.T) system {
	t.Helper()
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
	return system{stack, cluster, constructs.NewRunnerRegistration(stack, "Registration",
		&constructs.RunnerRegistrationProps{
			Scope: constructs.Organization("my-org"), Cluster: cluster,
		})}
}

// fleetProps are the least that a fleet takes.
func (s system) fleetProps() *constructs.RunnerFleetProps {
	return &constructs.RunnerFleetProps{
		Registration: s.registration,
		Image:        constructs.RegistryImage("registry.example.com/runner:stable"),
		Labels:       []string{"self-hosted", "Linux", "x64"},
	}
}

func (s system) fleet(id string, change func(*constructs.RunnerFleetProps)) *constructs.RunnerFleet {
	props := s.fleetProps()
	if change != nil {
		change(props)
	}
	return constructs.NewRunnerFleet(s.stack, id, props)
}

// runnerContainer is the only container of a fleet's task definition.
func runnerContainer(t *testing.T, template map[string]any, fleet *constructs.RunnerFleet) map[string]any {
	t.Helper()
	containers, _ := cdktest.At(cdktest.Properties(t, template, fleet.TaskDefinition()), "ContainerDefinitions").([]any)
	require.Len(t, containers, 1)
	return containers[0].(map[string]any)
}

// containerVariables are those of a container that are text.
func containerVariables(container map[string]any) map[string]string {
	found := map[string]string{}
	list, _ := container["Environment"].([]any)
	for _, v := range list {
		found[fmt.Sprint(cdktest.At(v, "Name"))] = fmt.Sprint(cdktest.At(v, "Value"))
	}
	return found
}

func TestRunnerFleet_ByDefaultRunsOneUnprivilegedJobAnInstance(t *testing.T) {
	s := newSystem(t)
	before := cdktest.Inventory(cdktest.Template(s.stack))
	s = newSystem(t)
	fleet := s.fleet("Linux", nil)
	template := cdktest.Template(s.stack)

	added := cdktest.Inventory(template)
	for kind, n := range before {
		if added[kind] -= n; added[kind] == 0 {
			delete(added, kind)
		}
	}
	assert.Equal(t, map[string]int{
		"AWS::IAM::Role": 2, "AWS::IAM::Policy": 2, "AWS::Logs::LogGroup": 1, "AWS::ECS::TaskDefinition": 1,
	}, added, "what is new here is in every fleet")
	assert.Equal(t, "linux", fleet.FleetName())
	assert.Equal(t, []string{"self-hosted", "Linux", "x64"}, fleet.Labels())
	assert.Same(t, s.cluster.DefaultCapacity(), fleet.Capacity())

	definition := cdktest.Properties(t, template, fleet.TaskDefinition())
	assertAt(t, definition, []expectation{
		{"NetworkMode", "bridge", "tasks in awsvpc mode have no way out of public subnets"},
		{"RequiresCompatibilities", []any{"EC2"}, "Fargate knows none of this"},
		{"TaskRoleArn", resolved(s.stack, fleet.TaskRole().RoleArn()), "jobs would have no role, and could not register"},
		{"ExecutionRoleArn", resolved(s.stack, fleet.ExecutionRole().RoleArn()), "the agent could not pull the image"},
		{"PidMode", nil, "jobs would see the host's processes"},
		{"IpcMode", nil, "jobs would share memory with their neighbours"},
		{"Volumes", nil, "what outlives a task hands one job's files to the next"},
	})
	runner := runnerContainer(t, template, fleet)
	assertAt(t, runner, []expectation{
		{"Name", "runner", "the rule's overrides are for the container of that name"},
		{"Cpu", 2048.0, "a second job would come onto the instance"},
		{"Memory", 7168.0, "a second job would come onto the instance"},
		{"Privileged", false, "a privileged job owns the host"},
		{"User", nil, "the supervisor is root, and jobs are not"},
		{"Command", nil, "the image says what runs"},
		{"EntryPoint", nil, "the image says what runs"},
		{"StopTimeout", 120.0, "a job would be killed 30 seconds after the task is stopped"},
		{"LinuxParameters.InitProcessEnabled", false, "the supervisor is the init process"},
		{
			"LinuxParameters.Capabilities.Drop",
			[]any{"NET_RAW", "MKNOD"},
			"a job that is root could forge its neighbours' packets",
		},
		{"LinuxParameters.Capabilities.Add", nil, "more than docker's own"},
		{"Ulimits.0", map[string]any{"Name": "nofile", "SoftLimit": 65536.0, "HardLimit": 65536.0}, "builds open many files"},
		{"LogConfiguration.Options.mode", "non-blocking", "a job would hang when its log is not taken"},
		{"LogConfiguration.Options.awslogs-stream-prefix", "linux", "nobody would find a log"},
		{"Secrets", nil, "nothing here needs a secret"},
	})
	assert.Equal(t, map[string]string{
		runnercontract.EnvContract:           "1",
		runnercontract.EnvRegistrationURL:    fmt.Sprint(resolved(s.stack, s.registration.URL())),
		runnercontract.EnvRegistrationRegion: fmt.Sprint(resolved(s.stack, s.stack.Region())),
		runnercontract.EnvIdleTimeout:        "5m0s",
		runnercontract.EnvLifetime:           "6h30m0s",
		runnercontract.EnvStartTimeout:       "5m0s",
		runnercontract.EnvStopTimeout:        "2m0s",
	}, containerVariables(runner), "the supervisor would refuse to start, or a job would see what it should not")
	lookup := func(name string) (string, bool) {
		all := containerVariables(runner)
		all[runnercontract.EnvRegistrationURL] = "https://registration.example.com/" // known at deployment
		all[runnercontract.EnvFleet], all[runnercontract.EnvJobID] = "linux", "1"    // set by the rule
		v, ok := all[name]
		return v, ok
	}
	_, err := runnercontract.Parse(lookup)
	require.NoError(t, err, "the supervisor would refuse its environment")
	assertAt(t, cdktest.Properties(t, template, fleet.LogGroup()), []expectation{{
		"RetentionInDays", 30.0,
		"logs would be kept, and paid for, forever",
	}})
	assert.Len(t, cdktest.Warnings(s.stack), 1, "but the one that no ingress has the fleet")
}

// What a task's identity rests on: that only ECS, for tasks of this account, gives
// out the role, and that the role cannot call the function past its URL.
func TestRunnerFleet_TheTaskRoleIsATasksIdentity(t *testing.T) {
	s := newSystem(t)
	fleet := s.fleet("Linux", nil)
	template := cdktest.Template(s.stack)
	for name, role := range map[string]awsiam.IRole{"task": fleet.TaskRole(), "execution": fleet.ExecutionRole()} {
		properties := cdktest.Properties(t, template, role)
		assert.Equalf(t, []any{map[string]any{
			"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": map[string]any{"Service": "ecs-tasks.amazonaws.com"},
			"Condition": map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": resolved(s.stack, s.stack.Account())},
				"ArnLike": map[string]any{"aws:SourceArn": map[string]any{"Fn::Join": []any{
					"",
					[]any{
						"arn:",
						map[string]any{"Ref": "AWS::Partition"},
						":ecs:",
						map[string]any{"Ref": "AWS::Region"},
						":",
						map[string]any{"Ref": "AWS::AccountId"},
						":*",
					},
				}}},
			},
		}}, cdktest.At(properties,
			"AssumeRolePolicyDocument.Statement"), "who else assumes the %s role can name the session as he likes", name)
		assert.NotContains(t, properties, "ManagedPolicyArns")
	}
	function := resolved(s.stack, s.registration.Function().FunctionArn())
	statements := statementsOf(t, template, s.stack, fleet.TaskRole())
	assert.ElementsMatch(t, []any{
		map[string]any{
			"Effect": "Allow", "Action": "lambda:InvokeFunctionUrl", "Resource": function,
			"Condition": map[string]any{"StringEquals": map[string]any{"lambda:FunctionUrlAuthType": "AWS_IAM"}},
		},
		map[string]any{
			"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function,
			"Condition": map[string]any{"Bool": map[string]any{"lambda:InvokedViaFunctionUrl": true}},
		},
		map[string]any{
			"Effect": "Deny", "Action": []any{"lambda:InvokeAsync", "lambda:InvokeFunction"},
			"Resource":  []any{function, map[string]any{"Fn::Join": []any{"", []any{function, ":*"}}}},
			"Condition": map[string]any{"BoolIfExists": map[string]any{"lambda:InvokedViaFunctionUrl": false}},
		},
	}, statements, "jobs may register their task and nothing else; past the URL they could pass for any task")

	service := registrationService(t, template, s)
	assert.Equal(t, []registrationcontract.Fleet{{
		Name: "linux", Labels: []string{"self-hosted", "Linux", "x64"}, Family: *fleet.TaskDefinition().Family(),
		LeaseSeconds: 900,
		RoleID:       fmt.Sprintf("${%s.RoleId}", cdktest.LogicalID(t, fleet.TaskRole())),
	}}, service.Fleets, "the function would not know the fleet's tasks")
}

// statementsOf are those of all policies of a role.
func statementsOf(t *testing.T, template map[string]any, stack awscdk.Stack, role awsiam.IRole) []any {
	t.Helper()
	var statements []any
	for _, policy := range cdktest.Resources(template, "AWS::IAM::Policy") {
		if fmt.Sprint(cdktest.At(policy, "Roles.0")) == fmt.Sprint(resolved(stack, role.RoleName())) {
			found, _ := cdktest.At(policy, "PolicyDocument.Statement").([]any)
			statements = append(statements, found...)
		}
	}
	return statements
}

// registrationService reads the function's variables as the program does; what
// CloudFormation fills in is spelled as in Fn::Sub.
func registrationService(t *testing.T, template map[string]any, s system) registrationcontract.Config {
	t.Helper()
	all, _ := cdktest.At(cdktest.Properties(t, template, s.registration.Function()),
		"Environment.Variables").(map[string]any)
	service, err := registrationcontract.Parse(func(name string) (string, bool) {
		value, found := all[name]
		switch name {
		case registrationcontract.EnvDeployment:
			if _, literal := value.(string); !literal {
				return "later", found
			}
		}
		if !found {
			return "", false
		}
		return cdktest.Text(t, value), true
	})
	require.NoError(t, err, "the program would not start")
	return service
}

func TestRunnerFleet_TakesItsProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		VPC: awsec2.NewVpc(stack, jsii.String("Vpc"), &awsec2.VpcProps{NatGateways: jsii.Number(1)}),
	})
	docker := cluster.AddCapacity("Docker", &constructs.RunnerCapacityProps{
		InstanceTypes: []string{"m8g.xlarge"}, Architecture: constructs.ARM64, Agent: &constructs.AgentOptions{
			Privileged: true,
		},
	})
	s := system{stack, cluster, constructs.NewRunnerRegistration(stack, "Registration",
		&constructs.RunnerRegistrationProps{
			Scope: constructs.Organization("my-org"), Cluster: cluster,
		})}
	secret := awssecretsmanager.NewSecret(stack, jsii.String("Token"), nil)
	volume := &awsecs.Volume{Name: jsii.String("cache"), Host: &awsecs.Host{SourcePath: jsii.String("/var/cache/jobs")}}
	fleet := s.fleet("Docker", func(p *constructs.RunnerFleetProps) {
		p.Name, p.RunnerGroup, p.Capacity, p.CPU, p.MemoryMiB = "docker-arm", "Docker", docker, 1024, 2048
		p.Privileged, p.NetworkMode, p.OneJobPerInstance = true, awsecs.NetworkMode_AWS_VPC, true
		p.TmpfsMiB, p.ShmSizeMiB = map[string]int{"/home/runner/_work": 512}, 1024
		p.Mounts = []constructs.MountOptions{{Volume: volume, Path: "/cache"}, {Volume: volume, Path: "/old", ReadOnly: true}}
		p.Ulimits = []*awsecs.Ulimit{{Name: awsecs.UlimitName_NPROC, SoftLimit: jsii.Number(10), HardLimit: jsii.Number(20)}}
		p.IdleTimeout, p.Lifetime, p.StartTimeout, p.StopTimeout = minutes(20), minutes(120), minutes(10), minutes(30)
		p.Environment = map[string]string{"GOPROXY": "https://proxy.example.com"}
		p.Secrets = map[string]awsecs.Secret{"TOKEN": awsecs.Secret_FromSecretsManager(secret, nil)}
		p.Family, p.ContainerName, p.TaskRoleName, p.ExecutionRoleName = "docker", "job", "jobs", "agent"
		p.LogGroupName, p.LogRetentionDays = "/runners", 7
		p.LogEncryptionKey = awskms.NewKey(stack, jsii.String("Key"), nil)
	})
	props := owners()
	props.MaximumEventAge, props.MaximumRetryAttempts = minutes(10), new(20)
	ingress := constructs.NewWebhookIngress(stack, "Ingress", props)
	ingress.AddFleet(fleet)
	template := cdktest.Template(stack)
	definition, runner := cdktest.Properties(t, template, fleet.TaskDefinition()), runnerContainer(t, template, fleet)
	assertAt(t, definition, []expectation{
		{"Family", "docker", ""},
		{"NetworkMode", "awsvpc", ""},
		{
			"Volumes",
			[]any{map[string]any{"Name": "cache", "Host": map[string]any{"SourcePath": "/var/cache/jobs"}}},
			"one volume, mounted twice",
		},
	})
	assertAt(t, runner, []expectation{
		{"Name", "job", ""},
		{"Cpu", 1024.0, ""},
		{"Memory", 2048.0, ""},
		{"Privileged", true, ""},
		{"LinuxParameters.Capabilities.Drop", nil, "a privileged container has them all"},
		{"LinuxParameters.Tmpfs.0", map[string]any{
			"ContainerPath": "/home/runner/_work", "Size": 512.0,
			"MountOptions": []any{"exec", "nodev", "nosuid"},
		}, "jobs could not run what they build"},
		{"LinuxParameters.SharedMemorySize", 1024.0, "browsers in jobs would crash"},
		{"MountPoints", []any{
			map[string]any{"SourceVolume": "cache", "ContainerPath": "/cache", "ReadOnly": false},
			map[string]any{"SourceVolume": "cache", "ContainerPath": "/old", "ReadOnly": true},
		}, ""},
		{"Ulimits", []any{map[string]any{"Name": "nproc", "SoftLimit": 10.0, "HardLimit": 20.0}}, ""},
		{"StopTimeout", 1800.0, ""},
		{"Secrets.0.Name", "TOKEN", ""},
		{"LogConfiguration.Options.awslogs-stream-prefix", "docker-arm", ""},
	})
	got := containerVariables(runner)
	for name, want := range map[string]string{
		"GOPROXY": "https://proxy.example.com", runnercontract.EnvIdleTimeout: "20m0s", runnercontract.EnvLifetime: "2h0m0s",
		runnercontract.EnvStartTimeout: "10m0s", runnercontract.EnvStopTimeout: "30m0s",
	} {
		assert.Equal(t, want, got[name], name)
	}
	assert.Equal(t, "jobs", cdktest.Properties(t, template, fleet.TaskRole())["RoleName"])
	assert.Equal(t, "agent", cdktest.Properties(t, template, fleet.ExecutionRole())["RoleName"])
	assertAt(t, cdktest.Properties(t, template, fleet.LogGroup()), []expectation{
		{"LogGroupName", "/runners", ""},
		{"RetentionInDays", 7.0, ""},
	})
	assert.NotNil(t, cdktest.Properties(t, template, fleet.LogGroup())["KmsKeyId"])
	registered := registrationService(t, template, s).Fleets[0]
	assert.Equal(t, "Docker", registered.RunnerGroup)
	assert.Equal(t, 35*60, registered.LeaseSeconds, "a claim would lapse while its runner still waits")

	rule := cdktest.Properties(t, template, ingress.Rule(fleet))
	assertAt(t, rule, []expectation{
		{
			"Targets.0.RetryPolicy",
			map[string]any{"MaximumEventAgeInSeconds": 600.0, "MaximumRetryAttempts": 20.0},
			"a task for a job of yesterday",
		},
	})
	parameters := cdktest.At(rule, "Targets.0.EcsParameters")
	assertAt(t, parameters.(map[string]any), []expectation{
		{"PlacementConstraints", []any{map[string]any{"Type": "distinctInstance"}}, "two privileged jobs would share a host"},
		{"NetworkConfiguration.AwsVpcConfiguration.AssignPublicIp", "DISABLED", "EC2 knows no other"},
		{
			"NetworkConfiguration.AwsVpcConfiguration.SecurityGroups.0",
			resolved(stack, cluster.SecurityGroup().SecurityGroupId()), "EventBridge would take the VPC's default group",
		},
	})
	assert.Len(t, cdktest.At(parameters, "NetworkConfiguration.AwsVpcConfiguration.Subnets"), 2)
}

func TestRunnerFleet_Metrics(t *testing.T) {
	stack := cdktest.NewStack(t)
	cluster := constructs.NewRunnerCluster(stack, "Cluster", &constructs.RunnerClusterProps{
		ContainerInsights: awsecs.ContainerInsights_ENABLED,
	})
	s := system{stack, cluster, constructs.NewRunnerRegistration(stack, "Registration",
		&constructs.RunnerRegistrationProps{
			Scope: constructs.Organization("my-org"), Cluster: cluster,
		})}
	fleet := s.fleet("Linux", func(p *constructs.RunnerFleetProps) { p.Family = "linux-runner" })
	for name, metric := range map[string]awscloudwatch.Metric{
		"MemoryUtilized": fleet.MetricMemoryUtilized(&awscloudwatch.MetricOptions{Statistic: jsii.String("Maximum")}),
		"CpuUtilized":    fleet.MetricCPUUtilized(&awscloudwatch.MetricOptions{Statistic: jsii.String("Maximum")}),
	} {
		assert.Equal(t, "ECS/ContainerInsights", *metric.Namespace())
		assert.Equal(t, name, *metric.MetricName())
		assert.Equal(t, "Maximum", *metric.Statistic())
		assert.Equal(t, map[string]any{
			"ClusterName":          resolved(stack, cluster.Cluster().ClusterName()),
			"TaskDefinitionFamily": "linux-runner",
		}, stack.Resolve(metric.Dimensions()))
	}
	blind := newSystem(t).fleet("Linux", nil)
	assert.Equal(t,
		`RunnerCluster "Cluster": metric MemoryUtilized needs ContainerInsights enabled or enhanced, got disabled`,
		cdktest.PanicMessage(t, func() { blind.MetricMemoryUtilized(nil) }))
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }

// aToken must not be in a template, nor in an error.
const aToken = "ghp_0123456789abcdefghijABCDEFGHIJ456789"

func TestRunnerFleet_FailsWhen(t *testing.T) {
	s := newSystem(t)
	other := constructs.NewRunnerCluster(s.stack, "Other", nil)
	image := constructs.NewRunnerImagePipeline(s.stack, "Image", nil)
	arm := s.cluster.AddCapacity("Arm", &constructs.RunnerCapacityProps{Architecture: constructs.ARM64})
	s.fleet("First", nil)
	for _, test := range []struct {
		name, id string
		change   func(*constructs.RunnerFleetProps)
		want     string
	}{
		{
			"nothing is given", "Fleet", func(p *constructs.RunnerFleetProps) { *p = constructs.RunnerFleetProps{} },
			`RunnerFleet "Fleet":
Labels must be one to 100 labels of letters, digits and . _ -, at most 4000 characters together, got an empty list: no labels
Image is required: the image in which jobs run, such as RunnerImagePipeline.Image()
Registration is required: the registration that gives the tasks their runners`,
		},
		{"the id is no name", "A_Fleet", nil, `RunnerFleet "A_Fleet":
Name must be at most 24 lower-case letters, digits and single hyphens, beginning with a letter, got "a_fleet": it is the id in lower case; give Name, or another id`},
		{"the id is a name that is taken", "FIRST", nil, `RunnerFleet "FIRST":
Name must be a name that no other fleet of the registration has, got "first": it is the id in lower case; give Name, or another id`},
		{"the environment has secrets", "Fleet", func(p *constructs.RunnerFleetProps) {
			p.Environment = map[string]string{"TOKEN": aToken, "PROXY": "http://me:" + "pass@proxy.example.com", aToken: "x"}
			p.RunnerGroup, p.Mounts = " "+aToken, []constructs.MountOptions{{Path: "/" + aToken}}
			p.Image = constructs.RegistryImage(aToken)
		}, `RunnerFleet "Fleet":
Image has what looks like a secret: templates are readable; put it into AWS Secrets Manager
RunnerGroup has what looks like a secret: templates are readable; put it into AWS Secrets Manager
Mounts[0].Path has what looks like a secret: templates are readable; put it into AWS Secrets Manager
Environment["PROXY"] has what looks like a secret: templates are readable; put it into AWS Secrets Manager
Environment["TOKEN"] has what looks like a secret: templates are readable; put it into AWS Secrets Manager
Environment has what looks like a secret: templates are readable; put it into AWS Secrets Manager
RunnerGroup must be the name of a runner group, or its id from 1, got " [hidden]"
`},
		{"the name is taken", "Second", func(p *constructs.RunnerFleetProps) { p.Name = "first" }, `RunnerFleet "Second":
Name must be a name that no other fleet of the registration has, got "first"`},
		{"the capacity is another cluster's", "Fleet", func(p *constructs.RunnerFleetProps) {
			p.Capacity = other.DefaultCapacity()
		}, `RunnerFleet "Fleet":
Capacity must be a capacity of Test/Cluster, the cluster of Registration, got "Test/Other/DefaultCapacity"`},
		{"there is no image for the architecture", "Fleet", func(p *constructs.RunnerFleetProps) {
			p.Image,
				p.Capacity = image.Image(), arm
		}, `RunnerFleet "Fleet":
Image must be an image for arm64, the architecture of the capacity: add it to Architectures of the RunnerImagePipeline`},
		{"the task does not fit", "Fleet", func(p *constructs.RunnerFleetProps) { p.MemoryMiB = 8192 }, `RunnerFleet "Fleet":
MemoryMiB must be at most 7362, or the task never starts, got 8192: m7i-flex.large, the smallest instance type of the capacity, has 8192 MiB; it registers about 8192 x 0.93 = 7618 with ECS, of which 256 are reserved`},
		{"the host's network is asked for", "Fleet", func(p *constructs.RunnerFleetProps) {
			p.NetworkMode = awsecs.NetworkMode_HOST
		}, `RunnerFleet "Fleet":
NetworkMode must be bridge or awsvpc, got "host"`},
		{"the agent and the subnets do not allow it", "Fleet", func(p *constructs.RunnerFleetProps) {
			p.Privileged, p.NetworkMode = true, awsecs.NetworkMode_AWS_VPC
		}, `RunnerFleet "Fleet":
Privileged needs Agent.Privileged of the capacity: the agent refuses the container otherwise
NetworkMode must be bridge in public subnets: tasks in awsvpc mode on EC2 get no public address, and so cannot reach GitHub`},
		{"variables and mounts are wrong", "Fleet", func(p *constructs.RunnerFleetProps) {
			secret := awsecs.Secret_FromSecretsManager(awssecretsmanager.Secret_FromSecretNameV2(s.stack, jsii.String("Named"),
				jsii.String("x")), nil)
			p.Environment = map[string]string{"A": "1", "ECSRUNNERS_FLEET": "other"}
			p.Secrets = map[string]awsecs.Secret{"A": secret}
			p.Mounts = []constructs.MountOptions{{Path: "/a"}}
		}, `RunnerFleet "Fleet":
Environment["ECSRUNNERS_FLEET"] must not begin with ECSRUNNERS_: those variables configure the supervisor
Secrets["A"] cannot be used with Environment: the variable is in both
Mounts[0] needs a named Volume and an absolute Path`},
		{"the labels do not fit", "Fleet", func(p *constructs.RunnerFleetProps) {
			p.Labels = nil
			for i := range 100 {
				p.Labels = append(p.Labels, fmt.Sprintf("%03d-%s", i, strings.Repeat("x", 35)))
			}
		}, "table of fleets is too large: fleet 2 takes 43"},
		{
			"the family is not known", "Fleet", func(p *constructs.RunnerFleetProps) { p.Family = *awscdk.Aws_STACK_NAME() },
			`RunnerFleet "Fleet":
Family must be literal text, not a token: rules and policies are written for the family`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			message := cdktest.PanicMessage(t, func() { s.fleet(test.id, test.change) })
			assert.Contains(t, message, test.want)
			assert.NotContains(t, message, aToken)
			assert.Nil(t, s.stack.Node().TryFindChild(&test.id), "what was refused has left a trace")
		})
	}
	assert.Len(t, registrationService(t, cdktest.Template(s.stack), s).Fleets, 1, "what was refused has left a trace")
}

// Every construct refuses what cdk.json would not be allowed to have either.
func TestProps_RefuseSecretsEverywhere(t *testing.T) {
	const secret = " has what looks like a secret: templates are readable; put it into AWS Secrets Manager"
	agent := &constructs.AgentOptions{Extra: map[string]string{"ECS_X": "AKIAIOSFODNN7EXAMPLE"}}
	for want, props := range map[string]interface{ Validate() error }{
		`Agent.Extra["ECS_X"]`: constructs.RunnerCapacityProps{Agent: agent}.WithDefaults(),
		`DefaultCapacity.Agent.Extra["ECS_X"]`: constructs.RunnerClusterProps{
			DefaultCapacity: &constructs.RunnerCapacityProps{Agent: agent},
		}.WithDefaults(),
		"ClusterName": constructs.RunnerClusterProps{ClusterName: aToken}.WithDefaults(),
		"Owners[0]":   constructs.WebhookIngressProps{Owners: []string{aToken}}.WithDefaults(),
		"Scope":       constructs.RunnerRegistrationProps{Scope: constructs.Organization(aToken)}.WithDefaults(),
		"RunnerReleases": constructs.RunnerImagePipelineProps{
			RunnerReleases: "https://me:" + "pass@mirror.example.com",
		}.WithDefaults(),
		"Branch": constructs.CodeCommitSourceProps{Branch: aToken}.WithDefaults(),
	} {
		err := props.Validate()
		require.Error(t, err, want)
		assert.Contains(t, strings.Split(err.Error(), "\n"), want+secret)
		assert.NotContains(t, err.Error(), aToken)
	}
	err := constructs.GitHubSourceProps{Repository: aToken}.WithDefaults().Validate()
	assert.ErrorContains(t, err, "Repository"+secret)
}

func TestRunnerFleet_WithoutAnIngressWarns(t *testing.T) {
	s := newSystem(t)
	s.fleet("Forgotten", nil)
	routed, meant := s.fleet("Routed", nil), s.fleet("Meant", nil)
	constructs.NewWebhookIngress(s.stack, "Ingress", owners()).AddFleet(routed)
	awscdk.Annotations_Of(meant).AcknowledgeWarning(jsii.String("ecsrunners:unroutedFleet"), jsii.String("meant so"))
	assert.Equal(t, []string{
		"/Test/Forgotten: no WebhookIngress has the fleet, so that no job starts a task of it: add it with AddFleet " +
			"[ack: ecsrunners:unroutedFleet]",
	}, cdktest.Warnings(s.stack))
}

// What AWS would refuse when it is deployed.
func TestIDs_AreNoLongerThanAWSAllows(t *testing.T) {
	s := newSystem(t)
	long := strings.Repeat("x", 300)
	fleet := constructs.NewRunnerFleet(s.stack, long, func() *constructs.RunnerFleetProps {
		props := s.fleetProps()
		props.Name = "linux"
		return props
	}())
	assert.LessOrEqual(t, len(*fleet.TaskDefinition().Family()), 255, "ECS refuses a longer family")

	assert.Equal(t, `capacity "`+long+`" of RunnerCluster "Cluster":
id must be at most 226 characters below "Test/Cluster", got "`+long+
		`": the path is the value of a tag, and tags have at most 256`,
		cdktest.PanicMessage(t, func() { s.cluster.AddCapacity(long, nil) }))
	s.cluster.AddCapacity(long[:226], nil)
	assert.Contains(t, cdktest.PanicMessage(t, func() { constructs.NewRunnerCluster(s.stack, long, nil) }),
		`id must be at most 218 characters below "Test"`)
	template := cdktest.Template(s.stack)
	tags := 0
	for _, kind := range []string{"AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::Subnet", "AWS::EC2::VPC"} {
		for _, resource := range cdktest.Resources(template, kind) {
			list, _ := resource["Tags"].([]any)
			for _, tag := range list {
				tags++
				assert.LessOrEqual(t, len(fmt.Sprint(cdktest.At(tag, "Value"))), 256)
			}
		}
	}
	assert.Positive(t, tags)
}

func TestRunnerFleet_GrantsReachJobs(t *testing.T) {
	s := newSystem(t)
	fleet := s.fleet("Linux", nil)
	awss3.NewBucket(s.stack, jsii.String("Cache"), nil).GrantRead(fleet, nil)
	other := awslambda.NewFunction(s.stack, jsii.String("Other"), &awslambda.FunctionProps{
		Runtime: awslambda.Runtime_NODEJS_22_X(), Handler: jsii.String("index.handler"), Code: awslambda.Code_FromInline(
			jsii.String("x")),
	})
	other.GrantInvoke(fleet) // another function than the registration's
	template := cdktest.Template(s.stack)
	encoded, err := json.Marshal(statementsOf(t, template, s.stack, fleet.TaskRole()))
	require.NoError(t, err)
	assert.Contains(t, string(encoded), "s3:GetObject*")
	assert.Contains(t, string(encoded), cdktest.LogicalID(t, other))
}

func TestRunnerFleet_SynthesisFailsWhenAJobCouldPassForAnotherTask(t *testing.T) {
	for name, open := range map[string]struct {
		open func(system, *constructs.RunnerFleet)
		want string
	}{
		"by a grant on the function": {func(s system, f *constructs.RunnerFleet) {
			s.registration.Function().GrantInvoke(
				f)
		}, "lets jobs call lambda:InvokeFunction on the registration function past its URL"},
		"by a grant on all functions": {func(_ system, f *constructs.RunnerFleet) {
			f.GrantPrincipal().AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Actions: jsii.Strings("lambda:*"), Resources: jsii.Strings("*"),
			}))
		}, "lets jobs call lambda:InvokeFunction"},
		"by a pattern": {func(_ system, f *constructs.RunnerFleet) {
			f.GrantPrincipal().AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Actions: jsii.Strings("lambda:Invoke*"), Resources: jsii.Strings("arn:aws:lambda:*:*:function:*"),
			}))
		}, "lets jobs call lambda:InvokeFunction"},
		"by all but something": {func(_ system, f *constructs.RunnerFleet) {
			f.GrantPrincipal().AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				NotActions: jsii.Strings("s3:*"), Resources: jsii.Strings("*"),
			}))
		}, "lets jobs call lambda:InvokeFunction"},
		"by a managed policy of AWS": {func(_ system, f *constructs.RunnerFleet) {
			f.TaskRole().AddManagedPolicy(awsiam.ManagedPolicy_FromAwsManagedPolicyName(jsii.String("AdministratorAccess")))
		}, "the managed policy AdministratorAccess lets jobs call"},
		"by a managed policy of AWS in a folder": {func(_ system, f *constructs.RunnerFleet) {
			f.TaskRole().AddManagedPolicy(awsiam.ManagedPolicy_FromAwsManagedPolicyName(
				jsii.String("service-role/AWSLambdaRole")))
		}, "the managed policy AWSLambdaRole lets jobs call"},
		"by full access to Lambda": {func(_ system, f *constructs.RunnerFleet) {
			f.TaskRole().AddManagedPolicy(awsiam.ManagedPolicy_FromAwsManagedPolicyName(jsii.String("AWSLambda_FullAccess")))
		}, "the managed policy AWSLambda_FullAccess lets jobs call"},
		"by the access of power users": {func(_ system, f *constructs.RunnerFleet) {
			f.TaskRole().AddManagedPolicy(awsiam.ManagedPolicy_FromAwsManagedPolicyName(jsii.String("PowerUserAccess")))
		}, "the managed policy PowerUserAccess lets jobs call"},
		"by an inline policy of its own": {func(s system, f *constructs.RunnerFleet) {
			awsiam.NewCfnRolePolicy(s.stack, jsii.String("Inline"), &awsiam.CfnRolePolicyProps{
				RoleName: f.TaskRole().RoleName(), PolicyName: jsii.String("inline"), PolicyDocument: map[string]any{
					"Statement": []any{map[string]any{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}},
				},
			})
		}, "Test/Inline lets jobs call"},
		"by another trust policy": {func(_ system, f *constructs.RunnerFleet) {
			f.TaskRole().Node().DefaultChild().(awsiam.CfnRole).SetAssumeRolePolicyDocument(map[string]any{
				"Statement": []any{map[string]any{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{
					"AWS": "*",
				}}},
			})
		}, "the trust policy of its task role must be map"},
		"by a managed policy": {func(s system, f *constructs.RunnerFleet) {
			awsiam.NewManagedPolicy(s.stack, jsii.String("Managed"), &awsiam.ManagedPolicyProps{
				Roles: &[]awsiam.IRole{f.TaskRole()},
				Statements: &[]awsiam.PolicyStatement{awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
					Actions: jsii.Strings("lambda:InvokeFunction"), Resources: &[]*string{s.registration.Function().FunctionArn()},
				})},
			})
		}, "Test/Managed/Resource lets jobs call"},
		"by assuming the role": {func(_ system, f *constructs.RunnerFleet) {
			f.TaskRole().(awsiam.Role).AssumeRolePolicy().AddStatements(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Actions: jsii.Strings("sts:AssumeRole"), Principals: &[]awsiam.IPrincipal{awsiam.NewAccountRootPrincipal()},
			}))
		}, "the trust policy of its task role must have one statement, for ecs-tasks.amazonaws.com, got 2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			fleet := s.fleet("Linux", nil)
			open.open(s, fleet)
			assert.Contains(t, cdktest.PanicMessage(t, func() { cdktest.Template(s.stack) }), open.want)
		})
	}
}

func TestRunnerFleet_SynthesisFailsWhenAGrantInAnotherStackOpensTheFunction(t *testing.T) {
	app := cdktest.NewApp(t, nil)
	base, fleets := awscdk.NewStack(app, jsii.String("Base"), nil), awscdk.NewStack(app, jsii.String("Fleets"), nil)
	cluster := constructs.NewRunnerCluster(base, "Cluster", nil)
	s := system{fleets, cluster, constructs.NewRunnerRegistration(base, "Registration",
		&constructs.RunnerRegistrationProps{
			Scope: constructs.Organization("my-org"), Cluster: cluster,
		})}
	s.registration.Function().GrantInvoke(s.fleet("Linux", nil))
	assert.Contains(t, cdktest.PanicMessage(t, func() { app.Synth(nil) }),
		"lets jobs call lambda:InvokeFunction on the registration function past its URL")
}

// The construct tree of a company is not ours to choose: cluster and registration,
// fleet with what it may use, and ingress in three stacks, the image in a fourth.
func TestRunnerFleet_SpreadOverStacksThereIsNoCycleAndNoRevisionInAnOutput(t *testing.T) {
	app := cdktest.NewApp(t, nil)
	stackOf := func(id string) awscdk.Stack { return awscdk.NewStack(app, &id, nil) }
	images, base, fleets, front := stackOf("Images"), stackOf("Base"), stackOf("Fleets"), stackOf("Front")

	image := constructs.NewRunnerImagePipeline(images, "Image", nil)
	cluster := constructs.NewRunnerCluster(base, "Cluster", nil)
	registration := constructs.NewRunnerRegistration(base, "Registration", &constructs.RunnerRegistrationProps{
		Scope: constructs.Repository("my-org/app"), Cluster: cluster,
	})
	bucket := awss3.NewBucket(fleets, jsii.String("Cache"), nil)
	fleet := constructs.NewRunnerFleet(fleets, "Linux", &constructs.RunnerFleetProps{
		Registration: registration,
		Image:        image.Image(), Labels: []string{"linux"},
	})
	bucket.GrantReadWrite(fleet, nil)
	ingress := constructs.NewWebhookIngress(front, "Ingress", owners())
	ingress.AddFleet(fleet)

	assembly := app.Synth(nil)
	for _, stack := range []awscdk.Stack{images, base, fleets, front} {
		template := assembly.GetStackByName(stack.StackName()).Template().(map[string]any)
		outputs, _ := template["Outputs"].(map[string]any)
		for name, output := range outputs {
			encoded, err := json.Marshal(output)
			require.NoError(t, err)
			for id, resource := range template["Resources"].(map[string]any) {
				switch kind := cdktest.At(resource, "Type"); kind {
				case "AWS::ECS::TaskDefinition", "AWS::Lambda::Version", "Custom::RunnerImage":
					assert.NotContainsf(t, string(encoded), `"`+id+`"`,
						"%s of %s refers to %s, a %s: CloudFormation refuses to change what another stack imports", name,
						*stack.StackName(), id, kind)
				}
			}
		}
	}
	template := assembly.GetStackByName(fleets.StackName()).Template().(map[string]any)
	var granted bool
	for _, policy := range cdktest.Resources(template, "AWS::IAM::Policy") {
		encoded, err := json.Marshal(policy)
		require.NoError(t, err)
		granted = granted || strings.Contains(string(encoded), "s3:PutObject")
	}
	assert.True(t, granted, "the grant must be where the bucket is: the role's own stack comes first")
}

func TestWebhookIngress_AddFleet_StartsATaskForEachQueuedJob(t *testing.T) {
	s := newSystem(t)
	fleet := s.fleet("Linux", nil)
	ingress := constructs.NewWebhookIngress(s.stack, "Ingress", owners())
	ingress.AddFleet(fleet)
	template := cdktest.Template(s.stack)
	rule := cdktest.Properties(t, template, ingress.Rule(fleet))

	assertAt(t, rule, []expectation{
		{"EventBusName", resolved(s.stack, ingress.Bus().EventBusName()), "no event would come"},
		{"State", nil, "the rule is on"},
		{"EventPattern", map[string]any{
			"source": []any{"github.com", "ecsrunners"}, "detail-type": []any{"workflow_job"},
			"detail": map[string]any{"action": []any{"queued"}, "dispatch": map[string]any{"fleet": []any{"linux"}}},
		}, "tasks would start for other events than this fleet's queued jobs"},
		{"Targets.0.Arn", resolved(s.stack, s.cluster.Cluster().ClusterArn()), "tasks would start elsewhere"},
		{"Targets.0.EcsParameters.LaunchType", nil, "tasks would bypass the capacity provider, and no instance would start"},
		{"Targets.0.EcsParameters.CapacityProviderStrategy", []any{map[string]any{
			"CapacityProvider": resolved(s.stack, fleet.Capacity().CapacityProvider().CapacityProviderName()), "Weight": 1.0,
		}}, "no instance would start"},
		{
			"Targets.0.EcsParameters.PlacementStrategies",
			[]any{map[string]any{"Type": "binpack", "Field": "memory"}},
			"tasks would spread over instances, none of which would become empty",
		},
		{"Targets.0.EcsParameters.PlacementConstraints", nil, ""},
		{"Targets.0.EcsParameters.NetworkConfiguration", nil, "ECS refuses one in bridge mode"},
		{"Targets.0.EcsParameters.TaskCount", 1.0, "a job is one task's"},
		{"Targets.0.EcsParameters.PropagateTags", "TASK_DEFINITION", "nobody could tell whose the tasks are"},
		{"Targets.0.EcsParameters.EnableECSManagedTags", true, "bills could not tell the cluster"},
		{
			"Targets.0.RetryPolicy",
			map[string]any{"MaximumEventAgeInSeconds": 900.0, "MaximumRetryAttempts": 185.0},
			"a task for a job of yesterday",
		},
		{
			"Targets.0.DeadLetterConfig.Arn", resolved(s.stack, ingress.DeadLetters().QueueArn()),
			"what ECS refuses would be gone",
		},
		{"Targets.0.Input", nil, ""},
	})
	family := *fleet.TaskDefinition().Family()
	assert.True(t, strings.HasSuffix(cdktest.Text(t, cdktest.At(rule, "Targets.0.EcsParameters.TaskDefinitionArn")),
		":task-definition/"+family), "a revision would go stale with the next deployment")

	// The overrides as EventBridge makes them of an event.
	transformer := cdktest.At(rule, "Targets.0.InputTransformer").(map[string]any)
	dispatch := contract.Dispatch{
		Fleet: "linux", JobID: "29679449526", Repository: "my-org/app", Labels: "linux",
		DeliveryID: "72d3162e", Attempt: "1",
	}
	encoded, err := json.Marshal(map[string]any{"detail": map[string]any{"dispatch": dispatch}})
	require.NoError(t, err)
	var event any
	require.NoError(t, json.Unmarshal(encoded, &event))
	text := fmt.Sprint(transformer["InputTemplate"])
	for name, path := range transformer["InputPathsMap"].(map[string]any) {
		value, err := json.Marshal(cdktest.At(event, strings.TrimPrefix(fmt.Sprint(path), "$.")))
		require.NoError(t, err)
		text = strings.ReplaceAll(text, "<"+name+">", string(value))
	}
	var overrides any
	require.NoErrorf(t, json.Unmarshal([]byte(text), &overrides), "ECS would refuse %s", text)
	assert.Equal(t, map[string]any{"containerOverrides": []any{map[string]any{"name": "runner", "environment": []any{
		map[string]any{"name": "ECSRUNNERS_JOB_ID", "value": "29679449526"},
		map[string]any{"name": "ECSRUNNERS_REPOSITORY", "value": "my-org/app"},
		map[string]any{"name": "ECSRUNNERS_FLEET", "value": "linux"},
		map[string]any{"name": "ECSRUNNERS_ATTEMPT", "value": "1"},
		map[string]any{"name": "ECSRUNNERS_DELIVERY_ID", "value": "72d3162e"},
	}}}}, overrides, "the supervisor would not know its job; and nothing in an event may become a command")
	assert.Less(t, len(text), 8192, "ECS takes no longer overrides")

	role := cdktest.Definition(t, template, s.stack.Node().FindChild(jsii.String("Ingress")).Node().FindChild(
		jsii.String("RuleRole-linux")))
	statements := cdktest.At(role, "Properties.Policies.0.PolicyDocument.Statement").([]any)
	require.Len(t, statements, 3)
	assert.True(t, strings.HasSuffix(cdktest.Text(t, cdktest.At(statements[0], "Resource")), ":task-definition/"+family+
		":*"), "any revision of the family, and no other family")
	assertAt(t, statements[0].(map[string]any), []expectation{
		{"Action", "ecs:RunTask", ""},
		{
			"Condition.ArnEquals.ecs:cluster", resolved(s.stack, s.cluster.Cluster().ClusterArn()),
			"tasks could start in any cluster",
		},
	})
	assertAt(t, statements[2].(map[string]any), []expectation{
		{"Action", "iam:PassRole", ""},
		{"Resource", []any{resolved(s.stack, fleet.ExecutionRole().RoleArn()), resolved(s.stack,
			fleet.TaskRole().RoleArn())}, "tasks could get other roles"},
		{"Condition.StringEquals.iam:PassedToService", "ecs-tasks.amazonaws.com", "others could get the roles"},
	})
	assertAt(t, role, []expectation{
		{"Properties.AssumeRolePolicyDocument.Statement.0.Principal.Service", "events.amazonaws.com", ""},
		{"Properties.AssumeRolePolicyDocument.Statement.0.Condition.StringEquals.aws:SourceAccount", resolved(s.stack,
			s.stack.Account()), "another account's rule could use it"},
	})
	bus := fmt.Sprintf("rule/${%s}/*", cdktest.LogicalID(t, ingress.Bus()))
	assert.True(t,
		strings.HasSuffix(cdktest.Text(t,
			cdktest.At(role,
				"Properties.AssumeRolePolicyDocument.Statement.0.Condition.ArnLike.aws:SourceArn")), bus), "any rule could use it")

	letters, _ := json.Marshal(cdktest.Resource(t, template, "AWS::SQS::QueuePolicy"))
	assert.Contains(t, string(letters), `"Service":"events.amazonaws.com"`, "EventBridge could not leave dead letters")
	definition := cdktest.Definition(t, template, ingress.Rule(fleet))
	for _, needed := range []string{
		cdktest.LogicalID(t, fleet.TaskDefinition()), cdktest.LogicalID(t, s.cluster.CapacityProviderAssociations()),
		cdktest.LogicalID(t, fleet.ExecutionRole()),
	} {
		assert.Contains(t, definition["DependsOn"], needed, "a task could start before it")
	}
	assert.Contains(t, cdktest.Definition(t, template, ingress.Function())["DependsOn"], cdktest.LogicalID(t,
		ingress.Rule(fleet)), "a job could be routed to a fleet whose rule is not there yet")
	for _, metric := range []string{*ingress.MetricFailedInvocations(fleet, nil).MetricName(), *ingress.MetricDeadLetters(
		fleet, nil).MetricName()} {
		assert.Contains(t, []string{"FailedInvocations", "InvocationsSentToDlq"}, metric)
	}
	stranger := newSystem(t).fleet("Stranger", nil)
	assert.Contains(t, cdktest.PanicMessage(t, func() { ingress.Rule(stranger) }), `fleet "stranger" was not added`)
}
