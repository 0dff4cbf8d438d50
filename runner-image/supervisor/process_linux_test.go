package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	for sudo, want := range map[string]string{"": "1", "/": "0"} {
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
