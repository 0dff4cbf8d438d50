// Package registration gives the tasks of fleets their runners.
//
// A task works for its fleet and not for one job: GitHub hands a queued job to any
// runner with its labels, so that a runner registered for one job often runs
// another. A task that asks gets its own job if that still waits, else the oldest
// of its fleet that does, else nothing. docs/registration.md has the decisions in a
// table.
//
// Service decides, with the ledger and GitHub behind interfaces; Handler is its
// HTTP side, and identifies who asks.
package registration
