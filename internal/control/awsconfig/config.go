// Package awsconfig loads the AWS configuration of the programs.
package awsconfig

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
)

// writeBufferSize lets most requests go out in one write, TLS included.
const writeBufferSize = 32 << 10

// Load returns the configuration the environment describes. All clients made from
// it share one HTTP client, and that keeps its connections.
func Load(ctx context.Context) (aws.Config, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.WriteBufferSize = writeBufferSize
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client))
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading AWS configuration: %w", err)
	}
	cfg.HTTPClient = &steadyClient{next: cfg.HTTPClient}
	return cfg, nil
}
