package awsconfig

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder keeps the request it is given.
type recorder struct{ request *http.Request }

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	r.request = request
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestSteadyClient_SendsTheBodyAsItIs(t *testing.T) {
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
			_, err = (&steadyClient{next: &next}).Do(request)
			require.NoError(t, err)
			if test.body != nil {
				got, err := io.ReadAll(next.request.Body)
				require.NoError(t, err)
				assert.Equal(t, test.want, string(got))
			}
			_, marked := next.request.Header["Idempotency-Key"]
			assert.Equal(t, test.kept, marked)
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

func TestSteadyClient_FailsWhenTheBodyIsShort(t *testing.T) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com",
		strings.NewReader("body"))
	require.NoError(t, err)
	request.ContentLength = 5
	_, err = (&steadyClient{next: &recorder{}}).Do(request)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
