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

// A README that explains everything is read by nobody.
func TestReadme_IsShort(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	assert.LessOrEqual(t, strings.Count(string(content), "\n"), 170,
		"lines; move what is not needed for a first job to docs")
	assert.LessOrEqual(t, len(content), 12<<10, "bytes; move what is not needed for a first job to docs")
}

// The code in README.md and in the overview of the constructs is what the minimal
// example compiles.
func TestOverviews_HaveTheCodeOfTheMinimalExample(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(content)
	}
	example := read("../examples/minimal/main.go")
	for file, block := range map[string]string{
		"../README.md":         "(?s)```go\n(.*?)```",
		"../constructs/doc.go": `(?s)The smallest complete app:\n((?://[^\n]*\n)+?)// After`,
	} {
		found := regexp.MustCompile(block).FindAllStringSubmatch(read(file), -1)
		require.Len(t, found, 1, file)
		for line := range strings.Lines(found[0][1]) {
			line = strings.TrimSpace(strings.TrimPrefix(line, "//"))
			assert.Truef(t, strings.Contains(example, line+"\n"), "examples/minimal lacks %q of %s", line, file)
		}
	}
}

func TestReadme_ListsEachDocument(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("*.md")
	require.NoError(t, err)
	require.NotEmpty(t, documents)
	readme := text(t, "../README.md")
	for _, document := range documents {
		assert.Truef(t, strings.Contains(readme, "| ["+document+"](docs/"+document+") |"),
			"the list in README.md lacks docs/%s", document)
	}
}

func TestDocs_LinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	var documents []string
	for _, pattern := range []string{"../*.md", "*.md", "adr/*.md", "../runner-image/customize/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		documents = append(documents, found...)
	}
	require.Greater(t, len(documents), 20)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, document := range documents {
		content, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, match := range link.FindAllStringSubmatch(string(content), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := document
			if target != "" {
				path = filepath.Join(filepath.Dir(document), target)
			}
			if _, err := os.Stat(path); err != nil {
				assert.Failf(t, "a link leads nowhere", "%s: %s", document, match[1])
				continue
			}
			if anchor != "" {
				assert.Truef(t, anchors(t, path)[anchor], "%s: no heading for %s", document, match[1])
			}
		}
	}
}

// anchors are those that GitHub gives to the headings of a document.
func anchors(t *testing.T, document string) map[string]bool {
	t.Helper()
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	found := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(content), -1) {
		slug := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}
