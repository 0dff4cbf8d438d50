package snapshottest

import (
	"flag"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDefineLate_LeavesTheFlagToWhoDefinesItLater(t *testing.T) {
	for _, argument := range []string{"-update", "--update", "-update=true", "--update=true", "-update=1"} {
		flags := flag.NewFlagSet("p.test", flag.ContinueOnError)
		arguments := []string{"p.test", argument, "-verbose"}
		arguments = defineLate(flags, arguments)
		var golden bool // as a package does that is initialized later
		assert.NotPanics(t, func() { flags.BoolVar(&golden, "update", false, "rewrite golden files") })
		verbose := flags.Bool("verbose", false, "")
		require.NoError(t, flags.Parse(arguments[1:]), argument)
		assert.True(t, golden, argument)
		assert.True(t, *verbose)
	}
}

func TestDefineLate_DefinesTheFlagIfNobodyDoes(t *testing.T) {
	for _, argument := range []string{"-update", "--update", "-update=true", "--update=true", "-update=1"} {
		flags := flag.NewFlagSet("p.test", flag.ContinueOnError)
		require.NoError(t, flags.Parse(defineLate(flags, []string{"p.test", argument})[1:]), argument)
		require.NotNil(t, flags.Lookup("update"), argument)
		assert.Equal(t, "true", flags.Lookup("update").Value.String(), argument)
	}
}

func TestDefineLate_LeavesOtherArgumentsAlone(t *testing.T) {
	for _, arguments := range [][]string{nil, {"p.test"}, {"p.test", "-test.v", "update", "-updates"}} {
		flags := flag.NewFlagSet("p.test", flag.ContinueOnError)
		assert.Equal(t, arguments, defineLate(flags, arguments))
		assert.Nil(t, flags.Lookup(defineFlag))
	}
}

// This package is one that defines no flag.
func TestUpdate_IsAFlagOfTheTestBinary(t *testing.T) {
	executable, err := os.Executable()
	require.NoError(t, err)
	output, err := exec.CommandContext(t.Context(), executable, "-test.run=^$", "-update").CombinedOutput()
	assert.NoErrorf(t, err, "%s", output)
}
