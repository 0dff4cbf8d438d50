package imagebuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	codebuildtypes "github.com/aws/aws-sdk-go-v2/service/codebuild/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
)

const (
	// workTime bounds what is done before an answer, so that there is time left to
	// give it: the function has a minute.
	workTime = 30 * time.Second
	// Attempts to answer, and the first delay between them.
	answerAttempts = 5
	answerDelay    = 500 * time.Millisecond
)

var (
	// ErrProject says that a request names a project that the function does not know.
	ErrProject = errors.New("project is not one of this function's")
	// ErrBuild says that CodeBuild does not know a build, or does not know yet that
	// it has ended.
	ErrBuild = errors.New("build has not ended")
	// ErrAnswer says that CloudFormation did not take an answer.
	ErrAnswer = errors.New("CloudFormation did not take the answer")
)

// Builds is the part of the CodeBuild client that a Handler needs.
type Builds interface {
	StartBuild(context.Context, *codebuild.StartBuildInput, ...func(*codebuild.Options)) (*codebuild.StartBuildOutput, error)
	BatchGetBuilds(context.Context, *codebuild.BatchGetBuildsInput, ...func(*codebuild.Options)) (*codebuild.BatchGetBuildsOutput, error)
}

// Stacks is the part of the CloudFormation client that a Handler needs.
type Stacks interface {
	DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
}

// Parameters is the part of the Systems Manager client that a Handler needs.
type Parameters interface {
	GetParameter(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
	PutParameter(context.Context, *ssm.PutParameterInput, ...func(*ssm.Options)) (*ssm.PutParameterOutput, error)
	DeleteParameter(context.Context, *ssm.DeleteParameterInput, ...func(*ssm.Options)) (*ssm.DeleteParameterOutput, error)
}

// Images is the part of the ECR client that a Handler needs.
type Images interface {
	DescribeImages(context.Context, *ecr.DescribeImagesInput, ...func(*ecr.Options)) (*ecr.DescribeImagesOutput, error)
}

// HTTP is the part of an HTTP client that a Handler needs.
type HTTP interface {
	Do(*http.Request) (*http.Response, error)
}

// Handler starts builds for CloudFormation and reports how they ended. All its
// fields are required.
type Handler struct {
	Projects   []imagebuildcontract.Project
	Builds     Builds
	Stacks     Stacks
	Parameters Parameters
	Images     Images
	HTTP       HTTP
	Clock      clock.Clock
	Log        *slog.Logger
	Metrics    *metrics.Emitter
}

// Handle takes an event. With an error it is invoked again, by Lambda, with the
// same event.
func (h *Handler) Handle(ctx context.Context, payload json.RawMessage) error {
	e, err := parseEvent(payload)
	if err != nil {
		h.Log.ErrorContext(ctx, "event refused", slog.String("error", err.Error()))
		return nil // it will not be better next time
	}
	if e.RequestType != "" {
		return h.request(ctx, e.request)
	}
	return h.ended(ctx, e.Detail.Project, e.Detail.Build)
}

// request takes a request of CloudFormation. Whatever happens, it is answered,
// or a build is under way whose end will be.
func (h *Handler) request(ctx context.Context, r request) error {
	log := h.Log.With(slog.String("request", string(r.RequestType)), slog.String("resource", r.LogicalResourceID), slog.String("project", r.project()))
	build, err := h.start(ctx, r, log)
	switch {
	case err != nil:
		log.ErrorContext(ctx, "request failed", slog.String("error", err.Error()))
		return h.answer(ctx, r.recipient(), "starting the build of the runner image: "+err.Error())
	case build == nil:
		return h.answer(ctx, r.recipient(), "")
	case build.BuildComplete: // sooner than it was noted who waits
		if err := h.answer(ctx, r.recipient(), failure(*build)); err != nil {
			return err
		}
		h.forget(ctx, r.project(), log)
		return nil
	}
	log.InfoContext(ctx, "deployment waits", slog.String("build", aws.ToString(build.Id)))
	return nil
}

// start starts the build that a request asks for, and returns it if the deployment
// has to wait for it. A panic is an error like others.
func (h *Handler) start(ctx context.Context, r request, log *slog.Logger) (build *codebuildtypes.Build, err error) {
	defer func() {
		if v := recover(); v != nil {
			build, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	switch {
	case r.RequestType == requestDelete:
		log.InfoContext(ctx, "nothing to delete but what may be left of a deployment that waited")
		h.forget(ctx, r.project(), log)
		return nil, nil
	case r.unchanged():
		log.InfoContext(ctx, "nothing to build: the image is made of what it was")
		return nil, nil
	case r.RequestType != requestCreate && r.RequestType != requestUpdate:
		return nil, fmt.Errorf("%w: request type %q", ErrEvent, r.RequestType)
	}
	project, known := h.project(r.project())
	if !known {
		return nil, fmt.Errorf("%w: %q", ErrProject, r.project())
	}
	back := r.RequestType == requestUpdate && h.rollsBack(ctx, r.StackID, log)
	started, err := h.Builds.StartBuild(ctx, &codebuild.StartBuildInput{
		ProjectName:      &project.Project,
		IdempotencyToken: aws.String(r.RequestID), // a second invocation gets the same build
	})
	if back {
		// What it builds has been built before. If it failed now, the stack could go
		// neither forward nor back.
		log.InfoContext(ctx, "a stack that rolls back does not wait for its build", slog.Any("error", err))
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("starting a build of project %s: %w", project.Project, err)
	}
	if err := h.note(ctx, project, waiting{Build: aws.ToString(started.Build.Arn), For: r.recipient()}); err != nil {
		return nil, err
	}
	// Its event may have come before the note was there.
	build, err = h.describe(ctx, aws.ToString(started.Build.Arn))
	if err != nil {
		log.WarnContext(ctx, "state of the build is not known", slog.String("error", err.Error()))
		return started.Build, nil // it was under way, and its event comes still
	}
	return build, nil
}

// ended takes the event of a build that has ended, whoever started it.
func (h *Handler) ended(ctx context.Context, name, id string) error {
	log := h.Log.With(slog.String("project", name), slog.String("build", id))
	project, known := h.project(name)
	if !known {
		log.WarnContext(ctx, "build is of no project of this function")
		return nil
	}
	if err := h.measure(ctx, project); err != nil {
		log.WarnContext(ctx, "age of the image is not known", slog.String("error", err.Error()))
	}
	waits, err := h.waits(ctx, project)
	if err != nil {
		return err
	}
	if waits.Build != id {
		log.InfoContext(ctx, "no deployment waits for the build")
		return nil
	}
	build, err := h.describe(ctx, id)
	if err != nil {
		return err
	}
	if !build.BuildComplete {
		return fmt.Errorf("%w: CodeBuild says %s of %s", ErrBuild, build.BuildStatus, id)
	}
	if err := h.answer(ctx, waits.For, failure(*build)); err != nil {
		return err
	}
	log.InfoContext(ctx, "deployment goes on", slog.String("status", string(build.BuildStatus)))
	h.forget(ctx, name, log)
	return nil
}

func (h *Handler) project(name string) (imagebuildcontract.Project, bool) {
	for _, project := range h.Projects {
		if project.Project == name {
			return project, true
		}
	}
	return imagebuildcontract.Project{}, false
}

// rollsBack reports whether a stack returns to what it was. If that is not known, it
// does not.
func (h *Handler) rollsBack(ctx context.Context, stack string, log *slog.Logger) bool {
	out, err := h.Stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil || len(out.Stacks) != 1 {
		log.WarnContext(ctx, "state of the stack is not known", slog.Any("error", err))
		return false
	}
	return strings.Contains(string(out.Stacks[0].StackStatus), "ROLLBACK")
}

// describe asks CodeBuild about a build.
func (h *Handler) describe(ctx context.Context, id string) (*codebuildtypes.Build, error) {
	out, err := h.Builds.BatchGetBuilds(ctx, &codebuild.BatchGetBuildsInput{Ids: []string{id}})
	if err != nil {
		return nil, fmt.Errorf("asking for build %s: %w", id, err)
	}
	if len(out.Builds) != 1 {
		return nil, fmt.Errorf("asking for build %s: %w", id, ErrBuild)
	}
	return &out.Builds[0], nil
}

// waiting is the note in a project's parameter: who waits for which build.
type waiting struct {
	Build string    `json:"build"`
	For   recipient `json:"for"`
}

// note writes down who waits for a build of a project, encrypted with the key that
// Systems Manager has in the account. CloudFormation has one request at a time for
// a resource, so there is room for one.
func (h *Handler) note(ctx context.Context, project imagebuildcontract.Project, w waiting) error {
	value, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("noting who waits for the build: %w", err)
	}
	if _, err := h.Parameters.PutParameter(ctx, &ssm.PutParameterInput{
		Name: &project.Parameter, Value: aws.String(string(value)), Type: ssmtypes.ParameterTypeSecureString, Overwrite: aws.Bool(true),
		Description: aws.String("Which deployment waits for which build of the runner image"),
	}); err != nil {
		return fmt.Errorf("noting who waits for the build: %w", err)
	}
	return nil
}

// forget deletes the note of a project. One that stays does no harm to deployments:
// it names a build that has ended.
func (h *Handler) forget(ctx context.Context, name string, log *slog.Logger) {
	project, known := h.project(name)
	if !known {
		return
	}
	_, err := h.Parameters.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: &project.Parameter})
	if absent := (*ssmtypes.ParameterNotFound)(nil); err != nil && !errors.As(err, &absent) {
		log.WarnContext(ctx, "the note of who waited for the build stays", slog.String("error", err.Error()))
	}
}

// waits reads the note of a project.
func (h *Handler) waits(ctx context.Context, project imagebuildcontract.Project) (waiting, error) {
	out, err := h.Parameters.GetParameter(ctx, &ssm.GetParameterInput{Name: &project.Parameter, WithDecryption: aws.Bool(true)})
	if absent := (*ssmtypes.ParameterNotFound)(nil); errors.As(err, &absent) {
		return waiting{}, nil
	}
	if err != nil {
		return waiting{}, fmt.Errorf("reading who waits for the build: %w", err)
	}
	var w waiting
	if err := json.Unmarshal([]byte(aws.ToString(out.Parameter.Value)), &w); err != nil {
		return waiting{}, fmt.Errorf("reading who waits for the build: parameter %s: %w", project.Parameter, err)
	}
	return w, nil
}

// measure writes how old the image is from which tasks start.
func (h *Handler) measure(ctx context.Context, project imagebuildcontract.Project) error {
	out, err := h.Images.DescribeImages(ctx, &ecr.DescribeImagesInput{
		RepositoryName: &project.Repository,
		ImageIds:       []ecrtypes.ImageIdentifier{{ImageTag: &project.Tag}},
	})
	if err != nil {
		return fmt.Errorf("describing image %s:%s: %w", project.Repository, project.Tag, err)
	}
	for _, image := range out.ImageDetails {
		if image.ImagePushedAt != nil {
			days := int(h.Clock.Now().Sub(*image.ImagePushedAt).Hours() / 24)
			return h.Metrics.Emit(metrics.Set{
				Dimensions: []metrics.Dimension{{Name: imagebuildcontract.DimensionProject, Value: project.Project}},
				Counts:     []metrics.Count{{Name: imagebuildcontract.MetricImageAge, Value: max(days, 0)}},
			})
		}
	}
	return nil
}

// answer tells CloudFormation how the resource fares: well, unless there is a
// reason against it.
func (h *Handler) answer(ctx context.Context, to recipient, reason string) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // it would make one character six, and the answer too long
	if err := encoder.Encode(to.response(reason)); err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	delay := answerDelay
	for attempt := 1; ; attempt++ {
		err := h.put(ctx, to.URL, body.Bytes())
		if err == nil {
			return nil
		}
		if attempt == answerAttempts || h.Clock.Sleep(ctx, delay) != nil {
			return fmt.Errorf("%w: giving up after %d attempts: %w", ErrAnswer, attempt, err)
		}
		delay *= 2
	}
}

// put sends an answer. Its errors do not repeat the address: who has it can answer.
func (h *Handler) put(ctx context.Context, url string, body []byte) error {
	// Without a content type, as CloudFormation has signed the address.
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address is not valid")
	}
	out, err := h.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("sending the answer: %w", unwrapURL(err))
	}
	if err := out.Body.Close(); err != nil {
		return fmt.Errorf("sending the answer: %w", err)
	}
	if out.StatusCode != http.StatusOK {
		return fmt.Errorf("sending the answer: status %d", out.StatusCode)
	}
	return nil
}

// unwrapURL takes the address out of an error of an HTTP client.
func unwrapURL(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return err
}
