// Package env carries the configuration of a program in environment variables.
//
// A program lists its variables once, in a Table that binds each to a field of its
// configuration. A construct renders the table, the program parses it when it
// starts, and its help prints it.
package env
