"""The messaging half of the stand-in for the agent: conversations, receipts, attachments, search, as docs/agent-api.md has them. No cryptography."""

import asyncio
import itertools
import re
import secrets

from aiohttp import web


class Messaging:
    """Mixed into `Agent`. Every agent keeps its own copy of each conversation; what one sends is handed to the others, or waits while they are `away`."""

    counter = itertools.count(1)

    def start_messaging(self):
        self.conversations: dict[str, dict] = {}
        self.histories: dict[str, list[dict]] = {}
        self.files: dict[str, tuple[bytes, str]] = {}
        self.uploads: dict[str, tuple[bytes, str]] = {}
        self.messaging = {"enabled": True, "unread": 0, "mode": "sync", "read_receipts": True, "typing": True, "mailbox": "Your mailbox is relay.test."}
        self.away = False
        self.waiting: list = []
        self.refuse_sending = None
        self.slow_files = 0.0
        self.voicemail = {"offered": False, "max_duration_s": 60, "reason": "They take no voicemail."}
        self.played_ids: list[str] = []
        self.subscriptions: list[dict] = []
        self.told_typing: list[dict] = []

    def messaging_routes(self, app):
        app.router.add_post("/api/v1/uploads", self.post_upload)
        app.router.add_get("/api/v1/attachments/{conversation}/{message}", self.get_attachment)

    def authorized(self, request):
        return request.headers.get("authorization") == f"Bearer {self.token}"

    async def post_upload(self, request):
        if not self.authorized(request):
            raise web.HTTPUnauthorized()
        body = await request.read()
        upload = secrets.token_hex(8)
        self.uploads[upload] = (body, request.headers.get("content-type", "application/octet-stream"))
        return web.json_response({"upload": upload, "size": len(body)})

    async def get_attachment(self, request):
        if not self.authorized(request):
            raise web.HTTPUnauthorized()
        await asyncio.sleep(self.slow_files)
        found = self.files.get(request.match_info["message"])
        if not found:
            return web.json_response({"error": {"code": "unreachable", "message": "The mailbox that has this file cannot be reached. Try again later."}}, status=502)
        body, kind = found
        return web.Response(body=body, headers={"content-type": kind, "content-disposition": "attachment", "x-content-type-options": "nosniff"})

    # What is kept

    def listed(self):
        return list(self.conversations.values())

    def self_peer(self):
        return {"did": self.did, "name": self.name, "named_by": "you", "basis": ["Self-issued identity"], "contact": None, "key_changed": False, "blocked": False, "alias": self.alias}

    def make_conversation(self, id, kind, people, title=None, request=False):
        conversation = {
            "id": id, "kind": kind, "encryption": "mls", "title": title, "members": [self.self_peer() if person is self else self.peer(person) for person in people], "self_removed": False, "unread": 0,
            "last": None, "muted": False, "disappear_after_s": None, "draft": "", "notice": None, "typing": [], "request": request,
            "hub": {"did": self.world.agents[0].did, "name": "relay.example", "own": self is self.world.agents[0]} if kind == "group" else None}
        self.conversations[id] = conversation
        self.histories[id] = []
        return conversation

    def tell(self, id):
        self.messaging["unread"] = sum(c["unread"] for c in self.conversations.values())
        self.emit("conversation", {**self.conversations[id]})

    def people(self, id):
        return [agent for agent in self.world.agents if any(m["did"] == agent.did for m in self.conversations[id]["members"])]

    def conversation(self, id):
        if id not in self.conversations:
            raise self.failure("not-found", "This conversation is no longer there.")
        return self.conversations[id]

    def message(self, id):
        for history in self.histories.values():
            for message in history:
                if message["id"] == id:
                    return message
        raise self.failure("not-found", "This message is no longer there.")

    def failure(self, code, sentence):
        from mock_agent import Failure
        return Failure(code, sentence)

    def hand_over(self, work):
        """Runs `work(self)` now, or when this agent is back."""
        if self.away:
            self.waiting.append(work)
        else:
            work(self)

    def come_back(self):
        self.away = False
        for work in self.waiting:
            work(self)
        self.waiting = []

    def keep(self, message):
        """Adds or replaces a message of this agent's history and says so."""
        history = self.histories[message["conversation"]]
        known = next((i for i, m in enumerate(history) if m["id"] == message["id"]), None)
        history.append(message) if known is None else history.__setitem__(known, message)
        conversation = self.conversations[message["conversation"]]
        if conversation["last"] is None or conversation["last"]["order"] <= message["order"]:
            conversation["last"] = message
        self.emit("message", {**message})
        self.tell(conversation["id"])
        return message

    def compose(self, id, *, text="", kind="text", sender=None, at=None, state=None, **more):
        from mock_agent import now, ulid
        sender = sender or self.did
        mine = sender == self.did
        return {"id": ulid(), "conversation": id, "sender": sender, "mine": mine, "kind": kind, "purpose": "message", "text": text, "content_type": "text/plain", "sent_at": at or now(), "received_at": at or now(), "seq": None,
                "order": next(self.counter), "reply_to": None, "edited": False, "retracted": False, "mentions": [], "reactions": [], "state": state or ("pending" if mine else "received"), "state_sentence": "",
                "receipts": [], "attachment": None, "expires_at": None, "call": None, "roster": None, **more}

    STATES = {"pending": "Waiting for the mailbox service", "accepted": "Sent; not yet on their device", "delivered": "On their device", "read": "Read", "played": "Played", "failed": "The mailbox service refused it"}

    def set_state(self, message, state):
        message.update(state=state, state_sentence=self.STATES[state])
        self.keep(message)

    async def post_out(self, message, attached=None):
        """Sends a message of this agent to the others, with the steps a person sees."""
        id = message["conversation"]
        message["state_sentence"] = self.STATES["pending"]
        self.keep(message)
        asyncio.ensure_future(self.carry(id, message, attached))
        return {**message}

    async def carry(self, id, message, attached):
        await asyncio.sleep(self.pace)
        if self.refuse_sending:
            message.update(state="failed", state_sentence=self.refuse_sending)
            self.keep(message)
            return
        self.set_state(message, "accepted")
        await asyncio.sleep(self.pace)
        for other in self.people(id):
            if other is not self:
                other.hand_over(lambda other: other.take(self, message, attached))

    def take(self, sender, message, attached=None):
        from mock_agent import now
        id = message["conversation"]
        if id not in self.conversations:
            people = sender.people(id)
            theirs = sender.conversations[id]
            self.make_conversation(id, theirs["kind"], people, theirs["title"], request=theirs["kind"] == "direct" and not any(c["did"] == sender.did for c in self.contacts))
        if self.conversations[id]["self_removed"]:
            return
        copy = {**message, "mine": False, "state": "received", "state_sentence": "", "receipts": [], "received_at": now(), "order": next(self.counter), "reactions": [dict(r) for r in message["reactions"]]}
        if attached:
            self.files[copy["id"]] = attached
            copy["attachment"] = {**copy["attachment"], "state": "none", "progress": 0}
        self.conversations[id]["unread"] += 1
        self.keep(copy)
        sender.receipt(message["id"], self.did, "delivered_at")

    RANK = {"delivered_at": "delivered", "read_at": "read", "played_at": "played"}

    def receipt(self, id, did, kind):
        from mock_agent import now
        try:
            message = self.message(id)
        except Exception:
            return
        entry = next((r for r in message["receipts"] if r["did"] == did), None)
        if entry is None:
            entry = {"did": did, "delivered_at": None, "read_at": None, "played_at": None}
            message["receipts"].append(entry)
        entry[kind] = entry[kind] or now()
        others = [m["did"] for m in self.conversations[message["conversation"]]["members"] if m["did"] != self.did]
        for step in ("played_at", "read_at", "delivered_at"):
            if others and all(any(r["did"] == did and r[step] for r in message["receipts"]) for did in others):
                self.set_state(message, self.RANK[step])
                return
        self.keep(message)

    # Methods

    def do_conversations_list(self, page, p):
        return {"conversations": self.listed()}

    def found(self, text):
        contact = next((c for c in self.contacts if c["id"] == text), None)
        return self.world.find(contact["did"] if contact else text)

    def do_conversations_open(self, page, p):
        other = self.found(p["with"])
        for conversation in self.conversations.values():
            if conversation["kind"] == "direct" and any(m["did"] == other.did for m in conversation["members"]):
                return conversation
        from mock_agent import ulid
        conversation = self.make_conversation(ulid(), "direct", [self, other])
        self.tell(conversation["id"])
        return conversation

    def roster(self, id, sentence, added=(), removed=()):
        return self.compose(id, kind="roster", state="received", roster={"by": self.did, "added": list(added), "removed": list(removed), "joined_device": False, "sentence": sentence})

    def do_conversations_create(self, page, p):
        from mock_agent import ulid
        people = [self, *(self.found(member) for member in p["members"])]
        id = ulid()
        for agent in people:
            if not agent.reachable:
                raise self.failure("unreachable", "One of them cannot be reached yet.")
            agent.make_conversation(id, "group", people, p["title"])
            agent.keep(agent.roster(id, "You made the group." if agent is self else f"{self.name} added you.", [a.did for a in people[1:]]))
        return self.conversations[id]

    def do_conversations_update(self, page, p):
        conversation = self.conversation(p.pop("id"))
        for agent in self.people(conversation["id"]) if "title" in p or "disappear_after_s" in p else [self]:
            if conversation["id"] in agent.conversations:
                agent.conversations[conversation["id"]].update({key: value for key, value in p.items() if agent is self or key in ("title", "disappear_after_s")})
                agent.tell(conversation["id"])
        return conversation

    def do_conversations_accept(self, page, p):
        conversation = self.conversation(p["id"])
        conversation["request"] = False
        self.tell(p["id"])
        return conversation

    def do_conversations_leave(self, page, p):
        conversation = self.conversation(p["id"])
        self.leave_group(p["id"], [self], f"{self.name} left.")
        conversation["self_removed"] = True
        self.tell(p["id"])
        return {}

    def do_conversations_delete(self, page, p):
        self.conversations.pop(p["id"], None)
        self.histories.pop(p["id"], None)
        self.emit("conversation.gone", {"id": p["id"]})
        return {}

    def leave_group(self, id, gone, sentence):
        for agent in self.people(id):
            if id in agent.conversations:
                agent.conversations[id]["members"] = [m for m in agent.conversations[id]["members"] if m["did"] not in [g.did for g in gone] or (m["did"] == agent.did)]
                if agent in gone:
                    agent.conversations[id]["self_removed"] = True
                agent.keep(agent.roster(id, sentence, removed=[g.did for g in gone]))

    def do_conversations_add(self, page, p):
        added = [self.found(member) for member in p["members"]]
        people = [*self.people(p["id"]), *added]
        names = ", ".join(agent.name for agent in added)
        for agent in people:
            if p["id"] not in agent.conversations:
                agent.make_conversation(p["id"], "group", people, self.conversations[p["id"]]["title"])
            agent.conversations[p["id"]]["members"] = [agent.self_peer() if other is agent else agent.peer(other) for other in people]
            agent.keep(agent.roster(p["id"], f"{self.name} added {names}.", [a.did for a in added]))
        return self.conversations[p["id"]]

    def do_conversations_move(self, page, p):
        for agent in self.people(p["id"]):
            agent.conversations[p["id"]]["hub"] = {"did": self.did, "name": "bob.example", "own": agent is self}
            agent.tell(p["id"])
        return self.conversations[p["id"]]

    def do_conversations_remove(self, page, p):
        gone = [agent for agent in self.world.agents if agent.did in p["members"]]
        self.leave_group(p["id"], gone, f"{self.name} removed {', '.join(a.name for a in gone)}.")
        return self.conversations[p["id"]]

    def safety_digits(self, other):
        import hashlib
        value = int.from_bytes(hashlib.sha256("".join(sorted([self.did, other])).encode()).digest(), "big")
        text = f"{value:080d}"[:60]
        return " ".join(text[i:i + 5] for i in range(0, 60, 5))

    safety_state = None

    def do_conversations_safety(self, page, p):
        from mock_agent import qr_svg
        other = p.get("did") or next(m["did"] for m in self.conversation(p["id"])["members"] if m["did"] != self.did)
        digits = self.safety_digits(other)
        return {"digits": digits, "svg": qr_svg(digits.replace(" ", "")), "compared": self.safety_state or "never", "basis": "Made of both identities' keys; it changes when one of them does."}

    def do_conversations_safety_compare(self, page, p):
        other = p.get("did") or next(m["did"] for m in self.conversation(p["id"])["members"] if m["did"] != self.did)
        self.safety_state = "same" if p["scanned"] == self.safety_digits(other).replace(" ", "") else "different"
        return {"result": self.safety_state}

    def do_messages_list(self, page, p):
        self.conversation(p["conversation"])
        history = sorted(self.histories[p["conversation"]], key=lambda m: m["order"])
        limit = min(200, p.get("limit", 50))
        start, end = 0, len(history)
        if "around" in p:
            at = next((i for i, m in enumerate(history) if m["id"] == p["around"]), None)
            if at is None:
                raise self.failure("not-found", "This message is no longer there.")
            start, end = max(0, at - limit // 2), min(len(history), at + limit // 2)
        elif "before" in p:
            end = next((i for i, m in enumerate(history) if m["order"] >= p["before"]), len(history))
            start = max(0, end - limit)
        elif "after" in p:
            start = next((i for i, m in enumerate(history) if m["order"] > p["after"]), len(history))
            end = min(len(history), start + limit)
        else:
            start = max(0, end - limit)
        return {"messages": history[start:end], "more_before": start > 0, "more_after": end < len(history)}

    def preview(self, id):
        try:
            message = self.message(id)
        except Exception:
            return None
        return {"id": id, "sender": message["sender"], "preview": message["text"] or message["kind"].capitalize()}

    async def do_messages_send(self, page, p):
        message = self.compose(p["conversation"], text=p.get("text", ""), kind=p.get("kind", "text"), purpose=p.get("purpose", "message"), mentions=p.get("mentions", []), reply_to=self.preview(p["reply_to"]) if p.get("reply_to") else None)
        if message["kind"] == "location":
            message["location"] = {"lat_e7": p["lat_e7"], "lon_e7": p["lon_e7"]}
        if message["kind"] == "contact":
            message["contact"] = p["did"]
        self.conversation(p["conversation"])["draft"] = ""
        return await self.post_out(message)

    async def do_messages_attach(self, page, p):
        body, kind = self.uploads.pop(p["upload"])
        attachment = {"name": p.get("name"), "content_type": p["content_type"], "size": len(body), "duration_ms": p.get("duration_ms"), "width": p.get("width"), "height": p.get("height"), "thumbnail": p.get("thumbnail"),
                      "waveform": p.get("waveform"), "state": "ready", "progress": 1}
        message = self.compose(p["conversation"], text=p.get("text", ""), kind=p["kind"], purpose=p.get("purpose", "attachment"), attachment=attachment, reply_to=self.preview(p["reply_to"]) if p.get("reply_to") else None)
        self.files[message["id"]] = (body, p["content_type"])
        return await self.post_out(message, (body, p["content_type"]))

    def everywhere(self, id, change):
        for agent in self.world.agents:
            for history in agent.histories.values():
                for message in history:
                    if message["id"] == id:
                        agent.hand_over(lambda agent, message=message: (change(agent, message), agent.keep(message)))
        return {**self.message(id)}

    def do_messages_edit(self, page, p):
        return self.everywhere(p["id"], lambda agent, m: m.update(text=p["text"], edited=True))

    def do_messages_retract(self, page, p):
        return self.everywhere(p["id"], lambda agent, m: m.update(text="", retracted=True, attachment=None, reactions=[]))

    def do_messages_react(self, page, p):
        def change(agent, message):
            kept = [{**r, "by": [d for d in r["by"] if d != self.did]} for r in message["reactions"]]
            if p["emoji"]:
                entry = next((r for r in kept if r["emoji"] == p["emoji"]), None)
                if entry is None:
                    kept.append(entry := {"emoji": p["emoji"], "by": [], "mine": False})
                entry["by"].append(self.did)
            message["reactions"] = [{**r, "mine": agent.did in r["by"]} for r in kept if r["by"]]
        return self.everywhere(p["id"], change)

    def do_messages_retry(self, page, p):
        message = self.message(p["id"])
        self.set_state(message, "pending")
        asyncio.ensure_future(self.carry(message["conversation"], message, self.files.get(message["id"])))
        return {**message}

    def do_messages_read(self, page, p):
        conversation = self.conversation(p["conversation"])
        through = self.message(p["through"])["order"]
        later = [m for m in self.histories[p["conversation"]] if m["order"] > through and not m["mine"] and m["kind"] not in ("roster", "call")]
        conversation["unread"] = min(conversation["unread"], len(later))
        self.tell(p["conversation"])
        if self.messaging["read_receipts"]:
            for message in self.histories[p["conversation"]]:
                sender = next((a for a in self.world.agents if a.did == message["sender"] and a is not self), None)
                if sender and message["order"] <= through and message["state"] != "read-told":
                    sender.receipt(message["id"], self.did, "read_at")
        return {}

    def do_messages_played(self, page, p):
        self.played_ids.append(p["id"])
        message = self.message(p["id"])
        message["receipts"].append({"did": self.did, "delivered_at": None, "read_at": None, "played_at": message["sent_at"]})
        self.keep(message)
        sender = next(a for a in self.world.agents if a.did == message["sender"])
        if self.messaging["read_receipts"]:
            sender.receipt(p["id"], self.did, "played_at")
        return {}

    def do_messages_typing(self, page, p):
        self.told_typing.append(p)
        for agent in self.people(p["conversation"]):
            if agent is not self and p["conversation"] in agent.conversations:
                others = [t for t in agent.conversations[p["conversation"]]["typing"] if t["did"] != self.did]
                agent.conversations[p["conversation"]]["typing"] = others + ([{"did": self.did, "activity": p["activity"]}] if p["state"] == "active" else [])
                agent.tell(p["conversation"])
        return {}

    def do_messages_search(self, page, p):
        found = []
        for history in self.histories.values():
            for message in history:
                if re.search(re.escape(p["query"]), message["text"], re.I):
                    found.append({"message": message, "snippet": re.sub(f"({re.escape(p['query'])})", "\u0002\\1\u0003", message["text"], flags=re.I)})
        return {"results": sorted(found, key=lambda r: -r["message"]["order"])[:p.get("limit", 50)]}

    def do_messages_settings(self, page, p):
        self.messaging.update(p)
        return {key: self.messaging[key] for key in ("read_receipts", "typing", "mode")}

    def do_push_key(self, page, p):
        return {"public_key": None}

    def do_push_subscribe(self, page, p):
        self.subscriptions.append(p)
        return {}

    def do_push_unsubscribe(self, page, p):
        return {}

    def do_voicemail_offer(self, page, p):
        return self.voicemail
