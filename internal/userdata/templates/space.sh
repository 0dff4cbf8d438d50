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
