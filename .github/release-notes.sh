#!/usr/bin/env bash
# Prints the section of CHANGELOG.md for a version such as v1.2.3. Fails if there is
# none, or if it is empty.
#
#   .github/release-notes.sh VERSION [CHANGELOG]
set -euo pipefail

version=${1#v}
changelog=${2:-"$(dirname "$0")/../CHANGELOG.md"}

notes=$(awk -v version="$version" '
  /^## / {
    name = $2
    gsub(/[][]/, "", name)
    inside = name == version
    next
  }
  inside { print }
' "$changelog")

if [[ ! $notes =~ [^[:space:]] ]]; then
  echo "$changelog has nothing for version $version: give it a section \"## $version\" and tag again" >&2
  exit 1
fi
# Without the empty lines around it.
sed -e '/./,$!d' <<<"$notes"
