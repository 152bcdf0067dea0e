#!/usr/bin/env bash
# Packages the crates as for the registry and unpacks them into a folder, where they stand in for what is not published yet:
# whatever is built below that folder takes them when it asks for them by name.
#
#     interop/unpack.sh FOLDER
set -euo pipefail
work=$(realpath -m "$1")
crates=(nested-csr nested-kernels nested-mask)
cd "$(dirname "$0")/.."
mkdir -p "$work/.cargo"
cargo package --quiet --no-verify --allow-dirty $(printf -- '-p %s ' "${crates[@]}") --target-dir "$work/package"
: >"$work/.cargo/config.toml"
for crate in "${crates[@]}"; do
    rm -rf "$work/$crate"-[0-9]*
    tar -xzf "$work/package/package/$crate"-[0-9]*.crate -C "$work"
    size=$(stat -c %s "$work/package/package/$crate"-[0-9]*.crate)
    [ "$size" -lt 200000 ] || { echo "the package of $crate has $size bytes, more than 200,000"; exit 1; }
    [ -s "$work/$crate"-[0-9]*/LICENSE ] || { echo "the package of $crate lacks its LICENSE"; exit 1; }
    printf '[patch.crates-io.%s]\npath = "%s"\n' "$crate" "$(echo "$work/$crate"-[0-9]*)" >>"$work/.cargo/config.toml"
done
