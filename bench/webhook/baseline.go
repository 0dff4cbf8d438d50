package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

const (
	roleBare  = "bare"
	roleEmpty = "empty"
)

// measureBare measures a process that does nothing but PutEvents.
func measureBare(services *services, env []string, events, warmup int) (*measurement, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	input, stdin, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	stdout, output, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	env = append(slices.Clone(env), "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
	p, err := start(env, input, output, self, "-role", roleBare)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	answers := bufio.NewReader(stdout)
	return measure(p, services, events, warmup, func() error {
		if _, err := fmt.Fprintln(stdin); err != nil {
			return fmt.Errorf("asking for PutEvents: %w", err)
		}
		if _, err := answers.ReadString('\n'); err != nil {
			return fmt.Errorf("waiting for PutEvents: %w", err)
		}
		return nil
	})
}

// serveBare is that process: one PutEvents for every line of its input.
func serveBare(in io.Reader, out io.Writer) error {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("loading AWS configuration: %w", err)
	}
	client := eventbridge.NewFromConfig(cfg)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		_, err := client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
			EventBusName: aws.String("runners"),
			Source:       aws.String("github.com"),
			DetailType:   aws.String("workflow_job"),
			Detail:       aws.String(string(payload)),
		}}})
		if err != nil {
			return fmt.Errorf("putting event: %w", err)
		}
		if _, err := fmt.Fprintln(out); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
	}
	return lines.Err()
}

// emptyHandler answers without looking at the event.
type emptyHandler struct{}

// Invoke implements lambda.Handler.
func (emptyHandler) Invoke(context.Context, []byte) ([]byte, error) {
	return []byte(`{"statusCode":202,"body":"linux-x64"}`), nil
}

// startEmpty is a function that does nothing.
func startEmpty() { lambda.Start(emptyHandler{}) }
