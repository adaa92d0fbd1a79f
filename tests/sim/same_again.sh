#!/bin/bash
# same_again.sh SIMULATOR: two runs of the same seeds go the same way, to the last completion.
set -eu

first=$("$1" --seed=4242 --sessions=1500)
again=$("$1" --seed=4242 --sessions=1500)
echo "$first"
[[ $first == "$again" && $first == passed:* ]] || { echo "$again"; exit 1; }
