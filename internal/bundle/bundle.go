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

// ErrNoGo is returned by Build when there is no go command.
var ErrNoGo = errors.New("the go command is not on PATH")

// Binary is the name of the program that Build makes; the runtime
// provided.al2023 starts it.
const Binary = "bootstrap"

// Program is a program of this library for AWS Lambda.
type Program struct {
	Sources fs.FS  // a module: go.mod, go.sum and the packages of the program
	Package string // the folder of its main package, such as "lambda/webhook"
	GOARCH  string // "amd64" or "arm64"
}

// flags make the same binary from the same sources on every machine, without
// the RPC mode of Lambda's retired Go runtime.
var flags = []string{"-mod=readonly", "-trimpath", "-buildvcs=false", "-tags=lambda.norpc", "-ldflags=-s -w -buildid="}

// Environment is what a build has of Go's settings: target and toolchain are
// exact. The user's own settings do not count, neither in variables nor in the
// file of go env -w, because the same hash must stand for the same binary.
func (p Program) Environment() (map[string]string, error) {
	toolchain, err := p.Toolchain()
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"CGO_ENABLED": "0",
		"GOARCH":      p.GOARCH,
		"GOENV":       "off",
		"GOFLAGS":     "",
		"GOOS":        "linux",
		"GOTOOLCHAIN": toolchain,
		"GOWORK":      "off",
	}, nil
}

// Command is the build as a command line, run in the folder of the sources.
func (p Program) Command(output string) []string {
	return slices.Concat([]string{"go", "build"}, flags, []string{"-o", output, "./" + p.Package})
}

// Toolchain is the Go toolchain that go.mod asks for, such as "go1.26.8".
func (p Program) Toolchain() (string, error) {
	data, err := fs.ReadFile(p.Sources, "go.mod")
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

// Files are the files that the program is made of, sorted: the module files and
// the packages that it imports from its own module, without tests.
func (p Program) Files() ([]string, error) {
	data, err := fs.ReadFile(p.Sources, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("listing the files of %s: %w", p.Package, err)
	}
	module := modfile.ModulePath(data) + "/"
	files := []string{"go.mod", "go.sum"}
	packages := map[string]bool{p.Package: true}
	for queue := []string{p.Package}; len(queue) > 0; queue = queue[1:] {
		found, imports, err := p.packageFiles(queue[0])
		if err != nil {
			return nil, fmt.Errorf("listing the files of %s: %w", p.Package, err)
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

func (p Program) packageFiles(folder string) (files, imports []string, err error) {
	entries, err := fs.ReadDir(p.Sources, folder)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		name := path.Join(folder, entry.Name())
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		data, err := fs.ReadFile(p.Sources, name)
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

// Hash identifies what Build makes, without building: it is over the files of
// the program, the toolchain, the target and the flags. It is 64 hexadecimal
// digits.
func (p Program) Hash() (string, error) {
	files, err := p.Files()
	if err != nil {
		return "", err
	}
	environment, err := p.Environment()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range files {
		data, err := fs.ReadFile(p.Sources, name)
		if err != nil {
			return "", fmt.Errorf("hashing %s: %w", p.Package, err)
		}
		fmt.Fprintf(hash, "file %q %d\n%s\n", name, len(data), data)
	}
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		fmt.Fprintf(hash, "%s=%q\n", name, environment[name])
	}
	fmt.Fprintf(hash, "%q\n", p.Command(Binary))
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Extract writes the files of the program below a folder, which it makes.
func (p Program) Extract(folder string) error {
	files, err := p.Files()
	if err != nil {
		return err
	}
	for _, name := range files {
		data, err := fs.ReadFile(p.Sources, name)
		if err != nil {
			return fmt.Errorf("extracting %s: %w", p.Package, err)
		}
		target := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("extracting %s: %w", p.Package, err)
		}
		if err := os.WriteFile(target, data, 0o644); err != nil {
			return fmt.Errorf("extracting %s: %w", p.Package, err)
		}
	}
	return nil
}

// Build compiles extracted sources into Binary in the output folder. It returns
// ErrNoGo when Go is missing; when the build fails, the error has the
// compiler's output.
func (p Program) Build(sources, output string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return ErrNoGo
	}
	environment, err := p.Environment()
	if err != nil {
		return err
	}
	output, err = filepath.Abs(output)
	if err != nil {
		return fmt.Errorf("building %s: %w", p.Package, err)
	}
	command := p.Command(filepath.Join(output, Binary))
	build := exec.Command(command[0], command[1:]...)
	build.Dir = sources
	build.Env, err = withoutGoSettings(os.Environ())
	if err != nil {
		return fmt.Errorf("building %s: %w", p.Package, err)
	}
	for name, value := range environment {
		build.Env = append(build.Env, name+"="+value)
	}
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", p.Package, err, text)
	}
	return nil
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
