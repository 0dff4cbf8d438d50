package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/lifecycle"
)

const (
	hookTimeout = 5 * time.Second
	maxMessage  = 4 << 10
)

// message is what a hook sends to the supervisor, over a unix socket.
//
// Every process of the job can write to that socket. It is given no power there:
// all a job can achieve is to have itself taken for one that runs, which it does,
// or for one that is over, and then it is given FinishTimeout before it is
// interrupted. What it says of itself is used for the last line of the log only,
// and the first message, sent before any of its code runs, prevails.
type message struct {
	Hook       runnercontract.Hook `json:"hook"`
	Repository string              `json:"repository"`
	Workflow   string              `json:"workflow"`
	RunID      string              `json:"run_id"`
	RunAttempt string              `json:"run_attempt"`
}

// event returns the event that m reports, or nil.
func (m message) event() lifecycle.Event {
	switch m.Hook {
	case runnercontract.HookJobStarted:
		return lifecycle.JobStarted{Job: lifecycle.Job{
			Repository: clip(m.Repository),
			Workflow:   clip(m.Workflow),
			RunID:      clip(m.RunID),
			RunAttempt: clip(m.RunAttempt),
		}}
	case runnercontract.HookJobCompleted:
		return lifecycle.JobCompleted{}
	default:
		return nil
	}
}

// hookServer listens to hooks.
type hookServer struct{ listener net.Listener }

// listenForHooks reports the events that hooks send, until it is closed.
func listenForHooks(img image, report func(lifecycle.Event)) (*hookServer, error) {
	if err := os.MkdirAll(filepath.Dir(img.socket), 0o755); err != nil {
		return nil, fmt.Errorf("making a folder for the hooks' socket: %w", err)
	}
	// A container that is started again may have one left.
	if err := os.Remove(img.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing an old socket: %w", err)
	}
	listener, err := net.Listen("unix", img.socket)
	if err != nil {
		return nil, fmt.Errorf("listening to hooks: %w", err)
	}
	err = os.Chmod(img.socket, 0o660) //nolint:gosec // the runner's group must write
	if err == nil && os.Geteuid() != img.uid {
		err = os.Chown(img.socket, 0, img.uid)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("letting the runner reach the hooks' socket: %w", err), listener.Close())
	}
	s := &hookServer{listener: listener}
	go s.serve(report)
	return s, nil
}

func (s *hookServer) close() { _ = s.listener.Close() }

// serve takes one message after the other: nobody has more than one to say.
func (s *hookServer) serve(report func(lifecycle.Event)) {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, most likely: a job's doing, and it passes
			time.Sleep(10 * time.Millisecond)
			continue
		}
		receive(conn, report)
	}
}

// receive takes a message and answers when it has been noted.
func receive(conn net.Conn, report func(lifecycle.Event)) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(hookTimeout))
	var m message
	if json.NewDecoder(io.LimitReader(conn, maxMessage)).Decode(&m) != nil {
		return
	}
	if event := m.event(); event != nil {
		report(event)
		_, _ = io.WriteString(conn, "noted\n")
	}
}

var errNotNoted = errors.New("it did not answer")

// tell sends a message to the supervisor and waits until it is noted.
func tell(socket string, m message) error {
	conn, err := net.DialTimeout("unix", socket, hookTimeout)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(hookTimeout))
	if err := json.NewEncoder(conn).Encode(m); err != nil {
		return err
	}
	if answer, err := io.ReadAll(io.LimitReader(conn, maxMessage)); err != nil || len(answer) == 0 {
		return errors.Join(errNotNoted, err)
	}
	return nil
}

// hook runs the hook command: it notifies the supervisor and runs the customer's
// hooks. It fails, and with it the job, if one of those does; a supervisor that
// does not answer is no reason, since it reads the listener's log too.
func hook(args []string, img image) error {
	flags := flag.NewFlagSet("hook", flag.ContinueOnError)
	flags.StringVar(&img.socket, "socket", img.socket, "socket of the supervisor")
	flags.StringVar(&img.hooks, "hooks", img.hooks, "folder of the customer's hooks")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("reading the arguments: %w", err)
	}
	m := message{
		Hook:       runnercontract.Hook(flags.Arg(0)),
		Repository: clip(os.Getenv("GITHUB_REPOSITORY")),
		Workflow:   clip(os.Getenv("GITHUB_WORKFLOW")),
		RunID:      clip(os.Getenv("GITHUB_RUN_ID")),
		RunAttempt: clip(os.Getenv("GITHUB_RUN_ATTEMPT")),
	}
	if m.event() == nil {
		return fmt.Errorf("%q is not a hook: %s or %s", m.Hook, runnercontract.HookJobStarted, runnercontract.HookJobCompleted)
	}
	notify := func() {
		if err := tell(img.socket, m); err != nil {
			fmt.Printf("The supervisor was not notified of %s: %v\n", m.Hook, err)
		}
	}
	if m.Hook == runnercontract.HookJobStarted {
		notify()
	} else {
		defer notify()
	}
	return runHooks(filepath.Join(img.hooks, string(m.Hook)))
}

// runHooks runs the programs in a folder, in the order of their names, until one
// fails. Names that begin with a dot are left out.
func runHooks(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("looking for hooks: %w", err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") || entry.IsDir() {
			continue
		}
		cmd := exec.Command(filepath.Join(folder, entry.Name()))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		err := cmd.Run()
		var failed *exec.ExitError
		if errors.As(err, &failed) && failed.Exited() {
			return exitError{what: "hook " + entry.Name(), code: failed.ExitCode()}
		}
		if err != nil {
			return fmt.Errorf("running hook %s: %w", entry.Name(), err)
		}
	}
	return nil
}
