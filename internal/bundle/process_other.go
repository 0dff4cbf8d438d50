//go:build !linux

package bundle

import "os/exec"

// combinedOutput runs a command and returns what it has written.
func combinedOutput(command *exec.Cmd) ([]byte, error) { return command.CombinedOutput() }
