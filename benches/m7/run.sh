#!/bin/sh
# Builds the firmware and runs it on a QEMU board (default: mps2-an500, a Cortex-M7).
set -e
cd "$(dirname "$0")"
board=${1:-mps2-an500}
if rustc --print target-libdir --target thumbv7em-none-eabihf 2>/dev/null | xargs ls >/dev/null 2>&1; then
    cargo build --release --target thumbv7em-none-eabihf
else
    PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=${LINKER:-arm-none-eabi-ld} \
      RUSTFLAGS="$RUSTFLAGS -Ctarget-cpu=cortex-m7" /usr/bin/cargo build --release --target thumbv7em-none-eabihf -Zbuild-std=core,alloc
fi
exec qemu-system-arm -M "$board" -icount shift=6 -nographic -monitor none -serial none \
    -semihosting-config enable=on,target=native -kernel target/thumbv7em-none-eabihf/release/nested-m7
