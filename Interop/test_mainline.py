"""The BitTorrent DHT with libtorrent (of PyPI): a DHT of its nodes on loopback keeps the zones of keys (BEP 44, hints profile §9). Whoever
knows one of them finds a did:dht that libtorrent put there, and libtorrent what an agent of ours puts there."""

import asyncio
import base64
import hashlib
import os
import pathlib
import subprocess
import sys
import time
import unittest

import libtorrent as lt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "Tests" / "Web"))
from network import DSIP, Network, free_port  # noqa: E402

ZBASE32 = "ybndrfg8ejkmcpqxot1uwisza345h769"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
NODES = 10


def zbase32(data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "".join(ZBASE32[int(bits[at : at + 5], 2)] for at in range(0, len(bits), 5))


def key_of(did):
    """The 32 bytes of a did:key of Ed25519."""
    number = 0
    for letter in did.removeprefix("did:key:z"):
        number = number * 58 + BASE58.index(letter)
    return number.to_bytes(34, "big")[2:]


def public_key(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def message(records):
    """A DNS message of TXT records."""
    out = bytes([0, 0, 0x84, 0, 0, 0, 0, len(records), 0, 0, 0, 0])
    for labels, text in records:
        for label in labels:
            out += bytes([len(label)]) + label.encode()
        out += bytes([0, 0, 16, 0, 1, 0, 0, 0x0E, 0x10, 0, len(text) + 1, len(text)]) + text.encode()
    return out


class Swarm:
    """Nodes of libtorrent that know each other."""

    def __init__(self, count=NODES):
        self.ports, self.nodes = [], []
        for _ in range(count):
            port = free_port()
            self.ports.append(port)
            self.nodes.append(lt.session({
                "listen_interfaces": f"127.0.0.1:{port}", "enable_dht": True, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False, "dht_bootstrap_nodes": "",
                "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False, "dht_prefer_verified_node_ids": False, "dht_enforce_node_id": False,
                "dht_ignore_dark_internet": False, "dht_block_ratelimit": 1000, "alert_mask": lt.alert.category_t.dht_notification}))
        time.sleep(0.5)
        for node in self.nodes:
            for port in self.ports:
                node.add_dht_node(("127.0.0.1", port))
        time.sleep(3)

    @property
    def place(self):
        return f"mainline:127.0.0.1:{self.ports[0]}"

    def put(self, seed, value):
        """How many nodes took it; the first try may be too early for them to know each other."""
        public = public_key(seed)
        # The secret as libtorrent has it: the seed's SHA-512, clamped (RFC 8032 §5.1.5).
        secret = bytearray(hashlib.sha512(seed).digest())
        secret[0] &= 248
        secret[31] = secret[31] & 63 | 64
        for _ in range(10):
            self.nodes[1].dht_put_mutable_item(bytes(secret), public, value, b"")
            alert = self.wait(self.nodes[1], lt.dht_put_alert)
            if alert and alert.num_success:
                return alert.num_success
            time.sleep(1)
        return 0

    def get(self, public):
        """An item as one node finds it: its sequence and value, or None."""
        self.nodes[2].dht_get_mutable_item(public, b"")
        while alert := self.wait(self.nodes[2], lt.dht_mutable_item_alert):
            if alert.item or alert.authoritative:
                return (alert.seq, alert.item) if alert.item else None
        return None

    @staticmethod
    def wait(node, kind, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            node.wait_for_alert(500)
            for alert in node.pop_alerts():
                if isinstance(alert, kind):
                    return alert
        return None

    def close(self):
        for node in self.nodes:
            node.pause()
        self.nodes = []


class MainlineTest(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm()

    @classmethod
    def tearDownClass(cls):
        cls.swarm.close()

    def resolve(self, *arguments):
        return subprocess.run([DSIP, "resolve", *arguments, "--allow", "127.0.0.1/32"], capture_output=True, text=True, timeout=60)

    def test_a_did_dht_that_libtorrent_put_is_resolved(self):
        seed = os.urandom(32)
        public = public_key(seed)
        zone = zbase32(public)
        key = base64.urlsafe_b64encode(public).decode().rstrip("=")
        taken = self.swarm.put(seed, message([
            (["_did", zone], "v=0;vm=k0;auth=k0;asm=k0;svc=s0"), (["_k0", "_did"], f"id=0;t=0;k={key}"),
            (["_s0", "_did"], "id=dsip;t=DSIPSignaling;se=wss://relay.example/dsip;b=ws/1.0")]))
        self.assertGreater(taken, 0)
        found = self.resolve(f"did:dht:{zone}", "--pkarr", self.swarm.place)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)
        self.assertIn("wss://relay.example/dsip", found.stdout)
        nobody = self.resolve(f"did:dht:{zbase32(os.urandom(32))}", "--pkarr", self.swarm.place)
        self.assertNotEqual(nobody.returncode, 0)
        alone = self.resolve(f"did:dht:{zone}", "--pkarr", f"mainline:127.0.0.1:{free_port()}")
        self.assertNotEqual(alone.returncode, 0)
        self.assertIn("no node of the BitTorrent DHT answered", alone.stdout + alone.stderr)

    async def test_an_agent_says_where_it_is_and_is_found_by_its_key_alone(self):
        async with Network() as first, Network(trusted=[first]) as second:
            alice = await first.person("Alice", options=["--pkarr", self.swarm.place])
            did = await alice.did()
            for _ in range(60):
                item = await asyncio.to_thread(self.swarm.get, key_of(did))
                if item:
                    break
                await asyncio.sleep(1)
            self.assertIsNotNone(item, "libtorrent never found the zone")
            sequence, value = item
            self.assertLess(abs(sequence / 1e6 - time.time()), 600)
            self.assertIn(first.relay_url.encode(), value)
            bob = await second.person("Bob", options=["--pkarr", self.swarm.place])
            found = await bob.api("peer.lookup", input=did)
            self.assertEqual(found["relay"], first.relay_url)


if __name__ == "__main__":
    unittest.main()
