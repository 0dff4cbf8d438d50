// Listener stands in for Runner.Listener in tests. It reads its configuration and
// writes it to files like the real one, and then plays what FAKE_LISTENER says:
// steps separated by ";", for its first start, and after a "|" for the next.
//
//	listen        wait for jobs
//	run NAME      start the job: print it, start a worker, call the hook
//	work TIME     let time pass
//	await FILE    wait until FILE exists in the runner's root
//	touch FILE    make FILE there
//	done RESULT   end the job: call the hook, end the worker, print the result
//	shell SCRIPT  run a script as the job would
//	say TEXT      print TEXT
//	deaf          ignore SIGINT and SIGTERM from now on
//	die           end by SIGKILL
//	hang          do nothing forever
//	exit CODE     end
//
// On SIGINT it cancels a running job and ends with code 0.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var version = "2.999.0" // set when it is built

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "--version":
		fmt.Println(version)
		return
	case len(os.Args) == 2 && os.Args[1] == "worker":
		_, _ = io.Copy(io.Discard, os.Stdin) // until the listener closes it
		return
	case len(os.Args) != 2 || os.Args[1] != "run":
		fail("usage: Runner.Listener run")
	}
	if os.Geteuid() == 0 {
		fail("Must not run with sudo")
	}
	configure()
	l := &listener{interrupted: make(chan os.Signal, 1)}
	signal.Notify(l.interrupted, syscall.SIGINT)
	for _, step := range strings.Split(script(), ";") {
		l.play(strings.TrimSpace(step))
	}
}

// configure does what the listener does with ACTIONS_RUNNER_INPUT_JITCONFIG.
func configure() {
	const name = "ACTIONS_RUNNER_INPUT_JITCONFIG"
	decoded, err := base64.StdEncoding.DecodeString(os.Getenv(name))
	if err != nil {
		fail("The input is not a valid Base-64 string")
	}
	var files map[string]string
	if err := json.Unmarshal(decoded, &files); err != nil {
		fail("Runner is not configured.")
	}
	for file, encoded := range files {
		content, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil {
			err = os.WriteFile(filepath.Base(file), content, 0o600)
		}
		if err != nil {
			fail(err.Error())
		}
	}
	_ = os.Unsetenv(name)
}

// script returns the steps for this start of the listener.
func script() string {
	const counter = ".starts"
	before, _ := os.ReadFile(counter)
	if err := os.WriteFile(counter, append(before, '.'), 0o600); err != nil {
		fail(err.Error())
	}
	scripts := strings.Split(os.Getenv("FAKE_LISTENER"), "|")
	return scripts[min(len(before), len(scripts)-1)]
}

type listener struct {
	interrupted chan os.Signal
	job         string
	worker      io.Closer
}

func (l *listener) play(step string) {
	verb, arg, _ := strings.Cut(step, " ")
	switch verb {
	case "":
	case "listen":
		fmt.Println("Current runner version: '" + version + "'")
		timed("Listening for Jobs")
	case "run":
		l.job = arg
		timed("Running job: " + arg)
		l.startWorker()
		l.hook("ACTIONS_RUNNER_HOOK_JOB_STARTED")
	case "work":
		d, err := time.ParseDuration(arg)
		if err != nil {
			fail(err.Error())
		}
		l.wait(time.After(d))
	case "await":
		found := make(chan time.Time)
		go func() {
			for {
				if _, err := os.Stat(arg); err == nil {
					close(found)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		l.wait(found)
	case "touch":
		if err := os.WriteFile(arg, nil, 0o600); err != nil {
			fail(err.Error())
		}
	case "done":
		l.done(arg)
	case "shell":
		cmd := exec.Command("/bin/sh", "-c", arg)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		_ = cmd.Run()
	case "say":
		fmt.Println(arg)
	case "deaf":
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
		fmt.Println("deaf")
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "hang":
		l.wait(nil)
	case "exit":
		code, err := strconv.Atoi(arg)
		if err != nil {
			fail(err.Error())
		}
		os.Exit(code)
	default:
		fail("not a step: " + step)
	}
}

// wait waits for c or for an interrupt, which ends the listener.
func (l *listener) wait(c <-chan time.Time) {
	select {
	case <-c:
	case <-l.interrupted:
		fmt.Println("Exiting...")
		if l.job != "" {
			fmt.Println("The runner has received a shutdown signal.")
			l.done("Canceled")
		}
		os.Exit(0)
	}
}

func (l *listener) done(result string) {
	l.hook("ACTIONS_RUNNER_HOOK_JOB_COMPLETED")
	_ = l.worker.Close()
	timed("Job " + l.job + " completed with result: " + result)
	l.job = ""
}

// startWorker starts the process that runs the job's steps.
func (l *listener) startWorker() {
	cmd := exec.Command("/proc/self/exe", "worker")
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fail(err.Error())
	}
	l.worker = stdin
	go func() { _ = cmd.Wait() }()
}

// hook runs a hook script with what the runner gives it.
func (l *listener) hook(variable string) {
	script := os.Getenv(variable)
	if script == "" {
		return
	}
	cmd := exec.Command("bash", "-e", script)
	cmd.Env = append(os.Environ(), "GITHUB_REPOSITORY=my-org/app", "GITHUB_WORKFLOW=ci", "GITHUB_RUN_ID=42", "GITHUB_RUN_ATTEMPT=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Printf("Hook failed: %v\n", err)
	}
}

func timed(line string) {
	fmt.Printf("%s: %s\n", time.Now().UTC().Format("2006-01-02 15:04:05Z"), line)
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(1)
}
