package examples_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/snapshot"
)

func TestX(t *testing.T) {
	require.NotNil(t, snapshot.NewSnapshots(t, "x"))
}
