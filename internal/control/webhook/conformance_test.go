package webhook_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
)

// examples is the npm package with payloads of all events, from GitHub.com and
// from GitHub Enterprise Server. Its version is in package.json.
const examples = "../../../node_modules/@octokit/webhooks-examples"

// example is a payload of the package, its bytes as they stand in the file.
type example struct {
	set     string
	event   string
	payload string
}

func loadExamples(t *testing.T) []example {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(examples, "*", "index.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "the example payloads are missing: run `npm ci` at the root of the repository, as "+
		"`make test` does")
	var all []example
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var events []struct {
			Name     string            `json:"name"`
			Examples []json.RawMessage `json:"examples"`
		}
		require.NoError(t, json.Unmarshal(content, &events))
		for _, event := range events {
			for _, payload := range event.Examples {
				all = append(all, example{filepath.Base(filepath.Dir(file)), event.Name, string(payload)})
			}
		}
	}
	return all
}

// lenientPayload is what decides about a payload, read with encoding/json.
type lenientPayload struct {
	Repository   *struct{ Private bool }
	Organization *struct{ Login string }
	Installation *struct{ Account *struct{ Login string } }
	WorkflowJob  *struct{ Labels []string } `json:"workflow_job"`
}

// anyOwner collects the owners that occur in the payloads.
func owners(t *testing.T, all []example) []string {
	t.Helper()
	seen := make(map[string]bool)
	for _, e := range all {
		var p struct {
			Repository   struct{ Owner struct{ Login string } }
			Organization struct{ Login string }
			Installation struct{ Account struct{ Login string } }
		}
		require.NoError(t, json.Unmarshal([]byte(e.payload), &p))
		for _, owner := range []string{p.Repository.Owner.Login, p.Organization.Login, p.Installation.Account.Login} {
			if owner != "" {
				seen[owner] = true
			}
		}
	}
	var names []string
	for name := range seen {
		names = append(names, name)
	}
	return names
}

func TestConformance_EveryExampleWithEverythingAllowed(t *testing.T) {
	all := loadExamples(t)
	s := settings()
	s.Events = []string{webhookcontract.AllEvents}
	s.Owners = owners(t, all)
	s.AllowPublic = true
	s.Routes = []contract.Fleet{
		{Name: "gpu", Labels: []string{"GPU", "db-app", "dc-03"}},
		{Name: "k8s", Labels: []string{"self-hosted", "k8s"}},
	}
	f := newFixture(t, s)
	sets := make(map[string]int)
	accepted, jobs := 0, 0
	for i, e := range all {
		sets[e.set]++
		var p lenientPayload
		require.NoError(t, json.Unmarshal([]byte(e.payload), &p))
		f.bus.entries = nil
		a := f.deliver(t, delivery{event: e.event, body: e.payload, base64: i%2 == 0})
		if e.event == "ping" {
			require.Equal(t, webhookcontract.OutcomePing, a.outcome)
			continue
		}
		if p.Repository == nil && p.Organization == nil && (p.Installation == nil || p.Installation.Account == nil) {
			require.Equal(t, webhookcontract.OutcomeIgnored, a.outcome, "%s %s has no owner", e.set, e.event)
			continue
		}
		require.Equal(t, http.StatusAccepted, a.status, "%s %s: %s", e.set, e.event, a.body)
		require.Len(t, f.bus.entries, 1)
		accepted++
		detail := *f.bus.entries[0].Detail
		require.Equal(t, e.event, *f.bus.entries[0].DetailType)
		if e.event == contract.DetailTypeWorkflowJob {
			jobs++
			detail = withoutDispatch(t, detail)
		}
		require.Equal(t, e.payload, detail, "%s %s: every byte stays", e.set, e.event)
	}
	t.Logf("%d payloads %v, %d of them accepted, %d about jobs", len(all), sets, accepted, jobs)
	assert.Len(t, sets, 6, "GitHub.com and five versions of Enterprise Server")
	assert.Len(t, all, 726)
	assert.Equal(t, 11, jobs)
}

func TestConformance_EveryExampleWithTheDefaults(t *testing.T) {
	all := loadExamples(t)
	s := settings()
	s.Owners = owners(t, all)
	f := newFixture(t, s)
	for _, e := range all {
		var p lenientPayload
		require.NoError(t, json.Unmarshal([]byte(e.payload), &p))
		a := f.deliver(t, delivery{event: e.event, body: e.payload})
		want := webhookcontract.OutcomeIgnored
		switch {
		case e.event == "ping":
			want = webhookcontract.OutcomePing
		case e.event == contract.DetailTypeWorkflowJob && p.Repository.Private:
			want = webhookcontract.OutcomeAccepted
		}
		require.Equal(t, want, a.outcome, "%s %s: %s", e.set, e.event, a.body)
	}
}

func TestConformance_NoExampleIsAcceptedUnsigned(t *testing.T) {
	f := newFixture(t, settings())
	for _, e := range loadExamples(t) {
		a := f.deliver(t, delivery{event: e.event, body: e.payload, headers: map[string]string{"x-hub-signature-256": ""}})
		require.Equal(t, http.StatusUnauthorized, a.status)
		a = f.deliver(t, delivery{event: e.event, body: e.payload, secret: "guess"})
		require.Equal(t, http.StatusUnauthorized, a.status)
	}
	assert.Empty(t, f.bus.entries)
}

// withoutDispatch returns a detail without its first member, which must be
// dispatch, with nothing but strings in it.
func withoutDispatch(t testing.TB, detail string) string {
	t.Helper()
	open := strings.IndexByte(detail, '{') + 1
	const name = `"dispatch":`
	require.True(t, strings.HasPrefix(detail[open:], name), "dispatch comes first")
	rest := strings.NewReader(detail[open+len(name):])
	decoder := json.NewDecoder(rest)
	var dispatch map[string]string
	require.NoError(t, decoder.Decode(&dispatch))
	end := open + len(name) + int(decoder.InputOffset())
	require.Equal(t, byte(','), detail[end])
	return detail[:open] + detail[end+1:]
}
