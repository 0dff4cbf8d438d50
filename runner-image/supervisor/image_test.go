package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, img image)
		want  string
		errs  []string
	}{
		{"Complete", func(*testing.T, image) {}, "2.999.0", nil},
		{"AnyVersion", func(*testing.T, image) {}, "", nil},
		{"OtherVersion", func(*testing.T, image) {}, "2.336.0", []string{"version 2.999.0, want 2.336.0"}},
		{"NothingThere", func(t *testing.T, img image) {
			require.NoError(t, os.RemoveAll(img.root))
			require.NoError(t, os.RemoveAll(img.scripts))
		}, "", []string{"hook script", "job-completed.sh", "looking for the runner", "asking the listener"}},
		{"ScriptsOfTheRunner", func(t *testing.T, img image) {
			//nolint:gosec // the image must be refused for it
			require.NoError(t, os.Chmod(filepath.Join(img.scripts, "job-started.sh"), 0o777))
		}, "", []string{"job-started.sh can be changed"}},
		{
			"NotRoot", func(*testing.T, image) {}, "",
			[]string{"the supervisor must be root, so that a job cannot reach it: the image must end with USER root"},
		},
		{"EnvironmentFile", func(t *testing.T, img image) {
			require.NoError(t, os.WriteFile(filepath.Join(img.root, ".env"), nil, 0o600))
		}, "", []string{".env in the image would override"}},
		{"ListenerCannotRun", func(t *testing.T, img image) {
			program := filepath.Join(img.root, listenerProgram)
			require.NoError(t, os.Remove(program))
			require.NoError(t, os.Symlink("/bin/false", program))
		}, "", []string{"asking the listener for its version: exit status 1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newContainer(t, "", newService(t, nil))
			img := image{root: c.setting.Root, scripts: c.setting.Scripts, uid: c.setting.UID, owner: c.setting.Owner}
			tc.spoil(t, img)
			if tc.name == "NotRoot" {
				img.owner++
			}
			version, err := check(t.Context(), img, tc.want)
			if tc.errs == nil {
				require.NoError(t, err)
				assert.Equal(t, "2.999.0", version)
			}
			for _, text := range tc.errs {
				assert.ErrorContains(t, err, text)
			}
		})
	}
}

func TestTaskCredentials_NeverThoseOfTheHost(t *testing.T) {
	t.Parallel()
	_, err := taskCredentials(func(string) (string, bool) { return "", false })
	require.ErrorIs(t, err, errNoCredentials)
	provider, err := taskCredentials(func(name string) (string, bool) {
		return "/v2/credentials/x",
			name == envCredentialsPath
	})
	require.NoError(t, err)
	assert.NotNil(t, provider)
}

func TestStandard_IsTheContract(t *testing.T) {
	t.Parallel()
	assert.Equal(t, runnercontract.SupervisorRoot, standard().scripts)
	assert.Equal(t, runnercontract.SupervisorRoot+"/sudo", standard().sudo, "a sudo that came with a package would do")
	for _, hook := range []runnercontract.Hook{runnercontract.HookJobStarted, runnercontract.HookJobCompleted} {
		script, err := os.ReadFile("hooks/" + string(hook) + ".sh")
		require.NoError(t, err)
		assert.Contains(t, string(script), "exec "+runnercontract.SupervisorRoot+"/supervisor hook "+string(hook)+"\n")
	}
}
