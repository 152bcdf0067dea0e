#!/usr/bin/env bash
# Tests on other processors, emulated: the format on 32-bit Arm, where `usize` is no wider than the fields of a file; the
# kernels on 64-bit Arm, where the Neon backend runs. They are the packages' own tests, with fewer random cases.
#
#     interop/arm.sh [FOLDER]      the folder is kept, and makes the next run short; without one it is temporary
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(realpath -m "${1:-$(mktemp -d)}")
[ $# -gt 0 ] || trap 'rm -rf "$work"' EXIT
"$repository/interop/unpack.sh" "$work"
export PROPTEST_CASES=${PROPTEST_CASES:-32}

# Debian's compiler brings the standard library's source that fits it.
emulated() { # package, QEMU's name of the processor, Rust's target, the C compiler's prefix; then what to test
    local processor=$2 target=$3 prefix=$4 variable
    cd "$work/$1"-[0-9]*
    # Without what only benchmarks and examples need, and with optimisation where it saves more than it costs.
    awk '/^\[/ { drop = /^\[\[bench\]\]|\.(criterion|memmap2|sprs)\]/ } !drop' Cargo.toml >slim.toml && mv slim.toml Cargo.toml
    variable=CARGO_TARGET_$(echo "${target^^}" | tr - _)
    env PATH="/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=2 \
        "${variable}_LINKER=$prefix-gcc" "${variable}_RUNNER=qemu-$processor -L /usr/$prefix" \
        /usr/bin/cargo test --target-dir "$work/arm" --config 'profile.dev.package."*".opt-level=0' \
        --target "$target" -Zbuild-std=std,panic_abort,test "${@:5}"
}

emulated nested-csr arm armv7-unknown-linux-gnueabihf arm-linux-gnueabihf \
    --features proptest --test laws --test model --test worked --test corruption -- --skip random_damage
# Not the tests of all small shapes, which take minutes here, nor those of the Cortex-M kernels, which run in `nested-bench m7`.
emulated nested-kernels aarch64 aarch64-unknown-linux-gnu aarch64-linux-gnu --lib -- --skip all_small_shapes --skip arm_dsp
