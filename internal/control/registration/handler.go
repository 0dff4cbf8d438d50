package registration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/functionurl"
	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
)

const (
	// budget is the time a request may take: less than a runner waits for an answer.
	budget = 25 * time.Second
	// maxBody is more than the one member of a request takes.
	maxBody = 4 << 10

	// When a task is to ask again: soon where something settles by itself, later where
	// somebody must do something. It does for ten minutes.
	soon  = 3 * time.Second
	later = 30 * time.Second
)

// Errors of requests that are not as the contract has them.
var (
	ErrMethod   = errors.New("method is not POST")
	ErrPath     = errors.New("no such path")
	ErrBody     = errors.New("body is not a request")
	ErrContract = errors.New("contract version does not fit")
	// ErrOutOfScope says that a task was started for a job that no runner registered
	// here can run.
	ErrOutOfScope = errors.New("the job's repository is not where runners are registered")
)

// outOfScope explains ErrOutOfScope: the task itself is what it says it is.
func outOfScope(repository string, scope registrationcontract.Scope) error {
	return fmt.Errorf("%w: %q is not in %s: if it was renamed or transferred, change the registration's scope; otherwise the webhook accepts owners or repositories that the registration does not serve",
		ErrOutOfScope, repository, scope)
}

// Handler is the registration API.
type Handler struct {
	Identity *Identity
	Service  *Service
	Clock    clock.Clock
	Log      *slog.Logger
	Metrics  *Metrics
	// Remaining tells what is left of GitHub's rate limit, and false if that is not
	// known.
	Remaining func() (int, bool)
}

// answer is what becomes of a request.
type answer struct {
	status  int
	outcome registrationcontract.Outcome
	retry   time.Duration
	text    string // for the log of the runner, which jobs cannot see but people can
	granted *runnercontract.Registration
	err     error
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := h.Clock.Now()
	ctx, cancel := context.WithTimeout(r.Context(), budget)
	defer cancel()
	caller, a := h.serve(ctx, w, r)
	h.write(w, a)
	h.record(ctx, r, caller, a, h.Clock.Now().Sub(begun))
}

// serve handles a request. A defect of the program is an answer too.
func (h *Handler) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) (caller Caller, a answer) {
	defer func() {
		if v := recover(); v != nil {
			a = answer{
				status: http.StatusInternalServerError, outcome: registrationcontract.OutcomeFailed, text: "defect of the registration function",
				err: fmt.Errorf("panic: %v\n%s", v, debug.Stack()),
			}
		}
	}()
	request, err := parseRequest(w, r)
	if err != nil {
		return caller, answerTo(err)
	}
	signer, ok := functionurl.Caller(r.Context())
	if !ok {
		return caller, answerTo(fmt.Errorf("%w: the request is not signed", ErrNotATask))
	}
	caller, err = h.Identity.Identify(ctx, signer, r.URL.Path == runnercontract.PathRelease)
	if err != nil {
		return caller, answerTo(err)
	}
	switch r.URL.Path {
	case runnercontract.PathRegister:
		granted, err := h.Service.Register(ctx, caller)
		if err != nil {
			return caller, answerTo(err)
		}
		return caller, answer{status: http.StatusOK, outcome: registrationcontract.OutcomeRegistered, granted: &granted}
	case runnercontract.PathStarted:
		if err := h.Service.Start(ctx, caller); err != nil {
			return caller, answerTo(err)
		}
		return caller, answer{status: http.StatusNoContent, outcome: registrationcontract.OutcomeStarted}
	default:
		if err := h.Service.Release(ctx, caller, request.ReleaseToken); err != nil {
			return caller, answerTo(err)
		}
		return caller, answer{status: http.StatusNoContent, outcome: registrationcontract.OutcomeReleased}
	}
}

// parseRequest reports what a request lacks, before anybody asks who sends it.
func parseRequest(w http.ResponseWriter, r *http.Request) (runnercontract.Request, error) {
	var request runnercontract.Request
	switch r.URL.Path {
	case runnercontract.PathRegister, runnercontract.PathStarted, runnercontract.PathRelease:
	default:
		return request, ErrPath
	}
	if r.Method != http.MethodPost {
		return request, ErrMethod
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return request, ErrBody
	}
	if json.Unmarshal(body, &request) != nil {
		return request, ErrBody
	}
	if request.Contract != runnercontract.Version {
		return request, fmt.Errorf("%w: the image speaks version %d, this deployment %d: rebuild the image, or deploy the stacks that belong to it", ErrContract, request.Contract, runnercontract.Version)
	}
	return request, nil
}

// answerTo says what an error means to a task.
func answerTo(err error) answer {
	a := answer{err: err, text: err.Error()}
	var limit *github.LimitError
	set := func(status int, outcome registrationcontract.Outcome, retry time.Duration) answer {
		a.status, a.outcome, a.retry = status, outcome, retry
		return a
	}
	switch {
	case errors.Is(err, ErrNoWork):
		return set(http.StatusNoContent, registrationcontract.OutcomeNoWork, 0)
	case errors.Is(err, ErrPath):
		return set(http.StatusNotFound, registrationcontract.OutcomeRefused, 0)
	case errors.Is(err, ErrMethod):
		return set(http.StatusMethodNotAllowed, registrationcontract.OutcomeRefused, 0)
	case errors.Is(err, ErrBody):
		return set(http.StatusBadRequest, registrationcontract.OutcomeRefused, 0)
	case errors.Is(err, ErrContract):
		return set(http.StatusUpgradeRequired, registrationcontract.OutcomeRefused, 0)
	case errors.Is(err, ErrNotATask):
		a.text = ErrNotATask.Error() // what is known of tasks is for the log
		return set(http.StatusForbidden, registrationcontract.OutcomeRefused, 0)
	case errors.Is(err, ErrNotTheSupervisor), errors.Is(err, ErrOutOfScope):
		return set(http.StatusForbidden, registrationcontract.OutcomeRefused, 0)
	case errors.Is(err, ErrStarted), errors.Is(err, ErrClaimLost):
		return set(http.StatusConflict, registrationcontract.OutcomeRefused, 0)
	case errors.Is(err, github.ErrBusy):
		return set(http.StatusConflict, registrationcontract.OutcomeBusy, 0)
	case errors.As(err, &limit):
		return set(http.StatusTooManyRequests, registrationcontract.OutcomeThrottled, limit.RetryAfter)
	case errors.Is(err, github.ErrRefused), errors.Is(err, github.ErrCredential):
		// Somebody may mend it while the task asks again.
		return set(http.StatusServiceUnavailable, registrationcontract.OutcomeUnavailable, later)
	case errors.Is(err, ErrUnknownTask), errors.Is(err, ErrContended), errors.Is(err, ErrBacklog), errors.Is(err, ErrECS), errors.Is(err, github.ErrUnavailable):
		return set(http.StatusServiceUnavailable, registrationcontract.OutcomeUnavailable, soon)
	default: // of the ledger, most likely
		a.text = "the registration function cannot do its work now"
		return set(http.StatusServiceUnavailable, registrationcontract.OutcomeUnavailable, soon)
	}
}

func (h *Handler) write(w http.ResponseWriter, a answer) {
	if a.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(a.retry.Seconds()))))
	}
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
		return
	}
	var body any = runnercontract.Failure{Error: a.text}
	if a.granted != nil {
		body = a.granted
	}
	encoded, err := json.Marshal(body)
	if err != nil { // it is text and numbers
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(a.status)
	_, _ = w.Write(encoded) // the writer of a function URL keeps it in memory
}

// record writes the line of the log and the metrics of a request.
func (h *Handler) record(ctx context.Context, r *http.Request, caller Caller, a answer, took time.Duration) {
	attributes := []slog.Attr{
		slog.String("path", r.URL.Path), slog.Int("status", a.status), slog.String("outcome", string(a.outcome)), slog.Int64("duration_ms", took.Milliseconds()),
	}
	add := func(name, value string) {
		if value != "" {
			attributes = append(attributes, slog.String(name, value))
		}
	}
	add("fleet", caller.Fleet.Name)
	add("task", caller.Task)
	add("job_id", caller.Job)
	add("repository", caller.Repository)
	if a.granted != nil {
		add("runner", a.granted.RunnerName)
	}
	level := slog.LevelInfo
	if a.err != nil {
		add("error", a.err.Error())
		switch {
		case a.outcome == registrationcontract.OutcomeNoWork, a.outcome == registrationcontract.OutcomeBusy, errors.Is(a.err, ErrBacklog):
		case a.outcome == registrationcontract.OutcomeFailed, a.outcome == registrationcontract.OutcomeUnavailable:
			level = slog.LevelError
		default:
			level = slog.LevelWarn
		}
	}
	h.Log.LogAttrs(ctx, level, "registration request", attributes...)

	sets := []metrics.Set{{
		Dimensions: h.Metrics.dimensions(metrics.Dimension{Name: contract.DimensionOutcome, Value: string(a.outcome)}),
		Counts:     []metrics.Count{{Name: registrationcontract.MetricRequests, Value: 1}},
	}}
	if remaining, known := h.Remaining(); known {
		sets = append(sets, metrics.Set{
			Dimensions: h.Metrics.dimensions(), Counts: []metrics.Count{{Name: registrationcontract.MetricRateLimitRemaining, Value: remaining}},
		})
	}
	h.Metrics.emit(ctx, sets...)
}
