package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

const (
	// MaxBody is the largest body that is accepted: what fits through a function
	// URL.
	MaxBody = 6 << 20
	// budget is the time a delivery may take. GitHub waits for ten seconds; the
	// rest is for the way here and a cold start.
	budget = 8 * time.Second

	eventPing = "ping"
)

// Errors of a request that is not a delivery.
var (
	ErrMethod      = errors.New("method is not POST")
	ErrBody        = errors.New("body cannot be read")
	ErrBodySize    = errors.New("body is too large")
	ErrContentType = errors.New("content type is not application/json")
	ErrHeader      = errors.New("header is missing or malformed")
)

// Handler receives GitHub's deliveries. All its fields are required.
type Handler struct {
	Verifier  *Verifier
	Policy    *Policy
	Routes    *labels.Routes
	Publisher *Publisher
	Clock     clock.Clock
	Log       *slog.Logger
	Metrics   *metrics.Emitter
	// Function is the name of the function in the dimensions of the metrics.
	Function string
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := &delivery{start: h.Clock.Now(), trace: traceID(r.Header)}
	ctx, cancel := context.WithTimeout(r.Context(), budget)
	defer cancel()
	if err := h.receive(ctx, w, r, d); err != nil {
		d.fail(err)
	}
	d.answer(w)
	h.record(ctx, d)
}

// receive takes a delivery through all steps. A panic in any of them is an error
// like others.
func (h *Handler) receive(ctx context.Context, w http.ResponseWriter, r *http.Request, d *delivery) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
		}
	}()
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if err := h.Verifier.Verify(ctx, r.Header.Values(signatureHeader), body); err != nil {
		if id := r.Header.Get(deliveryHeader); errors.Is(err, ErrSecret) && isDeliveryID(id) {
			d.id = id // an operator looks for it, to have it delivered again
		}
		return err
	}
	if err := d.identify(r.Header); err != nil {
		return err
	}
	p, err := parsePayload(body)
	if err != nil {
		return err
	}
	if contract.IsEventName(p.action) { // of a repository_dispatch, anybody's text
		d.action = p.action
	}
	if d.event == eventPing {
		d.end(webhookcontract.OutcomePing)
		return nil
	}
	if reason := h.Policy.refuseEvent(d.event); reason != "" {
		d.ignore(reason)
		return nil
	}
	return h.handle(ctx, p, d)
}

// readBody returns the body of a request that has the form of a delivery.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Method != http.MethodPost {
		return nil, ErrMethod
	}
	if r.ContentLength > MaxBody {
		return nil, ErrBodySize
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, ErrContentType
	}
	var body bytes.Buffer
	body.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead)
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, MaxBody)); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return nil, ErrBodySize
		}
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	return body.Bytes(), nil
}

// handle puts an event of an allowed type on the bus, if its source is allowed.
func (h *Handler) handle(ctx context.Context, p *payload, d *delivery) error {
	source, err := p.source()
	if err != nil {
		return err
	}
	d.repository = source.name
	var j job
	if d.event == contract.DetailTypeWorkflowJob {
		if j, err = p.workflowJob(); err != nil {
			return err
		}
		d.job = j.id
	}
	if reason := h.Policy.refuseSource(source); reason != "" {
		d.ignore(reason)
		return nil
	}
	if d.event != contract.DetailTypeWorkflowJob {
		return h.publish(ctx, p, nil, d)
	}
	if !h.route(j, d) {
		return nil
	}
	return h.publish(ctx, p, &contract.Dispatch{
		Fleet:      d.fleet,
		JobID:      d.job,
		Repository: d.repository,
		Labels:     labels.Join(j.labels),
		DeliveryID: d.id,
		Attempt:    contract.FirstAttempt,
	}, d)
}

// route looks for the fleet of a job. It returns false if the job is nothing for
// the bus: a job without labels goes to a runner group, and which one GitHub does
// not say; and labels that exceed every fleet's cannot be covered by any.
func (h *Handler) route(j job, d *delivery) bool {
	queued := d.action == contract.ActionQueued
	if len(j.labels) == 0 {
		d.uncovered = queued
		d.ignore(reasonNoLabels)
		return false
	}
	if len(labels.Join(j.labels)) > labels.MaxLength {
		d.uncovered, d.labels = queued, labels.Show(j.labels)
		d.ignore(reasonLongLabels)
		return false
	}
	if queued && !j.queued.IsZero() && d.start.Sub(j.queued) > webhookcontract.MaxQueued {
		d.stale, d.reason = true, reasonStale
		return true
	}
	fleet, ok := h.Routes.Fleet(j.labels)
	if ok {
		d.fleet = fleet
		return true
	}
	d.labels = labels.Show(j.labels)
	if labels.GitHubHosted(j.labels) {
		d.gitHubHosted = queued
		d.reason = reasonGitHubHosted
		return true
	}
	d.uncovered = queued
	d.reason = reasonUncovered + ": there is no fleet"
	if nearest, lacks, ok := h.Routes.Nearest(j.labels); ok {
		d.reason = fmt.Sprintf("%s: fleet %q lacks: %s", reasonUncovered, nearest, labels.Show(lacks))
	}
	return true
}

// publish puts the event on the bus, reduced if it is too large for it.
func (h *Handler) publish(ctx context.Context, p *payload, dispatch *contract.Dispatch, d *delivery) error {
	e := entry{source: contract.SourceGitHub, detailType: d.event, time: d.start, trace: d.trace}
	for _, encode := range []func(*payload, *contract.Dispatch) (string, error){splice, reduce} {
		var err error
		if e.detail, err = encode(p, dispatch); err != nil {
			return err
		}
		failures, err := h.Publisher.publish(ctx, e)
		d.failures += failures
		if err == nil {
			d.end(webhookcontract.OutcomeAccepted)
			return nil
		}
		if !errors.Is(err, ErrEntrySize) {
			return err
		}
		d.reduced = true
	}
	return fmt.Errorf("%w: %w", ErrBus, ErrEntrySize)
}

// traceID returns the id of the X-Ray trace a request belongs to, in the form the
// bus accepts, or nothing.
func traceID(header http.Header) string {
	id := header.Get("X-Amzn-Trace-Id")
	if !strings.HasPrefix(id, "Root=1-") || len(id) > 500 {
		return ""
	}
	return id
}
