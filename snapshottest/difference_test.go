package snapshottest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDifference_ShowsWhatAReviewIsAbout(t *testing.T) {
	for name, test := range map[string]struct{ want, got, difference string }{
		"values, in the order of the template": {
			`{"A": {"Size": 1, "Zones": ["a", "b"]}, "Gone": true}`,
			`{"A": {"Size": 2, "Zones": ["a", "c"]}, "New": "<x>"}`,
			`A.Size
    was: 1
    is:  2
A.Zones[1]
    was: "b"
    is:  "c"
Gone
    gone: true
New
    new: "<x>"`,
		},
		"lines that are inserted and removed": {
			`{"U": {"<lines>": ["a", "b", "c", "d", "e", "f", "g", "h"]}}`,
			`{"U": {"<lines>": ["a", "b", "x", "y", "c", "d", "f", "g", "H", "i"]}}`,
			`U.<lines>[2..3]
    after: "b"
    new: "x"
         "y"
U.<lines>[4]
    after: "d"
    gone: "e"
U.<lines>[8..9]
    was: "h"
    is:  "H"
         "i"`,
		},
		"an element inserted in front, and one changed": {
			`{"L": [{"Key": "b", "Value": 1}, {"Key": "c", "Value": 1}, {"Key": "d", "Value": 1}]}`,
			`{"L": [{"Key": "a", "Value": 1}, {"Key": "b", "Value": 1}, {"Key": "c", "Value": 1}, {"Key": "d", "Value": 2}]}`,
			`L[0]
    new: {
           "Key": "a",
           "Value": 1
         }
L[3].Value
    was: 1
    is:  2`,
		},
		"a script that has got a reference": {
			`{"Join": [{"<lines>": ["a", "b", "c"]}]}`, `{"Join": [{"<lines>": ["a", "B", "c"]}, {"Ref": "R"}]}`,
			`Join[0].<lines>[1]
    was: "b"
    is:  "B"
Join[1]
    new: {
           "Ref": "R"
         }`,
		},
		"empty objects and lists": {
			`{"A": {}, "B": 1, "C": {"D": {}}, "E": {"F": 1}}`, `{"B": 1, "C": {"D": []}, "E": {}, "G": []}`,
			`A
    gone: {}
C.D
    was: {}
    is:  []
E.F
    gone: 1
G
    new: []`,
		},
		"numbers that float64 takes for one": {
			`{"A": 9007199254740992}`, `{"A": 9007199254740993}`, "A\n    was: 9007199254740992\n    is:  9007199254740993",
		},
		"nothing but spaces": {
			"{\n  \"A\": 1\n}\n", "{\n \"A\": 1\n}\n",
			"<lines>[1]\n    was: \"  \\\"A\\\": 1\"\n    is:  \" \\\"A\\\": 1\"",
		},
		"a last line that does not end": {"{}", "{}\n", "<lines>[1]\n    after: \"{}\"\n    new: \"\""},
		"a conflict":                    {"{\n<<<<<<<\n}\n", "{\n}\n", "<lines>[1]\n    after: \"{\"\n    gone: \"<<<<<<<\""},
	} {
		assert.Equal(t, test.difference, difference([]byte(test.want), []byte(test.got)), name)
	}
}

// Whatever differs is found, and is less than everything.
func TestDifference_IsShort(t *testing.T) {
	list := func(from, to int) []int {
		var numbers []int
		for n := from; n < to; n++ {
			numbers = append(numbers, n)
		}
		return numbers
	}
	encoded := func(value any) []byte {
		content, err := json.Marshal(value)
		require.NoError(t, err)
		return content
	}
	got := difference(encoded(map[string]any{}), encoded(map[string]any{"A": list(0, 30)}))
	assert.Equal(t, "A\n    new: [", strings.Join(strings.Split(got, "\n")[:2], "\n"))
	assert.Contains(t, got, "… and 20 more lines")

	resources := func(size int) map[string]any {
		found := map[string]any{}
		for n := range 50 {
			found[fmt.Sprintf("R%02d", n)] = map[string]any{"Size": size, "Other": size}
		}
		return map[string]any{"Resources": found}
	}
	got = difference(encoded(resources(1)), encoded(resources(2)))
	assert.Contains(t, got, "Resources.R19.Size\n")
	assert.NotContains(t, got, "Resources.R20.Size\n")
	assert.Contains(t, got, "… and 60 more, in Resources.R20, Resources.R21, ")
	assert.Contains(t, got, ", Resources.R49")

	// Too long to be aligned; in the middle all is taken for changed.
	before, after := list(0, 5000), list(0, 5000)
	after[1], after[4998] = -1, -2
	after = append(after[:2500], after[2499:]...)
	got = difference(encoded(before), encoded(after))
	assert.Contains(t, got, "[1..4999]\n    was: 1\n")
}
