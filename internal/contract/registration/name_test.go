package registration_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

func TestRunnerName_IsReadBack(t *testing.T) {
	t.Parallel()
	name := registrationcontract.RunnerName{
		Deployment: "prod",
		Fleet:      "linux-x64",
		JobID:      "29679449526",
		Task:       "0123456789abcdef0123456789abcdef",
		Nonce:      "k3",
	}
	assert.Equal(t, "prod-linux-x64-29679449526-01234567-k3", name.String())
	got, err := registrationcontract.ParseRunnerName(name.String())
	require.NoError(t, err)
	name.Task = name.Task[:registrationcontract.TaskIDPart]
	assert.Equal(t, name, got)

	for _, foreign := range []string{
		"", "my-laptop", "a-b-c-d-e", "prod-linux-12x-01234567-k3",
		"prod-linux-12-0123456-k3", "-linux-12-01234567-k3",
	} {
		_, err := registrationcontract.ParseRunnerName(foreign)
		assert.ErrorIs(t, err, registrationcontract.ErrRunnerName, "%q must be left alone by clean-up", foreign)
	}
}
