package github

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

// groups are the ids of runner groups by their names, for a while.
type groups struct {
	mu   sync.Mutex
	ids  map[string]int64
	read time.Time
}

// groupID is the id of a runner group.
func (c *Client) groupID(ctx context.Context, group string) (int64, error) {
	if group == "" || c.scope.Kind == registrationcontract.ScopeRepository {
		return registrationcontract.DefaultRunnerGroup, nil
	}
	if id, err := strconv.ParseInt(group, 10, 64); err == nil {
		return id, nil
	}
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	id, known := c.groups.ids[strings.ToLower(group)]
	if known && c.clock.Now().Sub(c.groups.read) < groupTTL {
		return id, nil
	}
	ids, err := c.listGroups(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing the runner groups of %s: %w", c.scope, c.explain(err, c.runnerPermission()))
	}
	c.groups.ids, c.groups.read = ids, c.clock.Now()
	if id, known = ids[strings.ToLower(group)]; !known {
		return 0, fmt.Errorf("%w: %s has no runner group %q%s", ErrRefused, c.scope, group, listed(ids))
	}
	return id, nil
}

func (c *Client) listGroups(ctx context.Context) (map[string]int64, error) {
	ids := map[string]int64{}
	for page := 1; page <= maxPages; page++ {
		var found struct {
			Groups []struct {
				ID   int64  `json:"id"`
				Name string `json:"name"`
			} `json:"runner_groups"`
		}
		if err := c.do(ctx, http.MethodGet, fmt.Sprintf("%s/actions/runner-groups?per_page=100&page=%d", c.scope, page), nil, &found); err != nil {
			return nil, err
		}
		for _, group := range found.Groups {
			ids[strings.ToLower(group.Name)] = group.ID
		}
		if len(found.Groups) < 100 {
			break
		}
	}
	return ids, nil
}

// listed names some of the groups that there are. An App does not see groups for
// which it lacks the permission.
func listed(ids map[string]int64) string {
	const most = 10
	names := slices.Sorted(maps.Keys(ids))
	switch {
	case len(names) == 0:
		return ", and none that this credential may see"
	case len(names) > most:
		return fmt.Sprintf(", but %q and %d more", names[:most], len(names)-most)
	}
	return fmt.Sprintf(", but %q", names)
}
