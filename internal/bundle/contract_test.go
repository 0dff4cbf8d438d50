package bundle_test

import (
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners"
	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
)

const image = "the runner image"

var functions = []string{"lambda/webhook", "lambda/registration", "lambda/imagebuild"}

// One changed word in a package of the contract deploys what uses it again, and
// nothing else.
func TestContract_IsPartOfWhatUsesItAlone(t *testing.T) {
	t.Parallel()
	deployed := map[string][]string{
		"internal/contract":              {"lambda/webhook", "lambda/registration"},
		"internal/contract/credential":   {"lambda/registration"},
		"internal/contract/env":          {"lambda/webhook", "lambda/registration", "lambda/imagebuild", image},
		"internal/contract/fleettable":   {"lambda/webhook", "lambda/registration"},
		"internal/contract/imagebuild":   {"lambda/imagebuild"},
		"internal/contract/registration": {"lambda/registration"},
		"internal/contract/runner":       {"lambda/registration", image},
		"internal/contract/webhook":      {"lambda/webhook"},
	}
	sources := moduleSources(t)
	original := hashes(t, sources)
	err := fs.WalkDir(sources, "internal/contract", func(folder string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		name := folder + "/doc.go"
		before := sources[name]
		require.NotNilf(t, before, "%s has no doc.go", folder)
		sources[name] = &fstest.MapFile{Data: append(slices.Clone(before.Data), "// word\n"...)}
		var changed []string
		for part, hash := range hashes(t, sources) {
			if hash != original[part] {
				changed = append(changed, part)
			}
		}
		sources[name] = before
		assert.ElementsMatchf(t, deployed[folder], changed, "what a word in %s deploys again", folder)
		delete(deployed, folder)
		return nil
	})
	require.NoError(t, err)
	assert.Empty(t, deployed, "there are no such packages")
}

// moduleSources is a copy of the module's sources that can be changed.
func moduleSources(t *testing.T) fstest.MapFS {
	t.Helper()
	sources := fstest.MapFS{}
	err := fs.WalkDir(ecsrunners.Sources, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := ecsrunners.Sources.ReadFile(name)
		sources[name] = &fstest.MapFile{Data: data}
		return err
	})
	require.NoError(t, err)
	return sources
}

// hashes returns the hashes of the functions and of the library's part of the
// runner image.
func hashes(t *testing.T, sources fs.FS) map[string]string {
	t.Helper()
	tree, err := bundle.LibraryTree(sources)
	require.NoError(t, err)
	all := map[string]string{}
	all[image], err = tree.Hash()
	require.NoError(t, err)
	for _, function := range functions {
		program, err := bundle.NewProgram(sources, function, "arm64")
		require.NoError(t, err)
		all[function] = hash(t, program)
	}
	return all
}
