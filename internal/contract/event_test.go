package contract_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
)

// The members are named twice, in the struct's tags and in the constants rules
// and transformers use.
func TestDispatch_MembersAreTheOnesTheConstantsName(t *testing.T) {
	encoded, err := json.Marshal(contract.Dispatch{
		Fleet: "f", JobID: "1", Repository: "o/r", Labels: "l",
		DeliveryID: "d", Attempt: contract.FirstAttempt,
	})
	require.NoError(t, err)
	var members map[string]string
	require.NoError(t, json.Unmarshal(encoded, &members),
		"a value that is not a string would break the overrides of ECS tasks")
	assert.Equal(t, map[string]string{
		contract.DispatchFleet:      "f",
		contract.DispatchJobID:      "1",
		contract.DispatchRepository: "o/r",
		contract.DispatchLabels:     "l",
		contract.DispatchDeliveryID: "d",
		contract.DispatchAttempt:    "1",
	}, members)
}

func TestDispatch_HasNoFleetWhenNoneCoversTheJob(t *testing.T) {
	encoded, err := json.Marshal(contract.Dispatch{JobID: "1"})
	require.NoError(t, err)
	assert.NotContains(t, string(encoded), contract.DispatchFleet, "a rule could match a job without a fleet")
}

func TestDispatchPath(t *testing.T) {
	assert.Equal(t, "$.detail.dispatch.job_id", contract.DispatchPath(contract.DispatchJobID))
}
