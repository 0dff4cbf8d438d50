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

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

var (
	//go:embed templates/userdata.sh.tmpl
	scriptTemplate string
	//go:embed templates/firewall.sh
	firewall string

	script = template.Must(template.New("userdata").Parse(scriptTemplate))
)

// Firewall is the script that keeps containers from the instance metadata
// service and from the ECS agent's introspection port. Render installs it.
func Firewall() string { return firewall }

// Render returns the user data of a capacity's instances: a bash script for
// the ECS-optimized Amazon Linux 2023, or for any image with bash, systemd,
// docker.service, iptables and the ECS agent as ecs.service. The capacity must
// have its defaults; the cluster name may be a CDK token.
func Render(clusterName string, capacity settings.Capacity) (string, error) {
	var b strings.Builder
	err := script.Execute(&b, map[string]any{
		"Firewall":    firewall,
		"ClusterName": clusterName,
		"Agent":       agentConfig(capacity),
	})
	if err != nil {
		return "", fmt.Errorf("rendering user data: %w", err)
	}
	return b.String(), nil
}

// agentConfig lists the lines of /etc/ecs/ecs.config, sorted, without the
// cluster. Their meaning: https://github.com/aws/amazon-ecs-agent#environment-variables
func agentConfig(c settings.Capacity) []string {
	variables := map[string]string{
		// Tasks of the awsvpc mode go around the firewall; this closes theirs.
		"ECS_AWSVPC_BLOCK_IMDS":    "true",
		"ECS_ENABLE_TASK_IAM_ROLE": "true",
		// In the host network mode nothing keeps a container from the metadata
		// service, so such tasks get no role.
		"ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST": "false",
		"ECS_DISABLE_PRIVILEGED":                fmt.Sprint(!c.Agent.Privileged),
		"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": time.Duration(*c.Agent.TaskCleanupWait).String(),
		"ECS_IMAGE_PULL_BEHAVIOR":               c.Agent.ImagePullBehavior,
		"ECS_RESERVED_MEMORY":                   fmt.Sprint(*c.Agent.ReservedMemoryMiB),
	}
	if c.Spot != nil {
		variables["ECS_ENABLE_SPOT_INSTANCE_DRAINING"] = "true"
	}
	if c.WarmPool != nil {
		variables["ECS_WARM_POOLS_CHECK"] = "true"
	}
	for name, value := range c.Agent.Extra {
		variables[name] = value
	}
	lines := make([]string, 0, len(variables))
	for name, value := range variables {
		lines = append(lines, name+"="+value)
	}
	sort.Strings(lines)
	return lines
}
