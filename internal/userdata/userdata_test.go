package userdata_test

import (
	"cmp"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/userdata"
)

var update = flag.Bool("update", false, "rewrite the golden scripts instead of comparing with them")

func TestRender_GivesTheGoldenScript(t *testing.T) {
	t.Parallel()
	const folder = "testdata"
	goldens := map[string]userdata.Host{
		"default.sh":    {ReservedMemoryMiB: 256},
		"spot.sh":       {ReservedMemoryMiB: 256, Spot: true},
		"warm-pool.sh":  {ReservedMemoryMiB: 256, WarmPool: true},
		"privileged.sh": {ReservedMemoryMiB: 256, Privileged: true},
		"agent.sh": {
			ReservedMemoryMiB: 0,
			TaskCleanupWait:   90 * time.Second,
			ImagePullBehavior: "prefer-cached",
			Extra: map[string]string{
				"HTTPS_PROXY":             "http://proxy.example:3128",
				"NO_PROXY":                "169.254.169.254,169.254.170.2,/var/run/docker.sock",
				"ECS_LOGLEVEL":            "debug",
				"ECS_INSTANCE_ATTRIBUTES": `{"team": "$HOME", "tick": "` + "`id`" + `"}`,
			},
		},
	}
	for name, capacity := range goldens {
		got := render(t, capacity)
		file := filepath.Join(folder, name)
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			continue
		}
		want, err := os.ReadFile(file)
		require.NoErrorf(t, err, "%s has no golden; look at the script and run: go test ./internal/userdata -update", name)
		assert.Equalf(t, string(want), got, "instances would boot with another script than %s; if it is meant, run: go "+
			"test ./internal/userdata -update", file)
	}
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, file := range files {
		assert.Containsf(t, goldens, file.Name(), "no test renders %s; delete it", file.Name())
	}
}

func TestRender_LeavesTokensAndSpecialCharactersAlone(t *testing.T) {
	t.Parallel()
	const token = "${Token[TOKEN.123]}<&\"'"
	script, err := userdata.Render(userdata.Host{ClusterName: token, Extra: map[string]string{"ECS_X": token}})
	require.NoError(t, err)
	assert.Contains(t, script, "\nECS_CLUSTER="+token+"\n", "the CDK would not find its token")
	assert.Contains(t, script, "\nECS_X="+token+"\n")
}

// What an instance has when its user data starts.
var image = map[string]string{
	"/etc/ecs/ecs.config":      "ECS_FROM_IMAGE=1", // no line break
	"/etc/systemd/system/.dir": "",
	"/usr/local/sbin/.dir":     "",
	"/proc/net/if_inet6":       "",
	yama:                       "0\n",
}

const yama = "/proc/sys/kernel/yama/ptrace_scope"

func TestScript_HardensTheHostBeforeItJoinsTheCluster(t *testing.T) {
	t.Parallel()
	h := newHost(t, image)
	output, err := h.run(render(t, userdata.Host{ReservedMemoryMiB: 256}))
	require.NoErrorf(t, err, "%s", output)
	assert.Empty(t, output)

	assert.Equal(t, []string{
		"cat", "chmod 0755 /usr/local/sbin/ecsrunners-firewall",
		"cat",
		"mkdir -p /etc/systemd/system/ecs.service.d", "cat",
		"cat", "chmod 0755 /usr/local/sbin/ecsrunners-space",
		"cat", "cat",
		"systemctl daemon-reload",
		"systemctl enable --now --no-block ecsrunners-firewall.service",
		"systemctl enable --now --no-block ecsrunners-space.timer",
		"mkdir -p /etc/sysctl.d", "cat",
		"mkdir -p /etc/ecs", "cat",
	}, h.calls(),
		"the host's configuration must come last, and systemctl must not wait for docker, which waits for cloud-init")

	assert.Equal(t, h.redirect(userdata.Firewall()), h.read("/usr/local/sbin/ecsrunners-firewall"))
	info, err := os.Stat(h.path("/usr/local/sbin/ecsrunners-firewall"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode().Perm(), "systemd could not execute the firewall")

	assert.Equal(t, h.redirect(`[Unit]
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
`), h.read("/etc/systemd/system/ecsrunners-firewall.service"))
	assert.Equal(t, h.redirect(`[Service]
ExecStartPre=/usr/local/sbin/ecsrunners-firewall
`), h.read("/etc/systemd/system/ecs.service.d/ecsrunners.conf"))

	assert.Equal(t, `ECS_FROM_IMAGE=1
ECS_AWSVPC_BLOCK_IMDS=true
ECS_DISABLE_PRIVILEGED=true
ECS_ENABLE_TASK_IAM_ROLE=true
ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=false
ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=1m0s
ECS_IMAGE_PULL_BEHAVIOR=default
ECS_RESERVED_MEMORY=256
ECS_CLUSTER=runners
`, h.read("/etc/ecs/ecs.config"),
		"the agent takes the last of equal variables, and everything up to the line break as the value")
}

func TestScript_LooksForSpace(t *testing.T) {
	t.Parallel()
	h := newHost(t, image)
	output, err := h.run(render(t, userdata.Host{}))
	require.NoErrorf(t, err, "%s", output)
	assert.Equal(t, h.redirect(userdata.Space()), h.read("/usr/local/sbin/ecsrunners-space"))
	info, err := os.Stat(h.path("/usr/local/sbin/ecsrunners-space"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode().Perm(), "systemd could not execute it")
	assert.Contains(t, h.read("/etc/systemd/system/ecsrunners-space.service"),
		"\nExecStart="+h.path("/usr/local/sbin/ecsrunners-space")+"\n")
	assert.Contains(t, h.read("/etc/systemd/system/ecsrunners-space.service"), "\nTimeoutStartSec=",
		"a docker that does not answer would end all further looks")
	assert.Contains(t, h.read("/etc/systemd/system/ecsrunners-space.timer"), "\nOnCalendar=*:*:00/30\n")
}

// A job that traces the runner could make it say and do what it likes.
func TestScript_LetsProcessesTraceTheirDescendantsOnly(t *testing.T) {
	t.Parallel()
	const file = "/etc/sysctl.d/90-ecsrunners.conf"
	for before, want := range map[string]struct{ now, boot string }{
		"0\n": {"1\n", "kernel.yama.ptrace_scope = 1\n"},
		"1\n": {"1\n", ""},
		"2\n": {"2\n", ""}, // the image forbids more
		"3\n": {"3\n", ""}, // and nothing can be changed any more
		"":    {"", ""},    // a kernel without Yama
	} {
		files := map[string]string{}
		for path, content := range image {
			files[path] = content
		}
		files[yama] = before
		if before == "" {
			delete(files, yama)
		}
		h := newHost(t, files)
		output, err := h.run(render(t, userdata.Host{}))
		require.NoErrorf(t, err, "%s", output)
		assert.Equal(t, want.now, h.read(yama))
		assert.Equal(t, want.boot, h.read(file))
	}
}

// What curl answers, on a host with space for nothing.
const answers = `case "$*" in
*51678/v1/metadata*)
  echo '{"Cluster":"runners","ContainerInstanceArn":"arn:aws:ecs:eu-west-1:1:container-instance/runners/0f"}' ;;
*51678/v1/tasks*) echo "${TASKS:-{\"Tasks\":[]\}}" ;;
*latest/api/token*) echo t0ken ;;
*security-credentials/) echo role ;;
*security-credentials/role*) echo '{
  "AccessKeyId" : "AKID",
  "SecretAccessKey" : "s3cret/+",
  "Token" : "session=="
}' ;;
*placement/region*) echo eu-west-1 ;;
*services/domain*) echo amazonaws.com ;;
*"--config -"*) "$ROOT/real/cat" >> "$ROOT/sent" ;;
*) exit 22 ;;
esac
`

// crowded is a host with little space.
func crowded(t *testing.T, free, running string) *host {
	t.Helper()
	h := newHost(t, image)
	require.NoError(t, os.Mkdir(h.path("/run"), 0o755))
	for name, script := range map[string]string{
		"docker": `case "$*" in info*) echo /var/lib/docker ;; ps*)
			if [[ -n "${LATE:-}" && ! -e "$ROOT/asked" ]]; then : > "$ROOT/asked"
			else printf '%s' "${RUNNING-` + running + `}"; fi ;; esac`,
		"df":   `printf 'Avail\n%s\n' "${FREE:-` + free + `}"`,
		"curl": `if [[ -n "${REFUSE:-}" && "$*" =~ $REFUSE ]]; then exit 22; fi` + "\n" + answers,
	} {
		syscall.ForkLock.RLock()
		err := os.WriteFile(h.path("/bin/"+name), []byte(commandStub+script+"\n"), 0o755)
		syscall.ForkLock.RUnlock()
		require.NoError(t, err)
	}
	return h
}

var poweredOff = []string{
	"systemctl stop ecs.service", "docker ps --quiet --filter label=com.amazonaws.ecs.task-arn", "shutdown -P now",
}

func TestSpace_LeavesAHostWithSpaceAlone(t *testing.T) {
	t.Parallel()
	h := crowded(t, "1048576", "")
	output, err := h.run(userdata.Space())
	require.NoErrorf(t, err, "%s", output)
	assert.Empty(t, output)
	assert.Equal(t, []string{"docker info --format {{.DockerRootDir}}", "df --output=avail -k /var/lib/docker"}, h.calls())
}

func TestSpace_TakesNoTasksWithoutIt(t *testing.T) {
	t.Parallel()
	const instance = "arn:aws:ecs:eu-west-1:1:container-instance/runners/0f"
	for name, running := range map[string]string{"a job runs": "0123456789ab", "none runs": ""} {
		h := crowded(t, "1048575", running)
		output, err := h.run(userdata.Space())
		require.NoErrorf(t, err, "%s: %s", name, output)
		assert.Equal(t, `url = "https://ecs.eu-west-1.amazonaws.com/"
aws-sigv4 = "aws:amz:eu-west-1:ecs"
user = "AKID:s3cret/+"
header = "X-Amz-Security-Token: session=="
header = "Content-Type: application/x-amz-json-1.1"
header = "X-Amz-Target: AmazonEC2ContainerServiceV20141113.UpdateContainerInstancesState"
data = "{\"cluster\":\"runners\",\"containerInstances\":[\"`+instance+`\"],\"status\":\"DRAINING\"}"
`, h.read("/sent"))
		calls := h.calls()
		for _, call := range calls {
			assert.NotContains(t, call, "s3cret", "everybody on the host sees arguments")
		}
		assert.Contains(t, output, "1048575 KiB are free in /var/lib/docker, and 1048576 are needed")
		if running != "" {
			assert.Equal(t, "docker ps --quiet --filter label=com.amazonaws.ecs.task-arn", calls[len(calls)-1],
				"a job that runs would be lost")
			continue
		}
		assert.Equal(t, poweredOff, calls[len(calls)-3:], "the next task would fail, and the one after it")
	}
}

func TestSpace_TakesNoTasksThoughNobodyAnswers(t *testing.T) {
	t.Parallel()
	for _, silent := range []string{
		"51678", "api/token", "credentials/", "credentials/role", "region", "domain", "config",
	} {
		h := crowded(t, "0", "")
		output, err := h.run(userdata.Space(), "REFUSE="+silent)
		require.NoErrorf(t, err, "%s", output)
		assert.Contains(t, output, "the host cannot be set to DRAINING", silent)
		assert.Empty(t, h.read("/sent"))
		calls := h.calls()
		assert.Equal(t, poweredOff, calls[len(calls)-3:], silent)
	}
}

// A host that is drained takes no tasks, whether there is space again or not: it would
// be paid for nothing.
func TestSpace_PowersOffThoughThereIsSpaceAgain(t *testing.T) {
	t.Parallel()
	h := crowded(t, "1048575", "0123456789ab")
	for range 2 {
		_, err := h.run(userdata.Space())
		require.NoError(t, err)
		assert.NotContains(t, h.calls(), "shutdown -P now", "the job would be lost")
	}
	output, err := h.run(userdata.Space(), "FREE=30000000", "RUNNING=")
	require.NoErrorf(t, err, "%s", output)
	calls := h.calls()
	assert.Equal(t, poweredOff, calls[len(calls)-3:])
}

// What takes the space may be the image of a task that is about to run.
func TestSpace_LosesNoTaskThatIsAboutToRun(t *testing.T) {
	t.Parallel()
	pulling := crowded(t, "0", "")
	output, err := pulling.run(userdata.Space(), `TASKS={"Tasks":[{"DesiredStatus":"RUNNING","KnownStatus":"NONE"}]}`)
	require.NoErrorf(t, err, "%s", output)
	assert.NotContains(t, pulling.calls(), "systemctl stop ecs.service", "the agent would pull it no further")
	assert.NotContains(t, pulling.calls(), "shutdown -P now")

	late := crowded(t, "0", "0123456789ab") // started after the first look
	output, err = late.run(userdata.Space(), "LATE=1", `TASKS={"Tasks":[{"DesiredStatus":"STOPPED"}]}`)
	require.NoErrorf(t, err, "%s", output)
	calls := late.calls()
	assert.Equal(t, "systemctl start ecs.service", calls[len(calls)-1])
	assert.NotContains(t, calls, "shutdown -P now")
}

func TestScript_WritesEveryVariableAsItIs(t *testing.T) {
	t.Parallel()
	h := newHost(t, image)
	attributes := `{"team": "$HOME", "tick": "` + "`id`" + `", "back": "\\n"}`
	output, err := h.run(render(t, userdata.Host{Extra: map[string]string{"ECS_INSTANCE_ATTRIBUTES": attributes}}))
	require.NoErrorf(t, err, "%s", output)
	assert.Contains(t, h.read("/etc/ecs/ecs.config"), "\nECS_INSTANCE_ATTRIBUTES="+attributes+"\n")
}

func TestScript_MakesTheFoldersThatAnImageMayLack(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{"/etc/systemd/system/.dir": "", "/usr/local/sbin/.dir": ""})
	output, err := h.run(render(t, userdata.Host{}))
	require.NoErrorf(t, err, "%s", output)
	assert.Contains(t, h.read("/etc/ecs/ecs.config"), "ECS_CLUSTER=runners\n")
}

func TestScript_KeepsTheAgentOffWhenAnyStepFails(t *testing.T) {
	t.Parallel()
	healthy := newHost(t, image)
	_, err := healthy.run(render(t, userdata.Host{}))
	require.NoError(t, err)
	steps := healthy.calls()
	require.NotEmpty(t, steps)
	for i, step := range steps {
		t.Run(strconv.Itoa(i+1)+" "+step, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, image)
			output, err := h.run(render(t, userdata.Host{}), "FAIL_AT="+strconv.Itoa(i+1))
			assertKeptOff(t, h, output, err)
			assert.Equal(t, append(steps[:i+1:i+1], "systemctl mask --now --no-block ecs.service", "shutdown -P +10"),
				h.calls(), "the script went on after a failure")
		})
	}
}

func TestScript_KeepsTheAgentOffWhenAFileCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, lacking := range map[string]string{
		"no folder for the firewall": "/usr/local/sbin/.dir",
		"no folder for the unit":     "/etc/systemd/system/.dir",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for path, content := range image {
				if path != lacking {
					files[path] = content
				}
			}
			h := newHost(t, files)
			output, err := h.run(render(t, userdata.Host{}))
			assertKeptOff(t, h, output, err)
		})
	}
	t.Run("a folder in place of the configuration", func(t *testing.T) {
		t.Parallel()
		h := newHost(t, map[string]string{
			"/etc/systemd/system/.dir": "", "/usr/local/sbin/.dir": "",
			"/etc/ecs/ecs.config/.dir": "",
		})
		output, err := h.run(render(t, userdata.Host{}))
		require.Error(t, err)
		assert.Contains(t, output, "the ECS agent stays off")
		assert.Contains(t, h.calls(), "systemctl mask --now --no-block ecs.service")
	})
}

func assertKeptOff(t *testing.T, h *host, output string, err error) {
	t.Helper()
	require.Error(t, err, "cloud-init would report success")
	assert.Regexp(t, `ecsrunners: user data failed in line [0-9]+, the ECS agent stays off\n$`, output)
	assert.Contains(t, h.calls(), "systemctl mask --now --no-block ecs.service",
		"the agent would start on a host that may lack its firewall")
	assert.Contains(t, h.calls(), "shutdown -P +10",
		"an instance that never takes a job would run, and be paid for, forever")
	assert.NotContains(t, h.read("/etc/ecs/ecs.config"), "ECS_CLUSTER",
		"the agent would join the cluster from a host that may lack its firewall")
}

// The rules that keep containers from credentials, as iptables is told them.
const (
	metadata      = "-d 169.254.169.254/32 -j DROP"
	introspection = "! -i lo -p tcp --dport 51678 -m addrtype --dst-type LOCAL -j DROP"
)

func TestFirewall_AddsEachRuleOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files  map[string]string
		v4, v6 []string
	}{
		"with IPv6":    {image, []string{introspection, metadata}, []string{introspection}},
		"without IPv6": {nil, []string{introspection, metadata}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, c.files)
			for range 3 { // a boot, and two starts of the agent
				output, err := h.run(userdata.Firewall())
				require.NoErrorf(t, err, "%s", output)
				assert.Empty(t, output)
				assert.Equal(t, c.v4, h.rules("iptables"))
				assert.Equal(t, c.v6, h.rules("ip6tables"))
			}
		})
	}
}

func TestFirewall_PutsBackARuleThatIsGone(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"", metadata + "\n", introspection + "\n", "-d 192.0.2.1/32 -j ACCEPT\n"} {
		h := newHost(t, image)
		require.NoError(t, os.WriteFile(h.path("/rules.iptables"), []byte(kept), 0o600))
		output, err := h.run(userdata.Firewall())
		require.NoErrorf(t, err, "%s", output)
		assert.Subset(t, h.rules("iptables"), []string{metadata, introspection})
		assert.Equal(t, strings.Count(kept, "192.0.2.1"), len(h.rules("iptables"))-2)
	}
}

func TestFirewall_FailsWhenARuleCannotBeAdded(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]string{
		"no iptables":            "REFUSE=^iptables ",
		"no metadata rule":       "REFUSE=^iptables .* -I .*169.254.169.254",
		"no introspection rule":  "REFUSE=^iptables .* -I .*51678",
		"no IPv6 rule":           "REFUSE=^ip6tables .* -I ",
		"a kernel without table": "REFUSE=-t raw",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, image)
			output, err := h.run(userdata.Firewall(), fail)
			require.Error(t, err, "systemd would start the agent on a host without its firewall")
			assert.Contains(t, output, "refused", "the journal would not tell why the agent stays off")
		})
	}
	for _, command := range []string{"iptables", "ip6tables"} {
		t.Run("an image without "+command, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, image)
			require.NoError(t, os.Remove(h.path("/bin/"+command)))
			output, err := h.run(userdata.Firewall())
			require.Error(t, err, "systemd would start the agent on a host without its firewall")
			assert.Contains(t, output, command+": command not found")
		})
	}
}

// render renders the user data of a host with what RunnerCapacityProps has for defaults.
func render(t *testing.T, h userdata.Host) string {
	t.Helper()
	h.ClusterName = "runners"
	h.TaskCleanupWait = cmp.Or(h.TaskCleanupWait, time.Minute)
	h.ImagePullBehavior = cmp.Or(h.ImagePullBehavior, "default")
	script, err := userdata.Render(h)
	require.NoError(t, err)
	return script
}

// host stands in for an instance: a folder in place of its file system, stubs
// in place of the commands that act on it, and no others on PATH.
type host struct {
	t    *testing.T
	root string
}

// commandStub notes each call, and fails the one numbered FAIL_AT.
const commandStub = `#!/bin/bash
call="${0##*/}${*:+ $*}"
printf '%s\n' "$call" >> "$ROOT/calls"
if [[ "$("$ROOT/real/wc" -l < "$ROOT/calls")" -eq "${FAIL_AT:-0}" ]]; then exit 1; fi
`

// passOn does then what the command does.
const passOn = `exec "$ROOT/real/${0##*/}" "$@"
`

// iptablesStub keeps rules in a file. It knows what the firewall uses, and
// takes offence at anything else.
const iptablesStub = `#!/bin/bash
PATH="$ROOT/real"
call="${0##*/} $*"
if [[ -n "${REFUSE:-}" && "$call" =~ $REFUSE ]]; then echo "refused: $call" >&2; exit 4; fi
rules="$ROOT/rules.${0##*/}"
touch "$rules"
[[ "$1 $2 $3 $5" == "-w -t raw PREROUTING" ]] || { echo "unexpected: $call" >&2; exit 2; }
operation=$4
shift 5
case "$operation" in
-C) grep -Fxq -- "$*" "$rules" || { echo "no such rule: $call" >&2; exit 1; } ;;
-I) printf '%s\n' "$*" | cat - "$rules" > "$rules.new" && mv "$rules.new" "$rules" ;;
*) echo "unexpected: $call" >&2; exit 2 ;;
esac
`

func newHost(t *testing.T, files map[string]string) *host {
	t.Helper()
	h := &host{t: t, root: t.TempDir()}
	for path, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(h.path(path)), 0o755))
		require.NoError(t, os.WriteFile(h.path(path), []byte(content), 0o600))
	}
	require.NoError(t, os.Mkdir(h.path("/bin"), 0o755))
	for name, stub := range map[string]string{
		"systemctl": commandStub,
		"shutdown":  commandStub,
		"cat":       commandStub + passOn, "chmod": commandStub + passOn, "mkdir": commandStub + passOn,
		"iptables": iptablesStub, "ip6tables": iptablesStub,
	} {
		// A process forked meanwhile would hold the file open, and Linux executes
		// no file that is open for writing.
		syscall.ForkLock.RLock()
		err := os.WriteFile(h.path("/bin/"+name), []byte(stub), 0o755)
		syscall.ForkLock.RUnlock()
		require.NoError(t, err)
	}
	require.NoError(t, os.Mkdir(h.path("/real"), 0o755))
	for _, name := range []string{"cat", "chmod", "mkdir", "wc", "grep", "mv", "touch"} {
		command, err := exec.LookPath(name)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(command, h.path("/real/"+name)))
	}
	return h
}

func (h *host) path(path string) string { return filepath.Join(h.root, path) }

// redirect puts the host's folder in front of absolute paths.
func (h *host) redirect(script string) string {
	return strings.NewReplacer("/usr/local/", h.root+"/usr/local/", "/etc/", h.root+"/etc/", "/proc/",
		h.root+"/proc/", "/run/", h.root+"/run/").Replace(script)
}

var absolutePath = regexp.MustCompile(`(?m)(?:^|[\s"'=<>])(/[a-z][^\s"']*)`)

// run executes a script with bash and returns what it prints.
func (h *host) run(script string, env ...string) (output string, err error) {
	h.t.Helper()
	script = h.redirect(script)
	for _, match := range absolutePath.FindAllStringSubmatch(script, -1) {
		require.Truef(h.t, match[1] == "/dev/null" || strings.HasPrefix(match[1], h.root),
			"the script would leave the test's folder at %s: redirect it", match[1])
	}
	file := h.path("/script")
	require.NoError(h.t, os.WriteFile(file, []byte(script), 0o600))
	cmd := exec.Command("bash", file)
	cmd.Env = append([]string{"ROOT=" + h.root, "PATH=" + h.path("/bin")}, env...)
	printed, err := cmd.CombinedOutput()
	return string(printed), err
}

// calls are the commands that were run, by the host's own paths.
func (h *host) calls() []string { return h.lines("/calls") }

// rules are those of a table, the first to be asked first.
func (h *host) rules(command string) []string { return h.lines("/rules." + command) }

func (h *host) lines(path string) []string {
	text := strings.TrimSuffix(h.read(path), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(strings.ReplaceAll(text, h.root, ""), "\n")
}

// read returns a file of the host, empty when there is none.
func (h *host) read(path string) string {
	h.t.Helper()
	content, err := os.ReadFile(h.path(path))
	if !os.IsNotExist(err) {
		require.NoError(h.t, err)
	}
	return string(content)
}
