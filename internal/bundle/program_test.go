package bundle_test

import (
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
		"go.mod": file("module example.com/m\n\ngo 1.26.0\n\ntoolchain go1.26.8\n"),
		"go.sum": file(""),
		"cmd/hello/main.go": file("package main\n\nimport \"example.com/m/greeting\"\n\nfunc main() { " +
			"println(greeting.Text) }\n"),
		"cmd/hello/x_test.go":  file("package main\n"),
		"greeting/greeting.go": file("package greeting\n\nimport \"example.com/m/words\"\n\nconst Text = words.Hello\n"),
		"words/words.go":       file("package words\n\nconst Hello = \"hello\"\n"),
		"other/other.go":       file("package other\n"),
	}
}

func program(t *testing.T, sources fstest.MapFS) bundle.Program {
	t.Helper()
	p, err := bundle.NewProgram(sources, "cmd/hello", "arm64")
	require.NoError(t, err)
	return p
}

func hash(t *testing.T, p bundle.Program) string {
	t.Helper()
	h, err := p.Hash()
	require.NoError(t, err)
	return h
}

func TestFiles_AreThoseOfTheProgramAlone(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"cmd/hello/main.go", "go.mod", "go.sum", "greeting/greeting.go", "words/words.go"},
		program(t, sources()).Files)
}

func TestHash_ChangesWithWhatTheBinaryIsMadeOf(t *testing.T) {
	t.Parallel()
	original := hash(t, program(t, sources()))
	assert.Regexp(t, "^[0-9a-f]{64}$", original)
	assert.Equal(t, original, hash(t, program(t, sources())), "the hash must be the same on every machine")

	changes := map[string]func(fstest.MapFS){
		"its own source": func(m fstest.MapFS) {
			m["cmd/hello/main.go"].Data = append(m["cmd/hello/main.go"].Data, '\n')
		},
		"an imported package": func(m fstest.MapFS) {
			m["words/words.go"].Data = []byte("package words\n\nconst Hello = \"hi\"\n")
		},
		"a new file": func(m fstest.MapFS) {
			m["words/more.go"] = &fstest.MapFile{Data: []byte("package words\n")}
		},
		"a dependency": func(m fstest.MapFS) { m["go.sum"].Data = []byte("x v1.0.0 h1:=\n") },
		"the toolchain": func(m fstest.MapFS) {
			m["go.mod"].Data = []byte("module example.com/m\n\ngo 1.26.0\n\ntoolchain go1.26.9\n")
		},
	}
	for name, change := range changes {
		changed := sources()
		change(changed)
		assert.NotEqualf(t, original, hash(t, program(t, changed)), "%s changed and the function would not be deployed", name)
	}
	other, err := bundle.NewProgram(sources(), "cmd/hello", "x64")
	require.NoError(t, err)
	assert.NotEqual(t, original, hash(t, other), "the architecture changed and the function would not be deployed")
	for name, change := range map[string]string{
		"a test":                       "cmd/hello/x_test.go",
		"a package of another program": "other/other.go",
	} {
		changed := sources()
		changed[change].Data = append(changed[change].Data, '\n')
		assert.Equalf(t, original, hash(t, program(t, changed)), "%s changed and the function would be deployed for nothing",
			name)
	}
}

func TestNewProgram_FailsWhenTheToolchainIsOpen(t *testing.T) {
	t.Parallel()
	open := sources()
	open["go.mod"].Data = []byte("module example.com/m\n\ngo 1.26.0\n")
	_, err := bundle.NewProgram(open, "cmd/hello", "arm64")
	assert.EqualError(t, err, "reading the toolchain: go.mod has no toolchain line")
}
