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

# Without --no-block this would wait for docker, and docker for cloud-init.
systemctl daemon-reload
systemctl enable --now --no-block ecsrunners-firewall.service

# Last, so that only a host that came this far learns its cluster. The empty
# line ends a line that the image's file may have left open.
mkdir -p /etc/ecs
cat >> /etc/ecs/ecs.config <<'EOF'

ECS_AWSVPC_BLOCK_IMDS=true
ECS_DISABLE_PRIVILEGED=true
ECS_ENABLE_TASK_IAM_ROLE=true
ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=false
ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=10m0s
ECS_IMAGE_PULL_BEHAVIOR=default
ECS_RESERVED_MEMORY=256
ECS_WARM_POOLS_CHECK=true
ECS_CLUSTER=runners
EOF
