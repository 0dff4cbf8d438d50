package registration

import (
	"context"
	"log/slog"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/control/metrics"
)

// Metrics writes the metrics of the registration API.
type Metrics struct {
	Emitter *metrics.Emitter
	// Function is the name of the function, in the dimensions of every metric.
	Function string
	// Log gets the metrics that cannot be written.
	Log *slog.Logger
}

// Count returns a function that adds one to a metric.
func (m *Metrics) Count(metric string) func() {
	return func() {
		m.emit(context.Background(), metrics.Set{Dimensions: m.dimensions(), Counts: []metrics.Count{{Name: metric, Value: 1}}})
	}
}

// dimensions returns the function and the other dimensions of a metric.
func (m *Metrics) dimensions(others ...metrics.Dimension) []metrics.Dimension {
	return append([]metrics.Dimension{{Name: contract.DimensionFunction, Value: m.Function}}, others...)
}

// emit writes one line of metrics.
func (m *Metrics) emit(ctx context.Context, sets ...metrics.Set) {
	if err := m.Emitter.Emit(sets...); err != nil {
		m.Log.ErrorContext(ctx, "writing metrics", slog.String("error", err.Error()))
	}
}
