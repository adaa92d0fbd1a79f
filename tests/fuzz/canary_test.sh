#!/bin/bash
# The canary must crash, and leave the input that did it: else no target's silence means anything.
set -euo pipefail

canary=$1 corpus=$2
if said=$("$canary" -runs=1000000 "-artifact_prefix=$TEST_TMPDIR/" "$corpus" 2>&1); then
  echo "the canary lives: $said"
  exit 1
fi
grep --quiet 'FUZZ_CHECK failed: alike < kWord.size()' <<< "$said"
grep --quiet --text '^canary' "$TEST_TMPDIR"/crash-*
if "$canary" "$TEST_TMPDIR"/crash-* 2> /dev/null; then
  echo "the saved input does not crash it again"
  exit 1
fi
