package registration

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
)

// Errors of Identify.
var (
	// ErrNotATask says that a caller is no task of a fleet.
	ErrNotATask = errors.New("not a task of this fleet")
	// ErrOverrides says that a task was started with more than the rule sets.
	ErrOverrides = errors.New("the task was started with more than a fleet's rule sets")
	// ErrUnknownTask says that ECS does not know a task yet that may just have begun.
	ErrUnknownTask = errors.New("ECS does not know the task yet")
	// ErrNotPlaced says that a task has no instance yet, so that nothing of it can ask.
	ErrNotPlaced = errors.New("the task has no instance yet")
	// ErrECS says that ECS gave no usable answer.
	ErrECS = errors.New("ECS is not available")
)

const (
	// unknownGrace is how long a task may be unknown: ECS reports new ones a little
	// late.
	unknownGrace = 60 * time.Second
	// maxUnknown bounds what is remembered of callers that ECS does not know.
	maxUnknown = 1000

	taskProvisioning = "PROVISIONING"
	taskStopped      = "STOPPED"
)

// ECS is what Identity asks ECS. An *ecs.Client does it.
type ECS interface {
	DescribeTasks(context.Context, *ecs.DescribeTasksInput, ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error)
}

// Identity finds out which task calls. It believes AWS and nothing that a caller says
// of itself: the role, by its unique id, is a fleet's; the name of the role's
// session is the task's id, because only ECS may assume the role; ECS tells for
// which job it started the task. Role and session come from Lambda, which has checked
// the signature of the request, and again from STS, which checks that of a proof:
// whoever invokes the function past its URL can claim the former.
type Identity struct {
	ecs     ECS
	proofs  *Proofs
	clock   clock.Clock
	cluster arn.ARN
	scope   registrationcontract.Scope
	fleets  map[string]registrationcontract.Fleet // by the role's unique id

	mu      sync.Mutex
	unknown map[string]time.Time // since when ECS has not known a task
}

// NewIdentity returns an Identity for the tasks of a service's fleets.
func NewIdentity(service registrationcontract.Config, client ECS, proofs *Proofs, clock clock.Clock) (*Identity, error) {
	cluster, err := arn.Parse(service.Cluster)
	if err != nil || cluster.Service != "ecs" {
		return nil, env.Invalid(registrationcontract.EnvCluster, service.Cluster, "the ARN of an ECS cluster")
	}
	fleets := make(map[string]registrationcontract.Fleet, len(service.Fleets))
	for _, fleet := range service.Fleets {
		fleets[fleet.RoleID] = fleet
	}
	return &Identity{
		ecs: client, proofs: proofs, clock: clock, cluster: cluster, scope: service.Scope, fleets: fleets, unknown: map[string]time.Time{},
	}, nil
}

// taskID is the id of a task, as ECS makes it now.
var taskID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// claim is who somebody says to be, with what is to prove it.
type claim struct {
	fleet        registrationcontract.Fleet
	task         string
	transport    events.LambdaFunctionURLRequestContextAuthorizerIAMDescription
	proof        runnercontract.Proof
	registration string // the host that was called
}

// claimed returns who a request comes from if what it says of itself is true. It asks
// nobody, and fails with ErrNotATask or ErrProof.
func (i *Identity) claimed(transport events.LambdaFunctionURLRequestContextAuthorizerIAMDescription, proof runnercontract.Proof, registration string) (claim, error) {
	role, session, ok := strings.Cut(transport.UserID, ":")
	fleet, known := i.fleets[role]
	switch {
	case !ok || !known:
		return claim{}, fmt.Errorf("%w: no fleet has the caller's role", ErrNotATask)
	case transport.AccountID != i.cluster.AccountID || transport.CallerID != "" && transport.CallerID != transport.UserID || !i.isRoleSession(transport.UserARN, session):
		return claim{}, fmt.Errorf("%w: the caller is of another account, or no session of the role", ErrNotATask)
	case !taskID.MatchString(session):
		return claim{}, fmt.Errorf("%w: the name of the session is no task id", ErrNotATask)
	}
	c := claim{fleet, session, transport, proof, registration}
	if err := i.proofs.check(proof); err != nil {
		return c, err
	}
	if proof.AccessKeyID != transport.AccessKey {
		return c, fmt.Errorf("%w: it was made with other credentials than the request", ErrProof)
	}
	return c, nil
}

// sender is whose requests are counted together.
func (c claim) sender() sender { return sender{c.task, c.proof.AccessKeyID} }

// verify lets STS say who has made the proof of a claim.
func (i *Identity) verify(ctx context.Context, c claim) error {
	who, err := i.proofs.signer(ctx, c.proof, c.registration)
	if err != nil {
		return err
	}
	if who.userID != c.transport.UserID || who.account != c.transport.AccountID {
		return fmt.Errorf("%w: it was made by %s, but the request was sent by %s", ErrProof, who.userID, c.transport.UserID)
	}
	return nil
}

// identify returns the task that has proved a claim. A task that is asked to stop can
// no longer get a runner, but give one back: with stopping it is accepted too.
func (i *Identity) identify(ctx context.Context, c claim, stopping bool) (Caller, error) {
	task, err := i.describe(ctx, c.task)
	if err != nil {
		return Caller{}, err
	}
	return i.check(task, c.fleet, c.task, stopping)
}

// isRoleSession reports whether an ARN is arn:aws:sts::111122223333:assumed-role/NAME/SESSION.
func (i *Identity) isRoleSession(userARN, session string) bool {
	a, err := arn.Parse(userARN)
	if err != nil {
		return false
	}
	parts := strings.Split(a.Resource, "/")
	return a.Service == "sts" && a.AccountID == i.cluster.AccountID && len(parts) == 3 && parts[0] == "assumed-role" && parts[2] == session
}

func (i *Identity) describe(ctx context.Context, id string) (types.Task, error) {
	out, err := i.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(i.cluster.String()), Tasks: []string{id}})
	if err != nil {
		return types.Task{}, fmt.Errorf("%w: describing task %s: %w", ErrECS, id, err)
	}
	if len(out.Tasks) != 1 {
		if i.youngAndUnknown(id) {
			return types.Task{}, ErrUnknownTask
		}
		return types.Task{}, fmt.Errorf("%w: the cluster has no task %s", ErrNotATask, id)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.unknown, id)
	return out.Tasks[0], nil
}

// youngAndUnknown reports whether a task may still turn out to exist.
func (i *Identity) youngAndUnknown(id string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.clock.Now()
	since, seen := i.unknown[id]
	if !seen {
		if len(i.unknown) >= maxUnknown {
			clear(i.unknown) // those wait a little longer
		}
		i.unknown[id], since = now, now
	}
	return now.Sub(since) < unknownGrace
}

// check makes sure that a task is the fleet's, and lives.
func (i *Identity) check(task types.Task, fleet registrationcontract.Fleet, id string, stopping bool) (Caller, error) {
	refuse := func(format string, args ...any) (Caller, error) {
		return Caller{}, fmt.Errorf("%w: "+format, append([]any{ErrNotATask}, args...)...)
	}
	if cluster := aws.ToString(task.ClusterArn); cluster != i.cluster.String() {
		return refuse("task %s is in cluster %s", id, cluster)
	}
	if !strings.HasSuffix(aws.ToString(task.TaskArn), "/"+id) {
		return refuse("ECS reports task %s", aws.ToString(task.TaskArn))
	}
	if family := familyOf(aws.ToString(task.TaskDefinitionArn)); family != fleet.Family {
		return refuse("task %s is of family %s, fleet %s has %s", id, family, fleet.Name, fleet.Family)
	}
	if aws.ToString(task.LastStatus) == taskStopped || !stopping && aws.ToString(task.DesiredStatus) == taskStopped {
		return refuse("task %s is stopped", id)
	}
	if aws.ToString(task.LastStatus) == taskProvisioning || aws.ToString(task.ContainerInstanceArn) == "" {
		return Caller{}, ErrNotPlaced
	}
	set, extra := overridden(task)
	if len(extra) > 0 {
		return Caller{}, fmt.Errorf("%w: %s", ErrOverrides, strings.Join(extra, ", "))
	}
	caller := Caller{Fleet: fleet, Task: id, Job: set[runnercontract.EnvJobID], Repository: set[runnercontract.EnvRepository]}
	named := set[runnercontract.EnvFleet]
	switch {
	case named != fleet.Name:
		return refuse("task %s was started for fleet %q, its role is that of %s", id, named, fleet.Name)
	case !contract.IsJobID(caller.Job):
		return refuse("task %s was started for job %q, which is no id", id, caller.Job)
	case !contract.IsRepositoryName(caller.Repository):
		return refuse("task %s was started for repository %q, which is no name", id, caller.Repository)
	case !i.scope.Covers(caller.Repository):
		return caller, outOfScope(caller.Repository, i.scope)
	}
	return caller, nil
}

// overridden returns the variables that RunTask has set for a task, and names what it
// has set besides those of a fleet's rule: a variable such as NODE_OPTIONS or another
// command runs code of whoever called RunTask in somebody's job.
func overridden(task types.Task) (variables map[string]string, extra []string) {
	variables = map[string]string{}
	note := func(what string, is bool) {
		if is {
			extra = append(extra, what)
		}
	}
	note("ECS Exec", task.EnableExecuteCommand)
	o := task.Overrides
	if o == nil {
		return variables, extra
	}
	note("cpu", aws.ToString(o.Cpu) != "")
	note("memory", aws.ToString(o.Memory) != "")
	note("task role", aws.ToString(o.TaskRoleArn) != "")
	note("execution role", aws.ToString(o.ExecutionRoleArn) != "")
	note("ephemeral storage", o.EphemeralStorage != nil)
	owner := "" // ECS lists each container, those without overrides too
	for _, container := range o.ContainerOverrides {
		name := aws.ToString(container.Name)
		note("command of "+name, len(container.Command) > 0)
		note("cpu of "+name, aws.ToInt32(container.Cpu) != 0)
		note("memory of "+name, aws.ToInt32(container.Memory) != 0 || aws.ToInt32(container.MemoryReservation) != 0)
		note("environment files of "+name, len(container.EnvironmentFiles) > 0)
		note("resources of "+name, len(container.ResourceRequirements) > 0)
		for _, variable := range container.Environment {
			key := aws.ToString(variable.Name)
			_, twice := variables[key]
			note(fmt.Sprintf("variable %q of %s", key, name), twice || owner != "" && owner != name || !slices.Contains(runnercontract.TaskVariables(), key))
			variables[key], owner = aws.ToString(variable.Value), name
		}
	}
	return variables, extra
}

// familyOf is the family in arn:aws:ecs:eu-central-1:111122223333:task-definition/FAMILY:REVISION.
func familyOf(taskDefinition string) string {
	_, resource, _ := strings.Cut(taskDefinition, ":task-definition/")
	family, _, _ := strings.Cut(resource, ":")
	return family
}
