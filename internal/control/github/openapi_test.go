//go:build openapi

package github_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
)

// What GitHub says of its own API, and where a Client looks for it.
var descriptions = []struct {
	file, address, path string
	scopes              []registrationcontract.Scope
}{
	{"api.github.com", "https://github.com", "", []registrationcontract.Scope{org, repository}},
	{"ghec", "https://octo.ghe.com", "", []registrationcontract.Scope{org, repository, enterprise}},
	{"ghes-3.17", "https://github.example.com", "/api/v3", []registrationcontract.Scope{org, repository, enterprise}},
}

// described is a GitHub that takes what a description allows and answers with the
// description's examples.
type described struct {
	t    *testing.T
	at   string // where Prism listens
	path string // of the description's server

	mu    sync.Mutex
	seen  []string
	on    string // the call to answer with a status
	reply int
}

// describe starts Prism with the part of a description that a Client needs: the
// whole takes it a quarter of a minute.
// https://docs.stoplight.io/docs/prism/83dbbd75532cf-http-mocking
func describe(t *testing.T, file, path string) *described {
	t.Helper()
	const modules = "../../../tools/openapi/node_modules"
	whole, err := os.ReadFile(filepath.Join(modules, "@octokit/openapi/generated", file+".json"))
	require.NoError(t, err, "make openapi-test installs it")
	description := filepath.Join(t.TempDir(), "description.json")
	require.NoError(t, os.WriteFile(description, partOf(t, whole, path), 0o600))

	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := free.Addr().String()
	_, port, err := net.SplitHostPort(at)
	require.NoError(t, err)
	require.NoError(t, free.Close())
	var log bytes.Buffer
	prism := exec.CommandContext(t.Context(), filepath.Join(modules, ".bin/prism"), "mock", "--port", port, description)
	prism.Stdout, prism.Stderr = &log, &log
	require.NoError(t, prism.Start())
	ended := make(chan struct{})
	go func() { _ = prism.Wait(); close(ended) }()
	t.Cleanup(func() { <-ended })
	for {
		select {
		case <-ended:
			require.FailNow(t, "Prism has ended", log.String())
		case <-time.After(100 * time.Millisecond):
		}
		if connection, err := net.Dial("tcp", at); err == nil {
			_ = connection.Close()
			return &described{t: t, at: at, path: path}
		}
	}
}

// partOf is a description with the paths that have to do with runners, jobs and
// installations, and with what they refer to.
func partOf(t *testing.T, whole []byte, path string) []byte {
	t.Helper()
	var d struct {
		OpenAPI    string                                `json:"openapi"`
		Info       json.RawMessage                       `json:"info"`
		Servers    []struct{ URL string }                `json:"servers"`
		Paths      map[string]json.RawMessage            `json:"paths"`
		Components map[string]map[string]json.RawMessage `json:"components"`
	}
	require.NoError(t, json.Unmarshal(whole, &d))
	require.Len(t, d.Servers, 1)
	server := d.Servers[0].URL
	assert.True(t, strings.HasSuffix(server, path), server)
	assert.Equal(t, path == "/api/v3", strings.HasSuffix(server, "/api/v3"), server)
	maps.DeleteFunc(d.Paths, func(path string, _ json.RawMessage) bool {
		return !strings.Contains(path, "/actions/") && !strings.Contains(path, "/installation")
	})
	used := map[string]map[string]json.RawMessage{}
	reference := regexp.MustCompile(`"#/components/([^/"]+)/([^/"]+)"`)
	var follow func(json.RawMessage)
	follow = func(part json.RawMessage) {
		for _, found := range reference.FindAllSubmatch(part, -1) {
			kind, name := string(found[1]), string(found[2])
			if used[kind] == nil {
				used[kind] = map[string]json.RawMessage{}
			}
			if used[kind][name] == nil {
				used[kind][name] = d.Components[kind][name]
				follow(d.Components[kind][name])
			}
		}
	}
	for _, part := range d.Paths {
		follow(part)
	}
	part, err := json.Marshal(map[string]any{"openapi": d.OpenAPI, "info": d.Info, "paths": d.Paths, "components": used})
	require.NoError(t, err)
	return part
}

// RoundTrip implements http.RoundTripper.
func (d *described) RoundTrip(r *http.Request) (*http.Response, error) {
	path, known := strings.CutPrefix(r.URL.Path, d.path)
	assert.True(d.t, known, "%s is not below the description's server", r.URL.Path)
	assert.Equal(d.t, "https", r.URL.Scheme)
	assert.NotEmpty(d.t, r.Header.Get("Authorization"), "%s", path)
	call := r.Method + " " + path

	d.mu.Lock()
	d.seen = append(d.seen, call)
	asked := d.on != "" && strings.HasSuffix(call, d.on)
	reply := d.reply
	d.mu.Unlock()

	out := r.Clone(r.Context())
	// GitHub takes its own media types, though it describes but this one.
	// https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#media-types
	assert.Contains(d.t, r.Header.Get("Accept"), "application/vnd.github", "%s", path)
	out.Header.Set("Accept", "application/json")
	out.URL.Scheme, out.URL.Host, out.URL.Path, out.Host = "http", d.at, path, ""
	if asked {
		out.Header.Set("Prefer", "code="+strconv.Itoa(reply))
	}
	response, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	d.check(call, response, asked)
	return response, nil
}

// violation is how Prism tells what a description does not allow.
type violation struct {
	Location []string `json:"location"`
	Severity string   `json:"severity"`
	Message  string   `json:"message"`
}

// check fails the test if the description does not allow a request. That an example
// of GitHub's is not what GitHub describes is not ours.
func (d *described) check(call string, response *http.Response, asked bool) {
	var found []violation
	if header := response.Header.Get("Sl-Violations"); header != "" {
		assert.NoError(d.t, json.Unmarshal([]byte(header), &found), "%s", header)
	}
	for _, v := range found {
		assert.NotEqual(d.t, "request", v.Location[0], "%s: %v: %s", call, v.Location, v.Message)
	}
	if !asked && response.StatusCode >= 300 {
		text, _ := io.ReadAll(response.Body)
		assert.Fail(d.t, "the description does not allow the request", "%s: %d: %s", call, response.StatusCode, text)
	}
}

func (d *described) calls() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.seen
	d.seen = nil
	return seen
}

// answer has calls that end in a text answered with a status of the description.
func (d *described) answer(on string, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on, d.reply = on, status
}

// calls are all that a Client can ask of GitHub.
var calls = map[string]func(t *testing.T, c *github.Client, scope registrationcontract.Scope) error{
	"Register": func(t *testing.T, c *github.Client, scope registrationcontract.Scope) error {
		group := ""
		if scope.Kind != registrationcontract.ScopeRepository {
			group = "Default"
		}
		runner, err := c.Register(t.Context(), "ecsrun-linux-29679449526-01234567-0123456789",
			[]string{"self-hosted", "linux", "x64"}, group)
		if err == nil {
			assert.Equal(t, github.Runner{ID: 23, Config: "abc123"}, runner)
		}
		return err
	},
	"Remove": func(t *testing.T, c *github.Client, _ registrationcontract.Scope) error {
		removed, err := c.Remove(t.Context(), 23)
		assert.Equal(t, err == nil, removed)
		return err
	},
	"Find": func(t *testing.T, c *github.Client, _ registrationcontract.Scope) error {
		id, err := c.Find(t.Context(), "linux_runner")
		if err == nil {
			assert.EqualValues(t, 23, id)
		}
		return err
	},
	"Job": func(t *testing.T, c *github.Client, _ registrationcontract.Scope) error {
		job, err := c.Job(t.Context(), "octo/app", "21")
		if err == nil {
			assert.Equal(t, github.Job{
				Status: "completed", Labels: []string{"self-hosted", "foo", "bar"},
				RunnerID: 1, RunnerName: "my runner",
			}, job)
		}
		return err
	},
}

func TestClient_AsksWhatGitHubDescribes(t *testing.T) {
	t.Parallel()
	client := reflect.TypeFor[*github.Client]()
	for i := range client.NumMethod() {
		if name := client.Method(i).Name; name != "Remaining" { // asks nobody
			assert.Contains(t, calls, name, "each call is held to the description")
		}
	}
	app := newServer(t).app()
	for _, description := range descriptions {
		t.Run(description.file, func(t *testing.T) {
			t.Parallel()
			d := describe(t, description.file, description.path)
			for _, scope := range description.scopes {
				for kind, value := range map[string]string{"token": tokenSecret().value, "App": app} {
					if kind == "App" && scope.Kind == registrationcontract.ScopeEnterprise {
						continue // GitHub has none
					}
					for name, do := range calls {
						c, err := github.New(description.address, scope, &secret{value: value}, d, &clock{now: time.Now()})
						require.NoError(t, err)
						assert.NoError(t, do(t, c, scope), "%s of %s with %s", name, scope, kind)
						seen := d.calls()
						assert.NotEmpty(t, seen)
						t.Logf("%s with %s: %s", name, kind, strings.Join(seen, ", "))
					}
				}
				for _, failure := range []struct {
					call, on string
					status   int
					want     error
				}{
					{"Register", "/generate-jitconfig", http.StatusConflict, github.ErrNameTaken},
					{"Register", "/generate-jitconfig", http.StatusNotFound, github.ErrRefused},
					{"Register", "/generate-jitconfig", http.StatusUnprocessableEntity, github.ErrRefused},
					{"Remove", "/actions/runners/23", http.StatusUnprocessableEntity, github.ErrBusy},
				} {
					d.answer(failure.on, failure.status)
					c, err := github.New(description.address, scope, tokenSecret(), d, &clock{now: time.Now()})
					require.NoError(t, err)
					assert.ErrorIs(t, calls[failure.call](t, c, scope), failure.want, "%s: %d", failure.call, failure.status)
					d.answer("", 0)
					d.calls()
				}
			}
			for status, want := range map[int]error{
				http.StatusUnauthorized:        github.ErrCredential,
				http.StatusForbidden:           github.ErrRefused,
				http.StatusNotFound:            github.ErrRefused,
				http.StatusUnprocessableEntity: github.ErrRefused,
			} {
				d.answer("/access_tokens", status)
				c, err := github.New(description.address, org, &secret{value: app}, d, &clock{now: time.Now()})
				require.NoError(t, err)
				assert.ErrorIs(t, calls["Job"](t, c, org), want, "access token: %d", status)
			}
		})
	}
}

// What GitHub does not describe must be seen, or the test above could not fail.
func TestDescribed_RefusesWhatGitHubDoesNotDescribe(t *testing.T) {
	t.Parallel()
	d := describe(t, "api.github.com", "")
	for name, r := range map[string]struct{ method, path, body string }{
		"no such call":   {http.MethodGet, "/orgs/octo/actions/runnerz", ""},
		"no such method": {http.MethodPut, "/orgs/octo/actions/runners", ""},
		"id as text":     {http.MethodDelete, "/orgs/octo/actions/runners/one", ""},
		"group as text": {
			http.MethodPost, "/orgs/octo/actions/runners/generate-jitconfig",
			`{"name":"n","runner_group_id":"1","labels":["x"]}`,
		},
		"no labels": {
			http.MethodPost, "/orgs/octo/actions/runners/generate-jitconfig",
			`{"name":"n","runner_group_id":1,"labels":[]}`,
		},
		"no name": {
			http.MethodPost, "/orgs/octo/actions/runners/generate-jitconfig",
			`{"runner_group_id":1,"labels":["x"]}`,
		},
		"odd permission":  {http.MethodPost, "/app/installations/99/access_tokens", `{"permissions":{"actions":"all"}}`},
		"page that is no": {http.MethodGet, "/orgs/octo/actions/runner-groups?page=first", ""},
	} {
		seen := &testing.T{}
		request, err := http.NewRequestWithContext(t.Context(), r.method,
			"https://api.github.com"+r.path, strings.NewReader(r.body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer x")
		request.Header.Set("Content-Type", "application/json")
		response, err := (&described{t: seen, at: d.at}).RoundTrip(request)
		require.NoError(t, err)
		_ = response.Body.Close()
		assert.True(t, seen.Failed(), "%s: %s %s is taken for good: %d", name, r.method, r.path, response.StatusCode)
	}
}
