package fleettable

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxParameter is the most characters that a standard parameter holds.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
	MaxParameter = 4096
	// MaxParameters is the most parameters that one call of GetParameters reads.
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
	MaxParameters = 10
)

// ErrTooLarge says that the fleets do not fit into MaxParameters parameters.
var ErrTooLarge = errors.New("table of fleets is too large")

// reference is the value of a variable whose table is in parameters.
type reference struct {
	// Parameters are the names of the parameters, in the order of the fleets.
	Parameters []string `json:"parameters"`
}

// Refer returns the value of a variable whose table is in parameters.
func Refer(names []string) (string, error) {
	text, err := json.Marshal(reference{names})
	if err != nil {
		return "", fmt.Errorf("encoding the names of parameters: %w", err)
	}
	return string(text), nil
}

// Parameters returns the names of the parameters to which the value of a variable
// refers, or nil if the value is the table itself.
func Parameters(value string) ([]string, error) {
	if !strings.HasPrefix(strings.TrimSpace(value), "{") {
		return nil, nil
	}
	var r reference
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("decoding the names of parameters: %w", err)
	}
	if n := len(r.Parameters); n == 0 || n > MaxParameters {
		return nil, fmt.Errorf("decoding the names of parameters: got %d, want 1 to %d", n, MaxParameters)
	}
	return r.Parameters, nil
}

// Split distributes rows over parameters, in their order. It gets the length of each
// row as JSON, and returns for each parameter how many rows it holds.
func Split(lengths []int) ([]int, error) {
	var counts []int
	room := 0
	for row, length := range lengths {
		if length+len("[]") > MaxParameter {
			return nil, fmt.Errorf("%w: fleet %d takes %d characters, at most %d", ErrTooLarge, row+1, length, MaxParameter-len("[]"))
		}
		if room < length+len(",") {
			counts = append(counts, 0)
			room = MaxParameter - len("[]") + len(",")
		}
		counts[len(counts)-1]++
		room -= length + len(",")
	}
	if len(counts) > MaxParameters {
		return nil, fmt.Errorf("%w: %d fleets take %d parameters of %d characters, at most %d: use fewer or shorter labels, or a second deployment",
			ErrTooLarge, len(lengths), len(counts), MaxParameter, MaxParameters)
	}
	return counts, nil
}

// List is the table of some rows: a JSON list.
func List(rows []string) string { return "[" + strings.Join(rows, ",") + "]" }

// Join is the table whose parts are in parameters.
func Join(lists []string) (string, error) {
	var all []json.RawMessage
	for i, list := range lists {
		var rows []json.RawMessage
		if err := json.Unmarshal([]byte(list), &rows); err != nil {
			return "", fmt.Errorf("decoding part %d of the table: %w", i+1, err)
		}
		all = append(all, rows...)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encoding the table: %w", err)
	}
	return string(text), nil
}
