package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/lifecycle"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/registration"
)

const operations = "../../docs/operations.md"

// The documents say what the code does, no more and no less.

func TestDocs_EndsAndLimits(t *testing.T) {
	t.Parallel()
	var want []string
	for _, end := range runnercontract.Ends() {
		limit := " "
		if end.Limit != "" {
			limit = fmt.Sprintf(" `%s` ", end.Limit)
		}
		want = append(want, fmt.Sprintf("| %d | `%s` | %s |%s|", end.Code, end.Reason, end.Text, limit))
	}
	assert.Equal(t, want, table(t, "| Exit code |"))
}

// The defaults are those of the task definitions, which set each variable that has
// one: docs/docs_test.go compares them with a template.
func TestDocs_Variables(t *testing.T) {
	t.Parallel()
	rows := table(t, "| Variable |")
	variables := runnercontract.Variables()
	require.Len(t, rows, len(variables))
	for i, v := range variables {
		value := " "
		switch {
		case v.Required:
			value = " required "
		case v.Default != "":
			value = " " + strings.TrimSpace(strings.Split(rows[i], "|")[2]) + " "
			assert.NotEqual(t, "  ", value, "%s has no default", v.Name)
		}
		assert.Equal(t, fmt.Sprintf("| `%s` |%s| %s |", v.Name, value, v.Text), rows[i])
	}
}

func TestDocs_LastLine(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(operations)
	require.NoError(t, err)
	m := regexp.MustCompile("(?s)```json\n(.*?)\n```").FindSubmatch(content)
	require.NotNil(t, m)

	var shown report
	decoder := json.NewDecoder(strings.NewReader(string(m[1])))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&shown))
	var out strings.Builder
	newConsole(&out).last(runnercontract.Config{Fleet: shown.Fleet, JobID: shown.JobID}, shown.Summary)
	assert.Equal(t, string(m[1])+"\n", out.String())

	d := shown.Durations
	assert.Equal(t, d.Total, d.Registration+d.Start+d.Idle+d.Job+d.End)
	assert.NotEqual(t, lifecycle.Job{}, *shown.Job)
}

// Times that no fleet can change.
func TestDocs_FixedTimes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		document, phrase string
		number           float64
	}{
		{operations, "has %v seconds to show up", lifecycle.ReleaseTimeout.Seconds()},
		{operations, "goes on until %v seconds before the end of the stop timeout", runnercontract.StopReserve.Seconds()},
		{"../../docs/runner-image.md", "has %v minutes before it is interrupted", lifecycle.FinishTimeout.Minutes()},
		{"../../README.md", "is exhausted for more than %v minutes", registration.Patience.Minutes()},
	} {
		content, err := os.ReadFile(test.document)
		require.NoError(t, err)
		want := fmt.Sprintf(test.phrase, test.number)
		assert.Truef(t, strings.Contains(strings.Join(strings.Fields(string(content)), " "), want), "%s does not say %q",
			test.document, want)
	}
}

// table returns the rows of the table whose head begins with start.
func table(t *testing.T, start string) []string {
	t.Helper()
	content, err := os.ReadFile(operations)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(content), "\n"+start)
	require.True(t, found, "%s has no table %q", operations, start)
	var rows []string
	for _, line := range strings.Split(rest, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows = append(rows, line)
	}
	return rows
}
