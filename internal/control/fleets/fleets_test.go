package fleets_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/fleets"
)

// store is Systems Manager, which answers in an order of its own.
type store struct {
	parameters map[string]string
	err        error
	calls      int
}

func (s *store) GetParameters(
	_ context.Context, input *ssm.GetParametersInput, _ ...func(*ssm.Options),
) (*ssm.GetParametersOutput, error) {
	s.calls++
	output := &ssm.GetParametersOutput{}
	for i := range input.Names {
		name := input.Names[len(input.Names)-1-i]
		if value, found := s.parameters[name]; found {
			output.Parameters = append(output.Parameters, types.Parameter{Name: &name, Value: &value})
		} else {
			output.InvalidParameters = append(output.InvalidParameters, name)
		}
	}
	return output, s.err
}

func lookup(value string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		found, ok := map[string]string{"TABLE": value, "OTHER": "x"}[name]
		return found, ok
	}
}

func TestLoad_ReadsTheTableWhereItIs(t *testing.T) {
	t.Parallel()
	s := &store{parameters: map[string]string{"a": `[{"name":"first"}]`, "b": `[{"name":"second"}]`}}
	for value, want := range map[string]string{
		`[{"name":"inline"}]`:        `[{"name":"inline"}]`,
		``:                           ``,
		`{"parameters":["a","b"]}`:   `[{"name":"first"},{"name":"second"}]`,
		` {"parameters": ["b","a"]}`: `[{"name":"second"},{"name":"first"}]`,
	} {
		got, err := fleets.Load(t.Context(), lookup(value), "TABLE", func() fleets.Store { return s })
		require.NoError(t, err)
		table, _ := got("TABLE")
		assert.Equal(t, want, table)
		other, ok := got("OTHER")
		assert.True(t, ok)
		assert.Equal(t, "x", other)
		_, ok = got("ABSENT")
		assert.False(t, ok)
	}
	assert.Equal(t, 2, s.calls, "a table in the environment takes no call")
}

func TestLoad_FailsWhenTheTableIsNotWhole(t *testing.T) {
	t.Parallel()
	for value, test := range map[string]struct {
		store store
		want  string
	}{
		`{"parameters":["a","gone"]}`: {
			store{parameters: map[string]string{"a": `[]`}}, "reading the fleets of TABLE: there is no parameter gone",
		},
		`{"parameters":["a"]}`: {store{err: errors.New("throttled")}, "reading the fleets of TABLE: throttled"},
		`{"parameters":["b"]}`: {
			store{parameters: map[string]string{"b": `{}`}}, "reading the fleets of TABLE: decoding part 1 of the table",
		},
		`{"parameters":[]}`: {store{}, "reading TABLE: decoding the names of parameters: got 0, want 1 to 10"},
	} {
		_, err := fleets.Load(t.Context(), lookup(value), "TABLE", func() fleets.Store { return &test.store })
		assert.ErrorContains(t, err, test.want)
	}
}
