package main

import (
	"context"
	cryptorand "crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/awsconfig"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/fleets"
	"github.com/ecs-github-runners/ecsrunners/internal/control/functionurl"
	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
	"github.com/ecs-github-runners/ecsrunners/internal/control/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/control/secrets"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

// credentialTTL is how long the credential is used before it is read again.
const credentialTTL = 5 * time.Minute

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: lambdacontext.ReplaceAttr}))
	ctx := context.Background()
	handler, err := newHandler(ctx, os.LookupEnv, os.Stdout, log)
	if err != nil {
		log.Error("registration ends", slog.String("error", err.Error()))
		os.Exit(1)
	}
	lambda.StartWithOptions(functionurl.New(handler), lambda.WithContext(ctx))
}

func newHandler(ctx context.Context, lookup func(string) (string, bool), stdout io.Writer, log *slog.Logger) (http.Handler, error) {
	aws, err := awsconfig.Load(ctx)
	if err != nil {
		return nil, err
	}
	lookup, err = fleets.Load(ctx, lookup, registrationcontract.EnvFleets, func() fleets.Store { return ssm.NewFromConfig(aws) })
	if err != nil {
		return nil, err
	}
	service, err := registrationcontract.Parse(lookup)
	if err != nil {
		return nil, err
	}
	if err := checkFleets(service.Fleets); err != nil {
		return nil, err
	}
	var system clock.System
	identity, err := registration.NewIdentity(service, ecs.NewFromConfig(aws), system)
	if err != nil {
		return nil, err
	}
	secret := secrets.New(secretsmanager.NewFromConfig(aws), service.CredentialID, credentialTTL, system)
	client, err := github.New(service.GitHubURL, service.Scope, secret, gitHubTransport(), system)
	if err != nil {
		return nil, err
	}
	function, ok := lookup("AWS_LAMBDA_FUNCTION_NAME")
	if !ok {
		function = "local"
	}
	counts := &registration.Metrics{
		Emitter:  metrics.NewEmitter(stdout, registrationcontract.MetricNamespace, system),
		Function: function,
		Log:      log,
	}
	return &registration.Handler{
		Identity: identity,
		Service: &registration.Service{
			Deployment: service.Deployment,
			Scope:      service.Scope,
			Ledger:     ledger.NewTable(dynamodb.NewFromConfig(aws), service.Ledger),
			GitHub:     client,
			Clock:      system,
			Nonce:      func() string { return registration.Nonce(rand.IntN) },
			Token:      func() runnercontract.Secret { return runnercontract.Secret(cryptorand.Text()) },
			Log:        log,
			Swapped:    counts.Count(registrationcontract.MetricSwappedJobs),
			Unchecked:  counts.Count(registrationcontract.MetricJobCheckFailures),
		},
		Clock:     system,
		Log:       log,
		Metrics:   counts,
		Remaining: client.Remaining,
	}, nil
}

// checkFleets checks names and labels as the ingress does.
func checkFleets(fleets []registrationcontract.Fleet) error {
	routes := make([]contract.Fleet, len(fleets))
	for i, fleet := range fleets {
		routes[i] = contract.Fleet{Name: fleet.Name, Labels: fleet.Labels}
	}
	if _, err := labels.NewRoutes(routes); err != nil {
		return fmt.Errorf("reading %s: %w", registrationcontract.EnvFleets, err)
	}
	return nil
}

// gitHubTransport leaves GitHub less time than a request has.
func gitHubTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout:   3 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   8,
		ForceAttemptHTTP2:     true,
	}
}
