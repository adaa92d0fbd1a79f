#!/bin/bash
# Runs one of the scripts as a Bazel test, with Debian's Python, whose packages are the drivers.
set -euo pipefail

script=$1
shift
unset PYTHONPATH PYTHONHOME
HOME=$(getent passwd "$(id -u)" | cut -d: -f6) # What is slow to make is in the user's cache.
export HOME
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$script" "$@"
