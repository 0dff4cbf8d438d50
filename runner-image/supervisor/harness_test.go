package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// The tests run the supervisor as a process of its own, as it is in a container:
// the test binary, started with envSupervisor, is the supervisor. Its clock runs
// faster than the wall's, so that no test waits for minutes.
const (
	envSupervisor = "TEST_SUPERVISOR"
	// pace is how much faster, unless a test says otherwise: 100 s in one.
	pace = 100
)

// setting is what a test tells the supervisor's process.
type setting struct {
	Root, Scripts, Hooks, Socket string
	Sudo, Disk                   string
	UID, Owner                   int
	Pace                         int
}

// programs is a folder with the fake Runner.Listener and a copy of the test binary
// that every user may run. TestMain fills it.
var programs string

func TestMain(m *testing.M) {
	if encoded, ok := os.LookupEnv(envSupervisor); ok {
		var s setting
		if err := json.Unmarshal([]byte(encoded), &s); err != nil {
			panic(err)
		}
		adoptOrphans()
		img := image{
			root: s.Root, scripts: s.Scripts, hooks: s.Hooks, socket: s.Socket, uid: s.UID, owner: s.Owner,
			sudo: s.Sudo, disk: s.Disk,
		}
		os.Exit(command(os.Args[1:], img, fastClock{begun: time.Now(), pace: s.Pace}))
	}
	os.Exit(func() int {
		folder, err := makePrograms()
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(folder) }()
		programs = folder
		return m.Run()
	}())
}

func makePrograms() (string, error) {
	folder, err := os.MkdirTemp("", "programs")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "Runner.Listener"), "./testdata/listener")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the fake listener: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(folder, "supervisor"), binary, 0o755); err != nil {
		return "", err
	}
	return folder, os.Chmod(folder, 0o755) //nolint:gosec // the runner's user must get through
}

// fastClock passes time faster than it is.
type fastClock struct {
	begun time.Time
	pace  int
}

func (c fastClock) Now() time.Time {
	return c.begun.Add(time.Since(c.begun) * time.Duration(c.pace))
}

func (c fastClock) After(d time.Duration) <-chan time.Time {
	return time.After(d / time.Duration(c.pace))
}

// jitConfig is a configuration of the shape GitHub gives, and as secret.
var jitConfig = func() string {
	files, err := json.Marshal(map[string]string{
		".runner": base64.StdEncoding.EncodeToString([]byte(`{"agentName":"r"}`)),
		".credentials": base64.StdEncoding.EncodeToString([]byte(`{"scheme":"OAuth","data":{"clientId":"` + strings.Repeat(
			"s3cret", 20) + `"}}`)),
	})
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(files)
}()

// releaseToken is what nobody but the supervisor must know.
const releaseToken = "aTokenOfTheSupervisorAlone"

// service is a registration service, and the endpoint of the task's credentials.
type service struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
	answers  map[string]http.HandlerFunc
}

// newService returns a service that grants everything, but has no other job for a
// task that gives one back. Answers replaces its answers by path.
func newService(t *testing.T, answers map[string]http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	s.answers = map[string]http.HandlerFunc{
		runnercontract.PathRegister: func(w http.ResponseWriter, _ *http.Request) {
			if slices.Contains(s.asked(), "release") {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			_ = json.NewEncoder(w).Encode(runnercontract.Registration{
				RunnerID: 7, RunnerName: "prod-linux-1-01234567-k3",
				JITConfig: runnercontract.Secret(jitConfig), ReleaseToken: releaseToken,
			})
		},
		runnercontract.PathStarted: status(http.StatusNoContent),
		runnercontract.PathRelease: status(http.StatusNoContent),
	}
	for path, answer := range answers {
		s.answers[path] = answer
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/credentials" {
			_, _ = io.WriteString(w,
				`{"AccessKeyId":"AKID","SecretAccessKey":"key","Token":"token","Expiration":"2099-01-01T00:00:00Z"}`)
			return
		}
		var request runnercontract.Request
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		if r.URL.Path == runnercontract.PathRelease && slices.Contains(s.asked(), "started") &&
			request.ReleaseToken != releaseToken {
			t.Errorf("a runner that has started is given back with the token %q: it would be kept",
				request.ReleaseToken.Reveal())
		}
		s.mu.Lock()
		s.requests = append(s.requests, strings.TrimPrefix(r.URL.Path, "/"))
		s.mu.Unlock()
		s.answers[r.URL.Path](w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// asked returns what the service was asked, in order.
func (s *service) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// status returns an answer without a body.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		if code >= http.StatusBadRequest {
			_ = json.NewEncoder(w).Encode(runnercontract.Failure{Error: "the service says no"})
		}
	}
}

// silent never answers.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// container is a supervisor's process with an image of its own.
type container struct {
	t       *testing.T
	service *service
	setting setting
	env     map[string]string
	cmd     *exec.Cmd
	out     output
	stdout  io.Writer // out, unless a test says otherwise
}

// newContainer returns a container whose listener plays script.
func newContainer(t *testing.T, script string, s *service) *container {
	t.Helper()
	// Not t.TempDir: the runner's user must get through, and the path of a socket
	// must be short.
	folder, err := os.MkdirTemp("", "c") //nolint:usetesting // for the two reasons above
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	c := &container{
		t:       t,
		service: s,
		setting: setting{
			Root:    filepath.Join(folder, "runner"),
			Scripts: filepath.Join(folder, "scripts"),
			Hooks:   filepath.Join(folder, "hooks.d"),
			Socket:  filepath.Join(folder, "run", "socket"),
			UID:     os.Getuid(),
			Owner:   os.Getuid(),
			Pace:    pace,
		},
		env: map[string]string{
			"FAKE_LISTENER":                      script,
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": s.URL + "/credentials",
			runnercontract.EnvContract:           strconv.Itoa(runnercontract.Version),
			runnercontract.EnvRegistrationURL:    s.URL,
			runnercontract.EnvRegistrationRegion: "eu-west-1",
			runnercontract.EnvFleet:              "linux",
			runnercontract.EnvJobID:              "1",
			runnercontract.EnvStartTimeout:       "1h", // long, where a test is not about them
			runnercontract.EnvIdleTimeout:        "1h",
		},
	}
	if c.setting.UID == 0 { // then change the user as in a container
		c.setting.UID = runnercontract.UID
	}
	require.NoError(t, os.Chmod(folder, 0o755)) //nolint:gosec // the runner's user must get through
	for _, f := range []string{c.setting.Root, filepath.Join(c.setting.Root, "bin"), c.setting.Scripts} {
		require.NoError(t, os.MkdirAll(f, 0o755))
	}
	require.NoError(t, os.Chown(c.setting.Root, c.setting.UID, -1))
	// A link, since a program cannot be started while a fork of this process still
	// has it open for writing.
	require.NoError(t, os.Link(filepath.Join(programs, "Runner.Listener"), filepath.Join(c.setting.Root, listenerProgram)))
	for _, hook := range []runnercontract.Hook{runnercontract.HookJobStarted, runnercontract.HookJobCompleted} {
		script := fmt.Sprintf("exec %s/supervisor hook %s\n", programs, hook)
		require.NoError(t, os.WriteFile(filepath.Join(c.setting.Scripts, string(hook)+".sh"), []byte(script), 0o755))
	}
	return c
}

// with sets an environment variable.
func (c *container) with(name, value string) *container {
	c.env[name] = value
	return c
}

// start starts the supervisor.
func (c *container) start() *container {
	c.t.Helper()
	encoded, err := json.Marshal(c.setting)
	require.NoError(c.t, err)
	c.cmd = exec.Command(filepath.Join(programs, "supervisor"))
	c.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		envSupervisor + "=" + string(encoded),
		"GORACE=atexit_sleep_ms=0", // the race detector otherwise waits a second at each exit
	}
	for name, value := range c.env {
		c.cmd.Env = append(c.cmd.Env, name+"="+value)
	}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if c.stdout != nil {
		c.cmd.Stdout, c.cmd.Stderr = c.stdout, nil
	}
	c.cmd.WaitDelay = time.Second
	require.NoError(c.t, c.cmd.Start())
	c.t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c
}

// see waits until text is in the log.
func (c *container) see(text string) *container {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return strings.Contains(c.out.String(), text) },
		20*time.Second, time.Millisecond, "never saw %q", text)
	return c
}

// seeAsked waits until the service has been asked for path.
func (c *container) seeAsked(path string) *container {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		asked := c.service.asked()
		return len(asked) > 0 && "/"+asked[len(asked)-1] == path
	}, 20*time.Second, time.Millisecond, "%s was never asked", path)
	return c
}

// touch lets a listener go on that awaits a file.
func (c *container) touch(file string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(filepath.Join(c.setting.Root, file), nil, 0o600))
}

// terminate sends SIGTERM, as ECS does.
func (c *container) terminate() *container {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(syscall.SIGTERM))
	return c
}

// ending is how a supervisor ended.
type ending struct {
	report
	code int
	log  string
}

// wait waits for the end.
func (c *container) wait() ending {
	c.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		_ = c.cmd.Process.Signal(syscall.SIGQUIT)
		<-done
		c.t.Fatalf("the supervisor does not end:\n%s", c.out.String())
	}
	e := ending{code: c.cmd.ProcessState.ExitCode(), log: c.out.String()}
	require.NotContains(c.t, e.log, jitConfig, "the configuration was printed")
	require.NotContains(c.t, e.log, "WARNING: DATA RACE")
	lines := strings.Split(strings.TrimSpace(e.log), "\n")
	decoder := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	decoder.DisallowUnknownFields()
	require.NoError(c.t, decoder.Decode(&e.report), "the last line must be one JSON object:\n%s", e.log)
	require.Equal(c.t, e.code, int(e.ExitCode), "exit code and last line differ:\n%s", e.log)
	return e
}

// run starts a container and waits for its end.
func (c *container) run() ending {
	c.t.Helper()
	return c.start().wait()
}

// output collects what several processes write.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
