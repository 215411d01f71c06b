#!/usr/bin/env bash
# The main job on the embedded corpus: train each scheme at length 128, evaluate at 128 to 2048,
# compare. Usage: configs/demo.sh FARSIGHT FOLDER SCHEME... Goes on where it was interrupted.
set -eu
farsight=$1 out=$2
shift 2
"$farsight" prepare --embedded --out "$out/data"
runs=()
for scheme in "$@"; do
  run="$out/$scheme"
  printf '\n%s\n' "== $scheme =="
  "$farsight" train --config configs/demo.toml --data "$out/data" --out "$run" \
    --position "$scheme" --resume
  "$farsight" eval --model "$run/checkpoint.safetensors" --data "$out/data/valid.bin" \
    --lengths 128,256,512,1024,2048 --csv "$run/eval.csv" --recall-csv "$run/recall.csv"
  runs+=("$run")
done
"$farsight" compare "${runs[@]}" --out "$out"
