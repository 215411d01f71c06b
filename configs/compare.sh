#!/usr/bin/env bash
# Trains a model with each scheme, evaluates it at 1x to 16x the training length, and compares.
# Usage: configs/compare.sh FARSIGHT CONFIG DATA OUT LENGTHS SCHEME...
#   CONFIG   settings for `farsight train`; DATA a folder made by `farsight prepare`
#   OUT      receives a folder for each scheme, the table and the plots
#   LENGTHS  for example 128,256,512
# Goes on where it was interrupted.
set -eu
farsight=$1 config=$2 data=$3 out=$4 lengths=$5
shift 5
runs=()
for scheme in "$@"; do
  run="$out/$scheme"
  checkpoint="$run/checkpoint.safetensors"
  printf '\n%s\n' "== $scheme =="
  "$farsight" train --config "$config" --data "$data" --out "$run" --position "$scheme" --resume
  "$farsight" eval --model "$checkpoint" --data "$data/valid.bin" --lengths "$lengths" \
    --csv "$run/eval.csv" --recall-csv "$run/recall.csv"
  runs+=("$run")
done
"$farsight" compare "${runs[@]}" --out "$out"
