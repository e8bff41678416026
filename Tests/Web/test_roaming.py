"""A device goes from one network to the next in the middle of a call: its address is taken away, and it has another. Real agents, relay and browsers."""

import asyncio
import os
import re
import subprocess
import sys
import time
import unittest

from playwright.async_api import expect

sys.path.insert(0, os.path.dirname(__file__))
from network import Device, Network  # noqa: E402
from test_network import People  # noqa: E402
from test_page import ARGUMENTS, CHROMIUM  # noqa: E402

RELAY = "10.9.0.1"
WIFI, MOBILE = ("wifi", "10.1.0"), ("mobile", "10.2.0")
# Loopback carries no media here.
APART = [argument for argument in ARGUMENTS if "loopback" not in argument]
FRAGMENTS = "() => ['local', 'remote'].map(side => /^a=ice-ufrag:(.*)$/m.exec(connections[0][`${side}Description`].sdp)[1])"
# The page's 90 s in fewer.
HURRY = "() => { const wait = window.setTimeout; window.setTimeout = (work, after, ...rest) => wait(work, after === 90000 ? 8000 : after, ...rest); }"


class RoamingTest(People):
    options = ()

    def make_network(self):
        subprocess.run(["ip", "address", "replace", f"{RELAY}/32", "dev", "lo"], check=True)
        return Network(address=RELAY, options=self.options)

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.device = Device(WIFI, MOBILE)
        self.addCleanup(self.device.close)
        self.device.join(*WIFI)
        await self.browser.close()
        self.browser = await self.playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=APART)
        wrapper = self.network.folder / "browser"
        wrapper.write_text(f"#!/bin/sh\nexec {' '.join(self.device.prefix)} {CHROMIUM} \"$@\"\n")
        wrapper.chmod(0o755)
        self.away = await self.playwright.chromium.launch(executable_path=str(wrapper), headless=True, args=APART)

    async def asyncTearDown(self):
        await self.away.close()
        await super().asyncTearDown()

    async def in_a_call(self, prepare=None):
        alice, bob = await self.network.person("Alice", place=self.device), await self.network.person("Bob")
        await alice.add(bob)
        await bob.add(alice)
        a, b = await self.open(alice, self.away), await self.open(bob)
        for page in (a, b):
            if prepare:
                await page.evaluate(prepare)
        await self.call(a)
        await self.incoming(b).get_by_role("button", name="Answer with video").click()
        for page in (a, b):
            await self.moving(page)
        return alice, bob, a, b

    async def route(self, page):
        """The address that this side of the media has."""
        return await page.evaluate("""async () => { const r = await connections[0].getStats(); for (const t of r.values()) if (t.type === 'transport') {
            const pair = r.get(t.selectedCandidatePairId); return r.get(pair.localCandidateId).address } }""")

    async def decodes(self, page, seconds=90):
        before = sum(await page.evaluate("frames_decoded()"))
        await self.until(page, "async n => (await frames_decoded()).reduce((a, b) => a + b, 0) > n + 5", before, seconds)

    async def test_call_and_signaling_go_on_over_another_network(self):
        alice, bob, a, b = await self.in_a_call()
        self.assertEqual(await self.route(a), "10.1.0.2")
        conversation = (await alice.api("conversations.open", **{"with": await bob.did()}))["id"]
        await alice.api("messages.send", conversation=conversation, text="On Wi-Fi.")
        await bob.until("written to", lambda s: any("On Wi-Fi." in str(c) for c in s["conversations"]))

        before = await a.evaluate(FRAGMENTS)
        start = time.monotonic()
        self.device.leave("wifi")
        self.device.join(*MOBILE)
        await alice.api("messages.send", conversation=conversation, text="On mobile.")
        await bob.until("written to again", lambda s: any("On mobile." in str(c) for c in s["conversations"]))
        signaling = time.monotonic() - start
        await self.until(a, "() => connections[0].getStats().then(r => [...r.values()].some(t => t.type === 'transport' && r.get(r.get(t.selectedCandidatePairId)?.localCandidateId)?.address === '10.2.0.2'))", seconds=90)
        for page in (a, b):
            await self.decodes(page)
        media = time.monotonic() - start
        print(f"\n{type(self).__name__}: written word across after {signaling:.2f} s, media after {media:.2f} s", file=sys.stderr)
        # A browser may find the way by itself before both have agreed on it; they do, on both sides.
        await self.until(a, f"old => ({FRAGMENTS})().every((fragment, side) => fragment !== old[side])", before, seconds=60)
        self.assertLess(signaling, 2 * SLOW)
        for page in (a, b):
            await expect(page.get_by_text("Reconnecting…")).to_be_hidden()
        # The call is the same call: a change of it is agreed, and it ends as any other.
        await b.get_by_role("button", name="Hold", exact=True).click()
        await expect(a.get_by_text("Bob put you on hold")).to_be_visible()
        await a.get_by_role("button", name="Hang up", exact=True).click()
        for person in (alice, bob):
            state = await person.until("ended", lambda s: s["log"] and not s["calls"])
            self.assertEqual(state["log"][0]["outcome"], "answered")

    async def test_without_any_network_it_says_so_and_ends_with_a_sentence(self):
        alice, bob, a, b = await self.in_a_call(HURRY)
        self.device.leave("wifi")
        for page in (a, b):
            await expect(page.get_by_role("status").get_by_text("Reconnecting…")).to_be_visible(timeout=60000)
        for page, name in ((a, "Bob"), (b, "Alice")):
            await expect(page.get_by_role("alert").get_by_text(re.compile(f"The connection for audio and video to {name} could not be kept up"))).to_be_visible(timeout=60000)
        for person in (alice, bob):
            await person.until("ended", lambda s: s["log"] and not s["calls"])

    async def test_a_network_that_comes_back_in_time_brings_the_call_back(self):
        alice, bob, a, b = await self.in_a_call()
        self.device.leave("wifi")
        await expect(b.get_by_role("status").get_by_text("Reconnecting…")).to_be_visible(timeout=60000)
        await asyncio.sleep(5)
        self.device.join(*MOBILE)
        for page in (a, b):
            await self.until(page, "() => connections[0].connectionState === 'connected'", seconds=90)
            await self.decodes(page)
            await expect(page.get_by_text("Reconnecting…")).to_be_hidden()


class RoamingOverQUICTest(RoamingTest):
    options = ("--quic-enabled", "true")


SLOW = float(os.environ.get("DSIP_SLOW", 4))

if __name__ == "__main__":
    unittest.main()
