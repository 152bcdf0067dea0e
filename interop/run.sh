#!/usr/bin/env bash
# Uses the crates as somebody else would: packages them as for the registry, unpacks the packages outside the repository,
# and builds a new app on each crate alone, and the firmware that docs/embedded.md shows; then a C program, written from
# docs/format.md, reads what the first app wrote.
#
#     interop/run.sh [FOLDER]      the folder is kept; without one it is temporary
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(realpath -m "${1:-$(mktemp -d)}")
[ $# -gt 0 ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apps" "$work/files"
"$repository/interop/unpack.sh" "$work"

new() { # name
    rm -rf "$work/apps/$1"
    cargo new --quiet --vcs none "$work/apps/$1"
    cd "$work/apps/$1"
}
app() { # name, dependencies…
    new "$1"
    cp "$repository/interop/apps/$1.rs" src/main.rs
    shift
    printf '%s\n' "$@" >>Cargo.toml
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

# What docs/embedded.md says to write, linked for a Cortex-M7: Debian's compiler brings the standard library's source.
shown() { awk -v begin="^\`\`\`$1" -v number="$2" '$0 ~ begin { on = ++n == number; next } /^```/ { on = 0 } on' "$repository/docs/embedded.md"; }
new firmware
sed -i '/^\[dependencies\]/d' Cargo.toml && shown toml 1 >>Cargo.toml
mkdir -p .cargo && shown toml 2 >.cargo/config.toml
shown rust 1 >src/main.rs && shown text 1 >memory.x
cp "$repository/benches/models/resnet8-w0.5-1x1.ncsr" model.ncsr
env -u RUSTFLAGS PATH="/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
    CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=arm-none-eabi-ld /usr/bin/cargo build --quiet --release -Zbuild-std=core
arm-none-eabi-size "$CARGO_TARGET_DIR/thumbv7em-none-eabihf/release/firmware"

cc -std=c99 -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -o "$work/read_ncsr" "$repository/interop/read_ncsr.c"
count=0
for file in "$work"/files/*.ncsr; do
    "$work/read_ncsr" "$file" | cmp - "${file%.ncsr}.txt"
    count=$((count + 1))
done
echo "interop: $count files read alike in Rust and in C"
