package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A module that Dependabot does not know keeps its dependencies forever.
func TestDependabot_KnowsEveryModule(t *testing.T) {
	t.Parallel()
	configuration, err := os.ReadFile("../.github/dependabot.yml")
	require.NoError(t, err)
	for _, pattern := range []string{"../go.mod", "../examples/go.mod", "../tools/*/go.mod", "../package.json", "../tools/*/package.json"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			folder := "/" + strings.TrimPrefix(filepath.Dir(file)+"/", "../")
			if folder != "/" {
				folder = strings.TrimSuffix(folder, "/")
			}
			assert.Regexpf(t, `(?m)^ +- `+regexp.QuoteMeta(folder)+`$`, string(configuration), "%s is not kept up to date", file)
		}
	}
}

// Who can move the tag of an action could otherwise run code with our token.
func TestWorkflows_PinActionsByTheirHash(t *testing.T) {
	t.Parallel()
	workflows, err := filepath.Glob("../.github/workflows/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, workflows)
	for _, workflow := range workflows {
		content, err := os.ReadFile(workflow)
		require.NoError(t, err)
		for _, uses := range regexp.MustCompile(`uses: (.+)`).FindAllStringSubmatch(string(content), -1) {
			if !strings.HasPrefix(uses[1], "./") {
				assert.Regexpf(t, `^[\w/-]+@[0-9a-f]{40} # v[0-9.]+$`, uses[1], "%s", workflow)
			}
		}
	}
}
