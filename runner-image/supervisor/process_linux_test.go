package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// While a job runs, the configuration is in the environment the listener was
// started with, and nowhere else.
func TestConfiguration_IsNowhereElse(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "listen; run build; await end; done Succeeded; exit 0", newService(t, nil)).start().see(
		"Running job")
	var tree []procEntry
	require.Eventually(t, func() bool {
		tree = below(t, c.cmd.Process.Pid)
		return len(tree) >= 3 // supervisor, listener, worker
	}, 10*time.Second, time.Millisecond)

	var holders []string
	for _, p := range tree {
		assert.NotContains(t, p.file(t, "cmdline"), jitConfig, "%s has it as an argument", p.name)
		assert.NotContains(t, p.file(t, "cmdline")+p.file(t, "environ"), releaseToken, "%s could be registered again", p.name)
		if strings.Contains(p.file(t, "environ"), jitConfig) {
			holders = append(holders, p.name)
		}
	}
	assert.Equal(t, []string{"Runner.Listener"}, holders, "of %v", tree)

	if os.Getuid() == 0 {
		for _, p := range tree[1:] {
			if p.file(t, "status") == "" { // a hook that has ended
				continue
			}
			assert.Contains(t, p.file(t, "status"), fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d", runnercontract.UID))
			assert.Contains(t, p.file(t, "status"), "Groups:\t \n", "supplementary groups of root were kept")
		}
	}

	// The runner writes the parts of it, decoded, into its root. Nobody writes the
	// whole.
	root := filepath.Dir(c.setting.Root)
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // nobody plays tricks with links here
		assert.False(t, bytes.Contains(content, []byte(jitConfig)), "%s contains it", path)
		assert.False(t, bytes.Contains(content, []byte(releaseToken)), "%s contains the supervisor's token", path)
		if bytes.Contains(content, []byte("s3crets3cret")) {
			assert.Equal(t, filepath.Join(c.setting.Root, ".credentials"), path)
		}
		return err
	}))
	c.touch("end")
	assert.Equal(t, runnercontract.ReasonJobRan, c.wait().Reason)
}

// A setuid program that slips into an image is no way to become root, unless the
// image has sudo and so is meant to let jobs become it.
func TestListener_GainsNoPrivileges(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "sudo")
	require.NoError(t, os.WriteFile(mark, nil, 0o600))
	for sudo, want := range map[string]string{"": "1", "/": "1", mark: "0"} {
		c := newContainer(t, "listen; run build; await end; done Succeeded; exit 0", newService(t, nil))
		c.setting.Sudo = sudo
		c.start().see("Running job")
		var tree []procEntry
		require.Eventually(t, func() bool {
			tree = below(t, c.cmd.Process.Pid)
			return len(tree) >= 3
		}, 10*time.Second, time.Millisecond)
		assert.Contains(t, tree[0].file(t, "status"), "NoNewPrivs:\t0", "the supervisor itself is as it was")
		for _, p := range tree[1:] {
			if p.file(t, "status") == "" { // a hook that has ended
				continue
			}
			assert.Contains(t, p.file(t, "status"), "NoNewPrivs:\t"+want, "%s with sudo at %q", p.name, sudo)
		}
		c.touch("end")
		assert.Equal(t, runnercontract.ReasonJobRan, c.wait().Reason)
	}
}

// What a job has written is gone when the supervisor ends, and what the image has is
// still there.
func TestDisk_IsEmptiedAtTheEnd(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root: by its owner a file is told from root's")
	}
	for name, script := range map[string]string{
		"a job that ran":  "done Succeeded; exit 0",
		"a lost listener": "die",
		"a stopped task":  "deaf; touch ready; hang",
	} {
		c := newContainer(t, "listen; run build; shell sh fill; "+script, newService(t, nil))
		folder := filepath.Dir(c.setting.Root)
		c.setting.Disk = folder
		c.setting.Pace = 5 // so that there is time left of the stop timeout
		own := func(name, content string) string {
			file := filepath.Join(folder, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
			for at := file; at != folder; at = filepath.Dir(at) {
				require.NoError(t, os.Chown(at, c.setting.UID, c.setting.UID))
			}
			return file
		}
		kept := own("runner/externals/node", "of the image")
		changed := own("runner/externals/changed", "of the image")
		outside := filepath.Join(t.TempDir(), "outside") // of another file system, in an image
		require.NoError(t, os.WriteFile(outside, nil, 0o600))
		own("tmp/of-the-image", "")
		own("runner/fill", `set -e
			mkdir -p _work/app/deep "_tool_cache/node/x 64" ../tmp/mine
			for f in _work/app/deep/big "_tool_cache/node/x 64/node" ../tmp/mine/socket .bashrc externals/changed; do
				head -c 100000 /dev/zero > "$f"
			done
			touch -d 2001-01-01 _work/app/deep/big
			chmod 000 _work/app/deep/big; chmod 500 _work/app/deep
			ln -s `+filepath.Dir(outside)+` _work/link
			touch filled
			(d=_work; i=0; name=$(printf %0200d 0); cd $d
			while [ $i -lt 40 ]; do mkdir $name; cd $name; i=$((i+1)); done; echo hidden > hidden)
		`)
		time.Sleep(20 * time.Millisecond) // the kernel's time for files is a little behind
		c.start()
		if strings.HasPrefix(script, "deaf") {
			require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(c.setting.Root, "ready")); return err == nil },
				10*time.Second, time.Millisecond)
			c.terminate()
		}
		e := c.wait()
		assert.Contains(t, e.log, "Running job: build", name)
		assert.NotContains(t, e.log, "cannot", name)

		var found []string
		require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				relative, _ := filepath.Rel(folder, path)
				found = append(found, relative)
			}
			return err
		}))
		assert.ElementsMatch(t, []string{
			"runner/bin/Runner.Listener", "runner/externals/node", "runner/fill", "tmp/of-the-image",
			"scripts/job-started.sh", "scripts/job-completed.sh",
		}, found, name)
		assert.FileExists(t, kept)
		assert.NoFileExists(t, changed, "its copy takes room")
		assert.FileExists(t, outside, "a link was followed")
		assert.NoDirExists(t, filepath.Join(c.setting.Root, "_work"), "folders take room as well")
	}
}

func TestDisk_StaysWithinItsTimeAndFileSystem(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	d := disk{folder: folder, since: time.Now().Add(-time.Minute), owner: os.Getuid()}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	d.empty(over)
	assert.FileExists(t, file, "SIGKILL would have taken the exit code along")
	d.since = time.Now().Add(time.Minute)
	d.empty(t.Context())
	assert.FileExists(t, file, "it is the image's")
	d.since, d.owner = time.Now().Add(-time.Minute), os.Getuid()+1
	d.empty(t.Context())
	assert.FileExists(t, file, "it is another user's")
	d.all = true
	d.empty(t.Context())
	assert.NoFileExists(t, file, "with sudo a job can write as anybody")

	if os.Getuid() == 0 {
		mounted := filepath.Join(folder, "volume")
		require.NoError(t, os.Mkdir(mounted, 0o755))
		require.NoError(t, syscall.Mount("none", mounted, "tmpfs", 0, ""))
		t.Cleanup(func() { _ = syscall.Unmount(mounted, 0) })
		cache := filepath.Join(mounted, "cache")
		require.NoError(t, os.WriteFile(cache, nil, 0o600))
		d.empty(t.Context(), "volume")
		assert.FileExists(t, cache, "the volumes of a customer outlive a task")
	}
	assert.Empty(t, standard().disk, "anywhere but in a container, the files are somebody's")
}

// Not parallel: the limit is that of the process.
func TestDisk_NestedFoldersHideNothing(t *testing.T) {
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	folder := t.TempDir()
	d := disk{folder: folder, since: time.Now().Add(-time.Minute), owner: os.Getuid()}
	at, err := os.OpenRoot(folder)
	require.NoError(t, err)
	for range 1000 {
		require.NoError(t, at.Mkdir("d", 0o700))
		below, err := at.OpenRoot("d")
		require.NoError(t, err)
		require.NoError(t, at.Close())
		at = below
	}
	require.NoError(t, at.WriteFile("hidden", nil, 0o600))
	require.NoError(t, at.Close())

	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 256, Max: limit.Max}))
	d.empty(t.Context())
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestDisk_FollowsNoLinkToAnotherFileSystem(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "elsewhere"), 0o700))
	file := filepath.Join(folder, "elsewhere", "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Symlink("elsewhere", filepath.Join(folder, "tmp")))
	d := disk{folder: folder, since: time.Now().Add(-time.Minute), owner: os.Getuid()}
	root, err := os.OpenRoot(folder)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close() })
	stat, err := inode(root, ".")
	require.NoError(t, err)
	d.device = stat.Dev
	d.emptyFolder(t.Context(), root, "tmp")
	assert.FileExists(t, file)
}

func TestEnvironment_OfTheListener(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "shell env; listen; run build; done Succeeded; exit 0", newService(t, nil)).with("CUSTOMER",
		"1").with("HOME", "/root")
	log := c.run().log
	for _, want := range []string{
		"CUSTOMER=1", "HOME=" + c.setting.Root, "USER=runner", "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1",
		"ACTIONS_RUNNER_HOOK_JOB_STARTED=" + c.setting.Scripts + "/job-started.sh",
		"ACTIONS_RUNNER_HOOK_JOB_COMPLETED=" + c.setting.Scripts + "/job-completed.sh",
	} {
		assert.Contains(t, log, "\n"+forwarded+want+"\n")
	}
	assert.NotContains(t, log, "\n"+forwarded+runnercontract.EnvPrefix)
}

// A job may leave processes behind that nobody waits for, and that hold on to the
// listener's output.
func TestOrphans_AreReapedAndDoNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	const script = "shell (setsid sleep 0.05 &)\n (setsid sleep 0.1 &)\n (setsid sleep 1000 & echo $! > orphan)"
	c := newContainer(t, "listen; run build; "+script+"; await end; done Succeeded; exit 0", newService(t, nil)).start()
	orphan := filepath.Join(c.setting.Root, "orphan")
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(orphan)
		return err == nil && len(content) > 0
	}, 10*time.Second, time.Millisecond)
	t.Cleanup(func() { // the end of a container would end it
		content, _ := os.ReadFile(orphan)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(content))); err == nil {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
	})
	require.Eventually(t, func() bool {
		sleeping, zombies := 0, 0
		for _, p := range below(t, c.cmd.Process.Pid) {
			if p.name == "sleep" {
				sleeping++
			}
			if p.state == "Z" {
				zombies++
			}
		}
		return sleeping == 1 && zombies == 0
	}, 10*time.Second, 5*time.Millisecond, "ended orphans are not reaped")
	c.touch("end")
	begun := time.Now()
	assert.Equal(t, runnercontract.ReasonJobRan, c.wait().Reason)
	assert.Less(t, time.Since(begun), 10*time.Second)
}

// procEntry is a process as /proc shows it.
type procEntry struct {
	pid, parent int
	name, state string
}

func (p procEntry) String() string { return p.name }

// file returns a file of the process, or "" if it has ended.
func (p procEntry) file(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), name))
	if err != nil {
		return ""
	}
	return string(content)
}

// below returns a process and its descendants, parents first.
func below(t *testing.T, root int) []procEntry {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var all []procEntry
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent …; the name may contain anything
		head, tail, ok := strings.Cut(string(content), " (")
		end := strings.LastIndex(tail, ") ")
		if !ok || end < 0 {
			continue
		}
		p := procEntry{name: tail[:end]}
		fields := strings.Fields(tail[end+2:])
		p.state = fields[0]
		p.pid, _ = strconv.Atoi(head)
		p.parent, _ = strconv.Atoi(fields[1])
		all = append(all, p)
	}
	var tree []procEntry
	for _, p := range all {
		if p.pid == root {
			tree = append(tree, p)
		}
	}
	for i := 0; i < len(tree); i++ {
		for _, p := range all {
			if p.parent == tree[i].pid {
				tree = append(tree, p)
			}
		}
	}
	return tree
}
