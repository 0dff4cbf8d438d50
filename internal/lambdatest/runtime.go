// Package lambdatest runs a Lambda program without Lambda: it builds the program
// as it is deployed and plays the runtime API, over which a program on an OS-only
// runtime receives its invocations. It is for tests and benchmarks.
package lambdatest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// ErrInvocation says that the program answered an invocation with an error.
var ErrInvocation = errors.New("invocation failed")

// timeout is the time an invocation may take, as the timeout of a function.
const timeout = 15 * time.Second

// Runtime is a runtime API. A program that runs with its environment receives
// the payloads given to Invoke, one at a time.
type Runtime struct {
	server   *http.Server
	address  string
	queue    chan *invocation
	requests int
	lock     sync.Mutex
	pending  map[string]*invocation
}

type invocation struct {
	payload []byte
	done    chan result
}

type result struct {
	response []byte
	err      error
}

// NewRuntime starts a runtime API on the loopback interface.
func NewRuntime() (*Runtime, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting runtime API: %w", err)
	}
	r := &Runtime{address: listener.Addr().String(), queue: make(chan *invocation), pending: make(map[string]*invocation)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", r.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{end}", r.finish)
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: timeout}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// Close stops the runtime API. Programs that wait for an invocation end.
func (r *Runtime) Close() error {
	if err := r.server.Close(); err != nil {
		return fmt.Errorf("stopping runtime API: %w", err)
	}
	return nil
}

// Environment returns the variables Lambda gives to every function, for a
// function of this name, and AWS credentials that are good for nothing.
func (r *Runtime) Environment(function string) []string {
	return []string{
		"AWS_LAMBDA_RUNTIME_API=" + r.address,
		"AWS_LAMBDA_FUNCTION_NAME=" + function,
		"AWS_REGION=eu-central-1",
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
	}
}

// Invoke hands a payload to the program and returns its response.
func (r *Runtime) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	i := &invocation{payload: payload, done: make(chan result, 1)}
	select {
	case r.queue <- i:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the program: %w", ctx.Err())
	}
	select {
	case result := <-i.done:
		return result.response, result.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the response: %w", ctx.Err())
	}
}

func (r *Runtime) next(w http.ResponseWriter, request *http.Request) {
	var i *invocation
	select {
	case i = <-r.queue:
	case <-request.Context().Done():
		return
	}
	r.lock.Lock()
	r.requests++
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", r.requests)
	r.pending[id] = i
	r.lock.Unlock()
	w.Header().Set("Lambda-Runtime-Aws-Request-Id", id)
	w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(timeout).UnixMilli(), 10))
	w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:test")
	w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(i.payload)
}

func (r *Runtime) finish(w http.ResponseWriter, request *http.Request) {
	id := request.PathValue("id")
	r.lock.Lock()
	i, ok := r.pending[id]
	delete(r.pending, id)
	r.lock.Unlock()
	if !ok {
		http.NotFound(w, request)
		return
	}
	body, err := io.ReadAll(request.Body)
	if err == nil && request.PathValue("end") == "error" {
		err = fmt.Errorf("%w: %s", ErrInvocation, body)
	}
	w.WriteHeader(http.StatusAccepted)
	i.done <- result{body, err}
}

// Response is the answer of a program behind a function URL.
type Response struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}

// Post makes the event of a POST request to a function URL. A body that is text
// comes as text, another in base64.
func Post(headers map[string]string, body []byte) ([]byte, error) {
	event := map[string]any{
		"version":        "2.0",
		"routeKey":       "$default",
		"rawPath":        "/",
		"rawQueryString": "",
		"headers":        headers,
		"requestContext": map[string]any{
			"accountId":    "anonymous",
			"apiId":        "abcdefghij",
			"domainName":   "abcdefghij.lambda-url.eu-central-1.on.aws",
			"domainPrefix": "abcdefghij",
			"http": map[string]any{
				"method": http.MethodPost, "path": "/", "protocol": "HTTP/1.1",
				"sourceIp": "140.82.115.1", "userAgent": "GitHub-Hookshot/0000000",
			},
			"requestId": "11111111-1111-4111-8111-111111111111",
			"routeKey":  "$default",
			"stage":     "$default",
			"time":      "23/Nov/2026:10:00:00 +0000",
			"timeEpoch": 1795428000000,
		},
		"body":            string(body),
		"isBase64Encoded": false,
	}
	if !utf8.Valid(body) {
		event["body"], event["isBase64Encoded"] = base64.StdEncoding.EncodeToString(body), true
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encoding event: %w", err)
	}
	return payload, nil
}

// Build builds a program of this module as it is deployed, for this machine.
func Build(ctx context.Context, program, output string) error {
	build := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false",
		"-tags", "lambda.norpc", "-ldflags=-s -w -buildid=", "-o", output, program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", program, err, text)
	}
	return nil
}
