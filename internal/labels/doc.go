// Package labels decides which fleet runs a job.
//
// GitHub gives a job to a runner that has all the labels the job asks for. A
// fleet covers a job by the same rule: the job names at least one label, and
// every one is a label of the fleet, compared without regard to case. Fleets are
// asked in the order they were added.
//
// The package is pure: the constructs use it to check a route table before it is
// deployed, the webhook program to look jobs up in it.
package labels
