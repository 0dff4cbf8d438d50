// Package credential recognizes credentials in text: where one has no business to
// be, and before text of others is repeated.
package credential
