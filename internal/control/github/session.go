package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v88/github"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

// ErrCredential says that the secret holds no usable credential.
var ErrCredential = errors.New("credential for GitHub")

// tokenMargin is how long before its end an installation token is replaced.
const tokenMargin = 5 * time.Minute

// Secret is where the credential comes from. A *secrets.Secret is one.
type Secret interface {
	// Value returns the secret, Refresh reads it again unless that has just been done.
	Value(context.Context) ([]byte, error)
	Refresh(context.Context) ([]byte, error)
}

// credential is what the secret holds: an App's id and key, or a token.
type credential struct {
	AppID      int64  `json:"app_id"`
	PrivateKey string `json:"private_key"`
	Token      string `json:"token"`
}

// parseCredential reads a credential. Its errors quote nothing of it.
func parseCredential(value []byte, scope registrationcontract.Scope) (credential, error) {
	var c credential
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.DisallowUnknownFields()
	app := func() bool { return c.AppID != 0 || c.PrivateKey != "" }
	switch {
	case decoder.Decode(&c) != nil || decoder.More():
		return c, fmt.Errorf(`%w: the secret must be JSON, {"app_id": 12345, "private_key": "…"} or {"token": "…"}`, ErrCredential)
	case app() && c.Token != "":
		return c, fmt.Errorf("%w: the secret has both an App and a token; one of them is enough", ErrCredential)
	case !app() && c.Token == "":
		return c, fmt.Errorf("%w: the secret has neither app_id and private_key nor token", ErrCredential)
	case app() && (c.AppID <= 0 || c.PrivateKey == ""):
		return c, fmt.Errorf("%w: an App needs both app_id, a number, and private_key", ErrCredential)
	case app() && scope.Kind == registrationcontract.ScopeEnterprise:
		return c, fmt.Errorf("%w: GitHub lets no App register runners of an enterprise; it takes a token", ErrCredential)
	}
	return c, nil
}

// session is a client of GitHub's API with a credential.
type session struct {
	mu           sync.Mutex
	value        []byte // of the secret that the rest was made with
	app          *ghinstallation.AppsTransport
	installation int64
	token        *ghinstallation.Transport
	client       *gh.Client
}

// api returns a client whose credential is good for a while. With renew it reads
// the secret again first, because GitHub has refused what there was.
func (s *session) api(ctx context.Context, c *Client, renew bool) (*gh.Client, error) {
	read := c.secret.Value
	if renew {
		read = c.secret.Refresh
	}
	value, err := read(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: fill it in with the command among the stack's outputs", ErrCredential, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if renew || !bytes.Equal(value, s.value) {
		s.value, s.app, s.token, s.client = nil, nil, nil, nil
	}
	if s.client != nil && !s.stale(c) {
		return s.client, nil
	}
	if err := s.open(ctx, c, value); err != nil {
		return nil, err
	}
	s.value = bytes.Clone(value)
	return s.client, nil
}

// stale reports whether the installation token is about to end.
func (s *session) stale(c *Client) bool {
	if s.token == nil {
		return false
	}
	expires, _, err := s.token.Expiry()
	return err == nil && c.clock.Now().Add(tokenMargin).After(expires)
}

func (s *session) open(ctx context.Context, c *Client, value []byte) error {
	held, err := parseCredential(value, c.scope)
	if err != nil {
		return err
	}
	if held.Token != "" {
		s.client, err = c.newAPI(c.transport, gh.WithAuthToken(held.Token))
		return err
	}
	if s.app == nil {
		app, err := ghinstallation.NewAppsTransport(c.transport, held.AppID, []byte(held.PrivateKey))
		if err != nil { // it may quote the key
			return fmt.Errorf("%w: private_key is no RSA key in PEM", ErrCredential)
		}
		app.BaseURL = trimSlash(c.base)
		if s.installation, err = c.findInstallation(ctx, app); err != nil {
			return err
		}
		s.app = app
	}
	token := ghinstallation.NewFromAppsTransport(s.app, s.installation)
	token.BaseURL = trimSlash(c.base)
	token.InstallationTokenOptions = c.tokenOptions()
	if _, err := token.Token(ctx); err != nil {
		s.app = nil // it may have been installed again, with another id
		return c.explainToken(err)
	}
	client, err := c.newAPI(token)
	if err != nil {
		return err
	}
	s.token, s.client = token, client
	return nil
}

func (c *Client) newAPI(transport http.RoundTripper, options ...gh.ClientOptionsFunc) (*gh.Client, error) {
	// GitHub itself tells when its limits are reached; the library's memory of it goes
	// by the wall clock and one credential.
	options = append([]gh.ClientOptionsFunc{
		gh.WithTransport(transport), gh.WithURLs(&c.base, nil), gh.WithDisableRateLimitCheck(), gh.WithUserAgent("ecsrunners"),
	}, options...)
	client, err := gh.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("making a client of GitHub: %w", err)
	}
	return client, nil
}

// findInstallation finds where the App is installed for the scope: what events say
// of it is not trusted.
func (c *Client) findInstallation(ctx context.Context, app *ghinstallation.AppsTransport) (int64, error) {
	api, err := c.newAPI(app)
	if err != nil {
		return 0, err
	}
	var installation gh.Installation
	if err := send(ctx, api, http.MethodGet, c.scope.String()+"/installation", nil, &installation); err != nil {
		switch status(err) {
		case http.StatusNotFound:
			return 0, fmt.Errorf("%w: App %d is not installed in %s", ErrRefused, app.AppID(), c.scope)
		case http.StatusUnauthorized:
			return 0, fmt.Errorf("%w: GitHub does not accept app_id %d with this private_key", ErrCredential, app.AppID())
		}
		return 0, fmt.Errorf("looking for the installation of App %d in %s: %w", app.AppID(), c.scope, c.explain(err, "an App that is installed there"))
	}
	return installation.GetID(), nil
}

// tokenOptions are the least that registering runners takes, so that a token that
// leaks is worth little.
func (c *Client) tokenOptions() *gh.InstallationTokenOptions {
	permissions := &gh.InstallationPermissions{Actions: new("read"), Metadata: new("read")}
	if c.scope.Kind == registrationcontract.ScopeRepository {
		permissions.Administration = new("write")
		return &gh.InstallationTokenOptions{Permissions: permissions, Repositories: []string{c.scope.Repository}}
	}
	permissions.OrganizationSelfHostedRunners = new("write")
	return &gh.InstallationTokenOptions{Permissions: permissions}
}

func (c *Client) explainToken(err error) error {
	needs := c.runnerPermission() + ` and the repository permission "Actions" (read), granted to the App and accepted where it is installed`
	var failed *ghinstallation.HTTPError
	if errors.As(err, &failed) && failed.Response != nil {
		header := failed.Response.Header
		limited := header.Get("Retry-After") != "" || header.Get("X-Ratelimit-Remaining") == "0"
		switch code := failed.Response.StatusCode; {
		case code == http.StatusTooManyRequests, code == http.StatusForbidden && limited:
			return &LimitError{RetryAfter: c.retryAfter(header)}
		case code >= http.StatusInternalServerError:
			return fmt.Errorf("getting an installation token: %w: %d", ErrUnavailable, code)
		default:
			return fmt.Errorf("getting an installation token: %w with %d: it needs %s", ErrRefused, code, needs)
		}
	}
	return fmt.Errorf("getting an installation token: %w", c.explain(err, needs))
}

func trimSlash(base string) string {
	return base[:len(base)-1]
}
