package snapshottest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

func TestDoc_HasTheTestAbove(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, snippet, _ := strings.Cut(string(source), "\nfunc TestQueues(")
	snippet, _, _ = strings.Cut(snippet, "\n}\n")
	assert.Contains(t, string(doc), "//\tfunc TestQueues("+strings.ReplaceAll(snippet, "\n", "\n//\t")+"\n//\t}\n",
		"what readers copy must work")
}

func TestQueues_OfAStackAlone(t *testing.T) {
	app := snapshottest.NewApp(t, map[string]any{"stage": "test"})
	newQueues(app, "Other")
	snapshottest.Compare(t, "one", newQueues(app, "One"))
}
