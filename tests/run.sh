#!/usr/bin/env bash
# Runs every test and ends with the line "N passed, N failed". Usage: tests/run.sh BUILD
set -u
build=$1
passed=0 failed=0

# One Catch2 program: each of its test cases counts.
run_cases() {
  local program=$1 name
  while IFS= read -r name; do
    [ -n "$name" ] || continue
    if output=$("$program" "$name" 2>&1); then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      printf 'FAILED: %s: %s\n%s\n' "$(basename "$program")" "$name" "$output"
    fi
  done < <("$program" --list-test-names-only 2>/dev/null; true)
}

# One script.
run_script() {
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s\n%s\n' "$*" "$output"
  fi
}

for script in tests/test_*.sh; do
  [ -e "$script" ] && run_script "$script" "$build"
done
run_cases "$build/tests"
run_cases "$build/gradcheck"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
