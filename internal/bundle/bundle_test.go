package bundle_test

import (
	"debug/buildinfo"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
)

// sources is a module with a program that imports one package, beside one that
// it does not.
func sources() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"go.mod":               file("module example.com/m\n\ngo 1.26.0\n\ntoolchain go1.26.8\n"),
		"go.sum":               file(""),
		"cmd/hello/main.go":    file("package main\n\nimport \"example.com/m/greeting\"\n\nfunc main() { println(greeting.Text) }\n"),
		"cmd/hello/x_test.go":  file("package main\n"),
		"greeting/greeting.go": file("package greeting\n\nimport \"example.com/m/words\"\n\nconst Text = words.Hello\n"),
		"words/words.go":       file("package words\n\nconst Hello = \"hello\"\n"),
		"other/other.go":       file("package other\n"),
	}
}

func program(sources fstest.MapFS) bundle.Program {
	return bundle.Program{Sources: sources, Package: "cmd/hello", GOARCH: "arm64"}
}

func hash(t *testing.T, p bundle.Program) string {
	t.Helper()
	h, err := p.Hash()
	require.NoError(t, err)
	return h
}

func TestFiles_AreThoseOfTheProgramAlone(t *testing.T) {
	t.Parallel()
	files, err := program(sources()).Files()
	require.NoError(t, err)
	assert.Equal(t, []string{"cmd/hello/main.go", "go.mod", "go.sum", "greeting/greeting.go", "words/words.go"}, files)
}

func TestHash_ChangesWithWhatTheBinaryIsMadeOf(t *testing.T) {
	t.Parallel()
	original := hash(t, program(sources()))
	assert.Regexp(t, "^[0-9a-f]{64}$", original)
	assert.Equal(t, original, hash(t, program(sources())), "the hash must be the same on every machine")

	changes := map[string]func(*bundle.Program, fstest.MapFS){
		"its own source": func(_ *bundle.Program, m fstest.MapFS) {
			m["cmd/hello/main.go"].Data = append(m["cmd/hello/main.go"].Data, '\n')
		},
		"an imported package": func(_ *bundle.Program, m fstest.MapFS) {
			m["words/words.go"].Data = []byte("package words\n\nconst Hello = \"hi\"\n")
		},
		"a new file": func(_ *bundle.Program, m fstest.MapFS) {
			m["words/more.go"] = &fstest.MapFile{Data: []byte("package words\n")}
		},
		"a dependency": func(_ *bundle.Program, m fstest.MapFS) { m["go.sum"].Data = []byte("x v1.0.0 h1:=\n") },
		"the toolchain": func(_ *bundle.Program, m fstest.MapFS) {
			m["go.mod"].Data = []byte("module example.com/m\n\ngo 1.26.0\n\ntoolchain go1.26.9\n")
		},
		"the architecture": func(p *bundle.Program, _ fstest.MapFS) { p.GOARCH = "amd64" },
	}
	for name, change := range changes {
		changed := sources()
		p := program(changed)
		change(&p, changed)
		assert.NotEqualf(t, original, hash(t, p), "%s changed and the function would not be deployed", name)
	}
	for name, change := range map[string]string{"a test": "cmd/hello/x_test.go", "a package of another program": "other/other.go"} {
		changed := sources()
		changed[change].Data = append(changed[change].Data, '\n')
		assert.Equalf(t, original, hash(t, program(changed)), "%s changed and the function would be deployed for nothing", name)
	}
}

func TestHash_FailsWhenTheToolchainIsOpen(t *testing.T) {
	t.Parallel()
	open := sources()
	open["go.mod"].Data = []byte("module example.com/m\n\ngo 1.26.0\n")
	_, err := program(open).Hash()
	assert.EqualError(t, err, "reading the toolchain: go.mod has no toolchain line")
}

func TestBuild_MakesTheBinaryThatLambdaStarts(t *testing.T) {
	p := program(sources())
	extracted, output := filepath.Join(t.TempDir(), "a", "sources"), t.TempDir()
	require.NoError(t, p.Extract(extracted))
	require.NoError(t, p.Build(extracted, output))

	info, err := buildinfo.ReadFile(filepath.Join(output, "bootstrap"))
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
		"GOENV": file, "GOARCH": "386", "GOARM64": "v9.0,lse,crypto", "GOAMD64": "v3", "GOFIPS140": "latest", "CGO_ENABLED": "1",
	} {
		t.Setenv(name, value)
	}
	again := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "sources")
	require.NoError(t, p.Extract(elsewhere))
	require.NoError(t, p.Build(elsewhere, again))
	one, err := os.ReadFile(filepath.Join(output, "bootstrap"))
	require.NoError(t, err)
	two, err := os.ReadFile(filepath.Join(again, "bootstrap"))
	require.NoError(t, err)
	assert.Equal(t, one, two, "the same sources in another folder, on a machine set up otherwise, must give the same bytes")
}

func TestBuild_ShowsWhatTheCompilerSaid(t *testing.T) {
	t.Parallel()
	broken := sources()
	broken["words/words.go"].Data = []byte("package words\n\nconst Hello = undefinedName\n")
	p := program(broken)
	extracted := t.TempDir()
	require.NoError(t, p.Extract(extracted))
	err := p.Build(extracted, t.TempDir())
	require.Error(t, err)
	assert.ErrorContains(t, err, "building cmd/hello: exit status 1")
	assert.ErrorContains(t, err, "words/words.go:3:15: undefined: undefinedName")
}

func TestBuild_FailsWhenThereIsNoGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	assert.ErrorIs(t, program(sources()).Build(t.TempDir(), t.TempDir()), bundle.ErrNoGo)
}
