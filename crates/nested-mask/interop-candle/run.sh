#!/usr/bin/env bash
# Trains with candle and nested-mask's masks, and fails when a level learns too little. It has a workspace of its own, so that
# candle's build does not slow the tests of the others.
set -euo pipefail
exec cargo run --release --manifest-path "$(dirname "$0")/Cargo.toml" --target-dir "$(dirname "$0")/../../../target/interop-candle"
