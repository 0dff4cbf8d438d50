package functionurl_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/functionurl"
)

// invoke passes an event to a handler function and returns the response.
func invoke(t testing.TB, event []byte, handle http.HandlerFunc) events.LambdaFunctionURLResponse {
	t.Helper()
	answer, err := functionurl.New(handle).Invoke(context.Background(), event)
	require.NoError(t, err)
	var response events.LambdaFunctionURLResponse
	require.NoError(t, json.Unmarshal(answer, &response))
	return response
}

// The domain is what AWS says was called, whatever the sender has put in a header.
func TestHandler_TheHostIsTheDomainThatWasCalled(t *testing.T) {
	event := `{"requestContext":{"domainName":"abc.example","http":{}},"headers":{"host":"mallory.example"},"body":""}`
	invoke(t, []byte(event), func(_ http.ResponseWriter, r *http.Request) { assert.Equal(t, "abc.example", r.Host) })
}

func TestHandler_PassesTheRequestOn(t *testing.T) {
	event, err := os.ReadFile("testdata/event.json")
	require.NoError(t, err)
	response := invoke(t, event, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "/hooks/github", r.URL.Path)
		assert.Equal(t, "a=1&b=2", r.URL.RawQuery)
		assert.Equal(t, "abcdefghij.lambda-url.eu-central-1.on.aws", r.Host)
		assert.Equal(t, "140.82.115.1", r.RemoteAddr)
		assert.Equal(t, "workflow_job", r.Header.Get("X-GitHub-Event"), "header names come in lower case")
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.Equal(t, "{\"text\":\"größe \\\"\u2028\\\" 😀\\n\"}", string(body))
		assert.EqualValues(t, len(body), r.ContentLength)

		w.Header().Set("Content-Type", "text/plain")
		w.Header().Add("X-Two", "1")
		w.Header().Add("X-Two", "2")
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "short ")
		_, _ = io.WriteString(w, "and stout")
	})
	assert.Equal(t, http.StatusTeapot, response.StatusCode)
	assert.Equal(t, "short and stout", response.Body)
	assert.Equal(t, map[string]string{"Content-Type": "text/plain", "X-Two": "1,2"}, response.Headers)
	assert.False(t, response.IsBase64Encoded)
}

func TestHandler_AnswersOKUnlessToldOtherwise(t *testing.T) {
	event, err := json.Marshal(events.LambdaFunctionURLRequest{})
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, invoke(t, event, func(http.ResponseWriter, *http.Request) {}).StatusCode)
	assert.Equal(t, http.StatusOK, invoke(t, event, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(nil)
	}).StatusCode)
}

func TestHandler_NamesTheTraceOfTheFunction(t *testing.T) {
	event, err := json.Marshal(events.LambdaFunctionURLRequest{Headers: map[string]string{
		"x-amzn-trace-id": "Root=sender",
	}})
	require.NoError(t, err)
	var got string
	handler := functionurl.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Get(
			"X-Amzn-Trace-Id")
	}))
	_, err = handler.Invoke(t.Context(), event)
	require.NoError(t, err)
	assert.Equal(t, "Root=sender", got)
	//nolint:staticcheck // the key aws-lambda-go uses is a string
	_, err = handler.Invoke(context.WithValue(t.Context(), "x-amzn-trace-id", "Root=function"), event)
	require.NoError(t, err)
	assert.Equal(t, "Root=function", got)
}

func TestHandler_FailsWhenTheEventIsNone(t *testing.T) {
	for _, event := range []string{
		``, `null`, `[]`, `{}`, `{"headers":{}}`, `{"headers":[],"requestContext":{}}`,
		`{"Records":[{"body":"{}"}]}`,
	} {
		_, err := functionurl.New(http.NotFoundHandler()).Invoke(t.Context(), []byte(event))
		assert.Error(t, err, event)
	}
}

func TestHandler_BodyThatIsNotBase64CannotBeRead(t *testing.T) {
	for _, body := range []string{"****", "YWJj*", "YWJ", "YWJjZA==YQ"} {
		event, err := json.Marshal(events.LambdaFunctionURLRequest{
			Headers: map[string]string{}, Body: body,
			IsBase64Encoded: true,
		})
		require.NoError(t, err)
		invoke(t, event, func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			assert.True(t, errors.As(err, new(base64.CorruptInputError)) || errors.Is(err, io.ErrUnexpectedEOF),
				"%q: %v", body, err)
		})
	}
}

// FuzzBody checks that a handler reads the bytes that were sent, in whichever of
// the two forms they come.
func FuzzBody(f *testing.F) {
	for _, body := range [][]byte{nil, []byte("{}"), []byte("\"\\\n\u2028<>&"), {0, 0xff, 0xfe}, []byte("😀é")} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(request events.LambdaFunctionURLRequest) []byte {
			event, err := json.Marshal(request)
			require.NoError(t, err)
			var got []byte
			invoke(t, event, func(_ http.ResponseWriter, r *http.Request) {
				got, err = io.ReadAll(r.Body)
				require.NoError(t, err)
			})
			return got
		}
		headers := map[string]string{}
		require.Equal(t, string(body), string(read(events.LambdaFunctionURLRequest{
			Headers: headers, Body: base64.StdEncoding.EncodeToString(body), IsBase64Encoded: true,
		})))
		text := string(bytes.ToValidUTF8(body, []byte("?")))
		require.Equal(t, text, string(read(events.LambdaFunctionURLRequest{Headers: headers, Body: text})))
		// A body that claims to be base64 and is not leads to an error, not to a panic.
		event, err := json.Marshal(events.LambdaFunctionURLRequest{Headers: headers, Body: text, IsBase64Encoded: true})
		require.NoError(t, err)
		invoke(t, event, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) })
	})
}
