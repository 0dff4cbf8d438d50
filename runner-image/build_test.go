//go:build image

// Package runnerimage holds no code; its tests run the commands of the buildspec.
package runnerimage_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	sum      = "1111111111111111111111111111111111111111111111111111111111111111"
	otherSum = "2222222222222222222222222222222222222222222222222222222222222222"
	turn     = "1790000000000"
	tagForm  = `2\.336\.0-(x64|arm64)-[0-9a-f]{12}-[0-9a-f]{12}`
)

// build runs the commands of buildspec.yml with stubs of all that they reach out
// to. A stub writes its call down, and behaves like the shell script of its name
// in scripts.
type build struct {
	t       *testing.T
	scripts map[string]string
	env     map[string]string
	tags    string // of the repository, a line each
	tree    string
	library string
}

// newBuild returns a build whose surroundings work, and whose image is new.
func newBuild(t *testing.T) *build {
	t.Helper()
	b := &build{
		t:       t,
		tree:    t.TempDir(),
		library: t.TempDir(),
		env: map[string]string{
			"REPOSITORY_URI":       "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/runner",
			"CODEBUILD_START_TIME": turn,
		},
		scripts: map[string]string{
			"curl": release(`{"tag_name":"v2.336.0","assets":[
				{"name":"actions-runner-linux-arm64-2.336.0.tar.gz","digest":"sha256:` + sum + `"},
				{"name":"actions-runner-linux-x64-2.336.0.tar.gz","digest":"sha256:` + sum + `"}]}`),
			"aws": ecr(
				`echo "An error occurred (ImageNotFoundException) when calling the DescribeImages operation" >&2; exit 254`),
			"docker": `case "$*" in
				"image inspect"*) echo "public.ecr.aws/docker/library/debian@sha256:` + otherSum + `" ;;
				login*) cat > /dev/null ;;
			esac`,
			"go":    `while [ "$1" != -o ]; do shift; done; echo program > "$2"`,
			"sleep": ``,
		},
	}
	b.put(b.tree, "Dockerfile", "FROM scratch\n")
	for _, file := range []string{
		"internal/contract/contract.go",
		"runner-image/supervisor/main.go",
		"runner-image/supervisor/hooks/job-started.sh",
		"runner-image/supervisor/hooks/job-completed.sh",
		"go.sum",
	} {
		b.put(b.library, file, file)
	}
	b.put(b.library, "go.mod", "module m\n\ngo 1.26.0\n\ntoolchain go1.26.8\n")
	for _, file := range []string{"build.sh", "buildspec.yml"} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		b.put(b.library, "runner-image/"+file, string(content))
	}
	return b
}

// release returns a curl that answers with a release.
func release(json string) string {
	return `while [ "$1" != --output ]; do shift; done
cat > "$2" <<'END'
` + json + `
END
printf 200`
}

// ecr returns an aws of a repository that keeps the tags it is given, and where
// describe-images of one of them behaves like a script.
func ecr(describe string) string {
	return `tags=${0%/*}/tags
	case "$2 $*" in
		"describe-images "*--filter*) jq --raw-input --slurp 'split("\n") | map(select(. != ""))' "$tags" ;;
		"put-image "*) echo "$6" >> "$tags" ;;
	esac
	case "$2 $*" in
		"describe-images "*--image-ids*) ` + describe + ` ;;
	esac
	case "$2" in
		get-login-password) echo password ;;
		batch-get-image)
			echo '{"imageManifest":"{\"schemaVersion\":2}",
				"imageManifestMediaType":"application/vnd.oci.image.manifest.v1+json"}' ;;
	esac`
}

func (b *build) put(root, file, content string) {
	b.t.Helper()
	path := filepath.Join(root, file)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(b.t, os.WriteFile(path, []byte(content), 0o644))
}

// outcome is what a build said and called.
type outcome struct {
	said  string
	calls string
	ok    bool
}

func (b *build) run() outcome {
	b.t.Helper()
	stubs := b.t.TempDir()
	calls := filepath.Join(stubs, "calls")
	for name, script := range b.scripts {
		stub := fmt.Sprintf("#!/bin/bash\necho \"%s $*\" >> %s\n%s\n", name, calls, script)
		require.NoError(b.t, os.WriteFile(filepath.Join(stubs, name), []byte(stub), 0o755))
	}
	b.put(stubs, "tags", b.tags)
	cmd := exec.Command("bash", "-ec", strings.Join(b.commands(), "\n"))
	cmd.Dir = b.library
	cmd.Env = []string{
		"PATH=" + stubs + ":" + os.Getenv("PATH"),
		"TMPDIR=" + b.t.TempDir(),
		"CODEBUILD_SRC_DIR=" + b.library,
		"CODEBUILD_SRC_DIR_image=" + b.tree,
	}
	for name, value := range b.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	called, _ := os.ReadFile(calls)
	return outcome{said: string(out), calls: string(called), ok: err == nil}
}

// commands returns the commands of the build phase.
func (b *build) commands() []string {
	b.t.Helper()
	content, err := os.ReadFile("buildspec.yml")
	require.NoError(b.t, err)
	_, list, found := strings.Cut(string(content), "    commands:\n")
	require.True(b.t, found, "buildspec.yml has no commands")
	var commands []string
	for _, m := range regexp.MustCompile(`(?m)^      - (.*)$`).FindAllStringSubmatch(list, -1) {
		commands = append(commands, m[1])
	}
	require.NotEmpty(b.t, commands)
	return commands
}

// called counts the calls that begin with words.
func (o outcome) called(words string) int {
	return strings.Count("\n"+o.calls, "\n"+words)
}

// tag returns the tag that was decided on.
func (o outcome) tag(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`==> image tag is (\S+)`).FindStringSubmatch(o.said)
	require.NotNil(t, m, o.said)
	return m[1]
}

// assertChannelKept fails if anything was pushed or tagged.
func (o outcome) assertChannelKept(t *testing.T) {
	t.Helper()
	assert.False(t, o.ok, "the build succeeded:\n%s", o.said)
	assert.Contains(t, o.said, "==> FAILED: ")
	assert.Zero(t, o.called("aws ecr put-image"), "the channel was moved:\n%s", o.calls)
}

func TestBuild_NewestRelease(t *testing.T) {
	t.Parallel()
	o := newBuild(t).run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.said, "newest release of actions/runner is 2.336.0")
	tag := o.tag(t)
	assert.Regexp(t, "^"+tagForm+"$", tag)
	image := "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/runner:" + tag
	assert.Regexp(t, `(?s)^curl .*/releases/latest
docker pull --quiet public\.ecr\.aws/docker/library/debian:bookworm-slim
docker image inspect .*
aws ecr describe-images --repository-name team/runner --image-ids imageTag=`+tag+` .*
go build .*
docker build --build-arg=BASE_IMAGE=public\.ecr\.aws/docker/library/debian@sha256:2{64} --build-arg=RUNNER_VERSION=2\.336\.0 --build-arg=RUNNER_ARCH=(x64|arm64) --build-arg=RUNNER_SHA256=1{64} --build-arg=SUDO=false --tag `+image+` .*
docker run --rm --network none `+image+` check -runner-version 2\.336\.0
(aws ecr get-login-password|docker login .*)
(aws ecr get-login-password|docker login .*)
docker push --quiet `+image+`
aws ecr batch-get-image .* imageTag=`+tag+` .*
aws ecr put-image .* --image-tag turn-latest-`+turn+` .*
aws ecr describe-images .*
aws ecr batch-get-image .* imageTag=turn-latest-`+turn+` .*
aws ecr put-image --repository-name team/runner --image-tag latest --image-manifest {"schemaVersion":2} .*
aws ecr describe-images .*
aws ecr batch-get-image .* imageTag=`+tag+` .*
aws ecr put-image .* --image-tag promoted-latest-`+tag+` .*
$`, o.calls, "the image must be checked before it is pushed, and the channel moved last")
}

func TestBuild_TheContextHoldsSupervisorAndHooks(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.put(b.tree, "ecsrunners/supervisor", "somebody else's")
	b.put(b.tree, "customize/packages.txt", "")
	b.scripts["docker"] += `
if [ "$1" = build ]; then (cd "${@: -1}" && find . -type f | sort && cat ecsrunners/supervisor); fi`
	b.scripts["go"] += `; echo "toolchain $GOTOOLCHAIN, $CGO_ENABLED"`
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.said,
		"./Dockerfile\n./customize/packages.txt\n./ecsrunners/job-completed.sh\n./ecsrunners/job-started.sh\n./ecsrunners/supervisor\nprogram\n")
	assert.Contains(t, o.said, "toolchain go1.26.8, 0\n")
	content, err := os.ReadFile(filepath.Join(b.tree, "ecsrunners/supervisor"))
	require.NoError(t, err)
	assert.Equal(t, "somebody else's", string(content), "the source tree was changed")
}

// That jobs may become root is what the build is told, not what it finds.
func TestBuild_MarksAnImageWithSudo(t *testing.T) {
	t.Parallel()
	for sudo, marked := range map[string]bool{"true": true, "false": false, "": false} {
		b := newBuild(t)
		b.env["SUDO"] = sudo
		b.put(b.tree, "ecsrunners/sudo", "somebody else's")
		b.scripts["docker"] += `
if [ "$1" = build ] && [ -f "${@: -1}/ecsrunners/sudo" ]; then echo "it is marked"; fi`
		o := b.run()
		require.True(t, o.ok, o.said)
		assert.Equal(t, marked, strings.Contains(o.said, "it is marked\n"), "SUDO=%s", sudo)
	}
}

func TestBuild_AlreadyBuilt(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.scripts["aws"] = ecr("echo sha256:" + sum)
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.said, "nothing to build")
	assert.Zero(t, o.called("go build")+o.called("docker build")+o.called("docker push"))
	assert.Contains(t, o.calls, "--image-tag latest ", "a push that takes back a change must take effect")
}

func TestBuild_AlreadyBuilt_TheScheduleKeepsARollback(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.env["TRIGGER"] = "schedule"
	b.scripts["aws"] = ecr("echo sha256:" + sum)
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.said, "the schedule leaves latest where it is")
	assert.Zero(t, o.called("aws ecr put-image"))
}

func TestBuild_AlreadyBuilt_TheScheduleMovesAChannelThatNeverCameToTheImage(t *testing.T) {
	b := newBuild(t)
	b.env["TRIGGER"] = "schedule"
	b.scripts["aws"] = ecr(`case "$*" in *imageTag=promoted-*) echo ImageNotFoundException >&2; exit 254 ;; esac`)
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.calls, "put-image --repository-name team/runner --image-tag latest ",
		"the image would be current for the checks and never used")
	assert.Regexp(t, "put-image .* --image-tag promoted-latest-"+tagForm, o.calls)
}

func TestBuild_AnotherBuildOfTheSameTagWasFaster(t *testing.T) {
	b := newBuild(t)
	b.scripts["aws"] = ecr(`[ -e "$TMPDIR/pushed" ] || { echo ImageNotFoundException >&2; exit 254; }`)
	b.scripts["docker"] = `case "$1" in push) touch "$TMPDIR/pushed"; echo "tag invalid: immutable" >&2; exit 1 ;; esac
` + b.scripts["docker"]
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Equal(t, 1, strings.Count(o.calls, "docker push"), "the deployment that lost the race would fail")
	assert.Contains(t, o.calls, "--image-tag latest ")
}

func TestBuild_AlreadyBuilt_TheScheduleMakesAMissingChannel(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.env["TRIGGER"] = "schedule"
	b.scripts["aws"] = ecr(
		`case "$*" in *imageTag=latest*) echo ImageNotFoundException >&2; exit 254 ;; *) echo sha256:` + sum + ` ;; esac`)
	assert.Contains(t, b.run().calls, "--image-tag latest ")
}

func TestBuild_ChannelIsThereAlready(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.scripts["aws"] += `
if [ "$2" = put-image ]; then echo "An error occurred (ImageAlreadyExistsException)" >&2; exit 254; fi`
	o := b.run()
	assert.True(t, o.ok, o.said)
	assert.Equal(t, 3, o.called("aws ecr put-image"))
}

// Builds overtake each other: one with a warm cache needs a tenth of the time. The
// channel must end at the image of the one that began last, or a pushed change
// would be undone by the one before it.
func TestBuild_TheLaterToBeginHasTheChannel(t *testing.T) {
	t.Parallel()
	const later, other = "turn-latest-1790000000001", "turn-next-1790000000009"
	moves := func(o outcome) []string {
		var from []string
		for _, m := range regexp.MustCompile(`batch-get-image \S+ \S+ --image-ids imageTag=(\S+) .*\naws ecr put-image `+
			`\S+ \S+ --image-tag latest `).FindAllStringSubmatch(o.calls, -1) {
			from = append(from, m[1])
		}
		return from
	}
	for name, test := range map[string]struct {
		tags, script string
		want         []string
	}{
		"it is the only one": {want: []string{"turn-latest-" + turn}},
		"others were before it": {
			tags: "turn-latest-1789999999999\nturn-latest-999999999999\n" + other + "\n",
			want: []string{"turn-latest-" + turn},
		},
		"another began later": {tags: later + "\nturn-latest-1789999999999\n", want: []string{later}},
		"its own tag does not show yet": {
			tags:   "turn-latest-1789999999999\n",
			script: `case "$2" in put-image) sed -i /` + turn + `/d "$tags" ;; esac`, want: []string{"turn-latest-" + turn},
		},
		"another comes while it moves": {script: `case "$*" in "ecr put-image"*" latest "*) echo ` + later +
			` >> "$tags" ;; esac`, want: []string{"turn-latest-" + turn, later}},
		"another comes before the last look": {script: `case "$*" in *imageTag=turn-latest-` + turn + `*) echo ` + later +
			` >> "$tags" ;; esac`, want: []string{"turn-latest-" + turn, later}},
	} {
		b := newBuild(t)
		b.tags = test.tags
		b.scripts["aws"] += "\n" + test.script
		o := b.run()
		require.True(t, o.ok, o.said)
		assert.Equal(t, test.want, moves(o), "%s:\n%s", name, o.calls)
		mine := test.want[len(test.want)-1] != later
		assert.Equal(t, mine, strings.Contains(o.calls, "--image-tag promoted-latest-"), name)
		assert.Equal(t, !mine, strings.Contains(o.said, "a build that began later, "+later+", has the channel"), o.said)
	}
}

func TestBuild_ABaseImageOfAnotherECR(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.env["BASE_IMAGE"] = "210987654321.dkr.ecr.us-east-1.amazonaws.com/base/debian@sha256:" + sum
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.calls, "aws ecr get-login-password --region us-east-1\n")
	assert.Contains(t, o.calls,
		"docker login --username AWS --password-stdin 210987654321.dkr.ecr.us-east-1.amazonaws.com\n")
}

func TestBuild_AMirrorOfTheReleases(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	first := b.run().tag(t)
	b.env["RUNNER_RELEASES"] = "https://mirror.example.com/runner"
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.calls, " --build-arg=RUNNER_RELEASES=https://mirror.example.com/runner ")
	assert.Equal(t, first, o.tag(t), "what is verified is the same from everywhere")
}

func TestBuild_PinnedVersion(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.env["RUNNER_VERSION"] = "2.336.0"
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.said, "actions/runner 2.336.0 is pinned")
	assert.Contains(t, o.calls, "/releases/tags/v2.336.0\n")
}

func TestBuild_PinnedVersionWithChecksumNeedsNoGitHub(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.env["RUNNER_VERSION"], b.env["RUNNER_SHA256"] = "2.336.0", sum
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Zero(t, o.called("curl"))
}

func TestBuild_PinnedVersionDoesNotExist(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.env["RUNNER_VERSION"] = "9.9.9"
	b.scripts["curl"] = "printf 404"
	o := b.run()
	o.assertChannelKept(t)
	assert.Contains(t, o.said, "there is no release tags/v9.9.9")
	assert.Equal(t, 1, o.called("curl"), "asking again is of no use")
}

func TestBuild_ChecksumInTheTextOfARelease(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.scripts["curl"] = release(
		`{"tag_name":"v2.336.0","assets":[{"name":"actions-runner-linux-x64-2.336.0.tar.gz","digest":null}],
		"body":"sums <!-- BEGIN SHA linux-x64 -->` + otherSum + `<!-- END SHA linux-x64 --> <!-- BEGIN SHA linux-arm64 -->` +
			otherSum + `<!-- END SHA linux-arm64 -->"}`)
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.calls, "RUNNER_SHA256="+otherSum)
}

func TestBuild_ChecksumMissing(t *testing.T) {
	t.Parallel()
	for name, json := range map[string]string{
		"Nowhere": `{"tag_name":"v2.336.0","assets":[],"body":"` + sum + `"}`,
		"OtherHash": `{"tag_name":"v2.336.0","assets":[{"name":"actions-runner-linux-x64-2.336.0.tar.gz","digest":"sha512:` +
			sum + `"}]}`,
		"OtherFile": `{"tag_name":"v2.336.0","assets":[{"name":"actions-runner-linux-x64-2.336.0-noruntime.tar.gz","digest":"sha256:` + sum + `"}]}`,
		"NotFilled": `{"tag_name":"v2.336.0","body":"<!-- BEGIN SHA linux-x64 --><LINUX_X64_SHA><!-- END SHA linux-x64 ` +
			`-->"}`,
		"NotVersion": `{"tag_name":"nightly"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBuild(t)
			b.scripts["curl"] = release(json)
			o := b.run()
			o.assertChannelKept(t)
			assert.Zero(t, o.called("docker"))
		})
	}
}

func TestBuild_WaitsForGitHubsLimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer func() string
		waits  string // empty: it gives up
	}{
		"RetryAfter":  {func() string { return "429|77|" }, "sleep 77\n"},
		"Reset":       {func() string { return fmt.Sprintf("403||%d", time.Now().Add(200*time.Second).Unix()) }, "sleep "},
		"NothingSaid": {func() string { return "403" }, "sleep 60\n"},
		"TooLong":     {func() string { return fmt.Sprintf("403||%d", time.Now().Add(50*time.Minute).Unix()) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBuild(t)
			granted := filepath.Join(t.TempDir(), "granted")
			b.scripts["curl"] = `if [ -e ` + granted + ` ]; then
` + b.scripts["curl"] + `
else touch ` + granted + `; printf '` + test.answer() + `'; fi`
			o := b.run()
			if test.waits == "" {
				o.assertChannelKept(t)
				assert.Contains(t, o.said, "its limit for this address lasts")
				assert.Equal(t, 1, o.called("curl"), "asking again is of no use for so long")
				return
			}
			require.True(t, o.ok, o.said)
			assert.Contains(t, o.calls, test.waits)
			assert.Equal(t, 2, o.called("curl"))
		})
	}
}

func TestBuild_GitHubsLimitDoesNotEnd(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.scripts["curl"] = "printf 403"
	o := b.run()
	o.assertChannelKept(t)
	assert.Contains(t, o.said, "GitHub does not list its releases")
	assert.Equal(t, 5, o.called("curl"))
}

func TestBuild_GitHubIsDown(t *testing.T) {
	t.Parallel()
	for name, curl := range map[string]string{"Unreachable": "exit 6", "Failing": "printf 503"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBuild(t)
			b.scripts["curl"] = curl
			o := b.run()
			o.assertChannelKept(t)
			assert.Contains(t, o.said, "GitHub does not list its releases")
			assert.Equal(t, 5, o.called("curl"))
			assert.Equal(t, 4, o.called("sleep"))
		})
	}
}

func TestBuild_GitHubIsBackSoon(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.scripts["curl"] = `[ -f "$TMPDIR/asked" ] || { touch "$TMPDIR/asked"; printf 502; exit; }
` + b.scripts["curl"]
	o := b.run()
	assert.True(t, o.ok, o.said)
	assert.Equal(t, 2, o.called("curl"))
}

func TestBuild_ECRIsThrottled(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.scripts["aws"] = `echo "An error occurred (ThrottlingException): Rate exceeded" >&2; exit 254`
	o := b.run()
	o.assertChannelKept(t)
	assert.Equal(t, 5, o.called("aws ecr describe-images"))
	assert.Zero(t, o.called("docker build"), "a throttled answer is not an image that is missing")
}

func TestBuild_ECRIsThrottledForAWhile(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.scripts["aws"] = `n=$(cat "$TMPDIR/$2" 2>/dev/null || echo 0); echo $((n + 1)) > "$TMPDIR/$2"
[ "$n" != 0 ] || { echo "An error occurred (ThrottlingException): Rate exceeded" >&2; exit 254; }
` + b.scripts["aws"]
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Equal(t, 4, o.called("aws ecr put-image"), "one was throttled")
}

func TestBuild_TheChannelCannotBeMoved(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.scripts["aws"] += `
if [ "$2" = put-image ]; then echo "An error occurred (ImageTagAlreadyExistsException): immutable" >&2; exit 254; fi`
	o := b.run()
	assert.False(t, o.ok)
	assert.Contains(t, o.said, "ImageTagAlreadyExistsException", "the reason must be told")
	assert.Contains(t, o.said, "start the build again to move latest")
}

func TestBuild_SelfCheckFails(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.scripts["docker"] += `
if [ "$1" = run ]; then echo "the listener says it is version 2.335.0, want 2.336.0"; exit 25; fi`
	o := b.run()
	o.assertChannelKept(t)
	assert.Zero(t, o.called("docker push"))
}

func TestBuild_FailsWhenAStepFails(t *testing.T) {
	t.Parallel()
	for step, attempts := range map[string]int{
		"go build": 5, "docker pull": 5, "docker build": 1, "docker login": 5,
		"docker push": 5,
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			b := newBuild(t)
			program, verb, _ := strings.Cut(step, " ")
			b.scripts[program] = `if [ "$1" = ` + verb + ` ]; then exit 1; fi
` + b.scripts[program]
			o := b.run()
			o.assertChannelKept(t)
			assert.Equal(t, attempts, o.called(step))
		})
	}
}

func TestBuild_BaseImageIsPinned(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	b.env["BASE_IMAGE"] = "example.org/base@sha256:" + sum
	o := b.run()
	require.True(t, o.ok, o.said)
	assert.Contains(t, o.calls, "BASE_IMAGE=example.org/base@sha256:"+sum)
	assert.Zero(t, o.called("docker pull"))
}

func TestBuild_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := newBuild(t)
	delete(b.env, "REPOSITORY_URI")
	assert.Contains(t, b.run().said, "REPOSITORY_URI: is required")

	b = newBuild(t)
	require.NoError(t, os.Remove(filepath.Join(b.tree, "Dockerfile")))
	assert.Contains(t, b.run().said, "there is no Dockerfile in "+b.tree)
}

// What goes into an image makes its tag, and nothing else does.
func TestBuild_Tag(t *testing.T) {
	t.Parallel()
	tag := func(change func(b *build)) string {
		b := newBuild(t)
		change(b)
		return b.run().tag(t)
	}
	first := tag(func(*build) {})
	for name, change := range map[string]func(b *build){
		"again":         func(*build) {},
		"git":           func(b *build) { b.put(b.tree, ".git/HEAD", "ref") },
		"test":          func(b *build) { b.put(b.library, "runner-image/supervisor/main_test.go", "x") },
		"test data":     func(b *build) { b.put(b.library, "runner-image/supervisor/testdata/x/main.go", "x") },
		"other program": func(b *build) { b.put(b.library, "lambda/webhook/main.go", "x") },
		"channel":       func(b *build) { b.env["CHANNEL"] = "next" },
	} {
		assert.Equal(t, first, tag(change), name)
	}
	for name, change := range map[string]func(b *build){
		"Dockerfile": func(b *build) { b.put(b.tree, "Dockerfile", "FROM other\n") },
		"new file":   func(b *build) { b.put(b.tree, "testdata/x_test.go", "x") },
		"supervisor": func(b *build) { b.put(b.library, "runner-image/supervisor/main.go", "x") },
		"hook":       func(b *build) { b.put(b.library, "runner-image/supervisor/hooks/job-started.sh", "x") },
		"contract":   func(b *build) { b.put(b.library, "internal/contract/contract.go", "x") },
		"toolchain":  func(b *build) { b.put(b.library, "go.mod", "toolchain go1.26.9\n") },
		"base image": func(b *build) { b.env["BASE_IMAGE"] = "base@sha256:" + sum },
		"sudo":       func(b *build) { b.env["SUDO"] = "true" },
	} {
		assert.NotEqual(t, first, tag(change), name)
	}
}
