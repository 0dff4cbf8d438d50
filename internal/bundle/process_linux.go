package bundle

import (
	"os/exec"
	"runtime"
	"syscall"
)

// combinedOutput runs a command, which is interrupted when this process ends
// before it, and returns what it has written.
func combinedOutput(command *exec.Cmd) ([]byte, error) {
	// The kernel takes the end of the thread for the end of the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	return command.CombinedOutput()
}
