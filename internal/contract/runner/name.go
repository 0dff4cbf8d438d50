package runner

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
)

// Limits of the parts of a runner's name. GitHub allows 64 characters.
const (
	MaxName       = 64
	MaxDeployment = 8
	// TaskIDPart is how much of the task id stands in the name.
	TaskIDPart = 8
)

// Name is the name of a runner, in its parts. The deployment keeps apart
// two deployments in one organization; the nonce makes names of repeated
// registrations differ.
type Name struct {
	Deployment, Fleet, JobID, Task, Nonce string
}

// ErrName says that a name is not one that Name makes.
var ErrName = errors.New("not a runner name of ours")

// String returns the name as GitHub knows it. Task may be a whole task id.
func (n Name) String() string {
	return strings.Join([]string{n.Deployment, n.Fleet, n.JobID, n.Task[:min(len(n.Task), TaskIDPart)], n.Nonce}, "-")
}

// ParseName takes a name apart. A fleet's name may contain dashes, the
// other parts do not.
func ParseName(name string) (Name, error) {
	parts := strings.Split(name, "-")
	last := len(parts) - 1
	if last < 4 || len(name) > MaxName {
		return Name{}, fmt.Errorf("%w: %q", ErrName, name)
	}
	n := Name{
		Deployment: parts[0],
		Fleet:      strings.Join(parts[1:last-2], "-"),
		JobID:      parts[last-2],
		Task:       parts[last-1],
		Nonce:      parts[last],
	}
	_, taskErr := strconv.ParseUint(n.Task, 16, 32)
	if n.Deployment == "" || n.Fleet == "" || n.Nonce == "" || !contract.IsJobID(n.JobID) || taskErr != nil || len(n.Task) != TaskIDPart {
		return Name{}, fmt.Errorf("%w: %q", ErrName, name)
	}
	return n, nil
}

// IsDeployment reports whether s can begin the names of runners.
func IsDeployment(s string) bool {
	return s != "" && len(s) <= MaxDeployment && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}
