package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// image says where things are in the image, and who the runner is.
type image struct {
	root    string // of actions/runner, and the runner's home
	scripts string // our hook scripts
	hooks   string // the customer's hooks, in a folder for each hook
	socket  string // of the supervisor
	uid     int    // of the runner, and its group id
	sudo    string // exists if the image was built to let jobs become root
	disk    string // folder below which a job's files are removed at the end; "" for none
	owner   int    // user that the supervisor must be: root, but in tests
}

// standard returns the image that our Dockerfile builds.
func standard() image {
	var disk string
	if os.Getpid() == 1 { // in a container: elsewhere there are others' files
		disk = "/"
	}
	return image{
		disk:    disk,
		root:    runnercontract.Root,
		scripts: runnercontract.SupervisorRoot,
		hooks:   runnercontract.HooksRoot,
		socket:  runnercontract.SupervisorSocket,
		uid:     runnercontract.UID,
		sudo:    runnercontract.SudoMark,
	}
}

// hasSudo reports whether the image was built for jobs that become root. That there
// is a sudo says nothing: it may have come with the base image or another package.
func (img image) hasSudo() bool {
	info, err := os.Lstat(img.sudo)
	return err == nil && info.Mode().IsRegular()
}

// credential returns the user to become, or nil if that is who we are.
func (img image) credential() *syscall.Credential {
	if os.Geteuid() == img.uid {
		return nil
	}
	id := uint32(img.uid) //nolint:gosec // 1001, or a test's own
	return &syscall.Credential{Uid: id, Gid: id}
}

// checkCommand runs the check command.
func checkCommand(args []string, img image) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	want := flags.String("runner-version", "", "version of actions/runner that the image must have")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("reading the arguments: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	version, err := check(ctx, img, *want)
	if err != nil {
		return err
	}
	fmt.Printf("image is complete: actions/runner %s, contract version %d\n", version, runnercontract.Version)
	return nil
}

// check reports everything that keeps this image from running runners. It returns
// the version of actions/runner, which must be want unless that is empty.
func check(ctx context.Context, img image, want string) (string, error) {
	var errs []error
	if os.Geteuid() != img.owner {
		errs = append(errs, fmt.Errorf("%w: the image must end with USER root", errNotRoot))
	}
	for _, hook := range []runnercontract.Hook{runnercontract.HookJobStarted, runnercontract.HookJobCompleted} {
		script := filepath.Join(img.scripts, string(hook)+".sh")
		if info, err := os.Stat(script); err != nil {
			errs = append(errs, fmt.Errorf("looking for a hook script: %w", err))
		} else if info.Mode()&0o022 != 0 {
			errs = append(errs, fmt.Errorf("%s can be changed by others than root", script))
		}
	}
	if info, err := os.Stat(img.root); err != nil {
		errs = append(errs, fmt.Errorf("looking for the runner: %w", err))
	} else if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != img.uid {
		errs = append(errs, fmt.Errorf("%s belongs to user %d, want %d: the listener writes its configuration there", img.root, stat.Uid, img.uid))
	}
	for _, file := range []string{".env", ".path", ".runner", ".credentials"} {
		if _, err := os.Lstat(filepath.Join(img.root, file)); err == nil {
			errs = append(errs, fmt.Errorf("%s in the image would override what the supervisor sets", filepath.Join(img.root, file)))
		}
	}
	version, err := runnerVersion(ctx, img)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("asking the listener for its version: %w", err))
	case want != "" && version != want:
		errs = append(errs, fmt.Errorf("the listener says it is version %s, want %s", version, want))
	}
	return version, errors.Join(errs...)
}

// runnerVersion asks the listener for its version, as the user it will run as.
func runnerVersion(ctx context.Context, img image) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(img.root, listenerProgram), "--version")
	cmd.Dir = img.root
	cmd.Env = append(os.Environ(), "HOME="+img.root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: img.credential()}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, clip(string(bytes.TrimSpace(stderr.Bytes()))))
	}
	return string(bytes.TrimSpace(out)), nil
}
