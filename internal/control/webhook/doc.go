// Package webhook turns GitHub's signed deliveries into events on a bus.
//
// A Handler is an http.Handler. It checks a delivery in this order, and looks at
// nothing before everything earlier has passed: method, size, content type,
// signature over the bytes as they came, JSON, event, allow-lists.
//
//	202  accepted      on the bus; the answer names the fleet, or why there is none
//	200  ping          GitHub tried the webhook
//	200  ignored       event, owner, repository or visibility not allowed, or a job
//	                   without labels
//	400  invalid       signed, but not a delivery the program understands
//	401  unauthorized  signature missing, malformed or wrong
//	405, 413, 415      not a POST, too large, not JSON
//	500  failed        a defect of the program
//	503  unavailable   the secret cannot be read or the bus did not take the event
//	                   in time; GitHub marks the delivery failed, and it can be
//	                   delivered again
//
// The detail of an event is GitHub's payload, byte for byte, with one member, the
// dispatch object of the contract package, in front for workflow_job events. A
// payload above the bus's limit is replaced by an envelope that still dispatches
// the job: the dispatch object, "reduced": true, the action, and the short
// members of workflow_job, repository, organization and installation.
//
// A delivery that comes twice is passed on twice: only downstream, with the
// states of jobs at hand, can a repetition be distinguished from a wanted redelivery.
//
// Every delivery is logged with one line and counted with one. No log line
// contains the payload, a secret or a signature, and none contains a message of
// EventBridge, which quotes the entry it refuses.
package webhook
