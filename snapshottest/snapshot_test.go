package snapshottest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests stand in for those of a package in a folder of its own, with a
// function TestStacks.

func TestCompareAssembly_PassesWhenEqual(t *testing.T) {
	inPackage(t, map[string]string{"TestStacks/App.json": "{\n  \"A\": 1\n}\n"})
	assert.Empty(t, failures(t, "TestStacks", "", map[string]string{"App": `{"A":1}`}))
}

func TestCompareAssembly_FailsWhenATemplateDiffers(t *testing.T) {
	inPackage(t, map[string]string{"TestStacks/small.App.json": "{\n  \"A\": 1\n}\n"})
	got := failures(t, "TestStacks", "small", map[string]string{"App": `{"A":2}`})
	assert.Contains(t, got, "the template of small.App is not its snapshot")
	assert.Contains(t, got, "A\n    was: 1\n    is:  2")
}

func TestCompareAssembly_FailsWhenASnapshotIsMissing(t *testing.T) {
	inPackage(t, nil)
	assert.Contains(t, failures(t, "TestStacks", "", map[string]string{"App": `{"A":1}`}),
		"the template of App has no snapshot")
}

func TestCompareAssembly_FailsWhenASnapshotIsLeftOver(t *testing.T) {
	inPackage(t, map[string]string{
		"TestStacks/App.json": "{\n  \"A\": 1\n}\n", "TestStacks/Old.json": "{}",
		"TestOther/App.json": "{}", "TestGone/App.json": "{}", "others/x.json": "{}", "TestStacks/README.md": "",
	})
	got := failures(t, "TestStacks", "", map[string]string{"App": `{"A":1}`})
	for _, file := range []string{"TestStacks/Old.json", "TestGone/App.json"} {
		assert.Contains(t, got, "no template is compared with snapshot "+filepath.Join(root, file))
	}
	assert.NotContains(t, got, "x.json", "it is not a snapshot of this package's")
	assert.NotContains(t, got, "README")
	assert.NotContains(t, got, "TestOther", "with -run, other tests do not run; their snapshots are no leftovers")

	set(t, "test.run", "TestStacks/one")
	got = failures(t, "TestStacks", "", map[string]string{"App": `{"A":1}`})
	assert.NotContains(t, got, "Old", "the subtests that do not run may compare with it")
}

func TestCompareAssembly_WithUpdateWritesAndDeletes(t *testing.T) {
	inPackage(t, map[string]string{"TestStacks/Old.json": "{}", "TestGone/App.json": "{}", "TestOther/App.json": "{}"})
	set(t, updateFlag, "true")
	require.Empty(t, failures(t, "TestStacks", "", map[string]string{"App": `{"A":1}`}))
	written, err := os.ReadFile(filepath.Join(root, "TestStacks", "App.json"))
	require.NoError(t, err)
	assert.Equal(t, "{\n  \"A\": 1\n}\n", string(written))
	assert.NoFileExists(t, filepath.Join(root, "TestStacks", "Old.json"))
	assert.NoDirExists(t, filepath.Join(root, "TestGone"))
	assert.FileExists(t, filepath.Join(root, "TestOther", "App.json"))
}

func TestCompareAssembly_FailsWhenTwoTemplatesHaveOneName(t *testing.T) {
	inPackage(t, map[string]string{"TestStacks/App.json": "{\n  \"A\": 1\n}\n"})
	got := failures(t, "TestStacks", "", map[string]string{"App": `{"A":1}`}, map[string]string{"App": `{"A":1}`})
	assert.Equal(t, "comparing App twice in a test; give each comparison a name", got)
}

func TestCompareAssembly_FailsWhenASubtestCompares(t *testing.T) {
	inPackage(t, nil)
	assert.Contains(t, failures(t, "TestStacks/one", "", map[string]string{"App": `{}`}), "got the subtest TestStacks/one")
}

func hash(letter string) string { return strings.Repeat(letter, 64) }

func TestReadAssembly_KnowsStagesAndNestedStacksToo(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{
		"manifest.json": `{"artifacts": {
			"App": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "App.template.json"}},
			"App.assets": {"type": "cdk:asset-manifest", "properties": {"file": "App.assets.json"}},
			"assembly-Prod": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "assembly-Prod"}},
			"Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}}}}`,
		"App.template.json": `1`,
		"App.assets.json": `{"files": {"` + hash("a") + `": {"source": {"path": "AppNested.nested.template.json"}}, "` +
			hash("b") + `-eu": {"source": {"path": "asset.b"}}, "own": {"source": {}}},
			"dockerImages": {"` + hash("c") + `": {"source": {"directory": "asset.c"}}}}`,
		"AppNested.nested.template.json": `2`,
		"asset." + hash("d") + "/x":      "",
		"sources." + hash("f") + "/x":    "",
		"assembly-Prod/manifest.json": `{"artifacts": {"ProdApp": {"type": "aws:cloudformation:stack", ` +
			`"properties": {"templateFile": "ProdApp.template.json"}},
			"ProdApp.assets": {"type": "cdk:asset-manifest", "properties": {"file": "ProdApp.assets.json"}}}}`,
		"assembly-Prod/ProdApp.template.json": `3`,
		"assembly-Prod/ProdApp.assets.json":   `{"files": {"` + hash("e") + `": {}}}`,
	})
	got, err := readAssembly(folder)
	require.NoError(t, err)
	assert.Equal(t, []template{
		{"App", "App", []byte("1")}, {"App", "AppNested", []byte("2")}, {"ProdApp", "ProdApp", []byte("3")},
	}, got.templates)
	assert.Equal(t, assetIDs{hash("a"): true, hash("b"): true, hash("c"): true, hash("d"): true, hash("e"): true},
		got.assets)
}

// What is deployed must be seen to change: a pinned image, a checksum.
func TestCompareAssembly_MasksTheHashesOfAssetsAlone(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{
		"manifest.json": `{"artifacts": {
			"App": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "App.template.json"}},
			"App.assets": {"type": "cdk:asset-manifest", "properties": {"file": "App.assets.json"}}}}`,
		"App.template.json": `{"Image": "repo@sha256:` + hash("1") + `", "Library": "` + hash("a") + `"}`,
		"App.assets.json": `{"files": {"` + hash("a") + `": {}, "` + hash("b") + `": {"source": ` +
			`{"path": "AppNested.nested.template.json"}}}}`,
		"AppNested.nested.template.json": `{"RUNNER_SHA256": "` + hash("1") + `", "S3Key": "` + hash("a") + `.zip"}`,
	})
	inPackage(t, map[string]string{
		"TestStacks/App.json": "{\n  \"Image\": \"repo@sha256:" + hash("1") + "\",\n  \"Library\": \"<asset-1>\"\n}\n",
		"TestStacks/AppNested.json": "{\n  \"RUNNER_SHA256\": \"" + hash("1") + "\",\n  \"S3Key\": " +
			"\"<asset-1>.zip\"\n}\n",
	})
	assert.Empty(t, failuresOf(t, "TestStacks", "", folder))
}

func TestCompareAssembly_ComparesLinesHoweverTheyEnd(t *testing.T) {
	inPackage(t, map[string]string{"TestStacks/App.json": "{\r\n  \"A\": 1\r\n}\r\n"})
	assert.Empty(t, failures(t, "TestStacks", "", map[string]string{"App": `{"A":1}`}),
		"git checks files out so on Windows")
}

func TestContextOf_IsThatOfTheNextFile(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{
		"a/cdk.json": `{"context": {"flag": true}}`, "a/b/c/x": "",
		"a/cdk.context.json":   `{"flag": false, "vpc-provider:account=1": {"vpcId": "vpc-1"}}`,
		"a/b/cdk.context.json": `{"flag": "of no app"}`,
		"none/cdk.json":        `{"context": null}`, "none/cdk.context.json": "null", "empty/cdk.json": `{}`,
		"bad/cdk.json": "{", "badcontext/cdk.json": "{}", "badcontext/cdk.context.json": "{",
	})
	for name, want := range map[string]map[string]any{
		"a/b/c": {"flag": true, "vpc-provider:account=1": map[string]any{"vpcId": "vpc-1"}},
		"none":  {},
		"empty": {},
	} {
		got, err := contextOf(filepath.Join(folder, filepath.FromSlash(name)))
		require.NoError(t, err, name)
		assert.Equal(t, want, got, "%s: the CLI would give the app another context", name)
	}
	for name, file := range map[string]string{"bad": "cdk.json", "badcontext": "cdk.context.json"} {
		_, err := contextOf(filepath.Join(folder, name))
		assert.ErrorContains(t, err, filepath.Join(name, file))
	}
}

func TestNewApp_TakesWhatTheCLIHasLookedUp(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{
		"cdk.json":         `{"context": null}`,
		"cdk.context.json": `{"availability-zones:account=111122223333:region=eu-central-1": ["eu-central-1x"]}`,
	})
	t.Chdir(folder)
	stack := awscdk.NewStack(NewApp(t, nil), jsii.String("Test"), &awscdk.StackProps{
		Env: &awscdk.Environment{Account: jsii.String("111122223333"), Region: jsii.String("eu-central-1")},
	})
	assert.Equal(t, "eu-central-1x", *(*stack.AvailabilityZones())[0], "dummy zones would be compared")
}

// inPackage makes a package with snapshots, and its folder the working directory.
func inPackage(t *testing.T, snapshots map[string]string) {
	t.Helper()
	folder := t.TempDir()
	write(t, folder, map[string]string{"stacks_test.go": "package p\n\nfunc TestStacks(t *testing.T) {}\n\nfunc " +
		"TestOther(t *testing.T) {}\n"})
	write(t, filepath.Join(folder, root), snapshots)
	t.Chdir(folder)
	if flag.Lookup(updateFlag) == nil { // without -update there is none
		flag.Bool(updateFlag, false, "")
	}
	for name, value := range map[string]string{updateFlag: "false", "test.run": "", "test.skip": ""} {
		set(t, name, value)
	}
}

func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(folder, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
}

func set(t *testing.T, name, value string) {
	t.Helper()
	before := flag.Lookup(name).Value.String()
	require.NoError(t, flag.Set(name, value))
	t.Cleanup(func() { assert.NoError(t, flag.Set(name, before)) })
}

// failures is what a test prints that compares assemblies with these stacks.
func failures(t *testing.T, test, name string, assemblies ...map[string]string) string {
	t.Helper()
	var folders []string
	for _, stacks := range assemblies {
		folders = append(folders, synthesized(t, stacks))
	}
	return failuresOf(t, test, name, folders...)
}

// failuresOf is the same for folders with assemblies.
func failuresOf(t *testing.T, test, name string, folders ...string) string {
	t.Helper()
	r := &recorder{TB: t, name: test}
	done := make(chan struct{})
	go func() { // FailNow ends the goroutine
		defer close(done)
		defer func() {
			for _, cleanup := range r.cleanups {
				cleanup()
			}
		}()
		for _, folder := range folders {
			CompareAssembly(r, name, folder)
		}
	}()
	<-done
	return strings.Join(r.failures, "\n")
}

// synthesized is a folder as a synthesis of these stacks would leave it.
func synthesized(t *testing.T, stacks map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	var artifacts []string
	for stack, content := range stacks {
		write(t, folder, map[string]string{stack + ".template.json": content})
		artifacts = append(artifacts, fmt.Sprintf(`%q: {"type": "aws:cloudformation:stack", "properties": `+
			`{"templateFile": "%s.template.json"}}`, stack, stack))
	}
	write(t, folder, map[string]string{"manifest.json": `{"artifacts": {` + strings.Join(artifacts, ",") + `}}`})
	return folder
}

// recorder is a test that keeps its failures to itself.
type recorder struct {
	testing.TB
	name     string
	failures []string
	cleanups []func()
}

func (r *recorder) Name() string     { return r.name }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { return len(r.failures) > 0 }
func (r *recorder) Skipped() bool    { return false }
func (r *recorder) FailNow()         { runtime.Goexit() }
func (r *recorder) Error(args ...any) {
	r.failures = append(r.failures, fmt.Sprint(args...))
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	r.FailNow()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	r.FailNow()
}
