package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
)

// Reasons for ignoring a job, or for accepting it without a fleet.
const (
	reasonUncovered    = "no fleet covers the labels"
	reasonGitHubHosted = "the labels are those of a GitHub-hosted runner"
	reasonNoLabels     = "job has no labels"
	reasonLongLabels   = "labels are longer than those of any fleet"
	reasonStale        = "job was queued more than 25 hours ago"
)

// delivery is a request and what became of it, as answer, log and metrics tell
// it. What comes from the request is filled in once the signature is known to be
// right.
type delivery struct {
	start time.Time
	trace string

	id         string
	event      string
	action     string
	repository string
	job        string
	fleet      string
	labels     string // of a job without a fleet, as people read them

	outcome webhookcontract.Outcome
	status  int
	reason  string // for the sender
	err     error  // for the log

	reduced      bool
	failures     int // of PutEvents
	uncovered    bool
	gitHubHosted bool
	stale        bool
}

const (
	eventHeader    = "X-GitHub-Event"
	deliveryHeader = "X-GitHub-Delivery"
)

// identify takes the event and the id from the headers.
func (d *delivery) identify(header http.Header) error {
	event, id := header.Get(eventHeader), header.Get(deliveryHeader)
	if !contract.IsEventName(event) {
		return fmt.Errorf("%s %w", eventHeader, ErrHeader)
	}
	if !isDeliveryID(id) {
		return fmt.Errorf("%s %w", deliveryHeader, ErrHeader)
	}
	d.event, d.id = event, id
	return nil
}

// isDeliveryID accepts GitHub's GUIDs and what a person may type instead.
func isDeliveryID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// end sets the outcome of a delivery that was dealt with.
func (d *delivery) end(outcome webhookcontract.Outcome) {
	d.outcome, d.status = outcome, http.StatusOK
	if outcome == webhookcontract.OutcomeAccepted {
		d.status = http.StatusAccepted
	}
}

// ignore ends a delivery that is not for the bus.
func (d *delivery) ignore(reason string) {
	d.end(webhookcontract.OutcomeIgnored)
	d.reason = reason
}

// fail ends a delivery with an error. Who has signed the delivery learns what is
// wrong with it; nobody learns more.
func (d *delivery) fail(err error) {
	d.err = err
	invalid := func(status int) {
		d.outcome, d.status, d.reason = webhookcontract.OutcomeInvalid, status, err.Error()
	}
	switch {
	case errors.Is(err, ErrMethod):
		invalid(http.StatusMethodNotAllowed)
	case errors.Is(err, ErrBodySize):
		invalid(http.StatusRequestEntityTooLarge)
	case errors.Is(err, ErrContentType):
		invalid(http.StatusUnsupportedMediaType)
	case errors.Is(err, ErrPayload), errors.Is(err, ErrHeader), errors.Is(err, ErrBody):
		invalid(http.StatusBadRequest)
	case errors.Is(err, ErrNoSignature), errors.Is(err, ErrSignatureFormat), errors.Is(err, ErrSignature):
		d.outcome, d.status, d.reason = webhookcontract.OutcomeUnauthorized, http.StatusUnauthorized, ""
	case errors.Is(err, ErrSecret), errors.Is(err, ErrBus):
		d.outcome, d.status, d.reason = webhookcontract.OutcomeUnavailable, http.StatusServiceUnavailable, ""
	default:
		d.outcome, d.status, d.reason = webhookcontract.OutcomeFailed, http.StatusInternalServerError, ""
	}
}

// answer reports to the sender what became of the delivery.
func (d *delivery) answer(w http.ResponseWriter) {
	body, err := json.Marshal(struct {
		Outcome webhookcontract.Outcome `json:"outcome"`
		Event   string                  `json:"event,omitempty"`
		Action  string                  `json:"action,omitempty"`
		Fleet   string                  `json:"fleet,omitempty"`
		Labels  string                  `json:"labels,omitempty"`
		Reason  string                  `json:"reason,omitempty"`
	}{d.outcome, d.event, d.action, d.fleet, d.labels, d.reason})
	if err != nil {
		body = nil // strings are always encoded
	}
	w.Header().Set("Content-Type", "application/json")
	if d.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(d.status)
	_, _ = w.Write(append(body, '\n')) // a sender who has gone learns nothing
}

// record writes the log line and the metrics of a delivery.
func (h *Handler) record(ctx context.Context, d *delivery) {
	level := slog.LevelInfo
	switch d.outcome {
	case webhookcontract.OutcomeUnauthorized, webhookcontract.OutcomeInvalid:
		level = slog.LevelWarn
	case webhookcontract.OutcomeUnavailable, webhookcontract.OutcomeFailed:
		level = slog.LevelError
	}
	attrs := make([]slog.Attr, 0, 16)
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("outcome", string(d.outcome))
	attrs = append(attrs, slog.Int("status", d.status))
	add("delivery_id", d.id)
	add("event", d.event)
	add("action", d.action)
	add("repository", d.repository)
	add("job_id", d.job)
	add("fleet", d.fleet)
	add("labels", d.labels)
	add("reason", d.reason)
	if d.reduced {
		attrs = append(attrs, slog.Bool("reduced", true))
	}
	if d.failures > 0 {
		attrs = append(attrs, slog.Int("put_failures", d.failures))
	}
	if d.err != nil {
		add("error", d.err.Error())
		if panicked := (*panicError)(nil); errors.As(d.err, &panicked) {
			add("stack", string(panicked.stack))
		}
	}
	attrs = append(attrs, slog.Float64("duration_ms", float64(h.Clock.Now().Sub(d.start).Microseconds())/1000))
	h.Log.LogAttrs(ctx, level, "delivery", attrs...)

	if err := h.Metrics.Emit(h.sets(d)...); err != nil {
		h.Log.LogAttrs(ctx, slog.LevelError, "metrics are lost", slog.String("error", err.Error()))
	}
}

// sets returns the metrics of a delivery.
func (h *Handler) sets(d *delivery) []metrics.Set {
	function := metrics.Dimension{Name: contract.DimensionFunction, Value: h.Function}
	sets := []metrics.Set{{
		Dimensions: []metrics.Dimension{function, {Name: contract.DimensionOutcome, Value: string(d.outcome)}},
		Counts:     []metrics.Count{{Name: webhookcontract.MetricDeliveries, Value: 1}},
	}}
	var counts []metrics.Count
	if d.failures > 0 {
		counts = append(counts, metrics.Count{Name: webhookcontract.MetricPutFailures, Value: d.failures})
	}
	if d.uncovered {
		counts = append(counts, metrics.Count{Name: webhookcontract.MetricUncoveredJobs, Value: 1})
	}
	if d.gitHubHosted {
		counts = append(counts, metrics.Count{Name: webhookcontract.MetricGitHubHostedJobs, Value: 1})
	}
	if d.stale {
		counts = append(counts, metrics.Count{Name: webhookcontract.MetricStaleJobs, Value: 1})
	}
	if len(counts) > 0 {
		sets = append(sets, metrics.Set{Dimensions: []metrics.Dimension{function}, Counts: counts})
	}
	return sets
}

// maxStack is how much of the stack is logged: the part where the panic came from.
const maxStack = 4096

// panicError is a panic on the way of a delivery. Of the value only the kind is
// kept, unless it comes from the Go runtime, because it may be part of a payload.
type panicError struct {
	value string
	stack []byte
}

func newPanicError(v any) *panicError {
	stack := debug.Stack()
	e := &panicError{value: fmt.Sprintf("value of type %T", v), stack: stack[:min(len(stack), maxStack)]}
	if err, ok := v.(runtime.Error); ok {
		e.value = err.Error()
	}
	return e
}

// Error implements error.
func (e *panicError) Error() string { return "panic: " + e.value }
