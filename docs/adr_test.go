package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each decision is in the index, under the title and with the status that it has.
func TestADR_TheIndexIsComplete(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("adr/0*.md")
	require.NoError(t, err)
	head := regexp.MustCompile(`^# ([0-9]+)\. (.+)\n\nStatus: (.+) · Date: [0-9]{4}-[0-9]{2}-[0-9]{2}\n`)
	var want []string
	for i, file := range files {
		if i == 0 { // the template
			continue
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		fields := head.FindStringSubmatch(string(content))
		require.NotNilf(t, fields, "%s does not begin as 0000-template.md does", file)
		require.Equalf(t, fmt.Sprint(i), fields[1], "%s: the number is not that of the file, or one before is missing", file)
		want = append(want, fmt.Sprintf("| [%s](%s) | %s | %s | ", fields[1], filepath.Base(file), fields[2], fields[3]))
	}
	require.NotEmpty(t, want)
	index, err := os.ReadFile("adr/README.md")
	require.NoError(t, err)
	assert.Equal(t, want, regexp.MustCompile(`(?m)^\| \[.+? \| .+? \| .+? \| `).FindAllString(string(index), -1))
}
