//go:build modes

package consumer_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

// The program of the webhook is built from sources inside the library. Users
// have the library in a read-only module cache, build with -trimpath, or vendor
// it: in no case are there files at the paths that this repository has.
func TestConsumer_BuildsTheSameProgramInEveryMode(t *testing.T) {
	version := serveModule(t)
	modes := []struct {
		name  string
		setUp [][]string
		flags []string
	}{
		{name: "module cache"},
		{name: "trimpath", flags: []string{"-trimpath"}},
		{name: "vendored", setUp: [][]string{{"mod", "vendor"}}, flags: []string{"-trimpath", "-mod=vendor"}},
	}
	var templates, binaries [][]byte
	for _, mode := range modes {
		m := newModule(t, "ingress")
		m.env = append(m.env, "GOPROXY="+version.proxy+",off", "GONOSUMDB="+library)
		// Without a folder for caches there are no programs that were built before.
		m.env = append(m.env, "GOCACHE="+goEnv(t, "GOCACHE"), "XDG_CACHE_HOME=no/absolute/path")
		m.goCommand(t, "mod", "edit", "-require="+library+"@"+version.String())
		m.goCommand(t, "mod", "tidy")
		for _, args := range mode.setUp {
			m.goCommand(t, args...)
		}
		templates = append(templates, m.synthesize(t, "Consumer", mode.flags...))
		built, err := filepath.Glob(filepath.Join(m.dir, "cdk.out", "asset.*", "bootstrap"))
		require.NoError(t, err)
		require.Lenf(t, built, 1, "%s: the assembly must hold the program that Lambda starts", mode.name)
		binary, err := os.ReadFile(built[0])
		require.NoError(t, err)
		binaries = append(binaries, binary)
		t.Logf("%s: program of %d bytes in %s", mode.name, len(binary), filepath.Base(filepath.Dir(built[0])))
	}
	for i, mode := range modes[1:] {
		assert.Equalf(t, string(templates[0]), string(templates[i+1]), "%s: the template tells how the user's app was built",
			mode.name)
		assert.Truef(t, bytes.Equal(binaries[0], binaries[i+1]), "%s: another program would be deployed under the same hash",
			mode.name)
	}
}

// served is a version of the library that a module proxy offers.
type served struct {
	module.Version
	proxy string
}

func (s served) String() string { return s.Version.Version }

// serveModule makes the version that this folder would be if it were released,
// and a proxy that offers it. The version is of the contents, because the go
// command keeps what it has once downloaded; at the end it is forgotten again.
func serveModule(t *testing.T) served {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	files := released(t, root)
	content := sha256.New()
	for _, file := range files {
		reader, err := file.Open()
		require.NoError(t, err)
		fmt.Fprintf(content, "%s\n", file.Path())
		_, err = io.Copy(content, reader)
		require.NoError(t, err)
		require.NoError(t, reader.Close())
	}
	version := module.Version{Path: library, Version: "v0.0.0-20060102150405-" + hex.EncodeToString(content.Sum(nil))[:12]}

	proxy := t.TempDir()
	folder := filepath.Join(proxy, filepath.FromSlash(library), "@v")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	write := func(extension string, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, version.Version+extension), data, 0o600))
	}
	var archive bytes.Buffer
	require.NoError(t, modzip.Create(&archive, version, files))
	_, err = zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	require.NoError(t, err)
	write(".zip", archive.Bytes())
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	write(".mod", mod)
	write(".info", fmt.Appendf(nil, `{"Version":%q,"Time":"2006-01-02T15:04:05Z"}`, version.Version))

	cache := goEnv(t, "GOMODCACHE")
	t.Cleanup(func() { forget(t, cache, version) })
	return served{version, "file://" + filepath.ToSlash(proxy)}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	value, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(value))
}

// released are the files that a release of the library holds: those that git
// knows or would, outside of modules of their own.
func released(t *testing.T, root string) []modzip.File {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	output, err := list.Output()
	require.NoError(t, err)
	names := strings.Fields(string(output))
	nested := map[string]bool{}
	for _, name := range names {
		if path.Base(name) == "go.mod" && path.Dir(name) != "." {
			nested[path.Dir(name)] = true
		}
	}
	var files []modzip.File
	for _, name := range names {
		outside := true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			outside = outside && !nested[dir]
		}
		if _, err := os.Stat(filepath.Join(root, name)); outside && err == nil {
			files = append(files, file{root, name})
		}
	}
	return files
}

// file is a file of a module, as package zip wants it.
type file struct{ root, name string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (fs.FileInfo, error)  { return os.Lstat(filepath.Join(f.root, f.name)) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(filepath.Join(f.root, f.name)) }

// forget removes a version from the module cache, where it is read-only.
func forget(t *testing.T, cache string, version module.Version) {
	t.Helper()
	extracted := filepath.Join(cache, filepath.FromSlash(version.Path)+"@"+version.Version)
	err := filepath.WalkDir(extracted, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(name, 0o755) //nolint:gosec // to be able to delete it
		}
		return err
	})
	assert.NoError(t, err)
	assert.NoError(t, os.RemoveAll(extracted))
	downloads, err := filepath.Glob(filepath.Join(cache, "cache", "download", filepath.FromSlash(version.Path), "@v",
		version.Version+".*"))
	assert.NoError(t, err)
	for _, download := range downloads {
		assert.NoError(t, os.Remove(download))
	}
}
