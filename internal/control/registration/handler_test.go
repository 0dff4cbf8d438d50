package registration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/functionurl"
	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
	"github.com/ecs-github-runners/ecsrunners/internal/control/registration"
)

const (
	account = "111122223333"
	cluster = "arn:aws:ecs:eu-central-1:111122223333:cluster/runners"
	taskOne = "0123456789abcdef0123456789abcdef"
)

// fakeECS knows tasks by their ids.
type fakeECS struct {
	tasks map[string]types.Task
	err   error
	asked []*ecs.DescribeTasksInput
}

func (f *fakeECS) DescribeTasks(_ context.Context, in *ecs.DescribeTasksInput, _ ...func(*ecs.Options)) (
	*ecs.DescribeTasksOutput, error,
) {
	f.asked = append(f.asked, in)
	if f.err != nil {
		return nil, f.err
	}
	if task, found := f.tasks[in.Tasks[0]]; found {
		return &ecs.DescribeTasksOutput{Tasks: []types.Task{task}}, nil
	}
	return &ecs.DescribeTasksOutput{Failures: []types.Failure{{Reason: aws.String("MISSING")}}}, nil
}

// ecsTask is a running task as ECS describes it.
func ecsTask(id string, change func(*types.Task, map[string]string)) types.Task {
	task := types.Task{
		TaskArn: aws.String("arn:aws:ecs:eu-central-1:111122223333:task/runners/" + id), ClusterArn: aws.String(cluster),
		TaskDefinitionArn: aws.String("arn:aws:ecs:eu-central-1:111122223333:task-definition/linux-family:7"),
		LastStatus:        aws.String("RUNNING"), DesiredStatus: aws.String("RUNNING"),
	}
	variables := map[string]string{
		runnercontract.EnvFleet: "linux", runnercontract.EnvJobID: "1",
		runnercontract.EnvRepository: "octo/app",
	}
	if change != nil {
		change(&task, variables)
	}
	override := types.ContainerOverride{Name: aws.String("runner")}
	for name, value := range variables {
		override.Environment = append(override.Environment, types.KeyValuePair{
			Name:  aws.String(name),
			Value: aws.String(value),
		})
	}
	task.Overrides = &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{override}}
	return task
}

// signer is a task as AWS describes who has signed.
func signer(role, session string) *events.LambdaFunctionURLRequestContextAuthorizerIAMDescription {
	return &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{
		AccountID: account, UserID: role + ":" + session, CallerID: role + ":" + session,
		UserARN: "arn:aws:sts::111122223333:assumed-role/task-role/" + session,
	}
}

type api struct {
	*world
	handler *registration.Handler
	ecs     *fakeECS
	log     bytes.Buffer
	metrics bytes.Buffer
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{world: newWorld(), ecs: &fakeECS{tasks: map[string]types.Task{taskOne: ecsTask(taskOne, nil)}}}
	arm := registrationcontract.Fleet{Name: "arm", Labels: []string{"arm64"}, RoleID: "AROAARM", Family: "arm-family"}
	identity, err := registration.NewIdentity(registrationcontract.Config{
		Cluster: cluster, Scope: a.Scope,
		Fleets: []registrationcontract.Fleet{linux, arm},
	}, a.ecs, a.clock)
	require.NoError(t, err)
	log := slog.New(slog.NewJSONHandler(&a.log, nil))
	a.Log = log
	a.handler = &registration.Handler{
		Identity: identity, Service: a.Service, Clock: a.clock, Log: log,
		Metrics: &registration.Metrics{
			Emitter:  metrics.NewEmitter(&a.metrics, registrationcontract.MetricNamespace, a.clock),
			Function: "register", Log: log,
		},
		Remaining: func() (int, bool) { return 4711, true },
	}
	a.github.queue("1", "linux")
	return a
}

const goodBody = `{"contract":1}`

func (a *api) post(t *testing.T, path, body string,
	who *events.LambdaFunctionURLRequestContextAuthorizerIAMDescription,
) *httptest.ResponseRecorder {
	t.Helper()
	return a.send(t, http.MethodPost, path, body, who)
}

func (a *api) send(t *testing.T, method, path, body string,
	who *events.LambdaFunctionURLRequestContextAuthorizerIAMDescription,
) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if who != nil {
		request = request.WithContext(functionurl.WithCaller(request.Context(), *who))
	}
	recorder := httptest.NewRecorder()
	a.handler.ServeHTTP(recorder, request)
	return recorder
}

func TestHandler_ATaskFromItsRegistrationToItsRelease(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	who := signer("AROALINUX", taskOne)
	answer := a.post(t, "/register", goodBody, who)
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	var granted runnercontract.Registration
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &granted))
	assert.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
	assert.Equal(t, "farm-linux-1-01234567-n1", granted.RunnerName)
	assert.Equal(t, runnercontract.Secret("config-of-farm-linux-1-01234567-n1"), granted.JITConfig)
	require.Len(t, a.ecs.asked, 1)
	assert.Equal(t, cluster, *a.ecs.asked[0].Cluster)
	assert.Equal(t, []string{taskOne}, a.ecs.asked[0].Tasks)

	assert.Equal(t, http.StatusNoContent, a.post(t, "/started", goodBody, who).Code)
	again := a.post(t, "/register", goodBody, who)
	assert.Equal(t, http.StatusConflict, again.Code)
	assert.JSONEq(t, `{"error":"the task has a runner that has started"}`, again.Body.String())
	a.ecs.tasks[taskOne] = ecsTask(taskOne, func(task *types.Task, _ map[string]string) {
		task.DesiredStatus = aws.String(
			"STOPPED")
	})
	assert.Equal(t, http.StatusForbidden, a.post(t, "/release", goodBody, who).Code, "a job has the task's role, too")
	release := fmt.Sprintf(`{"contract":1,"release_token":%q}`, granted.ReleaseToken.Reveal())
	a.github.online(granted.RunnerID)
	assert.Equal(t, http.StatusNoContent, a.post(t, "/release", release, who).Code,
		"a task that is asked to stop gives its runner back")
	assert.NotContains(t, a.log.String(), granted.ReleaseToken.Reveal())
	a.ecs.tasks[taskOne] = ecsTask(taskOne, nil)
	assert.Equal(t, http.StatusNoContent, a.post(t, "/register", goodBody, who).Code)

	for _, outcome := range []string{"registered", "started", "refused", "released", "no_work"} {
		assert.Contains(t, a.metrics.String(), `"Outcome":"`+outcome+`"`)
	}
	assert.Contains(t, a.metrics.String(), `"RateLimitRemaining":4711`)
	assert.NotContains(t, a.log.String(), "config-of-", "a log is no place for a credential")
}

// Whoever is not a task of the fleet, or says so of another, gets no runner.
func TestHandler_RefusesForgers(t *testing.T) {
	t.Parallel()
	const other = "fedcba9876543210fedcba9876543210"
	for name, forge := range map[string]struct {
		who  *events.LambdaFunctionURLRequestContextAuthorizerIAMDescription
		task func(*types.Task, map[string]string)
	}{
		"nobody has signed":          {who: nil},
		"another role":               {who: signer("AROAOTHER", taskOne)},
		"a role whose name is alike": {who: signer("AROALINUX2", taskOne)},
		"no session":                 {who: signer("AROALINUX", "")},
		"a session that is no task":  {who: signer("AROALINUX", "operator")},
		"a session in capitals":      {who: signer("AROALINUX", strings.ToUpper(taskOne))},
		"a session that is too long": {who: signer("AROALINUX", taskOne+"0")},
		"a user": {who: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{
			AccountID: account, UserID: "AIDAUSER", UserARN: "arn:aws:iam::111122223333:user/AROALINUX",
		}},
		"another account": {who: func() *events.LambdaFunctionURLRequestContextAuthorizerIAMDescription {
			s := signer("AROALINUX", taskOne)
			s.AccountID = "999988887777"
			return s
		}()},
		"an ARN of another account": {who: func() *events.LambdaFunctionURLRequestContextAuthorizerIAMDescription {
			s := signer("AROALINUX", taskOne)
			s.UserARN = strings.Replace(s.UserARN, account, "999988887777", 1)
			return s
		}()},
		"an ARN of another session": {who: func() *events.LambdaFunctionURLRequestContextAuthorizerIAMDescription {
			s := signer("AROALINUX", taskOne)
			s.UserARN = strings.Replace(s.UserARN, taskOne, other, 1)
			return s
		}()},
		"two identities": {who: func() *events.LambdaFunctionURLRequestContextAuthorizerIAMDescription {
			s := signer("AROALINUX", taskOne)
			s.CallerID = "AROALINUX:" + other
			return s
		}()},
		"a stopped task": {who: signer("AROALINUX", taskOne), task: func(task *types.Task, _ map[string]string) {
			task.LastStatus = aws.String("STOPPED")
		}},
		"a task that is to stop": {who: signer("AROALINUX", taskOne), task: func(task *types.Task, _ map[string]string) {
			task.DesiredStatus = aws.String("STOPPED")
		}},
		"a task of another cluster": {who: signer("AROALINUX", taskOne), task: func(task *types.Task, _ map[string]string) {
			task.ClusterArn = aws.String(cluster + "2")
		}},
		"a neighbour's task id": {who: signer("AROAARM", taskOne)},
		"a task of another family": {who: signer("AROALINUX", taskOne), task: func(task *types.Task, _ map[string]string) {
			task.TaskDefinitionArn = aws.String("arn:aws:ecs:eu-central-1:111122223333:task-definition/other:1")
		}},
		"another task in the answer": {who: signer("AROALINUX", taskOne), task: func(task *types.Task, _ map[string]string) {
			task.TaskArn = aws.String("arn:aws:ecs:eu-central-1:111122223333:task/runners/" + other)
		}},
		"a task for another fleet": {who: signer("AROALINUX", taskOne), task: func(_ *types.Task, v map[string]string) {
			v[runnercontract.EnvFleet] = "arm"
		}},
		"a task for no job": {who: signer("AROALINUX", taskOne), task: func(_ *types.Task, v map[string]string) {
			delete(v, runnercontract.EnvJobID)
		}},
		"a job that is no number": {who: signer("AROALINUX", taskOne), task: func(_ *types.Task, v map[string]string) {
			v[runnercontract.EnvJobID] = "1/../2"
		}},
		"a repository with a path": {who: signer("AROALINUX", taskOne), task: func(_ *types.Task, v map[string]string) {
			v[runnercontract.EnvRepository] = "octo/app/../../mallory"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.ecs.tasks[taskOne] = ecsTask(taskOne, forge.task)
			for _, path := range []string{"/register", "/started"} {
				answer := a.post(t, path, goodBody, forge.who)
				assert.Equal(t, http.StatusForbidden, answer.Code)
				assert.JSONEq(t, `{"error":"not a task of this fleet"}`, answer.Body.String(),
					"what we know of tasks is not the caller's business")
			}
			assert.Empty(t, a.github.names())
			assert.Empty(t, a.github.calls, "GitHub was asked for somebody who is nobody")
		})
	}
}

// A webhook that accepts what the registration does not serve, or a repository that was
// renamed: nobody has started the task by hand.
func TestHandler_AJobOutsideTheScopeIsExplained(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.ecs.tasks[taskOne] = ecsTask(taskOne, func(_ *types.Task, v map[string]string) {
		v[runnercontract.EnvRepository] = "mallory/app"
	})
	for _, path := range []string{"/register", "/started"} {
		answer := a.post(t, path, goodBody, signer("AROALINUX", taskOne))
		assert.Equal(t, http.StatusForbidden, answer.Code)
		for _, want := range []string{`\"mallory/app\" is not in orgs/octo`, "renamed", "the webhook accepts"} {
			assert.Contains(t, answer.Body.String(), want)
			assert.Contains(t, a.log.String(), want)
		}
		assert.NotContains(t, answer.Body.String(), "not a task of this fleet")
	}
	assert.Contains(t, a.log.String(), `"repository":"mallory/app"`)
	assert.Empty(t, a.github.calls, "GitHub was asked for a repository that is nobody's")
}

func TestHandler_AnswersAsTheContractHasIt(t *testing.T) {
	t.Parallel()
	who := signer("AROALINUX", taskOne)
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		text               string
	}{
		"a version from the past": {
			http.MethodPost, "/register", `{"contract":0}`, http.StatusUpgradeRequired,
			"contract version does not fit: the image speaks version 0, this deployment 1: rebuild the image, or deploy the " +
				"stacks that belong to it",
		},
		"no version":  {http.MethodPost, "/register", `{}`, http.StatusUpgradeRequired, "the image speaks version 0"},
		"half a body": {http.MethodPost, "/register", `{"contract":1`, http.StatusBadRequest, "body is not a request"},
		"a large body": {
			http.MethodPost, "/register", `{"contract":1,"x":"` + strings.Repeat("x", 5000) + `"}`,
			http.StatusBadRequest, "body is not a request",
		},
		"a get":        {http.MethodGet, "/register", goodBody, http.StatusMethodNotAllowed, "method is not POST"},
		"another path": {http.MethodPost, "/", goodBody, http.StatusNotFound, "no such path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			answer := a.send(t, test.method, test.path, test.body, who)
			assert.Equal(t, test.status, answer.Code)
			var said runnercontract.Failure
			require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &said))
			assert.Contains(t, said.Error, test.text)
			assert.Empty(t, a.ecs.asked)
		})
	}
}

func TestHandler_TellsWhenToAskAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fail       error // of GitHub's registration
		status     int
		retryAfter string
		outcome    string
	}{
		"rate limit": {
			&github.LimitError{RetryAfter: 90500 * time.Millisecond}, http.StatusTooManyRequests, "91",
			"throttled",
		},
		"refused": {
			fmt.Errorf("registering: %w with 403: it needs X", github.ErrRefused), http.StatusServiceUnavailable,
			"30", "unavailable",
		},
		"credential":  {github.ErrCredential, http.StatusServiceUnavailable, "30", "unavailable"},
		"unavailable": {github.ErrUnavailable, http.StatusServiceUnavailable, "3", "unavailable"},
		"unexpected":  {errors.New("boom"), http.StatusServiceUnavailable, "3", "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.github.fail = func(call string) error {
				if call == "Register" {
					return test.fail
				}
				return nil
			}
			answer := a.post(t, "/register", goodBody, signer("AROALINUX", taskOne))
			assert.Equal(t, test.status, answer.Code)
			assert.Equal(t, test.retryAfter, answer.Header().Get("Retry-After"))
			assert.Contains(t, a.metrics.String(), `"Outcome":"`+test.outcome+`"`)
			assert.Contains(t, a.log.String(), test.fail.Error(), "an operator must see why")
		})
	}
}

func TestHandler_AYoungTaskThatECSDoesNotKnowYetIsAskedToComeAgain(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	who := signer("AROALINUX", taskOne)
	delete(a.ecs.tasks, taskOne)
	for _, after := range []time.Duration{0, 59 * time.Second} {
		a.clock.set(start.Add(after))
		answer := a.post(t, "/register", goodBody, who)
		assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
		assert.Equal(t, "3", answer.Header().Get("Retry-After"))
	}
	a.clock.set(start.Add(time.Minute))
	assert.Equal(t, http.StatusForbidden, a.post(t, "/register", goodBody, who).Code)
	a.ecs.tasks[taskOne] = ecsTask(taskOne, nil)
	assert.Equal(t, http.StatusOK, a.post(t, "/register", goodBody, who).Code)
	a.ecs.err = errors.New("throttled")
	answer := a.post(t, "/started", goodBody, who)
	assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
}

func TestHandler_ABusyRunnerIsKept(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	who := signer("AROALINUX", taskOne)
	require.Equal(t, http.StatusOK, a.post(t, "/register", goodBody, who).Code)
	require.Equal(t, http.StatusNoContent, a.post(t, "/started", goodBody, who).Code)
	a.github.online(1)
	a.github.give(t, "1", 1)
	assert.Equal(t, http.StatusConflict, a.post(t, "/release", `{"contract":1,"release_token":"token-1"}`, who).Code)
	assert.Contains(t, a.metrics.String(), `"Outcome":"busy"`)
}

func TestHandler_ADefectIsAnAnswerAndALine(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.Nonce = func() string { panic("defect") }
	answer := a.post(t, "/register", goodBody, signer("AROALINUX", taskOne))
	assert.Equal(t, http.StatusInternalServerError, answer.Code)
	assert.NotContains(t, answer.Body.String(), "defect\n")
	assert.Contains(t, a.log.String(), "panic: defect")
}

func TestNewIdentity_FailsWhenTheClusterIsNoARN(t *testing.T) {
	t.Parallel()
	_, err := registration.NewIdentity(registrationcontract.Config{Cluster: "runners"}, nil, nil)
	assert.ErrorIs(t, err, env.ErrInvalid)
}
