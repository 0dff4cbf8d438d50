package webhook_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
)

// FuzzSignature checks that the only signature that is accepted is the right one.
func FuzzSignature(f *testing.F) {
	body := usualPayload()
	right := sign(currentSecret, body)
	for _, signature := range []string{
		right, "", "sha256=", "sha1=" + right[7:], strings.ToUpper(right), "sha256=" + strings.ToUpper(right[7:]),
		right + right,
		right + "," + right, " " + right, right[:70], right + "0", "sha256=" + strings.Repeat("0", 64), sign("", body),
		sign(previousSecret, body),
	} {
		f.Add(signature, body)
	}
	f.Fuzz(func(t *testing.T, signature, body string) {
		fixture := newFixture(t, settings())
		a := fixture.deliver(t, delivery{body: body, base64: true, headers: map[string]string{
			"x-hub-signature-256": signature,
		}})
		// Hexadecimal digits mean the same in both cases.
		digits, ok := strings.CutPrefix(signature, "sha256=")
		if ok && "sha256="+strings.ToLower(digits) == sign(currentSecret, body) {
			require.NotEqual(t, http.StatusUnauthorized, a.status)
			return
		}
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Empty(t, fixture.bus.entries)
	})
}

// FuzzSplice checks that whatever GitHub may sign, what gets on the bus is valid
// JSON, is GitHub's text but for the dispatch in front, and that the dispatch is
// the only one a reader can find.
func FuzzSplice(f *testing.F) {
	for _, body := range []string{
		usualPayload(),
		" \r\n\t" + usualPayload() + "\n",
		jobPayload("completed", `{"id":1,"labels":[]}`),
		jobPayload("queued", `{"id":1,"labels":["ubuntu-latest","<>&\u2028","\ud800"]}`),
		`{"\u0064ispatch":1,` + usualPayload()[1:],
		`{"Dispatch":1,` + usualPayload()[1:],
		`{"dispatch":1,` + usualPayload()[1:],
		`{"x":"\"}{\\",` + usualPayload()[1:],
		`{}`, `[]`, `{"a":1}`, ``, `{`, "\x00",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		fixture := newFixture(t, settings())
		a := fixture.deliver(t, delivery{body: body, base64: true})
		require.Contains(t, []int{
			http.StatusOK, http.StatusAccepted, http.StatusBadRequest,
			http.StatusRequestEntityTooLarge,
		}, a.status)
		if a.status != http.StatusAccepted {
			require.Empty(t, fixture.bus.entries)
			return
		}
		require.Len(t, fixture.bus.entries, 1)
		detail := *fixture.bus.entries[0].Detail
		require.True(t, json.Valid([]byte(detail)))
		require.Equal(t, body, withoutDispatch(t, detail))
		var lenient struct {
			Dispatch contract.Dispatch `json:"dispatch"`
			Action   string            `json:"action"`
		}
		require.NoError(t, json.Unmarshal([]byte(detail), &lenient))
		require.Equal(t, a.fleet, lenient.Dispatch.Fleet)
		require.Equal(t, "1", lenient.Dispatch.Attempt)
		require.Equal(t, deliveryID, lenient.Dispatch.DeliveryID)
		require.Equal(t, a.log["job_id"], lenient.Dispatch.JobID)
		require.Equal(t, a.log["action"], lenient.Action)
	})
}
