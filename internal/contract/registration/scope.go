package registration

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
)

// ScopeKind is the level at GitHub at which runners are registered.
type ScopeKind string

// Levels, in the words of GitHub's REST API.
const (
	ScopeOrganization ScopeKind = "orgs"
	ScopeRepository   ScopeKind = "repos"
	ScopeEnterprise   ScopeKind = "enterprises"
)

// Scope is where at GitHub runners are registered.
type Scope struct {
	Kind ScopeKind
	// Owner is the login of the organization or of the repository's owner, or the
	// slug of the enterprise. Repository is the name of the repository without its
	// owner, and empty at the other levels.
	Owner, Repository string
}

// ErrScope says that a text is no scope.
var ErrScope = errors.New("is no scope")

// ParseScope reads what Scope.String writes.
func ParseScope(s string) (Scope, error) {
	kind, rest, _ := strings.Cut(s, "/")
	scope := Scope{Kind: ScopeKind(kind), Owner: rest}
	if scope.Kind == ScopeRepository {
		scope.Owner, scope.Repository, _ = strings.Cut(rest, "/")
	}
	ok := contract.IsOwner(scope.Owner)
	switch scope.Kind {
	case ScopeRepository:
		ok = ok && contract.IsOwner(scope.Repository)
	case ScopeOrganization, ScopeEnterprise:
	default:
		ok = false
	}
	if !ok {
		return Scope{}, fmt.Errorf("%q %w: want %s", s, ErrScope, scopes)
	}
	return scope, nil
}

// scopes are examples of what ParseScope reads.
const scopes = "orgs/my-org, repos/my-org/app or enterprises/my-enterprise"

// String is the scope as paths of GitHub's REST API begin: "orgs/my-org",
// "repos/my-org/app" or "enterprises/my-enterprise".
func (s Scope) String() string {
	text := string(s.Kind) + "/" + s.Owner
	if s.Repository != "" {
		text += "/" + s.Repository
	}
	return text
}

// Covers reports whether a runner in the scope can run jobs of a repository,
// owner/name. Which organizations an enterprise has is GitHub's to know.
func (s Scope) Covers(repository string) bool {
	owner, name, ok := strings.Cut(repository, "/")
	switch {
	case !ok:
		return false
	case s.Kind == ScopeEnterprise:
		return true
	case s.Kind == ScopeRepository:
		return strings.EqualFold(owner, s.Owner) && strings.EqualFold(name, s.Repository)
	default:
		return strings.EqualFold(owner, s.Owner)
	}
}
