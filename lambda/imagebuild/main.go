package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
	"github.com/ecs-github-runners/ecsrunners/internal/control/awsconfig"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/imagebuild"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: lambdacontext.ReplaceAttr}))
	handler, err := newHandler(context.Background(), os.LookupEnv, os.Stdout, log)
	if err != nil {
		log.Error("imagebuild ends", slog.String("error", err.Error()))
		os.Exit(1)
	}
	lambda.Start(handler.Handle)
}

// newHandler wires the handler.
func newHandler(ctx context.Context, lookup func(string) (string, bool), stdout io.Writer, log *slog.Logger) (*imagebuild.Handler, error) {
	settings, err := imagebuildcontract.Parse(lookup)
	if err != nil {
		return nil, err
	}
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return nil, err
	}
	var system clock.System
	return &imagebuild.Handler{
		Projects:   settings.Projects,
		Builds:     codebuild.NewFromConfig(cfg),
		Stacks:     cloudformation.NewFromConfig(cfg),
		Parameters: ssm.NewFromConfig(cfg),
		Images:     ecr.NewFromConfig(cfg),
		HTTP:       &http.Client{Timeout: 10 * time.Second},
		Clock:      system,
		Log:        log,
		Metrics:    metrics.NewEmitter(stdout, imagebuildcontract.MetricNamespace, system),
	}, nil
}
