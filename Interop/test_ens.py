"""Names of the Ethereum Name Service against an EVM: `dsip resolve alice.eth` asks a node over HTTPS whose chain is py-evm (of PyPI, by
eth-tester), with a registry and a resolver of ENSIP-1 and ENSIP-5 in ens_registry.vy and ens_resolver.vy."""

import socket
import threading
import unittest

from eth_utils import keccak

from ethereum_node import Chain, NodeTest

ALICE = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
BOB = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"


def namehash(name):
    node = bytes(32)
    for label in reversed(name.split(".")):
        node = keccak(node + keccak(label.encode()))
    return node


class Names(Chain):
    def __init__(self):
        super().__init__()
        self.registry, self.resolver = self.deploy("ens_registry.vy"), self.deploy("ens_resolver.vy")

    def give(self, name, resolver=None):
        self.invoke(self.accounts[0], self.registry, "setResolver(bytes32,address)", namehash(name), resolver or self.resolver)

    def set(self, name, text, key="did"):
        self.give(name)
        self.invoke(self.accounts[0], self.resolver, "setText(bytes32,string,string)", namehash(name), key, text)


class HandshakeResolver:
    """A resolver on loopback that knows one TXT record and says of all other names that they are not there."""

    def __init__(self, name, text):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1@{self.socket.getsockname()[1]}"
        self.name, self.text, self.asked = name, text, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, sender = self.socket.recvfrom(1500)
            except OSError:
                return
            end, labels = 12, []
            while query[end]:
                labels.append(query[end + 1 : end + 1 + query[end]].decode().lower())
                end += 1 + query[end]
            kind = int.from_bytes(query[end + 1 : end + 3], "big")
            self.asked.append(".".join(labels))
            question, known = query[12 : end + 5], ".".join(labels) == self.name
            flags = b"\x81\x80" if known else b"\x81\x83"
            answer = b""
            if known and kind == 16:
                data = bytes([len(self.text)]) + self.text.encode()
                answer = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c" + len(data).to_bytes(2, "big") + data
            header = query[:2] + flags + b"\x00\x01" + (b"\x00\x01" if answer else b"\x00\x00") + bytes(4)
            self.socket.sendto(header + question + answer, sender)

    def stop(self):
        self.socket.close()


class NameTest(NodeTest):
    chain_class = Names

    def run_dsip(self, name, *more, network=None, node=True):
        return self.dsip_resolve(name, *(["--ens", self.place(network)] if node else []), "--dns", "off", *more)

    def refuse(self, name, words, *more, **options):
        done = self.run_dsip(name, *more, **options)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(words, done.stderr + done.stdout)

    def test_the_text_record_of_a_name(self):
        self.chain.set("alice.eth", ALICE)
        self.assertEqual(self.resolve("Alice.ETH")["did"], ALICE)
        self.assertEqual(self.resolve("dsip:alice.eth")["alias"], "alice.eth")

    def test_a_name_below_another(self):
        self.chain.set("a-1.team.alice.eth", BOB)
        self.assertEqual(self.resolve("a-1.team.alice.eth")["did"], BOB)

    def test_what_it_rests_on_is_said(self):
        self.chain.set("said.eth", ALICE)
        answer = self.resolve("said.eth", "--explain")
        self.assertIn("text record", answer["steps"][0]["step"])
        self.assertIn("the ledger itself is not verified", answer["steps"][0]["basis"])
        self.assertEqual(answer["claims"][0]["source"], "ENS")

    def test_names_that_lead_nowhere(self):
        self.refuse("nobody.eth", "has no resolver")
        self.chain.give("empty.eth")
        self.refuse("empty.eth", "no text record")
        self.chain.set("strange.eth", "alice")
        self.refuse("strange.eth", "is no identity")
        # A contract that answers nothing of the kind.
        self.chain.give("other.eth", self.chain.registry)
        self.refuse("other.eth", "the Ethereum node refused")

    def test_a_record_behind_a_gateway(self):
        self.chain.set("away.eth", ALICE)
        self.chain.invoke(self.chain.accounts[0], self.chain.resolver, "moveElsewhere(bytes32)", namehash("away.eth"))
        self.refuse("away.eth", "CCIP-read")

    def test_a_node_of_another_network(self):
        self.refuse("alice.eth", "another network", network="0x5")

    def test_nobody_to_ask(self):
        self.refuse("alice.eth", "an Ethereum node or a Handshake resolver", node=False)

    def test_names_that_look_like_others(self):
        self.refuse("alіce.eth", "is no address")
        self.refuse("xn--alce-tkc.eth", "is no address")

    def test_a_handshake_name(self):
        resolver = HandshakeResolver("_did.alice.voice", f"did={BOB}")
        answer = self.resolve("alice.voice", "--explain", "--handshake", resolver.address, node=False)
        self.assertEqual(answer["did"], BOB)
        self.assertIn("Handshake resolver", answer["steps"][0]["basis"])
        self.assertEqual(self.resolve("alice.voice", "--handshake", resolver.address, node=False)["did"], BOB)
        self.refuse("bob.voice", "no such record", "--handshake", resolver.address, node=False)
        resolver.stop()

    def test_ledgers_that_differ(self):
        resolver = HandshakeResolver("_did.both.voice", f"did={BOB}")
        self.chain.set("both.voice", ALICE)
        for more in ([], ["--explain"]):
            self.refuse("both.voice", "different identities", "--handshake", resolver.address, *more)
        self.chain.set("both.voice", BOB)
        answer = self.resolve("both.voice", "--handshake", resolver.address, "--explain")
        self.assertEqual({claim["source"] for claim in answer["claims"]}, {"ENS", "Handshake"})
        resolver.stop()


if __name__ == "__main__":
    unittest.main()
