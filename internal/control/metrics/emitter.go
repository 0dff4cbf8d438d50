// Package metrics writes metrics in the CloudWatch embedded metric format: one
// line of JSON, which CloudWatch takes out of the log without a call to any API.
package metrics

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
)

// Emitter writes the metrics of one namespace. Its method may be called
// concurrently if the writer's may.
type Emitter struct {
	w         io.Writer
	namespace string
	clock     clock.Clock
}

// NewEmitter returns an Emitter that writes to w. In a Lambda function, w is
// the standard output.
func NewEmitter(w io.Writer, namespace string, clock clock.Clock) *Emitter {
	return &Emitter{w: w, namespace: namespace, clock: clock}
}

// Set is a group of counts that have the same dimensions.
type Set struct {
	Dimensions []Dimension
	Counts     []Count
}

// Dimension is the name and the value of a dimension.
type Dimension struct{ Name, Value string }

// Count is the name of a metric and how much to add to it.
type Count struct {
	Name  string
	Value int
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []metric
}

type metric struct {
	Name string
	Unit string
}

// Emit writes the sets as one line. A dimension that several sets have must have
// the same value in all of them.
func (e *Emitter) Emit(sets ...Set) error {
	line := make(map[string]any)
	directives := make([]directive, 0, len(sets))
	for _, set := range sets {
		d := directive{Namespace: e.namespace}
		names := make([]string, 0, len(set.Dimensions))
		for _, dimension := range set.Dimensions {
			names = append(names, dimension.Name)
			line[dimension.Name] = dimension.Value
		}
		d.Dimensions = [][]string{names}
		for _, count := range set.Counts {
			d.Metrics = append(d.Metrics, metric{Name: count.Name, Unit: "Count"})
			line[count.Name] = count.Value
		}
		directives = append(directives, d)
	}
	line["_aws"] = map[string]any{
		"Timestamp":         e.clock.Now().UnixMilli(),
		"CloudWatchMetrics": directives,
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encoding metrics: %w", err)
	}
	if _, err := e.w.Write(append(encoded, '\n')); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}
