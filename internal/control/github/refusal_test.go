package github_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
)

// asked is all that a Client asks GitHub, each with the call that is answered.
var asked = map[string]struct {
	on  string // the beginning or the end of the call
	app bool   // with an App's credential
	do  func(context.Context, *github.Client) error
}{
	"installation": {"/installation", true, register("")},
	"token":        {"/access_tokens", true, register("")},
	"registration": {"/generate-jitconfig", false, register("")},
	"groups":       {"GET orgs/octo/actions/runner-groups", false, register("builders")},
	"job": {"/actions/jobs/1", false, func(ctx context.Context, c *github.Client) error {
		_, err := c.Job(ctx, "octo/app", "1")
		return err
	}},
	"removal": {"/actions/runners/7", false, func(ctx context.Context, c *github.Client) error {
		_, err := c.Remove(ctx, 7)
		return err
	}},
	"runner": {"GET orgs/octo/actions/runners?", false, func(ctx context.Context, c *github.Client) error {
		_, err := c.Find(ctx, "one")
		return err
	}},
}

func register(group string) func(context.Context, *github.Client) error {
	return func(ctx context.Context, c *github.Client) error {
		_, err := c.Register(ctx, "one", []string{"x"}, group)
		return err
	}
}

// on lets one call fail.
func (s *server) on(call string, status int, header map[string]string, body string) {
	s.answer = func(made string) (int, map[string]string, string) {
		if strings.HasPrefix(made, call) || strings.HasSuffix(made, call) {
			return status, header, body
		}
		return 0, nil, ""
	}
}

// What GitHub says is always there, whatever it is asked; advice only where it fits.
func TestClient_ErrorsHaveWhatGitHubSays(t *testing.T) {
	t.Parallel()
	const needs = "it needs"
	for name, test := range map[string]struct {
		status int
		body   string
		says   string
		advice string // none, if empty
		want   error
	}{
		"suspended": {
			403, `{"message":"This installation has been suspended"}`, `403 "This installation has been suspended"`,
			"lift the suspension", github.ErrRefused,
		},
		"not on the IP allow list": {
			403, "{\"message\":\"Although you appear to have the correct authorization credentials, the `octo` organization " +
				"has an IP allow list enabled, and your IP address is not permitted to access this resource.\"}",
			"has an IP allow list enabled", "allow the addresses", github.ErrRefused,
		},
		"single sign-on": {
			403, `{"message":"Resource protected by organization SAML enforcement."}`, "SAML enforcement",
			"single sign-on", github.ErrRefused,
		},
		"classic tokens are off": {
			403, `{"message":"octo forbids access via a personal access token (classic)."}`,
			"forbids access via a personal access token (classic).", "", github.ErrRefused,
		},
		"permission": {
			403, `{"message":"Resource not accessible by integration"}`, "Resource not accessible by integration",
			needs, github.ErrRefused,
		},
		"nothing":       {403, ``, `403 without a text`, needs, github.ErrRefused},
		"empty message": {403, `{"message":""}`, `403 without a text`, needs, github.ErrRefused},
		"bad credentials": {
			401, `{"message":"Bad credentials"}`, `401 "Bad credentials"`, "", github.ErrCredential,
		},
		"clock": {
			401, `{"message":"'Expiration time' claim ('exp') is too far in the future"}`, "is too far in the future",
			"", github.ErrCredential,
		},
		"errors, texts": {
			400, `{"message":"Bad","errors":["this is so","that too"]}`, `400 "Bad: this is so; that too"`, "",
			github.ErrRefused,
		},
		"errors, objects": {
			400, `{"message":"Validation Failed","errors":[{"resource":"Runner","field":"name","code":"custom",` +
				`"message":"is too long"}]}`, `400 "Validation Failed: Runner name custom is too long"`, "", github.ErrRefused,
		},
		"errors, one text": {400, `{"message":"Bad","errors":"as it is"}`, `400 "Bad: as it is"`, "", github.ErrRefused},
		"errors alone":     {400, `{"errors":["this is so"]}`, `400 "this is so"`, "", github.ErrRefused},
		"a proxy's page": {
			403, "<html><head><title>Blocked by\n\x1b[31m the proxy</title></head></html>", `403 "Blocked by [31m the proxy"`,
			"", github.ErrRefused,
		},
		"a proxy's text with what was sent": {
			502, "cannot send Bearer " + token + " there", `502 "cannot send Bearer [hidden] there"`, "",
			github.ErrUnavailable,
		},
		"a long text": {
			503, `{"message":"` + strings.Repeat("é", 500) + `"}`, strings.Repeat("é", 400) + "…", "", github.ErrUnavailable,
		},
	} {
		for what, call := range asked {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				s.on(call.on, test.status, map[string]string{"X-GitHub-Request-Id": "C0DE:12:3456:7"}, test.body)
				held := tokenSecret()
				if call.app {
					held = &secret{value: s.app()}
				}
				client, _ := s.client(org, held)
				err := call.do(t.Context(), client)
				require.ErrorIs(t, err, test.want)
				require.ErrorContains(t, err, test.says)
				require.ErrorContains(t, err, "(request C0DE:12:3456:7)")
				if test.advice == "" {
					assert.NotContains(t, err.Error(), needs, "a permission is blamed for something else")
				} else {
					assert.ErrorContains(t, err, test.advice)
				}
				assert.NotContains(t, err.Error(), token)
				assert.NotContains(t, err.Error(), "\n")
			})
		}
	}
}

func TestClient_A422HasItsErrors(t *testing.T) {
	t.Parallel()
	const body = `{"message":"Validation Failed","errors":["Labels is too long (maximum is 100)"]}`
	s := newServer(t)
	client, _ := s.client(org, tokenSecret())
	s.on("/generate-jitconfig", 422, nil, body)
	err := register("")(t.Context(), client)
	require.ErrorIs(t, err, github.ErrRefused)
	assert.ErrorContains(t, err, `422 "Validation Failed: Labels is too long (maximum is 100)"`)
	assert.NotContains(t, err.Error(), "it needs")
	s.on("/actions/runners/7", 422, nil, `{"message":"Bad request - Runner \"one\" is still running a job\""}`)
	_, err = client.Remove(t.Context(), 7)
	require.ErrorIs(t, err, github.ErrBusy)
	assert.ErrorContains(t, err, "is still running a job")
	s.on("/generate-jitconfig", 409, nil, `{"message":"Already exists"}`)
	err = register("")(t.Context(), client)
	require.ErrorIs(t, err, github.ErrNameTaken)
	assert.ErrorContains(t, err, "Already exists")
}

// A limit is one wherever it comes from and however GitHub says so.
func TestClient_ALimitIsRecognizedInEveryCall(t *testing.T) {
	t.Parallel()
	reset := time.Now().Add(20 * time.Minute).Truncate(time.Second)
	resets := fmt.Sprint(reset.Unix())
	for name, test := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   time.Duration
	}{
		"primary, in the headers": {
			403,
			map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": resets},
			``,
			20 * time.Minute,
		},
		"primary, in the text": {403, nil, `{"message":"API rate limit exceeded for installation ID 99."}`, time.Minute},
		"secondary, in the text": {
			403,
			map[string]string{"X-Ratelimit-Remaining": "4000", "X-Ratelimit-Reset": resets},
			`{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`,
			time.Minute,
		},
		"abuse, in the text": {403, nil, `{"message":"You have triggered an abuse detection mechanism."}`, time.Minute},
		"too fast": {
			403, nil,
			`{"message":"Validation Failed","errors":"was submitted too quickly"}`, time.Minute,
		},
		"with a time to wait": {403, map[string]string{"Retry-After": "77"}, `{"message":"Wait."}`, 77 * time.Second},
		"with a date to wait for": {
			429,
			map[string]string{"Retry-After": reset.UTC().Format(http.TimeFormat)},
			`slow down`, 20 * time.Minute,
		},
		"429 without more": {
			429,
			map[string]string{"X-Ratelimit-Remaining": "9", "X-Ratelimit-Reset": resets},
			``,
			time.Minute,
		},
	} {
		for what, call := range asked {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				s.on(call.on, test.status, test.header, test.body)
				held := tokenSecret()
				if call.app {
					held = &secret{value: s.app()}
				}
				client, clock := s.client(org, held)
				clock.now = reset.Add(-20 * time.Minute)
				err := call.do(t.Context(), client)
				var limit *github.LimitError
				require.ErrorAs(t, err, &limit, "a limit is no missing permission")
				assert.InDelta(t, test.want.Seconds(), limit.RetryAfter.Seconds(), 2)
				assert.ErrorContains(t, err, fmt.Sprintf("GitHub answers %d", test.status))
			})
		}
	}
	s := newServer(t)
	client, _ := s.client(org, tokenSecret())
	s.on("/generate-jitconfig", 404, map[string]string{"X-Ratelimit-Remaining": "0"}, `{"message":"Not Found"}`)
	require.ErrorIs(t, register("")(t.Context(), client), github.ErrRefused, "the last one of an hour may fail, too")
}

// A repository that was renamed has another path, to which GitHub leads.
func TestClient_FollowsARepositoryThatWasRenamed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	moved := func(call string) (int, map[string]string, string) {
		_, path, _ := strings.Cut(call, " ")
		if rest, old := strings.CutPrefix(path, repository.String()); old {
			return http.StatusMovedPermanently, map[string]string{"Location": s.URL + "/api/v3/repositories/4711" + rest},
				`{"message":"Moved Permanently"}`
		}
		return 0, nil, ""
	}
	s.answer = moved
	client, _ := s.client(repository, &secret{value: s.app()})
	runner, err := client.Register(t.Context(), "one", []string{"x"}, "")
	require.NoError(t, err)
	assert.EqualValues(t, 7, runner.ID)
	removed, err := client.Remove(t.Context(), 7)
	require.NoError(t, err)
	assert.True(t, removed)
	assert.Equal(t, []string{
		"GET repos/octo/app/installation", "GET repositories/4711/installation", "POST app/installations/99/access_tokens",
		"POST repos/octo/app/actions/runners/generate-jitconfig", "POST repositories/4711/actions/runners/generate-jitconfig",
		"DELETE repos/octo/app/actions/runners/7", "DELETE repositories/4711/actions/runners/7",
	}, s.seen, "a runner is made and removed by the same method, not read")
	assert.Contains(t, s.bodies[2], `"repository_ids":[4711]`, "GitHub makes no token for the name that was")
	assert.JSONEq(t, s.bodies[3], s.bodies[4])
}

func TestClient_SendsItsCredentialToNoOtherHost(t *testing.T) {
	t.Parallel()
	other := newServer(t)
	for _, app := range []bool{false, true} {
		s := newServer(t)
		s.answer = func(call string) (int, map[string]string, string) {
			_, path, _ := strings.Cut(call, " ")
			return http.StatusFound, map[string]string{"Location": other.URL + "/api/v3/" + path}, ""
		}
		held := tokenSecret()
		if app {
			held = &secret{value: s.app()}
		}
		client, _ := s.client(org, held)
		_, err := client.Find(t.Context(), "one")
		require.ErrorIs(t, err, github.ErrRefused)
		assert.ErrorContains(t, err, strings.TrimPrefix(other.URL, "http://"))
		assert.Empty(t, other.seen, "the token is somebody else's now")
	}
	s := newServer(t)
	s.answer = func(call string) (int, map[string]string, string) {
		_, path, _ := strings.Cut(call, " ")
		return http.StatusFound, map[string]string{"Location": "/api/v3/" + path}, ""
	}
	client, _ := s.client(org, tokenSecret())
	_, err := client.Find(t.Context(), "one")
	require.ErrorIs(t, err, github.ErrRefused)
	assert.Len(t, s.seen, 4, "a circle has an end")
}

func TestClient_AGroupThatIsNotThereIsToldWithThoseThatAre(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, _ := s.client(org, tokenSecret())
	assert.ErrorContains(t, register("nobody")(t.Context(), client),
		`orgs/octo has no runner group "nobody", but ["builders" "default"]`)
	s.on("GET orgs/octo/actions/runner-groups", 200, nil, `{"runner_groups":[]}`)
	assert.ErrorContains(t, register("nobody")(t.Context(), client), "and none that this credential may see")
}

// unreadable is a secret that Secrets Manager does not hand out.
type unreadable struct{ err error }

func (u unreadable) Value(context.Context) ([]byte, error)   { return nil, u.err }
func (u unreadable) Refresh(context.Context) ([]byte, error) { return nil, u.err }

func TestClient_ASecretThatCannotBeReadIsNotToBeFilledIn(t *testing.T) {
	t.Parallel()
	const advice = "fill it in"
	for code, filledIn := range map[string]bool{"AccessDeniedException": true, "ResourceNotFoundException": false} {
		s := newServer(t)
		client, err := github.New(s.URL, registrationcontract.Scope{Kind: registrationcontract.ScopeOrganization, Owner: "o"},
			unreadable{fmt.Errorf("reading secret: %w", &smithy.GenericAPIError{Code: code, Message: "it is so"})},
			http.DefaultTransport, &clock{now: time.Now()})
		require.NoError(t, err)
		err = register("")(t.Context(), client)
		require.ErrorIs(t, err, github.ErrCredential)
		assert.ErrorContains(t, err, "it is so")
		assert.Equal(t, filledIn, !strings.Contains(err.Error(), advice), err)
	}
}
