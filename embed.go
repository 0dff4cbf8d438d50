// Package ecsrunners carries the sources of the programs that run in AWS, so
// that apps which import the constructs can build them wherever they are.
//
// The constructs are in package constructs.
package ecsrunners

import "embed"

// Sources is this module as far as the programs need it.
//
//go:embed go.mod go.sum internal/contract/*.go internal/contract/*/*.go internal/labels/*.go lambda/*/*.go internal/control/*/*.go all:runner-image
var Sources embed.FS
