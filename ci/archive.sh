#!/usr/bin/env bash
# Builds the archive of a release for one machine, with its checksum:
#
#   ci/archive.sh --out FOLDER [--target TRIPLE] [--program FILE --sbom FILE]
#
#   --out FOLDER       where meshagent-TRIPLE.tar.gz and meshagent-TRIPLE.tar.gz.sha256 go
#   --target TRIPLE    the machine; that of the compiler otherwise
#   --program FILE     a program that is built already
#   --sbom FILE        its list of components
#
# Without the last two it builds the program with `cargo auditable`, which records the versions of
# all crates in it, and lists them with `cargo cyclonedx`. The program itself writes its manual
# pages and completions, so it must run on this machine. The same program makes the same archive.
set -euo pipefail

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

usage="ci/archive.sh --out FOLDER [--target TRIPLE] [--program FILE --sbom FILE]"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
out="" target="" program="" sbom=""
while (($#)); do
    (($# > 1)) || fail "$1 needs a value" "$usage"
    case "$1" in
    --out) out="$2" ;;
    --target) target="$2" ;;
    --program) program="$(realpath -- "$2")" ;;
    --sbom) sbom="$(realpath -- "$2")" ;;
    *) fail "unexpected argument $1" "$usage" ;;
    esac
    shift 2
done
[[ -n "$out" ]] || fail "--out is missing" "$usage"
[[ -n "$program" && -n "$sbom" || -z "$program$sbom" ]] || fail "--program and --sbom go together" "$usage"
if [[ -z "$target" ]]; then
    target="$(rustc -vV | sed -n 's/^host: //p')"
fi
if [[ -z "${SOURCE_DATE_EPOCH:-}" ]]; then
    SOURCE_DATE_EPOCH="$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)"
fi
export SOURCE_DATE_EPOCH
mkdir -p "$out"
out="$(cd "$out" && pwd)"

name="meshagent-$target"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
folder="$work/$name"
mkdir -p "$folder/completions" "$folder/man/man1"

if [[ -z "$program" ]]; then
    for tool in cargo-auditable cargo-cyclonedx; do
        command -v "$tool" >/dev/null || fail "there is no $tool" "cargo install $tool --locked"
    done
    cd "$root"
    cargo auditable build --profile dist --locked --target "$target"
    program="${CARGO_TARGET_DIR:-target}/$target/dist/meshagent"
    cargo cyclonedx --quiet --format json --target "$target" --no-build-deps \
        --override-filename "$name.cdx"
    # There is one list for each crate of the workspace; that of the program has all the others,
    # and tells where the checkout is.
    sbom="$work/sbom"
    sed "s|file://$root|file://.|g" "$name.cdx.json" >"$sbom"
    rm -f "$name.cdx.json" crates/*/"$name.cdx.json"
fi

cp "$program" "$folder/meshagent"
chmod 755 "$folder/meshagent"
cp "$sbom" "$folder/sbom.cdx.json"
for file in LICENSE NOTICE README.md CHANGELOG.md SECURITY.md; do
    cp "$root/$file" "$folder/"
done
"$folder/meshagent" man -d "$folder/man/man1" 2>"$work/told" || {
    cat "$work/told" >&2
    fail "the program does not run on this machine" "build it for this machine, or give another one with --program"
}
"$folder/meshagent" completion bash >"$folder/completions/meshagent.bash"
"$folder/meshagent" completion zsh >"$folder/completions/_meshagent"
"$folder/meshagent" completion fish >"$folder/completions/meshagent.fish"
"$folder/meshagent" completion powershell >"$folder/completions/meshagent.ps1"

# One order, one owner and one time, wherever and whenever it is built.
tar="$(command -v gtar || command -v tar)"
"$tar" --version | grep -q GNU || fail "$tar is not GNU tar" "install it; on macOS: brew install gnu-tar"
"$tar" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" \
    -C "$work" -cf - "$name" | gzip -n >"$work/archive"
# Both files are complete before either gets its name.
mv "$work/archive" "$work/$name.tar.gz"
cd "$work"
if command -v sha256sum >/dev/null; then
    sha256sum "$name.tar.gz" >"$name.tar.gz.sha256"
else
    shasum -a 256 "$name.tar.gz" >"$name.tar.gz.sha256"
fi
for file in "$name.tar.gz" "$name.tar.gz.sha256"; do
    cp "$file" "$out/.$file.new"
    mv "$out/.$file.new" "$out/$file"
done
echo "$out/$name.tar.gz"
