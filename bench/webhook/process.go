package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// process is a process that is measured.
type process struct {
	command *exec.Cmd
	started time.Time
}

// start starts a command with nothing but env in its environment. Its standard
// output is thrown away, unless stdout is given.
func start(env []string, stdin io.Reader, stdout io.Writer, command ...string) (*process, error) {
	c := exec.Command(command[0], command[1:]...)
	c.Env, c.Stdin, c.Stdout, c.Stderr = env, stdin, stdout, os.Stderr
	p := &process{command: c, started: time.Now()}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command[0], err)
	}
	return p, nil
}

func (p *process) stop() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// measurement is what a number of events cost a process.
type measurement struct {
	times       []time.Duration // sorted
	cpu         time.Duration   // per event
	connections float64         // per event
	filesBefore int
	filesAfter  int
	peak        int // kB
}

// measure runs an event many times and looks at the process before and after.
func measure(p *process, services *services, events, warmup int, event func() error) (*measurement, error) {
	for range warmup {
		if err := event(); err != nil {
			return nil, err
		}
	}
	connections, err := services.connections()
	if err != nil {
		return nil, err
	}
	before, err := p.look()
	if err != nil {
		return nil, err
	}
	m := &measurement{times: make([]time.Duration, events), filesBefore: before.files}
	for i := range m.times {
		begin := time.Now()
		if err := event(); err != nil {
			return nil, err
		}
		m.times[i] = time.Since(begin)
	}
	after, err := p.look()
	if err != nil {
		return nil, err
	}
	more, err := services.connections()
	if err != nil {
		return nil, err
	}
	slices.Sort(m.times)
	m.cpu = (after.cpu - before.cpu) / time.Duration(events)
	m.connections = float64(more-connections) / float64(events)
	m.filesAfter, m.peak = after.files, after.peak
	return m, nil
}

func (m *measurement) percentile(p int) time.Duration { return m.times[len(m.times)*p/100] }

func (m *measurement) print(name string) {
	fmt.Printf("%-22s %9.3f %9.3f %9.3f %9.4f %7d %7d %9.1f\n", name,
		milliseconds(m.percentile(50)), milliseconds(m.percentile(99)), milliseconds(m.cpu), m.connections, m.filesBefore, m.filesAfter, float64(m.peak)/1000)
}

// state is what /proc tells about a process.
type state struct {
	cpu   time.Duration // user and system
	files int
	peak  int // kB
}

// look reads /proc. The processor time is counted in ticks of 10 ms, as on every
// Linux that Go runs on.
func (p *process) look() (state, error) {
	folder := fmt.Sprintf("/proc/%d/", p.command.Process.Pid)
	stat, err := os.ReadFile(folder + "stat")
	if err != nil {
		return state{}, fmt.Errorf("reading processor time: %w", err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, errUser := strconv.Atoi(fields[11])
	system, errSystem := strconv.Atoi(fields[12])
	if errUser != nil || errSystem != nil {
		return state{}, fmt.Errorf("reading processor time: %q", stat)
	}
	files, err := os.ReadDir(folder + "fd")
	if err != nil {
		return state{}, fmt.Errorf("counting open files: %w", err)
	}
	status, err := os.ReadFile(folder + "status")
	if err != nil {
		return state{}, fmt.Errorf("reading peak memory: %w", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var peak int
	if _, err := fmt.Sscan(rest, &peak); err != nil {
		return state{}, fmt.Errorf("reading peak memory: %w", err)
	}
	return state{cpu: time.Duration(user+system) * 10 * time.Millisecond, files: len(files), peak: peak}, nil
}
