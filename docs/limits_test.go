package docs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/lifecycle"
)

// The ledger holds a job for a task as long as its runner may wait for it, as
// operations.md says. Neither side may import the other.
func TestOperations_TheLeaseOutlastsWaiting(t *testing.T) {
	t.Parallel()
	for _, start := range []time.Duration{30 * time.Second, 5 * time.Minute, time.Hour} {
		for _, idle := range []time.Duration{30 * time.Second, 5 * time.Minute, 24 * time.Hour} {
			longest := lifecycle.Limits{Start: start, Idle: idle}.Waiting() +
				lifecycle.ReleaseTimeout + lifecycle.Grace + lifecycle.KillTimeout
			assert.Greater(t, registrationcontract.Lease(start, idle), longest,
				"another runner would be started for the job of one that still waits")
		}
	}
}
