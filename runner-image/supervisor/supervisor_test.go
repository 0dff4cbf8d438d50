package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/lifecycle"
)

// Orders in which the registration service is asked.
var (
	ranJob   = []string{"register", "started"}
	gaveBack = []string{"register", "started", "release"}
)

func TestJob_RunsToItsEnd(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	e := newContainer(t, "listen; run build; work 10ms; done Failed; exit 0", s).run()
	assert.Equal(t, 0, e.code, "a failed job is a job that ran")
	assert.Equal(t, runnercontract.ReasonJobRan, e.Reason)
	assert.Equal(t, "prod-linux-1-01234567-k3", e.Runner)
	assert.Equal(t, "linux", e.Fleet)
	assert.Equal(t, &lifecycle.Job{
		Name: "build", Repository: "my-org/app", Workflow: "ci", RunID: "42", RunAttempt: "1", Result: "Failed",
	}, e.Job)
	assert.Equal(t, ranJob, s.asked())
	assert.Contains(t, e.log, "Running job: build\n", "the listener's log is not forwarded")
}

// Every return code of Runner.Listener.

func TestListenerCode_0_WithoutAJob(t *testing.T) {
	t.Parallel()
	listenerFails(t, "listen; exit 0", runnercontract.ReasonListenerFailed, "without a job")
}

func TestListenerCode_1_NotConfigured(t *testing.T) {
	t.Parallel()
	listenerFails(t, "say Runner is not configured.; exit 1", runnercontract.ReasonListenerFailed,
		"code 1: Runner is not configured.")
}

func TestListenerCode_1_RegistrationDeleted(t *testing.T) {
	t.Parallel()
	const said = "Failed to create a session. The runner registration has been deleted from the server"
	listenerFails(t, "say "+said+"; exit 1", runnercontract.ReasonListenerFailed, said)
}

func TestListenerCode_1_BadConfiguration(t *testing.T) {
	t.Parallel()
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathRegister: func(w http.ResponseWriter,
		_ *http.Request,
	) {
		_, _ = w.Write([]byte(`{"runner_id":7,"runner_name":"r","jit_config":"!","release_token":"` + releaseToken + `"}`))
	}})
	e := newContainer(t, "listen; hang", s).run()
	assert.Equal(t, runnercontract.ReasonListenerFailed, e.Reason)
	assert.Contains(t, e.Detail, "not a valid Base-64 string")
	assert.Equal(t, gaveBack, s.asked())
}

func TestListenerCode_1_AsRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root; the test of the image covers it")
	}
	c := newContainer(t, "listen; hang", newService(t, nil))
	c.setting.UID = 0
	assert.Contains(t, c.run().Detail, "Must not run with sudo")
}

func TestListenerCode_1_Deprecated(t *testing.T) {
	t.Parallel()
	listenerFails(t, "say An error occurred: Runner version v2.300.0 is deprecated and cannot receive messages.; exit 1",
		runnercontract.ReasonDeprecated, "code 1")
}

func TestListenerCode_2_IsStartedAgain(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	e := newContainer(t, "listen; exit 2|listen; run build; done Succeeded; exit 0", s).run()
	assert.Equal(t, runnercontract.ReasonJobRan, e.Reason)
	assert.Equal(t, ranJob, s.asked(), "the registration is still good")
}

func TestListenerCode_2_ForEver(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "say Unhandled exception; exit 2", newService(t, nil))
	e := c.run()
	assert.Equal(t, runnercontract.ExitListenerFailed, e.ExitCode)
	assert.Contains(t, e.Detail, "code 2: Unhandled exception")
	starts, err := os.ReadFile(filepath.Join(c.setting.Root, ".starts"))
	require.NoError(t, err)
	assert.Len(t, starts, 1+lifecycle.MaxRestarts)
}

func TestListenerCode_2_AfterAJobStarted(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	e := newContainer(t, "listen; run build; exit 2", s).run()
	assert.Equal(t, runnercontract.ReasonListenerFailed, e.Reason)
	assert.Equal(t, "build", e.Job.Name)
	assert.Equal(t, ranJob, s.asked(), "the registration is used up")
}

func TestListenerCode_3_Updating(t *testing.T) {
	t.Parallel()
	listenerFails(t, "listen; exit 3", runnercontract.ReasonDeprecated, "code 3")
}

func TestListenerCode_4_RunOnceUpdating(t *testing.T) {
	t.Parallel()
	listenerFails(t, "listen; exit 4", runnercontract.ReasonDeprecated, "code 4")
}

func TestListenerCode_5_SessionConflict(t *testing.T) {
	t.Parallel()
	listenerFails(t, "say A session for this runner already exists.; exit 5", runnercontract.ReasonListenerFailed,
		"code 5: A session for this runner already exists.")
}

func TestListenerCode_6_ConfigurationRefreshed(t *testing.T) {
	t.Parallel()
	e := newContainer(t, "listen; exit 6|listen; run build; done Succeeded; exit 0", newService(t, nil)).run()
	assert.Equal(t, runnercontract.ReasonJobRan, e.Reason)
}

func TestListenerCode_7_Deprecated(t *testing.T) {
	t.Parallel()
	listenerFails(t, "exit 7", runnercontract.ReasonDeprecated, "code 7")
}

func TestListenerCode_Unknown(t *testing.T) {
	t.Parallel()
	listenerFails(t, "exit 99", runnercontract.ReasonListenerFailed, "code 99")
}

func TestListener_KilledBySignal(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	e := newContainer(t, "listen; run build; die", s).run()
	assert.Equal(t, runnercontract.ReasonListenerFailed, e.Reason)
	assert.Contains(t, e.Detail, "killed")
	assert.Equal(t, ranJob, s.asked())
}

func TestListener_Missing(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	c := newContainer(t, "", s)
	require.NoError(t, os.Remove(filepath.Join(c.setting.Root, listenerProgram)))
	e := c.run()
	assert.Equal(t, runnercontract.ReasonListenerFailed, e.Reason)
	assert.Contains(t, e.Detail, "no such file")
	assert.Equal(t, gaveBack, s.asked())
}

// listenerFails runs a listener that ends without a job.
func listenerFails(t *testing.T, script string, reason runnercontract.Reason, detail string) {
	t.Helper()
	s := newService(t, nil)
	e := newContainer(t, script, s).run()
	assert.Equal(t, reason, e.Reason)
	assert.Contains(t, e.Detail, detail)
	assert.Nil(t, e.Job)
	assert.Equal(t, gaveBack, s.asked(), "a registration that is not used must be given back")
}

// Limits.

func TestIdle_ReleasesThenEnds(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	e := newContainer(t, "listen; hang", s).with(runnercontract.EnvIdleTimeout, "20s").run()
	assert.Equal(t, runnercontract.ExitIdle, e.ExitCode)
	assert.Equal(t, append(slices.Clone(gaveBack), "register"), s.asked(), "it asks for another job, once")
	assert.Less(t, strings.Index(e.log, "registration given back"), strings.Index(e.log, "Exiting..."),
		"until it is given back the runner may get a job")
}

func TestIdle_AnotherJobRuns(t *testing.T) {
	t.Parallel()
	grants := 0
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathRegister: func(w http.ResponseWriter,
		_ *http.Request,
	) {
		grants++
		_ = json.NewEncoder(w).Encode(runnercontract.Registration{RunnerID: int64(grants), RunnerName: fmt.Sprint("runner-",
			grants), JITConfig: runnercontract.Secret(jitConfig), ReleaseToken: releaseToken})
	}})
	c := newContainer(t, "listen; await job; run build; done Succeeded; exit 0", s).with(runnercontract.EnvIdleTimeout,
		"20s").start()
	c.see("runner-2").touch("job")
	e := c.wait()
	assert.Equal(t, runnercontract.ReasonJobRan, e.Reason)
	assert.Equal(t, "runner-2", e.Runner)
	assert.Equal(t, []string{"register", "started", "release", "register", "started"}, s.asked()[:5])
}

func TestIdle_ListenerIgnoresTheInterrupt(t *testing.T) {
	t.Parallel()
	e := newContainer(t, "deaf; listen; hang", newService(t, nil)).with(runnercontract.EnvIdleTimeout, "20s").run()
	assert.Equal(t, runnercontract.ReasonIdle, e.Reason)
	assert.Contains(t, e.Detail, "killed")
}

func TestIdle_JobArrivesWhileReleasing_Busy(t *testing.T) {
	t.Parallel()
	jobArrivesWhileReleasing(t, http.StatusConflict)
}

func TestIdle_JobArrivesWhileReleasing_Released(t *testing.T) {
	t.Parallel()
	jobArrivesWhileReleasing(t, http.StatusNoContent)
}

func jobArrivesWhileReleasing(t *testing.T, answer int) {
	t.Helper()
	running := make(chan struct{})
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathRelease: func(w http.ResponseWriter,
		_ *http.Request,
	) {
		<-running
		w.WriteHeader(answer)
	}})
	c := newContainer(t, "listen; await job; run build; await end; done Succeeded; exit 0",
		s).with(runnercontract.EnvIdleTimeout, "20s").start()
	c.seeAsked(runnercontract.PathRelease).touch("job")
	c.see("Running job: build")
	close(running)
	c.see("registration ").touch("end")
	e := c.wait()
	assert.Equal(t, runnercontract.ReasonJobRan, e.Reason)
	assert.Equal(t, "Succeeded", e.Job.Result, "the job was not left alone")
}

func TestIdle_JobFinishesWhileReleasing(t *testing.T) {
	t.Parallel()
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathRelease: silent})
	c := newContainer(t, "listen; await job; run build; done Succeeded; exit 0", s).with(runnercontract.EnvIdleTimeout,
		"20s").start()
	c.seeAsked(runnercontract.PathRelease).touch("job")
	assert.Equal(t, runnercontract.ReasonJobRan, c.wait().Reason)
}

func TestStartTimeout_ListenerHangs(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	e := newContainer(t, "hang", s).with(runnercontract.EnvStartTimeout, "20s").run()
	assert.Equal(t, runnercontract.ReasonStartTimeout, e.Reason)
	assert.Equal(t, gaveBack, s.asked())
}

func TestLifetime_CancelsTheJob(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "listen; run build; hang", newService(t, nil)).with(runnercontract.EnvLifetime, "2m")
	c.setting.Pace = 30 // the job's end must fit into the grace
	e := c.run()
	assert.Equal(t, runnercontract.ExitLifetime, e.ExitCode)
	assert.Equal(t, "Canceled", e.Job.Result)
}

// SIGTERM in every state.

func TestTerminate_WhileRegistering(t *testing.T) {
	t.Parallel()
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathRegister: silent})
	e := newContainer(t, "", s).start().seeAsked(runnercontract.PathRegister).terminate().wait()
	assert.Equal(t, 143, e.code)
	assert.Equal(t, []string{"register", "release"}, s.asked(), "the service may have made a runner all the same")
}

func TestTerminate_WhileAskingAgain(t *testing.T) {
	t.Parallel()
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathRegister: status(http.StatusServiceUnavailable)})
	e := newContainer(t, "", s).start().see("asking the registration service again").terminate().wait()
	assert.Equal(t, runnercontract.ReasonStoppedWithoutJob, e.Reason)
}

func TestTerminate_WhileConfirming(t *testing.T) {
	t.Parallel()
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathStarted: silent})
	e := newContainer(t, "listen; hang", s).start().seeAsked(runnercontract.PathStarted).terminate().wait()
	assert.Equal(t, runnercontract.ReasonStoppedWithoutJob, e.Reason)
	assert.NotContains(t, e.log, "Listening", "a listener was started for nothing")
	assert.Equal(t, gaveBack, s.asked())
}

func TestTerminate_WhileStarting(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	e := newContainer(t, "say up; hang", s).start().see("up").terminate().wait()
	assert.Equal(t, runnercontract.ReasonStoppedWithoutJob, e.Reason)
	assert.Equal(t, gaveBack, s.asked())
}

func TestTerminate_WhileIdle(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	e := newContainer(t, "listen; hang", s).start().see("Listening").terminate().wait()
	assert.Equal(t, 143, e.code)
	assert.Equal(t, gaveBack, s.asked())
}

func TestTerminate_WhileIdle_ServiceIsDown(t *testing.T) {
	t.Parallel()
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathRelease: status(http.StatusServiceUnavailable)})
	e := newContainer(t, "listen; hang", s).start().see("Listening").terminate().wait()
	assert.Equal(t, runnercontract.ReasonStoppedWithoutJob, e.Reason)
}

func TestTerminate_WhilePausing(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "say crash; exit 2", newService(t, nil))
	c.setting.Pace = 1 // so that the pause of five seconds is one
	e := c.start().see("crash").terminate().wait()
	assert.Equal(t, runnercontract.ReasonStoppedWithoutJob, e.Reason)
}

func TestTerminate_JobFinishesInTime(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "listen; run build; await end; done Succeeded; exit 0", newService(t, nil)).with(
		runnercontract.EnvStopTimeout, "10m").start()
	c.see("Running job").terminate().see("asked to stop").touch("end")
	e := c.wait()
	assert.Equal(t, runnercontract.ReasonJobRan, e.Reason)
	assert.Equal(t, "Succeeded", e.Job.Result)
}

func TestTerminate_JobIsCancelledInTime(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "listen; run build; hang", newService(t, nil))
	c.setting.Pace = 5 // the job's end must fit into the reserve
	e := c.start().see("Running job").terminate().wait()
	assert.Equal(t, runnercontract.ExitStoppedDuringJob, e.ExitCode)
	assert.Contains(t, e.log, "The runner has received a shutdown signal.", "GitHub would show a lost job")
	assert.Equal(t, "Canceled", e.Job.Result)
}

func TestTerminate_JobIgnoresTheInterrupt(t *testing.T) {
	t.Parallel()
	e := newContainer(t, "deaf; listen; run build; hang", newService(t, nil)).start().see("Running job").terminate().wait()
	assert.Equal(t, runnercontract.ExitStoppedDuringJob, e.ExitCode, "the last word must come before SIGKILL")
	assert.Contains(t, e.Detail, "killed")
}

// Registration.

func TestRegistration_NoWork(t *testing.T) {
	t.Parallel()
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathRegister: status(http.StatusNoContent)})
	e := newContainer(t, "", s).run()
	assert.Equal(t, 11, e.code)
	assert.Equal(t, []string{"register"}, s.asked())
}

func TestRegistration_Refused(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusForbidden, http.StatusUpgradeRequired} {
		s := newService(t, map[string]http.HandlerFunc{runnercontract.PathRegister: status(code)})
		e := newContainer(t, "", s).run()
		assert.Equal(t, 20, e.code)
		assert.Equal(t, runnercontract.ReasonRefused, e.Reason)
		assert.Contains(t, e.Detail, http.StatusText(code))
	}
}

func TestRegistration_ServiceIsDown(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "", newService(t, map[string]http.HandlerFunc{runnercontract.PathRegister: status(
		http.StatusTooManyRequests)}))
	c.setting.Pace = 1000
	e := c.run()
	assert.Equal(t, 20, e.code)
	assert.Equal(t, runnercontract.ReasonUnreachable, e.Reason)
}

func TestRegistration_LostBeforeTheStart(t *testing.T) {
	t.Parallel()
	s := newService(t, map[string]http.HandlerFunc{runnercontract.PathStarted: status(http.StatusConflict)})
	e := newContainer(t, "listen; hang", s).run()
	assert.Equal(t, runnercontract.ReasonRefused, e.Reason)
	assert.Equal(t, gaveBack, s.asked())
	assert.NotContains(t, e.log, "Listening")
}

// Configuration.

func TestMisconfigured_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	for _, name := range []string{
		runnercontract.EnvContract, runnercontract.EnvRegistrationURL, runnercontract.EnvRegistrationRegion,
		runnercontract.EnvFleet, runnercontract.EnvJobID,
		"AWS_CONTAINER_CREDENTIALS_FULL_URI",
	} {
		c := newContainer(t, "listen; hang", s)
		delete(c.env, name)
		e := c.run()
		assert.Equal(t, 25, e.code)
		assert.Contains(t, e.Detail, name)
	}
	assert.Empty(t, s.asked())
}

func TestMisconfigured_NotRoot(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "listen; hang", newService(t, nil))
	c.setting.Owner++
	e := c.run()
	assert.Equal(t, runnercontract.ExitMisconfigured, e.ExitCode)
	assert.Contains(t, e.Detail, "must be root")
}

func TestMisconfigured_OtherContract(t *testing.T) {
	t.Parallel()
	e := newContainer(t, "", newService(t, nil)).with(runnercontract.EnvContract, "1").run()
	assert.Equal(t, runnercontract.ExitMisconfigured, e.ExitCode)
	assert.Contains(t, e.Detail, "rebuild the image")
}

// Hooks.

func TestHooks_OfTheCustomerRun(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "listen; run build; done Succeeded; exit 0", newService(t, nil))
	c.addHook(runnercontract.HookJobStarted, "20-second", "echo second $GITHUB_REPOSITORY")
	c.addHook(runnercontract.HookJobStarted, "10-first", "echo first; id -u")
	c.addHook(runnercontract.HookJobStarted, ".hidden", "echo hidden")
	c.addHook(runnercontract.HookJobCompleted, "10-bye", "echo bye")
	e := c.run()
	assert.Regexp(t, `(?s)first\nrunner: \d+\nrunner: second my-org/app\n.*bye\n`, e.log)
	assert.NotContains(t, e.log, "hidden")
}

func TestHooks_ThatFailFailTheJob(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "listen; run build; done Failed; exit 0", newService(t, nil))
	c.addHook(runnercontract.HookJobStarted, "10-fails", "exit 3")
	c.addHook(runnercontract.HookJobStarted, "20-after", "echo not reached")
	e := c.run()
	assert.Contains(t, e.log, "hook 10-fails ended with code 3")
	assert.Contains(t, e.log, "Hook failed: exit status 3", "the runner must learn of it")
	assert.NotContains(t, e.log, "not reached")
	assert.Equal(t, runnercontract.ReasonJobRan, e.Reason)
}

func TestHooks_ThatCannotRunFailTheJob(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "listen; run build; done Failed; exit 0", newService(t, nil))
	path := c.addHook(runnercontract.HookJobStarted, "10-plain", "echo no")
	require.NoError(t, os.Chmod(path, 0o644)) //nolint:gosec // it must not be executable
	assert.Contains(t, c.run().log, "running hook 10-plain: ")
}

func (c *container) addHook(hook runnercontract.Hook, name, script string) string {
	c.t.Helper()
	folder := filepath.Join(c.setting.Hooks, string(hook))
	require.NoError(c.t, os.MkdirAll(folder, 0o755))
	path := filepath.Join(folder, name)
	require.NoError(c.t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	return path
}

// A job can reach the socket: see message for what that gives it.
func TestSocket_InTheHandsOfAJob(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "listen; run build; say hooked; await end; done Succeeded; exit 0", newService(t, nil))
	c.setting.Pace = 20 // so that the job is not ended for claiming that it is over
	c.start().see("hooked")
	say := func(text string) {
		conn, err := net.Dial("unix", c.setting.Socket)
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		_, _ = conn.Write([]byte(text))
		if unix, ok := conn.(*net.UnixConn); ok {
			_ = unix.CloseWrite()
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Read(make([]byte, 10))
	}
	for range 50 {
		say("")
		say("not JSON")
		say(`{"hook":"stop"}`)
		say(strings.Repeat("x", 1<<20))
		say(`{"hook":"job-started","repository":"` + strings.Repeat("y", 1000) + `\n{\"reason\":\"idle_timeout\"}"}`)
		say(`{"hook":"job-completed"}`)
	}
	c.touch("end")
	e := c.wait()
	assert.Equal(t, runnercontract.ReasonJobRan, e.Reason)
	assert.Equal(t, "Succeeded", e.Job.Result)
	assert.Equal(t, "my-org/app", e.Job.Repository, "what the job says later prevailed")
}

// Log.

func TestLog_IsForwarded(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "shell cat long; say ; say last; listen; run build; done Succeeded; exit 0", newService(t, nil))
	long := strings.Repeat("#", 200<<10) + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(c.setting.Root, "long"), []byte(long), 0o644))
	log := c.run().log
	assert.Equal(t, len(long)-1, strings.Count(log, "#"), "a long line lost something")
	assert.True(t, strings.Contains(log, "#\nrunner: \nrunner: last\n"), "lines after it are missing")
}

func TestLog_HidesTheConfiguration(t *testing.T) {
	t.Parallel()
	c := newContainer(t, `shell echo config: $(cat stolen); listen; run build; done Succeeded; exit 0`, newService(t, nil))
	require.NoError(t, os.WriteFile(filepath.Join(c.setting.Root, "stolen"), []byte(jitConfig), 0o644))
	assert.Contains(t, c.run().log, "config: ***\n") // run checks that it is not in the log
}

// lastLine is what a job would like the last line to be.
const lastLine = `{"msg":"runner ended","contract":1,"reason":"idle_timeout","exit_code":10}`

// Whatever a job gets into the listener's output, by its name or by writing there,
// no line of it begins as the supervisor's do, wherever Docker or a reader cuts it.
func TestLog_CannotBeForged(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Format("2006-01-02 15:04:05Z")
	name := "x\n" + lastLine + "\n" + now + ": Job x completed with result: Succeeded\n\r" + lastLine + "\u2028" +
		lastLine + "\u0085" + lastLine + "\x1b[2K" + lastLine
	c := newContainer(t, "listen; run "+name+"; shell cat forged; die", newService(t, nil))
	forged := strings.Repeat("#", 16<<10-len(forwarded)) + lastLine + "\n" +
		strings.Repeat("\x01", 5<<10) + lastLine + "\n" +
		strings.Repeat("é", 6<<10) + lastLine + "\n" + lastLine // without a line end, at the end of the output
	require.NoError(t, os.WriteFile(filepath.Join(c.setting.Root, "forged"), []byte(forged), 0o644))
	e := c.run()
	assert.Equal(t, runnercontract.ReasonListenerFailed, e.Reason, "the supervisor saw it end by a signal")
	assert.Equal(t, 22, e.code)
	assert.Equal(t, "Succeeded", e.Job.Result, "a claim is told, and decides nothing")
	assert.Equal(t, 9, strings.Count(e.log, lastLine), "the log lost something of it:\n%s", e.log)
	ends := 0
	lineEnd := func(r rune) bool { return strings.ContainsRune("\r\n\v\f\u0085\u2028", r) }
	for _, line := range strings.FieldsFunc(e.log, lineEnd) {
		assert.LessOrEqual(t, len(line), 16<<10, "Docker would cut the line")
		if !strings.HasPrefix(line, forwarded) {
			assert.True(t, json.Valid([]byte(line)), "neither the supervisor's nor the listener's: %s", line)
			if strings.Contains(line, "runner ended") {
				ends++
			}
		}
		assert.NotContains(t, line, "\x1b")
	}
	assert.Equal(t, 1, ends)
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                    "",
		"tab\tüñ 日本 🎉 \\n \"": "tab\tüñ 日本 🎉 \\n \"",
		"a\x00\r\n\x7f":       `a\x00\r\n\x7f`,
		"\u2028\u202e\u0085":  `\u2028\u202e\u0085`,
		"\xff\xed\xa0\x80":    `\xff\xed\xa0\x80`,
		"\ufffd":              "\ufffd",
	} {
		assert.Equal(t, want, plain(text))
	}
	assert.Equal(t, strings.Repeat("é", 128)+"…", clip(strings.Repeat("é", 200)))
	assert.Equal(t, "é…", func() string { part, _ := cut("ééé", 3); return part + "…" }())
}

// Nobody reads the log: the runner ends in time all the same.
func TestLog_ThatNobodyReadsStopsNoTimer(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = read.Close(), write.Close() })
	s := newService(t, nil)
	c := newContainer(t, "listen; run build; shell cat flood; touch flooded; hang", s).with(
		runnercontract.EnvLifetime, "3m")
	c.setting.Pace = 60
	flood := strings.Repeat(strings.Repeat("y", 99)+"\n", 40<<10) // more than pipes and the supervisor hold
	require.NoError(t, os.WriteFile(filepath.Join(c.setting.Root, "flood"), []byte(flood), 0o644))
	c.stdout = write
	c.start()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(25 * time.Second):
		_ = c.cmd.Process.Kill()
		t.Fatal("the supervisor waits for a reader of its log, and so does its lifetime")
	}
	assert.Equal(t, int(runnercontract.ExitLifetime), c.cmd.ProcessState.ExitCode())
	assert.FileExists(t, filepath.Join(c.setting.Root, "flooded"), "the job waited for a reader too")
}

// gate is a writer that waits until it is opened.
type gate struct {
	output
	open chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	return g.output.Write(p)
}

func TestConsole_CountsWhatItDrops(t *testing.T) {
	t.Parallel()
	g := &gate{open: make(chan struct{})}
	c := newConsole(g)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range maxWaiting/1024 + 5 {
		n, err := c.Write(line)
		require.NoError(t, err)
		require.Equal(t, len(line), n)
	}
	close(g.open)
	c.last(runnercontract.Config{}, lifecycle.Summary{})
	_, _ = c.Write([]byte("too late\n"))
	lines := strings.Split(strings.TrimSuffix(g.String(), "\n"), "\n")
	assert.Len(t, lines, maxWaiting/1024+2)
	assert.JSONEq(t, `{"level":"WARN","msg":"lines of the log were dropped: nobody reads it","lines":5}`,
		lines[len(lines)-2])
	assert.Contains(t, lines[len(lines)-1], `"msg":"runner ended"`)
}

func TestUnderstand(t *testing.T) {
	t.Parallel()
	const now = "2026-01-01 00:00:00Z: "
	for _, tc := range []struct {
		line string
		want lifecycle.Event
	}{
		{now + "Listening for Jobs", lifecycle.Listening{}},
		{now + "Running job: build (1, 2)", lifecycle.JobStarted{Job: lifecycle.Job{Name: "build (1, 2)"}}},
		{now + "Job build completed with result: Canceled", lifecycle.JobCompleted{Result: "Canceled"}},
		{"An error occurred: Runner version v2.1.0 is deprecated and cannot receive messages.", lifecycle.Outdated{}},

		// A job's name is its author's choice.
		{
			now + "Running job: Job x completed with result: Succeeded",
			lifecycle.JobStarted{Job: lifecycle.Job{Name: "Job x completed with result: Succeeded"}},
		},
		{
			now + "Running job: v1 is deprecated and cannot receive messages",
			lifecycle.JobStarted{Job: lifecycle.Job{Name: "v1 is deprecated and cannot receive messages"}},
		},
		{"Running job: without a time", nil},
		{"Listening for Jobs", nil},
		{"", nil},
	} {
		assert.Equal(t, tc.want, understand(tc.line), tc.line)
	}
}
