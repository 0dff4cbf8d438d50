package problem_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

func TestList_HasOneLineForEachProblem(t *testing.T) {
	t.Parallel()
	var l, part problem.List
	require.NoError(t, l.Err(), "nothing is wrong")

	l.Required("Owners", "at least one")
	l.Invalid("Text", "a\n\"b\"", "one line")
	l.Invalid("List", []string{"a", "b c"}, "empty")
	l.Invalid("Empty", []string{}, "a list")
	l.Invalid("Words", problem.Words("a thing"), "another")
	l.Invalid("Braces", "{Text}", "less than {Words}: {Text} is more")
	l.Conflict("Name", "Secret", "it names the new secret")
	l.Unknown("key", "keys", nil)
	l.Unknown("other", "", []string{"a", "b"})
	part.Refused("Field", "is what it is")
	part.Invalid("[2]", 1, "2")
	l.Under("Part", part)
	require.EqualError(t, l.Err(), `Owners is required: at least one
Text must be one line, got "a\n\"b\""
List must be empty, got ["a" "b c"]
Empty must be a list, got an empty list
Words must be another, got a thing
Braces must be less than Words, got "{Text}": Text is more
Name cannot be used with Secret: it names the new secret
key is not a known key; did you mean "keys"?
other is not a known key; known are a, b
Part.Field is what it is
Part[2] must be 2, got 1`)
	assert.Equal(t, "Field", part[0].Path, "Under wrote to the part")
	assert.Equal(t, l, problem.Of(l.Err()))
	assert.Empty(t, problem.Of(nil))
	assert.Panics(t, func() { _ = problem.Of(errors.New("another error")) }, "an error gets lost")
}

func TestList_ReportsOnlyWhatIsWrong(t *testing.T) {
	t.Parallel()
	var l problem.List
	lower := regexp.MustCompile(`^[a-z]+$`)
	for _, n := range []int{1, 2, 3, 4, 5} {
		problem.Range(&l, "Number", n, 2, 4)
	}
	problem.Range(&l, "Time", time.Hour, time.Second, 2*time.Minute)
	l.OneOf("Choice", "a", "a", "b")
	l.OneOf("Choice", "c", "a", "b", "d")
	l.Match("Name", "", lower, "lower-case letters")
	l.Match("Name", "a", lower, "lower-case letters")
	l.Match("Name", "A-${Token[AWS.Region.4]}", lower, "lower-case letters")
	l.Match("Name", "A", lower, "lower-case letters")
	assert.EqualError(t, l.Err(), `Number must be 2 to 4, got 1
Number must be 2 to 4, got 5
Time must be 1s to 2m, got 1h
Choice must be a, b or d, got "c"
Name must be lower-case letters, got "A"`)
}

func TestList_JSON_RenamesFieldsButNotKeysOfMapsOrValues(t *testing.T) {
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
		var l problem.List
		l.Invalid(path, "{Given}", "less than {Agent.ReservedMemoryMiB}, not Other: see {ImageID}")
		assert.EqualError(t, l.JSON(),
			want+` must be less than agent.reservedMemoryMiB, not Other, got "{Given}": see imageId`)
	}
}

func TestDuration_HasNoPartsThatAreZero(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": 0, "1m30s": 90 * time.Second, "2m": 2 * time.Minute, "1h": time.Hour, "168h": 168 * time.Hour,
		"1h0m1s": time.Hour + time.Second,
	} {
		assert.Equal(t, want, problem.Duration(d))
	}
}

func TestList_Choices_AreThoseOfTheTags(t *testing.T) {
	t.Parallel()
	type pool struct {
		State string `json:"state" enum:"stopped,running"`
	}
	props := struct {
		Color   string   `json:"color" enum:"red,light-blue"`
		Colors  []string `json:"colors" enum:"red,light-blue"`
		Pool    *pool    `json:"pool"`
		Absent  *pool    `json:"absent"`
		Skipped pool     `json:"-"`
		Checked checked  `json:"checked"`
	}{Color: "light-blue", Colors: []string{"red", "Red"}, Pool: &pool{State: "asleep"}}
	var l problem.List
	l.Choices(&props)
	assert.EqualError(t, l.Err(), `Colors[1] must be red or light-blue, got "Red"
Pool.State must be stopped or running, got "asleep"`)
}

// checked validates itself.
type checked struct {
	State string `json:"state" enum:"stopped,running"`
}

func (checked) Validate() error { return nil }

type part struct {
	Text string `json:"text"`
	kept string
}

// named is what an interface of the module may hold.
type named string

func TestList_Secrets_AreFoundWhereverTextIs(t *testing.T) {
	t.Parallel()
	const secret = "ghp_0123456789abcdefghijABCDEFGHIJ456789"
	given := struct {
		Text      string            `json:"text"`
		Texts     []string          `json:"texts"`
		Named     named             `json:"named"`
		Variables map[string]string `json:"variables"`
		Numbers   map[string]int    `json:"numbers"`
		Part      *part             `json:"part"`
		Value     part              `json:"-"`
		Parts     []part            `json:"-"`
		Choice    any               `json:"-"`
		Reference *part             `json:"-"`
		Absent    *part             `json:"absent"`
		Checked   checked           `json:"checked"`
		Time      time.Time         `json:"-"`
		Nothing   any               `json:"-"`
	}{
		Text: "a " + secret, Texts: []string{"a", secret}, Named: secret,
		Variables: map[string]string{"B": secret, "A": "https://me:" + "pass@example.com", secret: "", "C": "c"},
		Numbers:   map[string]int{secret: 1},
		Part:      &part{Text: secret}, Value: part{kept: secret}, Parts: []part{{}, {Text: secret}},
		Choice: named(secret), Reference: &part{Text: secret}, Checked: checked{State: secret},
	}
	var paths []string
	var l problem.List
	l.Secrets(&given)
	for _, p := range l {
		paths = append(paths, p.Path)
		assert.Contains(t, p.Error(), "has what looks like a secret")
	}
	assert.Equal(t, []string{
		"Text", "Texts[1]", "Named", `Variables["A"]`, `Variables["B"]`, "Variables", "Numbers", "Part.Text", "Value",
		"Parts[1].Text", "Choice",
	}, paths)
	assert.NotContains(t, l.Err().Error(), secret)

	l = nil
	l.Invalid("Name", secret, "shorter: "+secret)
	l.Refused(`Variables["`+secret+`"]`, "is not "+secret)
	assert.NotContains(t, l.Err().Error(), secret, "a value that is refused is not repeated")
	assert.Contains(t, l.Err().Error(), `Name must be shorter, got "[hidden]"`)
}
