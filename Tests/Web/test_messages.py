#!/usr/bin/env python3
"""Conversations, used as a person would, against the stand-in for the agent (names from docs/web.md).

    python3 Tests/Web/test_messages.py [-k WORD]
"""

import base64
import os
import re
import sys
import unittest

from playwright.async_api import expect

sys.path.insert(0, os.path.dirname(__file__))
from mock_agent import now  # noqa: E402
import test_page  # noqa: E402
from test_page import PageTest  # noqa: E402

PICTURE = """async ([width, height, type]) => { const c = new OffscreenCanvas(width, height), x = c.getContext('2d');
  for (let i = 0; i < 40; i++) { x.fillStyle = `hsl(${i * 47 % 360} 70% 55%)`; x.fillRect(i * width / 40, 0, width / 40, height * (i % 7 + 1) / 7); }
  const b = await c.convertToBlob({ type, quality: .9 }); return btoa(String.fromCharCode(...new Uint8Array(await b.arrayBuffer()))) }"""


class MessagesTest(PageTest):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        for agent in (self.alice, self.bob, self.carol):
            agent.pace = 0.01
        self.carol.add_contact(self.alice)
        self.carol.add_contact(self.bob)
        self.alice.add_contact(self.carol)

    def direct(self):
        """The conversation of Alice and Bob, there before anything was said."""
        id = self.alice.do_conversations_open(None, {"with": self.bob.did})["id"]
        self.bob.make_conversation(id, "direct", [self.alice, self.bob])
        self.bob.tell(id)
        return id

    def said(self, id, text, by=None, ago=0, **more):
        """Puts a message into Alice's history as if it had been there."""
        message = self.alice.compose(id, text=text, sender=(by or self.bob).did, at=now() - ago, **more)
        if message["mine"]:
            message["state"] = "delivered"
        self.alice.histories[id].append(message)
        self.alice.conversations[id]["last"] = message
        return message

    async def chat(self, page, name):
        await page.get_by_role("link", name=re.compile("^Messages")).click()
        await page.get_by_role("link", name=re.compile(f"^Open chat with {name}")).click()
        chat = page.get_by_role("region", name=f"Chat with {name}")
        await expect(chat).to_be_visible()
        return chat

    async def say(self, page, text):
        box = page.get_by_role("textbox", name=re.compile("^Message to "))
        await box.fill(text)
        await box.press("Enter")

    def bubbles(self, page):
        return page.locator(".message")

    async def choose(self, page, whose, action, index=-1):
        button = page.get_by_role("button", name=re.compile(f"^Actions for the message of {whose}"))
        button = button.nth(await button.count() - 1 if index < 0 else index)
        await button.focus()
        await button.press("Enter")
        await page.get_by_role("dialog", name="Message actions").get_by_role("button", name=action, exact=True).click()

    async def picture(self, page, width=640, height=480, kind="image/png"):
        return base64.b64decode(await page.evaluate(PICTURE, [width, height, kind]))


class ChatTest(MessagesTest):
    async def test_a_conversation_from_the_contact_to_the_read_message(self):
        a, b = await self.pair()
        await a.get_by_role("link", name="Show Bob").click()
        await self.button(a, "Message Bob")
        await expect(a.get_by_role("textbox", name="Message to Bob")).to_be_focused()
        await self.say(a, "Hello Bob")
        await expect(a.get_by_role("button", name="On their device. Show delivery", exact=True)).to_be_visible()
        await expect(b.get_by_role("link", name="Messages, 1 unread message")).to_be_visible()
        await expect(b).to_have_title("(1) DSIP")
        await b.get_by_role("link", name=re.compile("^Messages,")).click()
        row = b.get_by_role("link", name="Open chat with Alice, 1 unread")
        await expect(row).to_have_accessible_description("Hello Bob")
        await row.click()
        await expect(b.get_by_role("heading", name="New messages")).to_be_visible()
        await expect(a.get_by_role("button", name="Read. Show delivery")).to_be_visible()
        await expect(b.get_by_role("link", name="Messages", exact=True)).to_be_visible()

        await b.get_by_role("textbox", name="Message to Alice").press_sequentially("Hi")
        await expect(a.get_by_role("region", name="Chat with Bob").get_by_text("Bob is typing…").first).to_be_visible()
        await b.keyboard.press("Shift+Enter")
        await b.keyboard.type("there")
        await b.keyboard.press("Enter")
        await expect(a.locator(".words-text").last).to_have_text("Hi\nthere", use_inner_text=True)
        await expect(a.get_by_text("Bob is typing…")).to_be_hidden()
        await a.get_by_role("button", name="Read. Show delivery").click()
        delivery = a.get_by_role("dialog", name="Delivery")
        await expect(delivery.get_by_role("list", name="Who has it").get_by_text("Has read it")).to_be_visible()
        await a.keyboard.press("Escape")
        await expect(a.get_by_role("region", name="Chat with Bob").get_by_role("status").filter(has_text="Bob: Hi")).to_be_attached()

    async def test_reply_react_edit_delete_and_copy(self):
        id = self.direct()
        self.said(id, "What time?")
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        await self.choose(a, "Bob", "Reply")
        await expect(a.get_by_text("Reply to Bob")).to_be_visible()
        await self.say(a, "At 8")
        quote = a.get_by_role("button", name="Reply to Bob. Show the message")
        await expect(quote).to_contain_text("What time?")
        await self.choose(a, "Bob", "React with 👍")
        mine = a.get_by_role("button", name="👍 from You. Take yours back")
        await expect(mine).to_have_attribute("aria-pressed", "true")
        await mine.click()
        await expect(mine).to_be_hidden()
        await expect(a.get_by_role("button", name=re.compile("^Sent|^On their"))).to_be_visible()
        await a.get_by_role("textbox", name="Message to Bob").press("ArrowUp")
        box = a.get_by_role("textbox", name="Edit message")
        await expect(box).to_have_value("At 8")
        await box.fill("At 9")
        await box.press("Enter")
        await expect(a.get_by_text("edited")).to_be_visible()
        await expect(self.bubbles(a).last).to_contain_text("At 9")
        await self.choose(a, "You", "Copy text")
        self.assertEqual(await self.copied(a), "At 9")
        await self.choose(a, "You", "Delete for everyone")
        await self.button(a.get_by_role("dialog"), "Delete")
        await expect(a.get_by_text("Message deleted").last).to_be_visible()
        await expect(self.bubbles(a).last).not_to_contain_text("At 9")

    async def test_a_message_that_cannot_be_sent_says_why_and_goes_out_on_retry(self):
        self.direct()
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        self.alice.refuse_sending = "Your mailbox is full. Delete something or wait."
        await self.say(a, "One")
        await expect(a.get_by_role("alert").get_by_text("Your mailbox is full.")).to_be_visible()
        self.alice.refuse_sending = None
        await self.button(a, "Retry")
        await expect(a.get_by_role("button", name="On their device. Show delivery", exact=True)).to_be_visible()
        self.assertEqual([m["text"] for m in self.bob.histories[list(self.bob.histories)[0]]], ["One"])

    async def test_what_is_not_sent_is_kept_and_what_cannot_be_handed_over_comes_back(self):
        id = self.direct()
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        await a.get_by_role("textbox", name="Message to Bob").fill("Half a thou")
        await a.get_by_role("link", name="Contacts", exact=True).click()
        await a.get_by_role("link", name=re.compile("^Messages")).click()
        await expect(a.get_by_role("link", name="Open chat with Bob")).to_contain_text("Draft: Half a thou")
        await a.wait_for_timeout(700)
        self.assertEqual(self.alice.conversations[id]["draft"], "Half a thou")
        other = await self.open(self.alice)
        await self.chat(other, "Bob")
        await expect(other.get_by_role("textbox", name="Message to Bob")).to_have_value("Half a thou")
        self.alice.do_messages_send = None
        await other.get_by_role("textbox", name="Message to Bob").press("Enter")
        await expect(other.get_by_role("textbox", name="Message to Bob")).to_have_value("Half a thou")
        await expect(other.get_by_text("There is no method")).to_be_visible()

    async def test_messages_of_one_hour_stand_together_under_their_day(self):
        id = self.direct()
        self.said(id, "Old", ago=86400)
        self.said(id, "One", ago=20)
        self.said(id, "Two", ago=10)
        self.said(id, "Mine", by=self.alice)
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        await expect(a.get_by_role("heading", name="Yesterday")).to_be_visible()
        await expect(a.get_by_role("heading", name="Today")).to_be_visible()
        self.assertEqual(await self.bubbles(a).evaluate_all("all => all.map(e => [e.classList.contains('first'), e.classList.contains('last')])"), [[True, True], [True, False], [False, True], [True, True]])

    async def test_text_is_never_markup_and_only_web_addresses_can_be_followed(self):
        id = self.direct()
        self.said(id, "<img src=x onerror=alert(1)> javascript:alert(1) https://example.org/a?b=1). \u202eabc")
        a = await self.open(self.alice)
        chat = await self.chat(a, "Bob")
        await expect(chat.get_by_text("<img src=x onerror=alert(1)> javascript:alert(1)")).to_be_visible()
        links = chat.locator(".message a")
        await expect(links).to_have_count(1)
        await expect(links).to_have_attribute("href", "https://example.org/a?b=1")
        await expect(links).to_have_attribute("rel", "noopener noreferrer")

    async def test_notices_calls_and_strange_kinds_are_said_in_the_flow(self):
        id = self.direct()
        self.said(id, "", kind="call", call={"session": "x", "outcome": "missed", "direction": "incoming", "at": now()})
        self.said(id, "", kind="unsupported")
        self.said(id, "Please", purpose="callback-request")
        self.alice.conversations[id]["notice"] = {"code": "hub-unreachable", "sentence": "relay.test cannot be reached. What you write is sent when it is back."}
        a = await self.open(self.alice)
        chat = await self.chat(a, "Bob")
        await expect(chat.get_by_text("What you write is sent when it is back.")).to_be_visible()
        await expect(chat.get_by_text("Missed call")).to_be_visible()
        await expect(chat.get_by_role("button", name="Call back")).to_be_visible()
        await expect(chat.get_by_text("A kind of message that this version does not know")).to_be_visible()
        await expect(chat.get_by_text("Asks to be called back")).to_be_visible()

    async def test_after_a_lost_connection_nothing_is_missing(self):
        self.allowed = ["WebSocket", "ERR_CONNECTION"]
        id = self.direct()
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        await self.say(a, "Before")
        await expect(self.bubbles(a)).to_have_count(1)
        page = self.alice.pages[0]
        self.alice.pages.clear()
        self.said(id, "Meanwhile")
        self.alice.pages.append(page)
        await page.socket.close()
        await expect(self.bubbles(a)).to_have_count(2)
        await expect(self.bubbles(a).last).to_contain_text("Meanwhile")


class ScrollTest(MessagesTest):
    async def test_pages_load_above_without_a_jump(self):
        id = self.direct()
        for n in range(230):
            self.said(id, f"Message {n} " + "and more words " * (n % 9), by=self.alice if n % 3 == 0 else self.bob, ago=40000 - n * 100)
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        await expect(self.bubbles(a).filter(has_text="Message 229 ")).to_be_in_viewport()
        scroller = a.get_by_role("region", name="Messages with Bob")
        await scroller.hover()
        seen = 229
        for _ in range(60):
            # The topmost visible message must not move while the page above it is loaded.
            top = await scroller.evaluate("""async s => { const items = [...s.querySelectorAll('[data-id]')]; s.scrollTop = Math.max(0, s.scrollTop - 900); await new Promise(r => setTimeout(r, 60));
                const first = [...s.querySelectorAll('[data-id]')].find(e => e.getBoundingClientRect().bottom > s.getBoundingClientRect().top + 1); const before = first.getBoundingClientRect().top;
                const text = first.innerText; await new Promise(r => setTimeout(r, 260)); return { moved: Math.abs(first.getBoundingClientRect().top - before), there: first.isConnected, text, top: s.scrollTop, count: s.querySelectorAll('[data-id]').length } }""")
            self.assertTrue(top["there"])
            self.assertLess(top["moved"], 2, top)
            seen = min(seen, int(re.search(r"Message (\d+)", top["text"]).group(1)))
            if seen == 0:
                break
        self.assertEqual(seen, 0)
        await expect(a.get_by_text("This is the beginning of your conversation with Bob.")).to_be_visible()
        await self.button(a, "Jump to latest")
        await expect(self.bubbles(a).filter(has_text="Message 229 ")).to_be_in_viewport()
        self.assertLessEqual(await self.bubbles(a).count(), 400)

    async def test_unread_messages_begin_at_a_line_and_are_read_as_they_are_seen(self):
        id = self.direct()
        for n in range(120):
            self.said(id, f"Message {n}. " + "words " * 30, ago=5000 - n)
        self.alice.conversations[id]["unread"] = 70
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        await expect(a.get_by_role("heading", name="New messages")).to_be_in_viewport()
        await expect(self.bubbles(a).filter(has_text="Message 50. ")).to_be_in_viewport()
        jump = a.get_by_role("button", name=re.compile("^Jump to latest, "))
        await expect(jump).to_be_visible()
        await a.wait_for_timeout(600)
        self.assertGreater(self.alice.conversations[id]["unread"], 55)
        await jump.click()
        await expect(self.bubbles(a).filter(has_text="Message 119. ")).to_be_in_viewport()
        await expect(a.get_by_role("link", name="Messages", exact=True)).to_be_visible()
        self.assertEqual(self.alice.conversations[id]["unread"], 0)

    async def test_what_arrives_while_reading_above_waits_below(self):
        id = self.direct()
        for n in range(60):
            self.said(id, f"Message {n}. " + "words " * 30, ago=5000 - n)
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        scroller = a.get_by_role("region", name="Messages with Bob")
        await scroller.evaluate("s => { s.scrollTop -= 900 }")
        await expect(a.get_by_role("button", name="Jump to latest")).to_be_visible()
        before = await scroller.evaluate("s => s.scrollTop")
        await self.bob.do_messages_send(None, {"conversation": id, "text": "Are you there?"})
        await expect(a.get_by_role("button", name="Jump to latest, 1 new")).to_be_visible()
        self.assertLess(abs(await scroller.evaluate("s => s.scrollTop") - before), 2)
        self.assertEqual(self.alice.conversations[id]["unread"], 1)
        await a.get_by_role("textbox", name="Message to Bob").fill("Yes")
        await a.keyboard.press("Enter")
        await expect(self.bubbles(a).filter(has_text="Are you there?")).to_be_in_viewport()

    async def test_search_finds_marks_and_leads_to_the_place(self):
        id = self.direct()
        target = self.said(id, "The Quarry is flooded", ago=90000)
        for n in range(150):
            self.said(id, f"Message {n}", ago=5000 - n)
        a = await self.open(self.alice)
        await a.get_by_role("link", name=re.compile("^Messages")).click()
        await a.get_by_role("searchbox", name="Search messages").fill("quarry")
        found = a.get_by_role("list", name="Found messages").get_by_role("link")
        await expect(found).to_have_count(1)
        await expect(found.locator("mark")).to_have_text("Quarry")
        await found.click()
        await expect(a.locator(f'[data-id="{target["id"]}"]')).to_be_in_viewport()
        await expect(a.locator(f'[data-id="{target["id"]}"]')).to_have_class(re.compile("pointed"))
        await a.get_by_role("searchbox", name="Search messages").fill("nothing like it")
        await expect(a.get_by_text("No message matches.").last).to_be_visible()
        await a.keyboard.press("Escape")
        await expect(a.get_by_role("link", name="Open chat with Bob")).to_be_visible()


class FilesTest(MessagesTest):
    async def test_a_picture_goes_out_with_its_preview_and_opens_in_full(self):
        id = self.direct()
        a, b = await self.open(self.alice), await self.open(self.bob)
        await self.chat(a, "Bob")
        await self.chat(b, "Alice")
        self.bob.slow_files = 0.5
        await a.get_by_label("Attach files").set_input_files([{"name": "hill.png", "mimeType": "image/png", "buffer": await self.picture(a)}])
        await expect(a.get_by_role("list", name="Files to send").get_by_text("hill.png")).to_be_visible()
        await self.say(a, "From the hill")
        await expect(a.get_by_role("list", name="Files to send")).to_be_hidden()
        sent = self.alice.histories[id][-1]
        self.assertEqual((sent["kind"], sent["attachment"]["width"], sent["attachment"]["height"], sent["text"]), ("image", 640, 480, "From the hill"))
        self.assertLessEqual(len(base64.b64decode(sent["attachment"]["thumbnail"])), 8192)
        await expect(b.get_by_role("status", name=re.compile("^Loading Picture from Alice"))).to_be_visible()
        show = b.get_by_role("button", name="Show Picture from Alice")
        await show.click()
        viewer = b.get_by_role("dialog", name="Picture")
        await expect(viewer.get_by_role("img", name="Picture from Alice")).to_be_visible()
        self.assertEqual(await viewer.get_by_role("img").evaluate("i => [i.naturalWidth, i.naturalHeight]"), [640, 480])
        async with b.expect_download() as download:
            await viewer.get_by_role("button", name="Save Picture from Alice").click()
        self.assertTrue((await download.value).suggested_filename.endswith("hill.png"))
        await b.keyboard.press("Escape")
        await expect(show).to_be_focused()

    async def test_a_photograph_loses_the_place_it_was_taken_at(self):
        id = self.direct()
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        jpeg = await self.picture(a, 64, 32, "image/jpeg")
        for turn, size in ((1, (64, 32)), (6, (32, 64))):
            exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, turn]) + b"\0\0\0\0\0\0" + b"GPS SECRET PLACE"
            segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
            await a.get_by_label("Attach files").set_input_files([{"name": "p.jpg", "mimeType": "image/jpeg", "buffer": jpeg[:2] + segment + jpeg[2:]}])
            await expect(a.get_by_role("list", name="Files to send")).to_be_visible()
            await self.button(a, "Send")
            await expect(a.get_by_role("list", name="Files to send")).to_be_hidden()
            sent = self.alice.histories[id][-1]
            body, _ = self.alice.files[sent["id"]]
            self.assertNotIn(b"SECRET", body)
            self.assertEqual((sent["attachment"]["width"], sent["attachment"]["height"]), size)

    async def test_a_file_is_saved_and_a_failed_one_can_be_fetched_again(self):
        self.allowed = ["502"]
        id = self.direct()
        message = self.said(id, "", kind="file", attachment={"name": "plan.pdf", "content_type": "application/pdf", "size": 2048, "duration_ms": None, "width": None, "height": None, "thumbnail": None, "waveform": None, "state": "none", "progress": 0})
        a = await self.open(self.alice)
        chat = await self.chat(a, "Bob")
        await self.button(a, "Save plan.pdf")
        await expect(chat.get_by_text("The mailbox that has this file cannot be reached.")).to_be_visible()
        self.alice.files[message["id"]] = (b"x" * 2048, "text/html")
        async with a.expect_download() as download:
            await self.button(a, "Save plan.pdf")
        self.assertEqual((await download.value).suggested_filename, "plan.pdf")

    async def test_a_text_of_any_length_is_sent_and_shown_as_text(self):
        id = self.direct()
        a, b = await self.pair()
        chat = await self.chat(a, "Bob")
        long = "A line of a long letter.\n" * 1500 + "The end."
        await self.say(a, long)
        await expect(chat.get_by_role("button", name="The whole text")).to_be_visible()
        sent = self.alice.histories[id][-1]
        self.assertEqual((sent["kind"], self.alice.files[sent["id"]][0].decode()), ("file", long))
        there = await self.chat(b, "Alice")
        await expect(there.get_by_text("A line of a long letter.").first).to_be_visible()
        await expect(there.get_by_text("The end.")).to_be_hidden()
        await self.button(b, "The whole text")
        await expect(there.get_by_text("The end.")).to_be_visible()

    async def test_a_place_and_a_contact_are_sent(self):
        id = self.direct()
        a = await self.open(self.alice)
        chat = await self.chat(a, "Bob")
        await self.button(a, "Send a place or a contact")
        await self.button(a, "A place")
        await a.get_by_label("Latitude").fill("52.5163")
        await expect(a.get_by_role("dialog").get_by_role("button", name="Send", exact=True)).to_be_disabled()
        await a.get_by_label("Longitude").fill("13,3777")
        await a.get_by_role("dialog").get_by_role("button", name="Send", exact=True).click()
        await expect(chat.get_by_role("link", name=re.compile("map|52", re.I))).to_be_visible()
        self.assertEqual(self.alice.histories[id][-1]["location"], {"lat_e7": 525163000, "lon_e7": 133777000})
        await self.button(a, "Send a place or a contact")
        await self.button(a, "A contact")
        await a.get_by_role("dialog").get_by_label("Carol").check()
        await a.get_by_role("dialog").get_by_role("button", name="Send", exact=True).click()
        await expect(chat.get_by_text(self.carol.did)).to_be_visible()
        self.assertEqual((self.alice.histories[id][-1]["kind"], self.alice.histories[id][-1]["text"]), ("contact", "Carol"))

    async def test_a_file_goes_out_with_its_caption(self):
        id = self.direct()
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        await a.get_by_label("Attach files").set_input_files({"name": "plan.pdf", "mimeType": "application/pdf", "buffer": b"x" * 500})
        await self.say(a, "the plan")
        await expect(a.get_by_role("list", name="Files to send")).to_be_hidden()
        self.assertEqual([(m["kind"], m["text"]) for m in self.alice.histories[id]][-1], ("file", "the plan"))

    async def test_files_are_pasted_and_dropped(self):
        id = self.direct()
        a = await self.open(self.alice)
        chat = await self.chat(a, "Bob")
        png = base64.b64encode(await self.picture(a, 32, 32)).decode()
        await a.get_by_role("textbox", name="Message to Bob").evaluate("""(e, png) => { const d = new DataTransfer(); d.items.add(new File([Uint8Array.from(atob(png), c => c.charCodeAt(0))], 'image.png', { type: 'image/png' }));
            e.dispatchEvent(new ClipboardEvent('paste', { clipboardData: d, bubbles: true, cancelable: true })) }""", png)
        await expect(chat.get_by_text("Pasted picture 1.png")).to_be_visible()
        await chat.evaluate("""e => { const d = new DataTransfer(); d.items.add(new File(['hello'], 'notes.txt', { type: 'text/plain' }));
            e.dispatchEvent(new DragEvent('dragover', { dataTransfer: d, bubbles: true, cancelable: true })); window.over = e.classList.contains('dropping');
            e.dispatchEvent(new DragEvent('drop', { dataTransfer: d, bubbles: true, cancelable: true })) }""")
        self.assertTrue(await a.evaluate("over"))
        await expect(chat.get_by_text("notes.txt")).to_be_visible()
        await self.button(a, "Remove Pasted picture 1.png")
        await self.button(a, "Send")
        await expect(a.get_by_role("button", name="Save notes.txt")).to_be_visible()
        self.assertEqual(self.alice.files[self.alice.histories[id][-1]["id"]][0], b"hello")

    async def test_a_voice_message_is_recorded_heard_sent_and_played(self):
        id = self.direct()
        a, b = await self.open(self.alice), await self.open(self.bob)
        await self.chat(a, "Bob")
        await self.chat(b, "Alice")
        await self.button(a, "Record a voice message")
        await expect(a.get_by_role("timer", name="Recording time")).to_have_text("0:02", timeout=15000)
        await expect(b.get_by_text("Alice is recording a voice message…").first).to_be_visible()
        await self.button(a, "Stop recording")
        await self.button(a, "Play Your recording")
        await expect(a.get_by_role("button", name="Pause Your recording")).to_be_visible()
        await self.button(a, "Send recording")
        voice = b.get_by_role("group", name="Voice message from Alice")
        await expect(voice).to_be_visible()
        sent = self.alice.histories[id][-1]
        attachment = sent["attachment"]
        self.assertEqual((sent["kind"], sent["purpose"], attachment["content_type"]), ("audio", "voice-message", "audio/ogg; codecs=opus"))
        self.assertGreater(attachment["duration_ms"], 1500)
        self.assertTrue(0 < len(attachment["waveform"]) <= 64 and all(0 <= v <= 100 for v in attachment["waveform"]))
        body, _ = self.alice.files[sent["id"]]
        samples = check_ogg(self, body)
        self.assertAlmostEqual(samples / 48, attachment["duration_ms"], delta=150)
        await voice.get_by_role("button", name="Play Voice message from Alice").click()
        await expect(voice.get_by_role("button", name="Pause Voice message from Alice")).to_be_visible()
        await expect(voice.get_by_role("button", name="Speed 1×")).to_be_visible()
        await voice.get_by_role("button", name="Speed 1×").click()
        await expect(a.get_by_role("button", name="Played. Show delivery")).to_be_visible()
        self.assertEqual(self.bob.played_ids, [self.bob.histories[id][-1]["id"]])
        await self.button(a, "Record a voice message")
        await self.button(a, "Discard recording")
        self.assertEqual(len(self.alice.histories[id]), 1)


def check_ogg(test, data):
    """Walks every page with the checksum of RFC 3533, and returns the samples after the pre-skip."""
    at, pages, granule, pre_skip, serials = 0, 0, 0, 0, set()
    while at < len(data):
        test.assertEqual(data[at:at + 5], b"OggS\0")
        count = data[at + 26]
        lacing = data[at + 27:at + 27 + count]
        end = at + 27 + count + sum(lacing)
        value = 0
        for byte in data[at:at + 22] + bytes(4) + data[at + 26:end]:
            value ^= byte << 24
            for _ in range(8):
                value = ((value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        test.assertEqual(int.from_bytes(data[at + 22:at + 26], "little"), value, f"checksum of page {pages}")
        test.assertEqual(int.from_bytes(data[at + 18:at + 22], "little"), pages)
        test.assertEqual(data[at + 5], {0: 2}.get(pages, 4 if end == len(data) else 0))
        body = data[at + 27 + count:end]
        if pages == 0:
            test.assertEqual(body[:8], b"OpusHead")
            pre_skip = int.from_bytes(body[10:12], "little")
        elif pages == 1:
            test.assertEqual(body[:8], b"OpusTags")
        else:
            test.assertGreater(int.from_bytes(data[at + 6:at + 14], "little"), granule)
        granule = int.from_bytes(data[at + 6:at + 14], "little")
        serials.add(data[at + 14:at + 18])
        at, pages = end, pages + 1
    test.assertEqual(len(serials), 1)
    return granule - pre_skip


class OggTest(PageTest):
    async def test_opus_packets_keep_their_order_and_length(self):
        a = await self.open(self.alice)
        lengths = await a.evaluate("import('/js/ogg.js').then(o => [0x00, 0x08, 0x18, 0x60, 0x78, 0x80, 0x98, 0xf8].map(toc => o.packetSamples(new Uint8Array([toc, 3]))).concat(o.packetSamples(new Uint8Array([0xfb, 3])), o.packetSamples(new Uint8Array([0xf9]))))")
        self.assertEqual(lengths, [480, 960, 2880, 480, 960, 120, 960, 960, 2880, 1920])
        data = await a.evaluate("""import('/js/ogg.js').then(async o => { const head = new Uint8Array([...new TextEncoder().encode('OpusHead'), 1, 1, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0]);
            const packets = [0, 1, 254, 255, 256, 510, 4000].map((n, i) => { const p = new Uint8Array(n + 1).fill(i); p[0] = 0x98; return p; }); for (let i = 0; i < 400; i++) packets.push(new Uint8Array([0x98, i & 255]));
            return [...new Uint8Array(await o.writeOgg({ head, packets }, 0xdeadbeef).arrayBuffer())] })""")
        self.assertEqual(check_ogg(self, bytes(data)), 407 * 960 - 312)

    async def test_what_is_no_recording_is_refused_without_harm(self):
        a = await self.open(self.alice)
        failures = await a.evaluate("""import('/js/ogg.js').then(o => { let seed = 7; const random = () => (seed = seed * 48271 % 2147483647) & 255;
            const tries = [[], [0x1a], [0x18, 0x53, 0x80, 0x67, 0xff], Array(64).fill(0xff), Array(64).fill(0)]; for (let i = 0; i < 400; i++) tries.push([0x18, 0x53, 0x80, 0x67, 0x01, 255, 255, 255, 255, 255, 255, 255, ...Array.from({ length: 60 }, random)]);
            return tries.filter(bytes => { try { o.readWebM(new Uint8Array(bytes)); return true } catch (e) { return !(e instanceof Error) || e instanceof RangeError || e instanceof TypeError } }).length })""")
        self.assertEqual(failures, 0)


class GroupTest(MessagesTest):
    async def group(self, page):
        await page.get_by_role("link", name=re.compile("^Messages")).click()
        await self.button(page, "New group")
        dialog = page.get_by_role("dialog", name="New group")
        await dialog.get_by_label("Name of the group").fill("Choir")
        await dialog.get_by_role("checkbox", name="Bob").check()
        await dialog.get_by_role("checkbox", name="Carol").check()
        await self.button(dialog, "Make the group")
        await expect(page.get_by_role("region", name="Chat with Choir")).to_be_visible()

    async def test_three_people_mention_and_part(self):
        a, b, c = await self.open(self.alice), await self.open(self.bob), await self.open(self.carol)
        await self.group(a)
        await self.chat(b, "Choir")
        await self.chat(c, "Choir")
        box = a.get_by_role("textbox", name="Message to Choir")
        await box.press_sequentially("Hello @Ca")
        await expect(a.get_by_role("listbox", name="People to mention").get_by_role("option")).to_have_count(1)
        await box.press("Enter")
        await expect(box).to_have_value("Hello @Carol ")
        await box.press_sequentially("👋 and @b")
        await a.get_by_role("option", name="Mention Bob").click()
        await box.press("Enter")
        await expect(c.locator(".mention")).to_have_text(["@Carol", "@Bob"])
        sent = next(iter(self.alice.histories.values()))[-1]
        self.assertEqual(sent["mentions"], [{"did": self.carol.did, "start": 6, "length": 6}, {"did": self.bob.did, "start": 19, "length": 4}])
        await expect(b.locator(".sender")).to_have_text("Alice")
        await a.get_by_role("button", name=re.compile("^(Read|On their device). Show delivery")).click()
        await expect(a.get_by_role("list", name="Who has it").get_by_role("listitem")).to_have_count(2)
        await a.keyboard.press("Escape")

        await self.button(a, "About Choir")
        about = a.get_by_role("dialog", name="About this group")
        await self.button(about, "Change name")
        await a.get_by_role("dialog", name="Name of the group").get_by_label("Name of the group").fill("Choir 2")
        await self.button(a, "Save")
        await expect(b.get_by_role("region", name="Chat with Choir 2")).to_be_visible()
        await self.button(about, "Remove Carol from the group")
        removal = a.get_by_role("dialog", name="Remove Carol?")
        await expect(removal).to_contain_text("cannot read anything written after this")
        await self.button(removal, "Remove")
        await expect(c.get_by_text("You are no longer in this group.")).to_be_visible()
        await expect(c.get_by_role("textbox", name=re.compile("^Message to"))).to_be_hidden()
        await about.get_by_role("button", name="Close").click()
        await self.say(a, "Only for two")
        await expect(b.get_by_text("Only for two").last).to_be_visible()
        await expect(c.get_by_text("Only for two")).to_have_count(0)
        await self.button(b, "About Choir 2")
        his = b.get_by_role("dialog", name="About this group")
        await expect(his).to_contain_text("relay.example puts this group’s messages in order")
        await self.button(his, "Use my service")
        await self.button(b.get_by_role("dialog", name="Move this group to your service?"), "Move")
        await expect(his).to_contain_text("Your service puts this group’s messages in order")
        await b.keyboard.press("Escape")
        await self.button(c, "Delete this history")
        await self.button(c.get_by_role("dialog"), "Delete this history")
        await expect(c.get_by_role("link", name=re.compile("Open chat with Choir"))).to_have_count(0)

        await self.button(a, "About Choir 2")
        await self.button(about, "Add people")
        add = a.get_by_role("dialog", name="Add people")
        await add.get_by_role("checkbox", name="Carol").check()
        await self.button(add, "Add")
        await expect(c.get_by_role("link", name=re.compile("Open chat with Choir 2"))).to_be_visible()
        await self.button(about, "Leave group")
        await self.button(a.get_by_role("dialog", name="Leave this group?"), "Leave")
        await expect(a.get_by_text("You are no longer in this group.")).to_be_visible()

    async def test_muted_and_disappearing(self):
        id = self.direct()
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        await self.button(a, "About Bob")
        about = a.get_by_role("dialog", name="About this conversation")
        await about.get_by_role("switch", name="Mute").check()
        await about.get_by_label("Disappearing messages").select_option("After 1 day")
        await a.keyboard.press("Escape")
        self.assertEqual((self.alice.conversations[id]["muted"], self.bob.conversations[id]["disappear_after_s"]), (True, 86400))
        await expect(a.get_by_text("Messages disappear after 1 day.")).to_be_visible()

    async def test_the_safety_number_is_compared(self):
        id = self.direct()
        a = await self.open(self.alice)
        await self.chat(a, "Bob")
        await self.button(a, "Safety number")
        dialog = a.get_by_role("dialog", name="Safety number with Bob")
        await expect(dialog.get_by_role("group", name="Safety number")).to_have_text(self.alice.safety_digits(self.bob.did).replace(" ", ""))
        self.assertEqual(self.alice.safety_digits(self.bob.did), self.bob.safety_digits(self.alice.did))
        await expect(dialog.get_by_role("img", name="Safety number as a QR code")).to_be_visible()
        await a.evaluate("delete globalThis.BarcodeDetector")
        await self.button(dialog, "Scan their code")
        scan = a.get_by_role("dialog", name="Scan their safety number")
        await scan.get_by_label("Their 60 digits").fill("12345 " * 12)
        await self.button(scan, "Compare")
        await expect(dialog.get_by_text("The numbers differ")).to_be_visible()
        await self.button(dialog, "They match")
        await expect(dialog.get_by_text("Compared: the same")).to_be_visible()
        await expect(dialog.get_by_text("The numbers differ")).to_be_hidden()
        self.assertEqual(self.alice.do_conversations_safety(None, {"id": id})["compared"], "same")


class AroundTest(MessagesTest):
    async def test_a_stranger_waits_among_the_requests(self):
        dave = await self.world.add("Dave", pace=0.01)
        a = await self.open(self.alice)
        id = dave.do_conversations_open(None, {"with": self.alice.did})["id"]
        await dave.do_messages_send(None, {"conversation": id, "text": "May I ask something?"})
        await a.get_by_role("link", name="Requests, 1 waiting").click()
        await expect(a.get_by_role("list", name="Message requests").get_by_text("May I ask something?")).to_be_visible()
        await a.get_by_role("link", name="Read the message of Dave").click()
        await expect(a.get_by_role("textbox", name=re.compile("^Message to"))).to_be_hidden()
        await a.wait_for_timeout(600)
        self.assertNotIn("messages.read", self.alice.methods_seen)
        await self.button(a, "Accept messages from Dave")
        await expect(a.get_by_role("textbox", name="Message to Dave")).to_be_visible()
        await expect(a.get_by_role("link", name="Open chat with Dave")).to_be_visible()
        other = await self.world.add("Eve", pace=0.01)
        id = other.do_conversations_open(None, {"with": self.alice.did})["id"]
        await other.do_messages_send(None, {"conversation": id, "text": "Buy"})
        await a.get_by_role("link", name="Requests, 1 waiting").click()
        await a.get_by_role("link", name="Read the message of Eve").click()
        await self.button(a, "Delete the request of Eve")
        await expect(a.get_by_role("heading", name="Requests", exact=True)).to_be_visible()
        self.assertNotIn(id, self.alice.conversations)

    async def test_voicemail_after_an_unanswered_call(self):
        self.alice.voicemail = {"offered": True, "max_duration_s": 3, "reason": ""}
        a, b = await self.pair()
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await b.get_by_role("alertdialog", name="Incoming call").get_by_role("button", name="Decline").click()
        await expect(a.get_by_role("button", name="Send a message instead")).to_be_visible()
        await self.button(a, "Leave a voicemail")
        dialog = a.get_by_role("dialog", name="Voicemail for Bob")
        await self.button(dialog, "Start recording")
        await expect(dialog.get_by_role("timer", name="Time left")).to_have_text("0:02 left")
        await expect(dialog.get_by_role("button", name="Record again")).to_be_visible()
        await self.button(dialog, "Send voicemail")
        await expect(a.get_by_text("Your voicemail for Bob is on its way.")).to_be_visible()
        await b.get_by_role("link", name=re.compile("^Messages, 1")).click()
        await b.get_by_role("link", name=re.compile("^Open chat with Alice")).click()
        await expect(b.get_by_role("group", name="Voicemail")).to_be_visible()
        message = next(iter(self.bob.histories.values()))[-1]
        self.assertEqual(message["purpose"], "voicemail")
        self.assertLessEqual(message["attachment"]["duration_ms"], 3000)

    async def test_a_message_instead_of_the_call(self):
        a, b = await self.pair()
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await b.get_by_role("alertdialog", name="Incoming call").get_by_role("button", name="Decline").click()
        await self.button(a, "Send a message instead")
        await expect(a.get_by_role("textbox", name="Message to Bob")).to_be_visible()
        await expect(a.get_by_role("button", name="Leave a voicemail")).to_be_hidden()

    async def test_settings_of_messages(self):
        a = await self.open(self.alice)
        await a.get_by_role("link", name="Settings", exact=True).click()
        await a.get_by_role("switch", name="Read receipts").uncheck()
        await a.get_by_role("switch", name="Show when I am typing").uncheck()
        mode = a.get_by_role("group", name="History on my devices")
        await mode.get_by_role("radio", name=re.compile("^Only what arrives on each device")).check()
        await expect(a.get_by_text("Your choice holds for all your devices.")).to_be_visible()
        self.assertEqual({k: self.alice.messaging[k] for k in ("read_receipts", "typing", "mode")}, {"read_receipts": False, "typing": False, "mode": "queue"})
        id = self.direct()
        await self.chat(a, "Bob")
        await a.get_by_role("textbox", name="Message to Bob").press_sequentially("quiet")
        self.assertEqual(self.alice.told_typing, [])
        self.assertNotIn("Alice is typing", str(self.bob.conversations[id]["typing"]))

    async def test_a_hidden_page_asks_once_and_then_tells_without_content(self):
        id = self.direct()
        a = await self.open(self.alice)
        await a.evaluate("""() => { window.shown = []; let answer = 'default';
            window.Notification = class { constructor(title, options) { shown.push([title, options.body ?? null]); } static get permission() { return answer } static async requestPermission() { answer = 'granted'; return answer } close() {} };
            navigator.serviceWorker.register = async () => ({}); navigator.serviceWorker.getRegistration = async () => undefined;
            window.hide = hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }); document.hasFocus = () => !hidden; document.dispatchEvent(new Event('visibilitychange')) } }""")
        await a.evaluate("hide(true)")
        await self.bob.do_messages_send(None, {"conversation": id, "text": "Secret words"})
        await expect(a).to_have_title("(1) DSIP")
        self.assertEqual(await a.evaluate("shown"), [])
        await a.evaluate("hide(false)")
        await self.button(a, "Turn on notifications")
        await expect(a.get_by_text("You are told when something arrives")).to_be_visible()
        await a.evaluate("hide(true)")
        await self.bob.do_messages_send(None, {"conversation": id, "text": "Secret words"})
        await self.until(a, "() => shown.length === 1")
        self.assertEqual(await a.evaluate("shown[0]"), ["New message", None])
        await a.evaluate("hide(false)")
        await a.get_by_role("link", name="Settings", exact=True).click()
        await a.get_by_role("switch", name="Show who it is from").check()
        await a.evaluate("hide(true)")
        await self.bob.do_messages_send(None, {"conversation": id, "text": "Secret words"})
        await self.until(a, "() => shown.length === 2")
        self.assertEqual(await a.evaluate("shown[1]"), ["Message from Bob", None])

    async def test_a_push_to_a_closed_page_says_only_that_something_waits(self):
        id = self.direct()
        self.said(id, "Hello")
        a = await self.open(self.alice, permissions=["notifications"])
        await a.get_by_role("link", name="Settings", exact=True).click()
        await a.get_by_role("switch", name="Notify when the page is hidden").check()
        await self.until(a, "async () => Boolean((await navigator.serviceWorker.getRegistration())?.active)")
        self.assertEqual(await a.evaluate("localStorage.getItem('dsip.token.kept')"), self.alice.token)
        session = await a.context.new_cdp_session(a)
        found = []
        session.on("ServiceWorker.workerRegistrationUpdated", lambda event: found.extend(event["registrations"]))
        await session.send("ServiceWorker.enable")
        while not found:
            await a.wait_for_timeout(50)
        push = {"origin": f"http://127.0.0.1:{self.alice.port}", "registrationId": found[0]["registrationId"], "data": '{"relay": "wss://relay.test", "envelope_id": "01M7"}'}
        shown = "async () => (await (await navigator.serviceWorker.getRegistration()).getNotifications()).map(n => [n.title, n.body, n.tag])"
        await session.send("ServiceWorker.deliverPushMessage", push)
        await a.wait_for_timeout(400)
        self.assertEqual(await a.evaluate(shown), [], "a page that is seen needs no notification")
        other = await a.context.new_page()
        await other.goto("about:blank")
        await other.bring_to_front()
        watcher = await a.context.new_cdp_session(other)
        await watcher.send("ServiceWorker.enable")
        await a.close()
        await watcher.send("ServiceWorker.deliverPushMessage", push)
        await other.wait_for_timeout(600)
        # The page that a notification opens has the key, and its own conversations.
        await other.goto(f"http://127.0.0.1:{self.alice.port}/#/messages")
        self.assertEqual(await other.evaluate(shown), [["New message or call", "", "dsip-wake"]])
        await expect(other.get_by_role("link", name="Open chat with Bob")).to_be_visible()
        await other.get_by_role("link", name="Settings", exact=True).click()
        await other.get_by_role("switch", name="Notify when the page is hidden").uncheck()
        await self.until(other, "() => localStorage.getItem('dsip.token.kept') === null")

    async def test_an_agent_without_messages_shows_none(self):
        self.alice.messaging["enabled"] = False
        a = await self.open(self.alice)
        await expect(a.get_by_role("heading", name="Contacts")).to_be_visible()
        await expect(a.get_by_role("link", name="Messages", exact=True)).to_have_count(0)


class ChatAccessTest(MessagesTest):
    async def test_conversations_name_their_controls_and_have_contrast(self):
        id = self.direct()
        self.said(id, "Hello", ago=90000)
        reply = self.said(id, "Look https://example.org", by=self.alice, reactions=[{"emoji": "👍", "by": [self.bob.did, self.alice.did], "mine": True}])
        self.said(id, "Yes", reply_to={"id": reply["id"], "sender": self.alice.did, "preview": "Look"})
        self.said(id, "", retracted=True)
        for kind, kind_of in (("audio", "audio/ogg"), ("file", "application/pdf"), ("video", "video/webm")):
            self.said(id, "", kind=kind, attachment={"name": "a.bin", "content_type": kind_of, "size": 9000, "duration_ms": 4000, "width": 640, "height": 360, "thumbnail": None, "waveform": None, "state": "none", "progress": 0})
        failed = self.said(id, "Lost", by=self.alice)
        failed.update(state="failed", state_sentence="It was refused.")
        self.alice.conversations[id]["unread"] = 2
        stranger = self.alice.make_conversation("01AAAAAAAAAAAAAAAAAAAAAAAA", "direct", [self.alice, self.carol], request=True)
        for scheme in ("light", "dark"):
            for size in ({"width": 1280, "height": 800}, {"width": 390, "height": 844}):
                page = await self.open(self.alice, color_scheme=scheme, viewport=size)
                await expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
                for view in ("messages", f"messages/{id}", f"messages/{stranger['id']}", "requests", "settings"):
                    await page.evaluate("view => { location.hash = '#/' + view }", view)
                    await page.wait_for_timeout(250)
                    self.assertEqual(await page.evaluate(test_page.AccessTest.SCAN), [], f"{view} {scheme} {size}")
                    self.assertEqual(await page.evaluate(test_page.AccessTest.CONTRAST.replace(".skip'", ".skip, .picture, .pictured .meta, .message-tools'")), [], f"{view} {scheme} {size}")
                await page.close()

    async def test_a_conversation_by_keyboard_alone(self):
        id = self.direct()
        for n in range(3):
            self.said(id, f"Message {n}")
        a = await self.open(self.alice)
        await a.get_by_role("link", name=re.compile("^Messages")).focus()
        await a.keyboard.press("Enter")
        await a.get_by_role("link", name="Open chat with Bob").focus()
        await a.keyboard.press("Enter")
        await expect(a.get_by_role("textbox", name="Message to Bob")).to_be_focused()
        await a.get_by_role("region", name="Messages with Bob").focus()
        await a.keyboard.press("ArrowUp")
        await a.keyboard.press("ArrowUp")
        await expect(a.locator(".message:focus")).to_contain_text("Message 1")
        await a.keyboard.press("Enter")
        await expect(a.get_by_role("dialog", name="Message actions")).to_be_visible()
        await a.keyboard.press("Escape")
        await expect(a.get_by_role("dialog", name="Message actions")).to_be_hidden()



if __name__ == "__main__":
    unittest.main(verbosity=2)
