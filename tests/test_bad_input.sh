#!/usr/bin/env bash
# What the program says to bad input: one line that names the fault and what to do, exit status 1,
# and files as they were.
set -eu
farsight=$PWD/$BUILD/farsight
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export OMP_NUM_THREADS=1
faults=0

# refuses PATTERN COMMAND...: the command fails with status 1 and one line that matches.
refuses() {
  local pattern=$1 status=0
  shift
  "$@" >out 2>err </dev/null || status=$?
  if [ "$status" != 1 ] || [ "$(wc -l <err)" != 1 ] || ! grep -qE -- "$pattern" err; then
    printf 'status %s, wanted: %s\n  %s\n%s\n' "$status" "$pattern" "$*" "$(tail -n 5 err)"
    faults=$((faults + 1))
  fi
}

for _ in $(seq 300); do echo " The quick brown fox jumps over the lazy dog . "; done >text
"$farsight" prepare --train text --valid text --tokenizer word --out data >/dev/null
"$farsight" prepare --train text --tokenizer byte --out bytes >/dev/null
small="--width 8 --heads 2 --blocks 1 --length 16 --batch 2 --steps 2 --warmup 1"
train() { # shellcheck disable=SC2086
  "$farsight" train $small --data data --out run --position alibi "$@"
}
train >/dev/null
cp -r run kept
model=run/checkpoint.safetensors
eval_() { "$farsight" eval --model "$model" --data data/valid.bin "$@"; }

# The command line.
refuses 'subcommand' "$farsight"
refuses 'nearest.*--heads' train --head 4
refuses 'width' train --width wide
refuses 'heads = 3 does not divide width = 8' train --out new --heads 3
refuses 'no positional scheme .alibye.; .*alibi' train --out new --position alibye
refuses '--position' "$farsight" train $small --data data --out new
refuses '--data' "$farsight" train $small --out new --position none
refuses '--out' "$farsight" train $small --data data --position none
refuses 'batch must be 1 to .*, not 0' train --out new --batch 0
refuses 'steps must be 1 to .*, not -1' train --out new --steps -1
refuses "rate: 'nan' is not a number" train --out new --rate nan
refuses "clip: 'inf' is not a number" train --out new --clip inf
refuses "seed: '-1' is not a whole number >= 0" train --out new --seed -1
refuses "steps: '99999999999999999999' is not" train --out new --steps 99999999999999999999
refuses "lengths: '' is not" eval_ --lengths ''
refuses 'a window must be' train --out new --window 4294967297
refuses 'needs about .* MiB' train --out new --width 16777216 --blocks 1000
refuses 'no marks' eval_ --lengths 16 --recall-csv recall.csv
refuses "no command 'evla'.*'eval'" "$farsight" evla
refuses 'standard input' bash -c "$farsight encode --tokenizer data </"
refuses 'standard output' bash -c "$farsight schemes >/dev/full"
refuses 'dropout' train --out new --dropout 1.5
refuses 'exists already.*--resume' train
refuses 'length' eval_ --lengths 0
refuses 'stride' eval_ --lengths 16 --stride 17
refuses "lengths: 'x' is not a whole number" eval_ --lengths 16,x
refuses "lengths: '016' is not a whole number" eval_ --lengths 016
refuses 'length 16 is there twice' eval_ --lengths 16,16
refuses 'too few for one window of 100000' eval_ --lengths 16,100000
refuses 'targets' eval_ --max-targets -1
refuses 'no positional scheme' "$farsight" bias --position alibye --heads 2 --distances 0
refuses 'dbar' "$farsight" bias --position alibi --heads 2 --distances 0 --dbar 4
refuses 'distance' "$farsight" bias --position alibi --heads 2 --distances -1
refuses 'heads' "$farsight" bias --position alibi --heads 0 --distances 1
refuses 'dbar must be' "$farsight" bias --position sandwich --heads 2 --sandwich-dbar 64.5
refuses 'halves must be' train --out new --position rotary --rotary-halves 2
refuses 'shape' "$farsight" bench --shape Q
refuses 'numbers' "$farsight" bench --numbers 1,2,3
refuses 'more than' "$farsight" bench --mode gemm --numbers 1,8,1,5,4294967296,4294967296
refuses 'steps must be positive' "$farsight" bench --mode gemm --steps 0
refuses 'of --mode attention' "$farsight" bench --window 5
refuses 'window must be 0 to' "$farsight" bench --mode attention --window 4294967297

for command in field attention; do
  refuses 'tokenizer' "$farsight" $command --model "$model" --data bytes/train.bin
  refuses 'too few for 64 different sequences of 9999999' "$farsight" $command --model "$model" \
    --data data/valid.bin --lengths 9999999
  refuses 'number of sequences' "$farsight" $command --model "$model" --data data/valid.bin --sequences 0
done
refuses 'threshold' "$farsight" field --model "$model" --data data/valid.bin --threshold 1.5
refuses 'share' "$farsight" attention --model "$model" --data data/valid.bin --share 0
sweep() { "$farsight" sweep $small --data data --out new --position alibi "$@"; }
refuses 'nothing to vary' sweep
refuses "nearest known one is 'window'" sweep --vary windows=1,2
refuses 'the run heads=3: heads = 3 does not divide' sweep --vary heads=2,3
refuses 'sequences' sweep --vary seed=1,2 --sequences -1
refuses 'valid.bin: not found' sweep --vary seed=1 --data bytes
echo 'vary = "seed=1,2"' >sweep.toml
refuses "sweep.toml: unknown setting 'vary'" train --out new --config sweep.toml

generate() { "$farsight" generate --model "$model" --prompt ' The quick' "$@"; }
refuses 'the prompt is empty' generate --prompt ''
refuses 'top-p' generate --top-p 2
refuses 'tokens must be' generate --tokens -1
refuses 'another tokenizer' generate --tokenizer bytes
refuses '--window takes' generate --window far
refuses '--data' generate --window measured
refuses 'epsilon' eval_ --window auto --epsilon 0
refuses "no extension 'algin'; known are: linear, .*, align" eval_ --extend algin
refuses 'has none to extend' eval_ --extend yarn
refuses 'no meaning without' eval_ --extend-temperature 0.5
cost() { "$farsight" cost "$@" --data data/valid.bin --lengths 16; }
refuses 'is no case' cost "$model"
refuses 'nothing.safetensors: cannot be read' cost nothing.safetensors=full
refuses '--window takes' cost "$model"=wide
refuses 'what the text has' cost "$model"=full --lengths 9999999

refuses 'is no finished run' "$farsight" report data --out new/report.html

# Configuration files.
echo 'widht = 8' >typo.toml
refuses "typo.toml: unknown setting 'widht'.*'width'" train --out new --config typo.toml
echo 'rate = "fast"' >type.toml
refuses 'type.toml: rate' train --out new --config type.toml
echo 'width 8 [' >syntax.toml
refuses 'syntax.toml' train --out new --config syntax.toml
echo 'clip = []' >none-of-it.toml
refuses 'clip takes one value, not 0' train --out new --config none-of-it.toml
echo 'clip = [1, 2]' >two.toml
refuses 'clip takes one value, not 2' train --out new --config two.toml
printf 'width = 8\nwidth = 8\n' >twice.toml
refuses 'width' train --out new --config twice.toml
printf '[model]\nwidth = 8\n' >section.toml
refuses 'sections such as \[model\]' train --out new --config section.toml
refuses 'data: not found' train --out new --config data
refuses 'none.toml: not found' train --out new --config none.toml

# Token files.
damage() { mkdir -p "$1" && cp data/train.bin "$1/train.bin"; }
refuses 'nowhere/train.bin: not found; make it with .farsight prepare' train --out new --data nowhere
damage empty && : >empty/train.bin
refuses 'empty/train.bin: is empty' train --out new --data empty
damage cut && truncate -s -10 cut/train.bin
refuses 'cut/train.bin: .*truncated' train --out new --data cut
damage header && truncate -s 50 header/train.bin
refuses 'header/train.bin: .*header' train --out new --data header
damage flipped && printf '\377' | dd of=flipped/train.bin bs=1 seek=500 conv=notrunc status=none
refuses 'flipped/train.bin: .*(damaged|checksum|outside)' train --out new --data flipped
mkdir foreign && cp text foreign/train.bin
refuses 'foreign/train.bin: is no token file' train --out new --data foreign
refuses 'too few for one sequence' train --out new --length 100000
refuses 'tokenizer|vocabulary' "$farsight" eval --model "$model" --data bytes/train.bin

# Checkpoints.
refuses 'nothing.safetensors: cannot be read' "$farsight" eval --model nothing.safetensors --data data/valid.bin
cp "$model" cut.safetensors && truncate -s -10 cut.safetensors
refuses 'cut.safetensors: not a sound .*claims bytes' "$farsight" eval --model cut.safetensors --data data/valid.bin
cp "$model" flipped.safetensors
printf '\377\377' | dd of=flipped.safetensors bs=1 seek=9000 conv=notrunc status=none
refuses 'flipped.safetensors: .*(damaged|checksum)' "$farsight" eval --model flipped.safetensors \
  --data data/valid.bin
refuses 'text: not a sound .*header' "$farsight" eval --model text --data data/valid.bin
refuses 'width' train --resume --width 16 --steps 4
"$farsight" train $small --data data --out learned --position learned >/dev/null
refuses 'has 16 positions and cannot reach 32' "$farsight" eval --model learned/checkpoint.safetensors --data data/valid.bin \
  --lengths 32

# Text.
refuses 'missing: cannot be read' "$farsight" prepare --train missing --out new
: >nothing
refuses 'nothing: is empty' "$farsight" prepare --train nothing --out new
printf 'fine \377 not\n' >invalid
refuses 'invalid: byte 5: .*UTF-8' "$farsight" prepare --train invalid --out new
"$farsight" prepare --train invalid --tokenizer byte --out invalid-bytes >/dev/null
refuses 'one way' "$farsight" prepare --out new
refuses "no tokenizer 'words'" "$farsight" prepare --train text --tokenizer words --out new
refuses 'tokenizer.json' "$farsight" encode --tokenizer nowhere
refuses 'is no token id' bash -c "echo 1 x | $farsight decode --tokenizer data"
refuses '99999' bash -c "echo 1 99999 | $farsight decode --tokenizer data"

# Files that cannot be written: a folder that is a file, and a disk that is full.
refuses 'text/run' train --out text/run
refuses 'text/out' "$farsight" prepare --train text --out text/out
refuses 'text: cannot create this folder' eval_ --lengths 16 --csv text/x.csv
refuses 'the parameters are not finite|the loss of step' train --out blown --rate 1e38 --steps 9
full() { (trap '' XFSZ && ulimit -f 2 && "$@"); }
refuses 'checkpoint.safetensors: cannot write it all .*as it was before' \
  full "$farsight" train $small --data data --out run --position alibi --resume --steps 4
refuses 'cannot write it all' full "$farsight" prepare --train text --tokenizer byte --out data
refuses 'standard output' bash -c "$farsight bias --position alibi --heads 2 --distances 0 >/dev/full"

cmp "kept/${model#run/}" "$model" || faults=$((faults + 1))
[ ! -e new ] || { echo "left behind: new"; faults=$((faults + 1)); }
[ -z "$(find . -name '*.tmp*')" ] || { echo "temporary files left"; faults=$((faults + 1)); }
[ "$faults" = 0 ]
