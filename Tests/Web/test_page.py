#!/usr/bin/env python3
"""The page, used as a person would: real browser, real RTCPeerConnections, controls found by role and name only (docs/web.md).

    python3 Tests/Web/test_page.py [-k WORD]

Needs `playwright`, `aiohttp` and `segno` from PyPI and a Chromium (CHROMIUM, default /usr/bin/chromium). Everything runs over loopback against
mock_agent.py. Any console error, page exception or Content-Security-Policy violation fails the test it happens in.
"""

import asyncio
import os
import re
import sys
import unittest

from playwright.async_api import async_playwright, expect

sys.path.insert(0, os.path.dirname(__file__))
from mock_agent import WORDS, World, did_for, now  # noqa: E402

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns", "--auto-select-desktop-capture-source=Entire screen",
]
# Keeps the page's peer connections within reach of the test; the page itself exposes nothing.
WATCH = """
window.connections = [];
const Native = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Native { constructor(...a) { super(...a); window.connections.push(this); } };
window.frames_decoded = async () => {
  const counts = [];
  for (const pc of window.connections) if (pc.connectionState === 'connected')
    for (const s of (await pc.getStats()).values()) if (s.type === 'inbound-rtp' && s.kind === 'video') counts.push(s.framesDecoded ?? 0);
  return counts;
};
window.audio_received = async () => {
  for (const pc of window.connections) if (pc.connectionState === 'connected')
    for (const s of (await pc.getStats()).values()) if (s.type === 'inbound-rtp' && s.kind === 'audio') return s.packetsReceived;
  return 0;
};
addEventListener('securitypolicyviolation', e => console.error('CSP ' + e.violatedDirective + ' ' + e.blockedURI));
"""


class PageTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        expect.set_options(timeout=30000)
        asyncio.get_running_loop().set_debug(False)
        self.trouble = []
        self.allowed = []
        self.world = World()
        self.alice = await self.world.add("Alice", pace=0.05)
        self.bob = await self.world.add("Bob", pace=0.05)
        self.carol = await self.world.add("Carol", pace=0.05)
        self.alice.add_contact(self.bob)
        self.bob.add_contact(self.alice)
        self.playwright = await async_playwright().start()
        self.browser = await self.playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)

    async def asyncTearDown(self):
        await self.browser.close()
        await self.playwright.stop()
        await self.world.stop()
        self.assertEqual([line for line in self.trouble if not any(re.search(pattern, line) for pattern in self.allowed)], [])

    async def open(self, agent, path="", before=None, **options):
        context = await self.browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "permissions": ["camera", "microphone", "clipboard-read", "clipboard-write"], **options})
        page = await context.new_page()
        await page.add_init_script(WATCH)
        page.on("console", lambda message: self.trouble.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        base, fragment = agent.url.split("#")
        if before:
            await before(page)
        await page.goto(f"{base}{path}#{fragment}")
        return page

    async def pair(self):
        a, b = await self.open(self.alice), await self.open(self.bob)
        await expect(a.get_by_role("heading", name="Contacts")).to_be_visible()
        await expect(b.get_by_role("heading", name="Contacts")).to_be_visible()
        return a, b

    async def connect(self, a, b, call="Call Bob with video", answer="Answer with video"):
        await a.get_by_role("button", name=call).first.click()
        await b.get_by_role("alertdialog", name="Incoming call").get_by_role("button", name=answer).click()
        await expect(a.get_by_role("timer", name="Call time")).to_be_visible()
        await expect(b.get_by_role("timer", name="Call time")).to_be_visible()
        for page in (a, b):
            await self.until(page, "() => connections.some(pc => pc.connectionState === 'connected')")

    async def until(self, page, function, argument=None):
        """A function: an expression would be evaluated at each look, which the page's policy forbids."""
        await page.wait_for_function(function, arg=argument, timeout=30000, polling=100)

    async def moving(self, page, streams=1):
        """Frames of at least `streams` videos are being decoded now."""
        await self.until(page, """async n => { const before = await frames_decoded(); await new Promise(r => setTimeout(r, 400)); const after = await frames_decoded();
            return after.filter((count, i) => count > (before[i] ?? 0) && count > 3).length >= n }""", streams)

    async def still(self, page):
        await self.until(page, "async () => { const b = await frames_decoded(); await new Promise(r => setTimeout(r, 600)); const a = await frames_decoded(); return a.every((n, i) => n - (b[i] ?? 0) <= 1) }")

    async def copied(self, page):
        """What the page has just put on the clipboard."""
        await expect(page.get_by_text("Copied.", exact=True).last).to_be_visible()
        return await page.evaluate("navigator.clipboard.readText()")

    async def button(self, page, name):
        await page.get_by_role("button", name=name, exact=True).click()


class CallTest(PageTest):
    async def test_video_call_screen_share_hold_hang_up(self):
        a, b = await self.pair()
        await a.get_by_role("button", name="Call Bob with video").first.click()
        ringing = b.get_by_role("alertdialog", name="Incoming call")
        await expect(ringing.get_by_role("heading", name="Alice")).to_be_visible()
        await expect(ringing.get_by_text("Self-issued identity")).to_be_visible()
        await expect(b).to_have_title("Alice is calling")
        self.assertNotIn("call.open", self.bob.methods_seen)
        self.assertEqual(await b.evaluate("connections.length"), 0)
        progress = a.get_by_role("region", name="Progress of the call")
        await expect(progress.get_by_role("listitem")).to_have_count(4)
        await progress.get_by_text(re.compile("^Signed by did:")).last.click()
        await expect(progress.get_by_text(self.bob.devices[0]["did"]).last).to_be_visible()
        await ringing.get_by_role("button", name="Answer with video").click()
        await self.moving(a)
        await self.moving(b)
        self.assertNotIn("m=application", await a.evaluate("connections[0].localDescription.sdp"))
        await expect(a.get_by_label("Video of Bob")).to_be_visible()
        await expect(a.get_by_label("Your camera")).to_be_visible()

        await self.button(b, "Share screen")
        await expect(a.get_by_text("Bob is sharing their screen")).to_be_visible()
        await expect(a.get_by_label("Screen of Bob")).to_be_visible()
        await self.moving(a, streams=2)
        await self.button(b, "Stop sharing")
        await expect(a.get_by_label("Screen of Bob")).to_be_hidden()

        await self.button(a, "Hold")
        await expect(b.get_by_text("Alice put you on hold")).to_be_visible()
        await expect(b.get_by_role("button", name="Unmute")).to_be_hidden()
        await expect(a.get_by_role("button", name="Resume", exact=True)).to_be_enabled()
        await self.still(a)
        await self.button(a, "Resume")
        await expect(b.get_by_text("Alice put you on hold")).to_be_hidden()
        await self.moving(a)
        await self.moving(b)

        await self.button(a, "Hang up")
        await expect(b.get_by_role("status", name="Notices").get_by_text("Call with Alice ended after")).to_be_visible()
        for page, agent in ((a, self.alice), (b, self.bob)):
            await expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
            self.assertEqual([entry["outcome"] for entry in agent.log], ["answered"])
            self.assertEqual(await page.evaluate("connections[0].connectionState"), "closed")
        self.assertTrue(any(report.get("frames") for report in self.alice.media_reports))

    async def test_audio_call_then_camera(self):
        a, b = await self.pair()
        await self.connect(a, b, "Call Bob with audio", "Answer with audio")
        await self.until(a, "async () => await audio_received() > 10")
        await expect(b.get_by_label("Video of Alice")).to_be_hidden()
        await self.button(a, "Turn camera on")
        await expect(b.get_by_label("Video of Alice")).to_be_visible()
        await self.moving(b)
        await b.get_by_role("status", name="Notices").get_by_role("button", name="Turn camera on").click()
        await expect(a.get_by_label("Video of Bob")).to_be_visible()
        await self.moving(a)
        await self.button(a, "Turn camera off")
        await expect(b.get_by_label("Video of Alice")).to_be_hidden()
        await expect(b.get_by_text("Alice’s camera is off")).to_be_visible()

    async def test_answer_with_audio_keeps_the_camera_off(self):
        a, b = await self.pair()
        await self.connect(a, b, answer="Answer with audio")
        await self.moving(b)
        await expect(a.get_by_text("Bob’s camera is off")).to_be_visible()
        self.assertEqual(await b.evaluate("connections[0].getSenders().filter(s => s.track?.kind === 'video').length"), 0)

    async def test_screening_then_talk(self):
        a, b = await self.pair()
        await self.connect(a, b, answer="Screen call")
        await expect(a.get_by_text("Bob is screening this call")).to_be_visible()
        await expect(b.get_by_text("You are screening Alice")).to_be_visible()
        self.assertEqual(await b.evaluate("connections[0].getSenders().filter(s => s.track).length"), 0)
        await self.until(b, "async () => await audio_received() > 10")
        self.assertEqual(await a.evaluate("audio_received()"), 0)
        await self.button(b, "Talk with video")
        await self.until(a, "async () => await audio_received() > 10")
        await self.moving(a)
        await self.moving(b)
        await expect(a.get_by_text("Bob is screening this call")).to_be_hidden()
        await expect(b.get_by_role("button", name="Mute", exact=True)).to_be_visible()

    async def test_a_refused_change_is_undone_and_said(self):
        a, b = await self.pair()
        await self.connect(a, b, "Call Bob with audio", "Answer with audio")
        self.bob.reject_updates = True
        await self.button(a, "Turn camera on")
        await expect(a.get_by_text("did not accept the change")).to_be_visible()
        await expect(a.get_by_role("button", name="Turn camera on", exact=True)).to_be_enabled()
        await self.button(a, "Hold")
        await expect(a.get_by_role("button", name="Hold", exact=True)).to_be_enabled()
        self.assertEqual(await a.evaluate("connections[0].signalingState"), "stable")
        self.bob.reject_updates = False
        await self.button(a, "Turn camera on")
        await self.moving(b)

    async def test_both_change_the_call_at_once(self):
        a, b = await self.pair()
        await self.connect(a, b, "Call Bob with audio", "Answer with audio")
        press = "() => [...document.querySelectorAll('button')].find(b => b.ariaLabel === 'Turn camera on').click()"
        await asyncio.gather(a.evaluate(press), b.evaluate(press))
        await expect(a.get_by_label("Video of Bob")).to_be_visible()
        await expect(b.get_by_label("Video of Alice")).to_be_visible()
        await self.moving(a)
        await self.moving(b)
        self.assertGreaterEqual(self.alice.glares + self.bob.glares, 1)
        sections = "connections[0].localDescription.sdp.split('\\nm=').length - 1"
        self.assertEqual((await a.evaluate(sections), await b.evaluate(sections)), (2, 2))

    async def test_devices_are_chosen_in_a_call(self):
        a, b = await self.pair()
        await self.connect(a, b)
        await self.moving(b)
        await a.evaluate("""() => { window.asked = []; const own = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = c => { window.asked.push(c); return own(c) };
            HTMLMediaElement.prototype.setSinkId = async function (id) { window.sink = id } }""")
        await self.button(a, "Call options")
        options = a.get_by_role("dialog", name="Call options")
        before = await a.evaluate("connections[0].getSenders().map(s => s.track?.id)")
        for label, kind in (("Camera", "video"), ("Microphone", "audio")):
            choice = options.get_by_role("combobox", name=label)
            await expect(choice.locator("option").nth(1)).to_be_attached()
            value = await choice.locator("option").last.get_attribute("value")
            await choice.select_option(value)
            await self.until(a, "([kind, id]) => asked.some(c => c[kind]?.deviceId?.ideal === id)", [kind, value])
        await self.until(a, "before => connections[0].getSenders().every(s => !s.track || !before.includes(s.track.id))", before)
        await self.moving(b)
        speaker = options.get_by_role("combobox", name="Speaker")
        value = await speaker.locator("option").last.get_attribute("value")
        await speaker.select_option(value)
        await self.until(a, "id => window.sink === id", value)
        await a.keyboard.press("Escape")
        # The choice is remembered.
        self.assertEqual(await a.evaluate("JSON.parse(localStorage['dsip.prefs']).speaker"), value)

    async def test_the_keypad_sends_digits_in_order(self):
        a, b = await self.pair()
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await b.get_by_role("button", name="Answer with audio").click()
        await expect(a.get_by_role("timer", name="Call time")).to_be_visible()
        await self.button(a, "Call options")
        options = a.get_by_role("dialog", name="Call options")
        await options.get_by_text("Keypad").click()
        for key in "12#0*":
            await self.button(options, f"Tone {key}")
        for _ in range(100):
            if len(self.alice.digits) == 5:
                break
            await a.wait_for_timeout(50)
        self.assertEqual(self.alice.digits, "12#0*")

    RING = """() => { window.tones = []; const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (...at) { window.tones.push(this.frequency.value); return start.apply(this, at) };
        window.shown = []; window.Notification = class { static permission = 'granted'; static async requestPermission() { return 'granted' }
            constructor(title, options) { this.title = title; this.options = options; window.shown.push(this) } close() { this.closed = true } } }"""

    async def test_it_rings_aloud_and_stops(self):
        a, b = await self.pair()
        for page in (a, b):
            await page.evaluate(self.RING)
            await page.get_by_role("heading", name="Contacts").click()
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await self.until(b, "() => tones.includes(659) && tones.includes(988)")
        await self.until(a, "() => tones.includes(440) && tones.includes(480)")
        await self.until(b, "() => tones.length > 8")
        await self.button(b, "Silence")
        silenced = await b.evaluate("tones.length")
        await b.wait_for_timeout(3500)
        self.assertEqual(await b.evaluate("tones.length"), silenced)
        await self.button(b, "Decline")
        # Muted, it does not ring at all.
        await b.get_by_role("link", name="Settings", exact=True).click()
        await b.get_by_role("switch", name="Mute ring").check()
        await self.button(a, "Call again")
        await expect(b.get_by_role("alertdialog", name="Incoming call")).to_be_visible()
        await b.wait_for_timeout(500)
        self.assertEqual(await b.evaluate("tones.length"), silenced)

    async def test_a_hidden_page_notifies_when_it_was_asked_to(self):
        a, b = await self.pair()
        await b.evaluate(self.RING)
        hide = "hidden => Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })"
        await b.evaluate(hide, True)
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await expect(b.get_by_role("alertdialog", name="Incoming call")).to_be_visible()
        await self.button(b, "Decline")
        self.assertEqual(await b.evaluate("shown.length"), 0)
        await b.evaluate(hide, False)
        await b.get_by_role("link", name="Settings", exact=True).click()
        await b.get_by_role("switch", name="Notify when the page is hidden").check()
        await expect(b.get_by_role("switch", name="Notify when the page is hidden")).to_be_checked()
        await b.evaluate(hide, True)
        await self.button(a, "Call again")
        await self.until(b, "() => shown.length === 1")
        self.assertEqual(await b.evaluate("shown[0].title"), "Alice is calling")
        await self.button(b, "Decline")
        await self.until(b, "() => shown[0].closed === true")

    async def test_keyboard_shortcuts(self):
        a, b = await self.pair()
        await self.connect(a, b)
        await a.keyboard.press("m")
        await expect(a.get_by_text("Your microphone is off")).to_be_visible()
        await a.keyboard.press("m")
        await a.keyboard.press("h")
        await expect(b.get_by_text("Alice put you on hold")).to_be_visible()
        await expect(a.get_by_role("button", name="Resume", exact=True)).to_be_enabled()
        await a.keyboard.press("h")
        await expect(a.get_by_role("button", name="Hold", exact=True)).to_be_enabled()
        await a.keyboard.press("o")
        options = a.get_by_role("dialog", name="Call options")
        await options.get_by_text("Keyboard shortcuts").click()
        await expect(options.get_by_text("Mute or unmute")).to_be_visible()
        await a.keyboard.press("Escape")
        await expect(options).to_be_hidden()
        await a.keyboard.press("b")
        try:
            await expect(a.get_by_role("button", name="Return to call", exact=True)).to_be_visible()
        except AssertionError:
            # The dialog, hidden already, still had the keyboard.
            await a.keyboard.press("b")
        await self.button(a, "Return to call")
        await self.moving(a)
        await a.keyboard.press("Shift+E")
        await expect(b.get_by_role("heading", name="Contacts")).to_be_visible()

    async def test_decline_and_cancel(self):
        a, b = await self.pair()
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await self.button(b, "Decline")
        await expect(a.get_by_role("alert").get_by_text("Bob declined the call.")).to_be_visible()
        await self.button(a, "Call again")
        await expect(b.get_by_role("alertdialog", name="Incoming call")).to_be_visible()
        await b.keyboard.press("Escape")
        await expect(b.get_by_role("button", name="Silenced")).to_be_visible()
        await self.button(a, "Cancel call")
        await expect(b.get_by_role("alertdialog", name="Incoming call")).to_be_hidden()
        await expect(b.get_by_role("link", name="Recents, 1 missed call")).to_be_visible()
        await b.get_by_role("link", name=re.compile("Recents")).click()
        await expect(b.get_by_text("Missed call from Alice")).to_be_visible()
        await expect(b.get_by_role("link", name="Recents", exact=True)).to_be_visible()

    async def test_a_second_window_stops_ringing(self):
        a, b = await self.pair()
        second = await self.open(self.bob)
        await expect(second.get_by_role("heading", name="Contacts")).to_be_visible()
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await expect(second.get_by_role("alertdialog", name="Incoming call")).to_be_visible()
        await self.button(b, "Answer with audio")
        await expect(second.get_by_role("alertdialog", name="Incoming call")).to_be_hidden()
        await expect(second.get_by_role("button", name="Return to call")).to_be_visible()

    async def test_an_offline_person_and_the_way_it_is_told(self):
        self.bob.reachable = False
        a, b = await self.pair()
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await expect(a.get_by_text("The relay keeps the invitation")).to_be_visible()
        await expect(a.get_by_role("alert").get_by_text("Bob is offline")).to_be_visible()
        await self.button(a, "Close")
        await expect(b.get_by_role("link", name="Recents, 1 missed call")).to_be_visible()

    async def test_the_call_survives_a_lost_agent_connection(self):
        a, b = await self.pair()
        await self.connect(a, b)
        self.allowed = ["WebSocket connection"]
        await self.alice.pages[0].socket.close()
        await self.moving(a)
        for _ in range(50):
            if "call.claim" in self.alice.methods_seen:
                break
            await a.wait_for_timeout(100)
        self.assertIn("call.claim", self.alice.methods_seen)
        await self.button(a, "Hold")
        await expect(b.get_by_text("Alice put you on hold")).to_be_visible()

    async def test_two_calls_one_on_hold(self):
        self.bob.add_contact(self.carol)
        self.carol.add_contact(self.bob)
        a, b = await self.pair()
        c = await self.open(self.carol)
        await self.connect(a, b)
        await c.get_by_role("button", name="Call Bob with audio").first.click()
        await expect(b.get_by_text("Your call with Alice will be put on hold.")).to_be_visible()
        await b.get_by_role("alertdialog").get_by_role("button", name="Answer with audio").click()
        await expect(a.get_by_text("Bob put you on hold")).to_be_visible()
        await expect(c.get_by_role("timer", name="Call time")).to_be_visible()
        await self.button(b, "Switch to Alice")
        await expect(c.get_by_text("Bob put you on hold")).to_be_visible()
        await expect(a.get_by_text("Bob put you on hold")).to_be_hidden()
        await self.moving(a)


class PeopleTest(PageTest):
    async def test_a_stranger_becomes_a_request_and_never_rings(self):
        a, c = await self.open(self.alice), await self.open(self.carol)
        await self.button(c, "New call")
        dial = c.get_by_role("dialog", name="New call")
        await dial.get_by_label("Who do you want to call?").fill("alice@relay.test")
        await expect(dial.get_by_text("Not in your contacts")).to_be_visible()
        await self.button(dial, "Call with audio")
        await expect(c.get_by_role("alert").get_by_text("takes calls from contacts only")).to_be_visible()
        await self.button(c, "Send a request")
        form = c.get_by_role("dialog", name="Ask to be in contact")
        await form.get_by_label("What you would like to say").fill("We met at the meetup.")
        await self.button(form, "Send request")
        await expect(a.get_by_role("link", name="Requests, 1 waiting")).to_be_visible()
        await expect(a.get_by_role("alertdialog")).to_be_hidden()
        await a.get_by_role("link", name=re.compile("Requests")).click()
        await expect(a.get_by_text("We met at the meetup.")).to_be_visible()
        await self.button(a, "Accept request from Carol")
        accept = a.get_by_role("dialog", name="Accept the request of Carol?")
        await accept.get_by_label("Your name for them").fill("Carol (meetup)")
        await self.button(accept, "Accept")
        await a.get_by_role("link", name="Contacts").click()
        await expect(a.get_by_role("link", name="Show Carol (meetup)")).to_be_visible()
        await c.get_by_role("link", name=re.compile("Requests")).click()
        await expect(c.get_by_text("Accepted", exact=True)).to_be_visible()

    async def test_contacts(self):
        a = await self.open(self.alice)
        await self.button(a, "Add contact")
        add = a.get_by_role("dialog", name="Add a contact")
        await add.get_by_label("DID, alias or dsip: link").fill("nobody@nowhere.test")
        await expect(add.get_by_text("could not be found")).to_be_visible()
        await add.get_by_label("DID, alias or dsip: link").fill(f"dsip:{self.carol.did}?relay=x")
        await expect(add.get_by_label("Your name for them")).to_have_value("Carol")
        await add.get_by_label("Your name for them").fill("Carol N")
        await self.button(add, "Add contact")
        await a.get_by_role("link", name="Show Carol N, online").click()
        page = a.get_by_role("article", name="Carol N")
        await expect(page.get_by_text("Online", exact=True)).to_be_visible()
        self.alice.emit("presence", {"did": self.carol.did, "here": False})
        await expect(page.get_by_text("Online", exact=True)).to_be_hidden()
        self.alice.emit("presence", {"did": self.carol.did, "here": True})
        await expect(page.get_by_text("Online", exact=True)).to_be_visible()
        await page.get_by_role("switch", name="May ring you").uncheck()
        await page.get_by_role("switch", name="Blocked").check()
        await expect(page.get_by_text("Online", exact=True)).to_be_hidden()
        await expect(page.get_by_role("button", name="Call Carol N with video")).to_be_disabled()
        contact = next(c for c in self.alice.contacts if c["name"] == "Carol N")
        self.assertEqual((contact["allowed"], contact["blocked"]), (False, True))
        contact["key_changed"] = {"old": did_for("a"), "new": did_for("b"), "seen_at": now()}
        self.alice.emit("contacts", {"contacts": self.alice.contacts})
        await expect(a.get_by_role("alert").get_by_text("The key of this contact has changed")).to_be_visible()
        await self.button(page, "Accept the new key")
        await expect(a.get_by_text("The key of this contact has changed")).to_be_hidden()
        await self.button(page, "Rename")
        await a.get_by_role("dialog").get_by_label("Name").fill("Cara")
        await self.button(a, "Save")
        await self.button(a, "Remove contact")
        await self.button(a.get_by_role("dialog", name="Remove Cara?"), "Remove contact")
        await expect(a.get_by_role("link", name="Show Cara")).to_be_hidden()

    async def test_scanning_without_a_reader_says_so_and_takes_the_link(self):
        a = await self.open(self.alice)
        await a.evaluate("delete globalThis.BarcodeDetector")
        await self.button(a, "New call")
        await self.button(a, "Scan QR code")
        scan = a.get_by_role("dialog", name="Scan a QR code")
        await expect(scan.get_by_text("This browser cannot read QR codes.")).to_be_visible()
        await scan.get_by_label("Pasted dsip: link").fill(f"dsip:{self.carol.did}")
        await self.button(scan, "Use this link")
        await expect(a.get_by_role("dialog", name="New call").get_by_text("Carol", exact=True)).to_be_visible()

    async def test_a_dsip_link_opens_the_dialog_and_dials_nothing(self):
        a = await self.open(self.alice, path=f"?call=dsip:{self.carol.did}")
        dial = a.get_by_role("dialog", name="New call")
        await expect(dial.get_by_text("Carol", exact=True)).to_be_visible()
        await expect(dial.get_by_role("button", name="Call with video")).to_be_enabled()
        self.assertNotIn("call.place", self.alice.methods_seen)
        self.assertNotIn("token", a.url)


class MineTest(PageTest):
    async def test_first_run(self):
        fresh = await self.world.add("Erin", fresh=True)
        page = await self.open(fresh)
        await page.get_by_label("What should people call you?").fill("Erin")
        await self.button(page, "Create my identity")
        await expect(page.get_by_role("heading", name="Nobody here yet")).to_be_visible()

    async def test_a_key_is_replaced_an_identity_moves_and_contacts_show_both(self):
        a = await self.open(self.alice)
        self.alice.can_rotate = True
        self.alice.emit("state", self.alice.state)
        await a.get_by_role("link", name="My identity", exact=True).click()
        await self.button(a, "Replace the key")
        dialog = a.get_by_role("dialog", name="Replace the key of this identity")
        await dialog.get_by_label("Why").select_option("compromised")
        await self.button(dialog, "Replace the key")
        await expect(a.get_by_text("You have a new key.")).to_be_visible()
        self.assertEqual(self.alice.rotated, "compromised")
        await self.button(a, "Move to another identity")
        await expect(a.get_by_role("dialog").get_by_text("Make the new identity first")).to_be_visible()
        await self.button(a.get_by_role("dialog"), "Cancel")
        await self.button(a, "New identity")
        await a.get_by_role("dialog").get_by_label("Name", exact=True).fill("Alice anew")
        await self.button(a, "Create identity")
        await self.button(a, "Move to another identity")
        await self.button(a.get_by_role("dialog"), "Tell my contacts")
        await expect(a.get_by_text("This identity has moved to Alice anew")).to_be_visible()
        await self.button(a, "Take it back")
        await expect(a.get_by_text("This identity has moved to Alice anew")).to_be_hidden()
        self.assertIsNone(self.alice.moved_to)

        contact = self.alice.contacts[0]
        contact["key_history"] = [{"key": "z6Mk1", "reason": "scheduled", "at": now()}, {"key": "z6Mk2", "reason": None, "at": now()}]
        contact["move"] = {"did": did_for("elsewhere"), "relay": None, "at": now()}
        self.alice.emit("contacts", {"contacts": self.alice.contacts})
        await a.get_by_role("link", name="Contacts", exact=True).first.click()
        await a.get_by_role("link", name=f"Show {contact['name']}").click()
        steps = a.get_by_role("list", name="How the key came").get_by_role("listitem")
        await expect(steps.nth(0)).to_contain_text("as planned). The key before vouches for it.")
        await expect(steps.nth(1)).to_contain_text("without a word of the key before")
        await self.button(a, "Follow")
        await expect(a.get_by_text("is reached at the new identity now")).to_be_visible()
        self.assertEqual(contact["did"], did_for("elsewhere"))

    async def test_identity_and_backup(self):
        a = await self.open(self.alice)
        await a.get_by_role("link", name="My identity", exact=True).click()
        await expect(a.get_by_role("img", name="QR code of Alice")).to_be_visible()
        await self.button(a, "Copy link")
        self.assertTrue((await self.copied(a)).startswith(f"dsip:{self.alice.did}"))
        await a.get_by_role("link", name="Make a backup").click()
        await self.button(a, "Show recovery phrase")
        dialog = a.get_by_role("dialog")
        await self.button(dialog, "Show recovery phrase")
        await expect(dialog.get_by_role("list", name="Recovery phrase").get_by_role("listitem")).to_have_count(24)
        await self.button(dialog, "I have written them down")
        boxes = dialog.get_by_role("textbox")
        await expect(boxes).to_have_count(3)
        numbers = [int(label.split()[-1]) for label in await dialog.locator("label").all_inner_texts()]
        for number in numbers:
            await dialog.get_by_label(f"Word {number}", exact=True).fill("wrong")
        await self.button(dialog, "Check words")
        await expect(dialog.get_by_role("alert")).to_contain_text("At least one word is not the one")
        for number in numbers:
            await dialog.get_by_label(f"Word {number}", exact=True).fill(WORDS[number - 1])
        await self.button(dialog, "Check words")
        await expect(a.get_by_text("Written down and checked")).to_be_visible()
        await self.button(a, "Save backup file")
        dialog = a.get_by_role("dialog", name="Save an encrypted backup")
        await dialog.get_by_label("New passphrase").fill("correct horse")
        await dialog.get_by_label("Repeat the passphrase").fill("correct horse")
        async with a.expect_download() as download:
            await self.button(dialog, "Save backup file")
        path = await (await download.value).path()
        await self.button(a, "Restore from a file")
        dialog = a.get_by_role("dialog", name="Restore from a backup file")
        await dialog.get_by_label("Backup file").set_input_files(path)
        await dialog.get_by_label("Passphrase of the file").fill("wrong one")
        await self.button(dialog, "Restore identity")
        await expect(dialog.get_by_role("alert")).to_contain_text("not the one this file was locked with")
        await dialog.get_by_label("Passphrase of the file").fill("correct horse")
        await self.button(dialog, "Restore identity")
        await expect(a.get_by_text("Alice is back.")).to_be_visible()

    async def test_devices(self):
        a = await self.open(self.alice)
        await a.get_by_role("link", name="Devices", exact=True).click()
        await self.button(a, "Add a device")
        dialog = a.get_by_role("dialog")
        await dialog.get_by_label("Code from the new device").fill("none")
        await self.button(dialog, "Check code")
        await expect(dialog.get_by_role("alert")).to_contain_text("No device is waiting")
        await dialog.get_by_label("Code from the new device").fill("K7Q2-9XMD")
        await self.button(dialog, "Check code")
        await expect(dialog.get_by_role("group", name="Words to compare")).to_have_text("tidalmango")
        await dialog.get_by_label("Name of the new device").fill("Pocket")
        await self.button(dialog, "They match, approve")
        added = a.get_by_role("dialog", name="Pocket is added")
        await expect(added.get_by_role("group", name="Answer for the new device")).to_contain_text("dsip-grant:")
        await self.button(added, "Copy answer")
        answer = await self.copied(a)
        self.assertTrue(answer.startswith("dsip-grant:"))
        await self.button(added, "Done")
        await expect(a.get_by_role("list", name="Your devices").get_by_role("listitem")).to_have_count(3)
        await self.button(a, "Rename Old phone")
        dialog = a.get_by_role("dialog", name="Rename Old phone")
        await dialog.get_by_label("Name of the device").fill("Phone of 2019")
        await self.button(dialog, "Save")
        await expect(a.get_by_text("Phone of 2019")).to_be_visible()
        await self.button(a, "Revoke Phone of 2019")
        dialog = a.get_by_role("dialog", name="Revoke Phone of 2019?")
        await dialog.get_by_role("radio", name=re.compile("Compromised")).check()
        await self.button(dialog, "Revoke device")
        await expect(a.get_by_text(re.compile("Revoked .*: Compromised"))).to_be_visible()
        await self.button(a, "Pair this device")
        await expect(a.get_by_role("group", name="Pairing code")).to_have_text("K7Q2-9XMD")
        await expect(a.get_by_role("img", name="QR code for pairing")).to_be_visible()
        pair = a.get_by_role("dialog", name="Pair this device")
        await self.button(pair, "Copy code")
        self.assertEqual(await self.copied(a), "K7Q2-9XMD")

    async def test_pairing_by_paste_alone(self):
        old, new = await self.open(self.alice), await self.open(await self.world.add("Erin", fresh=True))
        await self.button(new, "Pair this device")
        shown = new.get_by_role("dialog", name="Pair this device")
        await self.button(shown, "Copy code")
        code = await self.copied(new)
        await old.get_by_role("link", name="Devices", exact=True).click()
        await self.button(old, "Add a device")
        add = old.get_by_role("dialog")
        await old.evaluate("code => navigator.clipboard.writeText(code)", code)
        await self.button(add, "Paste")
        await expect(add.get_by_label("Code from the new device")).to_have_value(code)
        await self.button(add, "Check code")
        await self.button(add, "They match, approve")
        await self.button(add, "Copy answer")
        answer = await self.copied(old)
        await shown.get_by_text("The other device gave me an answer").click()
        await shown.get_by_label("Answer from the other device").fill("something else")
        await self.button(shown, "Finish pairing")
        await expect(shown.get_by_role("alert")).to_contain_text("not the answer to a pairing code")
        await new.evaluate("answer => navigator.clipboard.writeText(answer)", answer)
        await self.button(shown, "Paste")
        await self.button(shown, "Finish pairing")
        await expect(new.get_by_role("status", name="Notices").get_by_text("This device now belongs to Erin.")).to_be_visible()
        await expect(shown).to_be_hidden()

    async def test_a_code_is_read_with_the_camera_where_the_browser_can(self):
        a = await self.open(self.alice)
        # The reader is the browser's; which codes it finds is not the page's doing.
        await a.evaluate("""() => { window.seen = 0;
            globalThis.BarcodeDetector = class { constructor(o) { window.formats = o.formats } async detect(video) { window.seen++;
                if (!video.videoWidth) return []; window.track = video.srcObject.getTracks()[0]; return [{ rawValue: window.seen < 3 ? 'https://example.com' : 'K7Q2-9XMD' }] } } }""")
        await a.get_by_role("link", name="Devices", exact=True).click()
        await self.button(a, "Add a device")
        add = a.get_by_role("dialog", name="Add a device")
        await self.button(add, "Scan QR code")
        await expect(a.get_by_role("dialog", name="Scan a QR code")).to_be_hidden()
        # Any code is taken here; the agent says whether it is one.
        await expect(add.get_by_label("Code from the new device")).to_have_value(re.compile("example.com|K7Q2"))
        self.assertEqual(await a.evaluate("[formats, track.readyState]"), [["qr_code"], "ended"])
        await a.keyboard.press("Escape")
        await a.get_by_role("link", name="Contacts", exact=True).click()
        await a.evaluate("code => { window.seen = 0; BarcodeDetector.prototype.detect = async video => { window.seen++; return [{ rawValue: window.seen < 3 ? 'https://example.com' : code }] } }", f"dsip:{self.carol.did}")
        await self.button(a, "New call")
        await self.button(a, "Scan QR code")
        await expect(a.get_by_role("dialog", name="New call").get_by_text("Carol", exact=True)).to_be_visible()
        self.assertGreaterEqual(await a.evaluate("seen"), 3)

    async def test_settings(self):
        a = await self.open(self.alice)
        await a.get_by_role("link", name="Settings", exact=True).click()
        await a.get_by_label("Display name").fill("Alice O")
        await self.button(a, "Save name")
        await expect(a.get_by_role("link", name="My identity: Alice O")).to_be_visible()
        await a.get_by_label("Theme").select_option("Dark")
        self.assertEqual(await a.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(14, 20, 19)")
        await a.get_by_role("switch", name="Mute ring").check()
        await self.button(a, "Test ring")
        await self.button(a, "Stop ring")

    async def test_a_wrong_clock_is_said_where_one_looks(self):
        a = await self.open(self.alice)
        sentence = "This device’s clock is 10 minutes behind the relay’s, so nothing it signs is accepted. Set the clock; it connects again by itself."
        await expect(a.get_by_role("status", name="Relay connection")).to_contain_text("Connected to relay.test")
        self.alice.relay_trouble = sentence
        self.alice.emit("relay", {"url": "wss://relay.test", "did": None, "state": "waiting", "since": now(), "retry_at": now() + 9, "sentence": sentence, "stun": []})
        await expect(a.get_by_role("status", name="Relay connection")).to_contain_text(sentence)
        await a.get_by_role("button", name="Call Bob with audio").first.click()
        await expect(a.get_by_role("status", name="Notices").or_(a.get_by_role("alert")).get_by_text(sentence)).to_be_visible()
        self.assertEqual(self.alice.calls, {})

    async def test_an_invalid_token_is_said_and_not_retried(self):
        self.allowed = ["WebSocket connection", "401"]
        self.alice.token, good = "wrong", self.alice.token
        page = await self.browser.new_page()
        await page.goto(f"http://127.0.0.1:{self.alice.port}/#token={good}")
        await expect(page.get_by_role("heading", name="This page has lost its key")).to_be_visible()
        await page.goto(f"http://127.0.0.1:{self.bob.port}/")
        await expect(page.get_by_role("heading", name="Open the address the agent prints")).to_be_visible()


class LoadingTest(PageTest):
    async def lacking(self, times):
        """The page, of which one module does not come the first `times`."""
        tries = []

        async def lack(route):
            tries.append(route)
            await (route.abort() if len(tries) <= times else route.continue_())
        self.allowed = ["net::ERR_FAILED"]
        page = await self.open(self.alice, before=lambda page: page.route("**/js/strings.js", lack), service_workers="block")
        return page, tries

    async def test_a_page_of_which_a_part_did_not_come_is_loaded_again(self):
        page, tries = await self.lacking(2)
        await expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
        self.assertEqual(len(tries), 3)
        self.assertEqual(await page.evaluate("sessionStorage.getItem('dsip.reloads')"), None)

    async def test_a_page_that_does_not_come_says_so_and_may_be_tried_again(self):
        page, tries = await self.lacking(4)
        await expect(page.get_by_text("This page did not load completely.")).to_be_visible()
        self.assertEqual(len(tries), 4)
        await page.reload()
        await expect(page.get_by_role("heading", name="Contacts")).to_be_visible()


class AccessTest(PageTest):
    SCAN = """() => { const bad = []; const name = e => (e.getAttribute('aria-label') || [...(e.labels ?? [])].map(l => l.innerText).join('') || e.innerText || '').trim();
      for (const e of document.querySelectorAll('button, a[href], input, select, textarea, summary, [role=img], dialog')) if (e.checkVisibility() && !name(e) && !e.getAttribute('aria-labelledby')) bad.push(e.outerHTML.slice(0, 120));
      for (const e of document.querySelectorAll('[id]')) if (document.querySelectorAll('#' + CSS.escape(e.id)).length > 1) bad.push('twice: ' + e.id);
      for (const e of document.querySelectorAll('button, a[href], select, input')) { const r = e.getBoundingClientRect(); if (e.checkVisibility() && r.width && (r.height < 20 || r.width < 20)) bad.push('small: ' + e.outerHTML.slice(0, 90)); }
      if (document.documentElement.scrollWidth > innerWidth) bad.push('scrolls sideways');
      return bad }"""
    # WCAG contrast of every visible text against the nearest solid background.
    CONTRAST = """() => { const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
      const rgba = c => { canvas.clearRect(0,0,1,1); canvas.fillStyle = c; canvas.fillRect(0,0,1,1); const d = canvas.getImageData(0,0,1,1).data; return [d[0],d[1],d[2],d[3]/255] };
      const lum = c => { const [r,g,b] = c.map(v => { v/=255; return v <= .03928 ? v/12.92 : ((v+.055)/1.055)**2.4 }); return .2126*r+.7152*g+.0722*b };
      const bad = []; const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) { const e = walk.currentNode.parentElement; if (!walk.currentNode.data.trim() || !e.checkVisibility({opacityProperty: true}) || e.closest('.visually-hidden, :disabled, .faded, .call, .incoming, option, .skip')) continue;
        let back = null; for (let p = e; p; p = p.parentElement) { const c = rgba(getComputedStyle(p).backgroundColor); if (c[3] > .95) { back = c; break } }
        const s = getComputedStyle(e), a = lum(rgba(s.color).slice(0,3)), b = lum((back ?? [255,255,255]).slice(0,3)), ratio = (Math.max(a,b)+.05)/(Math.min(a,b)+.05);
        if (ratio < 4.5) bad.push(ratio.toFixed(2) + ' ' + walk.currentNode.data.trim().slice(0,40)) }
      return bad }"""

    async def test_every_view_names_its_controls_and_has_contrast(self):
        self.carol.do_requests_send(None, {"to": self.alice.did, "purpose": "Hello"})
        self.alice.missed_call("x", self.bob, {"media": {"video": True}})
        for scheme in ("light", "dark"):
            for size in ({"width": 1280, "height": 800}, {"width": 390, "height": 844}):
                page = await self.open(self.alice, color_scheme=scheme, viewport=size)
                await expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
                for view in ("contacts", f"contacts/{self.alice.contacts[0]['id']}", "recents", "requests", "you", "identity", "devices", "backup", "settings"):
                    await page.evaluate("view => { location.hash = '#/' + view }", view)
                    await page.wait_for_timeout(150)
                    self.assertEqual(await page.evaluate(self.SCAN), [], f"{view} {scheme} {size}")
                    self.assertEqual(await page.evaluate(self.CONTRAST), [], f"{view} {scheme} {size}")
                await page.close()

    async def test_a_call_by_keyboard_alone(self):
        a, b = await self.pair()
        await a.get_by_role("button", name="New call").focus()
        await a.keyboard.press("Enter")
        await expect(a.get_by_label("Who do you want to call?")).to_be_focused()
        await a.keyboard.type("Bob")
        await a.keyboard.press("Enter")
        await expect(b.get_by_role("button", name="Answer with video")).to_be_focused()
        await b.keyboard.press("Enter")
        await self.moving(a)
        self.assertEqual(await a.evaluate(self.SCAN), [])
        self.assertEqual(await b.evaluate(self.SCAN), [])
        await a.get_by_role("button", name="Hang up").focus()
        await a.keyboard.press("Enter")
        await expect(a.get_by_role("heading", name="Contacts")).to_be_visible()


if __name__ == "__main__":
    unittest.main(verbosity=2)
