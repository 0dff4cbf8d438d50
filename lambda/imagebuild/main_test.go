package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
	"github.com/ecs-github-runners/ecsrunners/internal/lambdatest"
)

func TestNewHandler_FailsWhenItIsNotConfigured(t *testing.T) {
	_, err := newHandler(t.Context(), func(string) (string, bool) { return "", false }, io.Discard,
		slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, env.ErrMissing)
	assert.ErrorContains(t, err, imagebuildcontract.EnvProjects)
}

// services answers as AWS does on the wire, and takes the answer for CloudFormation.
type services struct {
	lock      sync.Mutex
	parameter string
	ended     bool
	calls     []string
	answers   []string
}

// look calls f while nothing else changes.
func (s *services) look(f func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	f()
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

const build = `{"arn": "arn:aws:codebuild:eu-central-1:123456789012:build/image-build:1", "id": "image-build:1", ` +
	`"projectName": "image-build", `

func (s *services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.lock.Lock()
	defer s.lock.Unlock()
	body, _ := io.ReadAll(r.Body)
	if r.Method == http.MethodPut {
		s.answers = append(s.answers, string(body))
		return
	}
	operation := r.Header.Get("X-Amz-Target")
	if strings.Contains(string(body), "Action=DescribeStacks") {
		operation = "DescribeStacks"
	}
	s.calls = append(s.calls, operation)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch operation {
	case "CodeBuild_20161006.StartBuild":
		fmt.Fprint(w, `{"build": `+build+`"buildStatus": "IN_PROGRESS"}}`)
	case "CodeBuild_20161006.BatchGetBuilds":
		status := `"buildStatus": "IN_PROGRESS", "buildComplete": false}`
		if s.ended {
			status = `"buildStatus": "FAILED", "buildComplete": true, "logs": {"streamName": "1", "deepLink": ` +
				`"https://console.example.com/log"}}`
		}
		fmt.Fprint(w, `{"builds": [`+build+status+`]}`)
	case "AmazonSSM.PutParameter":
		var in struct{ Value string }
		_ = json.Unmarshal(body, &in)
		s.parameter = in.Value
		fmt.Fprint(w, `{"Version": 2}`)
	case "AmazonSSM.DeleteParameter":
		s.parameter = ""
		fmt.Fprint(w, `{}`)
	case "AmazonSSM.GetParameter":
		if s.parameter == "" {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type": "ParameterNotFound"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"Parameter": map[string]any{"Value": s.parameter}})
	case "AmazonEC2ContainerRegistry_V20150921.DescribeImages":
		fmt.Fprintf(w, `{"imageDetails": [{"imagePushedAt": %d}]}`, time.Now().Add(-100*time.Hour).Unix())
	case "DescribeStacks":
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprint(w,
			`<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>
			<StackName>Image</StackName><CreationTime>2026-11-23T10:00:00Z</CreationTime><StackStatus>UPDATE_IN_PROGRESS</StackStatus>
			</member></Stacks></DescribeStacksResult></DescribeStacksResponse>`)
	default:
		http.Error(w, "unknown operation "+operation, http.StatusNotImplemented)
	}
}

// The program as it is deployed, from the request of an update to the answer.
func TestProgram_MakesADeploymentWait(t *testing.T) {
	program := filepath.Join(t.TempDir(), "bootstrap")
	require.NoError(t, lambdatest.Build(t.Context(), ".", program))
	runtime, err := lambdatest.NewRuntime()
	require.NoError(t, err)
	aws := &services{}
	server := httptest.NewServer(aws)
	defer server.Close()

	env, err := imagebuildcontract.Config{Projects: []imagebuildcontract.Project{
		{Project: "image-build", Parameter: "waiting", Repository: "runner", Tag: "latest-x64"},
	}}.Environment()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, program)
	command.Env = append(os.Environ(), runtime.Environment("imagebuild")...)
	command.Env = append(command.Env, "AWS_ENDPOINT_URL="+server.URL, imagebuildcontract.EnvProjects+"="+
		env[imagebuildcontract.EnvProjects])
	var output buffer
	command.Stdout, command.Stderr = &output, &output
	require.NoError(t, command.Start())
	defer func() {
		require.NoError(t, runtime.Close())
		_ = command.Process.Kill()
		_ = command.Wait()
	}()

	_, err = runtime.Invoke(ctx, []byte(`{
		"RequestType": "Update", "ResponseURL": "`+server.URL+
		`/answer?Signature=c0ffee", "StackId": "stack", "RequestId": "request-1",
		"LogicalResourceId": "ImageX64", "PhysicalResourceId": "ImageX64",
		"ResourceProperties": {"Project": "image-build", "Library": "new"},
		"OldResourceProperties": {"Project": "image-build", "Library": "old"}
	}`))
	require.NoError(t, err)
	aws.look(func() {
		assert.Equal(t, []string{
			"DescribeStacks", "CodeBuild_20161006.StartBuild", "AmazonSSM.PutParameter",
			"CodeBuild_20161006.BatchGetBuilds",
		}, aws.calls)
		assert.Empty(t, aws.answers)
		aws.ended = true
	})
	_, err = runtime.Invoke(ctx, []byte(`{
		"source": "aws.codebuild", "detail-type": "CodeBuild Build State Change",
		"detail": {"build-status": "FAILED", "project-name": "image-build",
		"build-id": "arn:aws:codebuild:eu-central-1:123456789012:build/image-build:1"}
	}`))
	require.NoError(t, err)
	aws.look(func() {
		require.Len(t, aws.answers, 1)
		assert.JSONEq(t, `{
			"Status": "FAILED", "PhysicalResourceId": "ImageX64", "StackId": "stack", "RequestId": "request-1",
			"LogicalResourceId": "ImageX64",
			"Reason": "building the runner image with project image-build ended with FAILED; its log: https://console.example.com/log"
		}`, aws.answers[0])
		assert.Empty(t, aws.parameter)
	})
	_, err = runtime.Invoke(ctx, []byte(`{
		"source": "aws.codebuild", "detail-type": "CodeBuild Build State Change",
		"detail": {"build-status": "FAILED", "project-name": "image-build",
		"build-id": "arn:aws:codebuild:eu-central-1:123456789012:build/image-build:1"}
	}`))
	require.NoError(t, err)
	aws.look(func() { assert.Len(t, aws.answers, 1, "nobody waits any more") })
	assert.Contains(t, output.String(), `"ImageAge":4`)
	assert.NotContains(t, output.String(), "c0ffee", "who reads the log could answer CloudFormation")
}
