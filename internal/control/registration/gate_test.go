package registration_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/registration"
)

// calls are how often STS, ECS and GitHub were asked.
func (a *api) asked() [3]int {
	a.github.mu.Lock()
	defer a.github.mu.Unlock()
	github := 0
	for _, n := range a.github.calls {
		github += n
	}
	return [3]int{a.sts.Calls(), len(a.ecs.asked), github}
}

// A job asks in a loop, with the credentials of its task. The ledger knows that there
// is nothing to be had, and nobody else is asked.
func TestLoop_WhatTheLedgerRefusesCostsOthersNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path   string
		after  string // the last request of the supervisor
		status int
	}{
		"register while the runner listens": {"/register", "/started", http.StatusConflict},
		"started again":                     {"/started", "/started", http.StatusNoContent},
		"release without the token":         {"/release", "/started", http.StatusForbidden},
		"release of nothing":                {"/release", "/release", http.StatusNoContent},
		"started without a runner":          {"/started", "/release", http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			who := signer("AROALINUX", taskOne)
			require.Equal(t, http.StatusOK, a.post(t, "/register", goodBody, who).Code)
			require.Equal(t, http.StatusNoContent, a.post(t, test.after, goodBody, who).Code)
			before := a.asked()
			for n := range 100 {
				a.clock.set(start.Add(time.Duration(n+1) * 3 * time.Second)) // slowly enough for every bound
				assert.Equal(t, test.status, a.post(t, test.path, goodBody, who).Code)
			}
			assert.Equal(t, before, a.asked(), "STS, ECS and GitHub were asked")
		})
	}
}

// Who was refused gets the same answer for a minute, and nobody is asked again.
func TestLoop_ARefusalIsRememberedForAMinute(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	who := signer("AROALINUX", taskOne)
	a.ecs.tasks[taskOne] = ecsTask(taskOne, func(_ *types.Task, v map[string]string) { v["NODE_OPTIONS"] = "-r /evil" })
	first := a.post(t, "/register", goodBody, who)
	require.Equal(t, http.StatusForbidden, first.Code)
	for range 1000 {
		again := a.post(t, "/register", goodBody, who)
		assert.Equal(t, http.StatusForbidden, again.Code)
		assert.Equal(t, first.Body.String(), again.Body.String())
	}
	assert.Equal(t, [3]int{1, 1, 0}, a.asked())
	assert.Equal(t, http.StatusNoContent, a.post(t, "/release", goodBody, who).Code, "another path is another matter")

	a.ecs.tasks[taskOne] = ecsTask(taskOne, nil)
	a.clock.set(start.Add(59 * time.Second))
	assert.Equal(t, http.StatusForbidden, a.post(t, "/register", goodBody, who).Code)
	a.clock.set(start.Add(time.Minute))
	assert.Equal(t, http.StatusOK, a.post(t, "/register", goodBody, who).Code)
}

// Only the task itself can have itself refused: somebody who claims to be the task
// and cannot prove it does not keep it from its job.
func TestLoop_AForgerDoesNotLockATaskOut(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	forger := signer("AROALINUX", taskOne)
	forger.AccessKey = "ASIAMALLORY00000000"
	bad := proof(t, "AROALINUX", taskOne, start)
	bad.AccessKeyID = forger.AccessKey
	for n := range 100 {
		bad.Signature = runnercontract.Secret(fmt.Sprintf("%064x", n))
		a.send(t, http.MethodPost, "/register", with(t, goodBody, bad), forger)
	}
	assert.LessOrEqual(t, a.sts.Calls(), registration.Burst, "one who has no proof makes the function ask STS")
	assert.Empty(t, a.ecs.asked)
	assert.Equal(t, http.StatusOK, a.post(t, "/register", goodBody, signer("AROALINUX", taskOne)).Code)
}

// A task has a number of requests at once, and then one every two seconds. Others
// have theirs.
func TestLoop_ATaskIsBounded(t *testing.T) {
	t.Parallel()
	const second = "fedcba9876543210fedcba9876543210"
	a := newAPI(t)
	a.ecs.tasks[second] = ecsTask(second, nil)
	a.ecs.err = errors.New("throttled") // what the ledger cannot refuse
	who := signer("AROALINUX", taskOne)
	for n := range 200 {
		// Each with a proof of its own, as far as their dates allow.
		at := a.clock.Now().Add(-time.Duration(n) * time.Second)
		body := with(t, goodBody, proof(t, "AROALINUX", taskOne, at))
		answer := a.send(t, http.MethodPost, "/register", body, who)
		if n < registration.Burst {
			require.Equal(t, http.StatusServiceUnavailable, answer.Code)
			continue
		}
		require.Equal(t, http.StatusTooManyRequests, answer.Code)
		assert.Equal(t, "2", answer.Header().Get("Retry-After"))
		assert.JSONEq(t, `{"error":"the task asks too often"}`, answer.Body.String())
	}
	assert.Equal(t, [3]int{registration.Burst, registration.Burst, 0}, a.asked())
	assert.Equal(t, http.StatusServiceUnavailable, a.post(t, "/register", goodBody, signer("AROALINUX", second)).Code,
		"another task is held back")
	for n := range 100 {
		a.clock.set(start.Add(time.Duration(n+1) * 2 * time.Second))
		assert.Equal(t, http.StatusServiceUnavailable, a.post(t, "/register", goodBody, who).Code,
			"as often as a supervisor asks")
	}
}

// What is remembered of callers has a bound, whoever comes.
func TestLoop_TheMemoryIsBounded(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.sts.Fail(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>"))
	})
	for n := range registration.MaxCallers + 200 {
		session := fmt.Sprintf("%032x", n)
		session = strings.Join([]string{session[16:], session[:16]}, "") // the key has the beginning
		require.Equal(t, http.StatusForbidden, a.post(t, "/register", goodBody, signer("AROALINUX", session)).Code,
			strconv.Itoa(n))
	}
	callers, verdicts := registration.Remembered(a.handler)
	assert.Equal(t, registration.MaxCallers, callers)
	assert.Equal(t, registration.MaxCallers, verdicts)
}
