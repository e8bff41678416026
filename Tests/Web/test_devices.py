"""The life of a device, as people have it: it shows a code, another of theirs reads that and signs, it rings, and one day it is taken back."""

import asyncio
import base64
import os
import re
import sys
import time
import unittest

import zxingcpp
from playwright.async_api import expect

sys.path.insert(0, os.path.dirname(__file__))
from test_network import People  # noqa: E402

# The picture as grey bytes, by the browser's own decoder.
GREY = """async text => { const picture = await createImageBitmap(await (await fetch('data:image/png;base64,' + text)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height), pen = canvas.getContext('2d'); pen.drawImage(picture, 0, 0);
  const { data } = pen.getImageData(0, 0, picture.width, picture.height); let grey = '';
  for (let i = 0; i < data.length; i += 4) grey += String.fromCharCode(data[i]); return [picture.width, picture.height, btoa(grey)] }"""


class DeviceTest(People):
    async def scan(self, picture):
        """What a camera would read from the picture on the screen."""
        image = await picture.screenshot()
        blank = await self.browser.new_page()
        width, height, grey = await blank.evaluate(GREY, base64.b64encode(image).decode())
        await blank.close()
        found = zxingcpp.read_barcodes(memoryview(base64.b64decode(grey)).cast("B", (height, width)))
        self.assertEqual(len(found), 1, "one code in the picture")
        return found[0].text

    async def open_new(self, person):
        """The page of a device that has no identity yet."""
        context = await self.browser.new_context(viewport={"width": 390, "height": 844}, device_scale_factor=2, permissions=["camera", "microphone"])
        page = await context.new_page()
        page.on("console", lambda message: self.trouble.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        await page.goto(person.url)
        return page

    async def test_a_new_device_shows_a_code_an_old_one_signs_both_ring_and_it_is_revoked_within_a_round_trip(self):
        alice, bob = await self.alice_and_bob()
        tablet = await self.network.person("Tablet", paired=True)
        a, b, t = await self.open(alice), await self.open(bob), await self.open_new(tablet)

        # The new one shows.
        await t.get_by_role("button", name="Pair this device").first.click()
        shown = t.get_by_role("dialog", name="Pair this device")
        code = await self.scan(shown.get_by_role("img", name="QR code for pairing"))
        self.assertEqual(code, await shown.get_by_role("group", name="Pairing code").inner_text())
        words = await shown.get_by_role("group", name="Words to compare").inner_text()

        # The old one reads, compares, signs.
        await b.get_by_role("link", name="Devices", exact=True).click()
        await b.get_by_role("button", name="Add a device").click()
        add = b.get_by_role("dialog")
        await add.get_by_label("Code from the new device").fill(code)
        await add.get_by_role("button", name="Check code").click()
        self.assertEqual(await add.get_by_role("group", name="Words to compare").inner_text(), words)
        await add.get_by_label("Name of the new device").fill("Kitchen tablet")
        await add.get_by_role("button", name="They match, approve").click()
        await b.get_by_role("dialog", name="Kitchen tablet is added").get_by_role("button", name="Done").click()
        await expect(t.get_by_role("status", name="Notices").get_by_text(re.compile("^This device now belongs to"))).to_be_visible()
        self.assertEqual(await tablet.did(), await bob.did())
        await tablet.connected()

        await b.get_by_role("button", name="Rename Kitchen tablet").click()
        dialog = b.get_by_role("dialog", name="Rename Kitchen tablet")
        await dialog.get_by_label("Name of the device").fill("Hall tablet")
        await dialog.get_by_role("button", name="Save").click()
        await expect(b.get_by_role("list", name="Your devices").get_by_text("Hall tablet")).to_be_visible()

        # Both ring; the one that is not answered stops.
        await self.call(a)
        await expect(self.incoming(b)).to_be_visible()
        await expect(self.incoming(t)).to_be_visible()
        await self.incoming(b).get_by_role("button", name="Answer with audio").click()
        await self.until(a, "() => connections.some(pc => pc.remoteDescription)")
        await expect(self.incoming(t)).to_be_hidden(timeout=SLOW * 1000)
        await a.get_by_role("button", name="Hang up", exact=True).click()
        await bob.until("over", lambda s: not s["calls"])

        # Taken back: nothing it signs counts, and nothing reaches it.
        await b.get_by_role("link", name="Devices", exact=True).click()
        await b.get_by_role("button", name="Revoke Hall tablet").click()
        dialog = b.get_by_role("dialog", name="Revoke Hall tablet?")
        await dialog.get_by_role("radio", name=re.compile("Lost")).check()
        start = time.monotonic()
        await dialog.get_by_role("button", name="Revoke device").click()
        while (await tablet.state())["relay"]["state"] == "connected":
            self.assertLess(time.monotonic() - start, 20)
            await asyncio.sleep(0.01)
        print(f"\n{type(self).__name__}: revoked and cut off after {time.monotonic() - start:.3f} s from the click", file=sys.stderr)
        await expect(b.get_by_text(re.compile("Revoked .*: Lost"))).to_be_visible()
        await self.call(a)
        await expect(self.incoming(b)).to_be_visible()
        await expect(a.get_by_role("region", name="Progress of the call").get_by_text(re.compile("Delivered to one device"))).to_be_visible()
        await expect(self.incoming(t)).to_be_hidden()
        await self.incoming(b).get_by_role("button", name="Decline").click()


SLOW = float(os.environ.get("DSIP_SLOW", 4))

if __name__ == "__main__":
    unittest.main()
