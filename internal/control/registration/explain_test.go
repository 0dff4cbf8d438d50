package registration_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
	"github.com/ecs-github-runners/ecsrunners/internal/control/registration"
)

func TestRegister_AJobThatAnotherFleetMustRun_IsLoggedWithWhatIsLacking(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var log bytes.Buffer
	w.Log = slog.New(slog.NewJSONHandler(&log, nil))
	w.github.queue("1", "Linux", "Windows", "huge")
	_, err := w.Register(t.Context(), task("1"))
	require.ErrorIs(t, err, registration.ErrNoWork)
	assert.Contains(t, log.String(), `"labels":"huge,linux,windows","fleet":"linux","lacks":"huge,windows"`)
}

// The runner's log has what GitHub says, too: its reader may not see the function's.
func TestHandler_TheTaskLearnsWhatGitHubSays(t *testing.T) {
	t.Parallel()
	const says = `403 "This installation has been suspended"`
	for name, fail := range map[string]error{
		"refused":    fmt.Errorf("%w with %s", github.ErrRefused, says),
		"credential": fmt.Errorf("%w: %s", github.ErrCredential, says),
		"limit":      &github.LimitError{RetryAfter: 1, Answer: says},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.github.fail = func(string) error { return fail }
			answer := a.post(t, "/register", goodBody, signer("AROALINUX", taskOne))
			assert.NotEqual(t, http.StatusOK, answer.Code)
			assert.Contains(t, answer.Body.String(), `403 \"This installation has been suspended\"`)
			assert.Contains(t, a.log.String(), `This installation has been suspended`)
		})
	}
}
