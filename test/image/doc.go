// Package image builds the runner image for real and runs jobs in it, without
// AWS, GitHub or a Docker daemon: on a base image made of Debian's packages, with
// an archive of a runner that stands in for GitHub's, by the commands of the
// buildspec.
//
// Its tests need Linux, root, buildah, debootstrap, jq and a network with Debian's
// packages. They take some minutes, so they have a build tag of their own:
//
//	go test -tags image -count=1 -v -timeout 30m ./test/image
//
// IMAGE_TEST_MIRROR names another mirror than http://deb.debian.org/debian.
package image
