package imagebuild_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cloudformationtypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	codebuildtypes "github.com/aws/aws-sdk-go-v2/service/codebuild/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/imagebuild"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
)

const (
	stackID  = "arn:aws:cloudformation:eu-central-1:123456789012:stack/RunnersImage/5b0e8b00"
	address  = "https://cloudformation-custom-resource-response.example.com/answer?X-Amz-Signature=c0ffee"
	buildARN = "arn:aws:codebuild:eu-central-1:123456789012:build/image-build:"
	logURL   = "https://console.aws.amazon.com/cloudwatch/home#logEvent:group=image-build"
)

// account is an AWS account as far as the handler can see it.
type account struct {
	parameter string                           // "" if there is none
	builds    map[string]*codebuildtypes.Build // by ARN
	tokens    map[string]string                // ARN by idempotency token
	status    cloudformationtypes.StackStatus
	pushed    *time.Time
	answers   []map[string]any
	largest   int // in bytes
	log       bytes.Buffer
	metrics   bytes.Buffer

	// Failures to come.
	startErr, describeErr, putErr, getErr, stackErr error
	imageErr, deleteErr                             error
	panics                                          bool
	refusals                                        []int // status codes of answers that are not taken
	endsAtOnce                                      codebuildtypes.StatusType
}

func newAccount() *account {
	return &account{
		builds: map[string]*codebuildtypes.Build{},
		tokens: map[string]string{},
		status: cloudformationtypes.StackStatusUpdateInProgress,
	}
}

func (a *account) handler() *imagebuild.Handler {
	return &imagebuild.Handler{
		Projects: []imagebuildcontract.Project{
			{Project: "image-build", Parameter: "/waiting", Repository: "runner", Tag: "latest-x64"},
		},
		Builds: a, Stacks: a, Parameters: a, Images: a, HTTP: a,
		Clock:   clock.System{},
		Log:     slog.New(slog.NewJSONHandler(&a.log, nil)),
		Metrics: metrics.NewEmitter(&a.metrics, imagebuildcontract.MetricNamespace, clock.System{}),
	}
}

func (a *account) StartBuild(_ context.Context, in *codebuild.StartBuildInput, _ ...func(*codebuild.Options)) (
	*codebuild.StartBuildOutput, error,
) {
	if a.panics {
		panic("a defect")
	}
	if a.startErr != nil {
		return nil, a.startErr
	}
	id, again := a.tokens[*in.IdempotencyToken]
	if !again {
		id = fmt.Sprintf("%s%d", buildARN, len(a.builds)+1)
		a.tokens[*in.IdempotencyToken] = id
		a.builds[id] = &codebuildtypes.Build{
			Arn: &id, Id: aws.String(strings.TrimPrefix(id, "arn:aws:codebuild:eu-central-1:123456789012:build/")),
			ProjectName: in.ProjectName, BuildStatus: codebuildtypes.StatusTypeInProgress,
		}
		if a.endsAtOnce != "" {
			a.end(id, a.endsAtOnce)
		}
	}
	return &codebuild.StartBuildOutput{Build: &codebuildtypes.Build{Arn: &id, Id: a.builds[id].Id}}, nil
}

func (a *account) BatchGetBuilds(_ context.Context, in *codebuild.BatchGetBuildsInput, _ ...func(*codebuild.Options)) (
	*codebuild.BatchGetBuildsOutput, error,
) {
	if a.describeErr != nil {
		return nil, a.describeErr
	}
	out := &codebuild.BatchGetBuildsOutput{}
	for _, id := range in.Ids {
		if build, found := a.builds[id]; found {
			out.Builds = append(out.Builds, *build)
		}
	}
	return out, nil
}

func (a *account) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput,
	_ ...func(*cloudformation.Options),
) (*cloudformation.DescribeStacksOutput, error) {
	if a.stackErr != nil || *in.StackName != stackID {
		return nil, a.stackErr
	}
	return &cloudformation.DescribeStacksOutput{Stacks: []cloudformationtypes.Stack{{StackStatus: a.status}}}, nil
}

func (a *account) GetParameter(_ context.Context, in *ssm.GetParameterInput, _ ...func(*ssm.Options)) (
	*ssm.GetParameterOutput, error,
) {
	if a.getErr != nil {
		return nil, a.getErr
	}
	if a.parameter == "" {
		return nil, fmt.Errorf("operation error SSM: %w", &ssmtypes.ParameterNotFound{})
	}
	value := a.parameter
	if !aws.ToBool(in.WithDecryption) {
		value = "AQICAHh…"
	}
	return &ssm.GetParameterOutput{Parameter: &ssmtypes.Parameter{Value: &value}}, nil
}

func (a *account) DeleteParameter(_ context.Context, in *ssm.DeleteParameterInput, _ ...func(*ssm.Options)) (
	*ssm.DeleteParameterOutput, error,
) {
	if *in.Name != "/waiting" {
		return nil, errors.New("not that parameter")
	}
	if a.parameter == "" {
		return nil, &ssmtypes.ParameterNotFound{}
	}
	if a.deleteErr != nil {
		return nil, a.deleteErr
	}
	a.parameter = ""
	return &ssm.DeleteParameterOutput{}, nil
}

func (a *account) PutParameter(_ context.Context, in *ssm.PutParameterInput, _ ...func(*ssm.Options)) (
	*ssm.PutParameterOutput, error,
) {
	if a.putErr != nil {
		return nil, a.putErr
	}
	if *in.Name != "/waiting" || !*in.Overwrite || in.Type != ssmtypes.ParameterTypeSecureString {
		return nil, errors.New("not that parameter, or readable by whoever may list parameters")
	}
	a.parameter = *in.Value
	return &ssm.PutParameterOutput{}, nil
}

func (a *account) DescribeImages(_ context.Context, in *ecr.DescribeImagesInput, _ ...func(*ecr.Options)) (
	*ecr.DescribeImagesOutput, error,
) {
	if a.imageErr != nil {
		return nil, a.imageErr
	}
	if *in.RepositoryName != "runner" || len(in.ImageIds) != 1 || *in.ImageIds[0].ImageTag != "latest-x64" {
		return nil, errors.New("not that image")
	}
	return &ecr.DescribeImagesOutput{ImageDetails: []ecrtypes.ImageDetail{{ImagePushedAt: a.pushed}}}, nil
}

// Do takes the answers for CloudFormation.
func (a *account) Do(r *http.Request) (*http.Response, error) {
	status := http.StatusOK
	if len(a.refusals) > 0 {
		status, a.refusals = a.refusals[0], a.refusals[1:]
	}
	if status == 0 {
		return nil, fmt.Errorf("Put %q: %w", r.URL, io.ErrUnexpectedEOF)
	}
	if status == http.StatusOK {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		a.largest = max(a.largest, len(body))
		var answer map[string]any
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, err
		}
		answer["to"] = r.URL.String()
		a.answers = append(a.answers, answer)
	}
	return &http.Response{StatusCode: status, Body: http.NoBody}, nil
}

func (a *account) end(id string, status codebuildtypes.StatusType) {
	build := a.builds[id]
	build.BuildComplete, build.BuildStatus = true, status
	build.Logs = &codebuildtypes.LogsLocation{StreamName: aws.String("1"), DeepLink: aws.String(logURL)}
	if status != codebuildtypes.StatusTypeSucceeded {
		build.Phases = []codebuildtypes.BuildPhase{
			{PhaseType: codebuildtypes.BuildPhaseTypeSubmitted, PhaseStatus: codebuildtypes.StatusTypeSucceeded},
			{PhaseType: codebuildtypes.BuildPhaseTypeBuild, PhaseStatus: status, Contexts: []codebuildtypes.PhaseContext{
				{StatusCode: aws.String("COMMAND_EXECUTION_ERROR"), Message: aws.String("exit status 1")},
			}},
			{PhaseType: codebuildtypes.BuildPhaseTypeCompleted},
		}
	}
}

// request is one of CloudFormation's, with a project and sources.
func request(kind string, changes map[string]any) json.RawMessage {
	r := map[string]any{
		"RequestType": kind, "ResponseURL": address, "StackId": stackID, "RequestId": "request-1",
		"LogicalResourceId": "ImageX64", "ResourceType": "Custom::RunnerImage",
		"ResourceProperties": properties("a"),
	}
	if kind != "Create" {
		r["PhysicalResourceId"] = "physical"
	}
	if kind == "Update" {
		r["OldResourceProperties"] = properties("old")
	}
	for name, value := range changes {
		r[name] = value
	}
	encoded, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return encoded
}

func properties(library string) map[string]any {
	return map[string]any{
		"ServiceToken": "function", "ServiceTimeout": "2880", "Project": "image-build",
		"Library": library,
	}
}

func ended(project, id string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{
		"version": "0", "source": "aws.codebuild", "detail-type": "CodeBuild Build State Change",
		"detail": {"build-status": "SUCCEEDED", "project-name": %q, "build-id": %q,
		"additional-information": {"build-complete": true}}
	}`, project, id))
}

func answer(status, reason, physical string) map[string]any {
	a := map[string]any{
		"Status": status, "PhysicalResourceId": physical, "StackId": stackID, "RequestId": "request-1",
		"LogicalResourceId": "ImageX64", "to": address,
	}
	if reason != "" {
		a["Reason"] = reason
	}
	return a
}

func TestHandler_ADeploymentGoesOnWhenItsBuildHasEnded(t *testing.T) {
	for status, reason := range map[codebuildtypes.StatusType]string{
		codebuildtypes.StatusTypeSucceeded: "",
		codebuildtypes.StatusTypeFailed: "building the runner image with project image-build ended with FAILED in " +
			"phase BUILD (COMMAND_EXECUTION_ERROR: exit status 1); its log: " + logURL,
		codebuildtypes.StatusTypeStopped: "building the runner image with project image-build ended with STOPPED in " +
			"phase BUILD (COMMAND_EXECUTION_ERROR: exit status 1); its log: " + logURL,
		codebuildtypes.StatusTypeTimedOut: "building the runner image with project image-build ended with TIMED_OUT in " +
			"phase BUILD (COMMAND_EXECUTION_ERROR: exit status 1); its log: " + logURL,
	} {
		for kind, physical := range map[string]string{"Create": "ImageX64", "Update": "physical"} {
			t.Run(kind+" "+string(status), func(t *testing.T) {
				a := newAccount()
				h := a.handler()
				require.NoError(t, h.Handle(t.Context(), request(kind, nil)))
				assert.Empty(t, a.answers, "the deployment would go on without an image")
				require.Len(t, a.builds, 1)

				a.end(buildARN+"1", status)
				require.NoError(t, h.Handle(t.Context(), ended("image-build", buildARN+"1")))
				result := "SUCCESS"
				if reason != "" {
					result = "FAILED"
				}
				assert.Equal(t, []map[string]any{answer(result, reason, physical)}, a.answers)
				assert.Empty(t, a.parameter,
					"the address of an answer that was given is of use to nobody good")

				require.NoError(t, h.Handle(t.Context(), ended("image-build", buildARN+"1")))
				assert.Len(t, a.answers, 1, "events come twice at times")
				assert.NotContains(t, a.log.String(), "X-Amz-Signature", "who reads the log could answer CloudFormation")
			})
		}
	}
}

func TestHandler_AnswersAtOnceWhen(t *testing.T) {
	for name, test := range map[string]struct {
		request json.RawMessage
		account func(*account)
		want    map[string]any
		builds  int
	}{
		"the resource is deleted": {request: request("Delete", nil), want: answer("SUCCESS", "", "physical")},
		"the image is made of what it was": {
			request: request("Update", map[string]any{"OldResourceProperties": properties("a")}),
			want:    answer("SUCCESS", "", "physical"),
		},
		"only its time limit has changed": {
			request: request("Update", map[string]any{"OldResourceProperties": map[string]any{
				"ServiceToken": "another", "ServiceTimeout": "1000", "Project": "image-build", "Library": "a",
			}}),
			want: answer("SUCCESS", "", "physical"),
		},
		"the stack rolls back": {
			request: request("Update", nil),
			account: func(a *account) { a.status = cloudformationtypes.StackStatusUpdateRollbackInProgress },
			want:    answer("SUCCESS", "", "physical"), builds: 1,
		},
		"the stack rolls back and no build can be started": {
			request: request("Update", nil),
			account: func(a *account) {
				a.status, a.startErr = cloudformationtypes.StackStatusUpdateRollbackInProgress, errors.New("throttled")
			},
			want: answer("SUCCESS", "", "physical"),
		},
		"no build can be started": {
			request: request("Create", nil),
			account: func(a *account) { a.startErr = errors.New("throttled") },
			want: answer("FAILED",
				"starting the build of the runner image: starting a build of project image-build: throttled", "ImageX64"),
		},
		"nobody would know who waits": {
			request: request("Create", nil),
			account: func(a *account) { a.putErr = errors.New("access denied") },
			want: answer("FAILED", "starting the build of the runner image: noting who waits for the build: access denied",
				"ImageX64"), builds: 1,
		},
		"the program has a defect": {
			request: request("Create", nil),
			account: func(a *account) { a.panics = true },
			want:    answer("FAILED", "starting the build of the runner image: panic: a defect", "ImageX64"),
		},
		"the project is another's": {
			request: request("Create", map[string]any{"ResourceProperties": map[string]any{"Project": "payroll"}}),
			want: answer("FAILED",
				`starting the build of the runner image: project is not one of this function's: "payroll"`, "ImageX64"),
		},
		"the request is of a new kind": {
			request: request("Import", nil),
			want: answer("FAILED", `starting the build of the runner image: event is neither a request of CloudFormation `+
				`nor of a build that has ended: request type "Import"`, "physical"),
		},
		"the build has succeeded already": {
			request: request("Create", nil),
			account: func(a *account) { a.endsAtOnce = codebuildtypes.StatusTypeSucceeded },
			want:    answer("SUCCESS", "", "ImageX64"), builds: 1,
		},
		"the build has failed already": {
			request: request("Create", nil),
			account: func(a *account) { a.endsAtOnce = codebuildtypes.StatusTypeFault },
			want: answer("FAILED", "building the runner image with project image-build ended with FAULT in phase BUILD "+
				"(COMMAND_EXECUTION_ERROR: exit status 1); its log: "+
				logURL, "ImageX64"), builds: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount()
			if test.account != nil {
				test.account(a)
			}
			require.NoError(t, a.handler().Handle(t.Context(), test.request))
			assert.Equal(t, []map[string]any{test.want}, a.answers, "CloudFormation would wait for the time limit")
			assert.Len(t, a.builds, test.builds)
			assert.Empty(t, a.parameter, "an address stays behind at which CloudFormation takes answers")
		})
	}
}

func TestHandler_ForgetsADeploymentThatIsGivenUp(t *testing.T) {
	a := newAccount()
	h := a.handler()
	require.NoError(t, h.Handle(t.Context(), request("Create", nil)))
	require.NotEmpty(t, a.parameter)
	require.NoError(t, h.Handle(t.Context(), request("Delete", nil)))
	assert.Empty(t, a.parameter)
	require.NoError(t, h.Handle(t.Context(), request("Delete", nil)))
	assert.Len(t, a.answers, 2)

	a = newAccount()
	a.deleteErr = errors.New("access denied")
	h = a.handler()
	require.NoError(t, h.Handle(t.Context(), request("Create", nil)))
	a.end(buildARN+"1", codebuildtypes.StatusTypeSucceeded)
	require.NoError(t, h.Handle(t.Context(), ended("image-build", buildARN+"1")))
	assert.Len(t, a.answers, 1, "the deployment has its answer all the same")
	assert.Contains(t, a.log.String(), "the note of who waited for the build stays")
	assert.NotContains(t, a.log.String(), "X-Amz-Signature")
}

func TestHandler_WaitsWhenTheStateIsNotKnown(t *testing.T) {
	a := newAccount()
	a.stackErr = errors.New("access denied")
	a.describeErr = errors.New("throttled")
	require.NoError(t, a.handler().Handle(t.Context(), request("Update", nil)))
	assert.Empty(t, a.answers, "the build is under way, and its end will be heard of")
	assert.Contains(t, a.parameter, buildARN+"1")
}

func TestHandler_ASecondInvocationIsAboutTheSameBuild(t *testing.T) {
	a := newAccount()
	h := a.handler()
	require.NoError(t, h.Handle(t.Context(), request("Create", nil)))
	require.NoError(t, h.Handle(t.Context(), request("Create", nil)))
	assert.Len(t, a.builds, 1, "two builds would be paid for, and one waited for in vain")
}

func TestHandler_LeavesOtherBuildsAlone(t *testing.T) {
	a := newAccount()
	h := a.handler()
	require.NoError(t, h.Handle(t.Context(), request("Create", nil)))
	before := a.parameter
	require.NoError(t, h.Handle(t.Context(), ended("image-build", buildARN+"daily")))
	require.NoError(t, h.Handle(t.Context(), ended("payroll", buildARN+"1")))
	assert.Empty(t, a.answers)
	assert.Equal(t, before, a.parameter)
}

func TestHandler_IsInvokedAgainWhen(t *testing.T) {
	for name, test := range map[string]struct {
		account func(*account)
		want    error
	}{
		"CodeBuild does not know of the end yet": {func(*account) {}, imagebuild.ErrBuild},
		"CodeBuild does not answer": {
			func(a *account) { a.describeErr = io.ErrUnexpectedEOF },
			io.ErrUnexpectedEOF,
		},
		"CodeBuild does not know the build": {func(a *account) { clear(a.builds) }, imagebuild.ErrBuild},
		"the parameter cannot be read":      {func(a *account) { a.getErr = io.ErrUnexpectedEOF }, io.ErrUnexpectedEOF},
		"CloudFormation does not take the answer": {func(a *account) {
			a.end(buildARN+"1", "SUCCEEDED")
			a.refusals = []int{
				500, 500, 500, 503, 403,
			}
		}, imagebuild.ErrAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount()
				h := a.handler()
				require.NoError(t, h.Handle(t.Context(), request("Create", nil)))
				before := a.parameter
				test.account(a)
				assert.ErrorIs(t, h.Handle(t.Context(), ended("image-build", buildARN+"1")), test.want)
				assert.Empty(t, a.answers)
				assert.Equal(t, before, a.parameter, "the next invocation would find nobody waiting")
			})
		})
	}
}

func TestHandler_TriesAgainToAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		a.refusals = []int{0, 503, 500}
		begin := time.Now()
		require.NoError(t, a.handler().Handle(t.Context(), request("Delete", nil)))
		assert.Equal(t, []map[string]any{answer("SUCCESS", "", "physical")}, a.answers)
		assert.Equal(t, 3500*time.Millisecond, time.Since(begin))

		a.refusals = []int{0, 0, 0, 0, 0}
		err := a.handler().Handle(t.Context(), request("Delete", nil))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.NotContains(t, err.Error(), "X-Amz-Signature", "Lambda logs the error")
	})
}

func TestHandler_MeasuresTheImageWhenABuildHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		a.pushed = aws.Time(time.Now().Add(-75 * time.Hour))
		require.NoError(t, a.handler().Handle(t.Context(), ended("image-build", buildARN+"daily")))
		assert.JSONEq(t, fmt.Sprintf(`{
			"_aws": {"Timestamp": %d, "CloudWatchMetrics": [
				{"Namespace": "ECSRunners/Image", "Dimensions": [["ProjectName"]], "Metrics": [{"Name": "ImageAge",
				"Unit": "Count"}]}
			]},
			"ProjectName": "image-build", "ImageAge": 3
		}`, time.Now().UnixMilli()), a.metrics.String())

		a.metrics.Reset()
		a.imageErr = errors.New("ImageNotFoundException")
		require.NoError(t, a.handler().Handle(t.Context(), ended("image-build", buildARN+"daily")),
			"the first build may fail")
		assert.Empty(t, a.metrics.String())
	})
}

func TestHandler_RefusesOtherEvents(t *testing.T) {
	for _, payload := range []string{
		`{}`, `[]`, `"x"`, `{"RequestType":"Create"}`,
		`{"detail-type":"CodeBuild Build State Change"}`, `{"detail-type":"Scheduled Event"}`,
	} {
		a := newAccount()
		assert.NoError(t, a.handler().Handle(t.Context(), json.RawMessage(payload)), "Lambda would try it twice more")
		assert.Empty(t, a.answers)
		assert.Contains(t, a.log.String(), "event refused")
	}
}

// A real client must not add what CloudFormation has not signed.
func TestHandler_AnswersAsTheAddressIsSigned(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer server.Close()
	a := newAccount()
	h := a.handler()
	h.HTTP = server.Client()
	require.NoError(t, h.Handle(t.Context(), request("Delete", map[string]any{"ResponseURL": server.URL +
		"/a%2Fb?X=1%3D"})))
	require.NotNil(t, got)
	assert.Equal(t, http.MethodPut, got.Method)
	assert.Equal(t, "/a%2Fb?X=1%3D", got.RequestURI)
	assert.Empty(t, got.Header.Values("Content-Type"), "S3 would refuse the signature")
	assert.Positive(t, got.ContentLength, "S3 takes no body of unknown length")
}

func TestHandler_KeepsTheAnswerShort(t *testing.T) {
	for _, character := range []string{"ü", "<", `"`, "\n"} {
		a := newAccount()
		a.startErr = errors.New(strings.Repeat(character, 5000))
		require.NoError(t, a.handler().Handle(t.Context(), request("Create", nil)))
		require.Len(t, a.answers, 1)
		assert.True(t, strings.HasSuffix(a.answers[0]["Reason"].(string), character+"…"))
		assert.Less(t, a.largest, 4096, "CloudFormation takes no longer answer")
	}
}
