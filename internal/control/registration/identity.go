package registration

import (
	"context"
	"errors"
	"fmt"
	"regexp"
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
	// ErrUnknownTask says that ECS does not know a task yet that may just have begun.
	ErrUnknownTask = errors.New("ECS does not know the task yet")
	// ErrECS says that ECS gave no usable answer.
	ErrECS = errors.New("ECS is not available")
)

const (
	// unknownGrace is how long a task may be unknown: ECS reports new ones a little
	// late.
	unknownGrace = 60 * time.Second
	// maxUnknown bounds what is remembered of callers that ECS does not know.
	maxUnknown = 1000

	taskStopped = "STOPPED"
)

// ECS is what Identity asks ECS. An *ecs.Client does it.
type ECS interface {
	DescribeTasks(context.Context, *ecs.DescribeTasksInput, ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error)
}

// Identity finds out which task calls. It believes AWS and nothing that a caller says
// of itself: the role, by its unique id, is a fleet's; the name of the role's
// session is the task's id, because only ECS may assume the role; ECS tells for
// which job it started the task.
type Identity struct {
	ecs     ECS
	clock   clock.Clock
	cluster arn.ARN
	scope   registrationcontract.Scope
	fleets  map[string]registrationcontract.Fleet // by the role's unique id

	mu      sync.Mutex
	unknown map[string]time.Time // since when ECS has not known a task
}

// NewIdentity returns an Identity for the tasks of a service's fleets.
func NewIdentity(service registrationcontract.Config, client ECS, clock clock.Clock) (*Identity, error) {
	cluster, err := arn.Parse(service.Cluster)
	if err != nil || cluster.Service != "ecs" {
		return nil, env.Invalid(registrationcontract.EnvCluster, service.Cluster, "the ARN of an ECS cluster")
	}
	fleets := make(map[string]registrationcontract.Fleet, len(service.Fleets))
	for _, fleet := range service.Fleets {
		fleets[fleet.RoleID] = fleet
	}
	return &Identity{
		ecs: client, clock: clock, cluster: cluster, scope: service.Scope, fleets: fleets, unknown: map[string]time.Time{},
	}, nil
}

// taskID is the id of a task, as ECS makes it now.
var taskID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Identify returns the task that has signed a request. A task that is asked to
// stop can no longer get a runner, but give one back: with stopping it is accepted too.
func (i *Identity) Identify(ctx context.Context, signer events.LambdaFunctionURLRequestContextAuthorizerIAMDescription, stopping bool) (Caller, error) {
	role, session, ok := strings.Cut(signer.UserID, ":")
	fleet, known := i.fleets[role]
	switch {
	case !ok || !known:
		return Caller{}, fmt.Errorf("%w: no fleet has the caller's role", ErrNotATask)
	case signer.AccountID != i.cluster.AccountID || signer.CallerID != "" && signer.CallerID != signer.UserID || !i.isRoleSession(signer.UserARN, session):
		return Caller{}, fmt.Errorf("%w: the caller is of another account, or no session of the role", ErrNotATask)
	case !taskID.MatchString(session):
		return Caller{}, fmt.Errorf("%w: the name of the session is no task id", ErrNotATask)
	}
	task, err := i.describe(ctx, session)
	if err != nil {
		return Caller{}, err
	}
	return i.check(task, fleet, session, stopping)
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
	caller := Caller{Fleet: fleet, Task: id}
	var named string
	if task.Overrides != nil {
		for _, container := range task.Overrides.ContainerOverrides {
			for _, variable := range container.Environment {
				switch value := aws.ToString(variable.Value); aws.ToString(variable.Name) {
				case runnercontract.EnvJobID:
					caller.Job = value
				case runnercontract.EnvRepository:
					caller.Repository = value
				case runnercontract.EnvFleet:
					named = value
				}
			}
		}
	}
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

// familyOf is the family in arn:aws:ecs:eu-central-1:111122223333:task-definition/FAMILY:REVISION.
func familyOf(taskDefinition string) string {
	_, resource, _ := strings.Cut(taskDefinition, ":task-definition/")
	family, _, _ := strings.Cut(resource, ":")
	return family
}
