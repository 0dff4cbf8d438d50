package bundle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Cache keeps built programs in a folder, each in a file named after the hash of
// its sources and the checksum of its content. Files appear in one piece, so
// processes share the folder without locks.
//
// What is lost from it, broken or not to be read is built again: nothing that
// goes wrong with a cache is an error.
type Cache struct {
	folder string // empty: nothing is kept
	most   int    // programs that are kept
}

// NewCache keeps the most recently used programs in a folder, which it makes when
// there is something to keep.
func NewCache(folder string, most int) Cache { return Cache{folder, most} }

// UserCache is in the user's folder for caches, see [os.UserCacheDir]. Without
// such a folder it keeps nothing.
func UserCache() Cache {
	folder, err := os.UserCacheDir()
	if err != nil {
		return Cache{}
	}
	const most = 16 // of 15 MB at the most
	return NewCache(filepath.Join(folder, "ecsrunners", "programs"), most)
}

// get returns the program that was built from sources with a hash.
func (c Cache) get(hash string) (binary []byte, found bool) {
	if c.folder == "" {
		return nil, false
	}
	files, _ := filepath.Glob(filepath.Join(c.folder, hash+"-*"))
	for _, file := range files {
		binary, err := os.ReadFile(file)
		if err == nil && filepath.Base(file) == fileName(hash, binary) {
			now := time.Now()
			_ = os.Chtimes(file, now, now) // tells prune that it is in use
			return binary, true
		}
		_ = os.Remove(file)
	}
	return nil, false
}

// put keeps a program.
func (c Cache) put(hash string, binary []byte) error {
	if c.folder == "" {
		return nil
	}
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return fmt.Errorf("keeping a program: %w", err)
	}
	file, err := os.CreateTemp(c.folder, temporary+"*")
	if err != nil {
		return fmt.Errorf("keeping a program: %w", err)
	}
	_, err = file.Write(binary)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(c.folder, fileName(hash, binary)))
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("keeping a program: %w", err)
	}
	return c.prune()
}

func fileName(hash string, binary []byte) string {
	checksum := sha256.Sum256(binary)
	return hash + "-" + hex.EncodeToString(checksum[:])
}

// temporary begins the names of files that are being written.
const temporary = "new-"

// prune removes the programs that were used least recently, and what processes
// that ended too early have left.
func (c Cache) prune() error {
	entries, err := os.ReadDir(c.folder)
	if err != nil {
		return fmt.Errorf("removing old programs: %w", err)
	}
	var programs []fs.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		switch {
		case err != nil: // another process has removed it
		case !strings.HasPrefix(entry.Name(), temporary):
			programs = append(programs, info)
		case time.Since(info.ModTime()) > time.Hour:
			_ = os.Remove(filepath.Join(c.folder, entry.Name()))
		}
	}
	slices.SortFunc(programs, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, info := range programs[min(c.most, len(programs)):] {
		_ = os.Remove(filepath.Join(c.folder, info.Name()))
	}
	return nil
}
