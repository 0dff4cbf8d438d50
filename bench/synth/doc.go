// Command synth measures how long it takes to synthesize the app of cdk.json, as
// the CDK CLI starts it: a built program, an output folder that is new each time, the
// context of cdk.json. It runs in the root of the repository.
//
//	go run ./bench/synth
//
// In turns with the app it measures, as the part that no CDK app can do without, one
// that has the same number of stacks and resources, all of them SSM parameters; and
// the app again with an empty cache of built programs.
package main
