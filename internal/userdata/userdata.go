// Package userdata renders the script that turns an ECS-optimized instance
// into a host for jobs: it hardens the host and configures the ECS agent.
package userdata

import (
	_ "embed"
	"fmt"
	"sort"
	"strings"
	"text/template"
	"time"
)

var (
	//go:embed templates/userdata.sh.tmpl
	scriptTemplate string
	//go:embed templates/firewall.sh
	firewall string
	//go:embed templates/space.sh
	space string

	script = template.Must(template.New("userdata").Parse(scriptTemplate))
)

// Firewall is the script that keeps containers from the instance metadata
// service and from the ECS agent's introspection port. Render installs it.
func Firewall() string { return firewall }

// Space is the script that takes a host without space out of service. Render
// installs it.
func Space() string { return space }

// Host is the configuration of the instances of a capacity.
type Host struct {
	ClusterName       string            // may be a CDK token
	ReservedMemoryMiB int               // kept from tasks
	TaskCleanupWait   time.Duration     // until the containers of a stopped task are removed
	ImagePullBehavior string            // of the ECS agent
	Privileged        bool              // the agent starts privileged containers
	Spot              bool              // some instances are Spot
	WarmPool          bool              // instances wait in a warm pool
	Extra             map[string]string // further variables of the agent
}

// Render returns the user data of instances: a bash script for the ECS-optimized
// Amazon Linux 2023, or for any image with bash, systemd, docker.service, iptables
// and the ECS agent as ecs.service.
func Render(h Host) (string, error) {
	var b strings.Builder
	err := script.Execute(&b, map[string]any{
		"Firewall":    firewall,
		"Space":       space,
		"ClusterName": h.ClusterName,
		"Agent":       agentConfig(h),
	})
	if err != nil {
		return "", fmt.Errorf("rendering user data: %w", err)
	}
	return b.String(), nil
}

// agentConfig lists the lines of /etc/ecs/ecs.config, sorted, without the
// cluster. Their meaning: https://github.com/aws/amazon-ecs-agent#environment-variables
func agentConfig(h Host) []string {
	variables := map[string]string{
		// Tasks of the awsvpc mode go around the firewall; this closes theirs.
		"ECS_AWSVPC_BLOCK_IMDS":    "true",
		"ECS_ENABLE_TASK_IAM_ROLE": "true",
		// In the host network mode nothing keeps a container from the metadata
		// service, so such tasks get no role.
		"ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST": "false",
		"ECS_DISABLE_PRIVILEGED":                fmt.Sprint(!h.Privileged),
		"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": h.TaskCleanupWait.String(),
		"ECS_IMAGE_PULL_BEHAVIOR":               h.ImagePullBehavior,
		"ECS_RESERVED_MEMORY":                   fmt.Sprint(h.ReservedMemoryMiB),
	}
	if h.Spot {
		variables["ECS_ENABLE_SPOT_INSTANCE_DRAINING"] = "true"
	}
	if h.WarmPool {
		variables["ECS_WARM_POOLS_CHECK"] = "true"
	}
	for name, value := range h.Extra {
		variables[name] = value
	}
	lines := make([]string, 0, len(variables))
	for name, value := range variables {
		lines = append(lines, name+"="+value)
	}
	sort.Strings(lines)
	return lines
}
