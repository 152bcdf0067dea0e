#!/usr/bin/env bash
# Tests on other processors, emulated: the format on 32-bit Arm, where `usize` is narrower than the fields of a file allow; the
# kernels on 64-bit Arm, where the Neon backend runs. They are the host's tests with fewer random cases.
set -euo pipefail
cd "$(dirname "$0")/.."
export PROPTEST_CASES=${PROPTEST_CASES:-32}

# Debian's compiler brings the standard library's source that fits it.
emulated() { # QEMU's name of the processor, Rust's target, the C compiler's prefix; then what to test
    local processor=$1 target=$2 prefix=$3
    local variable=${target^^}
    variable=CARGO_TARGET_${variable//-/_}
    env PATH="/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        "${variable}_LINKER=$prefix-gcc" "${variable}_RUNNER=qemu-$processor -L /usr/$prefix" \
        /usr/bin/cargo test --target-dir target/arm --config 'profile.dev.package."*".opt-level=1' --target "$target" -Zbuild-std=std,panic_abort,test "${@:4}"
}

emulated arm armv7-unknown-linux-gnueabihf arm-linux-gnueabihf \
    -p nested-csr --features proptest --test laws --test model --test worked
emulated aarch64 aarch64-unknown-linux-gnu aarch64-linux-gnu -p nested-kernels --lib
