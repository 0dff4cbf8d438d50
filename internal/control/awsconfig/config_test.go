package awsconfig_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/awsconfig"
)

// service answers PutEvents as quickly as it can, and counts connections.
type service struct {
	*httptest.Server
	connections atomic.Int64
	details     atomic.Int64
}

func newService(t *testing.T, detail string) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		_, _ = io.WriteString(w, `{"Entries":[{"EventId":"1"}],"FailedEntryCount":0}`)
		var in struct{ Entries []struct{ Detail string } }
		if json.NewDecoder(bytes.NewReader(body)).Decode(&in) == nil && in.Entries[0].Detail == detail {
			s.details.Add(1)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	t.Setenv("AWS_ENDPOINT_URL", s.URL)
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	return s
}

func put(ctx context.Context, client *eventbridge.Client, detail string) error {
	_, err := client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("s"), DetailType: aws.String("d"), Detail: &detail},
	}})
	return err
}

func TestLoad_ClientsKeepTheirConnections(t *testing.T) {
	detail := strings.Repeat("x", 10_000)
	s := newService(t, detail)
	cfg, err := awsconfig.Load(t.Context())
	require.NoError(t, err)
	client := eventbridge.NewFromConfig(cfg)
	const n = 1000
	for range n {
		require.NoError(t, put(t.Context(), client, detail))
	}
	assert.EqualValues(t, 1, s.connections.Load(), "every further connection costs a handshake")
	assert.EqualValues(t, n, s.details.Load(), "the bodies arrive whole")
}

// While a function is frozen, services close its connections.
func TestLoad_ClientsSurviveIdleConnectionsBeingClosed(t *testing.T) {
	s := newService(t, "x")
	cfg, err := awsconfig.Load(t.Context())
	require.NoError(t, err)
	client := eventbridge.NewFromConfig(cfg, func(o *eventbridge.Options) { o.Retryer = aws.NopRetryer{} })
	for range 20 {
		require.NoError(t, put(t.Context(), client, "x"), "an attempt is lost to a connection that was gone")
		s.CloseClientConnections()
	}
}

func TestLoad_FailsWhenTheEnvironmentIsWrong(t *testing.T) {
	t.Setenv("AWS_RETRY_MODE", "never")
	_, err := awsconfig.Load(t.Context())
	assert.ErrorContains(t, err, "loading AWS configuration")
}
