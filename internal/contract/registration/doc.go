// Package registration is what the registration function and its construct agree
// on: the environment variables, the ledger table and the metrics. What it agrees
// on with the runners is in package runner.
package registration
