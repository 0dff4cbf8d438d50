//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const (
	gitHubToken = "ghp_endToEndTokenThatNobodyMaySee0000000"
	jitMark     = "endToEndConfigurationThatOnlyTheListenerMaySee"
)

// gitHub is GitHub as far as the registration asks it.
type gitHub struct {
	*httptest.Server
	mu      sync.Mutex
	jobs    map[string]*job
	runners map[int64]string
	next    int64
	down    bool
	stingy  bool     // gives no job to any runner
	configs []string // all that were made
}

type job struct {
	status     string
	labels     []string
	runnerID   int64
	runnerName string
}

func newGitHub(t *testing.T) *gitHub {
	t.Helper()
	g := &gitHub{jobs: map[string]*job{}, runners: map[int64]string{}}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

// set changes the state under the lock.
func (g *gitHub) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}

func (g *gitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/api/v3")
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-RateLimit-Remaining", "4999")
		w.WriteHeader(status)
		if body != nil {
			_ = json.NewEncoder(w).Encode(body)
		}
	}
	message := func(text string) map[string]string { return map[string]string{"message": text} }
	var id string
	var runner int64
	switch {
	case g.down:
		answer(http.StatusBadGateway, message("down"))
	case r.Header.Get("Authorization") != "Bearer "+gitHubToken:
		answer(http.StatusUnauthorized, message("Bad credentials"))
	case scan(path, "/repos/my-org/app/actions/jobs/%s", &id):
		if j, found := g.jobs[id]; found {
			answer(http.StatusOK, map[string]any{
				"id": json.Number(id), "status": j.status, "labels": j.labels,
				"runner_id": j.runnerID, "runner_name": j.runnerName,
			})
			return
		}
		answer(http.StatusNotFound, message("Not Found"))
	case r.Method == http.MethodPost && path == "/orgs/my-org/actions/runners/generate-jitconfig":
		var asked struct{ Name string }
		_ = json.NewDecoder(r.Body).Decode(&asked)
		g.next++
		g.runners[g.next] = asked.Name
		g.configs = append(g.configs, jitConfig(asked.Name))
		answer(http.StatusCreated, map[string]any{
			"runner":             map[string]any{"id": g.next, "name": asked.Name},
			"encoded_jit_config": g.configs[len(g.configs)-1],
		})
	case r.Method == http.MethodDelete && scan(path, "/orgs/my-org/actions/runners/%d", &runner):
		delete(g.runners, runner)
		answer(http.StatusNoContent, nil)
	case path == "/orgs/my-org/actions/runners":
		runners := []map[string]any{}
		for id, name := range g.runners {
			if name == r.URL.Query().Get("name") {
				runners = append(runners, map[string]any{"id": id, "name": name})
			}
		}
		answer(http.StatusOK, map[string]any{"total_count": len(runners), "runners": runners})
	default:
		answer(http.StatusNotFound, message("Not Found"))
	}
}

func scan(path, format string, into any) bool {
	n, err := fmt.Sscanf(path, format, into)
	return n == 1 && err == nil
}
