// Package imagebuild is what the build of the runner image, the function that
// makes a deployment wait for it and their construct agree on: the environment
// variables, the custom resource, the tags and the metrics.
package imagebuild
