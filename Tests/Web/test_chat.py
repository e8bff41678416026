"""People write to each other: browsers, real agents, a real relay. What was sent to somebody away is there when they are back, on each of their devices; whoever left a group reads nothing more."""

import asyncio
import base64
import hashlib
import json
import re
import sys
import os
import unittest
import urllib.request

from playwright.async_api import expect

sys.path.insert(0, os.path.dirname(__file__))
from test_network import People  # noqa: E402

MEGABYTES = 5
# A picture that does not compress, of at least so many bytes.
LARGE = """async bytes => { let side = 900; for (;;) { const c = new OffscreenCanvas(side, side), x = c.getContext('2d'), d = x.createImageData(side, side);
  for (let at = 0; at < d.data.length; at += 65536) crypto.getRandomValues(d.data.subarray(at, Math.min(at + 65536, d.data.length))); for (let i = 3; i < d.data.length; i += 4) d.data[i] = 255;
  x.putImageData(d, 0, 0); const b = await c.convertToBlob({ type: 'image/png' }); if (b.size >= bytes) { let s = ''; const a = new Uint8Array(await b.arrayBuffer());
  for (let i = 0; i < a.length; i += 32768) s += String.fromCharCode(...a.subarray(i, i + 32768)); return [side, btoa(s)] } side += 200 } }"""


class ChatTest(People):
    async def alice_and_bob(self):
        """Both let the other see what they read and that they type; nobody does unless asked (M§10.3, M§11)."""
        people = await super().alice_and_bob()
        for person in people:
            await person.api("messages.settings", read_receipts=True, typing=True)
        return people

    async def conversation(self, page, name):
        await page.get_by_role("link", name=re.compile("^Messages")).click()
        await page.get_by_role("link", name=re.compile(f"^Open chat with {name}")).click()
        await expect(page.get_by_role("region", name=f"Chat with {name}")).to_be_visible()

    async def write_to(self, page, name):
        await page.get_by_role("link", name=re.compile("^Contacts")).click()
        await page.get_by_role("link", name=f"Show {name}").click()
        await page.get_by_role("button", name=f"Message {name}", exact=True).click()
        await expect(page.get_by_role("textbox", name=f"Message to {name}")).to_be_visible()

    async def say(self, page, text):
        box = page.get_by_role("textbox", name=re.compile("^Message to "))
        await box.fill(text)
        await box.press("Enter")
        await expect(self.bubble(page, text)).to_be_visible()

    def bubble(self, page, text):
        return page.locator(".message").filter(has_text=text).last

    async def reads(self, page, text, seconds=20):
        await expect(self.bubble(page, text)).to_be_visible(timeout=seconds * 1000)

    async def attachment(self, person, page, kind):
        """The bytes of the last message of that kind, as the agent gives them to its page."""
        for conversation in (await person.state())["conversations"]:
            messages = (await person.api("messages.list", conversation=conversation["id"], limit=200))["messages"]
            for message in reversed(messages):
                if message["kind"] == kind:
                    base, token = person.url.split("/#token=")
                    request = urllib.request.Request(f"{base}/api/v1/attachments/{conversation['id']}/{message['id']}", headers={"Authorization": f"Bearer {token}"})
                    return await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=30).read())
        raise AssertionError(f"{person.name} has no {kind}")

    async def test_words_cross_and_ticks_say_how_far_they_came(self):
        alice, bob = await self.alice_and_bob()
        a, b = await self.open(alice), await self.open(bob)
        await self.write_to(a, "Bob")
        await self.say(a, "Hello Bob, is this thing on?")
        await expect(b.get_by_role("link", name="Messages, 1 unread message")).to_be_visible()
        await expect(a.get_by_role("button", name=re.compile("^Delivered"))).to_be_visible()
        await self.conversation(b, "Alice")
        await self.reads(b, "Hello Bob, is this thing on?")
        await expect(a.get_by_role("button", name=re.compile("^Read"))).to_be_visible()
        await b.get_by_role("textbox", name="Message to Alice").press_sequentially("It is")
        await expect(a.get_by_text("Bob is typing…").first).to_be_visible()
        await b.get_by_role("textbox", name="Message to Alice").press("Enter")
        await self.reads(a, "It is")
        await self.bubble(b, "Hello Bob").get_by_role("button", name=re.compile("^Actions for")).press("Enter")
        await b.get_by_role("button", name="React with 👍").click()
        await expect(a.get_by_role("button", name=re.compile("^👍 from Bob"))).to_be_visible()
        await a.get_by_role("textbox", name="Message to Bob").press("ArrowUp")
        await a.get_by_role("textbox", name="Edit message").fill("Hello Bob, can you read this?")
        await a.keyboard.press("Enter")
        await self.reads(b, "Hello Bob, can you read this?")
        await expect(b.get_by_text("edited")).to_be_visible()
        await a.get_by_role("searchbox", name="Search messages").fill("read this")
        await expect(a.get_by_role("list", name="Found messages").locator("mark").first).to_be_visible()

    async def test_text_and_picture_wait_for_bob_and_a_second_device_has_the_history(self):
        alice, bob = await self.alice_and_bob()
        a, b = await self.open(alice), await self.open(bob)
        await self.write_to(a, "Bob")
        await self.say(a, "Before you left")
        await self.conversation(b, "Alice")
        await self.reads(b, "Before you left")
        await self.write_to(b, "Alice")
        await self.say(b, "Leaving now")
        await self.reads(a, "Leaving now")
        # What was seen has been told.
        await expect(b.get_by_role("link", name="Messages", exact=True)).to_be_visible()
        await b.context.close()
        await bob.down()

        await self.say(a, "While you were away")
        side, png = await a.evaluate(LARGE, MEGABYTES * 1_000_000)
        picture = base64.b64decode(png)
        self.assertGreaterEqual(len(picture), MEGABYTES * 1_000_000)
        await a.get_by_label("Attach files").set_input_files([{"name": "large.png", "mimeType": "image/png", "buffer": picture}])
        await expect(a.get_by_role("list", name="Files to send")).to_be_visible()
        await a.get_by_role("button", name="Send", exact=True).click()
        await expect(a.get_by_role("button", name="Show Picture from You")).to_be_visible()
        await expect(a.get_by_role("button", name=re.compile("^Sent")).last).to_be_visible()

        await bob.up()
        await bob.connected()
        b = await self.open(bob)
        await expect(b.get_by_role("link", name="Messages, 2 unread messages")).to_be_visible()
        await self.conversation(b, "Alice")
        await self.reads(b, "While you were away")
        shown = b.get_by_role("button", name="Show Picture from Alice").get_by_role("img")
        await expect(shown).to_be_visible(timeout=30000)
        self.assertEqual(await shown.evaluate("i => [i.naturalWidth, i.naturalHeight]"), [side, side])
        received = await self.attachment(bob, b, "image")
        self.assertEqual(hashlib.sha256(received).digest(), hashlib.sha256(picture).digest())
        await expect(a.get_by_role("button", name=re.compile("^Read")).last).to_be_visible()

        tablet = await self.network.second(bob, "Bob's tablet")
        t = await self.open(tablet)
        await expect(t.get_by_role("link", name=re.compile("^Messages"))).to_be_visible(timeout=30000)
        await self.conversation(t, "Alice")
        for text in ("Before you left", "Leaving now", "While you were away"):
            await self.reads(t, text, seconds=30)
        await expect(t.get_by_role("button", name="Show Picture from Alice")).to_be_visible(timeout=30000)
        await self.say(a, "To both of your devices")
        await self.reads(b, "To both of your devices")
        await self.reads(t, "To both of your devices")
        await self.say(t, "From the tablet")
        await self.reads(a, "From the tablet")
        await self.reads(b, "From the tablet")

    async def test_who_is_removed_from_a_group_of_three_reads_nothing_more(self):
        alice, bob = await self.alice_and_bob()
        carol = await self.network.person("Carol")
        for one, other in ((alice, carol), (carol, alice), (bob, carol), (carol, bob)):
            await one.add(other)
        a, b, c = await self.open(alice), await self.open(bob), await self.open(carol)
        await a.get_by_role("link", name=re.compile("^Messages")).click()
        await a.get_by_role("button", name="New group").click()
        dialog = a.get_by_role("dialog", name="New group")
        await dialog.get_by_label("Name of the group").fill("Choir")
        await dialog.get_by_role("checkbox", name="Bob").check()
        await dialog.get_by_role("checkbox", name="Carol").check()
        await dialog.get_by_role("button", name="Make the group").click()
        # Who must be asked first comes in when they have answered, and reads from then on.
        for page in (b, c):
            await self.conversation(page, "Choir")
        await self.say(a, "Rehearsal on Thursday")
        for page in (b, c):
            await self.reads(page, "Rehearsal on Thursday")
        await self.say(c, "I will be there")
        await self.reads(a, "I will be there")
        await self.reads(b, "I will be there")

        await a.get_by_role("button", name="About Choir").click()
        await a.get_by_role("button", name="Remove Carol from the group").click()
        await a.get_by_role("dialog", name="Remove Carol?").get_by_role("button", name="Remove", exact=True).click()
        await a.get_by_role("dialog", name="About this group").get_by_role("button", name="Close").click()
        await expect(c.get_by_text("You are no longer in this group.")).to_be_visible()
        await self.say(a, "Only for the two of us")
        await self.reads(b, "Only for the two of us")
        await self.say(b, "Understood")
        await self.reads(a, "Understood")
        await c.wait_for_timeout(1500)
        state = await carol.state()
        told = json.dumps([await carol.api("messages.list", conversation=conversation["id"]) for conversation in state["conversations"]])
        self.assertIn("Rehearsal on Thursday", told)
        for text in ("Only for the two of us", "Understood"):
            self.assertNotIn(text, told)
            await expect(c.get_by_text(text)).to_have_count(0)

    async def test_a_voice_message_is_heard_by_the_other(self):
        alice, bob = await self.alice_and_bob()
        a, b = await self.open(alice), await self.open(bob)
        await self.write_to(a, "Bob")
        await a.get_by_role("button", name="Record a voice message").click()
        await expect(a.get_by_role("timer", name="Recording time")).to_have_text("0:02")
        await a.get_by_role("button", name="Send recording").click()
        await expect(b.get_by_role("link", name="Messages, 1 unread message")).to_be_visible()
        await self.conversation(b, "Alice")
        voice = b.get_by_role("group", name="Voice message from Alice")
        await voice.get_by_role("button", name="Play Voice message from Alice").click()
        await expect(voice.get_by_role("button", name="Pause Voice message from Alice")).to_be_visible()
        await expect(a.get_by_role("button", name=re.compile("^Played"))).to_be_visible()
        self.assertEqual((await self.attachment(bob, b, "audio"))[:4], b"OggS")

    async def test_voicemail_after_a_declined_call(self):
        alice, bob = await self.alice_and_bob()
        a, b = await self.open(alice), await self.open(bob)
        await self.write_to(a, "Bob")
        await self.say(a, "I call you in a minute")
        await self.conversation(b, "Alice")
        await self.reads(b, "I call you in a minute")
        await a.get_by_role("link", name=re.compile("^Contacts")).click()
        await b.get_by_role("link", name=re.compile("^Contacts")).click()
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await self.incoming(b).get_by_role("button", name="Decline").click()
        await a.get_by_role("button", name="Leave a voicemail").click()
        dialog = a.get_by_role("dialog", name="Voicemail for Bob")
        await dialog.get_by_role("button", name="Start recording").click()
        await a.wait_for_timeout(1500)
        await dialog.get_by_role("button", name="Stop").click()
        await dialog.get_by_role("button", name="Send voicemail").click()
        await expect(b.get_by_role("link", name=re.compile("^Messages, 1"))).to_be_visible()
        await self.conversation(b, "Alice")
        await expect(b.get_by_role("group", name="Voicemail")).to_be_visible()


if __name__ == "__main__":
    unittest.main()
