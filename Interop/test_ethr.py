"""did:ethr against an EVM: `dsip resolve` asks a node over HTTPS whose chain is py-evm (of PyPI, by eth-tester), with the registry of
ERC-1056 in ethr_registry.vy."""

import json
import unittest

from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

from ethereum_node import Chain, NodeTest

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def multibase(codec, raw):
    number, text = int.from_bytes(codec + raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "z" + text


class Registry(Chain):
    """A chain with a registry of ERC-1056."""

    def __init__(self):
        super().__init__()
        self.registry = self.deploy("ethr_registry.vy")

    def set(self, account, name, value, validity=86_400):
        name = name.encode().ljust(32, b"\0")
        signature = "setAttribute(address,bytes32,bytes,uint256)"
        return self.invoke(account, self.registry, signature, account, name, value, validity)

    def revoke(self, account, name, value):
        name = name.encode().ljust(32, b"\0")
        return self.invoke(account, self.registry, "revokeAttribute(address,bytes32,bytes)", account, name, value)


class EthrTest(NodeTest):
    chain_class = Registry

    def did(self, account):
        return f"did:ethr:{hex(self.chain.id)}:{account}"

    def run_dsip(self, did, *more, network=None):
        return self.dsip_resolve(did, "--ethereum", self.place(network), *more)

    def test_an_account_that_never_changed(self):
        answer = self.resolve(self.did(self.chain.accounts[9]))
        self.assertEqual(answer["document"]["id"], self.did(self.chain.accounts[9]))
        self.assertEqual(answer["document"].get("verificationMethod", []), [])

    def test_keys_and_services_of_an_account(self):
        account = self.chain.accounts[1]
        signing = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        lost = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        agreement = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
        self.chain.set(account, "did/pub/Ed25519/veriKey/base64", lost)
        self.chain.set(account, "did/pub/Ed25519/veriKey/base64", signing)
        self.chain.set(account, "did/pub/X25519/enc/base64", agreement)
        place = b'{"uri":"wss://relay.example/dsip","bindings":["ws/1.0"]}'
        self.chain.set(account, "did/svc/DSIPSignaling", place)
        self.chain.revoke(account, "did/pub/Ed25519/veriKey/base64", lost)
        answer = self.resolve(self.did(account))
        methods = answer["document"]["verificationMethod"]
        self.assertEqual([m["publicKeyMultibase"] for m in methods], [multibase(b"\xed\x01", signing)])
        self.assertTrue(methods[0]["id"].endswith("#delegate-2"))
        self.assertIn(multibase(b"\xec\x01", agreement), json.dumps(answer["document"]["keyAgreement"]))
        self.assertEqual(answer["relay"], "wss://relay.example/dsip")

    def test_an_account_by_its_key(self):
        key = self.chain.tester.backend.account_keys[2].public_key
        signing = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        self.chain.set(self.chain.accounts[2], "did/pub/Ed25519/sigAuth/hex", signing)
        answer = self.resolve(self.did("0x" + key.to_compressed_bytes().hex()))
        methods = answer["document"]["verificationMethod"]
        self.assertEqual([m["publicKeyMultibase"] for m in methods], [multibase(b"\xed\x01", signing)])

    def test_an_owner_who_gave_it_up(self):
        account = self.chain.accounts[4]
        self.chain.invoke(account, self.chain.registry, "changeOwner(address,address)", account, "0x" + "00" * 20)
        done = self.run_dsip(self.did(account))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("deactivated", done.stderr + done.stdout)

    def test_a_node_of_another_network(self):
        done = self.run_dsip("did:ethr:0x5:" + self.chain.accounts[1], network="0x5")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another network", done.stderr + done.stdout)

    def test_what_it_rests_on_is_said(self):
        answer = self.resolve(self.did(self.chain.accounts[9]), "--explain", "--dns", "off")
        self.assertIn("the ledger itself is not verified", answer["steps"][0]["basis"])


if __name__ == "__main__":
    unittest.main()
