package docs_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A release takes its notes from the changelog, and there is none without notes.
func TestReleaseNotes_AreTheVersionsSectionOfTheChangelog(t *testing.T) {
	t.Parallel()
	changelog := filepath.Join(t.TempDir(), "CHANGELOG.md")
	require.NoError(t, os.WriteFile(changelog, []byte(`# Changelog

## Unreleased

- Later.

## 1.2.3 - 2026-12-01

### Added

- Three.

## [1.2.30] - 2026-11-30

- Thirty.

## 1.2.2 - 2026-11-29

`), 0o600))
	notes := func(version string) (string, error) {
		output, err := exec.Command("bash", "../.github/release-notes.sh", version, changelog).Output()
		return string(output), err
	}
	for version, want := range map[string]string{"v1.2.3": "### Added\n\n- Three.\n", "v1.2.30": "- Thirty.\n"} {
		got, err := notes(version)
		require.NoError(t, err, version)
		assert.Equal(t, want, got)
	}
	for _, version := range []string{"v1.2.2", "v1.2", "v9.9.9"} {
		got, err := notes(version)
		assert.Errorf(t, err, "%s has no notes, and would be released", version)
		assert.Empty(t, got)
	}
}

// A module that Dependabot does not know keeps its dependencies forever.
func TestDependabot_KnowsEveryModule(t *testing.T) {
	t.Parallel()
	configuration, err := os.ReadFile("../.github/dependabot.yml")
	require.NoError(t, err)
	for _, pattern := range []string{
		"../go.mod", "../examples/go.mod", "../tools/*/go.mod", "../package.json",
		"../tools/*/package.json",
	} {
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

// Users of the library get at least the CDK that its go.mod names. The examples and the
// tools can have any.
func TestDependabot_LeavesTheLowestCDKAlone(t *testing.T) {
	t.Parallel()
	configuration, err := os.ReadFile("../.github/dependabot.yml")
	require.NoError(t, err)
	modules, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	own, others := 0, 0
	for _, entry := range strings.Split(string(configuration), "\n  - package-ecosystem: ")[1:] {
		if !strings.HasPrefix(entry, "gomod\n") {
			continue
		}
		var held []string
		for _, match := range regexp.MustCompile(`- dependency-name: (\S+)\n +update-types: \["version-update:semver-major", `+
			`"version-update:semver-minor", "version-update:semver-patch"\]`).FindAllStringSubmatch(entry, -1) {
			held = append(held, match[1])
		}
		if !strings.Contains(entry, "      - /\n") {
			others++
			assert.NotContains(t, entry, "ignore:", "what is no part of the library need not be old")
			continue
		}
		own++
		assert.Equal(t, 1, strings.Count(entry, "      - /"), "another module would be held back too")
		for _, module := range []string{
			"github.com/aws/aws-cdk-go/awscdk/v2", "github.com/aws/constructs-go/constructs/v10",
			"github.com/aws/jsii-runtime-go",
		} {
			assert.Contains(t, string(modules), "\t"+module+" v")
			assert.Truef(t, slices.ContainsFunc(held, func(pattern string) bool {
				matches, err := path.Match(pattern, module)
				return err == nil && matches
			}), "an update of %s would be one for all users of the library", module)
		}
	}
	assert.Equal(t, 1, own)
	assert.Positive(t, others)
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
