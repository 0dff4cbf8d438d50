package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
)

// offline returns a lookup that knows of a bus and a secret, which without AWS
// are only names.
func offline(lookup func(string) (string, bool)) func(string) (string, bool) {
	return func(name string) (string, bool) {
		switch name {
		case webhookcontract.EnvEventBus, webhookcontract.EnvSecretID:
			return "offline", true
		case webhookcontract.EnvPreviousSecretID:
			return "", false
		}
		return lookup(name)
	}
}

// fileStore is the name of a file that stands for every secret. One line end
// behind the secret, as editors leave it, is not part of it.
type fileStore string

// GetSecretValue implements secrets.Store.
func (f fileStore) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	content, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("opening secret file: %w", err)
	}
	return &secretsmanager.GetSecretValueOutput{
		SecretString: aws.String(strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")),
	}, nil
}

// printer prints the events that would be put on the bus.
type printer struct {
	w io.Writer
}

// PutEvents implements webhook.Bus.
func (p printer) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	out := &eventbridge.PutEventsOutput{}
	for _, entry := range in.Entries {
		line, err := json.Marshal(struct {
			Source     string          `json:"source"`
			DetailType string          `json:"detail-type"`
			Detail     json.RawMessage `json:"detail"`
		}{*entry.Source, *entry.DetailType, json.RawMessage(*entry.Detail)})
		if err != nil {
			return nil, fmt.Errorf("encoding event: %w", err)
		}
		if _, err := fmt.Fprintf(p.w, "%s\n", line); err != nil {
			return nil, fmt.Errorf("printing event: %w", err)
		}
		out.Entries = append(out.Entries, types.PutEventsResultEntry{EventId: aws.String("offline")})
	}
	return out, nil
}
