package webhook

import (
	"path"
	"slices"
	"strings"

	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
)

// Reasons for ignoring a delivery.
const (
	reasonEvent      = "event type is not allowed"
	reasonOwner      = "owner is not allowed"
	reasonRepository = "repository is not allowed"
	reasonPublic     = "public repositories are not allowed"
)

// Policy says whose deliveries are put on the bus. Its zero value allows none.
type Policy struct {
	owners       map[string]bool
	repositories []string
	events       map[string]bool
	public       bool
}

// NewPolicy returns the policy that the settings describe.
func NewPolicy(settings webhookcontract.Config) *Policy {
	p := &Policy{owners: make(map[string]bool), events: make(map[string]bool), public: settings.AllowPublic}
	for _, owner := range settings.Owners {
		p.owners[strings.ToLower(owner)] = true
	}
	for _, pattern := range settings.Repositories {
		p.repositories = append(p.repositories, strings.ToLower(pattern))
	}
	for _, event := range settings.Events {
		p.events[event] = true
	}
	return p
}

// refuseEvent returns why events of a type are ignored, empty if they are not.
func (p *Policy) refuseEvent(event string) string {
	if p.events[event] || p.events[webhookcontract.AllEvents] {
		return ""
	}
	return reasonEvent
}

// refuseSource returns why events from a repository are ignored, empty if they
// are not. Where repositories are listed, an event that is about none is ignored.
func (p *Policy) refuseSource(source repository) string {
	switch {
	case !p.owners[strings.ToLower(source.owner)]:
		return reasonOwner
	case len(p.repositories) > 0 && !p.listed(source.name):
		return reasonRepository
	case source.public && !p.public:
		return reasonPublic
	}
	return ""
}

func (p *Policy) listed(repository string) bool {
	name := strings.ToLower(repository)
	return slices.ContainsFunc(p.repositories, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}
