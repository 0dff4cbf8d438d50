package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
)

// without builds with no cache, and returns the binary.
func without(t *testing.T, p bundle.Program) []byte {
	t.Helper()
	return build(t, bundle.NewBuilder(bundle.Cache{}, new(bytes.Buffer)), p)
}

func build(t *testing.T, b *bundle.Builder, p bundle.Program) []byte {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, b.Build(p, folder))
	file := filepath.Join(folder, "bootstrap")
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, "-rwxr-xr-x", info.Mode().String(), "Lambda could not start it")
	binary, err := os.ReadFile(file)
	require.NoError(t, err)
	return binary
}

func TestBuild_MakesTheBinaryThatLambdaStarts(t *testing.T) {
	p := program(t, sources())
	binary := without(t, p)

	info, err := buildinfo.Read(bytes.NewReader(binary))
	require.NoError(t, err)
	built := map[string]string{}
	for _, setting := range info.Settings {
		built[setting.Key] = setting.Value
	}
	assert.Equal(t, "go1.26.8", info.GoVersion)
	assert.Equal(t, "linux", built["GOOS"])
	assert.Equal(t, "arm64", built["GOARCH"])
	assert.Equal(t, "0", built["CGO_ENABLED"])
	assert.Equal(t, "lambda.norpc", built["-tags"])
	assert.NotContains(t, built, "vcs.revision", "the binary would differ with each commit of the user's repository")

	// The user's settings for their own module.
	file := filepath.Join(t.TempDir(), "env")
	require.NoError(t, os.WriteFile(file, []byte("GOFLAGS=-cover\nGOEXPERIMENT=nogreenteagc\n"), 0o600))
	for name, value := range map[string]string{
		"GOENV": file, "GOARCH": "386", "GOARM64": "v9.0,lse,crypto", "GOAMD64": "v3", "GOFIPS140": "latest",
		"CGO_ENABLED": "1",
		"TMPDIR":      t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	assert.True(t, bytes.Equal(binary, without(t, p)),
		"the same sources in another folder, on a machine set up otherwise, must give the same bytes")
}

func TestBuild_ShowsWhatTheCompilerSaid(t *testing.T) {
	t.Parallel()
	broken := sources()
	broken["words/words.go"].Data = []byte("package words\n\nconst Hello = undefinedName\n")
	cache := cacheFolder(t)
	err := bundle.NewBuilder(bundle.NewCache(cache, 3), new(bytes.Buffer)).Build(program(t, broken), t.TempDir())
	assert.ErrorContains(t, err, "building cmd/hello: exit status 1")
	assert.ErrorContains(t, err, "words/words.go:3:15: undefined: undefinedName")
	assert.Empty(t, names(t, cache))
}

func TestBuild_FailsWhenThereIsNoGo(t *testing.T) {
	p, cache := program(t, sources()), bundle.NewCache(cacheFolder(t), 3)
	built := build(t, bundle.NewBuilder(cache, new(bytes.Buffer)), p)
	t.Setenv("PATH", t.TempDir())
	assert.ErrorIs(t, bundle.NewBuilder(bundle.Cache{}, new(bytes.Buffer)).Build(p, t.TempDir()), bundle.ErrNoGo)
	assert.True(t, bytes.Equal(built, build(t, bundle.NewBuilder(cache, new(bytes.Buffer)), p)),
		"what the cache has needs no Go")
}

func TestBuild_BuildsButOnceAndSaysSo(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	cache := bundle.NewCache(filepath.Join(t.TempDir(), "new"), 3)
	b, p := bundle.NewBuilder(cache, &log), program(t, sources())
	b.Start(p)
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() { assert.NoError(t, b.Build(p, t.TempDir())) })
	}
	waiting.Wait()
	assert.Regexp(t,
		`^ecsrunners: building cmd/hello \(linux/arm64\); a first build downloads its modules and takes a minute or two
ecsrunners: built cmd/hello in \d+\.\d s
$`, log.String())

	log.Reset()
	binary := build(t, bundle.NewBuilder(cache, &log), p)
	assert.Empty(t, log.String(), "the next process must find it in the cache")
	assert.True(t, bytes.Equal(without(t, p), binary), "the cache must give what a build gives")
}

// Builders of several processes know nothing of each other.
func TestBuild_SharesTheCacheWithOtherProcesses(t *testing.T) {
	t.Parallel()
	folder, p := cacheFolder(t), program(t, sources())
	var waiting sync.WaitGroup
	for range 4 {
		output := t.TempDir()
		waiting.Go(func() {
			assert.NoError(t, bundle.NewBuilder(bundle.NewCache(folder, 3), new(bytes.Buffer)).Build(p, output))
		})
	}
	waiting.Wait()
	assert.Len(t, names(t, folder), 1, "what is left over would stay")
	var log bytes.Buffer
	assert.True(t, bytes.Equal(without(t, p), build(t, bundle.NewBuilder(bundle.NewCache(folder, 3), &log), p)))
	assert.Empty(t, log.String())
}

func TestBuild_ReplacesWhatIsBrokenInTheCache(t *testing.T) {
	t.Parallel()
	folder, p := cacheFolder(t), program(t, sources())
	cache := bundle.NewCache(folder, 3)
	want := build(t, bundle.NewBuilder(cache, new(bytes.Buffer)), p)
	kept := names(t, folder)
	require.Len(t, kept, 1)
	file := filepath.Join(folder, kept[0])
	for name, content := range map[string][]byte{
		"truncated": want[:len(want)/2], "empty": nil,
		"another program": []byte("#!/bin/sh\n"),
	} {
		require.NoError(t, os.WriteFile(file, content, 0o600))
		var log bytes.Buffer
		assert.Truef(t, bytes.Equal(want, build(t, bundle.NewBuilder(cache, &log), p)), "%s: it would be deployed", name)
		assert.Containsf(t, log.String(), "built cmd/hello", name)
		assert.Equalf(t, kept, names(t, folder), name)
		log.Reset()
		build(t, bundle.NewBuilder(cache, &log), p)
		assert.Emptyf(t, log.String(), "%s: it is not mended", name)
	}
}

func TestBuild_DoesWithoutACache(t *testing.T) {
	p := program(t, sources())
	t.Run("that cannot be written", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		var log bytes.Buffer
		build(t, bundle.NewBuilder(bundle.NewCache(filepath.Join(file, "programs"), 3), &log), p)
		assert.Contains(t, log.String(), "ecsrunners: cmd/hello will be built again next time: keeping a program: ")
	})
	t.Run("because there is no home", func(t *testing.T) {
		t.Setenv("GOCACHE", goCache(t))
		t.Setenv("HOME", "")
		t.Setenv("XDG_CACHE_HOME", "")
		var log bytes.Buffer
		build(t, bundle.NewBuilder(bundle.UserCache(), &log), p)
		assert.NotContains(t, log.String(), "again")
	})
}

func TestBuild_KeepsWhatWasUsedLast(t *testing.T) {
	t.Parallel()
	folder, p := cacheFolder(t), program(t, sources())
	touch := func(name string, age time.Duration) string {
		file := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		then := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(file, then, then))
		return name
	}
	name := func(digit string) string { return strings.Repeat(digit, 64) + "-" + strings.Repeat(digit, 64) }
	old := touch(name("1"), 3*time.Hour)
	older := touch(name("2"), 4*time.Hour)
	touch(name("3"), 5*time.Hour)
	touch("new-left", 2*time.Hour)
	writing := touch("new-being-written", time.Minute)
	// Not the cache's to remove, whatever the folder is.
	others := []string{
		touch("thesis.odt", 9*time.Hour), touch("a-b", 9*time.Hour), touch(name("4")+".bak", 9*time.Hour),
		touch(strings.ToUpper(name("a")), 9*time.Hour),
	}
	build(t, bundle.NewBuilder(bundle.NewCache(folder, 3), new(bytes.Buffer)), p)
	built := func(p bundle.Program) string {
		for _, name := range names(t, folder) {
			if strings.HasPrefix(name, hash(t, p)) {
				return name
			}
		}
		return "not in the cache"
	}
	assert.ElementsMatch(t, append(others, built(p), writing, old, older), names(t, folder))

	touch(name("5"), time.Minute)
	build(t, bundle.NewBuilder(bundle.NewCache(folder, 3), new(bytes.Buffer)), p) // uses it
	other, err := bundle.NewProgram(sources(), "cmd/hello", "x64")
	require.NoError(t, err)
	build(t, bundle.NewBuilder(bundle.NewCache(folder, 2), new(bytes.Buffer)), other)
	assert.ElementsMatch(t, append(others, built(p), built(other), writing), names(t, folder))
}

// What somebody else can put into the cache would be deployed.
func TestBuild_UsesNoCacheThatOthersCanWriteTo(t *testing.T) {
	p := program(t, sources())
	folder := cacheFolder(t)
	checksum := sha256.Sum256([]byte("planted"))
	planted := filepath.Join(folder, hash(t, p)+"-"+hex.EncodeToString(checksum[:]))
	require.NoError(t, os.WriteFile(planted, []byte("planted"), 0o600))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(folder, link))
	assert.Equal(t, "planted", string(build(t, bundle.NewBuilder(bundle.NewCache(folder, 3), new(bytes.Buffer)), p)),
		"the name must be one that the cache trusts, or the cases below show nothing")

	refused := func(name, cache string) {
		t.Helper()
		before := names(t, folder)
		var log bytes.Buffer
		binary := build(t, bundle.NewBuilder(bundle.NewCache(cache, 3), &log), p)
		assert.NotEqual(t, "planted", string(binary), name)
		assert.Contains(t, log.String(), "ecsrunners: cmd/hello will be built again next time: keeping a program: "+cache, name)
		assert.Equal(t, before, names(t, folder), name)
	}
	refused("a link", link)
	for _, mode := range []os.FileMode{0o777, 0o720, 0o702, 0o777 | os.ModeSticky} {
		require.NoError(t, os.Chmod(folder, mode))
		refused(mode.String(), folder)
	}
	require.NoError(t, os.Chmod(folder, 0o700))
	if os.Geteuid() == 0 { // who else can give a folder away
		require.NoError(t, os.Chown(folder, 65534, -1))
		refused("of another user", folder)
	}
}

func TestBuild_MakesACacheForItsUserAlone(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "home[1]", "programs")
	var log bytes.Buffer
	for range 2 {
		build(t, bundle.NewBuilder(bundle.NewCache(folder, 3), &log), program(t, sources()))
	}
	assert.Equal(t, 1, strings.Count(log.String(), "building"), "the folder's name is taken for a pattern")
	info, err := os.Stat(folder)
	require.NoError(t, err)
	assert.Equal(t, "drwx------", info.Mode().String())
}

// cacheFolder is one that is used whatever the umask is.
func cacheFolder(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "programs")
	require.NoError(t, os.Mkdir(folder, 0o700))
	return folder
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

func goCache(t *testing.T) string {
	t.Helper()
	folder, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(folder))
}
