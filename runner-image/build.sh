#!/bin/bash
# Builds the runner image, checks it, pushes it, and only then moves the channel
# tag, the one that fleets pull. It says what it decides and why.
#
# The tag of an image is made of all that goes into it, so the same input is built
# once: VERSION-ARCHITECTURE-TREE-SUPERVISOR, where TREE is a hash of the
# Dockerfile's tree, the base image and the arguments, and SUPERVISOR one of the
# supervisor's sources.
#
# Settings, from the environment:
#   REPOSITORY_URI  ECR repository to push to (required)
#   CHANNEL         tag that fleets pull (default: latest)
#   TRIGGER         "schedule" leaves the channel alone when there is nothing to
#                   build, so that a rollback lasts; anything else, a push or a
#                   deployment, moves it (default: deploy)
#   RUNNER_VERSION  version of actions/runner (default: latest)
#   RUNNER_SHA256   its checksum; with a version it makes GitHub's API unnecessary
#   RUNNER_RELEASES where its archives are, for those who keep a mirror (default:
#                   https://github.com/actions/runner/releases/download)
#   BASE_IMAGE      image to start from (default: Debian bookworm slim)
#   SUDO            true lets jobs become root (default: false)
#   IMAGE_SOURCE    folder of the Dockerfile (default: the CodeBuild source "image")
#   LIBRARY_SOURCE  folder of the library (default: the primary CodeBuild source)
set -euo pipefail
shopt -s inherit_errexit

main() {
	: "${REPOSITORY_URI:?is required}"
	channel=${CHANNEL:-latest}
	trigger=${TRIGGER:-deploy}
	base=${BASE_IMAGE:-public.ecr.aws/docker/library/debian:bookworm-slim}
	sudo=${SUDO:-false}
	tree=${IMAGE_SOURCE:-${CODEBUILD_SRC_DIR_image:?has no value, and neither has IMAGE_SOURCE}}
	library=${LIBRARY_SOURCE:-${CODEBUILD_SRC_DIR:?has no value, and neither has LIBRARY_SOURCE}}
	repository=${REPOSITORY_URI#*/}
	registry=${REPOSITORY_URI%%/*}
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT

	[ -f "$tree/Dockerfile" ] || fail "there is no Dockerfile in $tree"
	find_architecture
	find_release
	find_base
	tag=$version-$architecture-$(tree_hash)-$(supervisor_hash)
	promoted=promoted-$channel-$tag # says that the channel has been at this image
	# Says when a build began that wants the channel to be at this image.
	turn=turn-$channel-${CODEBUILD_START_TIME:-$(date +%s%3N)}
	say "image tag is $tag"

	if pushed "$tag"; then
		say "$tag is in $repository already: nothing to build"
		# Not if it never came to this image: then moving it has failed, or was overtaken.
		if [ "$trigger" = schedule ] && pushed "$channel" && pushed "$promoted"; then
			say "the schedule leaves $channel where it is"
			return
		fi
	else
		say "$tag is not in $repository: building it"
		build_supervisor
		build_image
		check_image
		push_image
	fi
	promote
}

say() { echo "==> $*"; }

fail() {
	echo "==> FAILED: $*" >&2
	exit 1
}

# retry COMMAND… runs a command until it succeeds, five times at most.
retry() {
	local pause=2 attempt
	for attempt in 1 2 3 4 5; do
		if "$@"; then
			return
		fi
		[ "$attempt" = 5 ] || { say "attempt $attempt of 5 failed: $*; again in $pause s" >&2; sleep "$pause"; }
		pause=$((pause * 3))
	done
	return 1
}

# find_architecture sets architecture, as GitHub names it, and goarch.
find_architecture() {
	case $(uname -m) in
		x86_64) architecture=x64 goarch=amd64 ;;
		aarch64) architecture=arm64 goarch=arm64 ;;
		*) fail "there is no actions/runner for $(uname -m)" ;;
	esac
}

# find_release sets version and checksum.
find_release() {
	version=${RUNNER_VERSION:-latest}
	checksum=${RUNNER_SHA256:-}
	if [ "$version" != latest ] && [ -n "$checksum" ]; then
		say "actions/runner $version is pinned, with its checksum"
		return
	fi
	local path=tags/v$version
	[ "$version" != latest ] || path=latest
	retry get_release "$path" ||
		fail "GitHub does not list its releases; a RUNNER_VERSION with its RUNNER_SHA256 needs no answer from it"

	local pinned=$version
	version=$(jq --raw-output '.tag_name // "" | ltrimstr("v")' "$work/release.json")
	[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "GitHub's release has no version but \"$version\""
	# GitHub computes a digest of every file of a release. Releases of the runner
	# list the same sums in their text, between comments.
	[ -n "$checksum" ] || checksum=$(jq --raw-output --arg arch "$architecture" '
		"actions-runner-linux-\($arch)-\(.tag_name | ltrimstr("v")).tar.gz" as $name
		| ([.assets[]? | select(.name == $name) | .digest // empty | select(startswith("sha256:")) | ltrimstr("sha256:")] | first)
		// ((.body // "") | capture("<!-- BEGIN SHA linux-\($arch) -->(?<sum>[0-9a-f]{64})<!-- END SHA linux-\($arch) -->").sum)
		// ""' "$work/release.json")
	[[ $checksum =~ ^[0-9a-f]{64}$ ]] || fail "release $version of actions/runner has no checksum for linux-$architecture; it will not be used unverified"
	if [ "$pinned" = latest ]; then
		say "newest release of actions/runner is $version"
	else
		say "actions/runner $version is pinned"
	fi
}

# get_release PATH fetches the description of a release. It ends the build when
# asking again is of no use.
get_release() {
	local answer status after reset wait
	answer=$(curl --silent --show-error --location --max-time 30 \
		--header 'Accept: application/vnd.github+json' --header 'X-GitHub-Api-Version: 2022-11-28' \
		--output "$work/release.json" --write-out '%{http_code}|%header{retry-after}|%header{x-ratelimit-reset}' \
		"https://api.github.com/repos/actions/runner/releases/$1") || answer="no answer"
	IFS='|' read -r status after reset <<<"$answer"
	case $status in
		200) ;;
		403 | 429) # GitHub counts by address, and CodeBuild's are shared
			wait=60
			if [[ $after =~ ^[0-9]+$ ]]; then
				wait=$after
			elif [[ $reset =~ ^[0-9]+$ ]]; then
				wait=$((reset - $(date +%s)))
			fi
			((wait <= 300)) || fail "api.github.com: $status: its limit for this address lasts $wait s more; start the build again then, or set RUNNER_VERSION with RUNNER_SHA256"
			say "api.github.com: $status: its limit for this address is used up; waiting $wait s" >&2
			((wait < 1)) || sleep "$wait"
			return 1
			;;
		404) fail "there is no release $1 of actions/runner" ;;
		*)
			say "api.github.com: $status" >&2
			return 1
			;;
	esac
}

# find_base replaces the tag of the base image by its digest.
find_base() {
	# The CodeBuild project's role must be allowed to pull from there.
	if [[ $base =~ ^([0-9]+\.dkr\.ecr\.([a-z0-9-]+)\.[a-z.]+)/ ]]; then
		retry log_in "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" || fail "ECR gives no access to the registry of the base image $base"
	fi
	case $base in
		*@sha256:*) say "base image is pinned: $base" ;;
		*)
			retry docker pull --quiet "$base" >/dev/null || fail "the base image $base cannot be pulled"
			local found
			found=$(docker image inspect --format '{{index .RepoDigests 0}}' "$base")
			[[ $found == *@sha256:* ]] || fail "the base image $base has no digest"
			say "base image $base is $found"
			base=$found
			;;
	esac
}

# tree_hash prints what stands for the Dockerfile's tree in the tag.
tree_hash() {
	{
		hash_files "$tree"
		echo "$base $sudo $checksum"
	} | short_hash
}

# supervisor_hash prints what stands for the supervisor in the tag.
supervisor_hash() {
	{
		hash_files "$library/internal/contract" ! -name '*_test.go'
		hash_files "$library/runner-image/supervisor" ! -name '*_test.go' ! -path '*/testdata/*'
		(cd "$library" && sha256sum go.mod go.sum)
	} | short_hash
}

# hash_files FOLDER TEST… prints the hashes of the files in it that find's tests
# let through.
hash_files() {
	(
		cd "$1"
		shift
		find . -type f ! -path './.git/*' "$@" -print0 | LC_ALL=C sort --zero-terminated | xargs --null --no-run-if-empty sha256sum
	)
}

short_hash() { sha256sum | cut --characters=1-12; }

# pushed TAG reports whether the repository has an image with that tag.
pushed() {
	local found
	found=$(retry describe "$1") || fail "ECR does not say whether it has $1"
	[ "$found" != None ]
}

# describe TAG prints the digest of an image, or None.
describe() {
	local error
	if error=$(aws ecr describe-images --repository-name "$repository" --image-ids "imageTag=$1" \
		--query 'imageDetails[0].imageDigest' --output text 2>&1 >"$work/digest"); then
		cat "$work/digest"
	elif [[ $error == *ImageNotFoundException* ]]; then
		echo None
	else
		echo "$error" >&2
		return 1
	fi
}

# build_supervisor builds the supervisor with the toolchain that go.mod names.
build_supervisor() {
	local toolchain
	toolchain=$(sed --quiet 's/^toolchain //p' "$library/go.mod")
	say "building the supervisor with $toolchain"
	mkdir "$work/ecsrunners"
	retry go_build "$toolchain" || fail "the supervisor cannot be built"
	cp "$library"/runner-image/supervisor/hooks/*.sh "$work/ecsrunners/"
	# By this the supervisor knows that jobs may become root, not by a program that
	# may have come with a package.
	[ "$sudo" != true ] || touch "$work/ecsrunners/sudo"
}

go_build() {
	(
		cd "$library"
		CGO_ENABLED=0 GOOS=linux GOARCH=$goarch GOFLAGS='' GOWORK=off GOTOOLCHAIN=$1 go build -mod=readonly -trimpath -buildvcs=false \
			-ldflags='-s -w -buildid=' -o "$work/ecsrunners/supervisor" ./runner-image/supervisor
	)
}

# build_image builds the image from a copy of the tree with the supervisor in it.
build_image() {
	cp -R "$tree" "$work/context"
	rm -rf "$work/context/ecsrunners"
	mv "$work/ecsrunners" "$work/context/"
	local arguments=("BASE_IMAGE=$base" "RUNNER_VERSION=$version" "RUNNER_ARCH=$architecture" "RUNNER_SHA256=$checksum" "SUDO=$sudo")
	[ -z "${RUNNER_RELEASES:-}" ] || arguments+=("RUNNER_RELEASES=$RUNNER_RELEASES")
	# Without attestations there is one plain manifest, which promote can tag.
	BUILDX_NO_DEFAULT_ATTESTATIONS=1 DOCKER_BUILDKIT=1 docker build "${arguments[@]/#/--build-arg=}" \
		--tag "$REPOSITORY_URI:$tag" "$work/context" || fail "the image cannot be built"
}

# check_image lets the image check itself, before anybody can pull it.
check_image() {
	say "checking the image"
	docker run --rm --network none "$REPOSITORY_URI:$tag" check -runner-version "$version" ||
		fail "the image does not pass its own check; $channel stays where it is"
}

push_image() {
	say "pushing $REPOSITORY_URI:$tag"
	retry log_in "$registry" || fail "ECR gives no access to push"
	retry push_once || fail "the image cannot be pushed; $channel stays where it is"
}

# push_once pushes the image. Its tag cannot be pushed twice: if another build of
# the same input was faster, or an answer was lost, it is there already.
push_once() { docker push --quiet "$REPOSITORY_URI:$tag" || pushed "$tag"; }

# log_in REGISTRY [REGION]
log_in() { aws ecr get-login-password ${2:+--region "$2"} | docker login --username AWS --password-stdin "$1"; }

# promote moves the channel tag to the image, or to that of a build which began
# later: builds can overtake each other.
promote() {
	local at="" next
	tag_image "$tag" "$turn"
	# Until nobody has come between the look and the move.
	while next=$(latest_turn) && [ "$next" != "$at" ]; do
		tag_image "$next" "$channel"
		at=$next
	done
	[ -n "$next" ] || fail "ECR does not list the tags of $repository; start the build again to move $channel"
	if [ "$at" != "$turn" ]; then
		say "a build that began later, $at, has the channel: $channel is at its image, not at $tag"
		return
	fi
	tag_image "$tag" "$promoted"
	say "$channel is $tag now"
}

# latest_turn prints the turn of the build that began last: this one if no other is
# known, even where its own tag does not show yet.
latest_turn() {
	local tags
	tags=$(retry aws ecr describe-images --repository-name "$repository" --filter tagStatus=TAGGED --query 'imageDetails[].imageTags[]' --output json) || return
	jq --raw-output --arg own "$turn" --arg prefix "turn-$channel-" '
		[.[], $own | select(startswith($prefix)) | select(ltrimstr($prefix) | test("^[0-9]+$"))]
		| sort_by(ltrimstr($prefix) | tonumber) | last' <<<"$tags"
}

# tag_image TAG NEW gives the image with a tag another one.
tag_image() {
	retry fetch_manifest "$1" || fail "ECR does not give the manifest of $1; start the build again to move $channel"
	retry put_tag "$2" || fail "ECR does not take $2; start the build again to move $channel"
}

fetch_manifest() {
	aws ecr batch-get-image --repository-name "$repository" --image-ids "imageTag=$1" --accepted-media-types \
		application/vnd.docker.distribution.manifest.v2+json application/vnd.oci.image.manifest.v1+json \
		--query 'images[0]' --output json >"$work/image.json" &&
		jq --exit-status .imageManifest "$work/image.json" >/dev/null
}

put_tag() {
	local error
	if error=$(aws ecr put-image --repository-name "$repository" --image-tag "$1" \
		--image-manifest "$(jq --raw-output .imageManifest "$work/image.json")" \
		--image-manifest-media-type "$(jq --raw-output .imageManifestMediaType "$work/image.json")" 2>&1 >/dev/null); then
		return
	fi
	if [[ $error == *ImageAlreadyExistsException* ]]; then # it is there already
		return
	fi
	echo "$error" >&2
	return 1
}

main
