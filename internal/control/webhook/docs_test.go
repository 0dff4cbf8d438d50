package webhook_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/rawjson"
	"github.com/ecs-github-runners/ecsrunners/internal/control/webhook"
)

func TestDocs_Limits(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../docs/webhook.md")
	require.NoError(t, err)
	page := strings.Join(strings.Fields(string(content)), " ")
	for _, want := range []string{
		fmt.Sprintf("Body larger than %d MiB", webhook.MaxBody>>20),
		fmt.Sprintf("nested deeper than %d levels", rawjson.MaxDepth),
		fmt.Sprintf("the event within %v seconds", webhook.Budget.Seconds()),
		fmt.Sprintf("entries of up to %d MB", webhook.MaxEntrySize/1_000_000),
		fmt.Sprintf("takes at most %d bytes", webhook.MaxReducedValue),
	} {
		assert.Truef(t, strings.Contains(page, want), "docs/webhook.md does not say %q", want)
	}
}
