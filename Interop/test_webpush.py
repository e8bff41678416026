"""Web Push against the `http-ece`, `pywebpush` and `py-vapid` packages of PyPI, which nobody here wrote."""

import base64
import json
import os
import random
import subprocess
import time
import unittest

import http_ece
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02
from pywebpush import WebPusher

PEER = os.environ.get("WEBPUSH_PEER", os.path.join(os.path.dirname(__file__), "..", ".build", "debug", "webpush-peer"))
ENDPOINT = "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key):
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


class Swift:
    """The other end, in a process of its own."""

    def __init__(self):
        self.process = subprocess.Popen([PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, op, **members):
        members = {name: encode(value) if isinstance(value, bytes) else value for name, value in members.items()}
        self.process.stdin.write(json.dumps({"op": op, **members}) + "\n")
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class WebPush(unittest.TestCase):
    def setUp(self):
        self.swift = Swift()
        self.addCleanup(self.swift.close)

    def test_content_coding(self):
        chance = random.Random(8188)
        for _ in range(60):
            key, salt = chance.randbytes(16), chance.randbytes(16)
            rs = chance.choice([18, 19, 25, 64, 4096])
            content = chance.randbytes(chance.randrange(1, 600))
            theirs = http_ece.encrypt(content, salt=salt, key=key, keyid="a1", rs=rs, version="aes128gcm")
            self.assertEqual(decode(self.swift.ask("decode", key=key, content=theirs)["content"]), content)
            ours = decode(self.swift.ask("encode", key=key, salt=salt, keyid="a1", rs=rs, content=content)["content"])
            self.assertEqual(ours, theirs)
            padded = decode(self.swift.ask(
                "encode", key=key, salt=salt, keyid="a1", rs=rs, content=content, padding=chance.randrange(1, 90))["content"])
            self.assertEqual(http_ece.decrypt(padded, key=key, version="aes128gcm"), content)

    def test_their_message_to_our_receiver(self):
        subscription = self.swift.ask("subscribe", endpoint=ENDPOINT)
        for size in (1, 100, 3993):
            message = os.urandom(size)
            body = WebPusher(subscription).encode(message, content_encoding="aes128gcm")["body"]
            self.assertEqual(decode(self.swift.ask("decrypt", body=body)["message"]), message)
        broken = bytearray(body)
        broken[-1] ^= 1
        self.assertIn("error", self.swift.ask("decrypt", body=bytes(broken)))

    def test_our_message_to_their_receiver(self):
        for size, padding in ((0, 0), (5, 100), (3993, 0)):
            key, auth, message = ec.generate_private_key(ec.SECP256R1()), os.urandom(16), os.urandom(size)
            subscription = {"endpoint": ENDPOINT, "keys": {"p256dh": encode(point(key)), "auth": encode(auth)}}
            body = decode(self.swift.ask("encrypt", **subscription, message=message, padding=padding)["body"])
            self.assertEqual(len(body), 103 + size + padding)
            self.assertEqual(http_ece.decrypt(body, private_key=key, auth_secret=auth, version="aes128gcm"), message)

    def test_their_token(self):
        now = int(time.time())
        vapid = Vapid02()
        vapid.generate_keys()
        claims = {"aud": "https://push.example.net", "exp": now + 3600, "sub": "mailto:ops@example.org"}
        header = vapid.sign(claims)["Authorization"]
        verified = self.swift.ask("verify", authorization=header, origin="https://push.example.net", now=now)
        self.assertEqual(verified, claims)
        self.assertIn("error", self.swift.ask("verify", authorization=header, origin="https://push.example.org", now=now))

    def test_our_token(self):
        now = int(time.time())
        header = self.swift.ask("authorize", endpoint=ENDPOINT, now=now)["authorization"]
        # Whether the signature is by the key beside it; they split at commas without the space that RFC 9110 lets follow.
        self.assertTrue(Vapid02.verify(header.replace(", ", ",")))
        token = header.split("t=")[1].split(",")[0]
        claims = json.loads(decode(token.split(".")[1]))
        self.assertEqual((claims["aud"], claims["sub"]), ("https://push.example.net", "mailto:ops@example.com"))


if __name__ == "__main__":
    unittest.main()
