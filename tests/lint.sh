#!/usr/bin/env bash
# The design's rules, checked: who may include whom, where schemes and CUDA may be named, how long
# files and lines may be, and the layout of the code. Prints one line per fault; exit status 1 if
# there is any. Usage: tests/lint.sh
set -u
cd "$(dirname "$0")/.." || exit 1
faults=$(mktemp)
trap 'rm -f "$faults"' EXIT

# Prints "file:line: text" lines from standard input behind a message.
report() {
  local line
  while IFS= read -r line; do
    printf '%s: %s\n' "$(cut -d: -f1,2 <<<"$line")" "$1"
    echo >>"$faults"
  done
}

sources() { find core nn train cuda data docs tests \( -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o \
  -name '*.cuh' \) \
  2>/dev/null | sort; }
in_folder() { sources | grep "^$1/"; }

# Includes point one way: core <- nn <- train; cuda -> core; data alone.
may_include() { # folder, allowed folders as a pattern
  in_folder "$1" | grep -v '^train/main\.cpp$' |
    xargs -r grep -nHE '#include "' | grep -vE "#include \"($2)/" |
    report "$1/ may include only $2"
}
may_include core 'core'
may_include nn 'core|nn'
may_include train 'core|nn|train'
may_include cuda 'core|cuda'
may_include data 'data'

# No scheme is named outside its own file: a quoted name in the code.
for file in nn/position/*.cpp; do
  for name in $(sed -n 's/.*PositionEntry entry("\([a-z0-9_]*\)".*/\1/p' "$file"); do
    sources | grep -v -e '^tests/' -e "^$file\$" | xargs grep -nH "\"$name\"" |
      grep -vE '^[^:]*:[0-9]*: *//' |
      report "names the scheme $name, whose file is $file"
  done
done

sources | grep -vE '^(cuda|docs|tests/cuda)' | xargs grep -nHE '__CUDA|__global__|WITH_CUDA' |
  report 'CUDA belongs into cuda/'
grep -nHE -- '^[^#]*(-ffast-math|-Ofast)' Makefile | report 'inexact arithmetic is not for this project'

sources | while read -r file; do
  lines=$(wc -l <"$file")
  [ "$lines" -le 300 ] || echo "$file:$lines: "
done | report 'is longer than 300 lines'
sources | xargs awk 'function width(s) { gsub(/[\200-\277]/, "", s); return length(s) }
  width($0) > 100 { print FILENAME ":" FNR ": " }' | report 'is longer than 100 columns'
for file in $(sources); do
  head -c 2 "$file" | grep -q '//' || echo "$file:1: "
done | report 'does not open with a comment that says what it is'

# The README shows a whole scheme: it must be the one that is there.
awk '/^```cpp$/ { on = 1; next } /^```$/ && on { exit } on' README.md |
  cmp -s - nn/position/alibi.cpp ||
  echo 'README.md:1: ' | report 'shows another nn/position/alibi.cpp than there is'

# Versions of clang-format differ in details; version 14 decides.
if command -v clang-format >/dev/null && clang-format --version | grep -q 'version 14'; then
  for file in $(sources); do
    clang-format "$file" | cmp -s - "$file" || echo "$file:1: "
  done | report 'is not laid out by clang-format; run make format'
else
  echo 'lint: layout not checked, since clang-format 14 is not here'
fi

[ ! -s "$faults" ]
