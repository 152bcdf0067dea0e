#!/usr/bin/env bash
# Compares each crate's public API with the list committed in interop/api, so that a breaking change is deliberate.
#
#     interop/api.sh            fails and shows what differs
#     interop/api.sh --bless    writes the lists anew
#
# The lists come from rustdoc's JSON, through cargo-public-api, which is installed into target/tools when it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.52.0
tools=$PWD/target/tools
[ -x "$tools/bin/cargo-public-api" ] || cargo install --quiet --locked --root "$tools" "cargo-public-api@$version"

status=0
for crate in nested-csr nested-kernels nested-mask; do
    # The JSON is unstable, hence the variable; the tool's version goes with the form that the compiler writes.
    RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet -p "$crate" --lib --all-features --target-dir target/api -- \
        -Zunstable-options --output-format json
    list=$("$tools/bin/cargo-public-api" --rustdoc-json "target/api/doc/${crate//-/_}.json" -sss)
    if [ "${1:-}" = --bless ]; then
        mkdir -p interop/api && echo "$list" >"interop/api/$crate.txt"
    elif ! diff -u "interop/api/$crate.txt" <(echo "$list"); then
        echo "the public API of $crate differs from interop/api/$crate.txt: if it is meant, run interop/api.sh --bless"
        status=1
    fi
done
exit $status
