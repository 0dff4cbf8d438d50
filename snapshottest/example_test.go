package snapshottest_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/snapshottest"
)

// newQueues is a stack of yours.
func newQueues(scope awscdk.App, id string) awscdk.Stack {
	stack := awscdk.NewStack(scope, &id, nil)
	awssqs.NewQueue(stack, jsii.String("Jobs"), nil)
	return stack
}

func TestQueues(t *testing.T) {
	app := snapshottest.NewApp(t, nil)
	newQueues(app, "Queues")
	snapshottest.Compare(t, "", app)
}

func TestQueues_OfAStackAlone(t *testing.T) {
	app := snapshottest.NewApp(t, map[string]any{"stage": "test"})
	newQueues(app, "Other")
	snapshottest.Compare(t, "one", newQueues(app, "One"))
}

// A test of a stack: its name is that of the folder with the snapshot.
func Example() {
	_ = func(t *testing.T) { // func TestQueues(t *testing.T)
		app := snapshottest.NewApp(t, nil)
		newQueues(app, "Queues")
		snapshottest.Compare(t, "", app)
	}
}
