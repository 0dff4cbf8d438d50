// Package contract holds what the constructs and the programs must agree on:
// the events on the bus, the environment variables, the metric names.
//
// The constructs write these names into templates and the programs read them at
// run time, in another process and often in another release. Nothing here may be
// changed without asking what happens while both sides differ.
//
// The package uses the standard library only, so that every program, the one in
// the runner image included, can import it without bringing a dependency along.
package contract
