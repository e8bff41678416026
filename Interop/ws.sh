#!/bin/sh
# ws/1.0 against the `websockets` library of PyPI, which nobody here wrote. One command: Interop/ws.sh
set -eu
cd "$(dirname "$0")/.."
venv=.build/interop-ws
if ! [ -x "$venv/bin/python" ]; then
    echo "making a Python environment in $venv"
    python3 -m venv "$venv" || { echo "python3 with venv is needed (Debian: apt-get install python3-venv)" >&2; exit 1; }
fi
"$venv/bin/python" -c 'import websockets' 2>/dev/null || "$venv/bin/pip" install --quiet 'websockets>=14,<17'
DSIP_INTEROP_PYTHON="$PWD/$venv/bin/python" exec swift test --filter WebSocketInteropTests "$@"
