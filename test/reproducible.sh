#!/usr/bin/env bash
# Synthesizes the app from a copy in another folder, under another name, home
# and TMPDIR, and compares every template with the one in cdk.out.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT

mkdir -p "$elsewhere/some where else" "$elsewhere/home" "$elsewhere/tmp"
copy="$elsewhere/some where else/copy"
git clone --quiet --no-hardlinks "$root" "$copy"
# What is not committed yet counts as well.
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf - --ignore-failed-read 2>/dev/null) | tar -xf - -C "$copy"
ln -s "$root/node_modules" "$copy/node_modules"

cd "$copy"
env GOPATH="$(go env GOPATH)" GOCACHE="$(go env GOCACHE)" GOPROXY="$(go env GOPROXY)" \
  HOME="$elsewhere/home" TMPDIR="$elsewhere/tmp" USER=somebody LOGNAME=somebody AWS_REGION=eu-south-2 \
  cdk synth --quiet --strict --no-notices

status=0
for template in "$root"/cdk.out/*.template.json; do
  cmp "$template" "cdk.out/$(basename "$template")" || status=1
done
exit "$status"
