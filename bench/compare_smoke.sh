#!/bin/bash
# bench/compare --short must work: all scenarios, all peers that are here, tables and pictures.
#
#   compare_smoke.sh COMPARE SERVER LOAD RESPONDER
set -euo pipefail

compare=$1 server=$2 load=$3 responder=$4
out=${TEST_UNDECLARED_OUTPUTS_DIR:-${TEST_TMPDIR:?}}

/usr/bin/python3 "$compare" --short --server="$server" --load="$load" --responder="$responder" \
  --out="$out"

grep -q '^| new TLS connection' "$out/results.md"
for scenario in query-tls query-plain download-tls connect-tls idle-tls mixed-tls growth-10; do
  grep -q "^### $scenario:" "$out/results.md" || { echo "no $scenario in the results"; exit 1; }
done
if command -v gnuplot >/dev/null; then
  [[ -s $out/cpu-per-query.svg && -s $out/cpu-per-query.png ]] || { echo "no pictures"; exit 1; }
else
  echo "pictures SKIPPED: gnuplot is not installed"
fi
