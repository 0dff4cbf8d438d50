package registration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/registration"
)

const granted = `{"runner_id":7,"runner_name":"prod-linux-1-01234567-k3","jit_config":"s3cret","release_token":"t0ken"}`

func TestRegister_SignsAndStatesTheContract(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, granted)
	})
	registered, err := client.Register(t.Context())
	require.NoError(t, err)
	assert.Equal(t, runnercontract.Registration{
		RunnerID: 7, RunnerName: "prod-linux-1-01234567-k3", JITConfig: "s3cret",
		ReleaseToken: "t0ken",
	}, registered)

	assert.Equal(t, http.MethodPost, got.Method)
	assert.Equal(t, runnercontract.PathRegister, got.URL.Path)
	var request runnercontract.Request
	require.NoError(t, json.Unmarshal(body, &request))
	assert.Equal(t, runnercontract.Version, request.Contract)
	authorization := got.Header.Get("Authorization")
	assert.Contains(t, authorization, "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/lambda/aws4_request")
	assert.Contains(t, authorization, "content-type;host")
	assert.Equal(t, "token", got.Header.Get("X-Amz-Security-Token"))
}

func TestRelease_SendsTheToken(t *testing.T) {
	t.Parallel()
	var body []byte
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	require.NoError(t, client.Release(t.Context(), "t0ken"))
	assert.Contains(t, string(body), `"release_token":"t0ken"`)
	require.NoError(t, client.Release(t.Context(), ""))
	assert.NotContains(t, string(body), "release_token")
}

// Each request has a proof that its sender has the credentials. It is made for this
// registration, without a call, and sent again for a minute.
func TestProof_IsThatOfTheCredentials(t *testing.T) {
	t.Parallel()
	var proofs []runnercontract.Proof
	var host string
	client, clock := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body runnercontract.Request
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&body))
		proofs, host = append(proofs, body.Proof), r.Host
		w.WriteHeader(http.StatusNoContent)
	})
	key := "ASIAKEY0000000000000"
	client.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: key, SecretAccessKey: "key", SessionToken: "token"}, nil
	})
	send := func(path string) runnercontract.Proof {
		t.Helper()
		require.NoError(t, call(t.Context(), client, path))
		return proofs[len(proofs)-1]
	}
	first := send(runnercontract.PathStarted)
	signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{
		AccessKeyID: key, SecretAccessKey: "key", SessionToken: "token",
	}, runnercontract.IdentityRequest("eu-west-1", host), runnercontract.EmptyHash, "sts", "eu-west-1", epoch)
	require.NoError(t, err)
	want, err := url.Parse(signed)
	require.NoError(t, err)
	assert.Equal(t, want.Query(), first.Request("eu-west-1", host).URL.Query(), "the service makes another request of it")
	at, ok := first.SignedAt()
	assert.True(t, ok)
	assert.Equal(t, epoch, at)

	clock.After(59 * time.Second)
	assert.Equal(t, first, send(runnercontract.PathRelease))
	clock.After(time.Second)
	second := send(runnercontract.PathRelease)
	assert.Equal(t, "20260101T000100Z", second.Date)
	key = "ASIAKEY0000000000001"
	assert.Equal(t, key, send(runnercontract.PathRelease).AccessKeyID, "a proof of earlier credentials")
}

// The proof is made with the time of AWS, too.
func TestProof_HasTheTimeOfTheAnswers(t *testing.T) {
	t.Parallel()
	var dates []string
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body runnercontract.Request
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&body))
		dates = append(dates, body.Proof.Date)
		w.Header().Set("Date", epoch.Add(time.Hour).Format(http.TimeFormat))
		w.WriteHeader(http.StatusNoContent)
	})
	require.NoError(t, client.Started(t.Context()))
	require.NoError(t, client.Started(t.Context()))
	assert.Equal(t, []string{"20260101T000000Z", "20260101T010000Z"}, dates)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path   string
		status int
		body   string
		want   error
		text   string
	}{
		{runnercontract.PathRegister, 204, "", registration.ErrNoWork, ""},
		{
			runnercontract.PathRegister, 400, `{"error":"body is not a request"}`, registration.ErrRefused,
			"400 Bad Request: body is not a request",
		},
		{
			runnercontract.PathRegister, 403, `{"error":"not a task\nof this fleet"}`, registration.ErrRefused,
			"403 Forbidden: not a task of this fleet",
		},
		{runnercontract.PathRegister, 404, `{"error":"no such path"}`, registration.ErrRefused, "404 Not Found: no such path"},
		{
			runnercontract.PathRegister, 426, `{"error":"speak 2"}`, registration.ErrRefused,
			fmt.Sprintf("426 Upgrade Required: speak 2 (this image speaks contract version %d: rebuild it)",
				runnercontract.Version),
		},
		{runnercontract.PathStarted, 204, "", nil, ""},
		{runnercontract.PathStarted, 409, `{"error":"lost"}`, registration.ErrRefused, "409 Conflict: lost"},
		{runnercontract.PathRelease, 204, "", nil, ""},
		{runnercontract.PathRelease, 409, `{"error":"runner is busy"}`, registration.ErrBusy, ""},
		{runnercontract.PathRelease, 403, `{"error":"not the supervisor"}`, registration.ErrRefused, "not the supervisor"},
	} {
		t.Run(fmt.Sprintf("%s_%d", strings.TrimPrefix(tc.path, "/"), tc.status), func(t *testing.T) {
			t.Parallel()
			client, clock := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			err := call(t.Context(), client, tc.path)
			require.ErrorIs(t, err, tc.want)
			if tc.text != "" {
				assert.ErrorContains(t, err, tc.text)
			}
			assert.Empty(t, clock.waits(), "asking again does not change this answer")
		})
	}
}

// What is not in the form of the service's answers comes from AWS or a proxy: it is
// quoted, and the service is asked again.
func TestPlatform_ItsAnswersAreQuotedAndTriedAgain(t *testing.T) {
	t.Parallel()
	const theirs = ", not an answer of the registration service"
	for name, tc := range map[string]struct {
		path    string
		status  int
		body    string
		headers []string
		text    string
	}{
		"expired": {
			status: 403, body: `{"message":"Signature expired: 20260101T000000Z is now earlier than 20260101T000700Z"}`,
			text: `403 Forbidden` + theirs + `: "Signature expired: 20260101T000000Z is now earlier than 20260101T000700Z"`,
		},
		"forbidden": {
			status: 403, body: `{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://x"}`,
			headers: []string{"X-Amzn-Errortype", "AccessDeniedException"},
			text: `403 Forbidden` + theirs +
				`: "AccessDeniedException: Forbidden. For troubleshooting Function URL authorization issues, see: https://x"`,
		},
		"null":         {status: 403, body: `{"Message":null}`, text: "403 Forbidden" + theirs + " (16 bytes)"},
		"text":         {status: 403, body: "Forbidden\nby the proxy", text: theirs + `: "Forbidden by the proxy"`},
		"a page":       {status: 404, body: "<html>Not here</html>", text: `404 Not Found` + theirs + `: "<html>Not here</html>"`},
		"nothing":      {status: 400, text: "400 Bad Request" + theirs + " (0 bytes)"},
		"a redirect":   {status: 302, body: "elsewhere", text: `302 Found` + theirs + `: "elsewhere"`},
		"too large":    {status: 413, body: `{"message":"Request Entity Too Large"}`, text: "Request Entity Too Large"},
		"unavailable":  {status: 503, body: `{"Message":"Service Unavailable"}`, text: `: "Service Unavailable"`},
		"bad gateway":  {status: 502, body: "Internal Server Error", text: `502 Bad Gateway` + theirs + `: "Internal Server Error"`},
		"throttled":    {status: 429, body: `{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"}`, text: "429 Too Many"},
		"a success":    {status: 200, body: "<html>Log in</html>", text: "200 OK" + theirs + " (19 bytes)"},
		"half of one":  {status: 200, body: granted[:40], text: "200 OK" + theirs + " (40 bytes)"},
		"started: 200": {path: runnercontract.PathStarted, status: 200, body: "{}", text: "200 OK" + theirs + " (2 bytes)"},
		"release: 409": {path: runnercontract.PathRelease, status: 409, body: "{}", text: "409 Conflict" + theirs + " (2 bytes)"},
		"control":      {status: 403, body: "a\x1b[2Jb", text: `: "a\x1b[2Jb"`},
		"long":         {status: 403, body: strings.Repeat("y", 5000), text: `: "` + strings.Repeat("y", 500) + `"`},
		"the request repeated": {
			status: 403, body: `{"message":"The signature does not match.\n\nThe Canonical String for this request should have ` +
				`been\n'POST\nx-amz-security-token:token'"}`,
			text: theirs + `: "The signature does not match."`,
		},
		"the token repeated": {status: 403, body: "bad token", text: theirs + `: "bad [secret]"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, then := tc.path, answer(204, "")
			if path == "" {
				path, then = runnercontract.PathRegister, answer(200, granted)
			}
			client, clock := serve(t, inTurn(answer(tc.status, tc.body, tc.headers...), then))
			var told []string
			client.Retried = func(err error, _ time.Duration) { told = append(told, err.Error()) }
			require.NoError(t, call(t.Context(), client, path))
			assert.Len(t, clock.waits(), 1)
			require.Len(t, told, 1)
			assert.Contains(t, told[0], tc.text)

			client, _ = serve(t, answer(tc.status, tc.body, tc.headers...))
			err := call(t.Context(), client, path)
			require.ErrorIs(t, err, registration.ErrUnreachable)
			assert.ErrorContains(t, err, tc.text, "the reason of the task's end does not say why")
		})
	}
}

// A host whose clock is wrong signs with the time of AWS, as its answers have it.
// The service itself refuses a proof that is too old, where AWS has taken the request.
func TestClock_ThatARefusalCorrectsIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		refusesAlways bool
		asked         int
	}{"the date": {false, 2}, "something else": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			var clock *clock
			client, clock := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.Header().Set("Date", clock.Now().Add(6*time.Minute).Format(http.TimeFormat))
				if tc.refusesAlways || asked == 1 {
					w.WriteHeader(http.StatusForbidden)
					_, _ = io.WriteString(w, `{"error":"the proof of identity is not valid: it was signed 6m0s ago"}`)
					return
				}
				_, _ = io.WriteString(w, granted)
			})
			var told string
			client.Retried = func(err error, _ time.Duration) { told += err.Error() }
			_, err := client.Register(t.Context())
			if tc.refusesAlways {
				require.ErrorIs(t, err, registration.ErrRefused)
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, tc.asked, asked)
			assert.Contains(t, told, "it was signed 6m0s ago")
			assert.Contains(t, told, "the clock of this host is 6m0s behind")
		})
	}
}

// The supervisor ends its requests when their time is over. Why they have failed until
// then is what whoever looks at the task wants to know.
func TestRegister_ThatIsEndedHasTheLastAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	client, _ := serve(t, answer(503, `{"error":"GitHub refuses: the App is suspended"}`))
	client.Retried = func(error, time.Duration) { cancel(errors.New("the runner is ending")) }
	client.Clock = stopped{client.Clock}
	_, err := client.Register(ctx)
	require.ErrorIs(t, err, registration.ErrUnreachable)
	require.ErrorContains(t, err, "the runner is ending")
	require.ErrorContains(t, err, "the App is suspended")
}

// stopped is a clock on which no time passes.
type stopped struct{ registration.Clock }

func (stopped) After(time.Duration) <-chan time.Time { return nil }

func TestClock_IsCorrectedByTheAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		skew   time.Duration // of AWS' clock
		signed string
		text   string
	}{
		"behind":       {7 * time.Minute, "20260101T000700Z", "; the clock of this host is 7m0s behind, which is allowed for"},
		"ahead":        {-26 * time.Hour, "20251230T220000Z", "; the clock of this host is 26h0m0s ahead, which is allowed for"},
		"a little off": {30 * time.Second, "20260101T000000Z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var dates []string
			var clock *clock
			client, clock := serve(t, func(w http.ResponseWriter, r *http.Request) {
				at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
				assert.NoError(t, err)
				dates = append(dates, r.Header.Get("X-Amz-Date"))
				now := clock.Now().Add(tc.skew)
				w.Header().Set("Date", now.Format(http.TimeFormat))
				if now.Sub(at).Abs() > 5*time.Minute {
					w.WriteHeader(http.StatusForbidden)
					_, _ = io.WriteString(w, `{"message":"Signature expired"}`)
					return
				}
				_, _ = io.WriteString(w, granted)
			})
			client.Jitter = func(int64) int64 { return -int64(time.Second) / 2 } // no pause, for the date to be known
			var told string
			client.Retried = func(err error, _ time.Duration) { told += err.Error() }
			_, err := client.Register(t.Context())
			require.NoError(t, err)
			assert.Equal(t, tc.signed, dates[len(dates)-1])
			assert.LessOrEqual(t, len(dates), 2)
			if tc.text != "" {
				assert.Contains(t, told, tc.text)
			}
			asked := len(dates)
			_, err = client.Register(t.Context())
			require.NoError(t, err)
			assert.Len(t, dates, asked+1, "the next request has the right time from the beginning")
		})
	}
}

func TestRetry_UntilTheServiceAnswers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 500, 502, 503, 504} {
		client, clock := serve(t, inTurn(answer(status, ""), answer(status, ""), answer(200, granted)))
		_, err := client.Register(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []time.Duration{750 * time.Millisecond, 1500 * time.Millisecond}, clock.waits(), "%d", status)
	}
}

func TestRetry_HonoursRetryAfter(t *testing.T) {
	t.Parallel()
	client, clock := serve(t, inTurn(
		answer(429, "", "Retry-After", "17"),
		answer(503, "", "Retry-After", "Thu, 01 Jan 2026 00:01:17 GMT"), // a minute after the first
		answer(503, "", "Retry-After", "soon"),
		answer(200, granted),
	))
	_, err := client.Register(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []time.Duration{17 * time.Second, time.Minute, 3 * time.Second}, clock.waits())
}

func TestRetry_EndsAfterTenMinutes(t *testing.T) {
	t.Parallel()
	client, clock := serve(t, answer(503, `{"error":"GitHub is down"}`))
	_, err := client.Register(t.Context())
	require.ErrorIs(t, err, registration.ErrUnreachable)
	assert.ErrorContains(t, err, "503 Service Unavailable: GitHub is down")
	assert.InDelta(t, registration.Patience.Seconds(), clock.passed().Seconds(), 30)
	assert.Greater(t, len(clock.waits()), 20, "it should ask at least twice a minute")
}

func TestRetry_DoesNotWaitForAnAnswerThatComesTooLate(t *testing.T) {
	t.Parallel()
	client, clock := serve(t, answer(429, "", "Retry-After", "3600"))
	_, err := client.Register(t.Context())
	require.ErrorIs(t, err, registration.ErrUnreachable)
	assert.Empty(t, clock.waits())
}

func TestRetry_AfterABrokenConnection(t *testing.T) {
	t.Parallel()
	broken := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, granted[:10])
	}
	client, clock := serve(t, inTurn(broken, cut, answer(200, granted)))
	_, err := client.Register(t.Context())
	require.NoError(t, err)
	assert.Len(t, clock.waits(), 2)
}

func TestRetry_WhenTheCredentialsAreNotThereYet(t *testing.T) {
	t.Parallel()
	client, _ := serve(t, answer(200, granted))
	asked := 0
	given := client.Credentials
	client.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		if asked++; asked < 3 {
			return aws.Credentials{}, errors.New("agent is not ready")
		}
		return given.Retrieve(ctx)
	})
	_, err := client.Register(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, asked)
}

func TestRetry_EndsWhenCancelled(t *testing.T) {
	t.Parallel()
	client, clock := serve(t, answer(503, ""))
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the task is asked to stop")
	clock.onWait = func() <-chan time.Time {
		cancel(reason)
		return nil
	}
	_, err := client.Register(ctx)
	require.ErrorIs(t, err, registration.ErrUnreachable)
	require.ErrorIs(t, err, reason)
}

func TestSlow_EndsWhenCancelled(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	client, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server watch the connection
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	require.ErrorIs(t, client.Release(ctx, ""), registration.ErrUnreachable)
}

// The answer to /register is a credential, and so is a part of it.
func TestErrors_DoNotQuoteARegistration(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		granted[:len(granted)-1], `{"jit_config":"s3cret"}`, `"s3cret"`, `["s3cret"`, "s3cret",
	} {
		for _, status := range []int{200, 403, 503} {
			if body == "s3cret" && status != 200 {
				continue // no part of a registration has another status
			}
			client, _ := serve(t, answer(status, body))
			var told []error
			client.Retried = func(err error, _ time.Duration) { told = append(told, err) }
			_, err := client.Register(t.Context())
			require.Error(t, err)
			assert.NotContains(t, fmt.Sprintf("%+v %+v", err, told), "s3cret")
		}
	}
}

func TestRequests_AreTheSameEachTime(t *testing.T) {
	t.Parallel()
	var bodies []runnercontract.Request
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body runnercontract.Request
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&body))
		bodies = append(bodies, body)
		status := http.StatusNoContent
		if len(bodies) < 3 {
			status = http.StatusServiceUnavailable
		}
		w.WriteHeader(status)
	})
	require.NoError(t, client.Started(t.Context()))
	require.Len(t, bodies, 3)
	assert.NotEmpty(t, bodies[0].Proof.Signature)
	assert.Equal(t, []runnercontract.Request{bodies[0], bodies[0], bodies[0]}, bodies)
}

func call(ctx context.Context, c *registration.Client, path string) error {
	switch path {
	case runnercontract.PathStarted:
		return c.Started(ctx)
	case runnercontract.PathRelease:
		return c.Release(ctx, "")
	default:
		_, err := c.Register(ctx)
		return err
	}
}

// serve returns a client of a service that behaves like handler. Its clock passes
// the time it is asked to wait at once, and its jitter is half of what it may be.
func serve(t *testing.T, handler http.HandlerFunc) (*registration.Client, *clock) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil // that of the machine is not the test's
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	clock := &clock{now: epoch}
	return &registration.Client{
		URL:    server.URL,
		Region: "eu-west-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "key", SessionToken: "token"}, nil
		}),
		HTTP:   server.Client(),
		Clock:  clock,
		Jitter: func(n int64) int64 { return n / 2 },
	}, clock
}

// answer returns a handler that gives one answer; headers are names and values.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// inTurn returns a handler that behaves like each of handlers once.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		next := handlers[0]
		handlers = handlers[1:]
		mu.Unlock()
		next(w, r)
	}
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock is one on which waiting takes no time.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
	onWait func() <-chan time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	if c.onWait != nil {
		return c.onWait()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waited = append(c.waited, d)
	fired := make(chan time.Time, 1)
	fired <- c.now
	return fired
}

func (c *clock) waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waited
}

func (c *clock) passed() time.Duration { return c.Now().Sub(epoch) }
