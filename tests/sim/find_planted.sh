#!/bin/bash
# find_planted.sh SIMULATOR SESSIONS: a simulator whose proxy has a planted fault must find it
# within so many sessions, and the command that it prints must find the same again.
set -u

if output=$("$1" --sessions="$2" 2>&1); then
  echo "not found within $2 sessions: $output"
  exit 1
fi
found=$(grep -m1 -E "^FAILED|check failed|contract broken" <<<"$output")
replay=$(sed -n "s/^replay: //p" <<<"$output" | head -n 1)
echo "$found; $replay"
if [[ -z $found || -z $replay ]]; then
  echo "$output"
  exit 1
fi
if output=$($replay 2>&1) || ! grep -qF "$found" <<<"$output"; then
  echo "the replay says something else: $output"
  exit 1
fi
