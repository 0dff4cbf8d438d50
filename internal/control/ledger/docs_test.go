package ledger_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/ledger"
)

func TestDocs_AgesOfItems(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../docs/registration.md")
	require.NoError(t, err)
	want := fmt.Sprintf("expire after %v hours, all others %v days", ledger.FinalAge.Hours(), ledger.LiveAge.Hours()/24)
	assert.Truef(t, strings.Contains(strings.Join(strings.Fields(string(content)), " "), want),
		"docs/registration.md does not say %q", want)
}
