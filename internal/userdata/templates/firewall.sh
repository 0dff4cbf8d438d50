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
