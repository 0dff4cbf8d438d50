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

// CONTRIBUTING.md says what is where, and what it says is there.
func TestContributing_TheLayoutIsThatOfTheTree(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../CONTRIBUTING.md")
	require.NoError(t, err)
	_, layout, found := strings.Cut(string(content), "\n## Layout\n")
	require.True(t, found)
	blocks := regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(layout, 2)
	require.Len(t, blocks, 2)
	listed := map[string]bool{}
	for i, prefix := range []string{"", "internal/"} {
		for _, line := range regexp.MustCompile(`(?m)^[a-z/-]+`).FindAllString(blocks[i][1], -1) {
			listed[prefix+line] = true
			info, err := os.Stat(filepath.Join("..", prefix+line))
			assert.Truef(t, err == nil && info.IsDir(), "CONTRIBUTING.md lists %s, which is not there", prefix+line)
		}
	}
	for _, pattern := range []string{"../*/*.go", "../*/*/*.go", "../*/*/*/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			parts := strings.Split(strings.TrimPrefix(filepath.ToSlash(file), "../"), "/")
			folder := parts[0]
			if folder == "internal" {
				folder += "/" + parts[1]
			}
			if folder != "build" && folder != "node_modules" {
				assert.Truef(t, listed[folder] || listed[strings.Join(parts[:min(2, len(parts)-1)], "/")],
					"CONTRIBUTING.md does not say what %s is", folder)
			}
		}
	}
}
