"""Two people, two browsers, real agents and a real relay: the calls of the issue, used as people would (names from docs/web.md)."""

import asyncio
import re
import signal
import sys
import os
import unittest

from playwright.async_api import async_playwright, expect

sys.path.insert(0, os.path.dirname(__file__))
from network import DSIP, Network  # noqa: E402
from test_page import ARGUMENTS, CHROMIUM, WATCH  # noqa: E402

SHOTS = os.environ.get("DSIP_SCREENSHOTS")
CONTACTS = "Contacts"


class People(unittest.IsolatedAsyncioTestCase):
    """A network, a browser, and what both are asked for again and again."""

    async def asyncSetUp(self):
        expect.set_options(timeout=30000)
        asyncio.get_running_loop().set_debug(False)
        self.trouble = []
        self.network = await self.make_network().__aenter__()
        self.playwright = await async_playwright().start()
        self.browser = await self.playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)

    def make_network(self):
        return Network()

    async def asyncTearDown(self):
        await self.browser.close()
        await self.playwright.stop()
        await self.network.__aexit__()
        self.assertEqual([line for line in self.trouble if "net::ERR" not in line and "WebSocket" not in line], [])

    async def open(self, person, browser=None, **options):
        context = await (browser or self.browser).new_context(**{"viewport": {"width": 1280, "height": 800}, "permissions": ["camera", "microphone"], **options})
        page = await context.new_page()
        await page.add_init_script(WATCH)
        page.on("console", lambda message: self.trouble.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        await page.goto(person.url)
        try:
            await expect(page.get_by_role("heading", name=CONTACTS)).to_be_visible()
        except AssertionError as error:
            raise AssertionError(f"{await page.locator('body').inner_text()!r}, {self.trouble}") from error
        return page

    async def alice_and_bob(self):
        alice, bob = await self.network.person("Alice"), await self.network.person("Bob")
        await alice.add(bob)
        await bob.add(alice)
        return alice, bob

    async def until(self, page, function, argument=None, seconds=30):
        await page.wait_for_function(function, arg=argument, timeout=seconds * 1000, polling=100)

    async def moving(self, page, streams=1):
        await self.until(page, """async n => { const before = await frames_decoded(); await new Promise(r => setTimeout(r, 400)); const after = await frames_decoded();
            return after.filter((count, i) => count > (before[i] ?? 0) && count > 3).length >= n }""", streams)

    async def shot(self, page, name):
        if SHOTS:
            await page.screenshot(path=f"{SHOTS}/{name}.png")

    def incoming(self, page):
        return page.get_by_role("alertdialog", name="Incoming call")

    async def call(self, a, name="Bob"):
        await a.get_by_role("button", name=f"Call {name} with video").first.click()


class KeyTest(People):
    """A relay with a name, which publishes people's documents."""

    def make_network(self):
        return Network(address="localhost", options=["--hostname", "localhost:{port}"])

    async def test_a_key_is_replaced_on_the_page_and_the_contact_sees_who_vouches_for_it(self):
        alice, bob = await self.network.person("Alice"), await self.network.person("Bob")
        a = await self.open(alice)
        await a.get_by_role("link", name="My identity", exact=True).click()
        await a.get_by_role("button", name="New identity").click()
        new = a.get_by_role("dialog", name="A new identity")
        await new.get_by_label("Name", exact=True).fill("Alicia")
        await new.get_by_label("Name at your relay").fill("alicia")
        await new.get_by_role("button", name="Create identity").click()
        await a.get_by_role("button", name="Use Alicia").click()
        await expect(a.get_by_role("heading", name="Alicia")).to_be_visible()
        did = await alice.did()
        self.assertRegex(did, "^did:web:localhost%3A[0-9]+:users:alicia$")
        await alice.connected()
        await bob.add(alice)
        await alice.add(bob)
        await bob.down()
        await a.get_by_role("button", name="Replace the key").click()
        dialog = a.get_by_role("dialog", name="Replace the key of this identity")
        await dialog.get_by_label("Why").select_option("compromised")
        await dialog.get_by_role("button", name="Replace the key").click()
        await expect(a.get_by_role("status", name="Notices").get_by_text("You have a new key.")).to_be_visible()
        await expect(a.get_by_text("Not backed up.")).to_be_visible()
        await bob.up()
        await bob.connected()
        b = await self.open(bob)
        # The call makes Bob look at the document at once.
        await a.get_by_role("link", name="Contacts", exact=True).first.click()
        await self.call(a)
        await expect(self.incoming(b)).to_be_visible()
        await self.incoming(b).get_by_role("button", name="Decline").click()
        await b.get_by_role("link", name=re.compile("^Show Alic")).click()
        await expect(b.get_by_role("list", name="How the key came").get_by_text(re.compile("the old one was no longer safe.*vouches for it"))).to_be_visible()
        await expect(b.get_by_text("The key of this contact has changed")).to_be_hidden()


class FindingTest(People):
    async def test_a_bare_did_key_at_a_relay_nobody_named_is_found_and_called(self):
        async with Network(hosts=[]) as here, Network(hosts=[await here.host()], trusted=[here]) as there:
            here.trusted.append(there)
            alice, bob = await here.person("Alice"), await there.person("Bob")
            did = await bob.did()
            await bob.api("contacts.add", input=await alice.did(), name="Alice")
            for _ in range(300):
                if (await alice.api("peer.lookup", input=did))["relay"] == there.relay_url:
                    break
                await asyncio.sleep(0.2)
            a, b = await self.open(alice), await self.open(bob)
            await a.get_by_role("button", name="New call").first.click()
            dial = a.get_by_role("dialog", name="New call")
            await dial.get_by_label("Who do you want to call?").fill(did)
            await dial.get_by_text("How it was found").click()
            await expect(dial.get_by_text(re.compile("^Its relay was found by a (presence|home) record that the identity signed"))).to_be_visible()
            await expect(dial.get_by_text(re.compile("^There at this moment"))).to_be_visible()
            await self.shot(a, "found-in-the-dht")
            await dial.get_by_role("button", name="Call with video").click()
            await self.incoming(b).get_by_role("button", name="Answer with video").click()
            for page in (a, b):
                await self.until(page, "() => connections.some(pc => pc.connectionState === 'connected')")
            await a.close()
            await b.close()

    async def test_who_chooses_to_be_found_by_nobody_is_not(self):
        async with Network(hosts=[]) as here:
            alice, bob = await here.person("Alice"), await here.person("Bob")
            did = await bob.did()
            for _ in range(300):
                if (await alice.api("peer.presence", did=did))["presence"]:
                    break
                await asyncio.sleep(0.2)
            b = await self.open(bob)
            await b.get_by_role("link", name="Settings").first.click()
            choice = b.get_by_role("group", name="Who can find me by my address")
            await expect(choice.get_by_role("radio", name=re.compile("through my relay"))).to_be_checked()
            await choice.get_by_role("radio", name=re.compile("^Nobody")).check()
            await bob.until("visible to nobody", lambda state: state["settings"]["visibility"] == "nobody")
            await self.shot(b, "visibility")
            await b.close()


class PresenceTest(People):
    async def test_contacts_see_who_is_online_for_as_long_as_they_may(self):
        alice, bob = await self.alice_and_bob()
        page = await self.open(alice)
        online = page.get_by_role("link", name="Show Bob, online")
        await expect(online).to_be_visible()
        listed = await asyncio.create_subprocess_exec(DSIP, "contacts", "list", "--online", "--state", alice.folder, stdout=asyncio.subprocess.PIPE)
        self.assertRegex((await listed.communicate())[0].decode(), r"online\s+Bob")
        await self.shot(page, "online")
        # Gone without a word, and back.
        await bob.down(signal.SIGKILL)
        await expect(online).to_be_hidden(timeout=40_000)
        await expect(page.get_by_role("link", name="Show Bob", exact=True)).to_be_visible()
        await bob.up()
        await expect(online).to_be_visible()
        await bob.api("settings.update", visibility="nobody")
        await expect(online).to_be_hidden()


class NetworkTest(People):
    async def test_video_call_from_ring_to_matching_logs(self):
        alice, bob = await self.alice_and_bob()
        a, b = await self.open(alice), await self.open(bob)
        await self.call(a)
        ringing = self.incoming(b)
        await expect(ringing.get_by_role("heading", name="Alice")).to_be_visible()
        await expect(ringing.get_by_text("Self-issued identity")).to_be_visible()
        self.assertEqual(await b.evaluate("connections.length"), 0, "nothing of the caller's media is touched before the answer")
        progress = a.get_by_role("region", name="Progress of the call")
        await expect(progress.get_by_text(re.compile("Delivered to one device"))).to_be_visible()
        await expect(progress.get_by_text(re.compile("^Ringing"))).to_be_visible()
        signed = await progress.get_by_text(re.compile("^Signed by did:")).count()
        self.assertGreaterEqual(signed, 2, "delivery and ringing are backed by signed messages")
        await self.shot(a, "ringing-desktop")
        await self.shot(b, "incoming-desktop")
        await ringing.get_by_role("button", name="Answer with video").click()
        for page in (a, b):
            await self.until(page, "() => connections.some(pc => pc.connectionState === 'connected')")
            await self.moving(page)
        await self.shot(a, "call-desktop")

        await b.get_by_role("button", name="Share screen", exact=True).click()
        await expect(a.get_by_label("Screen of Bob")).to_be_visible()
        await self.moving(a, streams=2)

        await a.get_by_role("button", name="Hang up", exact=True).click()
        await expect(b.get_by_role("status", name="Notices").get_by_text("Call with Alice ended after")).to_be_visible()
        logs = []
        for person in (alice, bob):
            state = await person.until("logged", lambda s: len(s["log"]) == 1 and s["log"][0]["outcome"] == "answered")
            logs.append(state["log"][0])
        self.assertEqual(logs[0]["session"], logs[1]["session"])
        self.assertEqual([entry["direction"] for entry in logs], ["outgoing", "incoming"])
        self.assertEqual([entry["video"] for entry in logs], [True, True])
        self.assertLessEqual(abs(logs[0]["duration"] - logs[1]["duration"]), 1)

    async def test_second_device_rings_and_stops_within_a_second_without_a_missed_call(self):
        alice, bob = await self.alice_and_bob()
        tablet = await self.network.second(bob, "Tablet")
        a, b, t = await self.open(alice), await self.open(bob), await self.open(tablet)
        await self.call(a)
        await expect(self.incoming(b)).to_be_visible()
        await expect(self.incoming(t)).to_be_visible()
        await expect(a.get_by_role("region", name="Progress of the call").get_by_text(re.compile("Delivered to 2 devices"))).to_be_visible()
        await self.incoming(b).get_by_role("button", name="Answer with video").click()
        await expect(self.incoming(b)).to_be_hidden()
        await self.until(a, "() => connections.some(pc => pc.remoteDescription)")
        await expect(self.incoming(t)).to_be_hidden(timeout=1000)
        await self.moving(a)
        await a.get_by_role("button", name="Hang up", exact=True).click()
        state = await tablet.until("told", lambda s: s["log"] and not s["calls"])
        self.assertEqual((state["log"][0]["outcome"], state["missed"]), ("elsewhere", 0))

    async def test_missed_call_appears_when_bob_returns(self):
        alice, bob = await self.alice_and_bob()
        await bob.down()
        a = await self.open(alice)
        await self.call(a)
        await expect(a.get_by_role("region", name="Progress of the call").get_by_text(re.compile("held|offline|not connected", re.I))).to_be_visible()
        await self.shot(a, "held-desktop")
        await a.get_by_role("button", name=re.compile("^Cancel")).click()
        await alice.until("given up", lambda s: s["log"])
        await bob.up()
        state = await bob.until("missed", lambda s: s["missed"] == 1)
        self.assertEqual(state["log"][0]["outcome"], "missed")
        self.assertEqual(state["log"][0]["peer"]["name"], "Alice")
        b = await self.open(bob)
        await expect(b.get_by_role("link", name=re.compile("Recents, 1 missed call"))).to_be_visible()

    async def test_stranger_becomes_a_request_and_never_rings(self):
        alice, bob = await self.alice_and_bob()
        carol = await self.network.person("Carol")
        await carol.add(bob)
        b, c = await self.open(bob), await self.open(carol, viewport={"width": 390, "height": 844})
        await self.call(c)
        await expect(c.get_by_text(re.compile("request", re.I)).first).to_be_visible()
        await expect(self.incoming(b)).to_be_hidden()
        await carol.api("requests.send", to=(await bob.state())["identity"]["uri"], purpose="We met at the antenna group buy.")
        await bob.until("asked", lambda s: any(r["state"] == "pending" for r in s["requests"]))
        await expect(self.incoming(b)).to_be_hidden()
        await b.get_by_role("link", name=re.compile("Requests, 1 waiting")).click()
        await expect(b.get_by_text("We met at the antenna group buy.")).to_be_visible()
        await self.shot(b, "request-desktop")
        await b.get_by_role("button", name="Accept request from Carol").click()
        await b.get_by_role("dialog").get_by_role("button", name="Accept", exact=True).click()
        await carol.until("granted", lambda s: any(r["state"] == "granted" for r in s["requests"]))
        await c.get_by_role("button", name="Close", exact=True).click()
        await self.call(c)
        await expect(self.incoming(b)).to_be_visible()
        await self.incoming(b).get_by_role("button", name="Decline").click()

    async def test_call_survives_a_killed_relay_and_the_next_signal_arrives(self):
        alice, bob = await self.alice_and_bob()
        a, b = await self.open(alice), await self.open(bob)
        await self.call(a)
        await self.incoming(b).get_by_role("button", name="Answer with video").click()
        await self.moving(a)
        await self.network.relay.stop(signal.SIGKILL)
        await alice.until("cut off", lambda s: s["relay"]["state"] != "connected")
        await self.moving(a)
        await self.moving(b)
        await self.network.start_relay()
        await alice.connected()
        await bob.connected()
        await a.get_by_role("button", name="Hang up", exact=True).click()
        await bob.until("hung up", lambda s: s["log"] and s["log"][0]["outcome"] == "answered" and not s["calls"])

    async def test_phone_width(self):
        alice, bob = await self.alice_and_bob()
        phone = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
        a, b = await self.open(alice, **phone), await self.open(bob, **phone, color_scheme="dark")
        await self.call(a)
        await self.shot(b, "incoming-phone")
        await self.incoming(b).get_by_role("button", name="Answer with video").click()
        await self.moving(b)
        await self.shot(b, "call-phone")
        self.assertTrue(await b.evaluate("document.documentElement.scrollWidth <= innerWidth"))
        await b.get_by_role("button", name="Hang up", exact=True).click()
        await alice.until("ended", lambda s: s["log"])


if __name__ == "__main__":
    unittest.main()
