package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
)

const (
	// maxEntrySize is the largest entry that is sent. The limit is 1 MB; whether
	// that is 1,000,000 or 1,048,576 bytes, and whether the JSON around the detail
	// counts, is documented in two ways, so the program keeps to the smaller.
	maxEntrySize = 1_000_000
	// safeEntrySize is the limit the bus had before, and may still have in some
	// region: a larger entry that it finds invalid is sent again, reduced.
	safeEntrySize = 256 * 1024
	// timeSize is what the time of an entry counts towards its size.
	timeSize = 14

	attemptTimeout = 2500 * time.Millisecond
	firstDelay     = 50 * time.Millisecond
	maxDelay       = time.Second
)

var (
	// ErrBus says that the bus did not take an event.
	ErrBus = errors.New("bus did not take the event")
	// ErrEntrySize says that an event is larger than the bus accepts.
	ErrEntrySize = errors.New("event is too large for the bus")
)

// Bus is the part of the EventBridge client that a Publisher needs. It must not
// retry, the Publisher does.
type Bus interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Publisher puts events on a bus and does not give up early.
type Publisher struct {
	bus    Bus
	name   string
	clock  clock.Clock
	jitter func(time.Duration) time.Duration
}

// NewPublisher returns a Publisher for the bus with the given name or ARN. Jitter
// shortens the delays between attempts, so that failing together does not lead
// to trying together.
func NewPublisher(bus Bus, name string, clock clock.Clock, jitter func(time.Duration) time.Duration) *Publisher {
	return &Publisher{bus: bus, name: name, clock: clock, jitter: jitter}
}

// entry is an event to be put on the bus.
type entry struct {
	source     string
	detailType string
	detail     string
	time       time.Time
	trace      string
}

// size is what EventBridge counts towards its limit.
func (e entry) size() int {
	return timeSize + len(e.source) + len(e.detailType) + len(e.detail)
}

// publish puts an event on the bus. It tries until ctx is done, unless a failure is
// of a kind that stays, and returns the number of attempts that failed.
func (p *Publisher) publish(ctx context.Context, e entry) (failures int, err error) {
	if e.size() > maxEntrySize {
		return 0, ErrEntrySize
	}
	delay := firstDelay
	for {
		err := p.put(ctx, e)
		if err == nil {
			return failures, nil
		}
		failures++
		if !err.retryable {
			if err.invalid() && e.size() > safeEntrySize {
				return failures, ErrEntrySize
			}
			return failures, fmt.Errorf("%w: %w", ErrBus, err)
		}
		if p.clock.Sleep(ctx, p.jitter(delay)) != nil {
			return failures, fmt.Errorf("%w: giving up after %d attempts: %w", ErrBus, failures, err)
		}
		delay = min(2*delay, maxDelay)
	}
}

// put makes one attempt.
func (p *Publisher) put(ctx context.Context, e entry) *putError {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	request := types.PutEventsRequestEntry{
		EventBusName: &p.name,
		Source:       &e.source,
		DetailType:   &e.detailType,
		Detail:       &e.detail,
		Time:         &e.time,
	}
	if e.trace != "" {
		request.TraceHeader = &e.trace
	}
	out, err := p.bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{request}})
	if err != nil {
		return newPutError(err)
	}
	if out.FailedEntryCount > 0 || len(out.Entries) != 1 || out.Entries[0].EventId == nil {
		return newEntryError(out)
	}
	return nil
}

// putError is a failed attempt. Its message has the code, not the message of
// EventBridge: that may quote the entry.
type putError struct {
	code      string
	status    int
	request   string
	retryable bool
	cause     error // not an answer of EventBridge
}

// newPutError makes a putError of what the client returned. What is not an answer
// of EventBridge is trouble on the way to it, and passes.
func newPutError(err error) *putError {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return &putError{retryable: true, cause: err}
	}
	e := &putError{
		code:      answer.ErrorCode(),
		retryable: retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary,
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		e.status, e.request = response.HTTPStatusCode(), response.ServiceRequestID()
		e.retryable = e.retryable || e.status >= http.StatusInternalServerError || e.status == http.StatusTooManyRequests
	}
	return e
}

// newEntryError makes a putError of an answer that accepts the call but not the
// entry.
func newEntryError(out *eventbridge.PutEventsOutput) *putError {
	e := &putError{code: "FailedEntry", status: http.StatusOK, retryable: true}
	if len(out.Entries) == 1 && out.Entries[0].ErrorCode != nil {
		e.code = *out.Entries[0].ErrorCode
	}
	switch e.code {
	case "AccessDeniedException", "InvalidAccountIdException", "InvalidArgument", "MalformedDetail",
		"NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException", "RedactionFailure":
		e.retryable = false
	}
	return e
}

// invalid reports whether EventBridge objects to the entry itself.
func (e *putError) invalid() bool {
	return e.code == "ValidationException" || e.code == "InvalidArgument" || e.status == http.StatusRequestEntityTooLarge
}

// Error implements error.
func (e *putError) Error() string {
	if e.cause != nil {
		return "putting event: " + e.cause.Error()
	}
	return fmt.Sprintf("putting event: %s (status %d, request %q)", e.code, e.status, e.request)
}

// Unwrap returns what kept the call from being answered.
func (e *putError) Unwrap() error { return e.cause }
