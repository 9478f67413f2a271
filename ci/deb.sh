#!/usr/bin/env bash
# Makes a Debian package of the archive of a release, beside it and with its checksum:
#
#   ci/deb.sh ARCHIVE MAINTAINER
#
# MAINTAINER is a name and an address: "NAME <ADDRESS>".
set -euo pipefail

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

(($# == 2)) || fail "an archive and a maintainer are expected" "ci/deb.sh ARCHIVE MAINTAINER"
archive="$1" maintainer="$2"
[[ "$maintainer" == *' <'*@*'>' ]] || fail "$maintainer is not a maintainer" "give it as \"NAME <ADDRESS>\""
name="$(basename "$archive" .tar.gz)"
case "$name" in
meshagent-x86_64-*-linux-gnu) machine=amd64 ;;
meshagent-aarch64-*-linux-gnu) machine=arm64 ;;
*) fail "$archive is not an archive for Debian" "build one with ci/archive.sh" ;;
esac
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
tar -xzf "$archive" -C "$work"
from="$work/$name" root="$work/root"
version="$("$from/meshagent" version)"
# A version before a release sorts before it.
version="${version/-/\~}"
# The package has the time of the archive's files, so the same archive makes the same package.
SOURCE_DATE_EPOCH="$(date -r "$from/LICENSE" +%s)"
export SOURCE_DATE_EPOCH

share="$root/usr/share"
install -D -m 755 "$from/meshagent" "$root/usr/bin/meshagent"
install -D -m 644 -t "$share/doc/meshagent" "$from/README.md" "$from/SECURITY.md" "$from/sbom.cdx.json"
cat "$from/NOTICE" "$from/LICENSE" >"$share/doc/meshagent/copyright"
gzip -n <"$from/CHANGELOG.md" >"$share/doc/meshagent/changelog.gz"
install -D -m 644 -t "$share/man/man1" "$from"/man/man1/*
gzip -n "$share"/man/man1/*
install -D -m 644 "$from/completions/meshagent.bash" "$share/bash-completion/completions/meshagent"
install -D -m 644 -t "$share/zsh/vendor-completions" "$from/completions/_meshagent"
install -D -m 644 -t "$share/fish/vendor_completions.d" "$from/completions/meshagent.fish"
mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<END
Package: meshagent
Version: $version
Architecture: $machine
Maintainer: $maintainer
Installed-Size: $(du -k -s --apparent-size "$root/usr" | cut -f 1)
Depends: libc6 (>= 2.35), libgcc-s1
Recommends: ca-certificates
Section: admin
Priority: optional
Description: declarative reconciler and command line for MeshAgent projects
 Describes MeshAgent projects in YAML, shows what would change, and changes it.
 An embedded platform with the same API is part of the program.
END
chmod -R u=rwX,go=rX "$root"
cd "$(dirname "$archive")"
package="meshagent_${version}_$machine.deb"
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null
sha256sum "$package" >"$package.sha256"
echo "$PWD/$package"
