package webhook_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// loggable are the members of a payload that a log line may have.
var loggable = []string{"action", "repository", "job_id", "labels", "reason"}

// requireNoLeak fails when a line of output contains a secret, a signature or a
// piece of a payload. Every delivery of every test goes through it.
func requireNoLeak(t testing.TB, line string, request events.LambdaFunctionURLRequest, payload string) {
	t.Helper()
	require.Empty(t, leak(line, request, payload), "in the log: %s", line)
}

// leak returns what a line of output gives away.
func leak(line string, request events.LambdaFunctionURLRequest, payload string) string {
	forbidden := []string{currentSecret, previousSecret, payloadMarker, "sha256=", "sha1="}
	for _, secret := range []string{currentSecret, previousSecret} {
		forbidden = append(forbidden, strings.TrimPrefix(sign(secret, payload), "sha256="))
	}
	if signature := strings.TrimPrefix(request.Headers["x-hub-signature-256"], "sha256="); len(signature) >= 16 {
		forbidden = append(forbidden, signature)
	}
	if len(payload) >= 16 {
		forbidden = append(forbidden, request.Body[:16], payload[len(payload)-16:])
	}
	var logged map[string]any
	_ = json.Unmarshal([]byte(line), &logged)
	var decoded any
	_ = json.Unmarshal([]byte(payload), &decoded)
	for _, text := range allStrings(decoded) {
		if len(text) >= 16 && !isLogged(logged, text) {
			forbidden = append(forbidden, text)
		}
	}
	for _, text := range forbidden {
		if strings.Contains(line, text) {
			return text
		}
	}
	return ""
}

func isLogged(logged map[string]any, text string) bool {
	for _, key := range loggable {
		if value, ok := logged[key].(string); ok && strings.Contains(value, text) {
			return true
		}
	}
	return false
}

// allStrings returns all strings and long numbers in a decoded JSON value.
func allStrings(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, element := range value {
			all = append(all, allStrings(element)...)
		}
		return all
	case map[string]any:
		var all []string
		for _, element := range value {
			all = append(all, allStrings(element)...)
		}
		return all
	}
	return nil
}

// The check must be able to fail.
func TestLeak_IsFound(t *testing.T) {
	payload := usualPayload()
	request := delivery{body: payload}.request()
	for name, line := range map[string]string{
		"secret":         `{"error":"` + currentSecret + `"}`,
		"signature":      `{"error":"` + request.Headers["x-hub-signature-256"] + `"}`,
		"other MAC":      `{"error":"` + sign(previousSecret, payload)[7:] + `"}`,
		"whole payload":  payload,
		"a value of it":  fmt.Sprintf(`{"error":"%s"}`, payloadMarker),
		"the end of it":  payload[len(payload)-20:],
		"quoted payload": fmt.Sprintf("%q", payload),
	} {
		t.Run(name, func(t *testing.T) {
			assert.NotEmpty(t, leak(line, request, payload))
		})
	}
	assert.Empty(t, leak(`{"event":"workflow_job","action":"queued","repository":"my-org/app","job_id":"29679449526"}`,
		request, payload))
}
