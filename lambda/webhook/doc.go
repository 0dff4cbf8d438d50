// Command webhook receives GitHub's webhook deliveries and puts them on an event
// bus. In AWS Lambda it serves a function URL; with -listen it serves HTTP on the
// machine it runs on, from the same environment variables. Its flag -h prints
// them.
//
// With -secret-file it needs no AWS account: the webhook secret is read from that
// file, and events are printed instead of being put on a bus. Lambda starts the
// program without flags, so none of this is open there.
package main
