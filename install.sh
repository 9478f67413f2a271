#!/bin/sh
# Installs the program of a release for this machine; `sh install.sh --help` says how. It needs no
# root, and changes no other file.
set -eu

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

usage() {
    printf 'error: %s\nhint: %s\n' "$1" "sh install.sh --from URL [--to FOLDER] [--sha256 DIGEST]" >&2
    exit 2
}

help() {
    cat <<'END'
Downloads the archive of a release for this machine and its checksum, compares them, and puts the
program into a folder.

Usage: sh install.sh --from URL [--to FOLDER] [--sha256 DIGEST]

  --from URL         the folder that has the archives (or the variable MESHAGENT_RELEASE)
  --to FOLDER        where the program goes; ~/.local/bin otherwise
  --sha256 DIGEST    the SHA-256 of the archive, from a source that you trust; without it, the
                     archive is only compared with the checksum file beside it, which detects
                     broken downloads
END
}

# The name of the archive for this machine.
target() {
    case "$(uname -s)" in
    Linux) system=unknown-linux-gnu ;;
    Darwin) system=apple-darwin ;;
    *) fail "there is no archive for $(uname -s)" "build the program from its source" ;;
    esac
    case "$(uname -m)" in
    x86_64 | amd64)
        [ "$system" != apple-darwin ] ||
            fail "there is no archive for Macs with an Intel processor" "build the program from its source"
        machine=x86_64
        ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) fail "there is no archive for $(uname -m)" "build the program from its source" ;;
    esac
    printf '%s-%s\n' "$machine" "$system"
}

# Downloads a URL to a file of at most so many bytes. A download that stalls for a minute fails.
download() {
    code=0
    curl --fail --silent --show-error --location --proto "=$protocols" --connect-timeout 20 \
        --speed-limit 1 --speed-time 60 --retry 2 --globoff --max-filesize "$3" --output "$2" -- "$1" || code=$?
    case "$code" in
    0) ;;
    63) fail "$1 is larger than $3 bytes" "check the URL" ;;
    23) fail "failed to write to $work" "free some space there, or set TMPDIR to another folder" ;;
    *) fail "failed to download $1" "check the URL, and try again" ;;
    esac
}

# Prints the SHA-256 of a file.
digest() {
    if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi |
        cut -d ' ' -f 1
}

# Whether a text is a digest.
is_digest() {
    [ "${#1}" = 64 ] && case "$1" in *[!0-9a-f]*) false ;; esac
}

install() {
    from="${MESHAGENT_RELEASE:-}" to="${HOME:+${HOME%/}/.local/bin}" wanted=""
    while [ $# -gt 0 ]; do
        case "$1" in
        --help | -h)
            help
            exit 0
            ;;
        --from | --to | --sha256) [ $# -ge 2 ] || usage "$1 needs a value" ;;
        *) usage "unexpected argument $1" ;;
        esac
        case "$1" in
        --from) from="$2" ;;
        --to) to="$2" ;;
        --sha256)
            wanted="$(printf '%s' "$2" | tr ABCDEF abcdef)"
            is_digest "$wanted" || usage "--sha256 is not 64 hexadecimal digits"
            ;;
        esac
        shift 2
    done
    protocols=https
    case "$from" in
    "") usage "--from is missing" ;;
    *://*@*) usage "the URL contains an @, like one with a user name" ;;
    https://?*) ;;
    http://127.0.0.1:[0-9]* | http://localhost:[0-9]*) protocols=http,https ;;
    *) usage "$from is not an https URL" ;;
    esac
    case "$to" in
    "") usage "there is no folder to install to: --to is missing or empty" ;;
    / | /* | ./* | ../*) ;;
    *) to="./$to" ;;
    esac
    [ "$to" = / ] || to="${to%/}"
    for tool in curl tar gzip; do
        command -v "$tool" >/dev/null || fail "there is no $tool" "install it"
    done
    command -v sha256sum >/dev/null || command -v shasum >/dev/null ||
        fail "there is neither sha256sum nor shasum" "install one of them"
    name="meshagent-$(target)"
    archive="${from%/}/$name.tar.gz"
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM

    download "$archive.sha256" "$work/sha256" 4096
    told="$(cut -d ' ' -f 1 <"$work/sha256" | head -n 1)"
    is_digest "$told" || fail "$archive.sha256 is not a checksum" "check the URL"
    download "$archive" "$work/archive" 500000000
    found="$(digest "$work/archive")"
    [ "$found" = "$told" ] ||
        fail "$archive has the SHA-256 $found, but its checksum file says $told" "nothing was installed; try again, or ask those who made the release"
    [ -z "$wanted" ] || [ "$found" = "$wanted" ] ||
        fail "$archive has the SHA-256 $found, but --sha256 says $wanted" "nothing was installed; compare with the digest of this release for this machine"

    # Only the program is taken out.
    tar -xzf "$work/archive" -C "$work" "$name/meshagent" 2>/dev/null ||
        fail "$archive does not contain $name/meshagent" "check the URL"
    program="$work/$name/meshagent"
    { [ -f "$program" ] && [ ! -L "$program" ]; } ||
        fail "$name/meshagent in $archive is not a file" "ask those who made the release"
    mkdir -p "$to" || fail "failed to create $to" "name another folder with --to"
    [ ! -d "$to/meshagent" ] || fail "$to/meshagent is a folder" "name another folder with --to"
    # It gets its name when it is complete and runs, so that nobody finds a half of it. It is tried
    # in its folder, because nothing may run in some temporary ones.
    new="$(mktemp "$to/.meshagent.XXXXXX")" || fail "failed to write to $to" "name another folder with --to"
    trap 'rm -rf "$work" "$new"' EXIT
    { cp "$program" "$new" && chmod 755 "$new"; } ||
        fail "failed to write to $to" "free some space there, or name another folder with --to"
    version="$("$new" version)" ||
        fail "the program does not run on this machine" "on Linux it needs glibc 2.35 or newer; else build it from its source"
    mv -f "$new" "$to/meshagent" ||
        fail "failed to write $to/meshagent" "name another folder with --to"
    echo "installed meshagent $version as $to/meshagent"
    whole="$(cd "$to" && pwd)"
    case ":${PATH:-}:" in
    *":$to:"* | *":$to/:"* | *":$whole:"* | *":$whole/:"*) ;;
    *) echo "note: $to is not on the PATH" >&2 ;;
    esac
    first="$(command -v meshagent || true)"
    case "$first" in
    "" | "$to/meshagent" | "$to//meshagent" | "$whole/meshagent" | "$whole//meshagent") ;;
    *) echo "note: \`meshagent\` still runs $first, which comes first on the PATH" >&2 ;;
    esac
}

# The last line, so that a part of this file does nothing.
install "$@"
