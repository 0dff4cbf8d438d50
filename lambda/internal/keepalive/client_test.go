package keepalive_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/lambda/internal/keepalive"
)

// server answers PutEvents as quickly as it can and counts connections.
func server(t *testing.T) (*httptest.Server, *atomic.Int64) {
	var connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			_, _ = io.WriteString(w, `{"Entries":[{"EventId":"1"}],"FailedEntryCount":0}`)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, &connections
}

func TestClient_KeepsItsConnection(t *testing.T) {
	s, connections := server(t)
	client := eventbridge.New(eventbridge.Options{
		Region:       "eu-central-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		BaseEndpoint: aws.String(s.URL),
		HTTPClient:   keepalive.New(s.Client()),
	})
	entry := types.PutEventsRequestEntry{Source: aws.String("s"), DetailType: aws.String("d"), Detail: aws.String(strings.Repeat("x", 10_000))}
	for range 1000 {
		_, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry}})
		require.NoError(t, err)
	}
	assert.EqualValues(t, 1, connections.Load(), "every further connection costs a TLS handshake")
}

// recorder keeps the request it is given.
type recorder struct{ request *http.Request }

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	r.request = request
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestClient_SendsTheBodyAsItIs(t *testing.T) {
	for name, test := range map[string]struct {
		body io.Reader
		want string
		kept bool
	}{
		"of known length":   {strings.NewReader("body"), "body", true},
		"of unknown length": {io.MultiReader(strings.NewReader("body")), "body", false},
		"none":              {nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var next recorder
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com", test.body)
			require.NoError(t, err)
			request.GetBody = nil // as the SDK leaves it
			_, err = keepalive.New(&next).Do(request)
			require.NoError(t, err)
			if test.body != nil {
				got, err := io.ReadAll(next.request.Body)
				require.NoError(t, err)
				assert.Equal(t, test.want, string(got))
			}
			if !test.kept {
				assert.Nil(t, next.request.GetBody)
				return
			}
			again, err := next.request.GetBody()
			require.NoError(t, err)
			got, err := io.ReadAll(again)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(got), "the transport repeats a request with what GetBody returns")
		})
	}
}

// A configuration in Lambda has no HTTP client.
func TestClient_HasAClientOfItsOwn(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader("body"))
	require.NoError(t, err)
	response, err := keepalive.New(aws.Config{}.HTTPClient).Do(request)
	require.NoError(t, err)
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
	require.NoError(t, response.Body.Close())
}

func TestClient_FailsWhenTheBodyIsShort(t *testing.T) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com", strings.NewReader("body"))
	require.NoError(t, err)
	request.ContentLength = 5
	_, err = keepalive.New(&recorder{}).Do(request)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
