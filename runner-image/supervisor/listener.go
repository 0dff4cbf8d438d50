package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/lifecycle"
)

const (
	listenerProgram = "bin/Runner.Listener"

	// envJITConfig hands the runner its configuration. The listener takes it out of
	// its environment before it starts anything.
	envJITConfig = "ACTIONS_RUNNER_INPUT_JITCONFIG"

	// drain is how long output is awaited after the listener's end. It ends by itself
	// at once, unless a process that a job left behind holds on to it.
	drain = 500 * time.Millisecond

	// forwarded begins each line of the listener's in the log. The supervisor's own
	// begin with a brace: none of the listener's, into which a job can write, can be
	// taken for one of them.
	forwarded = "runner: "
	// maxLine is what is read as a line, maxForwarded what is written as one, with
	// its prefix. Docker cuts lines of 16 KiB, and what came after the cut would be
	// without its prefix.
	// https://github.com/moby/moby/blob/v28.5.2/daemon/logger/copier.go
	maxLine      = 64 << 10
	maxForwarded = 12 << 10
)

// process is a running listener, with all it has started.
type process struct {
	pid    int
	reaper *reaper
}

// startListener starts the listener as the runner's user, in its own process
// group, and reports what it does. Its output goes to out.
func startListener(reaper *reaper, img image, config runnercontract.Secret, out io.Writer, report func(lifecycle.Event)) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for its output: %w", err)
	}
	defer func() { _ = w.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("opening its input: %w", err)
	}
	defer func() { _ = null.Close() }()

	pid, status, err := reaper.start(filepath.Join(img.root, listenerProgram), []string{listenerProgram, "run"}, &syscall.ProcAttr{
		Dir:   img.root,
		Env:   listenerEnvironment(os.Environ(), img, config),
		Files: []uintptr{null.Fd(), w.Fd(), w.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Credential: img.credential()},
	}, img.hasSudo())
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	p := &process{pid: pid, reaper: reaper}
	go p.follow(r, config, out, status, report)
	return p, nil
}

// listenerEnvironment returns the environment of the listener, and so of the job:
// ours, without what only concerns the supervisor.
func listenerEnvironment(environ []string, img image, config runnercontract.Secret) []string {
	ours := []string{
		"HOME=" + img.root,
		"USER=" + runnercontract.User,
		"LOGNAME=" + runnercontract.User,
		"ACTIONS_RUNNER_HOOK_JOB_STARTED=" + filepath.Join(img.scripts, string(runnercontract.HookJobStarted)+".sh"),
		"ACTIONS_RUNNER_HOOK_JOB_COMPLETED=" + filepath.Join(img.scripts, string(runnercontract.HookJobCompleted)+".sh"),
		"ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1",
		envJITConfig + "=" + config.Reveal(),
	}
	replaced := make(map[string]bool, len(ours))
	for _, v := range ours {
		name, _, _ := strings.Cut(v, "=")
		replaced[name] = true
	}
	env := make([]string, 0, len(environ)+len(ours))
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		if !replaced[name] && !strings.HasPrefix(name, runnercontract.EnvPrefix) {
			env = append(env, v)
		}
	}
	return append(env, ours...)
}

// follow forwards the output, reports what it tells, and in the end the exit.
func (p *process) follow(r *os.File, config runnercontract.Secret, out io.Writer, status <-chan syscall.WaitStatus, report func(lifecycle.Event)) {
	f := &follower{secret: []byte(config.Reveal()), out: out, report: report}
	read := make(chan struct{})
	go func() {
		defer close(read)
		f.forward(r)
	}()
	ended := <-status
	p.kill() // what it left behind
	_ = r.SetReadDeadline(time.Now().Add(drain))
	<-read
	_ = r.Close()
	report(f.exited(ended))
}

// interrupt asks the listener, and not its children, to end: it cancels the job
// and lets the job's own clean-up run.
func (p *process) interrupt() { p.reaper.signal(p.pid, syscall.SIGINT) }

// kill ends the listener's process group.
func (p *process) kill() { _ = syscall.Kill(-p.pid, syscall.SIGKILL) }

// follower reads what a listener prints.
type follower struct {
	secret []byte
	out    io.Writer
	report func(lifecycle.Event)
	job    bool
	last   string // line before a job, for the error if it was the last
}

// forward copies lines from r to the log until r ends. A line that is longer than
// maxLine is cut into several, each with its prefix.
func (f *follower) forward(r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			f.line(line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (f *follower) line(line []byte) {
	text := string(bytes.ReplaceAll(bytes.TrimRight(line, "\r\n"), f.secret, []byte("***")))
	for rest := plain(text); ; {
		var part string
		part, rest = cut(rest, maxForwarded-len(forwarded)-1)
		_, _ = f.out.Write([]byte(forwarded + part + "\n")) // if the log is gone, the job is not to suffer for it
		if rest == "" {
			break
		}
	}
	event := understand(text)
	if _, ok := event.(lifecycle.JobStarted); ok {
		f.job = true
	}
	if text != "" && !f.job {
		f.last = clip(text)
	}
	if event != nil {
		f.report(event)
	}
}

// plain escapes all that is not shown: what could begin a new line, or move about on
// a terminal, wherever the log is read.
func plain(text string) string {
	shown := func(r rune, size int) bool {
		return (r != utf8.RuneError || size > 1) && (r == '\t' || unicode.IsGraphic(r))
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if shown(r, size) {
			b.WriteString(text[:size])
		} else {
			quoted := strconv.Quote(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}

// cut returns the first part of a text, of at most so many bytes, and the rest.
func cut(text string, most int) (part, rest string) {
	if len(text) <= most {
		return text, ""
	}
	for back := 1; back < utf8.UTFMax && !utf8.RuneStart(text[most]); back++ {
		most--
	}
	return text[:most], text[most:]
}

// exited says how the listener ended.
func (f *follower) exited(status syscall.WaitStatus) lifecycle.Exited {
	e := lifecycle.Exited{Code: status.ExitStatus()}
	e.Detail = fmt.Sprintf("the listener ended with code %d", e.Code)
	if status.Signaled() {
		e.Detail = fmt.Sprintf("the listener was ended by a signal: %v", status.Signal())
	}
	if f.last != "" && !f.job {
		e.Detail += ": " + f.last
	}
	return e
}

// Lines of the listener. It writes those about jobs with the time in front. A job
// can write such lines as well, by a line end in its name or through the listener's
// own output, but no earlier than the listener's that says that it runs. From then
// on they say what is claimed and not what happened: nothing that decides how the
// runner ends, see lifecycle.Machine.
var (
	timedLine     = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: (.*)$`)
	runningLine   = regexp.MustCompile(`^Running job: (.*)$`)
	completedLine = regexp.MustCompile(`^Job .* completed with result: (\w+)$`)
)

const (
	listeningLine  = "Listening for Jobs"
	deprecatedText = "is deprecated and cannot receive messages"
)

// understand returns the event that a line reports, or nil.
func understand(line string) lifecycle.Event {
	timed := timedLine.FindStringSubmatch(line)
	if timed == nil {
		if strings.Contains(line, deprecatedText) {
			return lifecycle.Outdated{}
		}
		return nil
	}
	if timed[1] == listeningLine {
		return lifecycle.Listening{}
	}
	if m := runningLine.FindStringSubmatch(timed[1]); m != nil {
		return lifecycle.JobStarted{Job: lifecycle.Job{Name: clip(m[1])}}
	}
	if m := completedLine.FindStringSubmatch(timed[1]); m != nil {
		return lifecycle.JobCompleted{Result: clip(m[1])}
	}
	return nil
}

// clip shortens what others wrote to what belongs into one line of a log.
func clip(s string) string {
	const most = 256
	part, rest := cut(s, most)
	if part = plain(part); rest != "" {
		part += "…"
	}
	return part
}

// reaper starts processes and waits for all that become children of this one. As
// the first process of a container it inherits what a job leaves behind, so it
// waits for any child; os/exec, which waits for its own, must not be used beside
// it.
type reaper struct {
	mu      sync.Mutex
	waiting map[int]chan<- syscall.WaitStatus
}

func newReaper() *reaper { return &reaper{waiting: map[int]chan<- syscall.WaitStatus{}} }

// start starts a process, which may gain privileges by setuid programs only with
// newPrivileges. The channel gives its status when reap has seen its end.
func (r *reaper) start(program string, args []string, attr *syscall.ProcAttr, newPrivileges bool) (int, <-chan syscall.WaitStatus, error) {
	r.mu.Lock() // so that reap does not see the end of a process it does not know yet
	defer r.mu.Unlock()
	fork := func() (int, error) { return syscall.ForkExec(program, args, attr) }
	start := withoutNewPrivileges
	if newPrivileges {
		start = func(fork func() (int, error)) (int, error) { return fork() }
	}
	pid, err := start(fork)
	if err != nil {
		return 0, nil, &os.PathError{Op: "exec", Path: program, Err: err}
	}
	status := make(chan syscall.WaitStatus, 1)
	r.waiting[pid] = status
	return pid, status, nil
}

// reap waits for every child that has ended. It is to be called after SIGCHLD.
func (r *reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if ended, ok := r.waiting[pid]; ok {
			delete(r.waiting, pid)
			ended <- status
		}
	}
}

// signal sends a signal to a process that was started and has not been reaped.
func (r *reaper) signal(pid int, sig syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.waiting[pid]; ok {
		_ = syscall.Kill(pid, sig) // it may have ended, which is as good
	}
}
