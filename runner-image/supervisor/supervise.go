package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/lifecycle"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/registration"
)

// registrar is what the supervisor needs of the registration service.
type registrar interface {
	Register(context.Context) (runnercontract.Registration, error)
	Started(context.Context) error
	Release(context.Context, runnercontract.Secret) error
}

// supervisor carries out what the machine decides.
type supervisor struct {
	image     image
	machine   *lifecycle.Machine
	registrar registrar
	clock     registration.Clock
	out       *console
	log       *slog.Logger
	reaper    *reaper

	events  chan lifecycle.Event
	done    chan struct{}           // closed at the end; nobody takes events any more
	cancel  context.CancelCauseFunc // of the request that is under way
	granted runnercontract.Registration
	process *process
	sudo    bool // jobs can become root

	stop   time.Duration // the stop timeout
	stopBy time.Time     // when it is over, once ECS has asked to stop
}

var (
	errNotRoot   = errors.New("the supervisor must be root, so that a job cannot reach it")
	errCancelled = errors.New("the runner is ending")
)

// supervise runs one runner from its registration to its end, and reports how that
// was. Its error means that it could not begin.
func supervise(config runnercontract.Config, img image, clock registration.Clock, out *console, log *slog.Logger) (runnercontract.ExitCode, error) {
	begun := time.Now()
	if os.Geteuid() != img.owner {
		return 0, errNotRoot
	}
	client, err := newClient(config, clock, log)
	if err != nil {
		return 0, err
	}
	s := &supervisor{
		image: img,
		machine: lifecycle.New(lifecycle.Limits{
			Idle:     config.IdleTimeout,
			Lifetime: config.Lifetime,
			Start:    config.StartTimeout,
			Stop:     config.StopTimeout,
		}),
		registrar: client,
		clock:     clock,
		out:       out,
		log:       log,
		reaper:    newReaper(),
		stop:      config.StopTimeout,
		sudo:      img.hasSudo(), // before a job can change it
		events:    make(chan lifecycle.Event),
		done:      make(chan struct{}),
	}
	hooks, err := listenForHooks(img, s.report)
	if err != nil {
		return 0, err
	}
	defer hooks.close()

	log.Info("runner begins", "fleet", config.Fleet, "job_id", config.JobID, "repository", config.Repository,
		"attempt", config.Attempt, "delivery_id", config.DeliveryID)
	summary := s.loop()
	out.last(config, summary) // before what takes time: SIGKILL may be near
	s.empty(begun)
	return summary.ExitCode, nil
}

// loop reports events to the machine and carries out its actions until the end.
func (s *supervisor) loop() lifecycle.Summary {
	defer close(s.done)
	signals := make(chan os.Signal, 1)
	// They stay caught: by default they would end the process that removes what the job
	// has written, with an exit code of their own.
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)

	summary, ended := s.carryOut(s.machine.Begin(s.clock.Now()))
	for !ended {
		var due <-chan time.Time
		if at, ok := s.machine.Deadline(); ok {
			due = s.clock.After(at.Sub(s.clock.Now()))
		}
		var event lifecycle.Event
		select {
		case <-children:
			s.reaper.reap()
			continue
		case received := <-signals:
			s.log.Info("asked to stop", "signal", received.String())
			if s.stopBy.IsZero() {
				s.stopBy = s.clock.Now().Add(s.stop)
			}
			event = lifecycle.Terminate{}
		case event = <-s.events:
		case <-due:
			event = lifecycle.Tick{}
		}
		summary, ended = s.carryOut(s.machine.Handle(s.clock.Now(), event))
	}
	return summary
}

// report hands an event to the loop.
func (s *supervisor) report(event lifecycle.Event) {
	select {
	case s.events <- event:
	case <-s.done:
	}
}

// carryOut does what the machine wants done. The summary is valid at the end.
func (s *supervisor) carryOut(actions []lifecycle.Action) (summary lifecycle.Summary, ended bool) {
	for i := 0; i < len(actions); i++ {
		switch a := actions[i].(type) {
		case lifecycle.Register:
			s.ask(s.register)
		case lifecycle.Confirm:
			s.ask(s.confirm)
		case lifecycle.Release:
			s.ask(s.release)
		case lifecycle.Cancel:
			s.cancel(errCancelled)
		case lifecycle.Start:
			if err := s.start(); err != nil {
				actions = append(actions, s.machine.Handle(s.clock.Now(), lifecycle.NotStarted{Detail: err.Error()})...)
			}
		case lifecycle.Interrupt:
			s.log.Info("interrupting the listener")
			s.process.interrupt()
		case lifecycle.Kill:
			s.log.Warn("killing the listener")
			s.process.kill()
		case lifecycle.End:
			s.finish()
			return a.Summary, true
		}
	}
	return lifecycle.Summary{}, false
}

// ask sends a request and reports the event it leads to.
func (s *supervisor) ask(request func(context.Context) lifecycle.Event) {
	ctx, cancel := context.WithCancelCause(context.Background())
	s.cancel = cancel
	go func() {
		defer cancel(nil)
		s.report(request(ctx))
	}()
}

func (s *supervisor) register(ctx context.Context) lifecycle.Event {
	granted, err := s.registrar.Register(ctx)
	if err != nil {
		return notRegistered(err)
	}
	s.granted = granted // read by start, which this event leads to
	s.log.Info("registered", "runner", granted.RunnerName, "runner_id", granted.RunnerID)
	return lifecycle.Registered{RunnerName: granted.RunnerName}
}

func (s *supervisor) confirm(ctx context.Context) lifecycle.Event {
	if err := s.registrar.Started(ctx); err != nil {
		return notRegistered(err)
	}
	return lifecycle.Confirmed{}
}

func (s *supervisor) release(ctx context.Context) lifecycle.Event {
	err := s.registrar.Release(ctx, s.granted.ReleaseToken)
	switch {
	case err == nil:
		s.log.Info("registration given back")
		return lifecycle.Released{Answer: lifecycle.ReleaseDone}
	case errors.Is(err, registration.ErrBusy):
		s.log.Info("registration kept: the runner is busy")
		return lifecycle.Released{Answer: lifecycle.ReleaseBusy}
	default:
		s.log.Error("giving the registration back", "error", err.Error())
		return lifecycle.Released{Answer: lifecycle.ReleaseUnknown}
	}
}

// notRegistered says what an error of the registration service means.
func notRegistered(err error) lifecycle.NotRegistered {
	switch {
	case errors.Is(err, registration.ErrNoWork):
		return lifecycle.NotRegistered{Reason: runnercontract.ReasonNoWork}
	case errors.Is(err, registration.ErrRefused):
		return lifecycle.NotRegistered{Reason: runnercontract.ReasonRefused, Detail: err.Error()}
	default:
		return lifecycle.NotRegistered{Reason: runnercontract.ReasonUnreachable, Detail: err.Error()}
	}
}

// start starts the listener. What an earlier registration of this task has left is
// removed: the listener writes these files again from its configuration.
func (s *supervisor) start() error {
	for _, file := range []string{".runner", ".credentials", ".credentials_rsaparams"} {
		if err := os.Remove(filepath.Join(s.image.root, file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing an earlier registration: %w", err)
		}
	}
	process, err := startListener(s.reaper, s.image, s.granted.JITConfig, s.out, s.report)
	if err != nil {
		return fmt.Errorf("starting the listener: %w", err)
	}
	s.process = process
	return nil
}

// finish leaves nothing running.
func (s *supervisor) finish() {
	if s.cancel != nil {
		s.cancel(errCancelled)
	}
	if s.process != nil {
		s.process.kill()
	}
}

// emptyTimeout bounds how long the supervisor removes what a job has written.
const emptyTimeout = 10 * time.Second

// killTimeout bounds the wait for processes that do not end, such as one that waits
// for a disk.
const killTimeout = 2 * time.Second

// empty removes what the job has written, as far as there is time.
func (s *supervisor) empty(begun time.Time) {
	if s.process == nil || s.image.disk == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), emptyTimeout)
	defer cancel()
	if !s.stopBy.IsZero() { // SIGKILL would take the exit code along
		left := s.clock.After(s.stopBy.Sub(s.clock.Now()) - lifecycle.StopMargin/4)
		go func() {
			<-left
			cancel()
		}()
	}
	killing, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	s.reaper.endAll(killing)
	first := []string{"tmp", "var/tmp"}
	if root, err := filepath.Rel(s.image.disk, s.image.root); err == nil {
		first = append([]string{root}, first...)
	}
	disk{folder: s.image.disk, since: begun, owner: s.image.uid, all: s.sudo}.empty(ctx, first...)
}
