// Package constructs holds the AWS CDK constructs of ecsrunners: ephemeral,
// autoscaling, self-hosted GitHub Actions runners on Amazon ECS.
//
// Every construct follows the same rules. One statement gives a secure, working
// default:
//
//	cluster := constructs.NewRunnerCluster(stack, "Cluster", nil)
//
// Props are plain Go values for literals (the zero value means the default),
// CDK interfaces for other resources, awscdk.Duration for time. Wrong props
// panic with one error that names every field, the value got and what is
// allowed; nothing is added to the tree then. Doubtful props are annotated as
// warnings with an id, to be acknowledged with awscdk.Annotations. Each
// construct can be used wherever the CDK takes a construct.
//
// Names of constructs in the tree are part of the API: changing one replaces
// resources, and is a breaking change.
package constructs
