#!/usr/bin/env bash
# What ptxas says of the CUDA kernels: registers, shared memory and spills, the most that any
# architecture has of each. Exit status 1 if a kernel has more than 32 bytes in local memory, be they
# spilled or an array whose index is not known: a few words that wait for the end of a kernel outside
# its loops may go there, what the loops use may not. Without a toolkit there is nothing to say.
set -u
logs=("${1:-$BUILD}"/cuda/cuda/*.o.log)
[ -e "${logs[0]}" ] || exit 0
cat "${logs[@]}" | c++filt | sed 's/farsight:://g; s/(anonymous namespace):://g' | awk '
  function most(table, value) { if (value + 0 > table[kernel] + 0) table[kernel] = value + 0 }
  /Compiling entry function/ {
    split($0, quoted, "\047")
    kernel = quoted[2]
    sub(/^void /, "", kernel)
    sub(/\(.*/, "", kernel)
  }
  /bytes stack frame/ { most(spilled, $1) }
  /Used [0-9]+ registers/ {
    for (i = 2; i <= NF; ++i) {
      if ($i ~ /^registers/) most(registers, $(i - 1))
      if ($i ~ /^smem/) most(shared, $(i - 2))
    }
  }
  END {
    printf "%-50s registers  static shared memory  local bytes\n", "kernel"
    for (kernel in registers) {
      printf "%-50s %9d %21d %14d\n", kernel, registers[kernel], shared[kernel], spilled[kernel] | "sort"
      bad += spilled[kernel] > 32
    }
    close("sort")
    if (bad) { print bad " kernels keep numbers in local memory"; exit 1 }
  }'
