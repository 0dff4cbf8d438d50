package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Tree is a part of the sources.
type Tree struct {
	Sources fs.FS
	Root    string   // folder of Sources that becomes the root of the tree
	Files   []string // below Root, sorted
}

// Hash identifies the tree: it is over the names and the bytes of its files, 64
// hexadecimal digits.
func (t Tree) Hash() (string, error) {
	hash := sha256.New()
	if err := t.write(hash); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// write writes what the hash is over.
func (t Tree) write(w io.Writer) error {
	for _, name := range t.Files {
		data, err := fs.ReadFile(t.Sources, path.Join(t.Root, name))
		if err != nil {
			return fmt.Errorf("hashing %s: %w", name, err)
		}
		fmt.Fprintf(w, "file %q %d\n%s\n", name, len(data), data)
	}
	return nil
}

// Extract writes the tree below a folder, which it makes. Scripts can be executed.
func (t Tree) Extract(folder string) error {
	for _, name := range t.Files {
		data, err := fs.ReadFile(t.Sources, path.Join(t.Root, name))
		if err != nil {
			return fmt.Errorf("extracting %s: %w", name, err)
		}
		target := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("extracting %s: %w", name, err)
		}
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		if err := os.WriteFile(target, data, mode); err != nil {
			return fmt.Errorf("extracting %s: %w", name, err)
		}
	}
	return nil
}
