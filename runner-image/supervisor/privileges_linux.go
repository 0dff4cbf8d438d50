package main

import (
	"fmt"
	"runtime"
	"syscall"
)

// prSetNoNewPrivs is PR_SET_NO_NEW_PRIVS of linux/prctl.h.
const prSetNoNewPrivs = 38

// withoutNewPrivileges starts a process that can gain no privileges by executing
// a file, whatever its setuid bit or capabilities, and neither can anything that
// it starts. The kernel keeps that for each thread, so that a thread of its own
// starts the process and ends: being locked to it, its goroutine takes it along.
// https://docs.kernel.org/userspace-api/no_new_privs.html
func withoutNewPrivileges(fork func() (int, error)) (int, error) {
	type forked struct {
		pid int
		err error
	}
	done := make(chan forked)
	go func() {
		runtime.LockOSThread()
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
			done <- forked{err: fmt.Errorf("giving up new privileges: %w", errno)}
			return
		}
		pid, err := fork()
		done <- forked{pid, err}
	}()
	result := <-done
	return result.pid, result.err
}
