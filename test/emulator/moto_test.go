//go:build emulator

package emulator_test

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"
)

const region = "eu-central-1"

// startMoto starts an emulator and returns its address.
func startMoto(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)

	command := exec.Command("moto_server", "-H", "127.0.0.1", "-p", port)
	require.NoError(t, command.Start(), "these tests need moto_server, from the Python package moto[server]")
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	url := "http://" + address
	require.Eventually(t, func() bool {
		response, err := http.Get(url + "/moto-api/")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	}, time.Minute, 100*time.Millisecond, "moto_server does not answer")
	return url
}

// awsConfig returns the configuration of clients of the emulator.
func awsConfig(ctx context.Context, t *testing.T, url string) aws.Config {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(region),
		config.WithBaseEndpoint(url),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("test", "test", "")))
	require.NoError(t, err)
	return cfg
}
