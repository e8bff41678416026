#!/bin/bash
# A device changes from one network to another while its signaling connection is up: two network namespaces, joined by two links with
# addresses of their own. Run as root: Interop/roaming.sh PATH-OF-roaming-peer
set -euo pipefail
peer=$(realpath "${1:-.build/debug/roaming-peer}")
folder=$(mktemp -d)
unshare -n sleep 600 & relay=$!
unshare -n sleep 600 & device=$!
trap 'kill $relay $device ${server:-} ${client:-} 2>/dev/null || true; rm -rf "$folder"' EXIT
until [ "$(readlink /proc/$relay/ns/net)" != "$(readlink /proc/self/ns/net)" ] && [ "$(readlink /proc/$device/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
on_relay() { nsenter -t $relay -n "$@"; }
on_device() { nsenter -t $device -n "$@"; }

on_relay ip link set lo up
on_relay ip address add 10.9.0.1/32 dev lo
on_device ip link set lo up
for link in "wifi 10.1.0" "mobile 10.2.0"; do
  read -r name net <<<"$link"
  on_relay ip link add "$name" type veth peer name "$name" netns $device
  on_relay ip address add "$net.1/24" dev "$name"
  on_relay ip link set "$name" up
  on_device ip address add "$net.2/24" dev "$name"
  on_device ip link set "$name" up
done
on_device ip route add default via 10.1.0.1

on_relay sleep 600 | on_relay "$peer" serve "$folder/tls" 10.9.0.1 >"$folder/server" & server=$!
until grep -q ready "$folder/server"; do sleep 0.2; done
on_device "$peer" stay "$folder/tls" 10.9.0.1 100 >"$folder/client" & client=$!
until grep -q 'connected quic/1.0' "$folder/client"; do sleep 0.2; done
sleep 2
echo "==> from Wi-Fi (10.1.0.2) to mobile (10.2.0.2)"
on_device ip link set wifi down
on_device ip route replace default via 10.2.0.1
wait $client
cat "$folder/server" "$folder/client"
# One hello by each binding, and none after the move; everything sent came back.
[ "$(grep -c hello "$folder/server")" = 2 ] || { echo "error: the device had to connect again" >&2; exit 1; }
read -r _ sent _ received _ <<<"$(grep '^sent' "$folder/client")"
[ "$sent" = "$received" ] || { echo "error: sent $sent, came back $received" >&2; exit 1; }
