"""Our node (LIBP2P_PEER, driven by lines) and py-libp2p on loopback, each dialling the other, and nine of them in one DHT."""
import contextlib
import hashlib
import logging
import os
import secrets
import subprocess

import multiaddr
import pytest
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.ping import PingService
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.records.validator import Validator
from libp2p.security.tls.transport import TLSTransport
from libp2p.tools.anyio_service import background_trio_service

TLS = TProtocol("/tls/1.0.0")
ECHO = TProtocol("/echo/1.0.0")
LISTEN = [multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]
MEBIBYTE = 1 << 20
logging.disable(logging.CRITICAL)


class TextValidator(Validator):
    def validate(self, key, value):
        if not value.startswith(b"v"):
            raise ValueError("no record of this test")

    def select(self, key, values):
        return max(range(len(values)), key=lambda index: values[index])


class Ours:
    """One node of ours as a process."""

    async def start(self):
        self.process = await trio.lowlevel.open_process(
            [os.environ["LIBP2P_PEER"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.rest = b""
        self.address = (await self.line()).removeprefix("listening ")
        self.id = self.address.rsplit("/", 1)[1]
        return self

    async def line(self):
        while b"\n" not in self.rest:
            part = await self.process.stdout.receive_some()
            assert part, "our node ended"
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()

    async def ask(self, *words):
        await self.process.stdin.send_all((" ".join(map(str, words)) + "\n").encode())
        status, _, answer = (await self.line()).partition(" ")
        assert status == "ok", f"{words[0]}: {answer}"
        return answer

    async def stop(self):
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.process.stdin.send_all(b"quit\n")
        with trio.move_on_after(5):
            await self.process.wait()
            return
        self.process.kill()


@contextlib.asynccontextmanager
async def ours(count=1):
    nodes = [await Ours().start() for _ in range(count)]
    try:
        yield nodes if count > 1 else nodes[0]
    finally:
        for node in nodes:
            await node.stop()


@contextlib.asynccontextmanager
async def theirs(tls=False):
    key_pair = create_new_key_pair(secrets.token_bytes(32))
    security = {TLS: TLSTransport(key_pair)} if tls else None
    host = new_host(key_pair=key_pair, listen_addrs=LISTEN, sec_opt=security)

    async def echo(stream):
        with contextlib.suppress(Exception):
            while part := await stream.read(65536):
                await stream.write(part)
            await stream.close()

    host.set_stream_handler(ECHO, echo)
    async with host.run(listen_addrs=LISTEN):
        yield host


def address_of(host):
    text = str(host.get_addrs()[0])
    return text if "/p2p/" in text else f"{text}/p2p/{host.get_id()}"


def run(test, seconds=60):
    async def limited():
        with trio.fail_after(seconds):
            await test()

    trio.run(limited)


@pytest.mark.parametrize("tls", [False, True])
def test_we_dial(tls):
    async def test():
        async with theirs(tls) as host, ours() as node:
            peer = str(host.get_id())
            assert await node.ask("connect", address_of(host)) == peer
            await node.ask("ping", peer)
            assert await node.ask("echo", peer, MEBIBYTE) == str(MEBIBYTE)
            agent, protocols = (await node.ask("identify", peer)).split(" ")
            assert "py-libp2p" in agent and "/ipfs/id/1.0.0" in protocols.split(",")

    run(test)


@pytest.mark.parametrize("tls", [False, True])
def test_they_dial(tls):
    async def test():
        async with theirs(tls) as host, ours() as node:
            await host.connect(info_from_p2p_addr(multiaddr.Multiaddr(node.address)))
            peer = ID.from_base58(node.id)
            assert await PingService(host).ping(peer, 2)
            stream = await host.new_stream(peer, [ECHO])
            sent = secrets.token_bytes(MEBIBYTE)
            back = bytearray()

            async def send():
                for at in range(0, len(sent), 32768):
                    await stream.write(sent[at : at + 32768])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                while len(back) < len(sent):
                    part = await stream.read(65536)
                    assert part
                    back += part
            assert bytes(back) == sent
            await stream.close()
            with trio.fail_after(10):
                while "/echo/1.0.0" not in host.get_peerstore().get_protocols(peer):
                    await trio.sleep(0.05)

    run(test)


def test_unknown_protocol_is_declined_both_ways():
    async def test():
        async with theirs() as host, ours() as node:
            await host.connect(info_from_p2p_addr(multiaddr.Multiaddr(node.address)))
            with pytest.raises(Exception):
                await host.new_stream(ID.from_base58(node.id), [TProtocol("/nothing/1")])
            assert await node.ask("ping", host.get_id())

    run(test)


def test_mixed_dht():
    """Four of theirs and five of ours: records and providers put by one kind are found by the other."""

    async def test():
        async with contextlib.AsyncExitStack() as stack:
            hosts = [await stack.enter_async_context(theirs()) for _ in range(4)]
            nodes = await stack.enter_async_context(ours(5))
            tables = []
            for host in hosts:
                table = KadDHT(host, DHTMode.SERVER)
                table.register_validator("dsip", TextValidator())
                tables.append(table)
                await stack.enter_async_context(background_trio_service(table))
            for host, table in zip(hosts, tables):
                for node in nodes:
                    await host.connect(info_from_p2p_addr(multiaddr.Multiaddr(node.address)))
                    await table.routing_table.add_peer(ID.from_base58(node.id))
                for other in hosts:
                    if other is not host and str(other.get_id()) > str(host.get_id()):
                        await host.connect(info_from_p2p_addr(multiaddr.Multiaddr(address_of(other))))
            for host, table in zip(hosts, tables):
                for other in hosts:
                    if other is not host:
                        await table.routing_table.add_peer(other.get_id())
            await trio.sleep(1)
            for node in nodes[1:]:
                await node.ask("connect", nodes[0].address)
            for node in nodes:
                await node.ask("bootstrap")

            by_us = "/dsip/" + hashlib.sha256(b"by us").hexdigest()
            assert int(await nodes[0].ask("put", by_us, "v1-ours")) >= 5
            for node in nodes[1:]:
                assert await node.ask("get", by_us) == "v1-ours"
            for table in tables:
                assert await table.get_value(by_us) == b"v1-ours"

            by_them = "/dsip/" + hashlib.sha256(b"by them").hexdigest()
            await tables[0].put_value(by_them, b"v1-theirs")
            for node in nodes:
                assert await node.ask("get", by_them) == "v1-theirs"
            assert await tables[3].get_value(by_them) == b"v1-theirs"

            # Providers of a content key.
            content = hashlib.sha256(b"region").digest()
            cid = bytes([0x12, 0x20]) + content
            await nodes[1].ask("announce", cid.hex())
            found = await nodes[4].ask("providers", cid.hex())
            assert nodes[1].id in found.split(",")
            for table in tables[:2]:
                assert nodes[1].id in [str(peer.peer_id) for peer in await table.find_providers(cid.hex())] or nodes[
                    1
                ].id in [str(peer.peer_id) for peer in await table.find_providers(cid)]

            theirs_content = "region-of-theirs"
            await tables[2].provide(theirs_content)
            found = await nodes[3].ask("providers", theirs_content.encode().hex())
            assert str(hosts[2].get_id()) in found.split(",")

            # A peer is found by its id.
            assert "/tcp/" in await nodes[2].ask("find", hosts[3].get_id())

    run(test, 120)
