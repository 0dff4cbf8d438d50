package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/functionurl"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
	"github.com/ecs-github-runners/ecsrunners/internal/control/secrets"
	"github.com/ecs-github-runners/ecsrunners/internal/control/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

const (
	currentSecret  = "current-secret-5f0c2f"
	previousSecret = "previous-secret-9a41d7"
	deliveryID     = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
)

// store is a Secrets Manager: secrets by id, or an error.
type store struct {
	lock    sync.Mutex
	secrets map[string]string
	err     error
	reads   int
}

func (s *store) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput,
	_ ...func(*secretsmanager.Options),
) (*secretsmanager.GetSecretValueOutput, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.reads++
	if s.err != nil {
		return nil, s.err
	}
	value, ok := s.secrets[*in.SecretId]
	if !ok {
		return nil, errors.New("no such secret")
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: &value}, nil
}

// bus is an EventBridge that keeps what it accepts. With put set, that decides.
type bus struct {
	lock    sync.Mutex
	calls   int
	entries []types.PutEventsRequestEntry
	put     func(ctx context.Context, call int, entry types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput, error)
}

func (b *bus) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (
	*eventbridge.PutEventsOutput, error,
) {
	b.lock.Lock()
	b.calls++
	call, put := b.calls, b.put
	b.lock.Unlock()
	out, err := success(), error(nil)
	if put != nil {
		out, err = put(ctx, call, in.Entries[0])
	}
	if err == nil && out.FailedEntryCount == 0 {
		b.lock.Lock()
		b.entries = append(b.entries, in.Entries...)
		b.lock.Unlock()
	}
	return out, err
}

func success() *eventbridge.PutEventsOutput {
	return &eventbridge.PutEventsOutput{Entries: []types.PutEventsResultEntry{{EventId: aws.String("1")}}}
}

func failedEntry(code string) *eventbridge.PutEventsOutput {
	return &eventbridge.PutEventsOutput{FailedEntryCount: 1, Entries: []types.PutEventsResultEntry{{
		ErrorCode: aws.String(code), ErrorMessage: aws.String("the entry is " + payloadMarker),
	}}}
}

// output is what a program writes to its standard output.
type output struct {
	lock   sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.lock.Lock()
	defer o.lock.Unlock()
	return o.buffer.Write(p)
}

// take returns what was written since the last time.
func (o *output) take() string {
	o.lock.Lock()
	defer o.lock.Unlock()
	defer o.buffer.Reset()
	return o.buffer.String()
}

// fixture is a handler behind the real adapter, with the world outside replaced.
type fixture struct {
	store   *store
	bus     *bus
	output  *output
	handler *functionurl.Handler
}

// settings returns settings that accept deliveries from my-org.
func settings() webhookcontract.Config {
	return webhookcontract.Config{
		EventBus:  "runners",
		SecretID:  "current",
		SecretTTL: webhookcontract.DefaultSecretTTL,
		Owners:    []string{"my-org"},
		Events:    []string{contract.DetailTypeWorkflowJob},
		Routes: []contract.Fleet{
			{Name: "linux-arm64", Labels: []string{"self-hosted", "linux", "arm64"}},
			{Name: "linux-x64", Labels: []string{"self-hosted", "linux", "x64"}},
		},
	}
}

func newFixture(t testing.TB, s webhookcontract.Config) *fixture {
	t.Helper()
	f := &fixture{
		store:  &store{secrets: map[string]string{"current": currentSecret, "previous": previousSecret}},
		bus:    &bus{},
		output: &output{},
	}
	routes, err := labels.NewRoutes(s.Routes)
	require.NoError(t, err)
	var system clock.System
	var previous []webhook.Secret
	if s.PreviousSecretID != "" {
		previous = append(previous, secrets.New(f.store, s.PreviousSecretID, s.SecretTTL, system))
	}
	f.handler = functionurl.New(&webhook.Handler{
		Verifier:  webhook.NewVerifier(secrets.New(f.store, s.SecretID, s.SecretTTL, system), previous...),
		Policy:    webhook.NewPolicy(s),
		Routes:    routes,
		Publisher: webhook.NewPublisher(f.bus, s.EventBus, system, func(d time.Duration) time.Duration { return d }),
		Clock:     system,
		Log:       slog.New(slog.NewJSONHandler(f.output, nil)),
		Metrics:   metrics.NewEmitter(f.output, webhookcontract.MetricNamespace, system),
		Function:  "webhook",
	})
	return f
}

// delivery is a request as GitHub sends it; empty fields stand for what is usual.
type delivery struct {
	body    string
	event   string
	secret  string
	method  string
	base64  bool
	headers map[string]string // in addition; an empty value removes one
}

// event returns the function URL event of a delivery.
func (d delivery) request() events.LambdaFunctionURLRequest {
	or := func(value, usual string) string {
		if value == "" {
			return usual
		}
		return value
	}
	headers := map[string]string{
		"content-type":        "application/json",
		"user-agent":          "GitHub-Hookshot/0000000",
		"x-github-event":      or(d.event, contract.DetailTypeWorkflowJob),
		"x-github-delivery":   deliveryID,
		"x-hub-signature":     "sha1=0000000000000000000000000000000000000000",
		"x-hub-signature-256": sign(or(d.secret, currentSecret), d.body),
	}
	for name, value := range d.headers {
		headers[name] = value
		if value == "" {
			delete(headers, name)
		}
	}
	request := events.LambdaFunctionURLRequest{Headers: headers, Body: d.body}
	request.RequestContext.HTTP.Method = or(d.method, http.MethodPost)
	if d.base64 {
		request.Body, request.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(d.body)), true
	}
	return request
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// answer is the answer to a delivery, and what was written about it.
type answer struct {
	status  int
	headers map[string]string
	outcome webhookcontract.Outcome
	fleet   string
	labels  string
	reason  string
	body    string
	log     map[string]any
	metrics map[string]any
}

// deliver sends a delivery and checks what holds for all of them: the answer is
// JSON, there is one log line and one line of metrics, they agree, and they give
// nothing away.
func (f *fixture) deliver(t testing.TB, d delivery) answer {
	t.Helper()
	request := d.request()
	a := f.send(t, request)
	lines := strings.Split(strings.TrimSuffix(f.output.take(), "\n"), "\n")
	require.Len(t, lines, 2, "one log line and one line of metrics")
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &a.log))
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &a.metrics))
	require.EqualValues(t, a.outcome, a.log["outcome"])
	require.EqualValues(t, a.status, a.log["status"])
	require.EqualValues(t, a.outcome, a.metrics[contract.DimensionOutcome])
	require.EqualValues(t, 1, a.metrics[webhookcontract.MetricDeliveries])
	for _, line := range lines {
		requireNoLeak(t, line, request, d.body)
	}
	return a
}

// send sends a request and decodes the answer.
func (f *fixture) send(t testing.TB, request events.LambdaFunctionURLRequest) answer {
	t.Helper()
	event, err := json.Marshal(request)
	require.NoError(t, err)
	encoded, err := f.handler.Invoke(context.Background(), event)
	require.NoError(t, err)
	var response events.LambdaFunctionURLResponse
	require.NoError(t, json.Unmarshal(encoded, &response))
	require.Equal(t, "application/json", response.Headers["Content-Type"])
	var body struct {
		Outcome webhookcontract.Outcome `json:"outcome"`
		Fleet   string                  `json:"fleet"`
		Labels  string                  `json:"labels"`
		Reason  string                  `json:"reason"`
	}
	require.NoError(t, json.Unmarshal([]byte(response.Body), &body), response.Body)
	return answer{
		status: response.StatusCode, headers: response.Headers, body: response.Body,
		outcome: body.Outcome, fleet: body.Fleet, labels: body.Labels, reason: body.Reason,
	}
}

// payloadMarker is in payloads, and must not be in logs.
const payloadMarker = "payload-marker-e77b1c"

// jobPayload returns a workflow_job payload with the given members of the job.
func jobPayload(action, job string) string {
	return `{"action":"` + action + `","workflow_job":` + job +
		`,"repository":{"id":1,"full_name":"my-org/app","private":true,"owner":{"login":"my-org"},"description":"` +
		payloadMarker + `"}` +
		`,"organization":{"login":"my-org"},"sender":{"login":"somebody"},"installation":{"id":2}}`
}

const usualJob = `{"id":29679449526,"run_id":7,"status":"queued","labels":["self-hosted","X64","linux"],"runner_name":null}`

func usualPayload() string { return jobPayload("queued", usualJob) }
