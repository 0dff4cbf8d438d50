// Package imagebuild makes a deployment wait for the build of the runner image.
//
// A custom resource in the template stands for the image. Upon its request the
// handler starts a build, notes in a parameter of Systems Manager who waits for
// it, and returns. An event of CodeBuild brings it back when the build has ended:
// it tells CloudFormation how, with the link to the log of a build that failed.
//
// The note holds the pre-signed address at which CloudFormation takes the answer.
// It is kept out of the build, where the steps of a customer's Dockerfile run.
package imagebuild
