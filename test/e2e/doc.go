// Package e2e runs one job from GitHub's delivery to the end of its container, with
// the real programs: the webhook's and the registration's under Lambda's runtime
// API, and the supervisor as the first process of a container's file system. AWS is
// an emulator, GitHub a stand-in, and what CloudFormation would make comes from the
// template snapshots: the rule's pattern and input transformer, the task's
// environment.
//
// What the emulator does not do is done here: EventBridge has no ECS target there,
// so that the test applies the transformer and calls RunTask; ECS starts nothing, so
// that the test starts the supervisor; nobody checks signatures, so that the test
// does, as Lambda would before it calls the function.
//
// The tests have the build tag e2e, need root, unshare and moto_server:
//
//	go test -tags e2e ./test/e2e
package e2e
