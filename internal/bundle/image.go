package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The runner image's folder in the module, and what in it stays the library's:
// the rest is the customer's to change.
const (
	imageFolder      = "runner-image"
	supervisorFolder = imageFolder + "/supervisor"
	// BuildSpec is the build of the image, below the root of the library's tree.
	BuildSpec = imageFolder + "/buildspec.yml"
	// BuildScript is what BuildSpec runs.
	BuildScript = imageFolder + "/build.sh"
)

// Tree is a part of the sources that is handed on as it is.
type Tree struct {
	Sources fs.FS
	Root    string   // folder of Sources that becomes the root of the tree
	Files   []string // below Root, sorted
}

// LibraryTree is what the library contributes to the build of the runner image:
// how it is built, and the sources of the supervisor.
func LibraryTree(sources fs.FS) (Tree, error) {
	files, err := Program{Sources: sources, Package: supervisorFolder}.Files()
	if err != nil {
		return Tree{}, err
	}
	files = append(files, BuildSpec, BuildScript)
	err = walk(sources, supervisorFolder, func(name string) { files = append(files, name) })
	if err != nil {
		return Tree{}, fmt.Errorf("listing the library's part of the runner image: %w", err)
	}
	slices.Sort(files)
	return Tree{Sources: sources, Root: ".", Files: slices.Compact(files)}, nil
}

// CustomerTree is the Dockerfile and what is beside it, as a customer starts with.
func CustomerTree(sources fs.FS) (Tree, error) {
	tree := Tree{Sources: sources, Root: imageFolder}
	err := walk(sources, imageFolder, func(name string) {
		if name != BuildSpec && name != BuildScript && !strings.HasPrefix(name, supervisorFolder+"/") {
			tree.Files = append(tree.Files, strings.TrimPrefix(name, imageFolder+"/"))
		}
	})
	if err != nil {
		return Tree{}, fmt.Errorf("listing the customer's part of the runner image: %w", err)
	}
	return tree, nil
}

// walk visits the files below a folder, in order, without tests and their data.
func walk(sources fs.FS, folder string, visit func(name string)) error {
	return fs.WalkDir(sources, folder, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return fs.SkipDir
		case !entry.IsDir() && !strings.HasSuffix(name, "_test.go"):
			visit(name)
		}
		return nil
	})
}

// Hash identifies the tree: it is over the names and the bytes of its files, 64
// hexadecimal digits.
func (t Tree) Hash() (string, error) {
	hash := sha256.New()
	for _, name := range t.Files {
		data, err := fs.ReadFile(t.Sources, path.Join(t.Root, name))
		if err != nil {
			return "", fmt.Errorf("hashing %s: %w", t.Root, err)
		}
		fmt.Fprintf(hash, "file %q %d\n%s\n", name, len(data), data)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Extract writes the tree below a folder, which it makes. Scripts can be executed.
func (t Tree) Extract(folder string) error {
	for _, name := range t.Files {
		data, err := fs.ReadFile(t.Sources, path.Join(t.Root, name))
		if err != nil {
			return fmt.Errorf("extracting %s: %w", t.Root, err)
		}
		target := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("extracting %s: %w", t.Root, err)
		}
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		if err := os.WriteFile(target, data, mode); err != nil {
			return fmt.Errorf("extracting %s: %w", t.Root, err)
		}
	}
	return nil
}
