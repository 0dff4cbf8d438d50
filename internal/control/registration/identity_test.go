package registration_test

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// A task that has no instance cannot ask, so somebody else does. It may be that ECS
// tells a little late.
func TestPlacement_ATaskWithoutAnInstanceIsToldToAskAgain(t *testing.T) {
	t.Parallel()
	for name, unplaced := range map[string]func(*types.Task, map[string]string){
		"provisioning": func(task *types.Task, _ map[string]string) { task.LastStatus = aws.String("PROVISIONING") },
		"no instance":  func(task *types.Task, _ map[string]string) { task.ContainerInstanceArn = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			who := signer("AROALINUX", taskOne)
			a.ecs.tasks[taskOne] = ecsTask(taskOne, unplaced)
			answer := a.post(t, "/register", goodBody, who)
			assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
			assert.Equal(t, "3", answer.Header().Get("Retry-After"))
			assert.JSONEq(t, `{"error":"the task has no instance yet"}`, answer.Body.String())
			assert.Empty(t, a.github.calls)
			a.ecs.tasks[taskOne] = ecsTask(taskOne, func(task *types.Task, _ map[string]string) {
				task.LastStatus = aws.String("PENDING") // ECS tells late that it runs
			})
			assert.Equal(t, http.StatusOK, a.post(t, "/register", goodBody, who).Code)
		})
	}
}

// Whoever may call RunTask does not get his code into a job by the overrides.
func TestOverrides_MoreThanTheRuleSetsIsRefused(t *testing.T) {
	t.Parallel()
	first := func(task *types.Task) *types.ContainerOverride { return &task.Overrides.ContainerOverrides[0] }
	for name, test := range map[string]struct {
		change func(*types.Task)
		text   string
	}{
		"another variable": {func(task *types.Task) {
			c := first(task)
			c.Environment = append(c.Environment, types.KeyValuePair{
				Name: aws.String("NODE_OPTIONS"), Value: aws.String("-r /x"),
			})
		}, `variable "NODE_OPTIONS" of runner`},
		"a variable of the task definition": {func(task *types.Task) {
			c := first(task)
			c.Environment = append(c.Environment, types.KeyValuePair{
				Name: aws.String(runnercontract.EnvRegistrationURL), Value: aws.String("https://mallory.example"),
			})
		}, runnercontract.EnvRegistrationURL},
		"a variable twice": {func(task *types.Task) {
			c := first(task)
			c.Environment = append(c.Environment, c.Environment[0])
		}, "variable"},
		"a variable of a second container": {func(task *types.Task) {
			task.Overrides.ContainerOverrides = append(task.Overrides.ContainerOverrides, types.ContainerOverride{
				Name:        aws.String("sidecar"),
				Environment: []types.KeyValuePair{{Name: aws.String(runnercontract.EnvDeliveryID), Value: aws.String("1")}},
			})
		}, "of sidecar"},
		"a command":         {func(task *types.Task) { first(task).Command = []string{"sh"} }, "command of runner"},
		"a second command":  {func(task *types.Task) { sidecar(task).Command = []string{"sh"} }, "command of sidecar"},
		"cpu":               {func(task *types.Task) { first(task).Cpu = aws.Int32(1) }, "cpu of runner"},
		"memory":            {func(task *types.Task) { first(task).Memory = aws.Int32(1) }, "memory of runner"},
		"a reservation":     {func(task *types.Task) { first(task).MemoryReservation = aws.Int32(1) }, "memory of runner"},
		"a file":            {func(task *types.Task) { first(task).EnvironmentFiles = []types.EnvironmentFile{{}} }, "environment files"},
		"a GPU":             {func(task *types.Task) { first(task).ResourceRequirements = []types.ResourceRequirement{{}} }, "resources"},
		"cpu of the task":   {func(task *types.Task) { task.Overrides.Cpu = aws.String("1") }, "cpu"},
		"its memory":        {func(task *types.Task) { task.Overrides.Memory = aws.String("1") }, "memory"},
		"its role":          {func(task *types.Task) { task.Overrides.TaskRoleArn = aws.String("arn:x") }, "task role"},
		"its agent's role":  {func(task *types.Task) { task.Overrides.ExecutionRoleArn = aws.String("arn:x") }, "execution role"},
		"its storage":       {func(task *types.Task) { task.Overrides.EphemeralStorage = &types.EphemeralStorage{} }, "storage"},
		"a shell, ECS Exec": {func(task *types.Task) { task.EnableExecuteCommand = true }, "ECS Exec"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			task := ecsTask(taskOne, nil)
			test.change(&task)
			a.ecs.tasks[taskOne] = task
			answer := a.post(t, "/register", goodBody, signer("AROALINUX", taskOne))
			assert.Equal(t, http.StatusForbidden, answer.Code)
			assert.Contains(t, said(t, answer), "the task was started with more than a fleet's rule sets: ")
			assert.Contains(t, said(t, answer), test.text)
			assert.Empty(t, a.github.calls)
		})
	}
}

func sidecar(task *types.Task) *types.ContainerOverride {
	o := task.Overrides
	o.ContainerOverrides = append(o.ContainerOverrides, types.ContainerOverride{Name: aws.String("sidecar")})
	return &o.ContainerOverrides[len(o.ContainerOverrides)-1]
}

// ECS lists containers without overrides, and members that are empty.
func TestOverrides_ThoseOfTheRuleAreAccepted(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	task := ecsTask(taskOne, func(_ *types.Task, v map[string]string) {
		v[runnercontract.EnvAttempt], v[runnercontract.EnvDeliveryID] = "1", "72d3162e"
	})
	sidecar(&task).Command = []string{}
	a.ecs.tasks[taskOne] = task
	answer := a.post(t, "/register", goodBody, signer("AROALINUX", taskOne))
	assert.Equal(t, http.StatusOK, answer.Code, answer.Body)
}
