// Package snapshottest tests whole CloudFormation templates: it compares those
// that an app makes with files in testdata, so that a review shows what a change,
// or an upgrade of a library, does to what is deployed.
//
//	func TestQueues(t *testing.T) {
//		app := snapshottest.NewApp(t, nil)
//		newQueues(app, "Queues")
//		snapshottest.Compare(t, "", app)
//	}
//
// The files are written, and those that nothing is compared with any longer
// removed, by
//
//	go test -update
//
// Without -update, a template without a file fails the test, and so does a file
// without a template.
//
// # Files
//
// The snapshot of a stack is the file testdata/snapshots/TEST/NAME.STACK.json: TEST
// is the test function, NAME what was given to [Compare], STACK the artifact id of
// the stack, which is its construct id for a stack directly below the app. Nested
// stacks have files of their own.
//
// A test owns the files in its folder. So a selection of tests, as in go test -run
// TestQueues, neither complains about the snapshots of the others nor removes them.
// Those of a test that is gone are found by any other: no test function of the
// package has the name of their folder. When -run or -skip select subtests, leftover
// files in the folder of a test are not looked for.
//
// # What is left out
//
// A file shows what changes in AWS. The hashes of the app's assets are replaced by
// <asset-1>, <asset-2> and so on, in the order of their first use: equal ones stay
// equal. Other hashes stay, such as the digest of an image. What the CDK adds for itself (the version of the
// bootstrap stack and its check, and metadata) is dropped. A text of several lines
// is an object with one member, <lines>, which lists them.
//
// # Process
//
// jsii, through which Go uses the CDK, is not safe for concurrent use: tests that
// make apps must not run in parallel. To import this package turns the CDK's
// validation of templates off for the process, because it takes seconds and cdk
// synth does it; set CDK_VALIDATION=true to have it in tests.
//
// # The flag
//
// A test package may define a flag -update of its own, for golden files: then go test
// -update sets that, and rewrites the snapshots too. Otherwise this package defines
// the flag, when the arguments of the test are parsed and -update is among them. To
// have this happen it puts a flag of its own before them, in [os.Args].
package snapshottest
