package bundle_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners"
	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
)

// imageSources is a module with a runner image.
func imageSources() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	sources := sources()
	for name, text := range map[string]string{
		"runner-image/Dockerfile":                    "FROM debian\n",
		"runner-image/customize/hooks.d/.keep":       "",
		"runner-image/customize/setup.sh":            "#!/bin/bash\n",
		"runner-image/buildspec.yml":                 "version: 0.2\n",
		"runner-image/build.sh":                      "#!/bin/bash\n",
		"runner-image/build_test.go":                 "package image\n",
		"runner-image/supervisor/main.go":            "package main\n\nimport _ \"example.com/m/words\"\n\nfunc main() {}\n",
		"runner-image/supervisor/main_test.go":       "package main\n",
		"runner-image/supervisor/hooks/started.sh":   "#!/bin/sh\n",
		"runner-image/supervisor/testdata/l/main.go": "package main\n",
	} {
		sources[name] = file(text)
	}
	return sources
}

func TestLibraryTree_IsWhatTheBuildTakesFromTheLibrary(t *testing.T) {
	t.Parallel()
	tree, err := bundle.LibraryTree(imageSources())
	require.NoError(t, err)
	assert.Equal(t, []string{
		"go.mod", "go.sum",
		"runner-image/build.sh", "runner-image/buildspec.yml",
		"runner-image/supervisor/hooks/started.sh", "runner-image/supervisor/main.go",
		"words/words.go",
	}, tree.Files)
}

func TestCustomerTree_IsTheRest(t *testing.T) {
	t.Parallel()
	tree, err := bundle.CustomerTree(imageSources())
	require.NoError(t, err)
	assert.Equal(t, []string{"Dockerfile", "customize/hooks.d/.keep", "customize/setup.sh"}, tree.Files)
}

// Nothing is in both: what is the customer's must not change with the library,
// and what is the library's must not go stale in the customer's repository.
func TestTrees_OfTheModuleItself(t *testing.T) {
	t.Parallel()
	library, err := bundle.LibraryTree(ecsrunners.Sources)
	require.NoError(t, err)
	customer, err := bundle.CustomerTree(ecsrunners.Sources)
	require.NoError(t, err)
	for _, name := range []string{
		"go.mod", "go.sum", "internal/contract/runner/environment.go", bundle.BuildSpec, bundle.BuildScript,
		"runner-image/supervisor/main.go", "runner-image/supervisor/hooks/job-started.sh",
	} {
		assert.Contains(t, library.Files, name, "the image could not be built")
	}
	assert.Contains(t, customer.Files, "Dockerfile")
	assert.Contains(t, customer.Files, "customize/certificates/.keep",
		"git would lose the folder, and the Dockerfile copies it")
	for _, name := range customer.Files {
		assert.NotContains(t, library.Files, "runner-image/"+name)
		assert.NotRegexp(t, `\.go$`, name, "the customer has no use for it")
	}
}

func TestTree_Hash(t *testing.T) {
	t.Parallel()
	hash := func(change func(fstest.MapFS)) string {
		sources := imageSources()
		change(sources)
		tree, err := bundle.LibraryTree(sources)
		require.NoError(t, err)
		hash, err := tree.Hash()
		require.NoError(t, err)
		assert.Regexp(t, "^[0-9a-f]{64}$", hash)
		return hash
	}
	edit := func(name string) func(fstest.MapFS) {
		return func(sources fstest.MapFS) { sources[name].Data = append(sources[name].Data, '\n') }
	}
	original := hash(func(fstest.MapFS) {})
	for _, name := range []string{
		"go.sum", "words/words.go", "runner-image/build.sh", "runner-image/supervisor/main.go",
		"runner-image/supervisor/hooks/started.sh",
	} {
		assert.NotEqualf(t, original, hash(edit(name)), "%s changed and the image would not be built", name)
	}
	for _, name := range []string{
		"runner-image/Dockerfile", "runner-image/supervisor/main_test.go",
		"runner-image/supervisor/testdata/l/main.go", "cmd/hello/main.go",
	} {
		assert.Equalf(t, original, hash(edit(name)), "%s changed and the image would be built for nothing", name)
	}
}

func TestTree_Extract(t *testing.T) {
	t.Parallel()
	tree, err := bundle.CustomerTree(imageSources())
	require.NoError(t, err)
	folder := filepath.Join(t.TempDir(), "new")
	require.NoError(t, tree.Extract(folder))
	data, err := os.ReadFile(filepath.Join(folder, "Dockerfile"))
	require.NoError(t, err)
	assert.Equal(t, "FROM debian\n", string(data))
	info, err := os.Stat(filepath.Join(folder, "customize", "setup.sh"))
	require.NoError(t, err)
	assert.EqualValues(t, 0o755, info.Mode().Perm())
	assert.FileExists(t, filepath.Join(folder, "customize", "hooks.d", ".keep"))
}
