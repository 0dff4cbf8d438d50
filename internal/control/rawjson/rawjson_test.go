package rawjson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/rawjson"
)

func TestMembers_ReturnsValuesAsTheyStand(t *testing.T) {
	text := []byte(" {\"a\" : 1.50e+3 ,\"b\":[1, {\"a\":2}],\"c\":{ \"x\":\"}\\\"\" " +
		"},\"\\u0064\":null,\"e\":\"\\u00e9\"}\n")
	values, err := rawjson.Members(text, "a", "b", "c", "d", "e", "f")
	require.NoError(t, err)
	var got []string
	for _, value := range values {
		got = append(got, string(value))
	}
	assert.Equal(t, []string{`1.50e+3`, `[1, {"a":2}]`, `{ "x":"}\"" }`, `null`, `"\u00e9"`, ``}, got)
	assert.Nil(t, values[5])
}

func TestMembers_FailsWhenAWantedNameIsAmbiguous(t *testing.T) {
	for name, text := range map[string]string{
		"twice":                  `{"dispatch":1,"dispatch":1}`,
		"twice, once escaped":    `{"dispatch":1,"d\u0069spatch":2}`,
		"in capitals":            `{"DISPATCH":1}`,
		"in capitals, escaped":   `{"\u0044ispatch":1}`,
		"with a long s":          `{"diſpatch":1}`,
		"with an escaped long s": `{"di\u017Fpatch":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rawjson.Members([]byte(text), "dispatch")
			assert.ErrorIs(t, err, rawjson.ErrAmbiguous)
			_, err = rawjson.Members([]byte(text), "other")
			assert.NoError(t, err, "names nobody asks for may be as they like")
		})
	}
}

func TestMembers_FailsWhenTextIsNoObject(t *testing.T) {
	for _, text := range []string{`[]`, `"a"`, `1`, `null`, `true`, ` [{"a":1}] `} {
		_, err := rawjson.Members([]byte(text), "a")
		assert.ErrorIs(t, err, rawjson.ErrNotObject, text)
	}
}

func TestMembers_FailsWhenNestedTooDeep(t *testing.T) {
	nested := func(depth int) []byte {
		return []byte(`{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`)
	}
	_, err := rawjson.Members(nested(rawjson.MaxDepth))
	assert.NoError(t, err)
	_, err = rawjson.Members(nested(rawjson.MaxDepth + 1))
	assert.ErrorIs(t, err, rawjson.ErrSyntax)
	_, err = rawjson.Members(bytes.Repeat([]byte("["), 1<<20))
	assert.ErrorIs(t, err, rawjson.ErrSyntax)
}

func TestKinds(t *testing.T) {
	values, err := rawjson.Members([]byte(`{"o":{ },"p":{"a":1},"l":[],"s":"","n":null}`), "o", "p", "l", "s",
		"n", "absent")
	require.NoError(t, err)
	for i, want := range []struct{ object, empty, scalar bool }{
		{true, true, false},
		{true, false, false},
		{false, false, false},
		{false, false, true},
		{false, false, true},
		{false, false, false},
	} {
		assert.Equal(t, want.object, rawjson.IsObject(values[i]), i)
		assert.Equal(t, want.empty, rawjson.IsEmptyObject(values[i]), i)
		assert.Equal(t, want.scalar, rawjson.IsScalar(values[i]), i)
		_, isString := rawjson.String(values[i])
		assert.Equal(t, i == 3, isString, i)
	}
}

// FuzzMembers compares the package with encoding/json, which is wrong only by
// being lenient about names.
func FuzzMembers(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":{"a":[1,2,{"b":null}]},"b":"\u00e9\ud83d\ude00"}`, `{"a":1,"a":2}`, `{"A":1}`,
		`{"a":-0.5e-7,"b":01}`, `{"a":1,}`, `{"a" 1}`, `{"a":tru}`, `{"a":"` + "\x01" + `"}`, `{"a":"\x"}`, `{"a":"\u12g4"}`,
		`{"b":"\ud800"}`, `{"b":"\ud800\u0041"}`, `{"b":"\udc00\ud800"}`, `[]`, `""`, `{"a":1}}`, `{"\u0061":1}`, "\xff",
		`{"a":"` + "\xff" + `"}`, `-`, `1.`, `1e`, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, "{\"a\":1\x00}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		values, err := rawjson.Members(text, "a", "b")
		if !json.Valid(text) {
			require.ErrorIs(t, err, rawjson.ErrSyntax)
			return
		}
		if err != nil {
			return // other reasons are the business of the tests above
		}
		var want map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(text, &want))
		for i, name := range []string{"a", "b"} {
			require.Equal(t, string(want[name]), string(values[i]))
			got, ok := rawjson.String(values[i])
			var decoded string
			isString := len(values[i]) > 0 && values[i][0] == '"'
			require.Equal(t, isString, ok)
			if isString && json.Unmarshal(values[i], &decoded) == nil {
				require.Equal(t, decoded, string([]rune(got)), "encoding/json replaces bytes that are not UTF-8")
			}
		}
	})
}
