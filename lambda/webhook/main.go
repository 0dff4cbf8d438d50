package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/control/awsconfig"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/fleets"
	"github.com/ecs-github-runners/ecsrunners/internal/control/functionurl"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
	"github.com/ecs-github-runners/ecsrunners/internal/control/secrets"
	"github.com/ecs-github-runners/ecsrunners/internal/control/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: lambdacontext.ReplaceAttr}))
	err := run(context.Background(), os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr, log)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Error("webhook ends", slog.String("error", err.Error()))
		os.Exit(1)
	}
}

// services are what the program uses of the world outside.
type services struct {
	store secrets.Store
	bus   webhook.Bus
}

// run starts the program and returns when it ends.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer, log *slog.Logger) error {
	flags := flag.NewFlagSet("webhook", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { usage(flags) }
	listen := flags.String("listen", "", "serve HTTP on this `address` instead of a Lambda function URL")
	secretFile := flags.String("secret-file", "", "with -listen: do without AWS, take the secret from this `file` and print the events")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *secretFile != "" && *listen == "" {
		return errors.New("-secret-file needs -listen")
	}
	if *secretFile != "" {
		lookup = offline(lookup)
	}
	s := services{store: fileStore(*secretFile), bus: printer{stdout}}
	if *secretFile == "" {
		cfg, err := awsconfig.Load(ctx)
		if err != nil {
			return err
		}
		s = connect(cfg)
		if lookup, err = fleets.Load(ctx, lookup, webhookcontract.EnvRoutes, func() fleets.Store { return ssm.NewFromConfig(cfg) }); err != nil {
			return err
		}
	}
	settings, err := webhookcontract.Parse(lookup)
	if err != nil {
		return err
	}
	function, ok := lookup("AWS_LAMBDA_FUNCTION_NAME")
	if !ok {
		function = "local"
	}
	handler, err := newHandler(settings, s, function, stdout, log)
	if err != nil {
		return err
	}
	if *listen != "" {
		return serve(ctx, *listen, handler, log)
	}
	// Lambda hands over one delivery at a time. The goroutines of the HTTP clients
	// that share the work on it would only wake another thread for each other. And
	// the heap is small: half as many collections cost a few megabytes.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(200)
	lambda.StartWithOptions(functionurl.New(handler), lambda.WithContext(ctx))
	return nil
}

// connect makes the AWS clients, once a process: a client keeps its connections.
func connect(cfg aws.Config) services {
	return services{
		store: secretsmanager.NewFromConfig(cfg),
		bus: eventbridge.NewFromConfig(cfg, func(o *eventbridge.Options) {
			o.Retryer = aws.NopRetryer{} // the publisher retries, within the time GitHub gives it
		}),
	}
}

// newHandler wires the handler.
func newHandler(settings webhookcontract.Config, s services, function string, stdout io.Writer, log *slog.Logger) (*webhook.Handler, error) {
	routes, err := labels.NewRoutes(settings.Routes)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", webhookcontract.EnvRoutes, err)
	}
	var system clock.System
	secret := func(id string) webhook.Secret { return secrets.New(s.store, id, settings.SecretTTL, system) }
	var previous []webhook.Secret
	if settings.PreviousSecretID != "" {
		previous = append(previous, secret(settings.PreviousSecretID))
	}
	return &webhook.Handler{
		Verifier:  webhook.NewVerifier(secret(settings.SecretID), previous...),
		Policy:    webhook.NewPolicy(settings),
		Routes:    routes,
		Publisher: webhook.NewPublisher(s.bus, settings.EventBus, system, jitter),
		Clock:     system,
		Log:       log,
		Metrics:   metrics.NewEmitter(stdout, webhookcontract.MetricNamespace, system),
		Function:  function,
	}, nil
}

// jitter returns a random duration between half of d and d.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

// serve serves HTTP until the process is asked to end.
func serve(ctx context.Context, address string, handler http.Handler, log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{
		Addr:              address,
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Info("webhook listens", slog.String("address", address))
	select {
	case err := <-failed:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("ending the HTTP server: %w", err)
	}
	return nil
}

// usage prints the flags and the environment variables.
func usage(flags *flag.FlagSet) {
	w := flags.Output()
	fmt.Fprintln(w, "Usage: webhook [-listen address [-secret-file file]]")
	flags.PrintDefaults()
	fmt.Fprintln(w, "\nEnvironment variables:")
	webhookcontract.Variables().Usage(w)
	fmt.Fprintln(w, "\nRegion, credentials and endpoints of AWS come from the variables of the AWS SDK.")
}
