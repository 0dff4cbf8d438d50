package settings_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

func TestProblems_Err_HasOneLineAProblem(t *testing.T) {
	t.Parallel()
	require.NoError(t, settings.Problems(nil).Err(), "nothing is wrong")

	var ps, part settings.Problems
	ps.Add("Text", "a\n\"b\"", "one line")
	ps.Add("Number", 7, "8")
	ps.Add("List", []string{"a", "b c"}, "none")
	ps.Add("Empty", []string{}, "some")
	ps.Add("Words", settings.Words("a thing"), "another")
	ps.Add("Time", settings.Duration(time.Hour), "less")
	part.Add("Field", true, "false")
	part.Add("[2]", 1, "2")
	ps.Under("Part", part)
	err := ps.Err()
	require.EqualError(t, err, `Text: got "a\n\"b\""; allowed: one line
Number: got 7; allowed: 8
List: got ["a" "b c"]; allowed: none
Empty: got an empty list; allowed: some
Words: got a thing; allowed: another
Time: got 1h; allowed: less
Part.Field: got true; allowed: false
Part[2]: got 1; allowed: 2`)
	assert.Equal(t, "Field", part[0].Path, "Under wrote to the part")

	var first settings.Problem
	require.True(t, errors.As(err, &first), "callers reach a problem with errors.As")
	assert.Equal(t, "Text", first.Path)
}

func TestProblems_JSON_RenamesFieldsButNotKeysOfMaps(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"ImageID":                  "imageId",
		"Spot.OnDemandBase":        "spot.onDemandBase",
		"InstanceTypes[1]":         "instanceTypes[1]",
		"AssociatePublicIPAddress": "associatePublicIpAddress",
		`Capacities["ArmID"].Agent.ImagePullBehavior`: `capacities["ArmID"].agent.imagePullBehavior`,
		`Agent.Extra["ECS_A.ID"]`:                     `agent.extra["ECS_A.ID"]`,
		`Agent.Extra[".."]`:                           `agent.extra[".."]`,
		`Agent.Extra["A\"].B[\\"].X`:                  `agent.extra["A\"].B[\\"].x`,
		"":                                            "",
	} {
		ps := settings.Problems{{Path: path, Got: "Got.Got", Allowed: "Allowed.Allowed"}}
		assert.Equal(t, settings.Problems{{Path: want, Got: "Got.Got", Allowed: "Allowed.Allowed"}}, ps.JSON())
		assert.Equal(t, path, ps[0].Path, "JSON wrote to the original")
	}
}

func TestJSONName_IsTheTagOfEveryField(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		switch {
		case of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map:
			walk(of.Elem())
		case of.Kind() == reflect.Struct && !seen[of]:
			seen[of] = true
			for i := range of.NumField() {
				field := of.Field(i)
				assert.Equalf(t, field.Tag.Get("json"), settings.JSONName(field.Name),
					"problems of %s.%s would name a key that the configuration does not know", of, field.Name)
				walk(field.Type)
			}
		}
	}
	for _, part := range []reflect.Type{
		reflect.TypeFor[settings.Cluster](), reflect.TypeFor[settings.Image](), reflect.TypeFor[settings.Webhook](),
		reflect.TypeFor[settings.Registration](), reflect.TypeFor[settings.Fleet](),
	} {
		walk(part)
	}
	assert.Len(t, seen, 13, "the parts, and their own: %v", seen)
}

func TestDuration_ReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	for duration, text := range map[time.Duration]string{
		0:                                  "0s",
		90 * time.Second:                   "1m30s",
		10 * time.Minute:                   "10m",
		time.Hour:                          "1h",
		time.Hour + 10*time.Minute:         "1h10m",
		time.Hour + time.Second:            "1h0m1s",
		20*time.Hour + 20*time.Minute:      "20h20m",
		168 * time.Hour:                    "168h",
		500 * time.Millisecond:             "500ms",
		time.Minute + 500*time.Millisecond: "1m0.5s",
		-2 * time.Minute:                   "-2m",
	} {
		assert.Equal(t, text, settings.Duration(duration).String())
		encoded, err := json.Marshal(settings.Duration(duration))
		require.NoError(t, err)
		assert.Equal(t, `"`+text+`"`, string(encoded))
		var decoded settings.Duration
		require.NoError(t, json.Unmarshal(encoded, &decoded))
		assert.Equal(t, duration, time.Duration(decoded))
	}
}

func TestDuration_FailsWhenTextIsNoDuration(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "120", "2 minutes", "1d", "PT2M"} {
		d := settings.Duration(time.Hour)
		require.ErrorContains(t, d.UnmarshalText([]byte(text)), "parsing duration: ", text)
		assert.Equal(t, settings.Duration(time.Hour), d, "a failed read changed the value")
	}
}
