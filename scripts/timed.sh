#!/usr/bin/env bash
# Run a step, print its name and its seconds, keep its exit code.
name="$1"; shift
began=$(date +%s.%N)
"$@"; code=$?
printf '== %s: %.1f s%s\n' "$name" "$(awk "BEGIN{print $(date +%s.%N) - $began}")" \
    "$([ $code = 0 ] || echo " (failed: $code)")"
exit $code
