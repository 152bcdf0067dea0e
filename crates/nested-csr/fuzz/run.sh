#!/usr/bin/env bash
# Builds the fuzz targets with coverage feedback on a stable compiler and runs one:
#   fuzz/run.sh parse|resealed|differential [libFuzzer options, such as -runs=100000 or -max_total_time=600]
# Where cargo-fuzz is installed, `cargo +nightly fuzz run TARGET` does the same with its sanitizers.
set -euo pipefail
cd "$(dirname "$0")"
target=${1:?parse, resealed or differential}
shift
host=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
coverage+=" -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
RUSTC_BOOTSTRAP=1 RUSTFLAGS="$coverage" cargo build --quiet --release --target "$host" --bin "$target"
# What is found goes to found/; the committed corpus is only read.
mkdir -p "found/$target" artifacts
exec "target/$host/release/$target" "found/$target" "corpus/$target" ../tests/golden -artifact_prefix=artifacts/ -max_len=4096 "$@"
