// Package registration is the runner's side of the registration API: it asks for
// a runner, says that the listener starts, and gives the runner back.
package registration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// Errors of a Client.
var (
	// ErrNoWork says that the fleet has no open job left.
	ErrNoWork = errors.New("no work left")
	// ErrBusy says that the runner has a job, or is about to get one.
	ErrBusy = errors.New("runner is busy")
	// ErrRefused says that the service will not serve this task, however often it
	// asks.
	ErrRefused = errors.New("registration service refused the request")
	// ErrUnreachable says that the service gave no usable answer in time.
	ErrUnreachable = errors.New("registration service is out of reach")
)

const (
	// Patience is how long a request is tried again.
	Patience = 10 * time.Minute
	// AttemptTimeout bounds one attempt.
	AttemptTimeout = 30 * time.Second

	service     = "lambda" // the service that requests to a function URL are signed for
	firstPause  = time.Second
	longestWait = 30 * time.Second
	maxBody     = 64 << 10
	maxQuote    = 500

	// smallSkew is a difference of clocks that signatures allow for.
	smallSkew = time.Minute
	// proofUse is how long a proof is sent again: the service remembers it, and need not
	// ask STS.
	proofUse = time.Minute
)

// Clock tells the time and waits.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}

// Doer sends requests. An *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Client talks to the registration service.
type Client struct {
	// URL is the base address of the service, Region the region to sign for.
	URL    string
	Region string
	// Credentials are those of the task role.
	Credentials aws.CredentialsProvider
	HTTP        Doer
	Clock       Clock
	// Jitter returns a random number in [0, n). Default: rand.Int64N.
	Jitter func(n int64) int64
	// Retried is called with every attempt that will be repeated. Default: none.
	Retried func(err error, pause time.Duration)

	mu sync.Mutex
	// skew is how far the clock of AWS is ahead of ours, zero if by little.
	skew time.Duration
	// proof is the last one, made at proofAt.
	proof   runnercontract.Proof
	proofAt time.Time
}

// Register asks for a runner. It fails with ErrNoWork, ErrRefused or
// ErrUnreachable.
func (c *Client) Register(ctx context.Context) (runnercontract.Registration, error) {
	var registration runnercontract.Registration
	status, body, err := c.post(ctx, runnercontract.PathRegister, "")
	switch {
	case err != nil:
		return registration, err
	case status == http.StatusNoContent:
		return registration, ErrNoWork
	case status != http.StatusOK:
		return registration, refusal(status, body)
	}
	registration, _ = registrationIn(body) // as post has seen
	return registration, nil
}

// Started says that the listener starts now. It fails with ErrRefused or
// ErrUnreachable.
func (c *Client) Started(ctx context.Context) error {
	status, body, err := c.post(ctx, runnercontract.PathStarted, "")
	switch {
	case err != nil:
		return err
	case status != http.StatusNoContent:
		return refusal(status, body)
	}
	return nil
}

// Release gives the runner back, with the token of its registration if there is
// one. It fails with ErrBusy, ErrRefused or ErrUnreachable.
func (c *Client) Release(ctx context.Context, token runnercontract.Secret) error {
	status, body, err := c.post(ctx, runnercontract.PathRelease, token)
	switch {
	case err != nil:
		return err
	case status == http.StatusConflict:
		return ErrBusy
	case status != http.StatusNoContent:
		return refusal(status, body)
	}
	return nil
}

// post sends a request until it gets an answer that will not change by asking
// again, and returns it.
func (c *Client) post(ctx context.Context, path string, token runnercontract.Secret) (int, []byte, error) {
	deadline := c.Clock.Now().Add(Patience)
	var last error // what the service, or who stands before it, said last
	for attempt := 0; ; attempt++ {
		status, body, wait, err := c.try(ctx, path, token)
		if err == nil {
			return status, body, nil
		}
		if ctx.Err() == nil {
			last = err
		}
		pause := max(wait, c.backoff(attempt))
		if c.Clock.Now().Add(pause).After(deadline) {
			return 0, nil, fmt.Errorf("%w: %d attempts, the last: %w", ErrUnreachable, attempt+1, err)
		}
		if c.Retried != nil {
			c.Retried(fmt.Errorf("POST %s: %w", path, err), pause)
		}
		select {
		case <-ctx.Done():
			if last == nil {
				return 0, nil, fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
			}
			return 0, nil, fmt.Errorf("%w: %w, the last of %d attempts: %w", ErrUnreachable, context.Cause(ctx), attempt+1, last)
		case <-c.Clock.After(pause):
		}
	}
}

// try sends a request once. Its error means that trying again may help, not
// before wait has passed.
func (c *Client) try(ctx context.Context, path string, token runnercontract.Secret) (status int, body []byte, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	req, err := c.request(ctx, path, token)
	if err != nil {
		return 0, nil, 0, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return 0, nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	skewed, corrected := c.compareClocks(resp.Header)
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return 0, nil, 0, fmt.Errorf("reading the answer: %w", err)
	}
	switch {
	case !isServices(path, resp.StatusCode, body):
		return 0, nil, c.retryAfter(resp.Header), fmt.Errorf("%s%s%s", resp.Status, c.platformText(resp, body, req.Header.Get("X-Amz-Security-Token")), skewed)
	case resp.StatusCode == http.StatusForbidden && corrected: // perhaps it was the date of our proof
		return 0, nil, 0, fmt.Errorf("%s%s%s", resp.Status, explanation(body), skewed)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError:
		return 0, nil, c.retryAfter(resp.Header), fmt.Errorf("%s%s", resp.Status, explanation(body))
	}
	return resp.StatusCode, body, 0, nil
}

// isServices reports whether an answer has a form that the service gives its answers.
// Others come from somebody before it, such as AWS, which checks the signature and
// starts the function, or a proxy. They say nothing of the task, and may be over soon.
func isServices(path string, status int, body []byte) bool {
	switch {
	case status == http.StatusNoContent:
		return true
	case status == http.StatusOK && path == runnercontract.PathRegister:
		_, ok := registrationIn(body)
		return ok
	default:
		return status >= http.StatusBadRequest && explanation(body) != ""
	}
}

// registrationIn returns the registration in an answer, or false if it is none.
func registrationIn(body []byte) (runnercontract.Registration, bool) {
	var registration runnercontract.Registration
	err := json.Unmarshal(body, &registration)
	return registration, err == nil && registration.RunnerName != "" && registration.JITConfig != "" && registration.ReleaseToken != ""
}

// platformText quotes an answer that is not the service's. The answer to /register is
// a credential, and so may be a part of it: of JSON only a message is quoted, and of
// an answer that claims to be a success nothing. AWS may repeat the request that it
// does not accept, and with it the session token, after the first line.
func (c *Client) platformText(resp *http.Response, body []byte, token string) string {
	var said struct{ Message string } // or message
	text := strings.TrimSpace(string(body))
	switch {
	case resp.StatusCode < http.StatusMultipleChoices:
		text = ""
	case json.Unmarshal(body, &said) == nil:
		text = said.Message
	case text != "" && strings.ContainsRune("{[\"", rune(text[0])): // JSON that was cut
		text = ""
	}
	text, _, _ = strings.Cut(text, "The Canonical String")
	if token != "" {
		text = strings.ReplaceAll(text, token, "[secret]")
	}
	text = oneLine(text)
	if kind := oneLine(resp.Header.Get("X-Amzn-Errortype")); kind != "" && text != "" {
		text = kind + ": " + text
	} else {
		text += kind
	}
	if text == "" {
		return fmt.Sprintf(", not an answer of the registration service (%d bytes)", len(body))
	}
	return ", not an answer of the registration service: " + strconv.Quote(text)
}

// compareClocks notes how far the clock of who answers is from ours. It returns a text
// about it if signatures would not be accepted, and whether that is news.
func (c *Client) compareClocks(h http.Header) (text string, corrected bool) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return "", false
	}
	skew := date.Sub(c.Clock.Now()).Round(time.Second)
	if skew.Abs() < smallSkew {
		skew = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	corrected = (skew - c.skew).Abs() >= smallSkew
	c.skew = skew
	switch {
	case skew > 0:
		return fmt.Sprintf("; the clock of this host is %s behind, which is allowed for from now on", skew), corrected
	case skew < 0:
		return fmt.Sprintf("; the clock of this host is %s ahead, which is allowed for from now on", -skew), corrected
	}
	return "", corrected
}

// now is the time as AWS has it, as far as its answers have told.
func (c *Client) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Clock.Now().Add(c.skew)
}

// request returns a signed request.
func (c *Client) request(ctx context.Context, path string, token runnercontract.Secret) (*http.Request, error) {
	credentials, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting the credentials of the task role: %w", err)
	}
	proof, err := c.prove(ctx, credentials)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(runnercontract.Request{Contract: runnercontract.Version, Proof: proof, ReleaseToken: token})
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(hash[:]), service, c.Region, c.now()); err != nil {
		return nil, fmt.Errorf("signing the request: %w", err)
	}
	return req, nil
}

// prove returns a proof that we have the credentials: a question to STS that we only
// sign, and that the service lets STS answer.
func (c *Client) prove(ctx context.Context, credentials aws.Credentials) (runnercontract.Proof, error) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	same := c.proof.AccessKeyID == credentials.AccessKeyID && c.proof.SessionToken.Reveal() == credentials.SessionToken
	if age := now.Sub(c.proofAt); same && age >= 0 && age < proofUse {
		return c.proof, nil
	}
	base, err := url.Parse(c.URL)
	if err != nil {
		return runnercontract.Proof{}, fmt.Errorf("reading the address of the service: %w", err)
	}
	question := runnercontract.IdentityRequest(c.Region, base.Host)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, question, runnercontract.EmptyHash, runnercontract.ProofService, c.Region, now)
	if err != nil {
		return runnercontract.Proof{}, fmt.Errorf("signing the proof of identity: %w", err)
	}
	question.URL, err = url.Parse(signed)
	if err != nil {
		return runnercontract.Proof{}, errors.New("reading the signed proof of identity") // the error quotes it
	}
	query := question.URL.Query()
	c.proofAt, c.proof = now, runnercontract.Proof{
		AccessKeyID:  credentials.AccessKeyID,
		SessionToken: runnercontract.Secret(credentials.SessionToken),
		Date:         query.Get("X-Amz-Date"),
		Signature:    runnercontract.Secret(query.Get("X-Amz-Signature")),
	}
	return c.proof, nil
}

// backoff returns a random pause below a bound that doubles with each attempt.
func (c *Client) backoff(attempt int) time.Duration {
	jitter := c.Jitter
	if jitter == nil {
		jitter = rand.Int64N
	}
	bound := longestWait
	if attempt < 5 {
		bound = min(bound, firstPause<<attempt)
	}
	return bound/2 + time.Duration(jitter(int64(bound/2)))
}

// retryAfter reads the header of that name, in seconds or as a date.
func (c *Client) retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(c.now()), 0)
	}
	return 0
}

// refusal is the error for an answer that asking again will not change.
func refusal(status int, body []byte) error {
	text := fmt.Sprintf("%d %s%s", status, http.StatusText(status), explanation(body))
	if status == http.StatusUpgradeRequired {
		text += fmt.Sprintf(" (this image speaks contract version %d: rebuild it)", runnercontract.Version)
	}
	return fmt.Errorf("%w: %s", ErrRefused, text)
}

// explanation returns what an answer that is no success says of itself, fit for
// one line of a log.
func explanation(body []byte) string {
	var said runnercontract.Failure
	if json.Unmarshal(body, &said) != nil || said.Error == "" {
		return ""
	}
	return ": " + oneLine(said.Error)
}

// oneLine makes a text fit for one line of a log.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), maxQuote)], "")
}
