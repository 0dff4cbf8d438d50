// Package webhook is what the webhook function and its construct agree on: the
// environment variables and the metrics.
package webhook
