#!/bin/sh
# Our DHT beside OpenDHT of PyPI, 50 and 100 nodes of each on loopback. One command: Interop/opendht.sh
set -eu
cd "$(dirname "$0")/.."
venv=.build/interop-opendht
if ! [ -x "$venv/bin/python" ]; then
    echo "making a Python environment in $venv"
    python3 -m venv "$venv" || { echo "python3 with venv is needed (Debian: apt-get install python3-venv)" >&2; exit 1; }
fi
"$venv/bin/python" -c 'import opendht' 2>/dev/null || "$venv/bin/pip" install --quiet -r Interop/requirements-opendht.txt
if [ -z "${LIBP2P_PEER:-}" ]; then
    swift build -c release --product libp2p-peer
    LIBP2P_PEER="$(swift build -c release --show-bin-path)/libp2p-peer"
fi
export LIBP2P_PEER
# A node of ours has a TCP connection to each of its neighbours.
ulimit -n 16384 2>/dev/null || true
exec timeout "${LIMIT:-900}" "$venv/bin/python" Interop/compare_opendht.py
