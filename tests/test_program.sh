#!/usr/bin/env bash
# The program as its users run it: prepare, train, interrupt, resume, evaluate.
set -eu
farsight=$PWD/$BUILD/farsight
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export OMP_NUM_THREADS=1

fail() {
  echo "$*"
  exit 1
}

# Tokenizers: what goes in comes out.
for _ in $(seq 400); do echo " The quick brown fox jumps over the lazy dog — naïve , 42 \"times\" ."; done >text
"$farsight" prepare --train text --valid text --tokenizer bpe --vocab-size 300 --out data >/dev/null
"$farsight" encode --tokenizer data <text | "$farsight" decode --tokenizer data | cmp - text ||
  fail 'decoding does not give the text back'

# Settings: the command line goes before the file, the file before the defaults.
cat >small.toml <<'END'
width = 16
heads = 2
blocks = 1
length = 32
batch = 2
steps = 7
warmup = 1
dropout = 0.1
log-every = 1
evaluate-every = 20
checkpoint-every = 1000
position = "kerple_log"
END
"$farsight" train --config small.toml --data data --out first --steps 3 >out
grep -q '1 blocks, width 16, 2 heads, kerple_log' out || fail "the file's settings do not count"
grep -q '3 steps of 2 x 32 tokens' out || fail 'the command line does not go before the file'

# Ctrl-C saves, and going on gives the same bits and the same log as not stopping.
"$farsight" train --config small.toml --data data --out whole --steps 400 >/dev/null
"$farsight" train --config small.toml --data data --out parts --steps 400 >out &
until [ -e parts/log.csv ] && [ "$(wc -l <parts/log.csv)" -gt 20 ]; do sleep 0.02; done
kill -INT $!
status=0
wait $! || status=$?
[ "$status" = 130 ] || fail "exit status $status after an interruption"
grep -q 'interrupted at step .* --resume' out || fail 'nothing is said of the interruption'
"$farsight" train --config small.toml --data data --out parts --steps 400 --resume >out
grep -q 'resumed  at step' out || fail 'it did not go on where it stopped'
sed 's/"out\\":\\"[a-z]*\\"//; s/xxh64:[0-9a-f]*//' whole/checkpoint.safetensors >a
sed 's/"out\\":\\"[a-z]*\\"//; s/xxh64:[0-9a-f]*//' parts/checkpoint.safetensors >b
cmp a b || fail 'an interrupted run ends with other parameters'
cut -d, -f1-5,7 whole/log.csv >a
cut -d, -f1-5,7 parts/log.csv >b
cmp a b || fail "an interrupted run's log differs"
"$farsight" train --config small.toml --data data --out parts --steps 400 --rate 0.5 --resume >out
grep -q 'changed  rate = 0.5 (was 0.001)' out || fail 'a changed setting is not mentioned'

# A sweep that is interrupted goes on, with the same results as one that was not; files of settings
# go before earlier ones.
echo 'batch = 3' >first.toml
cat >second.toml <<'END'
batch = 2
log-every = 50
evaluate-every = 0
vary = ["position=alibi,none", "steps=300,3000"]
lengths = [32, 64]
END
sweep=("$farsight" sweep --config small.toml first.toml second.toml --data data --sequences 2 --out)
"${sweep[@]}" whole-sweep >out
[ "$(grep -c 'steps of 2 x 32 tokens' out)" = 4 ] || fail 'the later file does not go before'
"${sweep[@]}" parts-sweep >out &
until [ -e parts-sweep/alibi_steps=3000/log.csv ]; do sleep 0.02; done
kill -INT $!
status=0
wait $! || status=$?
[ "$status" = 130 ] || fail "exit status $status after an interruption of a sweep"
"${sweep[@]}" parts-sweep >out
grep -q 'trained already: parts-sweep/alibi_steps=300/' out || fail 'the sweep did a run again'
grep -q 'resumed  at step' out || fail 'the sweep did not go on'
cmp whole-sweep/sweep.csv parts-sweep/sweep.csv || fail 'an interrupted sweep has other results'

# Generation goes on from the prompt, the same for the same seed and with windows that cut nothing.
generate=("$farsight" generate --model parts-sweep/alibi_steps=300/checkpoint.safetensors --tokens 40
  --prompt ' The quick')
"${generate[@]}" >a 2>said
grep -q '^ The quick' a && grep -q 'tokens/s; windows by head: all' said || fail 'generate says nothing'
"${generate[@]}" --window 100 >b 2>/dev/null
cmp a b || fail 'windows that cut nothing change what is generated'
"${generate[@]}" --seed 2 >b 2>/dev/null
! cmp -s a b || fail 'another seed generates the same'
echo -n ' The quick' | "${generate[@]}" --prompt - 2>/dev/null | cmp - a || fail 'a prompt from standard input'

# What a context costs.
"$farsight" cost parts-sweep/alibi_steps=300/checkpoint.safetensors={full,auto,8} --data data/valid.bin \
  --lengths 64,256 --targets 256 --generated 4 --out cost >out
[ "$(wc -l <cost/cost.csv)" = 7 ] && grep -q '^alibi_steps=300 auto,256,256,' cost/cost.csv ||
  fail 'cost leaves something else'

# Results on standard output are CSV alone.
"$farsight" eval --model parts/checkpoint.safetensors --data data/valid.bin --lengths 32,2048 \
  --csv - >csv 2>/dev/null
[ "$(head -n 1 csv)" = 'length,stride,targets,nll,token_ppl,word_ppl,bits_per_byte' ] &&
  [ "$(wc -l <csv)" = 3 ] || fail 'eval --csv - prints something else'
[ "$("$farsight" bias --position sandwich --heads 8 --distances 0,1 | sed -n '1,2p')" = \
  "$(printf 'head,distance,bias\n1,0,64')" ] || fail 'bias prints something else'
