"""Talks to a ws/1.0 server with the `websockets` library: framing, limits, closing, TLS. Exits 0 when all holds.

Usage: ws_client.py PORT CA_FILE HELLO_FILE ENVELOPE_FILE
The server sends each envelope back. Ids are good for one use, so the files hold many hellos and envelopes, one a line.
"""

import asyncio
import base64
import json
import ssl
import sys

import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus


def payload(envelope):
    text = json.loads(envelope)["payload"]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Checks:
    def __init__(self, port, root, hellos, envelopes):
        self.port, self.root, self.hellos, self.envelopes = port, root, iter(hellos), iter(envelopes)

    def tls(self, newest=ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=self.root)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = newest
        return context

    def connect(self, path="/dsip", **options):
        options.setdefault("ssl", self.tls())
        return websockets.connect(f"wss://localhost:{self.port}{path}", ping_interval=None, max_size=1 << 20, **options)

    async def bound(self, socket):
        hello = next(self.hellos)
        await socket.send(hello)
        reply = payload(await socket.recv())
        assert reply["type"] == "hello" and reply["in_reply_to"] == payload(hello)["id"], reply
        assert reply["capabilities"]["max_envelope_bytes"] == 65536, reply

    async def closes(self, code, send):
        async with self.connect() as socket:
            await self.bound(socket)
            try:
                await send(socket)
                await asyncio.wait_for(socket.recv(), 10)
                raise AssertionError(f"still open, {code} expected")
            except ConnectionClosed as end:
                assert end.rcvd is not None and end.rcvd.code == code, (code, end.rcvd)

    async def hello_without_compression(self):
        async with self.connect(compression="deflate") as socket:
            assert "Sec-WebSocket-Extensions" not in socket.response.headers
            await self.bound(socket)

    async def ping_is_answered(self):
        async with self.connect() as socket:
            await self.bound(socket)
            await asyncio.wait_for(await socket.ping(b"are you there"), 5)

    async def envelopes_come_back_unchanged(self):
        async with self.connect() as socket:
            await self.bound(socket)
            for _ in range(3):
                envelope = next(self.envelopes)
                await socket.send(envelope)
                assert await socket.recv() == envelope

    async def fragments_are_joined(self):
        async with self.connect() as socket:
            await self.bound(socket)
            envelope = next(self.envelopes)
            await socket.send(envelope[i : i + 100] for i in range(0, len(envelope), 100))
            assert await socket.recv() == envelope

    async def largest_message_is_read(self):
        async with self.connect() as socket:
            await self.bound(socket)
            # No envelope, so it is refused; but it was read, and the connection goes on.
            await socket.send("x" * 65536)
            envelope = next(self.envelopes)
            await socket.send(envelope)
            assert await socket.recv() == envelope

    async def too_large_is_1009(self):
        await self.closes(1009, lambda socket: socket.send("x" * 65537))
        await self.closes(1009, lambda socket: socket.send("x" * 1000 for _ in range(66)))

    async def binary_is_1003(self):
        await self.closes(1003, lambda socket: socket.send(b"{}"))

    async def broken_utf8_is_1007(self):
        await self.closes(1007, lambda socket: socket.send(b"\xff\xfe", text=True))

    async def closing_is_clean(self):
        socket = await self.connect()
        await self.bound(socket)
        await socket.close(1000)
        assert socket.close_code == 1000, socket.close_code

    async def other_paths_are_404(self):
        try:
            await self.connect("/elsewhere")
            raise AssertionError("upgraded")
        except InvalidStatus as answer:
            assert answer.response.status_code == 404, answer

    async def tls_1_2_is_refused(self):
        try:
            await self.connect(ssl=self.tls(ssl.TLSVersion.TLSv1_2))
            raise AssertionError("TLS 1.2 was accepted")
        except (ssl.SSLError, ConnectionError, EOFError):
            pass

    async def plaintext_is_refused(self):
        try:
            await websockets.connect(f"ws://localhost:{self.port}/dsip", open_timeout=3)
            raise AssertionError("plaintext was accepted")
        except (OSError, EOFError, websockets.exceptions.WebSocketException):
            pass

    async def silence_before_hello_is_ended(self):
        async with self.connect() as socket:
            try:
                await asyncio.wait_for(socket.recv(), 15)
            except ConnectionClosed as end:
                assert end.rcvd is not None and end.rcvd.code == 1008, end.rcvd


async def main():
    port, root, hellos, envelopes = sys.argv[1:5]
    with open(hellos) as lines, open(envelopes) as more:
        checks = Checks(int(port), root, lines.read().splitlines(), more.read().splitlines())
    names = [name for name, member in vars(Checks).items() if asyncio.iscoroutinefunction(member)]
    failed = 0
    for name in names:
        if name in ("bound", "closes"):
            continue
        try:
            await getattr(checks, name)()
            print(f"ok      {name.replace('_', ' ')}")
        except Exception as error:  # noqa: BLE001: every failure is reported and counted
            failed += 1
            print(f"FAILED  {name.replace('_', ' ')}: {type(error).__name__}: {error}")
    return 1 if failed else 0


sys.exit(asyncio.run(main()))
