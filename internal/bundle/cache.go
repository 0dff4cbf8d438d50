package bundle

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
//
// The checksum finds what is broken, not what is forged. So a folder that others can
// write to is not used: what they put there would be deployed.
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
	folder, err := c.open()
	if err != nil {
		return nil, false
	}
	defer func() { _ = folder.Close() }()
	entries, _ := fs.ReadDir(folder.FS(), ".")
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, hash+"-") {
			continue
		}
		binary, err := folder.ReadFile(name)
		if err == nil && name == fileName(hash, binary) {
			now := time.Now()
			_ = folder.Chtimes(name, now, now) // tells prune that it is in use
			return binary, true
		}
		_ = folder.Remove(name)
	}
	return nil, false
}

// open opens the folder, unless others may have put something there.
func (c Cache) open() (*os.Root, error) {
	named, err := os.Lstat(c.folder)
	if err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(c.folder)
	if err != nil {
		return nil, err
	}
	opened, err := folder.Stat(".")
	if err == nil && (!os.SameFile(named, opened) || !private(opened)) { // a link is not the same
		err = fmt.Errorf("%s (%s) is not a folder of your own that only you can write to", c.folder, named.Mode())
	}
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return folder, nil
}

// put keeps a program.
func (c Cache) put(hash string, binary []byte) error {
	if c.folder == "" {
		return nil
	}
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return fmt.Errorf("keeping a program: %w", err)
	}
	folder, err := c.open()
	if err != nil {
		return fmt.Errorf("keeping a program: %w", err)
	}
	defer func() { _ = folder.Close() }()
	name := temporary + rand.Text()
	file, err := folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keeping a program: %w", err)
	}
	_, err = file.Write(binary)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = folder.Rename(name, fileName(hash, binary))
	}
	if err != nil {
		_ = folder.Remove(name)
		return fmt.Errorf("keeping a program: %w", err)
	}
	return c.prune(folder)
}

func fileName(hash string, binary []byte) string {
	checksum := sha256.Sum256(binary)
	return hash + "-" + hex.EncodeToString(checksum[:])
}

// temporary begins the names of files that are being written.
const temporary = "new-"

// program is the name of a file that has one.
var program = regexp.MustCompile(`^[0-9a-f]{64}-[0-9a-f]{64}$`)

// prune removes the programs that were used least recently, and what processes
// that ended too early have left. Other files are not the cache's.
func (c Cache) prune(folder *os.Root) error {
	entries, err := fs.ReadDir(folder.FS(), ".")
	if err != nil {
		return fmt.Errorf("removing old programs: %w", err)
	}
	var programs []fs.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		switch {
		case err != nil: // another process has removed it
		case program.MatchString(entry.Name()):
			programs = append(programs, info)
		case strings.HasPrefix(entry.Name(), temporary) && time.Since(info.ModTime()) > time.Hour:
			_ = folder.Remove(entry.Name())
		}
	}
	slices.SortFunc(programs, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, info := range programs[min(c.most, len(programs)):] {
		_ = folder.Remove(info.Name())
	}
	return nil
}
