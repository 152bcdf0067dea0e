#!/usr/bin/env bash
# Each feature alone, none, and all together: on the host, and what needs no `std` on a microcontroller.
#
# The lints check the declared Rust version as well: `clippy::incompatible_msrv` refuses what came into the standard library
# after it.
set -euo pipefail
cd "$(dirname "$0")/.."

host() { echo "host: $*" && cargo clippy --quiet --lib "$@" -- -D warnings; }

# Debian's compiler brings the standard library's source that fits it. First the target.
thumb() {
    echo "$*"
    PATH=/usr/bin:$PATH RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo clippy --quiet --lib --target-dir target/thumb \
        --target "$1" -Zbuild-std=core,alloc "${@:2}" -- -D warnings
}
dsp=thumbv7em-none-eabihf portable=thumbv7m-none-eabi

host -p nested-csr --no-default-features
for feature in alloc std proptest; do host -p nested-csr --no-default-features --features "$feature"; done
host -p nested-csr --all-features

host -p nested-kernels --no-default-features
for feature in std rayon; do host -p nested-kernels --no-default-features --features "$feature"; done
host -p nested-kernels --all-features

host -p nested-mask # it has no features

thumb $dsp -p nested-csr --no-default-features
thumb $dsp -p nested-csr --no-default-features --features alloc
thumb $dsp -p nested-kernels --no-default-features
thumb $portable -p nested-kernels --no-default-features # the portable kernels of 32-bit Arm
