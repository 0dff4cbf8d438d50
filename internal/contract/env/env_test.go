package env_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
)

type pet struct {
	Name string `json:"name"`
	Age  int    `json:"age,omitempty"`
}

type config struct {
	Bus, Color string
	TTL        time.Duration
	Owners     []string
	Public     bool
	Pets       []pet
}

func table(c *config) env.Table {
	return env.Table{
		{Name: "BUS", Text: "name of the bus", Required: true, Value: env.Text(&c.Bus)},
		{Name: "COLOR", Text: "a color", Value: env.TextOf(&c.Color, func(s string) bool { return s == "red" }, "red")},
		{Name: "TTL", Text: "how long", Default: "5m0s", Value: env.Duration(&c.TTL, time.Second)},
		{Name: "OWNERS", Text: "owners", Required: true, Value: env.List(&c.Owners,
			func(s string) bool { return len(s) == 1 && s != "," }, "one letter")},
		{Name: "PUBLIC", Text: "public", Default: "false", Value: env.Bool(&c.Public)},
		{Name: "PETS", Text: "pets", Value: env.JSON(&c.Pets, `[{"name":"rex"}]`, func(name string, p pet) error {
			if p.Name == "" {
				return env.Missing(name + ".name")
			}
			return nil
		})},
	}
}

func parse(variables map[string]string) (config, error) {
	return env.Parse(table, func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	})
}

func TestTable_ParsesWhatItRenders(t *testing.T) {
	t.Parallel()
	full := config{
		Bus: "bus", Color: "red", TTL: 90 * time.Second, Owners: []string{"a", "b"}, Public: true,
		Pets: []pet{{"rex", 3}, {"minka", 0}},
	}
	for name, test := range map[string]struct {
		given, parsed config
		rendered      map[string]string
	}{
		"everything set": {full, full, map[string]string{
			"BUS": "bus", "COLOR": "red", "TTL": "1m30s", "OWNERS": "a,b", "PUBLIC": "true",
			"PETS": `[{"name":"rex","age":3},{"name":"minka"}]`,
		}},
		"defaults": {
			config{Bus: "bus", Owners: []string{"a"}},
			config{Bus: "bus", Owners: []string{"a"}, TTL: 5 * time.Minute},
			// those that say nothing take no room
			map[string]string{"BUS": "bus", "TTL": "5m0s", "OWNERS": "a", "PUBLIC": "false"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rendered, err := table(&test.given).Render()
			require.NoError(t, err)
			assert.Equal(t, test.rendered, rendered)
			parsed, err := parse(rendered)
			require.NoError(t, err)
			assert.Equal(t, test.parsed, parsed)
		})
	}
}

func TestParse_NamesEveryVariableThatIsMissingOrWrong(t *testing.T) {
	t.Parallel()
	_, err := parse(nil)
	require.ErrorIs(t, err, env.ErrMissing)
	assert.EqualError(t, err, "reading the environment: BUS is required\nOWNERS is required")

	parsed, err := parse(map[string]string{
		"BUS": " ", "COLOR": "blue", "TTL": "1ms", "OWNERS": "a, ,bc,de", "PUBLIC": "maybe", "PETS": `[{"name":"rex"},{}]`,
	})
	require.ErrorIs(t, err, env.ErrMissing)
	require.ErrorIs(t, err, env.ErrInvalid)
	assert.EqualError(t, err, `reading the environment: BUS is required
COLOR is not valid: "blue", want red
TTL is not valid: "1ms", want a duration of at least 1s, such as 5m
OWNERS is not valid: "bc", want one letter
OWNERS is not valid: "de", want one letter
PUBLIC is not valid: "maybe", want true or false
PETS[1].name is required`)
	assert.Zero(t, parsed)

	for variable, text := range map[string]string{"TTL": "5", "OWNERS": " , ", "PETS": `[{"nam":"rex"}]`} {
		_, err := parse(map[string]string{"BUS": "bus", "OWNERS": "a", variable: text})
		assert.ErrorContains(t, err, variable+" is ")
	}
	_, err = parse(map[string]string{"BUS": "bus", "OWNERS": "a", "PETS": "[] []"})
	assert.EqualError(t, err, `reading the environment: PETS is not valid: "[] []", want JSON such as [{"name":"rex"}]`)
}

func TestRender_FailsAsParseWould(t *testing.T) {
	t.Parallel()
	_, err := table(&config{Color: "blue", TTL: -time.Second, Owners: []string{"a", "b,c", ""}, Pets: []pet{{}}}).Render()
	assert.EqualError(t, err, `BUS is required
COLOR is not valid: "blue", want red
TTL is not valid: "-1s", want a duration of at least 1s, such as 5m
OWNERS is not valid: "b,c", want one letter
OWNERS is not valid: "", want one letter
PETS[0].name is required`)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table(new(config))[:3].Usage(&out)
	assert.Equal(t,
		"  BUS\n    \tname of the bus (required)\n  COLOR\n    \ta color\n  TTL\n    \thow long (default 5m0s)\n",
		out.String())
}

func TestRenderFunction_FailsWhenItDoesNotFit(t *testing.T) {
	t.Parallel()
	const others = "BUSOWNERSaTTL5m0sPUBLICfalse"
	c := config{Bus: strings.Repeat("x", env.MaxSize-len(others)), Owners: []string{"a"}}
	_, err := table(&c).RenderFunction("use less")
	require.NoError(t, err)
	c.Bus += "x"
	_, err = table(&c).RenderFunction("use less")
	require.ErrorIs(t, err, env.ErrTooLarge)
	assert.EqualError(t, err, "environment is too large: 3585 bytes, at most 3584: use less")
	_, err = table(new(config)).RenderFunction("use less")
	assert.ErrorIs(t, err, env.ErrMissing)
}
