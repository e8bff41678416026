#!/usr/bin/env python3
"""A stand-in for the agent that speaks docs/agent-api.md to real pages: several people in one process, no signing, no relay.

It exists so that the page can be tried, and tested in a browser, without building anything:

    python3 Tests/Web/mock_agent.py                 # Alice, Bob and Carol; prints three addresses

What it imitates: the handshake, snapshots and events, calls with claiming, candidates held until the call is active, renegotiation with
rejection, requests, log, devices, backup. What it does not: cryptography, storage, timers of the protocol.
"""

import argparse
import asyncio
import base64
import hashlib
import io
import json
import mimetypes
import os
import secrets
import sys
import time
from pathlib import Path

import segno
from aiohttp import WSMsgType, web

sys.path.insert(0, os.path.dirname(__file__))
from mock_messages import Messaging  # noqa: E402

WEB = Path(__file__).resolve().parents[2] / "Web"
POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; img-src 'self' blob:; media-src 'self' blob: https:"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
WORDS = (
    "harbor velvet cactus piano lantern meadow orbit pepper quartz ribbon saddle tunnel umbrella violin walnut yellow zebra anchor "
    "butter canyon dolphin engine falcon garden"
).split()


def now() -> int:
    return int(time.time())


def ulid() -> str:
    value = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(CROCKFORD[(value >> shift) & 31] for shift in range(125, -5, -5))


def did_for(seed: str) -> str:
    digest = hashlib.sha256(seed.encode()).digest() + hashlib.sha256(b"2" + seed.encode()).digest()
    return "did:key:z6Mk" + "".join(BASE58[byte % 58] for byte in digest[:44])


def qr_svg(text: str) -> str:
    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="svg", border=2, xmldecl=False, svgns=True, svgclass=None, lineclass=None)
    return out.getvalue().decode()


def directions(sdp: str) -> list[tuple[str, str]]:
    """`(kind, direction)` of each section that is not rejected."""
    sections = []
    for block in sdp.replace("\r\n", "\n").split("\nm=")[1:]:
        kind, port = block.split(" ", 2)[:2]
        direction = next((line[2:] for line in block.split("\n") if line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")), "sendrecv")
        if port != "0":
            sections.append((kind, direction))
    return sections


def check_offer(sdp: str) -> None:
    if "m=application" in sdp or "a=setup:actpass" not in sdp or "a=group:BUNDLE" not in sdp:
        raise Failure("media", "The offer breaks the WebRTC binding.")


class Failure(Exception):
    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class World:
    """Everybody who can be reached."""

    def __init__(self):
        self.agents: list[Agent] = []
        # Makes what an agent knows of a stream, by stream id.
        self.streams: dict = {}

    def find(self, text: str) -> "Agent":
        wanted = text.strip().removeprefix("dsip:").split("?")[0]
        for agent in self.agents:
            if wanted in (agent.did, agent.alias):
                return agent
        if wanted.startswith("did:key:z6Mk") and len(wanted) > 40:
            return Agent(self, "", did=wanted, reachable=False)
        raise Failure("unresolvable", f"“{text.strip()[:80]}” could not be found. Check the spelling, or ask for their link.")

    async def add(self, name: str, **options) -> "Agent":
        agent = Agent(self, name, **options)
        self.agents.append(agent)
        await agent.start()
        return agent

    async def stop(self):
        for agent in self.agents:
            await agent.stop()


class Agent(Messaging):
    def __init__(self, world: World, name: str, did: str | None = None, reachable: bool = True, fresh: bool = False, pace: float = 0.35):
        self.world, self.name, self.reachable, self.pace = world, name, reachable, pace
        self.did = did or did_for(name)
        self.alias = f"{name.split()[0].lower()}@relay.test" if name else None
        self.token = secrets.token_urlsafe(32)
        self.pages: list[Page] = []
        self.contacts: list[dict] = []
        self.calls: dict[str, dict] = {}
        self.lines: dict[str, Line] = {}
        self.requests: list[dict] = []
        self.log: list[dict] = []
        self.others: list[dict] = []
        self.has_identity = not fresh
        self.confirmed = False
        self.can_rotate, self.moved_to, self.rotated = False, None, None
        self.port = None
        self.reject_updates = False
        self.glares = 0
        self.media_reports: list[dict] = []
        self.methods_seen: list[str] = []
        self.digits = ""
        self.relay_trouble = None
        self.completed = None
        self.broadcasts: list[dict] = []
        self.station = None
        self.start_messaging()
        start = now() - 86400 * 12
        self.devices = [
            {"did": did_for(name + "-laptop"), "name": "This laptop", "kind": "computer", "this": True, "issued_at": start, "expires_at": start + 31536000, "revoked_at": None, "revoked_reason": None},
            {"did": did_for(name + "-phone"), "name": "Old phone", "kind": "phone", "this": False, "issued_at": start, "expires_at": start + 31536000, "revoked_at": None, "revoked_reason": None},
        ]

    # Serving

    async def start(self):
        app = web.Application(client_max_size=128 * 1024 * 1024)
        self.messaging_routes(app)
        app.router.add_get("/api/v1/events", self.events)
        app.router.add_post("/api/v1/{method}", self.post)
        app.router.add_get("/{path:.*}", self.file)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def stop(self):
        for page in list(self.pages):
            await page.socket.close()
        await self.runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/#token={self.token}"

    async def file(self, request):
        path = (WEB / (request.match_info["path"] or "index.html")).resolve()
        if not path.is_file() or WEB not in path.parents:
            raise web.HTTPNotFound()
        kind = "application/manifest+json" if path.suffix == ".webmanifest" else mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return web.Response(body=path.read_bytes(), content_type=kind, headers={"content-security-policy": POLICY, "cache-control": "no-cache", "x-content-type-options": "nosniff"})

    async def post(self, request):
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return web.json_response({"error": {"code": "unauthorized", "message": "The token is not valid."}}, status=401)
        try:
            return web.json_response(await self.run(None, request.match_info["method"], await request.json()))
        except Failure as failure:
            return web.json_response({"error": {"code": failure.code, "message": str(failure)}}, status=400)

    async def events(self, request):
        offered = [part.strip() for part in request.headers.get("sec-websocket-protocol", "").split(",")]
        if f"bearer.{self.token}" not in offered:
            raise web.HTTPForbidden()
        socket = web.WebSocketResponse(protocols=("dsip.agent.v1",), heartbeat=20)
        await socket.prepare(request)
        page = Page(self, socket)
        self.pages.append(page)
        await page.send("state", self.state(page))
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    asyncio.ensure_future(page.receive(message.data))
        finally:
            self.pages.remove(page)
        return socket

    def emit(self, event, data):
        for page in list(self.pages):
            asyncio.ensure_future(page.send(event, data(page) if callable(data) else data))

    async def run(self, page, method, params):
        self.methods_seen.append(method)
        handler = getattr(self, "do_" + method.replace(".", "_"), None)
        if handler is None:
            raise Failure("bad-request", f"There is no method “{method}”.")
        result = handler(page, params)
        return await result if asyncio.iscoroutine(result) else result

    # Objects

    def identity(self):
        return {"did": self.did, "name": self.name, "alias": self.alias, "relay": "wss://relay.test", "current": True, "throwaway_for": None,
                "phrase_confirmed": self.confirmed, "can_rotate": self.can_rotate, "moved_to": self.moved_to, "uri": f"dsip:{self.did}?relay=wss%3A%2F%2Frelay.test"}

    def relay(self):
        return {"url": "wss://relay.test", "did": did_for("relay"), "state": "connected" if self.reachable else "waiting", "since": now(), "retry_at": None if self.reachable else now() + 8,
                "sentence": "Connected to relay.test; its identity was checked." if self.reachable else "relay.test cannot be reached.", "stun": []}

    def peer(self, other: "Agent", claims=True):
        contact = next((c for c in self.contacts if c["did"] == other.did), None)
        basis = ["Self-issued identity"]
        if other.alias:
            basis.append("Alias confirmed by relay.test")
        name = contact["name"] if contact else (other.name if claims else "")
        return {"did": other.did, "name": name, "named_by": "you" if contact else "them" if name else None, "basis": basis, "contact": contact["id"] if contact else None,
                "key_changed": bool(contact and contact["key_changed"]), "blocked": bool(contact and contact["blocked"]), "alias": other.alias}

    def state(self, page):
        identity = self.identity() if self.has_identity else None
        return {"identity": identity, "identities": [identity, *self.others] if identity else [], "device": self.devices[0], "relay": self.relay(), "contacts": self.contacts,
                "calls": [self.seen(call, page) for call in self.calls.values()], "requests": self.requests, "log": self.log, "missed": self.missed(), "broadcasts": self.broadcasts, "conversations": self.listed(), "messaging": self.messaging,
                "settings": {"ring_unknown": False, "visibility": "relay", "region": None, "display_name": self.name, "version": "0.1.0"}}

    def missed(self):
        return sum(1 for entry in self.log if entry["outcome"] == "missed" and not entry["seen"])

    def seen(self, call, page):
        line = self.lines.get(call["session"])
        return {**call, "claimed": bool(line and line.page), "claimed_by_me": bool(line and line.page is page and page)}

    def changed(self, call):
        self.emit("call", lambda page: self.seen(call, page))

    def add_contact(self, other: "Agent", name=None, allowed=True):
        contact = {"id": ulid(), "did": other.did, "name": name or other.name, "alias": other.alias, "relay": "wss://relay.test", "added_at": now(), "blocked": False, "allowed": allowed, "key_changed": None, "pairwise": False}
        self.contacts.append(contact)
        self.emit("contacts", {"contacts": self.contacts})
        return contact

    def get(self, things, id):
        for thing in things:
            if thing["id"] == id:
                return thing
        raise Failure("not-found", "That is no longer there.")

    # Identity, devices, contacts, requests

    def do_state_get(self, page, p):
        return self.state(page)

    def do_presence_look(self, page, p):
        """Everybody of this process is online but those who cannot be reached."""
        known = {agent.did: agent.reachable for agent in self.world.agents}
        return {"people": [{"did": did, "here": known.get(did)} for did in p["dids"]]}

    # Broadcasts

    def publish(self, publisher: "Agent", name: str, title: str, variants: list[dict], **more):
        """What the agent would know of a stream; shown as soon as it is followed."""
        stream = f"{publisher.did}:{name}"
        return {"stream": stream, "own": publisher is self, "publisher": self.peer(publisher), "state": "live", "current": True, "fault": None,
                "record": {"publication": ulid(), "signer": publisher.did, "title": title, "integrity": "metadata-only", "variants": [{"media": ["audio"], "integrity": "metadata-only", **v} for v in variants],
                           "policy": {"redistribution": "allowed-with-attribution"}, "issued_at": now(), "expires_at": now() + 3600},
                "provenance": [], "refused_statements": [], "integrity": "metadata-only", "delivered_by": [], "transcoded_by": [], **more}

    def show(self, broadcast):
        self.broadcasts = [b for b in self.broadcasts if b["stream"] != broadcast["stream"]] + [broadcast]
        self.emit("broadcast", broadcast)
        return broadcast

    def do_broadcast_watch(self, page, p):
        found = self.world.streams.get(p["stream"])
        if not found:
            raise Failure("unresolvable", f"“{p['stream']}” could not be found.")
        return self.show(found(self))

    def do_broadcast_unwatch(self, page, p):
        self.broadcasts = [b for b in self.broadcasts if b["stream"] != p["stream"]]
        self.emit("broadcast.gone", {"stream": p["stream"]})
        return {}

    def do_broadcast_choose(self, page, p):
        broadcast = next(b for b in self.broadcasts if b["stream"] == p["stream"])
        fits = (v["id"] for v in broadcast["record"]["variants"] if v["codec"] in p["codecs"] and v["transport"] in p["transports"] and v["id"] not in p.get("except", []))
        return {"variant": next(fits, None), "integrity": broadcast["integrity"], "delivered_by": broadcast["delivered_by"], "transcoded_by": broadcast["transcoded_by"]}

    async def do_broadcast_receive(self, page, p):
        if not self.station:
            raise Failure("unreachable", "The station did not answer.")
        return {"sdp": await self.station(p["sdp"])}

    def do_ice_servers(self, page, p):
        return {"ice_servers": []}

    async def do_peer_lookup(self, page, p):
        other = self.world.find(p["input"])
        await asyncio.sleep(0.1)
        return {"peer": self.peer(other), "relay": "wss://relay.test", "steps": ["The alias was looked up at relay.test.", "The document of the identity was read and its key checked."]}

    def do_identity_qr(self, page, p):
        uri = self.identity()["uri"]
        return {"uri": uri, "svg": qr_svg(uri)}

    def do_identity_create(self, page, p):
        if not self.has_identity:
            self.name, self.did, self.has_identity = p["name"], did_for(p["name"]), True
            self.alias = None
            self.emit("state", self.state)
            return self.identity()
        did = did_for(p["name"] + ulid())
        other = {**self.identity(), "did": did, "name": p["name"], "alias": None, "current": False, "throwaway_for": p.get("throwaway_for"), "phrase_confirmed": False, "uri": f"dsip:{did}"}
        self.others.append(other)
        if p.get("throwaway_for"):
            self.get(self.contacts, p["throwaway_for"])["pairwise"] = True
        self.emit("state", self.state)
        return other

    def do_identity_select(self, page, p):
        raise Failure("not-allowed", "This stand-in keeps to one identity.")

    def do_identity_rename(self, page, p):
        self.name = p["name"]
        self.emit("state", self.state)
        return self.identity()

    def do_identity_rotate(self, page, p):
        self.rotated = p["reason"]
        self.confirmed = False
        self.emit("state", self.state)
        return self.identity()

    def do_identity_move(self, page, p):
        self.moved_to = p["to"]
        self.emit("state", self.state)
        return self.identity()

    def do_identity_move_withdraw(self, page, p):
        self.moved_to = None
        self.emit("state", self.state)
        return self.identity()

    def do_contacts_accept_move(self, page, p):
        contact = self.get(self.contacts, p["id"])
        contact["did"], contact["move"] = contact["move"]["did"], None
        self.emit("contacts", {"contacts": self.contacts})
        return contact

    def do_contacts_ignore_move(self, page, p):
        self.get(self.contacts, p["id"])["move"] = None
        self.emit("contacts", {"contacts": self.contacts})
        return {}

    def do_identity_register(self, page, p):
        self.alias = f"{p['name']}@relay.test"
        self.emit("state", self.state)
        return {"alias": self.alias}

    def do_identity_phrase(self, page, p):
        return {"words": WORDS}

    def do_identity_phrase_confirm(self, page, p):
        if any(WORDS[int(index) - 1] != word for index, word in p["words"].items()):
            raise Failure("bad-request", "At least one word is wrong.")
        self.confirmed = True
        self.emit("state", self.state)
        return {}

    def do_identity_export(self, page, p):
        return {"backup": base64.b64encode(json.dumps({"did": self.did, "lock": hashlib.sha256(p["passphrase"].encode()).hexdigest()}).encode()).decode(), "filename": f"{self.name.lower()}.dsip-backup"}

    def do_identity_import(self, page, p):
        try:
            backup = json.loads(base64.b64decode(p["backup"]))
        except ValueError:
            raise Failure("damaged", "This file is damaged, or it is not a backup.") from None
        if backup.get("lock") != hashlib.sha256(p["passphrase"].encode()).hexdigest():
            raise Failure("wrong-passphrase", "The passphrase is not the one this file was locked with.")
        return self.identity()

    def do_identity_restore(self, page, p):
        if p["words"] != WORDS:
            raise Failure("bad-request", "These words are not a recovery phrase. Check their order and spelling.")
        return self.do_identity_create(page, {"name": p["name"]})

    def do_devices_list(self, page, p):
        return {"devices": self.devices}

    def do_devices_pair_begin(self, page, p):
        return {"code": "K7Q2-9XMD", "uri": "dsip-pair:K7Q2-9XMD", "svg": qr_svg("dsip-pair:K7Q2-9XMD"), "expires_at": now() + 300, "words": "tidal-mango"}

    def do_devices_pair_inspect(self, page, p):
        if p["code"].upper() != "K7Q2-9XMD":
            raise Failure("not-found", "No device is waiting with this code. Check it, or make a new one.")
        return {"device": did_for("tablet"), "kind": "phone", "name": "New phone", "words": "tidal-mango"}

    def do_devices_pair_approve(self, page, p):
        device = {"did": did_for("tablet"), "name": p["name"], "kind": "phone", "this": False, "issued_at": now(), "expires_at": now() + 31536000, "revoked_at": None, "revoked_reason": None}
        self.devices.append(device)
        self.emit("devices", {"devices": self.devices})
        return {**device, "answer": "dsip-grant:" + "Q" * 900}

    def do_devices_pair_complete(self, page, p):
        if not p["answer"].startswith("dsip-grant:"):
            raise Failure("bad-request", "This is not the answer to a pairing code.")
        self.completed = p["answer"]
        return self.identity()

    def do_devices_rename(self, page, p):
        device = next(d for d in self.devices if d["did"] == p["did"])
        device.update(name=p["name"])
        self.emit("devices", {"devices": self.devices})
        return device

    def do_devices_revoke(self, page, p):
        device = next(d for d in self.devices if d["did"] == p["did"])
        device.update(revoked_at=now(), revoked_reason=p["reason"])
        self.emit("devices", {"devices": self.devices})
        return device

    def do_contacts_add(self, page, p):
        other = self.world.find(p["input"])
        if any(c["did"] == other.did for c in self.contacts):
            raise Failure("not-allowed", "This identity is already in your contacts.")
        return self.add_contact(other, p["name"], p.get("allowed", True))

    def do_contacts_update(self, page, p):
        contact = self.get(self.contacts, p.pop("id"))
        contact.update(p)
        self.emit("contacts", {"contacts": self.contacts})
        return contact

    def do_contacts_remove(self, page, p):
        self.contacts.remove(self.get(self.contacts, p["id"]))
        self.emit("contacts", {"contacts": self.contacts})
        return {}

    def do_contacts_accept_key(self, page, p):
        return self.do_contacts_update(page, {"id": p["id"], "key_changed": None})

    def do_requests_send(self, page, p):
        other = self.world.find(p["to"])
        id = ulid()
        mine = {"id": id, "peer": self.peer(other), "purpose": p["purpose"], "received_at": now(), "expires_at": now() + 604800, "state": "pending", "direction": "outgoing"}
        self.requests.append(mine)
        other.requests.append({**mine, "peer": other.peer(self), "direction": "incoming"})
        for agent in (self, other):
            agent.emit("requests", {"requests": agent.requests})
        return mine

    def settle(self, id, state):
        for agent in self.world.agents:
            for request in agent.requests:
                if request["id"] == id:
                    request["state"] = state
                    agent.emit("requests", {"requests": agent.requests})

    def do_requests_accept(self, page, p):
        request = self.get(self.requests, p["id"])
        self.add_contact(self.world.find(request["peer"]["did"]), p.get("name"))
        self.settle(p["id"], "granted")
        return {}

    def do_requests_decline(self, page, p):
        self.settle(p["id"], "declined")
        return {}

    def do_log_seen(self, page, p):
        for entry in self.log:
            entry["seen"] = True
        self.emit("log", {"log": self.log, "missed": 0})
        return {}

    def do_log_clear(self, page, p):
        self.log.clear()
        self.emit("log", {"log": self.log, "missed": 0})
        return {}

    # Calls

    def new_call(self, session, other, direction, state, video):
        call = {"session": session, "direction": direction, "peer": self.peer(other), "state": state, "media": {"audio": True, "video": video}, "answered_by": None, "screening": False, "held": False,
                "remote_held": False, "claimed": False, "claimed_by_me": False, "progress": [], "started_at": now(), "answered_at": None, "ended_at": None, "ended": None, "update": None}
        self.calls[session] = call
        self.lines[session] = Line(other)
        return call

    def hop(self, session, kind, sentence, device=None, signer=None, count=None):
        call = self.calls[session]
        if call["state"] == "ended" and kind != "failed":
            return
        call["progress"].append({"hop": kind, "at": now(), "sentence": sentence, "device": device, "count": count, "signer": signer, "message": ulid() if signer else None})
        self.changed(call)

    async def do_call_place(self, page, p):
        check_offer(p["sdp"])
        if self.relay_trouble:
            raise Failure("unreachable", self.relay_trouble)
        other = self.world.find(p["to"])
        session = ulid()
        call = self.new_call(session, other, "outgoing", "connecting", any(kind == "video" for kind, _ in directions(p["sdp"])))
        self.lines[session].page, self.lines[session].sdp = page, p["sdp"]
        asyncio.ensure_future(self.deliver(session, other))
        return self.seen(call, page)

    async def deliver(self, session, other):
        name = self.calls[session]["peer"]["name"] or "They"
        relay = did_for("relay")
        self.hop(session, "resolved", f"{name} was found: the identity is its own key.")
        await asyncio.sleep(self.pace)
        self.hop(session, "relay", "Your relay took the invitation.", signer=relay)
        await asyncio.sleep(self.pace)
        call = self.calls[session]
        if call["state"] == "ended":
            return
        if not other.reachable:
            self.hop(session, "held", f"{name} is offline. The relay keeps the invitation for a moment.", signer=relay)
            call["state"] = "queued"
            self.changed(call)
            await asyncio.sleep(self.pace * 4)
            if call["state"] != "ended":
                self.finish(session, "transport.no-response", f"{name} is offline. They will see that you called.", "failed")
                if other in self.world.agents:
                    other.missed_call(session, self, call)
            return
        contact = next((c for c in other.contacts if c["did"] == self.did), None)
        if not contact or not contact["allowed"] or contact["blocked"]:
            self.finish(session, "policy.first-contact-required", f"{name} takes calls from contacts only. You can send a request first.", "failed")
            return
        self.hop(session, "delivered", "Delivered to 1 device.", signer=relay, count=1)
        await asyncio.sleep(self.pace)
        if call["state"] == "ended":
            return
        theirs = other.new_call(session, self, "incoming", "incoming", call["media"]["video"])
        other.lines[session].sdp = self.lines[session].sdp
        other.changed(theirs)
        call["state"] = "ringing"
        self.hop(session, "ringing", f"Ringing on {name}’s computer.", device="computer", signer=other.devices[0]["did"])

    def missed_call(self, session, other, call):
        self.log.append({"session": session, "direction": "incoming", "peer": self.peer(other), "outcome": "missed", "reason": None, "sentence": "Missed while you were offline.", "at": now(), "duration": 0, "video": call["media"]["video"], "seen": False})
        self.emit("log", {"log": self.log, "missed": self.missed()})

    def call(self, p, *states):
        call = self.calls.get(p.get("session"))
        if not call:
            raise Failure("not-found", "This call is over.")
        if states and call["state"] not in states:
            raise Failure("not-allowed", "The call is not in a state that permits this.")
        return call, self.lines[call["session"]]

    def do_call_open(self, page, p):
        call, line = self.call(p, "incoming")
        if line.page and line.page is not page:
            raise Failure("not-allowed", "This call is being answered in another window.")
        line.page = page
        self.changed(call)
        return {"sdp": line.sdp, "ice_servers": [], "screen": None}

    def do_call_claim(self, page, p):
        call, line = self.call(p)
        line.page = page
        return self.seen(call, page)

    def do_call_answer(self, page, p):
        call, line = self.call(p, "incoming")
        if len(directions(p["sdp"])) != len(directions(line.sdp)) or "a=setup:active" not in p["sdp"]:
            raise Failure("media", "The answer does not fit the offer.")
        screening = p.get("answered_by") == "screening"
        other = line.other
        device = self.devices[0]["did"]
        for agent, mine in ((self, call), (other, other.calls[call["session"]])):
            mine.update(state="active", answered_at=now(), answered_by=p.get("answered_by", "user"), screening=screening)
            sentence = "You answered." if agent is self else f"{mine['peer']['name']} is screening the call." if screening else f"{mine['peer']['name']} answered."
            agent.hop(call["session"], "answered", sentence, device="computer", signer=device)
        other.to_page(call["session"], "call.description", {"session": call["session"], "type": "answer", "sdp": p["sdp"], "update": None, "screen": None})
        for agent in (self, other):
            agent.flush(call["session"])
        return self.seen(call, page)

    def to_page(self, session, event, data):
        page = self.lines[session].page
        if page:
            asyncio.ensure_future(page.send(event, data))

    def do_call_candidates(self, page, p):
        call, line = self.call(p)
        line.candidates.append({"session": call["session"], "candidates": p["candidates"], "end_of_candidates": p["end_of_candidates"]})
        if call["state"] == "active":
            self.flush(call["session"])
        return {}

    def flush(self, session):
        line = self.lines[session]
        while line.candidates:
            line.other.to_page(session, "call.candidates", line.candidates.pop(0))

    def do_call_update(self, page, p):
        call, line = self.call(p, "active")
        check_offer(p["sdp"])
        session, update = call["session"], ulid()
        theirs = line.other.lines[session]
        if theirs.pending and not theirs.settled:
            # Glare: the update with the smaller id, which is the earlier one, wins.
            asyncio.get_running_loop().call_soon(self.to_page, session, "call.rollback", {"session": session, "update": update, "reason": "session.glare"})
            self.glares += 1
            return {"update": update}
        line.pending, line.settled = (update, p), False
        if line.other.reject_updates:
            line.settled = True
            asyncio.get_running_loop().call_later(0.05, self.to_page, session, "call.rollback", {"session": session, "update": update, "reason": "media.unsupported"})
        else:
            line.other.to_page(session, "call.description", {"session": session, "type": "offer", "sdp": p["sdp"], "update": update, "screen": p.get("screen")})
        return {"update": update}

    def do_call_update_answer(self, page, p):
        call, line = self.call(p, "active")
        other, session = line.other, call["session"]
        update, offer = other.lines[session].pending
        if update != p["update"] or len(directions(p["sdp"])) != len(directions(offer["sdp"])):
            raise Failure("media", "The answer does not fit the offer.")
        other.lines[session].settled = True
        offered = [direction for kind, direction in directions(offer["sdp"]) if kind == "audio"]
        on_hold = all(direction in ("sendonly", "inactive") for direction in offered)
        theirs = other.calls[session]
        theirs["held"], call["remote_held"] = on_hold, on_hold
        video = any(kind == "video" and direction != "inactive" for kind, direction in directions(offer["sdp"]))
        for mine in (call, theirs):
            mine["media"] = {"audio": True, "video": video}
            if offer.get("answered_by") == "user":
                mine.update(screening=False, answered_by="user")
        other.to_page(session, "call.description", {"session": session, "type": "answer", "sdp": p["sdp"], "update": update, "screen": offer.get("screen")})
        self.changed(call)
        other.changed(theirs)
        return {}

    def do_call_update_reject(self, page, p):
        call, line = self.call(p, "active")
        line.other.lines[call["session"]].settled = True
        line.other.to_page(call["session"], "call.rollback", {"session": call["session"], "update": p["update"], "reason": p.get("reason") or "user.declined"})
        return {}

    def do_call_media(self, page, p):
        self.media_reports.append(p)
        if p["state"] == "failed":
            self.end_both(p["session"], "media.failed", "Sound and picture could not be connected.", "Sound and picture could not be connected.", "failed", "failed")
        return {}

    def do_call_dtmf(self, page, p):
        self.digits += p["digits"]
        return {}

    def end_both(self, session, reason, mine, theirs, my_outcome, their_outcome):
        other = self.lines[session].other
        self.finish(session, reason, mine, my_outcome)
        if session in other.calls:
            other.finish(session, reason, theirs, their_outcome)

    def do_call_decline(self, page, p):
        call, line = self.call(p, "incoming")
        self.end_both(call["session"], "user.declined", "You declined the call.", f"{self.name} declined the call.", "declined", "declined")
        return self.seen(call, page)

    def do_call_cancel(self, page, p):
        call, line = self.call(p, "connecting", "ringing", "queued")
        self.end_both(call["session"], "user.cancelled", "You cancelled the call.", f"Missed call from {self.name}.", "cancelled", "missed")
        return self.seen(call, page)

    def do_call_hangup(self, page, p):
        call, line = self.call(p, "active")
        self.end_both(call["session"], "user.hangup", "You ended the call.", f"{self.name} ended the call.", "answered", "answered")
        return self.seen(call, page)

    def finish(self, session, reason, sentence, outcome):
        call = self.calls[session]
        if call["state"] == "ended":
            return
        call.update(state="ended", ended_at=now(), ended={"reason": reason, "sentence": sentence, "missed": outcome == "missed"})
        if outcome == "failed":
            self.hop(session, "failed", sentence, signer=self.lines[session].other.did)
        self.log.append({"session": session, "direction": call["direction"], "peer": call["peer"], "outcome": outcome, "reason": reason, "sentence": sentence, "at": now(),
                         "duration": now() - call["answered_at"] if call["answered_at"] else 0, "video": call["media"]["video"], "seen": outcome != "missed"})
        self.changed(call)
        self.emit("log", {"log": self.log, "missed": self.missed()})


class Line:
    """What one agent keeps of a call beside what pages see."""

    def __init__(self, other: Agent):
        self.other, self.page, self.sdp, self.pending, self.settled = other, None, None, None, True
        self.candidates: list[dict] = []


class Page:
    def __init__(self, agent: Agent, socket):
        self.agent, self.socket = agent, socket

    async def send(self, event, data):
        if not self.socket.closed:
            await self.socket.send_str(json.dumps({"event": event, "data": data}))

    async def receive(self, text):
        request = json.loads(text)
        try:
            reply = {"id": request["id"], "result": await self.agent.run(self, request["method"], request.get("params", {}))}
        except Failure as failure:
            reply = {"id": request["id"], "error": {"code": failure.code, "message": str(failure)}}
        if not self.socket.closed:
            await self.socket.send_str(json.dumps(reply))


async def main(names):
    world = World()
    for name in names:
        await world.add(name)
    for agent in world.agents[:2]:
        for other in world.agents[:2]:
            if agent is not other:
                agent.add_contact(other)
    for agent in world.agents:
        print(f"{agent.name:8} {agent.url}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["Alice", "Bob", "Carol"], help="who is there; the first two are contacts")
    try:
        asyncio.run(main(parser.parse_args().names))
    except KeyboardInterrupt:
        sys.exit(os.EX_OK)
