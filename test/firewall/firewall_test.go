//go:build firewall

// Package firewall_test proves the firewall of the user data on a real kernel:
// three network namespaces are a host with docker's bridge, a container and the
// world outside. It needs root, Linux, iproute2, iptables and systemd; what is
// missing fails the test.
package firewall_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/userdata"
)

// Addresses of the model. The outside owns the metadata service's.
const (
	metadata    = "169.254.169.254"
	credentials = "169.254.170.2" // the agent redirects it to its port 51679

	bridge, bridge6, bridgeLinkLocal = "172.17.0.1", "fd00:172::1", "fe80::1"
	container, container6            = "172.17.0.2", "fd00:172::2"
	host, host6                      = "198.51.100.2", "fd00:51::2"
	outside, outside6                = "198.51.100.1", "fd00:51::1"
)

// probe is a request, and what must come of it before and after the firewall:
// the name of the server that answers, or silence.
type probe struct {
	from, to      string
	before, after string
}

const (
	silence       = "no answer"
	introspection = "the agent's introspection"
)

var probes = []probe{
	// What the firewall is for.
	{"container", metadata + ":80", "the metadata service", silence},
	{"container", bridge + ":51678", introspection, silence},
	{"container", host + ":51678", introspection, silence},
	{"container", "127.0.0.1:51678", introspection, silence}, // as one with CAP_NET_RAW can, see route_localnet
	{"outside", host + ":51678", introspection, silence},
	// What jobs need.
	{"container", credentials + ":80", "the agent's credentials", "the agent's credentials"},
	{"container", bridge + ":8080", "another service", "another service"},
	{"container", host + ":8080", "another service", "another service"},
	{"container", outside + ":8080", "a remote service", "a remote service"},
	{"container", outside + ":51678", "a remote service", "a remote service"}, // not the agent's, whatever its port
	// What the host and its agent need.
	{"host", metadata + ":80", "the metadata service", "the metadata service"},
	{"host", credentials + ":80", "the agent's credentials", "the agent's credentials"},
	{"host", "127.0.0.1:51678", introspection, introspection},
	{"host", bridge + ":51678", introspection, introspection},
	{"host", host + ":51678", introspection, introspection},
	{"host", outside + ":51678", "a remote service", "a remote service"},
}

var probes6 = []probe{
	{"container", "[" + bridge6 + "]:51678", introspection, silence},
	{"container", "[" + host6 + "]:51678", introspection, silence},
	{"container", "[" + bridgeLinkLocal + "%eth0]:51678", introspection, silence},
	{"outside", "[" + host6 + "]:51678", introspection, silence},
	{"container", "[" + bridge6 + "]:8080", "another service", "another service"},
	{"container", "[" + outside6 + "]:51678", "a remote service", "a remote service"},
	{"host", "[::1]:51678", introspection, introspection},
	{"host", "[" + host6 + "]:51678", introspection, introspection},
	{"host", "[" + outside6 + "]:51678", "a remote service", "a remote service"},
}

func TestFirewall_KeepsContainersFromTheHostsCredentials(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} { // Amazon Linux 2023 has nft
		t.Run(backend, func(t *testing.T) {
			n := newNetwork(t, backend)
			n.startServers()
			n.startDocker()
			n.redirectCredentials()
			n.expect("before the firewall", func(p probe) string { return p.before })

			n.runFirewall()
			n.expect("after the firewall", func(p probe) string { return p.after })

			n.openAgentPort()
			n.expect("after the agent has opened its port to docker0", func(p probe) string { return p.after })

			n.startDocker()
			n.openAgentPort()
			n.expect("after a restart of docker and of the agent", func(p probe) string { return p.after })

			rules := n.rules()
			n.runFirewall()
			assert.Equal(t, rules, n.rules(), "a second run changed the rules")
			assert.Equal(t, 1, strings.Count(rules, "-d 169.254.169.254/32 -j DROP"))
			wantPort := 1
			if n.ipv6 {
				wantPort = 2
			}
			assert.Equal(t, wantPort, strings.Count(rules, "-A PREROUTING ! -i lo -p tcp -m tcp --dport 51678 -m addrtype "+
				"--dst-type LOCAL -j DROP"))
		})
	}
}

// network is the model. Its namespaces are named after the process and the
// backend, so that runs at the same time do not meet.
type network struct {
	t    *testing.T
	tag  string
	path string // PATH, with iptables of the backend
	ipv6 bool
}

func newNetwork(t *testing.T, backend string) *network {
	t.Helper()
	require.Zero(t, os.Getuid(), "only root makes network namespaces")
	n := &network{t: t, tag: fmt.Sprintf("ecsrunners-%d-%s-", os.Getpid(), backend)}
	bin := t.TempDir()
	n.path = bin + ":/usr/sbin:/usr/bin:/sbin:/bin"
	for _, name := range []string{"iptables", "ip6tables"} {
		program, err := exec.LookPath("/usr/sbin/" + name + "-" + backend)
		require.NoError(t, err, "install iptables")
		require.NoError(t, os.Symlink(program, filepath.Join(bin, name)))
	}
	for _, name := range []string{"host", "container", "outside"} {
		n.command("ip", "netns", "add", n.tag+name)
		t.Cleanup(func() { n.command("ip", "netns", "del", n.tag+name) })
		n.ip(name, "link set lo up")
	}
	n.ip("host", "link add docker0 type bridge")
	n.ip("host", "link add veth0 type veth peer name eth0 netns "+n.tag+"container")
	n.ip("host", "link set veth0 master docker0 up")
	n.ip("host", "link add eth0 type veth peer name eth0 netns "+n.tag+"outside")
	n.address("host", "docker0", bridge+"/16")
	n.address("host", "eth0", host+"/24")
	n.address("container", "eth0", container+"/16")
	n.address("outside", "eth0", outside+"/24")
	n.ip("outside", "addr add "+metadata+"/32 dev lo")
	n.ip("host", "route add default via "+outside)
	n.ip("container", "route add default via "+bridge)

	n.sysctl("host", "net/ipv4/ip_forward")
	n.sysctl("host", "net/ipv4/conf/all/route_localnet") // as the agent needs it
	// A container cannot change its routes, but with CAP_NET_RAW, which docker
	// grants, it can send what this one sends: to 127.0.0.1, by its interface.
	n.sysctl("container", "net/ipv4/conf/all/route_localnet")
	n.ip("container", "addr del 127.0.0.1/8 dev lo")
	n.ip("container", "route add 127.0.0.1/32 via "+bridge)

	_, err := os.Stat("/proc/net/if_inet6")
	if n.ipv6 = err == nil; n.ipv6 {
		n.address("host", "docker0", bridge6+"/64 nodad")
		n.address("host", "docker0", bridgeLinkLocal+"/64 nodad")
		n.address("host", "eth0", host6+"/64 nodad")
		n.address("container", "eth0", container6+"/64 nodad")
		n.address("container", "eth0", "fe80::2/64 nodad")
		n.address("outside", "eth0", outside6+"/64 nodad")
		n.ip("host", "-6 route add default via "+outside6)
		n.ip("container", "-6 route add default via "+bridge6)
		n.ip("outside", "-6 route add default via "+host6)
		n.sysctl("host", "net/ipv6/conf/all/forwarding")
	} else {
		t.Log("this kernel has no IPv6: the IPv6 half of the firewall is not proven here")
	}
	return n
}

func (n *network) address(namespace, device, address string) {
	n.t.Helper()
	n.ip(namespace, "addr add "+address+" dev "+device)
	n.ip(namespace, "link set "+device+" up")
}

func (n *network) ip(namespace, arguments string) {
	n.t.Helper()
	n.command("ip", append([]string{"-n", n.tag + namespace}, strings.Fields(arguments)...)...)
}

func (n *network) sysctl(namespace, key string) {
	n.t.Helper()
	n.command("ip", "netns", "exec", n.tag+namespace, "sh", "-c", "echo 1 > /proc/sys/"+key)
}

// host runs a command line on the host.
func (n *network) host(line string) string {
	n.t.Helper()
	return n.command("ip", append([]string{"netns", "exec", n.tag + "host"}, strings.Fields(line)...)...)
}

func (n *network) command(name string, arguments ...string) string {
	n.t.Helper()
	cmd := exec.Command(name, arguments...)
	cmd.Env = append(os.Environ(), "PATH="+n.path)
	output, err := cmd.CombinedOutput()
	require.NoErrorf(n.t, err, "%s: %s", cmd, output)
	return string(output)
}

// startDocker leaves the filter table as docker does when it starts: as if
// nobody else had been there.
func (n *network) startDocker() {
	n.t.Helper()
	for _, iptables := range n.iptables() {
		for _, rule := range []string{
			"-t filter -F", "-t filter -X", "-t nat -F POSTROUTING",
			"-P FORWARD DROP",
			"-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-A FORWARD -j DOCKER-USER",
			"-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
			"-A FORWARD -i docker0 -j ACCEPT",
		} {
			n.host(iptables + " -w " + rule)
		}
	}
	n.host("iptables -w -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
}

// The rules of ecs-init.
// https://github.com/aws/amazon-ecs-agent/blob/master/ecs-init/exec/iptables/iptables.go

func (n *network) redirectCredentials() {
	n.t.Helper()
	n.host("iptables -w -t nat -A PREROUTING -p tcp -d " + credentials +
		" --dport 80 -j DNAT --to-destination 127.0.0.1:51679")
	n.host("iptables -w -t nat -A OUTPUT -p tcp -d " + credentials + " --dport 80 -j REDIRECT --to-ports 51679")
}

func (n *network) openAgentPort() {
	n.t.Helper()
	n.host("iptables -w -t filter -I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate " +
		"RELATED,ESTABLISHED,DNAT -j DROP")
	for _, iptables := range n.iptables() {
		n.host(iptables + " -w -t filter -I INPUT -p tcp ! -i lo --dport 51678 -j DROP")
		n.host(iptables + " -w -t filter -I INPUT -i docker0 -p tcp --dport 51678 -j ACCEPT")
	}
}

func (n *network) runFirewall() {
	n.t.Helper()
	file := filepath.Join(n.t.TempDir(), "ecsrunners-firewall")
	require.NoError(n.t, os.WriteFile(file, []byte(userdata.Firewall()), 0o600))
	assert.Empty(n.t, n.host("bash "+file))
}

func (n *network) iptables() []string {
	if n.ipv6 {
		return []string{"iptables", "ip6tables"}
	}
	return []string{"iptables"}
}

func (n *network) rules() string {
	n.t.Helper()
	var all strings.Builder
	for _, iptables := range n.iptables() {
		for _, table := range []string{"raw", "mangle", "nat", "filter"} {
			fmt.Fprintf(&all, "%s %s\n%s", iptables, table, n.host(iptables+" -w -t "+table+" -S"))
		}
	}
	return all.String()
}

// startServers starts what answers. Each server says who it is.
func (n *network) startServers() {
	n.t.Helper()
	any4, any6 := "0.0.0.0", "[::]" // the latter is both
	if n.ipv6 {
		any4 = any6
	}
	n.serve("host", any4+":51678="+introspection, "127.0.0.1:51679=the agent's credentials", any4+":8080=another service")
	n.serve("outside", metadata+":80=the metadata service", any4+":51678=a remote service", any4+":8080=a remote service")
}

func (n *network) serve(namespace string, servers ...string) {
	n.t.Helper()
	cmd := n.reexec(namespace, "serve", servers...)
	stdin, err := cmd.StdinPipe()
	require.NoError(n.t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(n.t, err)
	cmd.Stderr = os.Stderr
	require.NoError(n.t, cmd.Start())
	n.t.Cleanup(func() {
		assert.NoError(n.t, stdin.Close()) // which is how it is told to end
		assert.NoError(n.t, cmd.Wait())
	})
	ready := make([]byte, len("ready"))
	_, err = io.ReadFull(stdout, ready)
	require.NoErrorf(n.t, err, "the servers of the %s did not start", namespace)
}

// expect makes all requests at the same time.
func (n *network) expect(when string, want func(probe) string) {
	n.t.Helper()
	all := probes
	if n.ipv6 {
		all = append(all[:len(all):len(all)], probes6...)
	}
	got := make([]string, len(all))
	var wait sync.WaitGroup
	for i, p := range all {
		wait.Go(func() {
			patience := 10 * time.Second
			if want(p) == silence {
				patience = 2 * time.Second
			}
			output, err := n.reexec(p.from, "request", p.to, patience.String()).CombinedOutput()
			if got[i] = string(output); err != nil {
				got[i] = fmt.Sprintf("%v: %s", err, output)
			}
		})
	}
	wait.Wait()
	for i, p := range all {
		assert.Equalf(n.t, want(p), got[i], "%s, the %s asks %s", when, p.from, p.to)
	}
}

// The test's own binary is the server and the client in the namespaces.
const role = "ECSRUNNERS_FIREWALL_TEST_ROLE"

func (n *network) reexec(namespace, as string, arguments ...string) *exec.Cmd {
	n.t.Helper()
	self, err := os.Executable()
	require.NoError(n.t, err)
	cmd := exec.Command("ip", append([]string{"netns", "exec", n.tag + namespace, self}, arguments...)...)
	cmd.Env = append(os.Environ(), role+"="+as, "PATH="+n.path)
	return cmd
}

func TestMain(m *testing.M) {
	var err error
	switch as := os.Getenv(role); as {
	case "":
		os.Exit(m.Run())
	case "serve":
		err = serve(os.Args[1:])
	case "request":
		err = request(os.Args[1], os.Args[2])
	default:
		err = fmt.Errorf("unknown role %q", as)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers on each address=name until standard input ends.
func serve(servers []string) error {
	for _, server := range servers {
		address, name, _ := strings.Cut(server, "=")
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		//nolint:errcheck,gosec // ends with the process
		go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, name)
		}))
	}
	fmt.Print("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// request prints what the server says, or that none answers within the time.
// A refusal is an error: it would mean that there is nothing to be kept from.
func request(address, patience string) error {
	timeout, err := time.ParseDuration(patience)
	if err != nil {
		return fmt.Errorf("parsing patience: %w", err)
	}
	connection, err := net.DialTimeout("tcp", address, timeout)
	if netError := net.Error(nil); errors.As(err, &netError) && netError.Timeout() {
		fmt.Print(silence)
		return nil
	}
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer connection.Close() //nolint:errcheck // ends with the process
	if err := connection.SetDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("setting deadline: %w", err)
	}
	if _, err := io.WriteString(connection, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	answer, err := io.ReadAll(connection)
	if err != nil {
		return fmt.Errorf("reading answer: %w", err)
	}
	_, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	fmt.Printf("%s", body)
	return nil
}

// The agent's unit as the ECS-optimized Amazon Linux 2023 has it, without its
// commands.
const agentUnit = `[Unit]
Description=Amazon Elastic Container Service - container agent
Wants=docker.service
After=docker.service
After=cloud-final.service

[Service]
Type=simple
Restart=on-failure
RestartPreventExitStatus=5
RestartSec=10s
EnvironmentFile=-/etc/ecs/ecs.config
ExecStart=/bin/true

[Install]
WantedBy=multi-user.target
`

func TestUnits_AreWhatSystemdUnderstands(t *testing.T) {
	root := t.TempDir()
	units := filepath.Join(root, "etc/systemd/system")
	for _, dir := range []string{units, filepath.Join(root, "usr/local/sbin"), filepath.Join(root, "bin")} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	systemctl, err := exec.LookPath("systemctl")
	require.NoError(t, err, "install systemd")
	// The real one, on the files below root and without a running systemd.
	stub := fmt.Sprintf("#!/bin/bash\nif [[ $1 == enable ]]; then exec %s --root=%s enable \"${@: -1}\"; fi\n",
		systemctl, root)
	require.NoError(t, os.WriteFile(filepath.Join(root, "bin/systemctl"), []byte(stub), 0o755))
	for name, unit := range map[string]string{
		"ecs.service":         agentUnit,
		"docker.service":      "[Service]\nExecStart=/bin/true\n",
		"cloud-final.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(units, name), []byte(unit), 0o600))
	}

	script, err := userdata.Render(userdata.Host{
		ClusterName: "runners", ReservedMemoryMiB: 256,
		TaskCleanupWait: 10 * time.Minute, ImagePullBehavior: "default",
	})
	require.NoError(t, err)
	script = strings.NewReplacer("/usr/local/", root+"/usr/local/", "/etc/", root+"/etc/").Replace(script)
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = []string{"PATH=" + filepath.Join(root, "bin") + ":/usr/bin:/bin"}
	output, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "%s", output)

	assert.FileExists(t, filepath.Join(units, "ecs.service.requires/ecsrunners-firewall.service"),
		"after a reboot the agent would start without its firewall")
	verify := exec.Command("systemd-analyze", "verify", "ecs.service", "ecsrunners-firewall.service")
	verify.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+units+":")
	output, err = verify.CombinedOutput()
	require.NoErrorf(t, err, "%s", output)
	for line := range strings.Lines(string(output)) {
		assert.NotContains(t, line, "ecs", "systemd complains of the units")
		assert.NotContains(t, line, "cycle", "systemd would leave out a unit")
	}
}
