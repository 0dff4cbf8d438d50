package fleettable_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/fleettable"
)

func TestSplit_FillsParametersInOrder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ lengths, want []int }{
		"none":                   {nil, nil},
		"one":                    {[]int{4094}, []int{1}},
		"two that just fit":      {[]int{2000, 2093}, []int{2}},
		"two that just do not":   {[]int{2000, 2094}, []int{1, 1}},
		"a large one in between": {[]int{100, 4094, 100, 100}, []int{1, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counts, err := fleettable.Split(test.lengths)
			require.NoError(t, err)
			assert.Equal(t, test.want, counts)
			row := 0
			for _, n := range counts {
				var rows []string
				for range n {
					rows = append(rows, strings.Repeat("x", test.lengths[row]))
					row++
				}
				assert.LessOrEqual(t, len(fleettable.List(rows)), fleettable.MaxParameter, "Systems Manager refuses more")
			}
			assert.Equal(t, len(test.lengths), row, "a fleet is lost")
		})
	}
}

func TestSplit_FailsWhenTheTableDoesNotFit(t *testing.T) {
	t.Parallel()
	_, err := fleettable.Split([]int{100, 4095})
	assert.EqualError(t, err, "table of fleets is too large: fleet 2 takes 4095 characters, at most 4094")
	lengths := make([]int, 11)
	for i := range lengths {
		lengths[i] = 3000
	}
	_, err = fleettable.Split(lengths)
	require.ErrorIs(t, err, fleettable.ErrTooLarge)
	assert.ErrorContains(t, err, "11 fleets take 11 parameters of 4096 characters, at most 10")
}

func TestParameters_AreWhatReferNames(t *testing.T) {
	t.Parallel()
	value, err := fleettable.Refer([]string{"a", "/b"})
	require.NoError(t, err)
	names, err := fleettable.Parameters(value)
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "/b"}, names)

	for _, table := range []string{"", "[]", ` [{"name":"linux"}]`, "not JSON"} {
		names, err := fleettable.Parameters(table)
		require.NoError(t, err)
		assert.Nil(t, names, "a table is taken for a reference")
	}
	for _, wrong := range []string{"{}", `{"parameters":[]}`, `{"parameters":["a"],"x":1}`, `{"parameters":"a"}`, "{"} {
		_, err := fleettable.Parameters(wrong)
		assert.ErrorContains(t, err, "decoding the names of parameters", wrong)
	}
}

func TestJoin_KeepsTheOrderOfTheFleets(t *testing.T) {
	t.Parallel()
	table, err := fleettable.Join([]string{`[{"name":"a"},{"name":"b"}]`, `[]`, `[{"name":"c"}]`})
	require.NoError(t, err)
	assert.Equal(t, `[{"name":"a"},{"name":"b"},{"name":"c"}]`, table)
	_, err = fleettable.Join([]string{`[]`, `{}`})
	assert.ErrorContains(t, err, "decoding part 2 of the table")
}
