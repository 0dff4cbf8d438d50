//go:build emulator

package emulator_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/lambdatest"
)

const webhookSecret = "emulator-secret-3d81"

// pattern is the event pattern of the rule of a fleet.
func pattern(t *testing.T, fleet string) *string {
	t.Helper()
	encoded, err := json.Marshal(map[string]any{
		"source":      []string{contract.SourceGitHub, contract.SourceRedispatch},
		"detail-type": []string{contract.DetailTypeWorkflowJob},
		"detail": map[string]any{
			"action":                []string{contract.ActionQueued},
			contract.MemberDispatch: map[string]any{contract.DispatchFleet: []string{fleet}},
		},
	})
	require.NoError(t, err)
	return aws.String(string(encoded))
}

// webhook is the built program under a runtime API, and the bus it feeds.
type webhook struct {
	runtime *lambdatest.Runtime
	events  *eventbridge.Client
	queues  *sqs.Client
	secrets *secretsmanager.Client
	output  *bytes.Buffer
	bus     string
	urls    map[string]string // of the queues, by fleet
}

func startWebhook(ctx context.Context, t *testing.T) *webhook {
	t.Helper()
	url := lambdatest.StartMoto(t)
	cfg := awsConfig(ctx, t, url)
	w := &webhook{
		events: eventbridge.NewFromConfig(cfg), queues: sqs.NewFromConfig(cfg), secrets: secretsmanager.NewFromConfig(cfg),
		output: &bytes.Buffer{}, bus: "runners", urls: make(map[string]string),
	}
	secret, err := w.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name:         aws.String("webhook"),
		SecretString: aws.String(webhookSecret),
	})
	require.NoError(t, err)
	bus, err := w.events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: &w.bus})
	require.NoError(t, err)
	settings := webhookcontract.Config{
		EventBus: *bus.EventBusArn, SecretID: *secret.ARN, Owners: []string{"my-org"},
		Routes: []contract.Fleet{
			{Name: "linux-x64", Labels: []string{"self-hosted", "linux", "x64"}},
			{Name: "gpu", Labels: []string{"self-hosted", "gpu"}},
		},
	}
	for _, fleet := range settings.Routes {
		w.addRule(ctx, t, fleet.Name)
	}

	program := filepath.Join(t.TempDir(), "bootstrap")
	require.NoError(t, lambdatest.Build(ctx, "github.com/ecs-github-runners/ecsrunners/lambda/webhook", program))
	w.runtime, err = lambdatest.NewRuntime()
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.runtime.Close() })
	environment, err := settings.Environment()
	require.NoError(t, err)
	command := exec.Command(program)
	command.Env = append(w.runtime.Environment("webhook"), "AWS_ENDPOINT_URL="+url)
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Stdout, command.Stderr = w.output, w.output
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		assert.NotContains(t, w.output.String(), webhookSecret)
		assert.NotContains(t, w.output.String(), "sha256=")
		assert.NotContains(t, w.output.String(), "node_id", "the payload is in the log")
		if t.Failed() {
			t.Log(w.output.String())
		}
	})
	return w
}

// addRule makes a rule with a queue as its target, where the fleet would run tasks.
func (w *webhook) addRule(ctx context.Context, t *testing.T, fleet string) {
	t.Helper()
	queue, err := w.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &fleet})
	require.NoError(t, err)
	w.urls[fleet] = *queue.QueueUrl
	attributes, err := w.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: queue.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	require.NoError(t, err)
	_, err = w.events.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: &fleet, EventBusName: &w.bus,
		EventPattern: pattern(t, fleet),
	})
	require.NoError(t, err)
	_, err = w.events.PutTargets(ctx, &eventbridge.PutTargetsInput{
		Rule: &fleet, EventBusName: &w.bus,
		Targets: []eventbridgetypes.Target{
			{Id: aws.String("queue"), Arn: aws.String(attributes.Attributes["QueueArn"])},
		},
	})
	require.NoError(t, err)
}

// deliver sends a delivery and returns the status.
func (w *webhook) deliver(ctx context.Context, t *testing.T, secret string, body []byte) int {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	event, err := lambdatest.Post(map[string]string{
		"content-type":        "application/json",
		"x-github-event":      contract.DetailTypeWorkflowJob,
		"x-github-delivery":   "72d3162e-cc78-11e3-81ab-4c9367dc0958",
		"x-hub-signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
	}, body)
	require.NoError(t, err)
	answer, err := w.runtime.Invoke(ctx, event)
	require.NoError(t, err)
	var response lambdatest.Response
	require.NoError(t, json.Unmarshal(answer, &response))
	return response.StatusCode
}

// message is an event as a rule passes it on.
type message struct {
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`
	Detail     struct {
		Dispatch contract.Dispatch `json:"dispatch"`
		Action   string            `json:"action"`
		Job      struct {
			ID     json.Number `json:"id"`
			NodeID string      `json:"node_id"`
		} `json:"workflow_job"`
	} `json:"detail"`
}

// receive returns what the rule of a fleet has passed on.
func (w *webhook) receive(ctx context.Context, t *testing.T, fleet string) []message {
	t.Helper()
	out, err := w.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:            aws.String(w.urls[fleet]),
		MaxNumberOfMessages: 10,
	})
	require.NoError(t, err)
	var messages []message
	for _, m := range out.Messages {
		var decoded message
		require.NoError(t, json.Unmarshal([]byte(*m.Body), &decoded))
		messages = append(messages, decoded)
		_, err := w.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{
			QueueUrl:      aws.String(w.urls[fleet]),
			ReceiptHandle: m.ReceiptHandle,
		})
		require.NoError(t, err)
	}
	return messages
}

// payload returns the payload of a delivery with the given action and labels.
func payload(t *testing.T, action string, labels ...string) []byte {
	t.Helper()
	body, err := os.ReadFile("testdata/workflow_job.json")
	require.NoError(t, err)
	encoded, err := json.Marshal(labels)
	require.NoError(t, err)
	body = bytes.Replace(body, []byte(`"action":"queued"`), []byte(`"action":"`+action+`"`), 1)
	now := []byte(time.Now().UTC().Format(time.RFC3339))
	body = bytes.ReplaceAll(body, []byte("2023-04-19T21:12:12Z"), now) // a day later it would be a kept delivery
	return bytes.Replace(body, []byte(`"labels":[]`), append([]byte(`"labels":`), encoded...), 1)
}

func TestWebhook_EventsMeetTheRulesOfTheFleets(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	w := startWebhook(ctx, t)

	t.Run("queued job reaches its fleet only", func(t *testing.T) {
		require.Equal(t, 202, w.deliver(ctx, t, webhookSecret, payload(t, "queued", "self-hosted", "X64", "linux")))
		got := w.receive(ctx, t, "linux-x64")
		require.Len(t, got, 1)
		assert.Equal(t, "github.com", got[0].Source)
		assert.Equal(t, "workflow_job", got[0].DetailType)
		assert.Equal(t, contract.Dispatch{
			Fleet: "linux-x64", JobID: "29679449526", Repository: "my-org/app", Labels: "linux,self-hosted,x64",
			DeliveryID: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Attempt: "1",
		}, got[0].Detail.Dispatch)
		assert.Equal(t, "29679449526", got[0].Detail.Job.ID.String())
		assert.NotEmpty(t, got[0].Detail.Job.NodeID, "GitHub's payload is there too")
		assert.Empty(t, w.receive(ctx, t, "gpu"))
	})
	t.Run("each fleet gets its own", func(t *testing.T) {
		require.Equal(t, 202, w.deliver(ctx, t, webhookSecret, payload(t, "queued", "gpu")))
		assert.Len(t, w.receive(ctx, t, "gpu"), 1)
		assert.Empty(t, w.receive(ctx, t, "linux-x64"))
	})
	t.Run("payload too large for the bus reaches its fleet reduced", func(t *testing.T) {
		body := bytes.Replace(payload(t, "queued", "gpu"), []byte(`"steps":[]`),
			[]byte(`"steps":["`+string(bytes.Repeat([]byte("x"), 2<<20))+`"]`), 1)
		require.Equal(t, 202, w.deliver(ctx, t, webhookSecret, body))
		got := w.receive(ctx, t, "gpu")
		require.Len(t, got, 1)
		assert.Equal(t, "29679449526", got[0].Detail.Dispatch.JobID)
		assert.Equal(t, "29679449526", got[0].Detail.Job.ID.String())
		assert.Empty(t, got[0].Detail.Job.NodeID)
	})
	t.Run("what is no demand starts nothing", func(t *testing.T) {
		for _, action := range []string{"waiting", "in_progress", "completed"} {
			require.Equal(t, 202, w.deliver(ctx, t, webhookSecret, payload(t, action, "gpu")))
		}
		require.Equal(t, 202, w.deliver(ctx, t, webhookSecret, payload(t, "queued", "windows")), "no fleet")
		require.Equal(t, 202, w.deliver(ctx, t, webhookSecret, payload(t, "queued", "ubuntu-latest")), "GitHub's runners")
		require.Equal(t, 401, w.deliver(ctx, t, "guess", payload(t, "queued", "gpu")))
		for fleet := range w.urls {
			assert.Empty(t, w.receive(ctx, t, fleet))
		}
	})
	t.Run("redispatch reaches the fleet", func(t *testing.T) {
		detail, err := json.Marshal(map[string]any{
			"dispatch": contract.Dispatch{Fleet: "gpu", JobID: "1", Attempt: "2"},
			"action":   contract.ActionQueued,
		})
		require.NoError(t, err)
		_, err = w.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []eventbridgetypes.PutEventsRequestEntry{{
			EventBusName: &w.bus, Source: aws.String(contract.SourceRedispatch),
			DetailType: aws.String(contract.DetailTypeWorkflowJob), Detail: aws.String(string(detail)),
		}}})
		require.NoError(t, err)
		got := w.receive(ctx, t, "gpu")
		require.Len(t, got, 1)
		assert.Equal(t, "2", got[0].Detail.Dispatch.Attempt)
	})
	t.Run("secret that was just replaced is read again", func(t *testing.T) {
		time.Sleep(10 * time.Second) // the least time between two readings
		_, err := w.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
			SecretId:     aws.String("webhook"),
			SecretString: aws.String("replaced"),
		})
		require.NoError(t, err)
		require.Equal(t, 202, w.deliver(ctx, t, "replaced", payload(t, "queued", "gpu")))
		require.Equal(t, 401, w.deliver(ctx, t, webhookSecret, payload(t, "queued", "gpu")))
		assert.Len(t, w.receive(ctx, t, "gpu"), 1)
	})
	t.Run("bus that is gone makes the delivery fail", func(t *testing.T) {
		for fleet := range w.urls {
			_, err := w.events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{
				Rule: aws.String(fleet), EventBusName: &w.bus,
				Ids: []string{"queue"},
			})
			require.NoError(t, err)
			_, err = w.events.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: aws.String(fleet), EventBusName: &w.bus})
			require.NoError(t, err)
		}
		_, err := w.events.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: &w.bus})
		require.NoError(t, err)
		require.Equal(t, 503, w.deliver(ctx, t, "replaced", payload(t, "queued", "gpu")))
	})
}
