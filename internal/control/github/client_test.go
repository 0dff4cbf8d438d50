package github_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
)

const (
	token     = "ghp_aTokenThatMustNotBeSeenAnywhere00000"
	newToken  = "ghp_aTokenThatHasTakenItsPlace0000000000"
	jitConfig = "aConfigurationThatMustNotBeSeenAnywhere"
)

// server is a GitHub Enterprise Server, which answers what a test says.
type server struct {
	*httptest.Server
	t      *testing.T
	key    *rsa.PrivateKey
	mu     sync.Mutex
	seen   []string
	bodies []string
	tokens int
	accept string // the token that is good, if not an installation's
	issuer string // the App, if not 12345
	answer func(call string) (status int, header map[string]string, body string)
}

// appKey is an App's. To make one takes a while.
var appKey = sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, key: appKey(), accept: token}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := r.Method + " " + strings.TrimPrefix(r.URL.RequestURI(), "/api/v3/")
	body, _ := io.ReadAll(r.Body)
	s.seen, s.bodies = append(s.seen, call), append(s.bodies, string(body))
	bearer := strings.TrimPrefix(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "token ")
	reply := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	isApp := strings.HasSuffix(call, "/installation") || strings.HasSuffix(call, "/access_tokens")
	good := bearer == s.accept || s.tokens > 0 && bearer == fmt.Sprintf("ghs_%d", s.tokens)
	switch {
	case isApp && !s.isJWT(bearer), !isApp && !good:
		reply(http.StatusUnauthorized, `{"message":"Bad credentials"}`)
		return
	}
	if s.answer != nil {
		if status, header, text := s.answer(call); status != 0 {
			for name, value := range header {
				w.Header().Set(name, value)
			}
			reply(status, text)
			return
		}
	}
	w.Header().Set("X-Ratelimit-Remaining", "4321")
	switch {
	case strings.HasSuffix(call, "/installation"):
		reply(http.StatusOK, `{"id":99}`)
	case strings.HasSuffix(call, "/access_tokens"):
		s.tokens++
		reply(http.StatusCreated, fmt.Sprintf(`{"token":"ghs_%d","expires_at":%q}`, s.tokens,
			time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	case strings.HasSuffix(call, "/generate-jitconfig"):
		reply(http.StatusCreated, `{"runner":{"id":7,"name":"n"},"encoded_jit_config":"`+jitConfig+`"}`)
	case strings.HasPrefix(call, http.MethodDelete):
		w.WriteHeader(http.StatusNoContent)
	case strings.Contains(call, "/runner-groups"):
		reply(http.StatusOK, `{"total_count":2,"runner_groups":[{"id":1,"name":"Default"},{"id":5,"name":"Builders"}]}`)
	case strings.Contains(call, "/actions/runners?"):
		reply(http.StatusOK, `{"total_count":2,"runners":[{"id":3,"name":"other-one"},{"id":4,"name":"one"}]}`)
	case strings.Contains(call, "/actions/jobs/"):
		reply(http.StatusOK, `{"id":1,"status":"in_progress","labels":["self-hosted"],"runner_id":8,"runner_name":"eight"}`)
	default:
		reply(http.StatusNotFound, `{"message":"Not Found"}`)
	}
}

// isJWT reports whether a token is an App's: signed with its key, for ten minutes at
// most.
func (s *server) isJWT(bearer string) bool {
	parts := strings.Split(bearer, ".")
	if len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, digest[:], signature) != nil {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Issuer   string `json:"iss"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
		Audience any    `json:"aud"`
	}
	return err == nil && json.Unmarshal(payload, &claims) == nil && claims.Issuer == cmp.Or(s.issuer, "12345") &&
		claims.Expires-claims.Issued <= 600+60
}

func (s *server) app() string {
	encoded := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(s.key)})
	value, err := json.Marshal(map[string]any{"app_id": 12345, "private_key": string(encoded)})
	require.NoError(s.t, err)
	return string(value)
}

func (s *server) client(scope registrationcontract.Scope, secret github.Secret) (*github.Client, *clock) {
	c := &clock{now: time.Now()}
	client, err := github.New(s.URL, scope, secret, http.DefaultTransport, c)
	require.NoError(s.t, err)
	return client, c
}

type clock struct{ now time.Time }

func (c *clock) Now() time.Time                             { return c.now }
func (c *clock) Sleep(context.Context, time.Duration) error { panic("nothing here waits") }

// secret is one that can be rotated.
type secret struct{ value, next string }

func (s *secret) Value(context.Context) ([]byte, error) {
	if s.value == "" {
		return nil, fmt.Errorf("it has no value")
	}
	return []byte(s.value), nil
}

func (s *secret) Refresh(ctx context.Context) ([]byte, error) {
	if s.next != "" {
		s.value = s.next
	}
	return s.Value(ctx)
}

func tokenSecret() *secret { return &secret{value: `{"token":"` + token + `"}`} }

var (
	org        = registrationcontract.Scope{Kind: registrationcontract.ScopeOrganization, Owner: "octo"}
	repository = registrationcontract.Scope{Kind: registrationcontract.ScopeRepository, Owner: "octo", Repository: "app"}
	enterprise = registrationcontract.Scope{Kind: registrationcontract.ScopeEnterprise, Owner: "globo"}
)

func TestClient_RegistersAtEveryLevel(t *testing.T) {
	t.Parallel()
	for _, scope := range []registrationcontract.Scope{org, repository, enterprise} {
		s := newServer(t)
		client, _ := s.client(scope, tokenSecret())
		_, known := client.Remaining()
		assert.False(t, known)
		runner, err := client.Register(t.Context(), "one", []string{"linux", "x64"}, "")
		require.NoError(t, err)
		assert.Equal(t, github.Runner{ID: 7, Config: jitConfig}, runner)
		assert.Equal(t, []string{"POST " + scope.String() + "/actions/runners/generate-jitconfig"}, s.seen)
		assert.JSONEq(t, `{"name":"one","runner_group_id":1,"labels":["linux","x64"]}`, s.bodies[0])
		remaining, known := client.Remaining()
		assert.True(t, known)
		assert.Equal(t, 4321, remaining)

		removed, err := client.Remove(t.Context(), 7)
		require.NoError(t, err)
		assert.True(t, removed)
		id, err := client.Find(t.Context(), "one")
		require.NoError(t, err)
		assert.EqualValues(t, 4, id, "the name must be the whole name")
		assert.Equal(t, []string{"DELETE " + scope.String() + "/actions/runners/7", "GET " + scope.String() +
			"/actions/runners?per_page=100&name=one"}, s.seen[1:])
		job, err := client.Job(t.Context(), "octo/app", "1")
		require.NoError(t, err)
		assert.Equal(t, github.Job{Status: "in_progress", Labels: []string{"self-hosted"}, RunnerID: 8, RunnerName: "eight"},
			job)
	}
}

func TestClient_FindsRunnerGroupsByNameOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, clock := s.client(org, tokenSecret())
	for range 2 {
		_, err := client.Register(t.Context(), "one", []string{"x"}, "builders")
		require.NoError(t, err)
	}
	assert.Len(t, s.seen, 3, "the list of groups is read once")
	assert.Contains(t, s.bodies[1], `"runner_group_id":5`)
	_, err := client.Register(t.Context(), "one", []string{"x"}, "42")
	require.NoError(t, err)
	assert.Contains(t, s.bodies[3], `"runner_group_id":42`)
	_, err = client.Register(t.Context(), "one", []string{"x"}, "nobody")
	assert.ErrorIs(t, err, github.ErrRefused)
	assert.ErrorContains(t, err, `orgs/octo has no runner group "nobody"`)
	clock.now = clock.now.Add(11 * time.Minute)
	seen := len(s.seen)
	_, err = client.Register(t.Context(), "one", []string{"x"}, "builders")
	require.NoError(t, err)
	assert.Len(t, s.seen, seen+2, "a group may have been made anew")
}

func TestClient_AnAppGetsTokensForThisAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		scope registrationcontract.Scope
		want  string
	}{
		{org, `{"permissions":{"actions":"read","metadata":"read","organization_self_hosted_runners":"write"}}`},
		{repository, `{"repositories":["app"],"permissions":{"actions":"read","metadata":"read","administration":"write"}}`},
	} {
		s := newServer(t)
		client, clock := s.client(test.scope, &secret{value: s.app()})
		for range 3 {
			_, err := client.Register(t.Context(), "one", []string{"x"}, "")
			require.NoError(t, err)
		}
		assert.Equal(t, []string{"GET " + test.scope.String() + "/installation", "POST app/installations/99/access_tokens"},
			s.seen[:2])
		assert.Len(t, s.seen, 5, "installation and token are kept")
		assert.JSONEq(t, test.want, s.bodies[1], "a token that leaks must be worth little")
		clock.now = clock.now.Add(56 * time.Minute)
		_, err := client.Register(t.Context(), "one", []string{"x"}, "")
		require.NoError(t, err)
		assert.Equal(t, 2, s.tokens, "five minutes before its end a token is replaced")
		assert.Len(t, s.seen, 7)
	}
}

func TestClient_TellsTheLeastOfItsRateLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	left := map[string]string{"/actions/jobs/1": "12", "/generate-jitconfig": "9999"}
	s.answer = func(call string) (int, map[string]string, string) {
		for suffix, remaining := range left {
			if strings.HasSuffix(call, suffix) {
				return http.StatusCreated, map[string]string{"X-Ratelimit-Remaining": remaining, "X-Ratelimit-Resource": suffix},
					`{"runner":{"id":7},"encoded_jit_config":"c"}`
			}
		}
		return 0, nil, ""
	}
	client, _ := s.client(org, tokenSecret())
	_, err := client.Job(t.Context(), "octo/app", "1")
	require.NoError(t, err)
	_, err = client.Register(t.Context(), "one", []string{"x"}, "")
	require.NoError(t, err)
	remaining, _ := client.Remaining()
	assert.Equal(t, 12, remaining, "the limit of registrations is another one")
}

func TestClient_AReinstalledAppIsFound(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, clock := s.client(org, &secret{value: s.app()})
	_, err := client.Register(t.Context(), "one", []string{"x"}, "")
	require.NoError(t, err)
	s.answer = func(call string) (int, map[string]string, string) {
		switch {
		case strings.HasSuffix(call, "/installation"):
			return http.StatusOK, nil, `{"id":100}`
		case strings.Contains(call, "/installations/99/"):
			return http.StatusNotFound, nil, `{"message":"Not Found"}`
		}
		return 0, nil, ""
	}
	clock.now = clock.now.Add(56 * time.Minute)
	_, err = client.Register(t.Context(), "one", []string{"x"}, "")
	require.ErrorIs(t, err, github.ErrRefused)
	_, err = client.Register(t.Context(), "one", []string{"x"}, "")
	require.NoError(t, err, "the installation with the old id is gone forever")
	assert.Contains(t, s.seen, "POST app/installations/100/access_tokens")
}

func TestClient_ARotatedCredentialIsReadAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.accept = newToken
	held := &secret{value: `{"token":"` + token + `"}`, next: `{"token":"` + newToken + `"}`}
	client, _ := s.client(org, held)
	_, err := client.Register(t.Context(), "one", []string{"x"}, "")
	require.NoError(t, err)

	s.accept = "nothing"
	_, err = client.Register(t.Context(), "one", []string{"x"}, "")
	assert.ErrorIs(t, err, github.ErrCredential, "no permission is missing")
	assert.Len(t, s.seen, 4, "once, and not forever")
}

func TestClient_ErrorsSayWhatAnOperatorCanDo(t *testing.T) {
	t.Parallel()
	register := func(c *github.Client) error {
		_, err := c.Register(t.Context(), "one", []string{"x"}, "")
		return err
	}
	for name, test := range map[string]struct {
		scope  registrationcontract.Scope
		secret func(*server) string
		status int
		header map[string]string
		on     string // the call that fails
		do     func(*github.Client) error
		want   error
		text   string
		says   string // what GitHub says, if not anything
	}{
		"no permission": {
			scope: org, status: 403, on: "/generate-jitconfig", do: register, want: github.ErrRefused,
			text: `"Self-hosted runners" (write)`, says: "Resource not accessible by integration",
		},
		"no permission, repo": {
			scope: repository, status: 403, on: "/generate-jitconfig", do: register,
			want: github.ErrRefused, text: `"Administration" (write)`, says: "Must have admin rights to Repository.",
		},
		"no such scope": {
			scope: enterprise, status: 404, on: "/generate-jitconfig", do: register, want: github.ErrRefused,
			text: "manage_runners:enterprise",
		},
		"no group": {
			scope: org, status: 404, on: "/generate-jitconfig", do: register, want: github.ErrRefused,
			text: "a runner group that exists",
		},
		"name taken":  {scope: org, status: 409, on: "/generate-jitconfig", do: register, want: github.ErrNameTaken},
		"bad request": {scope: org, status: 422, on: "/generate-jitconfig", do: register, want: github.ErrRefused},
		"out of order": {
			scope: org, status: 502, on: "/generate-jitconfig", do: register, want: github.ErrUnavailable,
			text: "502",
		},
		"busy": {scope: org, status: 422, on: "/actions/runners/7", do: func(c *github.Client) error {
			_,
				err := c.Remove(t.Context(), 7)
			return err
		}, want: github.ErrBusy},
		"gone": {scope: org, status: 404, on: "/actions/runners/7", do: func(c *github.Client) error {
			removed, err := c.Remove(t.Context(), 7)
			assert.False(t, removed)
			return err
		}},
		"job not told": {scope: org, status: 404, on: "/actions/jobs/1", do: func(c *github.Client) error {
			_,
				err := c.Job(t.Context(), "octo/app", "1")
			return err
		}, want: github.ErrRefused, text: `"Actions" (read)`},
		"App not installed": {
			scope: org, secret: (*server).app, status: 404, on: "/installation", do: register,
			want: github.ErrRefused, text: "App 12345 is not installed in orgs/octo",
		},
		"permission missing": {
			scope: org, secret: (*server).app, status: 422, on: "/access_tokens", do: register,
			want: github.ErrRefused, text: "accepted where it is installed",
			says: "The permissions requested are not granted to this installation.",
		},
		"tokens out of order": {
			scope: org, secret: (*server).app, status: 503, on: "/access_tokens", do: register,
			want: github.ErrUnavailable,
		},
		"key of another App": {
			scope: org, secret: func(*server) string { return (&server{t: t, key: newKey()}).app() }, do: register,
			want: github.ErrCredential, text: "does not accept App 12345 with this private_key",
		},
		"no value": {
			scope: org, secret: func(*server) string { return "" }, do: register,
			want: github.ErrCredential, text: "fill it in",
		},
		"no JSON": {
			scope: org, secret: func(*server) string { return token }, do: register,
			want: github.ErrCredential, text: "must be JSON",
		},
		"unknown member": {
			scope: org, secret: func(*server) string { return `{"tokn":"` + token + `"}` }, do: register,
			want: github.ErrCredential, text: `unknown keys: "tokn"`,
		},
		"nothing": {
			scope: org, secret: func(*server) string { return `{}` }, do: register,
			want: github.ErrCredential, text: "neither",
		},
		"both": {scope: org, secret: func(*server) string {
			return `{"app_id":1,"private_key":"x","token":"` +
				token + `"}`
		}, do: register, want: github.ErrCredential, text: "both"},
		"half": {
			scope: org, secret: func(*server) string { return `{"app_id":1}` }, do: register,
			want: github.ErrCredential, text: "needs both",
		},
		"no key": {scope: org, secret: func(*server) string {
			return `{"app_id":1,"private_key":"` + token +
				`"}`
		}, do: register, want: github.ErrCredential, text: "no RSA key"},
		"App for enterprise": {
			scope: enterprise, secret: (*server).app, do: register, want: github.ErrCredential,
			text: "enterprise",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			held := tokenSecret()
			if test.secret != nil {
				held = &secret{value: test.secret(s)}
			}
			s.answer = func(call string) (int, map[string]string, string) {
				if test.on != "" && strings.HasSuffix(call, test.on) {
					return test.status, test.header, `{"message":"` + cmp.Or(test.says, "that is so") + `"}`
				}
				return 0, nil, ""
			}
			client, _ := s.client(test.scope, held)
			err := test.do(client)
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, test.want)
			assert.ErrorContains(t, err, test.text)
			for _, hidden := range []string{token, newToken, jitConfig, "PRIVATE KEY", "ghs_"} {
				assert.NotContains(t, err.Error(), hidden)
			}
		})
	}
}

func TestClient_LimitsSayWhenToComeBack(t *testing.T) {
	t.Parallel()
	reset := time.Now().Add(20 * time.Minute).Truncate(time.Second)
	for name, test := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   time.Duration
	}{
		"primary": {403, map[string]string{
			"X-Ratelimit-Remaining": "0", "X-Ratelimit-Limit": "5000",
			"X-Ratelimit-Reset": fmt.Sprint(reset.Unix()),
		}, `{"message":"API rate limit exceeded"}`, 20 * time.Minute},
		"secondary": {
			403,
			map[string]string{"Retry-After": "77"},
			`{"message":"You have exceeded a secondary rate ` +
				`limit","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`, 77 * time.Second,
		},
		"secondary, silent": {
			403, nil,
			`{"message":"You have exceeded a secondary rate ` +
				`limit","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`, time.Minute,
		},
		"too many requests": {429, map[string]string{"Retry-After": "12"}, `{"message":"slow down"}`, 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.answer = func(string) (int, map[string]string, string) { return test.status, test.header, test.body }
			client, clock := s.client(org, tokenSecret())
			clock.now = reset.Add(-20 * time.Minute)
			_, err := client.Register(t.Context(), "one", []string{"x"}, "")
			var limit *github.LimitError
			require.ErrorAs(t, err, &limit)
			assert.InDelta(t, test.want.Seconds(), limit.RetryAfter.Seconds(), 2)
			s.answer = nil
			_, err = client.Register(t.Context(), "one", []string{"x"}, "")
			assert.NoError(t, err, "GitHub tells when a limit is over, not our memory of it")

			s.answer = func(call string) (int, map[string]string, string) {
				if !strings.HasSuffix(call, "/access_tokens") {
					return 0, nil, ""
				}
				return test.status, test.header, test.body
			}
			client, clock = s.client(org, &secret{value: s.app()})
			clock.now = reset.Add(-20 * time.Minute)
			_, err = client.Register(t.Context(), "one", []string{"x"}, "")
			require.ErrorAs(t, err, &limit, "a limit is no missing permission")
			assert.InDelta(t, test.want.Seconds(), limit.RetryAfter.Seconds(), 2)
		})
	}
}

func TestNew_KnowsWhereEachGitHubHasItsAPI(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://github.com":              "https://api.github.com/",
		"https://octo.ghe.com":            "https://api.octo.ghe.com/",
		"https://github.example.com":      "https://github.example.com/api/v3/",
		"https://github.example.com:8443": "https://github.example.com:8443/api/v3/",
	} {
		got, err := github.APIBase(address)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := github.New("github.com", org, tokenSecret(), nil, &clock{})
	assert.Error(t, err)
}
