#!/bin/bash
# Written by ecsrunners. cloud-init runs this once, at the first boot, before
# the ECS agent starts. If a step fails, the agent stays off and the instance
# joins no cluster: a host without its firewall must not run jobs. After ten
# minutes, time to look at it, it powers off and is replaced.
set -euo pipefail
trap 'echo "ecsrunners: user data failed in line $LINENO, the ECS agent stays off" >&2; systemctl mask --now --no-block ecs.service || true; shutdown -P +10' ERR

cat > /usr/local/sbin/ecsrunners-firewall <<'EOF'
#!/bin/bash
# Written by ecsrunners. Runs after docker and before the ECS agent, at every
# boot and at every start of the agent; a repetition changes nothing.
#
# What arrives in PREROUTING came in by a network interface: from a container,
# or from outside. The host's own requests, the agent's among them, do not pass
# here. The raw table is asked before all others, so no ACCEPT of docker's or of
# the agent's own (it opens its port to docker0) comes first.
set -euo pipefail

drop() {
  local iptables=$1
  shift
  "$iptables" -w -t raw -C PREROUTING "$@" -j DROP 2>/dev/null ||
    "$iptables" -w -t raw -I PREROUTING "$@" -j DROP
}

# The instance metadata service hands out the instance role's credentials. Its
# IPv6 address is off in the launch template.
drop iptables -d 169.254.169.254/32

# The agent's introspection port lists every task of the host.
drop iptables ! -i lo -p tcp --dport 51678 -m addrtype --dst-type LOCAL
if [[ -e /proc/net/if_inet6 ]]; then
  drop ip6tables ! -i lo -p tcp --dport 51678 -m addrtype --dst-type LOCAL
fi
EOF
chmod 0755 /usr/local/sbin/ecsrunners-firewall

cat > /etc/systemd/system/ecsrunners-firewall.service <<'EOF'
[Unit]
Description=Keep containers from the instance's credentials and from the ECS agent
Requires=docker.service
After=docker.service
Before=ecs.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/ecsrunners-firewall

[Install]
RequiredBy=ecs.service
EOF

# Every start of the agent checks again. At the first boot this line, not the
# unit, is what the agent cannot get around: its start was queued before the
# unit existed.
mkdir -p /etc/systemd/system/ecs.service.d
cat > /etc/systemd/system/ecs.service.d/ecsrunners.conf <<'EOF'
[Service]
ExecStartPre=/usr/local/sbin/ecsrunners-firewall
EOF

cat > /usr/local/sbin/ecsrunners-space <<'EOF'
#!/bin/bash
# Written by ecsrunners. Runs twice a minute. A host without space for a job takes
# no tasks: it is set to DRAINING, and once it runs none it powers off and is
# replaced, even if there is space again by then. Jobs on it run on.
set -euo pipefail

least=$((1024 * 1024)) # KiB

root=$(docker info --format '{{.DockerRootDir}}')
free=$(df --output=avail -k "$root")
free=${free##*$'\n'}
draining=/run/ecsrunners-draining
if ((free >= least)) && [[ ! -e "$draining" ]]; then exit 0; fi
echo "ecsrunners: $free KiB are free in $root, and $least are needed: this host takes no more tasks" >&2
: > "$draining"

imds() { curl --fail --silent --show-error --max-time 5 "$@"; }

# member NAME of a JSON object with strings.
member() { [[ "$2" =~ \"$1\"\ *:\ *\"([^\"]+)\" ]] && echo "${BASH_REMATCH[1]}"; }

# drain asks ECS as the agent does when a Spot instance is taken, with its rights.
drain() {
  local metadata cluster instance token header role credentials key secret session region domain
  metadata=$(imds http://localhost:51678/v1/metadata) &&
    cluster=$(member Cluster "$metadata") &&
    instance=$(member ContainerInstanceArn "$metadata") &&
    token=$(imds -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" http://169.254.169.254/latest/api/token) || return
  header="X-aws-ec2-metadata-token: $token"
  local latest=http://169.254.169.254/latest/meta-data
  role=$(imds -H "$header" "$latest/iam/security-credentials/") &&
    credentials=$(imds -H "$header" "$latest/iam/security-credentials/$role") &&
    key=$(member AccessKeyId "$credentials") &&
    secret=$(member SecretAccessKey "$credentials") &&
    session=$(member Token "$credentials") &&
    region=$(imds -H "$header" "$latest/placement/region") &&
    domain=$(imds -H "$header" "$latest/services/domain") || return
  # By its input, because arguments are seen by others.
  curl --fail --silent --show-error --max-time 20 --output /dev/null --config - <<END
url = "https://ecs.$region.$domain/"
aws-sigv4 = "aws:amz:$region:ecs"
user = "$key:$secret"
header = "X-Amz-Security-Token: $session"
header = "Content-Type: application/x-amz-json-1.1"
header = "X-Amz-Target: AmazonEC2ContainerServiceV20141113.UpdateContainerInstancesState"
data = "{\"cluster\":\"$cluster\",\"containerInstances\":[\"$instance\"],\"status\":\"DRAINING\"}"
END
}
drain || echo "ecsrunners: the host cannot be set to DRAINING" >&2

# The agent knows of tasks whose image is being pulled, docker of those that run.
tasks=$(imds http://localhost:51678/v1/tasks) || tasks=
if [[ "$tasks" =~ \"DesiredStatus\"\ *:\ *\"RUNNING\" ]]; then exit 0; fi
running() { docker ps --quiet --filter label=com.amazonaws.ecs.task-arn; }
if [[ -n "$(running)" ]]; then exit 0; fi
systemctl stop ecs.service # whatever ECS knows, it starts nothing here any more
if [[ -n "$(running)" ]]; then
  systemctl start ecs.service
  exit 0
fi
shutdown -P now
EOF
chmod 0755 /usr/local/sbin/ecsrunners-space

cat > /etc/systemd/system/ecsrunners-space.service <<'EOF'
[Unit]
Description=Take no tasks without space for them

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/ecsrunners-space
TimeoutStartSec=2min
EOF

cat > /etc/systemd/system/ecsrunners-space.timer <<'EOF'
[Unit]
Description=Look twice a minute whether there is space for tasks

[Timer]
OnCalendar=*:*:00/30
AccuracySec=1s

[Install]
WantedBy=timers.target
EOF

# Without --no-block this would wait for docker, and docker for cloud-init.
systemctl daemon-reload
systemctl enable --now --no-block ecsrunners-firewall.service
systemctl enable --now --no-block ecsrunners-space.timer

# A job has the user of the runner that runs it, and could change what that does
# by tracing it. With this a process traces its descendants only, where the kernel
# has Yama and the image does not forbid more.
yama=/proc/sys/kernel/yama/ptrace_scope
if [[ -e "$yama" ]]; then
  read -r scope < "$yama"
  if [[ "$scope" == 0 ]]; then
    mkdir -p /etc/sysctl.d
    cat > /etc/sysctl.d/90-ecsrunners.conf <<'EOF'
kernel.yama.ptrace_scope = 1
EOF
    echo 1 > "$yama"
  fi
fi

# Last, so that only a host that came this far learns its cluster. The empty
# line ends a line that the image's file may have left open.
mkdir -p /etc/ecs
cat >> /etc/ecs/ecs.config <<'EOF'

ECS_AWSVPC_BLOCK_IMDS=true
ECS_DISABLE_PRIVILEGED=false
ECS_ENABLE_TASK_IAM_ROLE=true
ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=false
ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=1m0s
ECS_IMAGE_PULL_BEHAVIOR=default
ECS_RESERVED_MEMORY=256
ECS_CLUSTER=runners
EOF
