// Package lifecycle decides what a runner does next, from its registration to its
// end: when to register, to start the listener, to give the registration back, to
// interrupt, to kill and with which reason to end.
//
// It decides and does nothing else. A Machine gets what happened and at what
// time, and answers with the actions to take; it reads no clock, starts no
// goroutine and touches neither processes nor the network. Whoever drives it, the
// supervisor in a container or a simulation under a virtual clock, keeps three
// rules:
//
//   - every action is carried out, in order, and where its doc comment names an
//     event, that event is reported once;
//   - Tick is reported when Deadline has come;
//   - nothing is reported after an End.
//
// The same events at the same times lead to the same actions.
package lifecycle
