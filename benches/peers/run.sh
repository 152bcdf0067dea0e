#!/bin/sh
# Measures ours and the other engines in turns, and writes docs/performance.md with its figures.
#
#     benches/peers/run.sh [ROUNDS]
#
# Needs cargo, python3 and both registries (crates.io, PyPI). The first call builds everything and makes a Python
# environment in target/peers; from then on the measurement takes about five minutes with the default of three rounds.
set -eu
rounds=${1:-3}
cd "$(dirname "$0")/../.."
work=target/peers
mkdir -p "$work"

if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet -r benches/peers/requirements.txt
fi
python=$work/venv/bin/python
cargo build --release --package nested-bench
RUSTFLAGS="--cfg nested_kernels_force_portable" cargo build --release --package nested-bench --target-dir target/portable
cargo build --release --manifest-path benches/peers/Cargo.toml

ours=target/release/nested-bench
portable=target/portable/release/nested-bench
peers=benches/peers/target/release/nested-peers
"$ours" host --shapes "$work/shapes.json"
"$python" benches/peers/peers.py models "$work/shapes.json" "$work/onnx"

rm -f "$work"/host*.json "$work"/train*.json
round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    echo "round $round of $rounds"
    "$ours" host --rounds 3 --json "$work/host.json" >/dev/null
    "$python" benches/peers/peers.py time "$work/onnx" "$work/host-python.json"
    "$peers" time "$work/onnx" "$work/host-rust.json"
    "$portable" host --rounds 1 --name ours-portable --json "$work/host-portable.json" >/dev/null
    "$ours" train-speed --json "$work/train.json" >/dev/null
    "$python" benches/peers/peers.py train "$work/train-python.json"
    "$peers" train "$work/train-rust.json"
done
"$ours" performance --out docs \
    --host "$work/host.json" --host "$work/host-python.json" --host "$work/host-rust.json" \
    --host "$work/host-portable.json" \
    --train "$work/train.json" --train "$work/train-python.json" --train "$work/train-rust.json"
echo "docs/performance.md is written"
