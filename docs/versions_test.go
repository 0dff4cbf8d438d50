package docs_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// go.mod names the lowest CDK that works, and that of the examples the newest: both
// are synthesized, and compared with snapshots, by the tests.
func TestReadme_StatesTheVersionsOfTheCDKThatAreTested(t *testing.T) {
	t.Parallel()
	version := func(file string) string {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		found := regexp.MustCompile(`aws-cdk-go/awscdk/v2 v(\S+)`).FindSubmatch(content)
		require.NotNilf(t, found, "%s requires no CDK", file)
		return string(found[1])
	}
	tested := fmt.Sprintf("AWS CDK %s to %s", version("../go.mod"), version("../examples/go.mod"))
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	assert.Regexpf(t, regexp.QuoteMeta(tested), string(readme), "README.md must say %q", tested)
}
