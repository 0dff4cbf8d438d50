package app_test

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"github.com/ecs-github-runners/ecsrunners/snapshottest"

	app "example.com/snapshots"
)

func TestRunners(t *testing.T) {
	// A stand-in for an edit of the stack.
	maxInstances, err := strconv.Atoi(os.Getenv("MAX_INSTANCES"))
	if err != nil {
		t.Fatal(err)
	}
	cdk := snapshottest.NewApp(t, nil)
	app.NewRunners(cdk, maxInstances)
	snapshottest.Compare(t, "", cdk)
}

// What many packages have.
var update = flag.Bool("update", false, "rewrite golden files")

func TestGolden(t *testing.T) {
	if *update {
		if err := os.WriteFile("golden", nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
