// Package registration is what the registration function and its construct agree
// on: the environment variables, the ledger table, the names of runners and the
// metrics. What it agrees on with the runners is in package runner.
package registration
