package contract_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
)

func TestIsEventName(t *testing.T) {
	for _, name := range []string{"push", "workflow_job", "a1"} {
		assert.True(t, contract.IsEventName(name), name)
	}
	for _, name := range []string{"", "Push", "a b", "push,push", strings.Repeat("a", 65), "*"} {
		assert.False(t, contract.IsEventName(name), name)
	}
}

func TestIsRepositoryName(t *testing.T) {
	for _, name := range []string{"my-org/app", "A/b.c_d"} {
		assert.True(t, contract.IsRepositoryName(name), name)
	}
	for _, name := range []string{
		"", "app", "/app", "my-org/", "a/b/c", "a/b c", "a/\u212a", "a/b,c",
		"a/" + strings.Repeat("b", 199),
	} {
		assert.False(t, contract.IsRepositoryName(name), name)
	}
}

func TestIsJobID(t *testing.T) {
	for _, id := range []string{"1", "29679449526", "9223372036854775807"} {
		assert.True(t, contract.IsJobID(id), id)
	}
	for _, id := range []string{"", "0", "01", "-1", "1.0", "1e3", " 1", "12345678901234567890"} {
		assert.False(t, contract.IsJobID(id), id)
	}
}
