#!/usr/bin/env bash
# Drafts a release on GitHub, for a maintainer to look at and publish:
#
#   ci/draft.sh TAG           only checks that the tag fits to Cargo.toml and CHANGELOG.md
#   ci/draft.sh TAG FOLDER    then uploads the archives and packages of the folder
set -euo pipefail

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

(($# == 1 || $# == 2)) || fail "a tag is expected, and perhaps a folder" "ci/draft.sh TAG [FOLDER]"
tag="$1" folder="${2:-}"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)"
[[ "$tag" == "v$version" ]] || fail "the tag is $tag, but Cargo.toml has version $version" "tag it v$version, or change the version"
notes="$(mktemp)"
trap 'rm -f "$notes"' EXIT
awk -v heading="## [$version]" \
    'index($0, "## ") == 1 { inside = index($0, heading) == 1; next } inside' \
    "$root/CHANGELOG.md" >"$notes"
grep -q '[^[:space:]]' "$notes" || fail "CHANGELOG.md has nothing below [$version]" "move what is new from [Unreleased] to it"
[[ -n "$folder" ]] || exit 0

cd "$folder"
shopt -s nullglob
archives=(*.tar.gz *.deb)
((${#archives[@]})) || fail "$folder has no archives" "build them with ci/archive.sh"
for archive in "${archives[@]}"; do
    [[ "$(cut -d ' ' -f 3- "$archive.sha256")" == "$archive" ]] ||
        fail "$archive.sha256 is for another file" "build both with ci/archive.sh"
    sha256sum --check --strict --quiet "$archive.sha256"
done
gh release create "$tag" --draft --verify-tag --title "meshagent $version" --notes-file "$notes" \
    "${archives[@]}" "${archives[@]/%/.sha256}"
