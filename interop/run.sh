#!/usr/bin/env bash
# Uses the crates as somebody else would: packages them as for the registry, unpacks the packages outside the repository,
# and builds a new app on each crate alone; then a C program, written from docs/format.md, reads what the first app wrote.
#
#     interop/run.sh [FOLDER]      the folder is kept; without one it is temporary
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(realpath -m "${1:-$(mktemp -d)}")
[ $# -gt 0 ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apps" "$work/files"
"$repository/interop/unpack.sh" "$work"

app() { # name, dependencies…
    local name=$1
    rm -rf "$work/apps/$name"
    cargo new --quiet --vcs none "$work/apps/$name"
    cp "$repository/interop/apps/$name.rs" "$work/apps/$name/src/main.rs"
    shift
    printf '%s\n' "$@" >>"$work/apps/$name/Cargo.toml"
    cd "$work/apps/$name"
}
export CARGO_TARGET_DIR=$work/target RUSTFLAGS="-D warnings" ASAN_OPTIONS=detect_leaks=0

app csr 'nested-csr = { version = "0.1", features = ["proptest"] }' 'proptest = "1"'
cargo run --quiet -- "$work/files" "$repository"/benches/models/*.ncsr
mkdir -p tests # the property test that the README shows
awk '/^```rust,ignore/ { on = 1; next } /^```/ { on = 0 } on' "$work"/nested-csr-[0-9]*/README.md >tests/format.rs
cargo test --quiet --test format

app kernels 'nested-kernels = "0.1"'
for model in "$repository"/benches/models/*.ncsr; do cargo run --quiet -- "$model"; done

app mask 'nested-mask = "0.1"'
cargo run --quiet

cc -std=c99 -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -o "$work/read_ncsr" "$repository/interop/read_ncsr.c"
count=0
for file in "$work"/files/*.ncsr; do
    "$work/read_ncsr" "$file" | cmp - "${file%.ncsr}.txt"
    count=$((count + 1))
done
echo "interop: $count files read alike in Rust and in C"
