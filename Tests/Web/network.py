"""A DSIP network of real processes on loopback: one relay and an agent for each person, all state in one temporary folder."""

import asyncio
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DSIP = os.environ.get("DSIP", str(ROOT / ".build" / "debug" / "dsip"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Here:
    """Where a program runs: the network namespace of the test itself."""

    prefix = ()

    def run(self, work):
        return work()


class Device(Here):
    """A network namespace of its own, to which the test's is joined by one link for each network of `networks`."""

    def __init__(self, *networks):
        # Ends with the test, however that ends.
        self.holder = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.02)
        self.prefix = ("nsenter", "-t", str(self.holder.pid), "-n")
        self.ip("link", "set", "lo", "up")
        self.networks = networks
        for name, net in networks:
            subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns", str(self.holder.pid)], check=True)
            subprocess.run(["ip", "address", "add", f"{net}.1/24", "dev", name], check=True)
            subprocess.run(["ip", "link", "set", name, "up"], check=True)

    def ip(self, *arguments, check=True):
        subprocess.run([*self.prefix, "ip", *arguments], check=check)

    def join(self, name, net):
        self.ip("link", "set", name, "up")
        self.ip("address", "add", f"{net}.2/24", "dev", name)
        self.ip("route", "replace", "default", "via", f"{net}.1")

    def leave(self, name):
        self.ip("address", "flush", "dev", name)
        self.ip("link", "set", name, "down")

    def run(self, work):
        """`work` on a thread that is in the namespace."""
        result = []

        def enter():
            with open(f"/proc/{self.holder.pid}/ns/net") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
                    raise OSError(ctypes.get_errno(), "setns")
            result.append(work())
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return result[0]

    def close(self):
        # The namespace itself goes some time after its last process.
        for name, _ in self.networks:
            subprocess.run(["ip", "link", "delete", name])
        self.holder.kill()
        self.holder.wait()


class Program:
    """One `dsip` process whose output is kept; `line` waits for one that matches."""

    def __init__(self, name, *arguments, environment=os.environ, place=Here()):
        self.name, self.arguments, self.environment, self.place = name, [str(argument) for argument in arguments], environment, place
        self.lines, self.changed, self.process = [], asyncio.Event(), None

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.place.prefix, DSIP, *self.arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**self.environment, "NO_COLOR": "1"})
        self.reader = asyncio.create_task(self.read())
        return self

    async def read(self):
        while line := await self.process.stdout.readline():
            self.lines.append(line.decode(errors="replace").rstrip())
            self.changed.set()

    async def line(self, pattern, seconds=30):
        async def search():
            seen = 0
            while True:
                for text in self.lines[seen:]:
                    seen += 1
                    if found := re.search(pattern, text):
                        return found
                if self.process.returncode is not None:
                    break
                self.changed.clear()
                await self.changed.wait()
        try:
            if found := await asyncio.wait_for(search(), seconds):
                return found
        except asyncio.TimeoutError:
            pass
        raise AssertionError(f"{self.name} never printed {pattern!r}:\n" + "\n".join(self.lines[-40:]))

    async def stop(self, how=signal.SIGTERM):
        if self.process and self.process.returncode is None:
            self.process.send_signal(how)
            try:
                await asyncio.wait_for(self.process.wait(), 10)
            except asyncio.TimeoutError:
                self.process.kill()
                await self.process.wait()


class Person:
    """Someone's agent: `dsip up` on a state folder of their own."""

    def __init__(self, network, name, folder, paired=False, place=Here(), options=()):
        self.place, self.options = place, list(options)
        self.network, self.name, self.folder, self.program, self.url, self.paired = network, name, folder, None, None, paired
        self.port = free_port()

    async def up(self):
        self.program = await Program(
            self.name, "up", "--state", self.folder, "--name", self.name, "--port", self.port, "--relay", self.network.relay_url,
            "--device", f"{self.name}'s computer", *self.network.trust, *(["--pair"] if self.paired else []), *self.options, place=self.place).start()
        self.url = (await self.program.line(r"http://127\.0\.0\.1:\d+/#token=\S+"))[0]
        return self

    async def down(self, how=signal.SIGTERM):
        await self.program.stop(how)

    async def api(self, method, **parameters):
        base, token = self.url.split("/#token=")
        request = urllib.request.Request(
            f"{base}/api/v1/{method}", json.dumps(parameters).encode(), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})

        def send():
            try:
                with urllib.request.urlopen(request, timeout=20) as reply:
                    return json.load(reply)
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{method}: {error.code} {error.read().decode()}") from None
        return await asyncio.to_thread(self.place.run, send)

    async def state(self):
        return await self.api("state.get")

    async def did(self):
        return (await self.state())["identity"]["did"]

    async def until(self, what, predicate, seconds=20):
        for _ in range(int(seconds / 0.1)):
            state = await self.state()
            if predicate(state):
                return state
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.name}: never {what}: {json.dumps(state)[:1500]}")

    async def connected(self):
        return await self.until("connected to the relay", lambda s: s["relay"]["state"] == "connected")

    async def add(self, other, allowed=True):
        identity = (await other.state())["identity"]
        return await self.api("contacts.add", input=identity["uri"], name=other.name, allowed=allowed)


class Network:
    def __init__(self, hosts=None, trusted=(), address="127.0.0.1", options=()):
        """`hosts`: of the DHT, which the relay joins unless it is None. `trusted`: other networks whose relays are trusted.
        `options`: for the relay; `{port}` in them is its port."""
        self.hosts, self.trusted, self.address, self.options = hosts, list(trusted), address, list(options)

    async def __aenter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dsip-test-"))
        self.people = []
        self.port, self.relay = free_port(), None
        self.relay_url = f"wss://{self.address}:{self.port}/dsip"
        await self.start_relay()
        return self

    async def __aexit__(self, *_):
        await asyncio.gather(*(person.down() for person in self.people if person.program), return_exceptions=True)
        await self.relay.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def authority(self):
        return self.folder / "relay" / "tls" / "ca.pem"

    @property
    def trust(self):
        return [word for network in [self, *self.trusted] for word in ("--trust", network.authority)]

    async def host(self):
        """The relay's address in the DHT."""
        return (await self.relay.line(r"^dht (/ip4/\S+)$"))[1]

    async def start_relay(self):
        dht = [] if self.hosts is None else ["--dht-enabled", "true", "--dht-listen", "/ip4/127.0.0.1/tcp/0", *(["--dht-bootstrap", ",".join(self.hosts)] if self.hosts else [])]
        self.relay = await Program("relay", "relay", "--state", self.folder / "relay", "--port", self.port,
                                   *([] if self.address == "127.0.0.1" else ["--host", self.address, "--tls-names", self.address]), *dht, *(option.format(port=self.port) for option in self.options)).start()
        for _ in range(300):
            if self.relay.process.returncode is not None:
                raise AssertionError("the relay ended:\n" + "\n".join(self.relay.lines))
            try:
                context = ssl.create_default_context(cafile=str(self.authority))
                with await asyncio.to_thread(urllib.request.urlopen, f"https://{self.address}:{self.port}/healthz", None, 5, context=context) as reply:
                    if reply.status == 200:
                        return
            except (OSError, FileNotFoundError):
                await asyncio.sleep(0.1)
        raise AssertionError("the relay never answered:\n" + "\n".join(self.relay.lines))

    async def person(self, name, paired=False, place=Here(), options=()):
        """`paired`: without an identity, waiting to be added to one. `options`: for the agent."""
        person = Person(self, name, self.folder / name.lower(), paired, place, options)
        self.people.append(person)
        await person.up()
        if not paired:
            await person.connected()
        return person

    async def second(self, person, name):
        """One more device of theirs, paired by its code."""
        device = await self.person(name, paired=True)
        code = (await device.api("devices.pair.begin"))["code"]
        await person.api("devices.pair.approve", code=code, name=name)
        did = await person.did()
        await device.until("paired", lambda s: (s["identity"] or {}).get("did") == did)
        await device.connected()
        return device
