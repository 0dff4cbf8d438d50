package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
	"github.com/ecs-github-runners/ecsrunners/internal/lambdatest"
)

const (
	secret  = "program-secret-c07e"
	payload = `{"action":"queued","workflow_job":{"id":1,"labels":["x64"]},"repository":{"full_name":"my-org/app","private":true},"marker":"payload-marker-51aa"}`
)

func sign(body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func headers(body string) map[string]string {
	return map[string]string{
		"content-type": "application/json", "x-github-event": "workflow_job", "x-github-delivery": "1-2-3",
		"x-hub-signature-256": sign(body),
	}
}

func environment(t *testing.T) map[string]string {
	t.Helper()
	env, err := webhookcontract.Config{
		EventBus: "runners", SecretID: "webhook", Owners: []string{"my-org"},
		Routes: []contract.Fleet{{Name: "linux", Labels: []string{"self-hosted", "linux", "x64"}}},
	}.Environment()
	require.NoError(t, err)
	return env
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

var quiet = slog.New(slog.DiscardHandler)

func TestRun_HelpNamesEveryVariable(t *testing.T) {
	var help bytes.Buffer
	err := run(t.Context(), []string{"-h"}, lookup(nil), io.Discard, &help, quiet)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, v := range webhookcontract.Variables() {
		assert.Contains(t, help.String(), v.Name)
	}
}

func TestRun_FailsWhenItIsNotConfigured(t *testing.T) {
	err := run(t.Context(), nil, lookup(nil), io.Discard, io.Discard, quiet)
	require.ErrorIs(t, err, env.ErrMissing)
	for _, name := range []string{
		webhookcontract.EnvEventBus, webhookcontract.EnvSecretID,
		webhookcontract.EnvAllowedOwners,
	} {
		assert.ErrorContains(t, err, name, "one message names everything that is missing")
	}
	env := environment(t)
	env[webhookcontract.EnvRoutes] = `[{"name":"Linux","labels":["x64"]}]`
	require.ErrorIs(t, run(t.Context(), nil, lookup(env), io.Discard, io.Discard, quiet), labels.ErrFleetName)
	require.Error(t, run(t.Context(), []string{"-secret-file", "x"}, lookup(env), io.Discard, io.Discard, quiet),
		"without -listen there is a Lambda function, and it has no files")
	require.Error(t, run(t.Context(), []string{"-verbose"}, lookup(env), io.Discard, io.Discard, quiet))
}

// buffer is an output that may be read while it is written.
type buffer struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.String()
}

func TestRun_ServesHTTPWithoutAWS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(secret+"\r\n"), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())

	env := environment(t)
	delete(env, webhookcontract.EnvEventBus)
	delete(env, webhookcontract.EnvSecretID)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-listen", address, "-secret-file", file}, lookup(env), &stdout, io.Discard, quiet)
	}()
	post := func(body, signature string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, strings.NewReader(body))
		require.NoError(t, err)
		for name, value := range headers(body) {
			request.Header.Set(name, value)
		}
		request.Header.Set("X-Hub-Signature-256", signature)
		var response *http.Response
		require.Eventually(t, func() bool {
			response, err = http.DefaultClient.Do(request)
			return err == nil
		}, 10*time.Second, 10*time.Millisecond)
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode, string(answer)
	}
	status, answer := post(payload, sign(payload))
	assert.Equal(t, http.StatusAccepted, status)
	assert.JSONEq(t, `{"outcome":"accepted","event":"workflow_job","action":"queued","fleet":"linux"}`, answer)
	assert.Contains(t, stdout.String(),
		`{"source":"github.com","detail-type":"workflow_job","detail":{"dispatch":{"fleet":"linux"`)
	status, _ = post(payload, sign(payload+" "))
	assert.Equal(t, http.StatusUnauthorized, status)
	status, _ = post(strings.Repeat("x", 7<<20), sign(payload))
	assert.Equal(t, http.StatusRequestEntityTooLarge, status)

	require.NoError(t, os.Remove(file))
	cancel()
	require.NoError(t, <-ended)
}

func TestRun_FailsWhenTheAddressIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	err = run(t.Context(), []string{"-listen", listener.Addr().String(), "-secret-file", "none"}, lookup(environment(t)),
		io.Discard, io.Discard, quiet)
	assert.ErrorContains(t, err, "serving HTTP")
}

// cloud plays Secrets Manager and EventBridge, over HTTP.
type cloud struct {
	*httptest.Server
	connections atomic.Int64
	lock        sync.Mutex
	details     []string
}

func newCloud(t *testing.T) *cloud {
	s := &cloud{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *cloud) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if r.Header.Get("X-Amz-Target") == "secretsmanager.GetSecretValue" {
		_, _ = io.WriteString(w, `{"SecretString":"`+secret+`"}`)
		return
	}
	var in struct{ Entries []struct{ Detail string } }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.lock.Lock()
	s.details = append(s.details, in.Entries[0].Detail)
	s.lock.Unlock()
	_, _ = io.WriteString(w, `{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}`)
}

// The program as it is deployed, over the runtime API of Lambda.
func TestProgram_ServesAFunctionURL(t *testing.T) {
	program := filepath.Join(t.TempDir(), "bootstrap")
	require.NoError(t, lambdatest.Build(t.Context(), ".", program))
	runtime, err := lambdatest.NewRuntime()
	require.NoError(t, err)
	cloud := newCloud(t)
	var output buffer
	command := exec.Command(program)
	command.Env = append(runtime.Environment("webhook"), "AWS_ENDPOINT_URL="+cloud.URL)
	for name, value := range environment(t) {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Stdout, command.Stderr = &output, &output
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill() })

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	deliver := func(headers map[string]string, body string) int {
		event, err := lambdatest.Post(headers, []byte(body))
		require.NoError(t, err)
		answer, err := runtime.Invoke(ctx, event)
		require.NoError(t, err, output.String())
		var response lambdatest.Response
		require.NoError(t, json.Unmarshal(answer, &response))
		return response.StatusCode
	}
	const n = 100
	for range n {
		require.Equal(t, http.StatusAccepted, deliver(headers(payload), payload))
	}
	assert.Equal(t, http.StatusUnauthorized, deliver(headers("another body"), payload))
	assert.Equal(t, http.StatusBadRequest, deliver(headers("\xff"), "\xff"), "a body in base64")
	require.Len(t, cloud.details, n)
	assert.Equal(t,
		`{"dispatch":{"fleet":"linux","job_id":"1","repository":"my-org/app","labels":"x64","delivery_id":"1-2-3","attempt":"1"},`+payload[1:], cloud.details[0])
	assert.LessOrEqual(t, cloud.connections.Load(), int64(2), "one connection for each service is enough")

	_, err = runtime.Invoke(ctx, []byte(`{"Records":[]}`))
	require.ErrorIs(t, err, lambdatest.ErrInvocation, "not an event of a function URL")
	require.Equal(t, http.StatusAccepted, deliver(headers(payload), payload), "and the program lives on")

	require.NoError(t, runtime.Close())
	_ = command.Wait()
	written := output.String()
	assert.GreaterOrEqual(t, strings.Count(written, `"message":"delivery"`), n)
	assert.GreaterOrEqual(t, strings.Count(written, `"CloudWatchMetrics"`), n)
	for _, text := range []string{secret, "payload-marker-51aa", "sha256=", sign(payload)[7:], sign("another body")[7:]} {
		assert.NotContains(t, written, text)
	}
}

func TestProgram_EndsWhenItIsNotConfigured(t *testing.T) {
	program := filepath.Join(t.TempDir(), "bootstrap")
	require.NoError(t, lambdatest.Build(t.Context(), ".", program))
	command := exec.CommandContext(t.Context(), program)
	command.Env = []string{}
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, string(output), webhookcontract.EnvAllowedOwners)

	command = exec.CommandContext(t.Context(), program, "-h")
	output, err = command.CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(output), "Usage: webhook")
}
