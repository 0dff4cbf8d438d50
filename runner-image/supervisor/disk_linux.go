package main

import (
	"context"
	"crypto/rand"
	"os"
	"syscall"
	"time"
)

// disk is what a job can write, below a folder and not beyond its file system:
// volumes that are mounted there stay as they are.
type disk struct {
	folder string
	since  time.Time // what was changed before is the image's
	owner  int       // of what is removed
	all    bool      // remove it whoever owns it
	device uint64
}

// empty removes what has been written since the supervisor began, until ctx ends.
// ECS removes a container some time after its end, and until then a job that has
// filled the disk would keep the next one from starting. A file is a job's by the
// time at which its inode changed: it is the kernel's, and no job can choose it.
//
// The folders that hold most come first, by their paths below the folder. Links are
// not followed. A job can nest folders deeper than a process can have files open:
// those that are too deep are moved up, and are emptied afterwards.
func (d disk) empty(ctx context.Context, first ...string) {
	root, err := os.OpenRoot(d.folder)
	if err != nil {
		return
	}
	defer func() { _ = root.Close() }()
	stat, err := inode(root, ".")
	if err != nil {
		return
	}
	d.device = stat.Dev
	for _, folder := range append(first, ".") {
		d.emptyFolder(ctx, root, folder)
	}
}

// maxDepth is how deep folders are entered before they are moved up.
const maxDepth = 32

func (d disk) emptyFolder(ctx context.Context, parent *os.Root, folder string) {
	root, ok := d.open(parent, folder)
	if !ok {
		return
	}
	defer func() { _ = root.Close() }()
	top, err := root.Open(".")
	if err != nil {
		return
	}
	defer func() { _ = top.Close() }()
	var moved []string // by names that no job can have taken
	up := func(from *os.Root, name string) bool {
		source, err := from.Open(".")
		if err != nil {
			return false
		}
		defer func() { _ = source.Close() }()
		to := rand.Text()
		if syscall.Renameat(int(source.Fd()), name, int(top.Fd()), to) != nil {
			return false
		}
		moved = append(moved, to)
		return true
	}
	d.remove(ctx, root, maxDepth, up)
	for ; len(moved) > 0 && ctx.Err() == nil; moved = moved[1:] {
		name := moved[0]
		if below, ok := d.open(root, name); ok {
			d.remove(ctx, below, maxDepth, up)
			_ = below.Close()
		}
		_ = root.Remove(name)
	}
}

// open opens a folder of the disk, or returns false if it is none: a link, or what is
// mounted there.
func (d disk) open(parent *os.Root, name string) (*os.Root, bool) {
	if stat, err := inode(parent, name); err != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return nil, false
	}
	root, err := parent.OpenRoot(name)
	if err != nil {
		return nil, false
	}
	if stat, err := inode(root, "."); err != nil || stat.Dev != d.device {
		_ = root.Close()
		return nil, false
	}
	return root, true
}

func inode(root *os.Root, name string) (*syscall.Stat_t, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	return info.Sys().(*syscall.Stat_t), nil //nolint:forcetypeassert // what os returns on Linux
}

// remove empties a folder of the disk. What cannot be removed stays: a file that is
// mounted, a folder that still has something.
func (d disk) remove(ctx context.Context, root *os.Root, depth int, up func(from *os.Root, name string) bool) {
	entries, err := root.Open(".")
	if err != nil {
		return
	}
	defer func() { _ = entries.Close() }()
	for {
		names, end := entries.Readdirnames(1024)
		for _, name := range names {
			if ctx.Err() != nil {
				return
			}
			stat, err := inode(root, name)
			if err != nil {
				continue
			}
			if stat.Mode&syscall.S_IFMT == syscall.S_IFDIR {
				if depth == 0 && d.written(stat) && up(root, name) {
					continue
				}
				if below, ok := d.open(root, name); ok {
					d.remove(ctx, below, max(depth-1, 0), up)
					_ = below.Close()
				}
			}
			if d.written(stat) {
				_ = root.Remove(name)
			}
		}
		if end != nil {
			return
		}
	}
}

// written reports whether a job may have written a file.
func (d disk) written(stat *syscall.Stat_t) bool {
	return (d.all || int(stat.Uid) == d.owner) && !time.Unix(stat.Ctim.Unix()).Before(d.since)
}

// endAll kills every process of the container and waits for their end. It does so as
// the first process only: to any other, "every" would mean the machine's.
func (r *reaper) endAll(ctx context.Context) {
	if os.Getpid() != 1 {
		return
	}
	for ctx.Err() == nil && syscall.Kill(-1, syscall.SIGKILL) == nil {
		r.reap()
		time.Sleep(time.Millisecond)
	}
	r.reap()
}
