//go:build image

package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

const (
	version    = "2.336.0"
	repository = "localhost/runner"
	// secret is in the environment of the build, under names that credentials have.
	secret = "s3cret-of-the-build-s3cret"
)

// TestImage builds the image once, with additions in every place that the tree
// offers, and looks at it from all sides.
func TestImage(t *testing.T) {
	for _, tool := range []string{"buildah", "debootstrap", "jq", "unshare"} {
		_, err := exec.LookPath(tool)
		require.NoError(t, err, "apt-get install buildah debootstrap jq util-linux")
	}
	require.Zero(t, os.Getuid(), "building the base image needs root")

	s := newStore(t)
	base := s.makeBase(t)
	archive := makeArchive(t)
	tree := customTree(t)

	said, err := s.build(t, tree, base, archive, hashOf(archive))
	require.NoError(t, err, said)
	assert.Contains(t, said, "image is complete: actions/runner "+version)
	tag := regexp.MustCompile(`latest is (\S+) now`).FindStringSubmatch(said)
	require.NotNil(t, tag, said)
	image := repository + ":" + tag[1]
	root := s.mount(t, image)

	t.Run("WrongChecksumFailsTheBuild", func(t *testing.T) {
		said, err := s.build(t, tree, base, archive, strings.Repeat("0", 64))
		require.Error(t, err)
		assert.Contains(t, said, "computed checksum did NOT match")
		assert.NotContains(t, said, "pushing")
	})
	t.Run("HasWhatJobsNeed", func(t *testing.T) {
		for _, program := range []string{"git", "curl", "jq", "unzip", "zstd", "tar", "xz"} {
			out, err := inRoot(t, root, "runner", program, "--version").CombinedOutput()
			if program == "unzip" {
				out, err = inRoot(t, root, "runner", program, "-v").CombinedOutput()
			}
			assert.NoError(t, err, "%s: %s", program, out)
		}
		_, err := os.Stat(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
		assert.NoError(t, err)
	})
	t.Run("HasWhatTheCustomerAdds", func(t *testing.T) {
		assert.FileExists(t, filepath.Join(root, "usr/bin/tree"), "a package")
		assert.FileExists(t, filepath.Join(root, "usr/local/share/ca-certificates/own.crt"), "a certificate")
		assert.FileExists(t, filepath.Join(root, "opt/set-up"), "what setup.sh does")
		assert.NoDirExists(t, filepath.Join(root, "customize"), "the tree itself has no place in the image")
	})
	t.Run("HasNoSudo", func(t *testing.T) {
		assert.NoFileExists(t, filepath.Join(root, "usr/bin/sudo"))
		assert.NoDirExists(t, filepath.Join(root, "etc/sudoers.d"))
		assert.NoFileExists(t, filepath.Join(root, runnercontract.SudoMark), "jobs could gain privileges")
	})
	t.Run("HasNoSetuidBeyondDebians", func(t *testing.T) {
		assert.Equal(t, privileged(t, s.base), privileged(t, root), "compared with the base image")
	})
	t.Run("TheRunnerCanWriteItsRootOnly", func(t *testing.T) {
		before := writable(t, s.base)
		for _, path := range writable(t, root) {
			if path != "home/runner" && !slices.Contains(before, path) {
				t.Errorf("user %d can write /%s", runnercontract.UID, path)
			}
		}
		assert.Contains(t, writable(t, root), "home/runner")
		target, err := os.Readlink(filepath.Join(root, "opt/hostedtoolcache"))
		require.NoError(t, err)
		assert.Contains(t, target, "/home/runner/")
	})
	t.Run("HasLabelsAndEntrypoint", func(t *testing.T) {
		config := s.inspect(t, image)
		assert.Equal(t, version, config.Labels["org.opencontainers.image.version"])
		assert.Equal(t, base, config.Labels["org.opencontainers.image.base.name"])
		assert.Equal(t, []string{runnercontract.SupervisorRoot + "/supervisor"}, config.Entrypoint)
		assert.Equal(t, "root", config.User, "the supervisor must be root")
		assert.Contains(t, config.Env, "RUNNER_TOOL_CACHE=/opt/hostedtoolcache")
	})
	t.Run("HasNoSecretInAnyLayer", func(t *testing.T) {
		layers := s.export(t, image)[1:] // the first is the base image
		require.NotEmpty(t, secrets([]byte("TOKEN="+secret)), "the test would not notice one")
		assert.Empty(t, secrets([]byte(s.description(t, image))))
		var packed, unpacked int64
		for _, layer := range layers {
			p, u := look(t, layer, func(name string, content []byte) {
				assert.Empty(t, secrets(content), "in /%s", name)
			})
			t.Logf("layer of %5.1f MB, %6.1f MB unpacked", mb(p), mb(u))
			packed, unpacked = packed+p, unpacked+u
		}
		t.Logf("we add %d layers of %.1f MB, %.1f MB unpacked, without actions/runner itself (its archive here is a "+
			"stand-in)",
			len(layers), mb(packed), mb(unpacked))
	})
	t.Run("RunsAJob", func(t *testing.T) {
		r := start(t, root, s.inspect(t, image).Env, "listen; run build; shell id -un; done Succeeded; exit 0")
		log := r.wait(t, 0)
		assert.Contains(t, log, "\nrunner: runner\n", "jobs must run as the runner's user")
		assert.Contains(t, log, "\nrunner: hook of the customer: my-org/app\n")
		assert.NotContains(t, log, "was not told", "the hook scripts do not reach the supervisor")
		assert.Contains(t, log, `"reason":"job_ran","exit_code":0`)
		assert.Contains(t, log,
			`"job":{"name":"build","repository":"my-org/app","workflow":"ci","run_id":"42","run_attempt":"1","result":"Succeeded"}`)
		assert.Equal(t, []string{"/register", "/started"}, r.asked())
	})
	t.Run("StopsWhenAsked", func(t *testing.T) {
		r := start(t, root, s.inspect(t, image).Env, "listen; hang")
		r.see(t, "Listening for Jobs")
		r.terminate(t)
		log := r.wait(t, 143)
		assert.Contains(t, log, `"reason":"stopped_without_job"`)
		assert.Equal(t, []string{"/register", "/started", "/release"}, r.asked())
	})
	t.Run("ReapsWhatAJobLeavesBehind", func(t *testing.T) {
		const script = "listen; run build; shell (setsid sleep 0.1 &)\n sleep 1\n ps -e -o stat,comm; done Succeeded; exit 0"
		log := start(t, root, s.inspect(t, image).Env, script).wait(t, 0)
		assert.Contains(t, log, "Runner.Listener", "ps shows nothing")
		assert.NotContains(t, log, "<defunct>")
	})
	t.Run("IsEmptiedAfterAJob", func(t *testing.T) {
		const script = "listen; run build; shell mkdir -p _work/app && echo big > _work/app/big && echo big > /tmp/big" +
			" && (setsid sleep 1000 > /tmp/open &); done Succeeded; exit 0"
		start(t, root, s.inspect(t, image).Env, script).wait(t, 0)
		assert.NoDirExists(t, filepath.Join(root, "home/runner/_work"))
		assert.NoFileExists(t, filepath.Join(root, "tmp/big"))
		assert.NoFileExists(t, filepath.Join(root, "tmp/open"))
		assert.FileExists(t, filepath.Join(root, "home/runner/bin/Runner.Listener"))
	})
	t.Run("KeepsTheSupervisorFromTheJob", func(t *testing.T) {
		const script = "listen; run build; shell id -u\n cat /proc/1/environ\n cat /proc/1/mem\n kill -9 1\n echo x >> " +
			"/opt/ecsrunners/supervisor\n echo x >> /etc/ecsrunners/hooks.d/job-started/10-hello; done Succeeded; exit 0"
		log := start(t, root, s.inspect(t, image).Env, script).wait(t, 0)
		for _, denied := range []string{
			"/proc/1/environ: Permission denied", "/proc/1/mem: Permission denied", "Operation not permitted",
			"/opt/ecsrunners/supervisor: Permission denied", "/etc/ecsrunners/hooks.d/job-started/10-hello: Permission denied",
		} {
			assert.Contains(t, log, denied)
		}
	})
	t.Run("SudoByBuildArgument", func(t *testing.T) {
		t.Setenv("SUDO", "true")
		said, err := s.build(t, tree, base, archive, hashOf(archive))
		require.NoError(t, err, said)
		tag := regexp.MustCompile(`latest is (\S+) now`).FindStringSubmatch(said)
		require.NotNil(t, tag, said)
		root := s.mount(t, repository+":"+tag[1])
		assert.FileExists(t, filepath.Join(root, runnercontract.SudoMark), "sudo would not work")
		out, err := inRoot(t, root, "runner", "sudo", "-n", "id", "-u").Output()
		require.NoError(t, err)
		assert.Equal(t, "0\n", string(out))
		assert.Contains(t, privileged(t, root), "usr/bin/sudo", "the tests above would not notice it")
	})
}

// store holds the images of a test.
type store struct {
	folder string
	base   string // root of the base image
}

func newStore(t *testing.T) *store {
	t.Helper()
	folder, err := os.MkdirTemp("", "image-test") //nolint:usetesting // the images' user must get through
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o755)) //nolint:gosec // the same
	return &store{folder: folder, base: filepath.Join(folder, "base")}
}

// buildah runs buildah and returns what it prints.
func (s *store) buildah(t *testing.T, args ...string) string {
	t.Helper()
	global := []string{
		"--root", filepath.Join(s.folder, "store/root"), "--runroot", filepath.Join(s.folder, "store/run"),
		"--storage-driver", "vfs",
	}
	cmd := exec.Command("buildah", append(global, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "buildah %s: %s", args, stderr.String())
	return strings.TrimSpace(string(out))
}

// makeBase makes an image of Debian's packages that stands in for
// debian:bookworm-slim, and returns its name with its digest.
func (s *store) makeBase(t *testing.T) string {
	t.Helper()
	mirror := os.Getenv("IMAGE_TEST_MIRROR")
	if mirror == "" {
		mirror = "http://deb.debian.org/debian"
	}
	out, err := exec.Command("debootstrap", "--variant=minbase", "bookworm", s.base, mirror).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.RemoveAll(filepath.Join(s.base, "var/cache/apt/archives")))

	folder := t.TempDir()
	out, err = exec.Command("tar", "--create", "--directory", s.base, "--file", filepath.Join(folder, "root.tar"),
		".").CombinedOutput()
	require.NoError(t, err, string(out))
	put(t, folder, "Dockerfile", "FROM scratch\nADD root.tar /\n")
	s.buildah(t, "bud", "--isolation", "chroot", "--format", "docker", "--tag", "localhost/base:bookworm", folder)
	digest := s.buildah(t, "images", "--format", "{{.Digest}}", "localhost/base:bookworm")
	require.Regexp(t, "^sha256:", digest)
	return "localhost/base@" + digest
}

// build runs the build script over tree, with a server that has the archive.
func (s *store) build(t *testing.T, tree, base string, archive []byte, checksum string) (string, error) {
	t.Helper()
	releases := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != fmt.Sprintf("/v%[1]s/actions-runner-linux-%[2]s-%[1]s.tar.gz", version, architecture()) {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(archive)
	}))
	defer releases.Close()

	bin := t.TempDir()
	docker, err := os.ReadFile("testdata/docker")
	require.NoError(t, err)
	put(t, bin, "docker", string(docker))
	put(t, bin, "sleep", "#!/bin/sh\n")
	put(t, bin, "aws", `#!/bin/sh
case "$2 $*" in
	"describe-images "*--filter*) jq --raw-input --slurp 'split("\n") | map(select(. != ""))' "$0.tags"; exit ;;
	"put-image "*) echo "$6" >> "$0.tags" ;;
esac
case "$2" in
	describe-images) echo ImageNotFoundException >&2; exit 254 ;;
	get-login-password) echo password ;;
	batch-get-image) echo '{"imageManifest":"{}","imageManifestMediaType":"application/json"}' ;;
esac
`)
	library, err := filepath.Abs("../..")
	require.NoError(t, err)
	cmd := exec.Command("bash", "runner-image/build.sh")
	cmd.Dir = library
	cmd.Env = append(os.Environ(),
		"PATH="+bin+":"+os.Getenv("PATH"),
		"REPOSITORY_URI="+repository,
		"IMAGE_SOURCE="+tree,
		"LIBRARY_SOURCE="+library,
		"RUNNER_VERSION="+version,
		"RUNNER_SHA256="+checksum,
		"BASE_IMAGE="+base,
		"RUNNER_RELEASES="+releases.URL,
		"BUILDAH_ROOT="+filepath.Join(s.folder, "store"),
		"AWS_SECRET_ACCESS_KEY="+secret,
		"GITHUB_TOKEN="+secret,
	)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mount returns the root of an image.
func (s *store) mount(t *testing.T, image string) string {
	t.Helper()
	container := s.buildah(t, "from", "--pull-never", image)
	return s.buildah(t, "mount", container)
}

// config is the part of an image's configuration that matters here.
type config struct {
	Labels     map[string]string
	Entrypoint []string
	User       string
	Env        []string
}

func (s *store) inspect(t *testing.T, image string) config {
	t.Helper()
	var found struct {
		Docker struct {
			Config config `json:"config"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(s.description(t, image)), &found))
	return found.Docker.Config
}

// description returns all that an image says of itself, its history included.
func (s *store) description(t *testing.T, image string) string {
	t.Helper()
	return s.buildah(t, "inspect", "--type", "image", image)
}

// export returns the files of an image's layers, the lowest first.
func (s *store) export(t *testing.T, image string) []string {
	t.Helper()
	folder := t.TempDir()
	s.buildah(t, "push", image, "dir:"+folder)
	content, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	require.NoError(t, err)
	var manifest struct {
		Layers []struct{ Digest string } `json:"layers"`
	}
	require.NoError(t, json.Unmarshal(content, &manifest))
	var layers []string
	for _, layer := range manifest.Layers {
		layers = append(layers, filepath.Join(folder, strings.TrimPrefix(layer.Digest, "sha256:")))
	}
	return layers
}

// look shows every file of a layer and returns the layer's sizes.
func look(t *testing.T, layer string, show func(name string, content []byte)) (packed, unpacked int64) {
	t.Helper()
	file, err := os.Open(layer)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	require.NoError(t, err)
	var stream io.Reader = file
	if unzipped, err := gzip.NewReader(file); err == nil {
		stream = unzipped
	} else {
		_, err := file.Seek(0, io.SeekStart)
		require.NoError(t, err)
	}
	entries := tar.NewReader(stream)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return info.Size(), unpacked
		}
		require.NoError(t, err)
		content, err := io.ReadAll(entries)
		require.NoError(t, err)
		unpacked += int64(len(content))
		show(header.Name, content)
	}
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }

// credentials are shapes of credentials, and the ones the build could have leaked.
var credentials = regexp.MustCompile(secret +
	`|AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}` +
	`|-----BEGIN (RSA |EC |OPENSSH |)PRIVATE KEY-----\n[A-Za-z0-9+/=]{16}`)

func secrets(content []byte) []string {
	var found []string
	for _, m := range credentials.FindAll(content, -1) {
		found = append(found, string(m))
	}
	return found
}

// privileged returns the files below root that run as somebody else than their
// caller: with a setuid or setgid bit.
func privileged(t *testing.T, root string) []string {
	t.Helper()
	return find(t, root, func(_ string, info fs.FileInfo) bool {
		return info.Mode().IsRegular() && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0
	})
}

// writable returns the files and folders below root that the runner can write. It
// does not go into those.
func writable(t *testing.T, root string) []string {
	t.Helper()
	return find(t, root, func(_ string, info fs.FileInfo) bool {
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || info.Mode().Type()&(fs.ModeSymlink|fs.ModeDevice) != 0 {
			return false
		}
		mode := info.Mode().Perm()
		return mode&0o002 != 0 || mode&0o200 != 0 && stat.Uid == runnercontract.UID || mode&0o020 != 0 &&
			stat.Gid == runnercontract.UID
	})
}

func find(t *testing.T, root string, is func(path string, info fs.FileInfo) bool) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
		if name == "proc" || name == "dev" {
			return fs.SkipDir
		}
		info, err := entry.Info()
		if err != nil || !is(path, info) {
			return err
		}
		found = append(found, name)
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	}))
	return found
}

// inRoot returns a command that runs in an image's root.
func inRoot(t *testing.T, root, user string, command ...string) *exec.Cmd {
	t.Helper()
	args := append([]string{"--userspec=" + user, root}, command...)
	cmd := exec.Command("chroot", args...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/home/runner"}
	return cmd
}

// running is a supervisor that runs in an image.
type running struct {
	cmd    *exec.Cmd
	mu     sync.Mutex
	log    bytes.Buffer
	paths  []string
	server *httptest.Server
}

// Write and asked are called from several goroutines.

func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *running) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.paths)
}

// start starts the image's entrypoint as the first process of a new process
// namespace, with a registration service and a listener that plays script.
func start(t *testing.T, root string, env []string, script string) *running {
	t.Helper()
	r := &running{}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/credentials" {
			_, _ = io.WriteString(w,
				`{"AccessKeyId":"AKID","SecretAccessKey":"key","Token":"token","Expiration":"2099-01-01T00:00:00Z"}`)
			return
		}
		r.mu.Lock()
		r.paths = append(r.paths, req.URL.Path)
		r.mu.Unlock()
		if req.URL.Path != runnercontract.PathRegister {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		config := base64.StdEncoding.EncodeToString([]byte(`{".runner":"e30="}`))
		_ = json.NewEncoder(w).Encode(runnercontract.Registration{
			RunnerID: 7, RunnerName: "prod-linux-1-01234567-k3",
			JITConfig: runnercontract.Secret(config), ReleaseToken: "token",
		})
	}))
	t.Cleanup(r.server.Close)
	require.NoError(t, os.RemoveAll(filepath.Join(root, "home/runner/.starts")))

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	r.cmd = exec.CommandContext(ctx, "unshare", "--pid", "--fork", "--mount", "--kill-child",
		"sh", "-c", `mount -t proc proc "$1/proc" && exec chroot "$1" /opt/ecsrunners/supervisor`, "sh", root)
	r.cmd.Env = append(slices.Clone(env), "FAKE_LISTENER="+script, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+r.server.URL+
		"/credentials",
		runnercontract.EnvFleet+"=linux", runnercontract.EnvJobID+"=1")
	variables, err := runnercontract.Config{RegistrationURL: r.server.URL, RegistrationRegion: "eu-west-1"}.Environment()
	require.NoError(t, err)
	for name, value := range variables {
		r.cmd.Env = append(r.cmd.Env, name+"="+value)
	}
	r.cmd.Stdout, r.cmd.Stderr = r, r
	require.NoError(t, r.cmd.Start())
	return r
}

func (r *running) see(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return strings.Contains(r.log.String(), text)
	}, 20*time.Second, 10*time.Millisecond)
}

// terminate asks the supervisor, which is the child of unshare, to stop.
func (r *running) terminate(t *testing.T) {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", r.cmd.Process.Pid))
	require.NoError(t, err)
	var pid int
	_, err = fmt.Sscan(string(children), &pid)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
}

// wait waits for the end and returns the log.
func (r *running) wait(t *testing.T, code int) string {
	t.Helper()
	err := r.cmd.Wait()
	log := r.log.String()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		require.NoError(t, err, log)
	}
	require.Equal(t, code, r.cmd.ProcessState.ExitCode(), log)
	return log
}

// customTree returns a copy of the tree that customers get, with something of
// theirs in every place.
func customTree(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	for _, part := range []string{"Dockerfile", "customize"} {
		out, err := exec.Command("cp", "-R", filepath.Join("../../runner-image", part), tree).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	put(t, tree, "customize/packages.txt", "procps # for ps\ntree\n")
	put(t, tree, "customize/hooks.d/job-started/10-hello", "#!/bin/sh\necho hook of the customer: $GITHUB_REPOSITORY\n")
	put(t, tree, "customize/setup.sh", "touch /opt/set-up\n")
	certificate, err := os.ReadFile("testdata/own.crt")
	require.NoError(t, err)
	put(t, tree, "customize/certificates/own.crt", string(certificate))
	return tree
}

// makeArchive returns an archive like GitHub's, with the fake listener in it.
func makeArchive(t *testing.T) []byte {
	t.Helper()
	folder := t.TempDir()
	build := exec.Command("go", "build", "-ldflags", "-s -w -X main.version="+version,
		"-o", filepath.Join(folder, "bin/Runner.Listener"), "../../runner-image/supervisor/testdata/listener")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	archive, err := exec.Command("tar", "--create", "--gzip", "--directory", folder, ".").Output()
	require.NoError(t, err)
	return archive
}

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// architecture is this machine's, as GitHub names it.
func architecture() string {
	if runtime.GOARCH == "amd64" {
		return "x64"
	}
	return runtime.GOARCH
}

func put(t *testing.T, root, file, content string) {
	t.Helper()
	path := filepath.Join(root, file)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o755))
}
