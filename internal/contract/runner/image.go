package runner

// Where the supervisor and its surroundings are in the image.
const (
	// User is the name, UID the user and group id, that jobs run as.
	User = "runner"
	UID  = 1001
	// Root holds actions/runner. It is the home of User too, and the only directory
	// it can write, apart from those Debian opens to everybody.
	Root = "/home/runner"
	// SupervisorRoot holds what comes from this library: the supervisor and the two
	// hook scripts that the runner calls.
	SupervisorRoot = "/opt/ecsrunners"
	// SupervisorSocket is the unix socket on which the hooks reach the supervisor.
	SupervisorSocket = "/run/ecsrunners/supervisor.sock"
	// SudoMark exists in images that were built with SUDO=true: the build puts it
	// beside the supervisor.
	SudoMark = SupervisorRoot + "/sudo"
	// HooksRoot holds the customer's own hooks, in a folder for each Hook.
	HooksRoot = "/etc/ecsrunners/hooks.d"
)

// Hook is a moment in a job at which the runner calls hooks. It names the folder
// of the customer's hooks below HooksRoot and, with ".sh", our hook script.
type Hook string

// The hooks of actions/runner.
const (
	HookJobStarted   Hook = "job-started"
	HookJobCompleted Hook = "job-completed"
)
