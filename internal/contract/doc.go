// Package contract holds what the constructs and the programs must agree on. Here
// are the events on the bus and what can be a name; what one program alone shares
// with its construct is in a package below, so that a change of it deploys that
// program alone.
//
// The constructs write these names into templates and the programs read them at
// run time, in another process and often in another release. Nothing here may be
// changed without asking what happens while both sides differ.
//
// These packages use the standard library and each other only, so that a program
// can import them without bringing a dependency along.
package contract
