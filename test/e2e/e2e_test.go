//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/lambdatest"
)

const (
	module        = "github.com/ecs-github-runners/ecsrunners"
	region        = "eu-central-1"
	roleID        = "AROAENDTOENDEXAMPLE"
	webhookSecret = "end-to-end-webhook-secret"
	listens       = "listen; run build; work 1s; done Succeeded; exit 0"

	cluster           = "arn:aws:ecs:" + region + ":123456789012:cluster/runners"
	nextWebhookSecret = "the-secret-that-replaces-it"
)

var keys = aws.Credentials{
	AccessKeyID: "ASIAENDTOENDEXAMPLE0", SecretAccessKey: "end-to-end-key",
	SessionToken: "end-to-end-session",
}

// system is everything between GitHub and a container.
type system struct {
	t          *testing.T
	begun      time.Time
	moto       string
	proxy      string // of ECS
	github     *gitHub
	webhook    *lambdatest.Runtime
	events     *eventbridge.Client
	queues     *sqs.Client
	ecs        *ecs.Client
	secrets    *secretsmanager.Client
	queue      string
	resources  map[string]resource // of the synthesized template
	rule       map[string]any      // properties of the one in it
	definition map[string]any      // those of the task definition
	output     output

	evidence   evidence
	everything string   // the queue with all events
	tasks      []string // their ARNs
	ledgers    []string // their names
	tokens     []string // with which supervisors give their runners back
	proofs     []string // the signatures of those that tasks have sent

	folder       string
	registration *lambdatest.Runtime
	front        *httptest.Server
	sts          *lambdatest.STS
	stsServer    *httptest.Server
}

// output is what the functions write.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// say writes a line of the timeline.
func (s *system) say(format string, args ...any) {
	s.t.Logf("%7.3f s  %s", time.Since(s.begun).Seconds(), fmt.Sprintf(format, args...))
}

func TestOneJob(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := newSystem(ctx, t)

	t.Run("a queued job runs", func(t *testing.T) {
		s.t = t
		s.enqueue("29679449526")
		require.Equal(t, 202, s.deliver(ctx, "queued", webhookSecret, "self-hosted", "X64", "linux"))
		task := s.start(ctx, s.event(ctx))
		container := s.launch(ctx, task, listens)
		end := container.wait()
		assert.Equal(t, runnercontract.ExitJobRan, end.code, container.output.String())
		assert.Equal(t, "job_ran", end.Reason)
		s.github.set(func() {
			j := s.github.jobs["29679449526"]
			assert.Equal(t, "in_progress", j.status)
			assert.True(t, strings.HasPrefix(j.runnerName, "e2e-linux-x64-29679449526-"+task.id[:8]), j.runnerName)
			j.status = "completed"
			delete(s.github.runners, j.runnerID)
		})
		// ECS does not know yet that the task has ended, and the job has taken the
		// credentials of the task's role along.
		s.enqueue("29679449527")
		proven := s.proven(ctx, task)
		status, _ := s.call(ctx, runnercontract.PathRelease, task, keys, proven, proven)
		assert.Equal(t, http.StatusForbidden, status, "a job gives its runner back")
		status, answer := s.call(ctx, runnercontract.PathRegister, task, keys, proven, proven)
		assert.Equal(t, http.StatusConflict, status, "a job has its task registered for another job: %s", answer)
		s.github.set(func() { delete(s.github.jobs, "29679449527") })
	})
	t.Run("a duplicate delivery ends without work", func(t *testing.T) {
		s.t = t
		require.Equal(t, 202, s.deliver(ctx, "queued", webhookSecret, "self-hosted"))
		container := s.launch(ctx, s.start(ctx, s.event(ctx)), listens)
		end := container.wait()
		assert.Equal(t, runnercontract.ExitNoWork, end.code, container.output.String())
		assert.Less(t, end.took, 2*time.Second)
	})
	t.Run("no job comes, and the runner is given back", func(t *testing.T) {
		s.t = t
		s.newLedger(ctx)
		s.enqueue("29679449526")
		s.github.set(func() { s.github.stingy = true })
		require.Equal(t, 202, s.deliver(ctx, "queued", webhookSecret, "linux"))
		task := s.start(ctx, s.event(ctx))
		task.variables[runnercontract.EnvIdleTimeout] = "1s"
		container := s.launch(ctx, task, "listen; hang")
		assert.Equal(t, runnercontract.ExitIdle, container.wait().code, container.output.String())
		s.github.set(func() {
			assert.Empty(t, s.github.runners, "the runner is left at GitHub")
			s.github.stingy = false
		})
	})
	t.Run("labels of no fleet start nothing", func(t *testing.T) {
		s.t = t
		require.Equal(t, 202, s.deliver(ctx, "queued", webhookSecret, "windows"))
		assert.Empty(t, s.receive(ctx))
	})
	t.Run("a job cancelled before its start ends without work", func(t *testing.T) {
		s.t = t
		s.enqueue("29679449526")
		s.github.set(func() { s.github.jobs["29679449526"] = &job{status: "completed", labels: []string{"linux"}} })
		s.newLedger(ctx)
		require.Equal(t, 202, s.deliver(ctx, "queued", webhookSecret, "linux"))
		container := s.launch(ctx, s.start(ctx, s.event(ctx)), listens)
		assert.Equal(t, runnercontract.ExitNoWork, container.wait().code, container.output.String())
	})
	t.Run("GitHub is down for a minute, and the job runs", func(t *testing.T) {
		s.t = t
		s.newLedger(ctx)
		s.enqueue("29679449526")
		s.github.set(func() { s.github.down = true })
		time.AfterFunc(time.Minute, func() { s.github.set(func() { s.github.down = false }); s.say("GitHub is back") })
		require.Equal(t, 202, s.deliver(ctx, "queued", webhookSecret, "linux"))
		container := s.launch(ctx, s.start(ctx, s.event(ctx)), listens)
		end := container.wait()
		assert.Equal(t, runnercontract.ExitJobRan, end.code, container.output.String())
		assert.GreaterOrEqual(t, end.took, time.Minute)
		s.github.set(func() { assert.Len(t, s.github.runners, 1, "runners of answers that were lost are left") })
	})
	t.Run("the webhook's secret is replaced", func(t *testing.T) {
		s.t = t
		_, err := s.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
			SecretId:     aws.String("webhook"),
			SecretString: aws.String(nextWebhookSecret),
		})
		require.NoError(t, err)
		require.Equal(t, 202, s.deliver(ctx, "queued", nextWebhookSecret, "linux"))
		require.Equal(t, 401, s.deliver(ctx, "queued", webhookSecret, "linux"))
	})
	t.Run("a forged signature is refused", func(t *testing.T) {
		s.t = t
		s.newLedger(ctx)
		s.enqueue("29679449526")
		require.Equal(t, 202, s.deliver(ctx, "queued", nextWebhookSecret, "linux"))
		task := s.start(ctx, s.event(ctx))
		s.receive(ctx)
		forged := keys
		forged.SecretAccessKey = "another key"
		proven := s.proven(ctx, task)
		status, _ := s.call(ctx, runnercontract.PathRegister, task, forged, proven, proven)
		assert.Equal(t, http.StatusForbidden, status, "signed with another key")
		status, _ = s.call(ctx, runnercontract.PathRegister, task, keys, proven, strings.Replace(proven, "{", `{"job":"2",`, 1))
		assert.Equal(t, http.StatusForbidden, status, "the body was edited after signing")
		status, _ = s.call(ctx, runnercontract.PathRegister, task, keys, proven, proven)
		assert.Equal(t, http.StatusOK, status)
	})
	t.Run("a forged invocation is refused", func(t *testing.T) {
		s.t = t
		s.newLedger(ctx)
		s.enqueue("29679449526")
		require.Equal(t, 202, s.deliver(ctx, "queued", nextWebhookSecret, "linux"))
		victim := s.start(ctx, s.event(ctx))
		another := task{id: strings.Repeat("0", 32)}
		stolen := keys
		stolen.SecretAccessKey = "another key"
		asked := s.sts.Calls()
		old := s.proof(ctx, victim, keys, s.address())
		old.Date = time.Now().Add(-6 * time.Minute).UTC().Format(runnercontract.ProofDate)
		for name, body := range map[string]string{
			"without a proof":                      s.body(runnercontract.Proof{}),
			"with an old proof":                    s.body(old),
			"with that of another task":            s.body(s.proof(ctx, another, keys, s.address())),
			"with that for another registration":   s.body(s.proof(ctx, victim, keys, "another.lambda-url.eu-central-1.on.aws")),
			"with a proof signed with another key": s.body(s.proof(ctx, victim, stolen, s.address())),
		} {
			status, answer := s.forge(ctx, runnercontract.PathRegister, victim, body)
			assert.Equal(t, http.StatusForbidden, status, name)
			assert.Contains(t, answer, "the proof of identity is not valid", name)
			s.say("forged %s: %d %s", name, status, answer)
		}
		assert.Equal(t, 3, s.sts.Calls()-asked, "STS decides on the last three")
		s.github.set(func() { assert.Empty(t, s.github.runners) })
		status, answer := s.forge(ctx, runnercontract.PathRegister, victim, `{"contract":1}`)
		assert.Equal(t, http.StatusUpgradeRequired, status, answer)
		container := s.launch(ctx, victim, listens)
		assert.Equal(t, runnercontract.ExitJobRan, container.wait().code, container.output.String())
	})
	assert.Contains(t, s.output.String(), `"outcome":"registered"`)
	t.Run("no credential is where it must not be", func(t *testing.T) {
		s.t = t
		s.collect(ctx)
		s.search(t)
	})
}

// newSystem starts everything.
func newSystem(ctx context.Context, t *testing.T) *system {
	t.Helper()
	s := &system{t: t, begun: time.Now(), moto: lambdatest.StartMoto(t), github: newGitHub(t)}
	s.folder = t.TempDir()
	s.readTemplate()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithBaseEndpoint(s.moto),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("test", "test", "")))
	require.NoError(t, err)
	proxy := httptest.NewServer(http.HandlerFunc(s.asECSWrites))
	t.Cleanup(proxy.Close)
	s.proxy = proxy.URL
	s.events, s.queues, s.secrets = eventbridge.NewFromConfig(cfg), sqs.NewFromConfig(cfg),
		secretsmanager.NewFromConfig(cfg)
	s.ecs = ecs.NewFromConfig(cfg, func(o *ecs.Options) { o.BaseEndpoint = &s.proxy })
	s.front = httptest.NewServer(http.HandlerFunc(s.serveURL))
	t.Cleanup(s.front.Close)
	s.sts = &lambdatest.STS{Region: region, Host: "sts." + region + ".amazonaws.com", Now: time.Now, Sessions: s.session}
	s.stsServer = httptest.NewServer(s.sts)
	t.Cleanup(s.stsServer.Close)
	go s.evidence.watch(ctx)
	s.newBus(ctx)
	s.newCluster(ctx)
	s.startWebhook(ctx)
	s.newLedger(ctx)
	for name, pkg := range map[string]string{
		"supervisor":      "runner-image/supervisor",
		"Runner.Listener": "runner-image/supervisor/testdata/listener",
	} {
		require.NoError(t, lambdatest.Build(ctx, module+"/"+pkg, filepath.Join(s.folder, name)))
	}
	require.NoError(t, os.Chmod(s.folder, 0o755)) //nolint:gosec // the runner's user must get through
	s.say("everything is up")
	return s
}

func (s *system) newBus(ctx context.Context) {
	t := s.t
	_, err := s.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name:         aws.String("webhook"),
		SecretString: aws.String(webhookSecret),
	})
	require.NoError(t, err)
	_, err = s.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name:         aws.String("github"),
		SecretString: aws.String(`{"token":"` + gitHubToken + `"}`),
	})
	require.NoError(t, err)
	_, err = s.events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: aws.String("bus")})
	require.NoError(t, err)
	pattern, err := json.Marshal(s.rule["EventPattern"])
	require.NoError(t, err)
	s.queue = s.newQueue(ctx, "matched", string(pattern))
	s.everything = s.newQueue(ctx, "everything", `{"source":[{"exists":true}]}`)
}

// newQueue makes a rule for a pattern, and a queue of what it lets through.
func (s *system) newQueue(ctx context.Context, name, pattern string) string {
	t := s.t
	_, err := s.events.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: aws.String(name), EventBusName: aws.String("bus"),
		EventPattern: aws.String(pattern),
	})
	require.NoError(t, err)
	queue, err := s.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name)})
	require.NoError(t, err)
	_, err = s.events.PutTargets(ctx, &eventbridge.PutTargetsInput{
		Rule:         aws.String(name),
		EventBusName: aws.String("bus"), Targets: []eventbridgetypes.Target{
			{Id: aws.String(name), Arn: aws.String("arn:aws:sqs:" + region + ":123456789012:" + name)},
		},
	})
	require.NoError(t, err)
	return *queue.QueueUrl
}

// newCluster makes a cluster with an instance, on which the emulator starts nothing.
func (s *system) newCluster(ctx context.Context) {
	t := s.t
	// Otherwise each look at a task would bring it nearer to its end.
	s.postMoto(ctx, "/moto-api/state-manager/set-transition",
		`{"model_name":"ecs::task","transition":{"progression":"time","seconds":3600}}`, nil)
	_, err := s.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("runners")})
	require.NoError(t, err)
	// A task fills its instance, and none of them ends here.
	answer := s.postMoto(ctx, "/",
		"Action=RunInstances&Version=2016-11-15&ImageId=ami-12c6146b&InstanceType=m6i.large&MinCount=10&MaxCount=10",
		map[string]string{
			"Content-Type": "application/x-www-form-urlencoded", "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/" +
				region + "/ec2/aws4_request, SignedHeaders=host, Signature=0",
		})
	instances := regexp.MustCompile(`<instanceId>(i-[0-9a-f]{17})</instanceId>`).FindAllStringSubmatch(answer, -1)
	require.Len(t, instances, 10, answer)
	for _, instance := range instances {
		_, err = s.ecs.RegisterContainerInstance(ctx, &ecs.RegisterContainerInstanceInput{
			Cluster: aws.String("runners"), InstanceIdentityDocument: aws.String(`{"instanceId":"` + instance[1] + `"}`),
		})
		require.NoError(t, err)
	}
	_, err = s.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String(s.family()), NetworkMode: ecstypes.NetworkMode(fmt.Sprint(s.definition["NetworkMode"])),
		ContainerDefinitions: []ecstypes.ContainerDefinition{s.runnerContainer()},
		TaskRoleArn:          aws.String(fmt.Sprint(s.resolve(s.definition["TaskRoleArn"]))), ExecutionRoleArn: aws.String(
			fmt.Sprint(s.resolve(s.definition["ExecutionRoleArn"]))),
	})
	require.NoError(t, err)
}

func (s *system) family() string { return fmt.Sprint(s.definition["Family"]) }

func (s *system) postMoto(ctx context.Context, path, body string, header map[string]string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.moto+path, strings.NewReader(body))
	require.NoError(s.t, err)
	request.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return string(answer)
}

func (s *system) startWebhook(ctx context.Context) {
	s.webhook = s.startFunction(ctx, "webhook", s.variables(webhookcontract.EnvSecretID,
		map[string]string{webhookcontract.EnvSecretTTL: "1s"}), s.moto)
}

// newLedger starts the registration with an empty ledger.
func (s *system) newLedger(ctx context.Context) {
	t := s.t
	name := fmt.Sprint("ledger-", time.Now().UnixNano())
	lambdatest.NewLedgerTable(t, lambdatest.DynamoDBAt(t, s.moto), name)
	s.ledgers = append(s.ledgers, name)
	s.registration = s.startFunction(ctx, "registration", s.registrationVariables(), s.proxy)
}

func (s *system) startFunction(ctx context.Context, name string, environment map[string]string,
	endpoint string,
) *lambdatest.Runtime {
	t := s.t
	program := filepath.Join(s.folder, name)
	if _, err := os.Stat(program); err != nil {
		require.NoError(t, lambdatest.Build(ctx, module+"/lambda/"+name, program))
	}
	runtime, err := lambdatest.NewRuntime()
	require.NoError(t, err)
	t.Cleanup(func() { _ = runtime.Close() })
	command := exec.CommandContext(ctx, program)
	command.Env = append(runtime.Environment(name), "AWS_ENDPOINT_URL="+endpoint)
	// Its own address is in the request all the same.
	command.Env = append(command.Env, "AWS_ENDPOINT_URL_STS="+s.stsServer.URL)
	for variable, value := range environment {
		command.Env = append(command.Env, variable+"="+value)
	}
	command.Stdout, command.Stderr = &s.output, &s.output
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	return runtime
}

var (
	plainID      = regexp.MustCompile(`\b([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})\b`)
	hyphenatedID = regexp.MustCompile(`\b([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\b`)
	number       = regexp.MustCompile(`"(cpu|memory)": ?([0-9]+)`)
)

// asECSWrites makes the emulator's tasks like those of ECS: their ids have no
// hyphens, and their sizes are text.
func (s *system) asECSWrites(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	target := r.Header.Get("X-Amz-Target")
	ofTasks := strings.HasSuffix(target, ".DescribeTasks") || strings.HasSuffix(target, ".RunTask")
	if ofTasks {
		body = plainID.ReplaceAll(body, []byte("$1-$2-$3-$4-$5"))
	}
	request, err := http.NewRequestWithContext(r.Context(), r.Method, s.moto+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	request.Header = r.Header.Clone()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(response.Body)
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	if ofTasks {
		answer = number.ReplaceAll(hyphenatedID.ReplaceAll(answer, []byte("$1$2$3$4$5")), []byte(`"$1": "$2"`))
		w.Header().Del("Content-Length")
		w.Header().Del("X-Amz-Crc32")
	}
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(answer)
}

// enqueue makes a job wait at GitHub.
func (s *system) enqueue(id string) {
	s.github.set(func() {
		s.github.jobs[id] = &job{status: "queued", labels: []string{"self-hosted", "linux"}}
		clear(s.github.runners)
	})
}

// deliver sends GitHub's delivery about a job, and returns the status.
func (s *system) deliver(ctx context.Context, action, secret string, labels ...string) int {
	t := s.t
	body, err := os.ReadFile("../emulator/testdata/workflow_job.json")
	require.NoError(t, err)
	encoded, err := json.Marshal(labels)
	require.NoError(t, err)
	body = bytes.Replace(body, []byte(`"action":"queued"`), []byte(`"action":"`+action+`"`), 1)
	body = bytes.Replace(body, []byte(`"labels":[]`), append([]byte(`"labels":`), encoded...), 1)
	now := []byte(time.Now().UTC().Format(time.RFC3339))
	body = bytes.ReplaceAll(body, []byte("2023-04-19T21:12:12Z"), now) // a day later it would be a kept delivery
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	event, err := lambdatest.Post(map[string]string{
		"content-type": "application/json", "x-github-event": contract.DetailTypeWorkflowJob,
		"x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "x-hub-signature-256": "sha256=" + hex.EncodeToString(
			mac.Sum(nil)),
	}, body)
	require.NoError(t, err)
	answer, err := s.webhook.Invoke(ctx, event)
	require.NoError(t, err)
	var response lambdatest.Response
	require.NoError(t, json.Unmarshal(answer, &response))
	s.say("GitHub delivers: %d %s", response.StatusCode, response.Body)
	return response.StatusCode
}

// receive returns the events that the rule has let through.
func (s *system) receive(ctx context.Context) []map[string]any {
	out, err := s.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &s.queue, MaxNumberOfMessages: 10})
	require.NoError(s.t, err)
	var events []map[string]any
	for _, message := range out.Messages {
		var event map[string]any
		require.NoError(s.t, json.Unmarshal([]byte(*message.Body), &event))
		events = append(events, event)
		_, err := s.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{
			QueueUrl:      &s.queue,
			ReceiptHandle: message.ReceiptHandle,
		})
		require.NoError(s.t, err)
	}
	return events
}

// event is the one event that the rule has let through last.
func (s *system) event(ctx context.Context) map[string]any {
	events := s.receive(ctx)
	require.NotEmpty(s.t, events, "the rule has let nothing through")
	s.say("the rule matches")
	return events[len(events)-1]
}

// task is one that the emulator has started, as far as it does.
type task struct {
	id        string
	variables map[string]string
}

// start does what EventBridge does with the rule's target: it makes the overrides
// of the event and calls RunTask.
func (s *system) start(ctx context.Context, event map[string]any) task {
	t := s.t
	target := s.rule["Targets"].([]any)[0].(map[string]any)
	transformer := target["InputTransformer"].(map[string]any)
	text := fmt.Sprint(transformer["InputTemplate"])
	for name, path := range transformer["InputPathsMap"].(map[string]any) {
		var value any = event
		for member := range strings.SplitSeq(strings.TrimPrefix(fmt.Sprint(path), "$."), ".") {
			value = value.(map[string]any)[member]
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		text = strings.ReplaceAll(text, "<"+name+">", string(encoded))
	}
	var overrides ecstypes.TaskOverride
	var decoded struct {
		ContainerOverrides []struct {
			Name        string
			Environment []struct{ Name, Value string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &decoded))
	started := task{variables: map[string]string{}}
	for _, container := range decoded.ContainerOverrides {
		override := ecstypes.ContainerOverride{Name: aws.String(container.Name)}
		for _, v := range container.Environment {
			override.Environment = append(override.Environment, ecstypes.KeyValuePair{
				Name:  aws.String(v.Name),
				Value: aws.String(v.Value),
			})
			started.variables[v.Name] = v.Value
		}
		overrides.ContainerOverrides = append(overrides.ContainerOverrides, override)
	}
	out, err := s.ecs.RunTask(ctx, &ecs.RunTaskInput{
		Cluster: aws.String("runners"), TaskDefinition: aws.String(s.family()), LaunchType: ecstypes.LaunchTypeEc2,
		Overrides: &overrides, Count: aws.Int32(1),
	})
	require.NoError(t, err)
	require.Len(t, out.Tasks, 1, "%v", out.Failures)
	arn := *out.Tasks[0].TaskArn
	s.tasks = append(s.tasks, arn)
	started.id = arn[strings.LastIndex(arn, "/")+1:]
	s.say("RunTask: task %s", started.id)
	return started
}

// session is what STS knows of a task's credentials.
func (s *system) session(key, token string) (lambdatest.Session, bool) {
	id, ours := strings.CutPrefix(token, keys.SessionToken)
	return lambdatest.Session{
		AccessKeyID: key, SecretAccessKey: keys.SecretAccessKey, SessionToken: token,
		UserID: roleID + ":" + id, ARN: "arn:aws:sts::123456789012:assumed-role/task-role/" + id, Account: "123456789012",
	}, ours && key == keys.AccessKeyID
}

// proof is that of a task, for a registration.
func (s *system) proof(ctx context.Context, task task, with aws.Credentials, registration string) runnercontract.Proof {
	with.SessionToken += task.id
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, with, runnercontract.IdentityRequest(region, registration),
		runnercontract.EmptyHash, "sts", region, time.Now())
	require.NoError(s.t, err)
	u, err := url.Parse(signed)
	require.NoError(s.t, err)
	return runnercontract.Proof{
		AccessKeyID: with.AccessKeyID, SessionToken: runnercontract.Secret(with.SessionToken),
		Date: u.Query().Get("X-Amz-Date"), Signature: runnercontract.Secret(u.Query().Get("X-Amz-Signature")),
	}
}

// body is the body of a request with a proof.
func (s *system) body(proof runnercontract.Proof) string {
	encoded, err := json.Marshal(runnercontract.Request{Contract: runnercontract.Version, Proof: proof})
	require.NoError(s.t, err)
	return string(encoded)
}

// proven is the body of a task's request.
func (s *system) proven(ctx context.Context, task task) string {
	return s.body(s.proof(ctx, task, keys, s.address()))
}

// address is the host of the function URL.
func (s *system) address() string { return strings.TrimPrefix(s.front.URL, "http://") }

// urlEvent is what Lambda makes of a request to the function URL, or what somebody says
// who invokes the function past it.
func (s *system) urlEvent(method, path, session, body string) []byte {
	encoded, err := json.Marshal(map[string]any{
		"version": "2.0", "rawPath": path, "headers": map[string]string{"content-type": "application/json"},
		"body": body,
		"requestContext": map[string]any{
			"http": map[string]any{"method": method, "path": path}, "domainName": s.address(),
			"authorizer": map[string]any{"iam": map[string]any{
				"accountId": "123456789012", "userId": roleID + ":" + session, "callerId": roleID + ":" + session,
				"userArn": "arn:aws:sts::123456789012:assumed-role/task-role/" + session, "accessKey": keys.AccessKeyID,
			}},
		},
	})
	if err != nil {
		panic(err) // it is text
	}
	return encoded
}

// forge invokes the function past its URL, in the name of a task.
func (s *system) forge(ctx context.Context, path string, task task, body string) (int, string) {
	answer, err := s.registration.Invoke(ctx, s.urlEvent(http.MethodPost, path, task.id, body))
	require.NoError(s.t, err)
	var response lambdatest.Response
	require.NoError(s.t, json.Unmarshal(answer, &response))
	return response.StatusCode, response.Body
}

// serveURL is the registration's function URL: it checks the signature, as Lambda
// does, and calls the function. Tasks are told apart by their session token.
func (s *system) serveURL(w http.ResponseWriter, r *http.Request) {
	if id, ok := strings.CutPrefix(r.URL.Path, "/credentials/"); ok {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"AccessKeyId": keys.AccessKeyID, "SecretAccessKey": keys.SecretAccessKey, "Token": keys.SessionToken + id,
			"Expiration": "2099-01-01T00:00:00Z",
		})
		return
	}
	body, _ := io.ReadAll(r.Body)
	session, signed := checkSignature(r, body)
	if !signed {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"Message":"Forbidden"}`)
		return
	}
	var sent runnercontract.Request
	if json.Unmarshal(body, &sent) == nil && sent.Proof.Signature != "" {
		s.github.set(func() { s.proofs = append(s.proofs, sent.Proof.Signature.Reveal()) })
	}
	answer, err := s.registration.Invoke(r.Context(), s.urlEvent(r.Method, r.URL.Path, session, string(body)))
	var response lambdatest.Response
	if err != nil || json.Unmarshal(answer, &response) != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	s.say("%s: %d", r.URL.Path, response.StatusCode)
	if r.URL.Path == runnercontract.PathStarted && response.StatusCode == http.StatusNoContent {
		s.github.set(func() { // GitHub gives the job to the runner that listens
			if s.github.stingy {
				return
			}
			for id, j := range s.github.jobs {
				if j.status == "queued" {
					for runner, name := range s.github.runners {
						s.github.jobs[id] = &job{status: "in_progress", labels: j.labels, runnerID: runner, runnerName: name}
					}
				}
			}
		})
	}
	var granted runnercontract.Registration
	if r.URL.Path == runnercontract.PathRegister && json.Unmarshal([]byte(response.Body), &granted) == nil &&
		granted.ReleaseToken != "" {
		s.github.set(func() { s.tokens = append(s.tokens, granted.ReleaseToken.Reveal()) })
	}
	for name, value := range response.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(response.StatusCode)
	_, _ = io.WriteString(w, response.Body)
}

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/[0-9]{8}/` + region +
	`/lambda/aws4_request, SignedHeaders=([^,]+), Signature=[0-9a-f]{64}$`)

// checkSignature signs a request anew, and returns for which task it was signed if
// the result is the same.
func checkSignature(r *http.Request, body []byte) (session string, ok bool) {
	parts := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil || parts[1] != keys.AccessKeyID {
		return "", false
	}
	session, ok = strings.CutPrefix(r.Header.Get("X-Amz-Security-Token"), keys.SessionToken)
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if !ok || err != nil || time.Since(at).Abs() > 5*time.Minute {
		return "", false
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return "", false
	}
	for name := range strings.SplitSeq(parts[2], ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	task := keys
	task.SessionToken += session
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), task, again, hex.EncodeToString(hash[:]), "lambda", region,
		at); err != nil {
		return "", false
	}
	return session, hmac.Equal([]byte(again.Header.Get("Authorization")), []byte(r.Header.Get("Authorization")))
}

// call sends a task's request with keys, a body that is signed, and one that is sent.
func (s *system) call(ctx context.Context, path string, task task, with aws.Credentials, signed, sent string) (
	int, string,
) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.front.URL+path, strings.NewReader(signed))
	require.NoError(s.t, err)
	request.ContentLength = int64(len(sent))
	with.SessionToken += task.id
	hash := sha256.Sum256([]byte(signed))
	require.NoError(s.t, v4.NewSigner().SignHTTP(ctx, with, request, hex.EncodeToString(hash[:]), "lambda", region,
		time.Now()))
	request.Body = io.NopCloser(strings.NewReader(sent))
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response.StatusCode, string(answer)
}

// container is the supervisor with the file system of an image, as far as it
// needs one.
type container struct {
	s      *system
	cmd    *exec.Cmd
	begun  time.Time
	output output
}

// ending is the last line of a container's log.
type ending struct {
	Reason string `json:"reason"`
	code   runnercontract.ExitCode
	took   time.Duration
}

// launch starts the supervisor as ECS would: with the variables of the task
// definition and of the overrides, and where the image has it.
func (s *system) launch(ctx context.Context, task task, script string) *container {
	t := s.t
	// A mount namespace of its own: what the image has in these folders covers the
	// machine's.
	const image = `
		set -e
		mount -t tmpfs none /home; mount -t tmpfs none /opt; mount -t tmpfs none /run
		mkdir -p /home/runner/bin /opt/ecsrunners /run/ecsrunners
		cp "$1/Runner.Listener" /home/runner/bin/
		cp "$1/supervisor" "$2"/hooks/*.sh /opt/ecsrunners/
		chmod 0755 /home /opt /run /opt/ecsrunners/*
		chown -R 1001:1001 /home/runner
		shift 2
		cd /home/runner
		exec env -i "$@" /opt/ecsrunners/supervisor`
	hooks, err := filepath.Abs("../../runner-image/supervisor")
	require.NoError(t, err)
	environment := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "FAKE_LISTENER=" + script,
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + s.front.URL + "/credentials/" + task.id,
	}
	for _, v := range s.runnerContainer().Environment {
		environment = append(environment, *v.Name+"="+*v.Value)
	}
	for name, value := range task.variables {
		environment = append(environment, name+"="+value)
	}
	c := &container{s: s, begun: time.Now()}
	c.cmd = exec.CommandContext(ctx, "unshare", append([]string{
		"--mount", "--propagation", "private", "sh", "-c", image,
		"sh", s.folder, hooks,
	}, environment...)...)
	c.cmd.Stdout, c.cmd.Stderr = &c.output, &c.output
	require.NoError(t, c.cmd.Start())
	s.say("the container begins")
	return c
}

// wait returns how the container ended.
func (c *container) wait() ending {
	t := c.s.t
	_ = c.cmd.Wait()
	lines := strings.Split(strings.TrimSpace(c.output.String()), "\n")
	var end ending
	require.NoErrorf(t, json.Unmarshal([]byte(lines[len(lines)-1]), &end), "the last line is no JSON:\n%s",
		c.output.String())
	end.code, end.took = runnercontract.ExitCode(c.cmd.ProcessState.ExitCode()), time.Since(c.begun)
	c.s.say("the container ends with code %d: %s", end.code, lines[len(lines)-1])
	c.s.evidence.add(inContainers, c.output.String())
	return end
}

// jitConfig is a configuration as GitHub makes it.
func jitConfig(name string) string {
	files, err := json.Marshal(map[string]string{
		".runner":      base64.StdEncoding.EncodeToString([]byte(`{"agentName":"` + name + `"}`)),
		".credentials": base64.StdEncoding.EncodeToString([]byte(jitMark)),
	})
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(files)
}
