package labels_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

func TestJoin(t *testing.T) {
	for _, test := range []struct {
		given []string
		want  string
	}{
		{nil, ""},
		{[]string{"x64"}, "x64"},
		{[]string{"Self-Hosted", "X64", "self-hosted", "linux"}, "linux,self-hosted,x64"},
		{[]string{"A\u212a", "AK", "ak"}, "ak,a\u212a"}, // the Kelvin sign is no K
	} {
		assert.Equal(t, test.want, labels.Join(test.given))
	}
	given := []string{"B", "a"}
	labels.Join(given)
	assert.Equal(t, []string{"B", "a"}, given, "the caller's labels stay as they are")
}

func TestValidate(t *testing.T) {
	many := make([]string, labels.MaxCount+1)
	for i := range many {
		many[i] = fmt.Sprint("label-", i)
	}
	full := make([]string, 16) // 16 labels of 249 and 15 commas: 3999 characters
	for i := range full {
		full[i] = fmt.Sprintf("%02d", i) + strings.Repeat("x", 247)
	}
	for name, test := range map[string]struct {
		given []string
		want  error
	}{
		"usual":                       {[]string{"self-hosted", "Linux", "x64", "gpu_2.0"}, nil},
		"none":                        {nil, labels.ErrNoLabels},
		"empty":                       {[]string{""}, labels.ErrLabel},
		"space":                       {[]string{"a b"}, labels.ErrLabel},
		"comma":                       {[]string{"a,b"}, labels.ErrLabel},
		"letter not in A-Z":           {[]string{"größe"}, labels.ErrLabel},
		"too many":                    {many, labels.ErrTooManyLabels},
		"just long enough":            {full, nil},
		"too long":                    {append(full, "y"), labels.ErrLabelsTooLong},
		"too long but for repetition": {append(full, full...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorIs(t, labels.Validate(test.given), test.want)
		})
	}
}

func TestGitHubHosted(t *testing.T) {
	for _, job := range [][]string{
		{"ubuntu-latest"},
		{"Ubuntu-24.04-arm"},
		{"windows-2025"},
		{"macos-15-xlarge"},
		{"ubuntu-latest", "ubuntu-22.04"},
	} {
		assert.True(t, labels.GitHubHosted(job), job)
	}
	for _, job := range [][]string{
		nil,
		{"self-hosted"},
		{"ubuntu"},
		{"ubuntu-"},
		{"ubuntu-latest", "self-hosted"},
		{"my-ubuntu-latest"},
		{"linux-x64"},
	} {
		assert.False(t, labels.GitHubHosted(job), job)
	}
}

func TestCovers(t *testing.T) {
	fleet := []string{"Self-Hosted", "linux", "x64"}
	for _, job := range [][]string{{"self-hosted", "linux", "x64"}, {"LINUX"}, {"x64", "X64"}} {
		assert.True(t, labels.Covers(fleet, job), job)
	}
	for _, job := range [][]string{nil, {""}, {"self-hosted", "arm64"}, {"\u212a"}} {
		assert.False(t, labels.Covers(append(fleet, "k"), job), job)
	}
	assert.False(t, labels.Covers(nil, []string{"linux"}))
}

func TestRoutes_Fleet(t *testing.T) {
	routes, err := labels.NewRoutes([]contract.Fleet{
		{Name: "gpu", Labels: []string{"self-hosted", "linux", "gpu"}},
		{Name: "linux", Labels: []string{"Self-Hosted", "Linux", "X64"}},
	})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		job  []string
		want string
	}{
		"all labels":                 {[]string{"self-hosted", "linux", "x64"}, "linux"},
		"some labels, first fleet":   {[]string{"self-hosted"}, "gpu"},
		"another case":               {[]string{"SELF-HOSTED", "x64"}, "linux"},
		"a label twice":              {[]string{"gpu", "GPU"}, "gpu"},
		"a label of nobody":          {[]string{"self-hosted", "windows"}, ""},
		"labels of different fleets": {[]string{"gpu", "x64"}, ""},
		"a letter that folds to k":   {[]string{"\u212a"}, ""},
		"no labels":                  {nil, ""},
		"empty label":                {[]string{""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fleet, ok := routes.Fleet(test.job)
			assert.Equal(t, test.want, fleet)
			assert.Equal(t, test.want != "", ok)
		})
	}
}

func TestRoutes_Nearest(t *testing.T) {
	routes, err := labels.NewRoutes([]contract.Fleet{
		{Name: "gpu", Labels: []string{"linux", "gpu"}},
		{Name: "linux", Labels: []string{"Linux", "X64"}},
	})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		job, lacks []string
		fleet      string
	}{
		"one lacks less":           {[]string{"Self-Hosted", "linux", "x64"}, []string{"self-hosted"}, "linux"},
		"as much: the first":       {[]string{"self-hosted", "linux"}, []string{"self-hosted"}, "gpu"},
		"a label twice counts one": {[]string{"x64", "GPU", "gpu"}, []string{"x64"}, "gpu"},
		"nothing fits":             {[]string{"b", "a"}, []string{"a", "b"}, "gpu"},
	} {
		t.Run(name, func(t *testing.T) {
			fleet, lacks, ok := routes.Nearest(test.job)
			assert.True(t, ok)
			assert.Equal(t, test.fleet, fleet)
			assert.Equal(t, test.lacks, lacks)
		})
	}
	none, err := labels.NewRoutes(nil)
	require.NoError(t, err)
	_, _, ok := none.Nearest([]string{"a"})
	assert.False(t, ok)
}

func TestShow_IsForPeople(t *testing.T) {
	assert.Equal(t, "linux,x64", labels.Show([]string{"X64", "linux", "x64"}))
	assert.Equal(t, `"a\nb","a b","\u00e9"`, labels.Show([]string{"a b", "a\nb", "é"}),
		"nothing of it may pass for another line")
	assert.Equal(t, strings.Repeat("x", 64)+"…", labels.Show([]string{strings.Repeat("x", 65)}))
	assert.Equal(t, "a,b,c,d,e,f,g,h,i,j,…", labels.Show(strings.Split("abcdefghijkl", "")))
	assert.Empty(t, labels.Show(nil))
}

func TestNewRoutes_FailsWhenAFleetIsWrong(t *testing.T) {
	some := []string{"self-hosted"}
	for name, test := range map[string]struct {
		fleets []contract.Fleet
		want   error
	}{
		"no name":       {[]contract.Fleet{{Labels: some}}, labels.ErrFleetName},
		"25 characters": {[]contract.Fleet{{Name: strings.Repeat("a", 25), Labels: some}}, labels.ErrFleetName},
		"capitals":      {[]contract.Fleet{{Name: "Linux", Labels: some}}, labels.ErrFleetName},
		"digit first":   {[]contract.Fleet{{Name: "1a", Labels: some}}, labels.ErrFleetName},
		"hyphen last":   {[]contract.Fleet{{Name: "a-", Labels: some}}, labels.ErrFleetName},
		"two hyphens":   {[]contract.Fleet{{Name: "a--b", Labels: some}}, labels.ErrFleetName},
		"underscore":    {[]contract.Fleet{{Name: "a_b", Labels: some}}, labels.ErrFleetName},
		"same name twice": {
			[]contract.Fleet{{Name: "a", Labels: some}, {Name: "a", Labels: []string{"b"}}},
			labels.ErrDuplicateFleet,
		},
		"no labels": {[]contract.Fleet{{Name: "a"}}, labels.ErrNoLabels},
		"bad label": {[]contract.Fleet{{Name: "a", Labels: []string{"a b"}}}, labels.ErrLabel},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := labels.NewRoutes(test.fleets)
			assert.ErrorIs(t, err, test.want)
		})
	}
	_, err := labels.NewRoutes([]contract.Fleet{{Name: strings.Repeat("a", 24), Labels: some}})
	assert.NoError(t, err)
	_, err = labels.NewRoutes([]contract.Fleet{{Name: "A"}, {Name: "b", Labels: []string{"?"}}})
	for _, want := range []error{labels.ErrFleetName, labels.ErrNoLabels, labels.ErrLabel} {
		assert.ErrorIs(t, err, want, "all mistakes are reported at once")
	}
}

func TestRoutes_Shadows(t *testing.T) {
	routes, err := labels.NewRoutes([]contract.Fleet{
		{Name: "big", Labels: []string{"self-hosted", "linux", "x64"}},
		{Name: "same", Labels: []string{"X64", "Linux", "Self-Hosted"}},
		{Name: "arm", Labels: []string{"self-hosted", "linux", "arm64"}},
		{Name: "small", Labels: []string{"linux", "self-hosted"}},
	})
	require.NoError(t, err)
	assert.Equal(t, []labels.Shadow{{Fleet: "same", Earlier: "big"}, {Fleet: "small", Earlier: "big"}}, routes.Shadows())

	none, err := labels.NewRoutes(nil)
	require.NoError(t, err)
	assert.Empty(t, none.Shadows())
}
