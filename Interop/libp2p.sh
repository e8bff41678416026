#!/bin/sh
# Libp2p against py-libp2p of PyPI, which nobody here wrote: both ways, and a mixed DHT. One command: Interop/libp2p.sh
set -eu
cd "$(dirname "$0")/.."
venv=.build/interop-libp2p
if ! [ -x "$venv/bin/python" ]; then
    echo "making a Python environment in $venv"
    python3 -m venv "$venv" || { echo "python3 with venv is needed (Debian: apt-get install python3-venv)" >&2; exit 1; }
fi
"$venv/bin/python" -c 'import libp2p, pytest' 2>/dev/null || "$venv/bin/pip" install --quiet -r Interop/requirements-libp2p.txt
if [ -z "${LIBP2P_PEER:-}" ]; then
    swift build --product libp2p-peer
    LIBP2P_PEER="$(swift build --show-bin-path)/libp2p-peer"
fi
export LIBP2P_PEER
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider Interop/test_libp2p.py "$@"
