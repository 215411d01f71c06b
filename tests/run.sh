#!/usr/bin/env bash
# Runs every test: tests/lint.sh, tests/test_*.sh and the given Catch2 programs. Prints what failed,
# and ends with the line "N passed, N failed", in which each script and each Catch2 test case counts
# as one. Usage: tests/run.sh BUILD PROGRAM…
set -u
export BUILD=$1
shift
# Threads that wait asleep: on a busy machine, ones that spin take the processor from those at work.
export OMP_WAIT_POLICY=passive
passed=0 failed=0

# A script finds the build folder in $BUILD, and counts as one.
run_script() {
  local output
  if output=$("$1" 2>&1); then
    passed=$((passed + 1))
    printf '%s: passed\n' "$1"
  else
    failed=$((failed + 1))
    printf 'FAILED: %s\n%s\n' "$1" "$output"
  fi
}

# A Catch2 program counts by its last line (tests/main.cpp). One that ends without it, or that fails
# though its line says nothing of it, died: that is a failure of its own.
run_cases() {
  local output status totals
  output=$("$1" 2>&1)
  status=$?
  totals=$(sed -n 's/^cases: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' <<<"$output" | tail -n 1)
  set -- "$1" ${totals:-0 0}
  passed=$((passed + $2))
  failed=$((failed + $3))
  if [ "$status" != 0 ] || [ "$(($2 + $3))" = 0 ]; then
    [ "$3" != 0 ] || failed=$((failed + 1))
    printf 'FAILED: %s, exit status %d\n%s\n' "$1" "$status" "$output"
  else
    printf '%s: %d test cases passed\n' "$1" "$2"
  fi
}

for script in tests/lint.sh tests/test_*.sh; do
  run_script "$script"
done
for program; do
  run_cases "$program"
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
