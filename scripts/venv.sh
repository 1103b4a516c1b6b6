#!/usr/bin/env bash
# Make the virtual environment $1 with uv in it; say the one line that helps when it cannot.
set -euo pipefail
venv="$1"
[ -n "${PYTHON:-}" ] || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv"; exit 1; }
if ! "$PYTHON" -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        echo "Installing python3-venv ..."
        apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
    else
        echo "Python's venv is missing: sudo apt-get install python3-venv"
        exit 1
    fi
fi
echo "Making $venv with $("$PYTHON" --version) ..."
"$PYTHON" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check uv
