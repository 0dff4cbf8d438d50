package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/smithy-go"
	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v88/github"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

// tokenMargin is how long before its end an installation token is replaced.
const tokenMargin = 5 * time.Minute

// noSuchValue is the code with which Secrets Manager answers for a secret without a
// value.
const noSuchValue = "ResourceNotFoundException"

// Secret is where the credential comes from. A *secrets.Secret is one.
type Secret interface {
	// Value returns the secret, Refresh reads it again unless that has just been done.
	Value(context.Context) ([]byte, error)
	Refresh(context.Context) ([]byte, error)
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
		advice := ": fill it in with the command among the stack's outputs"
		if api := smithy.APIError(nil); errors.As(err, &api) && api.ErrorCode() != noSuchValue || errors.Is(err, context.DeadlineExceeded) {
			advice = "" // it may be filled in, and cannot be read
		}
		return nil, fmt.Errorf("%w: %w%s", ErrCredential, err, advice)
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
	if held.token != "" {
		s.client, err = c.newAPI(c.transport, gh.WithAuthToken(held.token))
		return err
	}
	if s.app == nil {
		app, err := held.transport(c.transport)
		if err != nil {
			return err
		}
		app.BaseURL = trimSlash(c.base)
		if s.installation, err = c.findInstallation(ctx, app, held.issuer); err != nil {
			return err
		}
		s.app = app
	}
	token := ghinstallation.NewFromAppsTransport(s.app, s.installation)
	token.BaseURL = trimSlash(c.base)
	token.InstallationTokenOptions = c.tokenOptions()
	if _, err := token.Token(ctx); err != nil {
		s.app = nil // it may have been installed again, with another id
		return c.explainToken(err, held.issuer)
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
		gh.WithHTTPClient(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}),
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
func (c *Client) findInstallation(ctx context.Context, app *ghinstallation.AppsTransport, issuer string) (int64, error) {
	api, err := c.newAPI(app)
	if err != nil {
		return 0, err
	}
	var installation gh.Installation
	err = c.send(ctx, api, http.MethodGet, c.scope.String()+"/installation", nil, &installation)
	switch status(err) {
	case 0:
	case http.StatusNotFound:
		return 0, fmt.Errorf("%w: App %s is not installed in %s: GitHub answers %w", ErrRefused, issuer, c.scope, err)
	case http.StatusUnauthorized:
		return 0, notThisApp(issuer, err)
	}
	if err != nil {
		return 0, fmt.Errorf("looking for the installation of App %s in %s: %w", issuer, c.scope, c.explain(err, "an App that is installed there"))
	}
	return installation.GetID(), nil
}

// notThisApp explains that GitHub refuses what the App has signed.
func notThisApp(issuer string, err error) error {
	return fmt.Errorf("%w: GitHub does not accept App %s with this private_key, and answers %w", ErrCredential, issuer, err)
}

// tokenOptions are the least that registering runners takes, so that a token that
// leaks is worth little.
func (c *Client) tokenOptions() *gh.InstallationTokenOptions {
	permissions := &gh.InstallationPermissions{Actions: new("read"), Metadata: new("read")}
	if c.scope.Kind == registrationcontract.ScopeRepository {
		permissions.Administration = new("write")
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.repositoryID != 0 { // it has another name now
			return &gh.InstallationTokenOptions{Permissions: permissions, RepositoryIDs: []int64{c.repositoryID}}
		}
		return &gh.InstallationTokenOptions{Permissions: permissions, Repositories: []string{c.scope.Repository}}
	}
	permissions.OrganizationSelfHostedRunners = new("write")
	return &gh.InstallationTokenOptions{Permissions: permissions}
}

func (c *Client) explainToken(err error, issuer string) error {
	err = answered(err)
	if status(err) == http.StatusUnauthorized {
		return notThisApp(issuer, err)
	}
	needs := c.runnerPermission() + ` and the repository permission "Actions" (read), granted to the App and accepted where it is installed`
	return fmt.Errorf("getting an installation token: %w", c.explain(err, needs))
}

func trimSlash(base string) string {
	return base[:len(base)-1]
}
