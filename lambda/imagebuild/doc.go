// Command imagebuild makes a deployment wait for the runner image. In AWS Lambda
// it receives the requests of a CloudFormation custom resource, upon which it
// starts a build, and the events of CodeBuild about builds that have ended, upon
// which it answers CloudFormation. It never waits itself.
package main
