package registration

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
)

// Limits of a runner's name and of its parts, in characters.
const (
	// MaxRunnerName is the most that GitHub allows.
	MaxRunnerName = 64
	// MaxDeployment is the most that the name of a deployment takes.
	MaxDeployment = 8
	// TaskIDPart is how much of the task id stands in the name.
	TaskIDPart = 8
)

// RunnerName is the name of a runner, in its parts. The deployment keeps apart two
// deployments in one organization; the nonce makes names of repeated registrations
// differ.
type RunnerName struct {
	Deployment, Fleet, JobID, Task, Nonce string
}

// ErrRunnerName says that a name is not one that RunnerName makes.
var ErrRunnerName = errors.New("not the name of an ecsrunners runner")

// String returns the name as GitHub knows it. Task may be a whole task id.
func (n RunnerName) String() string {
	return strings.Join([]string{n.Deployment, n.Fleet, n.JobID, n.Task[:min(len(n.Task), TaskIDPart)], n.Nonce}, "-")
}

// ParseRunnerName takes a name apart, or fails with ErrRunnerName. A fleet's name
// may contain dashes, the other parts do not.
func ParseRunnerName(name string) (RunnerName, error) {
	parts := strings.Split(name, "-")
	last := len(parts) - 1
	if last < 4 || len(name) > MaxRunnerName {
		return RunnerName{}, fmt.Errorf("%w: %q", ErrRunnerName, name)
	}
	n := RunnerName{
		Deployment: parts[0],
		Fleet:      strings.Join(parts[1:last-2], "-"),
		JobID:      parts[last-2],
		Task:       parts[last-1],
		Nonce:      parts[last],
	}
	_, taskErr := strconv.ParseUint(n.Task, 16, 32)
	if n.Deployment == "" || n.Fleet == "" || n.Nonce == "" || !contract.IsJobID(n.JobID) || taskErr != nil || len(n.Task) != TaskIDPart {
		return RunnerName{}, fmt.Errorf("%w: %q", ErrRunnerName, name)
	}
	return n, nil
}

// IsDeployment reports whether s can begin the names of runners.
func IsDeployment(s string) bool {
	return s != "" && len(s) <= MaxDeployment && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}
