package snapshottest

import (
	"flag"
	"os"
	"slices"
	"strings"
)

const (
	updateFlag = "update"
	defineFlag = "snapshottest.define-update"
)

func init() { os.Args = defineLate(flag.CommandLine, os.Args) }

// defineLate has the flag -update defined, unless there is one, as soon as the
// arguments are parsed. It returns the arguments that do this.
//
// Many packages define a flag -update for golden files of their own. A test package
// is initialized after this one, and would panic if it found the flag defined. When
// the arguments are parsed, all packages are initialized; so the first argument is
// made a flag that defines the other.
func defineLate(flags *flag.FlagSet, arguments []string) []string {
	if len(arguments) == 0 || !slices.ContainsFunc(arguments[1:], isUpdate) {
		return arguments
	}
	flags.BoolFunc(defineFlag, "define -"+updateFlag+" unless there is one", func(string) error {
		if flags.Lookup(updateFlag) == nil {
			flags.Bool(updateFlag, false, "rewrite the snapshots of templates instead of comparing with them")
		}
		return nil
	})
	return slices.Insert(slices.Clone(arguments), 1, "-"+defineFlag)
}

// isUpdate tells whether an argument is the flag: -update, --update or -update=true.
func isUpdate(argument string) bool {
	name, _, _ := strings.Cut(argument, "=")
	return name == "-"+updateFlag || name == "--"+updateFlag
}

// updating tells whether the flag is set, whoever has defined it.
func updating() bool {
	update := flag.Lookup(updateFlag)
	return update != nil && update.Value.String() == "true"
}
