//go:build emulator

package ledger_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger"
	"github.com/ecs-github-runners/ecsrunners/internal/lambdatest"
)

func TestTable_IsALedger(t *testing.T) {
	db := lambdatest.EmulatedDynamoDB(t)
	var n atomic.Int64
	testLedger(t, func(t *testing.T) ledger.Ledger {
		name := fmt.Sprint("ledger-", n.Add(1))
		lambdatest.NewLedgerTable(t, db, name)
		return ledger.NewTable(db, name)
	})
}
