// Package awsname has the rules for names that both the constructs and the app's
// configuration check.
package awsname

import "regexp"

// ECS compares without case, so "EcsRunners" is refused as well.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html
var reservedPrefix = regexp.MustCompile(`(?i)^(aws|ecs|fargate)`)

// IsReserved reports whether ECS refuses a capacity provider of that name, or one
// whose name CloudFormation derives from a stack of that name.
func IsReserved(name string) bool { return reservedPrefix.MatchString(name) }

// Image matches the name of an image in a registry, with or without tag and digest.
var Image = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._/:@-]{0,511}$`)
