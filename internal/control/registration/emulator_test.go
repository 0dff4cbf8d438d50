//go:build emulator

package registration_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger"
	"github.com/ecs-github-runners/ecsrunners/internal/lambdatest"
)

// The claims of TestRegister_ConcurrentClaims, with the ledger in DynamoDB.
func TestRegister_ConcurrentClaimsInDynamoDB(t *testing.T) {
	const runs = 1000
	db := lambdatest.EmulatedDynamoDB(t)
	begun := time.Now()
	for run := range uint64(runs) {
		table := fmt.Sprint("ledger-", run)
		lambdatest.NewLedgerTable(t, db, table)
		w := newWorld()
		w.ledger = ledger.NewTable(db, table)
		w.Ledger = w.ledger
		concurrentClaims(t, w, run)
	}
	t.Logf("%d runs of concurrent claims, with the ledger in an emulated DynamoDB, in %s", runs,
		time.Since(begun).Round(time.Second))
}
