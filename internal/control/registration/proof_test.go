package registration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/lambdatest"
)

const (
	region  = "eu-central-1"
	address = "abc.lambda-url.eu-central-1.on.aws"
)

// keyOf is the access key of a session.
func keyOf(session string) string {
	return "ASIA" + strings.ToUpper((session + strings.Repeat("0", 16))[:16])
}

// credentials are those of a session of a role.
func credentials(role, session string) aws.Credentials {
	return aws.Credentials{
		AccessKeyID: keyOf(session), SecretAccessKey: "key-of-" + role + session, SessionToken: role + "/" + session,
	}
}

// newSTS is one that knows every session of every role.
func newSTS(clock *stillClock) *lambdatest.STS {
	return &lambdatest.STS{
		Region: region, Host: "sts.eu-central-1.amazonaws.com", Now: clock.Now,
		Sessions: func(key, token string) (lambdatest.Session, bool) {
			role, session, found := strings.Cut(token, "/")
			with, who := credentials(role, session), signer(role, session)
			return lambdatest.Session{
				AccessKeyID: with.AccessKeyID, SecretAccessKey: with.SecretAccessKey, SessionToken: token,
				UserID: who.UserID, ARN: who.UserARN, Account: who.AccountID,
			}, found && key == with.AccessKeyID
		},
	}
}

// presigned is a proof as its signature comes from a request.
func presigned(t *testing.T, with aws.Credentials, r *http.Request, hash, in string, at time.Time) runnercontract.Proof {
	t.Helper()
	signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), with, r, hash, "sts", in, at)
	require.NoError(t, err)
	u, err := url.Parse(signed)
	require.NoError(t, err)
	return runnercontract.Proof{
		AccessKeyID: with.AccessKeyID, SessionToken: runnercontract.Secret(with.SessionToken),
		Date: u.Query().Get("X-Amz-Date"), Signature: runnercontract.Secret(u.Query().Get("X-Amz-Signature")),
	}
}

// proof is a good one.
func proof(t *testing.T, role, session string, at time.Time) runnercontract.Proof {
	t.Helper()
	return presigned(t, credentials(role, session), runnercontract.IdentityRequest(region, address),
		runnercontract.EmptyHash, region, at)
}

// proven adds the proof of a sender to a body.
func (a *api) proven(t *testing.T, body string,
	who *events.LambdaFunctionURLRequestContextAuthorizerIAMDescription,
) string {
	t.Helper()
	if who == nil {
		return body
	}
	role, session, _ := strings.Cut(who.UserID, ":")
	return with(t, body, proof(t, role, session, a.clock.Now()))
}

// with adds a proof to a body.
func with(t *testing.T, body string, proof runnercontract.Proof) string {
	t.Helper()
	encoded, err := json.Marshal(proof) //nolint:gosec // the service is to get it
	require.NoError(t, err)
	return strings.TrimSuffix(body, "}") + `,"proof":` + string(encoded) + "}"
}

// Somebody invokes the function past its URL, says that he is a live task, and has
// every proof but that of the task.
func TestProof_AForgedInvocationIsRefused(t *testing.T) {
	t.Parallel()
	const other = "fedcba9876543210fedcba9876543210"
	mine := credentials("AROALINUX", taskOne)
	// made is a proof by the task itself, of a request that is not the one.
	made := func(t *testing.T, change func(*http.Request)) runnercontract.Proof {
		t.Helper()
		r := runnercontract.IdentityRequest(region, address)
		change(r)
		return presigned(t, mine, r, runnercontract.EmptyHash, region, start)
	}
	asOther := func(t *testing.T, change func(*runnercontract.Proof)) runnercontract.Proof {
		t.Helper()
		p := proof(t, "AROALINUX", taskOne, start)
		change(&p)
		return p
	}
	for name, test := range map[string]struct {
		proof func(*testing.T) runnercontract.Proof
		key   string // that the invocation claims; default: the task's
		text  string
		asks  int
	}{
		"without a proof": {
			proof: func(*testing.T) runnercontract.Proof { return runnercontract.Proof{} },
			text:  "the request has no proof, or one in the wrong form",
		},
		"with an old one": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return proof(t, "AROALINUX", taskOne, start.Add(-5*time.Minute-time.Second))
			},
			text: "it was signed at 20261127T085459Z, 5m1s ago, and is valid for 5m0s",
		},
		"with one for later": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return proof(t, "AROALINUX", taskOne, start.Add(time.Hour))
			},
			text: "1h0m0s in the future",
		},
		"with an old one that is dated anew": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				p := proof(t, "AROALINUX", taskOne, start.Add(-10*time.Minute))
				p.Date = start.Format(runnercontract.ProofDate)
				return p
			},
			text: "SignatureDoesNotMatch", asks: 1,
		},
		"with that of another registration": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return presigned(t, mine, runnercontract.IdentityRequest(region, "xyz.lambda-url.eu-central-1.on.aws"),
					runnercontract.EmptyHash, region, start)
			},
			text: "SignatureDoesNotMatch", asks: 1,
		},
		"with one for no registration, as for Vault": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return made(t, func(r *http.Request) { r.Header.Del(runnercontract.ProofHeader) })
			},
			text: "SignatureDoesNotMatch", asks: 1,
		},
		"with that of another role": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return proof(t, "AROAMALLORY", taskOne, start)
			},
			text: "AROAMALLORY:" + taskOne + ", but the request was sent by", asks: 1,
		},
		"with that of another session": {
			proof: func(t *testing.T) runnercontract.Proof { t.Helper(); return proof(t, "AROALINUX", other, start) },
			key:   keyOf(other),
			text:  "made by AROALINUX:" + other + ", but the request was sent by AROALINUX:" + taskOne,
			asks:  1,
		},
		"with that of other credentials than the request": {
			proof: func(t *testing.T) runnercontract.Proof { t.Helper(); return proof(t, "AROALINUX", other, start) },
			text:  "other credentials than the request",
		},
		"with the token of another session": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return asOther(t, func(p *runnercontract.Proof) { p.SessionToken = "AROALINUX/" + other })
			},
			text: "InvalidClientTokenId", asks: 1,
		},
		"signed for another host": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return made(t, func(r *http.Request) { r.Host, r.URL.Host = "sts.mallory.example", "sts.mallory.example" })
			},
			text: "SignatureDoesNotMatch", asks: 1,
		},
		"signed for another region": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return presigned(t, mine, runnercontract.IdentityRequest("us-east-1", address), runnercontract.EmptyHash,
					"us-east-1", start)
			},
			text: "SignatureDoesNotMatch", asks: 1,
		},
		"signed for another method": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return made(t, func(r *http.Request) { r.Method = http.MethodPost })
			},
			text: "SignatureDoesNotMatch", asks: 1,
		},
		"signed for another header": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return made(t, func(r *http.Request) { r.Header.Set("X-Vault-Aws-Iam-Server-Id", "vault") })
			},
			text: "SignatureDoesNotMatch", asks: 1,
		},
		"signed with a body": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return presigned(t, mine, runnercontract.IdentityRequest(region, address), strings.Repeat("0", 64), region, start)
			},
			text: "SignatureDoesNotMatch", asks: 1,
		},
		"signed for another action": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return made(t, func(r *http.Request) { r.URL.RawQuery += "&Action=GetSessionToken" })
			},
			text: "SignatureDoesNotMatch", asks: 1,
		},
		"with a parameter in its token": {
			proof: func(t *testing.T) runnercontract.Proof {
				t.Helper()
				return asOther(t, func(p *runnercontract.Proof) { p.SessionToken += "&Action=GetSessionToken" })
			},
			text: "the request has no proof, or one in the wrong form",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			who := signer("AROALINUX", taskOne)
			if test.key != "" {
				who.AccessKey = test.key
			}
			// "with that of another role" has the same access key: it must be told by the role.
			for _, path := range []string{"/register", "/release"} {
				if path == "/release" { // or there would be nothing to give back
					require.Equal(t, http.StatusOK, a.post(t, "/register", goodBody, signer("AROALINUX", taskOne)).Code)
				}
				before, described, registered := a.sts.Calls(), len(a.ecs.asked), len(a.github.names())
				answer := a.send(t, http.MethodPost, path, with(t, goodBody, test.proof(t)), who)
				assert.Equal(t, http.StatusForbidden, answer.Code)
				assert.Contains(t, said(t, answer), "the proof of identity is not valid: ")
				assert.Contains(t, said(t, answer), test.text)
				assert.NotContains(t, said(t, answer), "Canonical", "the request is not to be repeated")
				if path == "/register" {
					assert.Equal(t, test.asks, a.sts.Calls()-before, "questions to STS")
				}
				assert.Len(t, a.ecs.asked, described, "ECS was asked for somebody who has proved nothing")
				assert.Len(t, a.github.names(), registered)
			}
			assert.NotContains(t, a.log.String(), "AROALINUX/", "a log is no place for a session token")
		})
	}
}

// A proof has no member that could change the question to STS.
func TestProof_OtherMembersChangeNothing(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	body := a.proven(t, goodBody, signer("AROALINUX", taskOne))
	body = strings.Replace(body, `"proof":{`, `"proof":{"host":"mallory.example","method":"POST","url":"https://mallory.example/",`+
		`"headers":{"Host":"mallory.example"},"body":"Action=AssumeRole",`, 1)
	answer := a.send(t, http.MethodPost, "/register", body, signer("AROALINUX", taskOne))
	assert.Equal(t, http.StatusOK, answer.Code, answer.Body)
}

// A proof that is not about who has sent the request says nothing of a host, too.
func TestProof_STSThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	failure := func(status int, code, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>",
				code, message)
		}
	}
	for name, test := range map[string]struct {
		sts    http.HandlerFunc
		status int
		text   string
	}{
		"down":             {failure(503, "ServiceUnavailable", ""), http.StatusServiceUnavailable, "STS is not available"},
		"throttled":        {failure(400, "Throttling", "Rate exceeded"), http.StatusServiceUnavailable, "Rate exceeded"},
		"too many":         {failure(429, "TooMany", ""), http.StatusServiceUnavailable, "429"},
		"not active":       {failure(403, "RegionDisabledException", "STS is not activated"), 503, "STS is not activated"},
		"a page":           {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, 503, "403 Forbidden"},
		"another answer":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<a/>")) }, 503, "200 OK"},
		"a redirect":       {http.RedirectHandler("https://mallory.example/", http.StatusFound).ServeHTTP, 503, "302 Found"},
		"an expired token": {failure(403, "ExpiredToken", "It has expired"), http.StatusForbidden, "ExpiredToken: It has expired"},
		"without an end": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat(" ", 1<<20)))
			failure(200, "", "")(w, nil)
		}, 503, "200 OK"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.sts.Fail(test.sts)
			answer := a.post(t, "/register", goodBody, signer("AROALINUX", taskOne))
			assert.Equal(t, test.status, answer.Code)
			assert.Contains(t, said(t, answer), test.text)
			assert.Equal(t, 1, a.sts.Calls())
			assert.Empty(t, a.ecs.asked)
			if test.status == http.StatusServiceUnavailable {
				assert.Equal(t, "3", answer.Header().Get("Retry-After"))
				a.sts.Fail(nil)
				assert.Equal(t, http.StatusOK, a.post(t, "/register", goodBody, signer("AROALINUX", taskOne)).Code,
					"an outage was remembered")
			}
		})
	}
}

// STS may hang; a request to it has an end of its own.
func TestProof_STSThatHangs(t *testing.T) {
	t.Parallel()
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hang.Close)
	a := newAPI(t)
	proofs, err := registration.NewProofs(region, hang.URL, http.DefaultTransport, a.clock)
	require.NoError(t, err)
	registration.SetTimeout(proofs, 50*time.Millisecond)
	registration.SetProofs(a.handler.Identity, proofs)
	answer := a.post(t, "/register", goodBody, signer("AROALINUX", taskOne))
	assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
	assert.Contains(t, said(t, answer), "STS is not available")
	assert.NotContains(t, a.log.String(), "X-Amz-Signature", "the error quotes the proof")
}

// The same proof again costs STS nothing, a good one and a bad one.
func TestProof_IsRemembered(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	who := signer("AROALINUX", taskOne)
	for range 3 {
		require.Equal(t, http.StatusOK, a.post(t, "/register", goodBody, who).Code)
	}
	assert.Equal(t, 1, a.sts.Calls())
	bad := proof(t, "AROALINUX", taskOne, start)
	bad.Signature = runnercontract.Secret(strings.Repeat("0", 64))
	for range 3 {
		assert.Equal(t, http.StatusForbidden, a.send(t, http.MethodPost, "/register", with(t, goodBody, bad), who).Code)
	}
	assert.Equal(t, 2, a.sts.Calls())
	a.clock.set(start.Add(time.Minute))
	old := proof(t, "AROALINUX", taskOne, start)
	assert.Equal(t, http.StatusOK, a.send(t, http.MethodPost, "/register", with(t, goodBody, old), who).Code)
	assert.Equal(t, 3, a.sts.Calls(), "after a minute STS is asked again")
	a.clock.set(start.Add(time.Minute + runnercontract.ProofAge))
	assert.Equal(t, http.StatusForbidden, a.send(t, http.MethodPost, "/register", with(t, goodBody, old), who).Code,
		"a proof outlives its age because it is remembered")
}

func TestNewProofs_NeedsARegion(t *testing.T) {
	t.Parallel()
	_, err := registration.NewProofs("", "", nil, nil)
	require.Error(t, err)
	_, err = registration.NewProofs(region, "http://[", nil, nil)
	require.Error(t, err)
}
