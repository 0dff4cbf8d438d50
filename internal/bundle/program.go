// Package bundle builds the Go programs that run in AWS Lambda from sources
// that travel inside the library, so that an app which imports it needs nothing
// but Go, wherever its module cache, vendor folder or build flags put our files.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// ErrNoGo is returned for a build when there is no go command.
var ErrNoGo = errors.New("the go command is not on PATH")

// Binary is the name of a built program; the runtime provided.al2023 starts it.
const Binary = "bootstrap"

// The folders of the library's programs.
const (
	ImageBuild   = "lambda/imagebuild"
	Registration = "lambda/registration"
	Webhook      = "lambda/webhook"
)

var goarch = map[string]string{"x64": "amd64", "arm64": "arm64"}

// Program is a program for AWS Lambda: the sources that it is made of, and how it
// is built.
type Program struct {
	Tree
	Package     string            // the folder of its main package, such as "lambda/webhook"
	Environment map[string]string // Go's settings for the build
}

// NewProgram finds the program of a folder in a module, which must have go.mod and
// go.sum.
//
// Target and toolchain of the build are exact. The user's own settings do not
// count, neither in variables nor in the file of go env -w, because the same hash
// must stand for the same binary.
func NewProgram(sources fs.FS, folder, architecture string) (Program, error) {
	files, err := programFiles(sources, folder)
	if err != nil {
		return Program{}, err
	}
	toolchain, err := toolchainOf(sources)
	if err != nil {
		return Program{}, err
	}
	return Program{
		Tree:    Tree{Sources: sources, Root: ".", Files: files},
		Package: folder,
		Environment: map[string]string{
			"CGO_ENABLED": "0",
			"GOARCH":      goarch[architecture],
			"GOENV":       "off",
			"GOFLAGS":     "",
			"GOOS":        "linux",
			"GOTOOLCHAIN": toolchain,
			"GOWORK":      "off",
		},
	}, nil
}

// flags make the same binary from the same sources on every machine, without
// the RPC mode of Lambda's retired Go runtime.
var flags = []string{"-mod=readonly", "-trimpath", "-buildvcs=false", "-tags=lambda.norpc", "-ldflags=-s -w -buildid="}

// Command is the build as a command line, run in the folder of the sources.
func (p Program) Command(output string) []string {
	return slices.Concat([]string{"go", "build"}, flags, []string{"-o", output, "./" + p.Package})
}

// Hash identifies what is built, without building: it is over the files of the
// program, the toolchain, the target and the flags. It is 64 hexadecimal digits.
func (p Program) Hash() (string, error) {
	hash := sha256.New()
	if err := p.write(hash); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(p.Environment)) {
		fmt.Fprintf(hash, "%s=%q\n", name, p.Environment[name])
	}
	fmt.Fprintf(hash, "%q\n", p.Command(Binary))
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// toolchainOf is the Go toolchain that go.mod asks for, such as "go1.26.8".
func toolchainOf(sources fs.FS) (string, error) {
	data, err := fs.ReadFile(sources, "go.mod")
	if err != nil {
		return "", fmt.Errorf("reading the toolchain: %w", err)
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return "", fmt.Errorf("reading the toolchain: %w", err)
	}
	if mod.Toolchain == nil {
		return "", errors.New("reading the toolchain: go.mod has no toolchain line")
	}
	return mod.Toolchain.Name, nil
}

// programFiles are the files that a program is made of, sorted: the module files
// and the packages that it imports from its own module, without tests.
func programFiles(sources fs.FS, folder string) ([]string, error) {
	data, err := fs.ReadFile(sources, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("listing the files of %s: %w", folder, err)
	}
	module := modfile.ModulePath(data) + "/"
	files := []string{"go.mod", "go.sum"}
	packages := map[string]bool{folder: true}
	for queue := []string{folder}; len(queue) > 0; queue = queue[1:] {
		found, imports, err := packageFiles(sources, queue[0])
		if err != nil {
			return nil, fmt.Errorf("listing the files of %s: %w", folder, err)
		}
		files = append(files, found...)
		for _, imported := range imports {
			if folder, ours := strings.CutPrefix(imported, module); ours && !packages[folder] {
				packages[folder] = true
				queue = append(queue, folder)
			}
		}
	}
	slices.Sort(files)
	return files, nil
}

func packageFiles(sources fs.FS, folder string) (files, imports []string, err error) {
	entries, err := fs.ReadDir(sources, folder)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		name := path.Join(folder, entry.Name())
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		data, err := fs.ReadFile(sources, name)
		if err != nil {
			return nil, nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, data, parser.ImportsOnly)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, name)
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, nil, err
			}
			imports = append(imports, imported)
		}
	}
	return files, imports, nil
}

// build compiles the program and returns the binary. The error is ErrNoGo when Go
// is missing; when the build fails, it has the compiler's output.
func (p Program) build() ([]byte, error) {
	folder, err := os.MkdirTemp("", "ecsrunners-build")
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", p.Package, err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	sources, output := filepath.Join(folder, "sources"), filepath.Join(folder, Binary)
	if err := p.Extract(sources); err != nil {
		return nil, err
	}
	command := p.Command(output)
	build := exec.Command(command[0], command[1:]...)
	build.Dir = sources
	build.Env, err = withoutGoSettings(os.Environ())
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", p.Package, err)
	}
	for name, value := range p.Environment {
		build.Env = append(build.Env, name+"="+value)
	}
	if text, err := combinedOutput(build); err != nil {
		return nil, fmt.Errorf("building %s: %w\n%s", p.Package, err, text)
	}
	binary, err := os.ReadFile(output)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", p.Package, err)
	}
	return binary, nil
}

// origins are the settings of Go that tell where modules and caches are. They
// are the user's, and shape no binary.
var origins = []string{
	"GOAUTH", "GOCACHE", "GOINSECURE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPATH", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOVCS",
}

// withoutGoSettings returns an environment with no other settings of Go than
// origins, those included that the user has written with go env -w.
func withoutGoSettings(environment []string) ([]string, error) {
	var kept []string
	for _, variable := range environment {
		if !strings.HasPrefix(variable, "GO") && !strings.HasPrefix(variable, "CGO_") {
			kept = append(kept, variable)
		}
	}
	output, err := exec.Command("go", append([]string{"env", "-json"}, origins...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("reading go env: %w", err)
	}
	settings := map[string]string{}
	if err := json.Unmarshal(output, &settings); err != nil {
		return nil, fmt.Errorf("reading go env: %w", err)
	}
	for name, value := range settings {
		kept = append(kept, name+"="+value)
	}
	return kept, nil
}
