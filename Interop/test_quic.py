"""QUIC against the `aioquic` package of PyPI, which nobody here wrote: both ways."""

import asyncio
import datetime
import ipaddress
import os
import socket
import subprocess
import tempfile
import unittest

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, DatagramFrameReceived, StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEER = os.environ.get("QUIC_PEER", os.path.join(os.path.dirname(__file__), "..", ".build", "debug", "quic-peer"))
LIMIT = 120


def make_certificate(folder):
    """A certificate that vouches for itself: for `localhost` and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    with open(paths[0], "wb") as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    with open(paths[1], "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return paths


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.streams = {}
        self.datagrams = asyncio.Queue()
        self.end = None

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            data, done = self.streams.setdefault(event.stream_id, (bytearray(), asyncio.get_running_loop().create_future()))
            data += event.data
            if event.end_stream:
                done.set_result(bytes(data))
        elif isinstance(event, DatagramFrameReceived):
            self.datagrams.put_nowait(event.data)
        elif isinstance(event, ConnectionTerminated):
            self.end = event

    async def exchange(self, payload):
        stream = self._quic.get_next_available_stream_id()
        done = asyncio.get_running_loop().create_future()
        self.streams[stream] = (bytearray(), done)
        self._quic.send_stream_data(stream, payload, end_stream=True)
        self.transmit()
        return await asyncio.wait_for(done, LIMIT)


class EchoServer(QuicConnectionProtocol):
    codes = []

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            self._quic.send_stream_data(event.stream_id, event.data, end_stream=event.end_stream)
            self.transmit()
        elif isinstance(event, ConnectionTerminated):
            EchoServer.codes.append(event.error_code)


class QUIC(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.certificate, self.key = make_certificate(folder.name)

    def server(self, *options):
        process = subprocess.Popen(
            [PEER, "serve", self.certificate, self.key, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

        def stop():
            process.stdin.close()
            process.wait(LIMIT)
            process.stdout.close()

        self.addCleanup(stop)
        return process, int(process.stdout.readline().split()[1])

    def configuration(self, protocol="dsip/1"):
        configuration = QuicConfiguration(
            is_client=True, alpn_protocols=[protocol], max_datagram_frame_size=1200, server_name="localhost"
        )
        configuration.load_verify_locations(self.certificate)
        return configuration

    async def test_foreign_client(self):
        for options in [[], ["retry"]]:
            process, port = self.server(*options)
            payload = os.urandom(256 << 10)
            async with connect(
                "127.0.0.1", port, configuration=self.configuration(), create_protocol=Client
            ) as client:
                await client.ping()
                replies = await asyncio.gather(*(client.exchange(payload) for _ in range(3)))
                self.assertTrue(all(reply == payload for reply in replies))
                # New keys, and another connection id of the peer's.
                client.request_key_update()
                self.assertEqual(await client.exchange(b"after the key update"), b"after the key update")
                client.change_connection_id()
                self.assertEqual(await client.exchange(b"under another id"), b"under another id")
                client._quic.send_datagram_frame(b"datagram")
                client.transmit()
                self.assertEqual(await asyncio.wait_for(client.datagrams.get(), LIMIT), b"datagram")
                client.close(error_code=9, reason_phrase="bye")
            self.assertEqual(process.stdout.readline().split()[:3], ["closed", "closed", "9"])

    async def test_foreign_client_moves(self):
        _, port = self.server()
        async with connect("127.0.0.1", port, configuration=self.configuration(), create_protocol=Client) as client:
            self.assertEqual(await client.exchange(b"before"), b"before")
            # Another socket, such as the package itself uses: for both families.
            other = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            other.bind(("::", 0))
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: client, sock=other)
            payload = os.urandom(300_000)
            self.assertEqual(await client.exchange(payload), payload)

    async def test_no_common_protocol(self):
        _, port = self.server()
        with self.assertRaises(ConnectionError):
            async with connect("127.0.0.1", port, configuration=self.configuration("other/1"), create_protocol=Client):
                pass

    async def dial(self, port, protocol="dsip/1"):
        process = await asyncio.create_subprocess_exec(
            PEER, "dial", str(port), self.certificate, protocol, "300000", stdout=subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), LIMIT)
        return output.decode().splitlines()

    async def test_foreign_server(self):
        for retry in [False, True]:
            configuration = QuicConfiguration(is_client=False, alpn_protocols=["dsip/1"])
            configuration.load_cert_chain(self.certificate, self.key)
            EchoServer.codes = []
            server = await serve("0.0.0.0", 0, configuration=configuration, create_protocol=EchoServer, retry=retry)
            port = server._transport.get_extra_info("sockname")[1]
            self.assertEqual(await self.dial(port), ["echoed 300000"] * 3 + ["moved true"])
            while 7 not in EchoServer.codes:
                await asyncio.sleep(0.01)
            self.assertEqual(await self.dial(port, "other/1"), ["failed application-protocol"])
            server.close()


if __name__ == "__main__":
    unittest.main()
