#!/bin/bash
# bench/abuse --short must find nothing wrong.
#
#   abuse_smoke.sh ABUSE SERVER LOAD RESPONDER [FLAG]...
set -euo pipefail

/usr/bin/python3 "$1" --short --server="$2" --load="$3" --responder="$4" "${@:5}"
