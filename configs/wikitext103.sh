#!/usr/bin/env bash
# Fetch WikiText-103 (or use a folder that has it), prepare, train, evaluate.
# Usage: configs/wikitext103.sh FARSIGHT FOLDER [WIKITEXT]. Goes on where it was interrupted.
set -eu
farsight=$1 out=$2 text=${3:-}
if [ -z "$text" ]; then
  data/fetch.sh raw "$out/text"
  text="$out/text/wikitext-103-raw"
fi
if [ ! -e "$out/data/train.bin" ]; then  # the last one that is put in its place
  "$farsight" prepare --text "$text" --tokenizer bpe --vocab-size 16384 --out "$out/data"
fi
"$farsight" train --config configs/wikitext103.toml --data "$out/data" --out "$out/run" --resume
"$farsight" eval --model "$out/run/checkpoint.safetensors" --data "$out/data/valid.bin" \
  --lengths 256,512,1024,2048,4096 --csv "$out/run/eval.csv"
