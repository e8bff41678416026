"""X3DH and the Double Ratchet against the `x3dh` and `doubleratchet` packages of PyPI, which nobody here wrote."""

import asyncio
import json
import os
import random
import subprocess
import unittest

import x3dh
import xeddsa
from doubleratchet import DoubleRatchet, EncryptedMessage, Header
from doubleratchet.recommended import HashFunction, aead_aes_hmac, diffie_hellman_ratchet_curve25519, kdf_hkdf, kdf_separate_hmacs

PEER = os.environ.get("RATCHET_PEER", os.path.join(os.path.dirname(__file__), "..", ".build", "debug", "ratchet-peer"))


class State(x3dh.BaseState):
    @staticmethod
    def _encode_public_key(key_format, pub):
        # Both formats are encoded as the X25519 key: the identity is one key on two curves.
        if key_format is x3dh.IdentityKeyFormat.ED_25519:
            pub = xeddsa.ed25519_pub_to_curve25519_pub(pub)
        return b"\x05" + pub


class AEAD(aead_aes_hmac.AEAD):
    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256

    @staticmethod
    def _get_info():
        return b"interop aead"


class RootKDF(kdf_hkdf.KDF):
    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256

    @staticmethod
    def _get_info():
        return b"interop root"


class MessageKDF(kdf_separate_hmacs.KDF):
    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256


def pack(header):
    return header.ratchet_pub + header.previous_sending_chain_length.to_bytes(4, "big") + header.sending_chain_length.to_bytes(4, "big")


def unpack(header):
    return Header(header[:32], int.from_bytes(header[32:36], "big"), int.from_bytes(header[36:], "big"))


class Ratchet(DoubleRatchet):
    @staticmethod
    def _build_associated_data(associated_data, header):
        return associated_data + pack(header)


CONFIGURATION = dict(
    diffie_hellman_ratchet_class=diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet, root_chain_kdf=RootKDF,
    message_chain_kdf=MessageKDF, message_chain_constant=b"\x01\x02", dos_protection_threshold=100,
    max_num_skipped_message_keys=1000, aead=AEAD)


class Swift:
    """The other end, in a process of its own."""

    def __init__(self):
        self.process = subprocess.Popen([PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, op, **members):
        members = {name: value.hex() if isinstance(value, bytes) else value for name, value in members.items()}
        self.process.stdin.write(json.dumps({"op": op, **members}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return {name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in answer.items()}

    def encrypt(self, text):
        answer = self.ask("encrypt", text=text)
        return EncryptedMessage(unpack(answer["header"]), answer["sealed"])

    def decrypt(self, message):
        return self.ask("decrypt", header=pack(message.header), sealed=message.ciphertext)["text"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class RatchetTest(unittest.TestCase):
    def setUp(self):
        self.swift = Swift()
        self.addCleanup(self.swift.close)

    def state(self, name):
        key_format = x3dh.IdentityKeyFormat.CURVE_25519 if name == "x25519" else x3dh.IdentityKeyFormat.ED_25519
        state = State.create(identity_key_format=key_format, hash_function=x3dh.HashFunction.SHA_256, info=b"interop x3dh")
        state.generate_pre_keys(5)
        return state

    async def converse(self, python, ad, seed):
        """Rows of messages in both directions, delivered in any order; the Swift side restarts in between."""
        choose = random.Random(seed)
        for turn in range(12):
            texts = [b"%d %d " % (turn, index) + bytes(choose.randrange(300)) for index in range(choose.randrange(1, 6))]
            to_swift = [(text, await python.encrypt_message(text, ad)) for text in texts]
            choose.shuffle(to_swift)
            for text, message in to_swift:
                self.assertEqual(self.swift.decrypt(message), text)
            self.swift.ask("restart")
            from_swift = [(text, self.swift.encrypt(text)) for text in texts]
            choose.shuffle(from_swift)
            for text, message in from_swift:
                self.assertEqual(await python.decrypt_message(message, ad), text)
        late = await python.encrypt_message(b"late", ad)
        self.assertEqual(self.swift.decrypt(await python.encrypt_message(b"first", ad)), b"first")
        await python.decrypt_message(self.swift.encrypt(b"turn"), ad)
        self.assertEqual(self.swift.decrypt(await python.encrypt_message(b"second", ad)), b"second")
        with self.assertRaises(ValueError):
            self.swift.decrypt(EncryptedMessage(late.header, late.ciphertext[:-1] + bytes([late.ciphertext[-1] ^ 1])))
        self.assertEqual(self.swift.decrypt(late), b"late")
        with self.assertRaises(ValueError):
            self.swift.decrypt(late)

    async def python_begins(self, name):
        bundle = self.swift.ask("start", format=name)
        state = self.state(name)
        theirs = x3dh.Bundle(bundle["identity_key"], bundle["signed_pre_key"], bundle["signed_pre_key_sig"], frozenset([bundle["pre_key"]]))
        secret, ad, header = await state.get_shared_secret_active(theirs)
        python, message = await Ratchet.encrypt_initial_message(
            shared_secret=secret, recipient_ratchet_pub=theirs.signed_pre_key, message=b"hello", associated_data=ad, **CONFIGURATION)
        self.swift.ask("respond", format=name, identity_key=header.identity_key, ephemeral_key=header.ephemeral_key)
        self.assertEqual(self.swift.decrypt(message), b"hello")
        await self.converse(python, ad, 1)

    async def swift_begins(self, name):
        self.swift.ask("start", format=name)
        state = self.state(name)
        bundle = state.bundle
        pre_key = sorted(bundle.pre_keys)[0]
        header = self.swift.ask(
            "initiate", format=name, identity_key=bundle.identity_key, signed_pre_key=bundle.signed_pre_key,
            signed_pre_key_sig=bundle.signed_pre_key_sig, pre_key=pre_key)
        message = self.swift.encrypt(b"hello")
        secret, ad, signed = await state.get_shared_secret_passive(
            x3dh.Header(header["identity_key"], header["ephemeral_key"], bundle.signed_pre_key, pre_key))
        python, text = await Ratchet.decrypt_initial_message(
            shared_secret=secret, own_ratchet_priv=signed.priv, message=message, associated_data=ad, **CONFIGURATION)
        self.assertEqual(text, b"hello")
        await self.converse(python, ad, 2)

    def test_python_begins_with_an_x25519_identity(self):
        asyncio.run(self.python_begins("x25519"))

    def test_python_begins_with_an_ed25519_identity(self):
        asyncio.run(self.python_begins("ed25519"))

    def test_swift_begins_with_an_x25519_identity(self):
        asyncio.run(self.swift_begins("x25519"))

    def test_swift_begins_with_an_ed25519_identity(self):
        asyncio.run(self.swift_begins("ed25519"))

    def test_a_bundle_with_a_false_signature_is_refused(self):
        self.swift.ask("start", format="x25519")
        bundle = self.state("x25519").bundle
        signature = bundle.signed_pre_key_sig[:-1] + bytes([bundle.signed_pre_key_sig[-1] ^ 1])
        with self.assertRaisesRegex(ValueError, "invalid-signature"):
            self.swift.ask(
                "initiate", format="x25519", identity_key=bundle.identity_key, signed_pre_key=bundle.signed_pre_key,
                signed_pre_key_sig=signature, pre_key=sorted(bundle.pre_keys)[0])


if __name__ == "__main__":
    unittest.main()
