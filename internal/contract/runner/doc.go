// Package runner is what the runner image, the registration function and the
// constructs agree on: the environment of a runner container, how it ends, and the
// registration API.
package runner

// Version is the version of what the runner image and the control plane say to
// each other: the environment variables and the registration API. An image
// is built on another day than the control plane is deployed, so each side states
// its version and refuses one it does not know.
//
// 2: each request to the registration API has a Proof.
const Version = 2
