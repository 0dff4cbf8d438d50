package metrics_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
)

func TestEmitter_WritesTheEmbeddedMetricFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		function := metrics.Dimension{Name: "FunctionName", Value: "webhook"}
		require.NoError(t, metrics.NewEmitter(&out, "Space", clock.System{}).Emit(
			metrics.Set{
				Dimensions: []metrics.Dimension{function, {Name: "Outcome", Value: "accepted"}},
				Counts:     []metrics.Count{{Name: "Deliveries", Value: 1}},
			},
			metrics.Set{Dimensions: []metrics.Dimension{function}, Counts: []metrics.Count{{Name: "PutFailures", Value: 2}}},
		))
		assert.JSONEq(t, `{
			"_aws": {
				"Timestamp": 946684800000,
				"CloudWatchMetrics": [
					{"Namespace": "Space", "Dimensions": [["FunctionName", "Outcome"]], "Metrics": [{"Name": "Deliveries",
					"Unit": "Count"}]},
					{"Namespace": "Space", "Dimensions": [["FunctionName"]], "Metrics": [{"Name": "PutFailures", "Unit": "Count"}]}
				]
			},
			"FunctionName": "webhook", "Outcome": "accepted", "Deliveries": 1, "PutFailures": 2
		}`, out.String())
		assert.Equal(t, 1, bytes.Count(out.Bytes(), []byte("\n")), "CloudWatch reads one line as one event")
	})
}

type brokenPipe struct{}

var errPipe = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errPipe }

func TestEmitter_FailsWhenTheWriterDoes(t *testing.T) {
	assert.ErrorIs(t, metrics.NewEmitter(brokenPipe{}, "Space", clock.System{}).Emit(), errPipe)
}
