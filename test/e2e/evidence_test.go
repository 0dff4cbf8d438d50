//go:build e2e

package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/lambdatest"
)

// evidence is all that the jobs of a test leave behind and that somebody may read,
// by the place where they may.
type evidence struct {
	mu    sync.Mutex
	texts map[string][]string
}

// add keeps a text that was found in a place.
func (e *evidence) add(place string, text any) {
	content, ok := text.(string)
	if !ok {
		encoded, err := json.Marshal(text)
		if err != nil {
			panic(err)
		}
		content = string(encoded)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.texts == nil {
		e.texts = map[string][]string{}
	}
	if !slices.Contains(e.texts[place], content) {
		e.texts[place] = append(e.texts[place], content)
	}
}

// holders are the places in which any of the words is found.
func (e *evidence) holders(words []string) []string {
	found := map[string]bool{}
	for place, texts := range e.texts {
		for _, text := range texts {
			for _, word := range words {
				if strings.Contains(text, word) {
					found[place] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Places of the evidence.
const (
	inTemplates   = "templates"
	inDefinitions = "task definitions of ECS"
	inTasks       = "tasks of ECS and their overrides"
	inEvents      = "events on the bus"
	inLedgers     = "ledgers"
	inFunctions   = "logs of the functions"
	inContainers  = "logs of the containers"
	environmentOf = "environment of "
	argumentsOf   = "arguments of "
	listener      = "Runner.Listener"
)

// collect gathers what is there to read when all jobs are done.
func (s *system) collect(ctx context.Context) {
	t := s.t
	templates := 0
	for _, root := range []string{"../../stacks/testdata/snapshots", "../../examples/testdata/snapshots"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path) //nolint:gosec // of this repository
			s.evidence.add(inTemplates, string(content))
			templates++
			return err
		}))
	}
	assert.Greater(t, templates, 8)

	s.evidence.add(inFunctions, s.output.String())
	definitions, err := s.ecs.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{})
	require.NoError(t, err)
	for _, arn := range definitions.TaskDefinitionArns {
		definition, err := s.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
			TaskDefinition: aws.String(arn),
		})
		require.NoError(t, err)
		s.evidence.add(inDefinitions, definition.TaskDefinition)
	}
	tasks, err := s.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("runners"), Tasks: s.tasks})
	require.NoError(t, err)
	assert.Len(t, tasks.Tasks, len(s.tasks))
	for _, task := range tasks.Tasks {
		s.evidence.add(inTasks, task)
	}
	for {
		out, err := s.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &s.everything, MaxNumberOfMessages: 10,
			VisibilityTimeout: 600,
		})
		require.NoError(t, err)
		if len(out.Messages) == 0 {
			break
		}
		for _, message := range out.Messages {
			s.evidence.add(inEvents, *message.Body)
		}
	}
	table := lambdatest.DynamoDBAt(t, s.moto)
	for _, name := range s.ledgers {
		out, err := table.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(name)})
		require.NoError(t, err)
		for _, item := range out.Items {
			s.evidence.add(inLedgers, fmt.Sprintf("%#v", item))
		}
	}
}

// watch reads the environments and arguments of this process' descendants again
// and again.
func (e *evidence) watch(ctx context.Context) {
	for ctx.Err() == nil {
		names := map[int]string{os.Getpid(): ""}
		for _, p := range processes() {
			if _, ours := names[p.parent]; ours {
				names[p.pid] = p.name
				for place, file := range map[string]string{environmentOf: "environ", argumentsOf: "cmdline"} {
					if content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), file)); err == nil {
						e.add(place+p.name, string(content))
					}
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

type process struct {
	pid, parent int
	name        string
}

// processes are all that run, by their numbers, so that mostly a parent is before
// its children.
func processes() []process {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var all []process
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent …; the name may contain anything
		head, tail, _ := strings.Cut(string(content), " (")
		end := strings.LastIndex(tail, ") ")
		if end < 0 {
			continue
		}
		p := process{name: tail[:end]}
		p.pid, _ = strconv.Atoi(head)
		p.parent, _ = strconv.Atoi(strings.Fields(tail[end+2:])[1])
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b process) int { return a.pid - b.pid })
	return all
}

// search fails the test if a credential is where it must not be.
func (s *system) search(t *testing.T) {
	texts := 0
	for _, place := range slices.Sorted(maps.Keys(s.evidence.texts)) {
		found := s.evidence.texts[place]
		size := 0
		for _, text := range found {
			size += len(text)
		}
		t.Logf("%5d texts, %8d bytes: %s", len(found), size, place)
		texts += len(found)
	}
	for _, place := range []string{
		inTemplates, inDefinitions, inTasks, inEvents, inLedgers, inFunctions, inContainers,
		environmentOf + "webhook", environmentOf + "registration", environmentOf + "supervisor", environmentOf + listener,
		argumentsOf + "webhook", argumentsOf + "registration", argumentsOf + "supervisor", argumentsOf + listener,
	} {
		assert.NotEmpty(t, s.evidence.texts[place], "nothing was searched in %s", place)
	}
	t.Logf("%d texts searched", texts)

	for name, secret := range map[string]string{
		"token of GitHub": gitHubToken, "webhook's secret": webhookSecret, "webhook's next secret": nextWebhookSecret,
		"key of the task role": keys.SecretAccessKey,
	} {
		assert.Empty(t, s.evidence.holders([]string{secret, base64.StdEncoding.EncodeToString([]byte(secret))}),
			"the %s is there", name)
	}
	// The whole of a configuration, what it holds, and that as the configuration
	// holds it.
	s.github.set(func() {
		require.NotEmpty(t, s.github.configs)
		words := append(s.github.configs, jitMark, base64.StdEncoding.EncodeToString([]byte(jitMark)))
		assert.Equal(t, []string{environmentOf + listener}, s.evidence.holders(words),
			"a just-in-time configuration belongs into the listener's environment and nowhere else")
		require.NotEmpty(t, s.tokens)
		assert.Empty(t, s.evidence.holders(s.tokens),
			"a job that has the token of its task's supervisor could be registered again")
		require.NotEmpty(t, s.proofs)
		assert.Empty(t, s.evidence.holders(s.proofs), "who has the proof of a task could pass for it")
		assert.Empty(t, s.evidence.holders([]string{keys.SessionToken}), "a session token is half a proof")
	})
}
