#!/usr/bin/env python3
"""Broadcasts in a real browser: publisher, path and integrity as they are said; what plays and what cannot (docs/web.md)."""

import io
import math
import os
import struct
import sys
import unittest
import wave

from playwright.async_api import expect

sys.path.insert(0, os.path.dirname(__file__))
from mock_agent import did_for, ulid  # noqa: E402
from test_page import PageTest  # noqa: E402

SHOTS = os.environ.get("DSIP_SCREENSHOTS")
PHONE = {"viewport": {"width": 390, "height": 844}}


def tone() -> bytes:
    """Half a minute of a quiet sound."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", int(2000 * math.sin(n / 5))) for n in range(240000)))
    return out.getvalue()


# A station that answers an offer to receive with a sound of its own.
STATION = """async sdp => {
  const pc = new RTCPeerConnection();
  window.station = pc;
  const context = new AudioContext(), tone = context.createOscillator(), out = context.createMediaStreamDestination();
  tone.connect(out); tone.start();
  await pc.setRemoteDescription({ type: 'offer', sdp });
  pc.addTrack(out.stream.getAudioTracks()[0], out.stream);
  await pc.setLocalDescription(await pc.createAnswer());
  await new Promise(done => { const check = () => pc.iceGatheringState === 'complete' && done(); pc.onicegatheringstatechange = check; setTimeout(done, 3000); check(); });
  return pc.localDescription.sdp;
}"""


class BroadcastTest(PageTest):
    def stream(self, variants, **more):
        make = lambda agent: agent.publish(self.bob, "radio:main", "Bob Live Radio", variants, **more)  # noqa: E731
        self.world.streams[f"{self.bob.did}:radio:main"] = make
        return f"{self.bob.did}:radio:main"

    async def follow(self, page, stream):
        await page.goto(page.url.split("#")[0] + "#/broadcasts")
        await self.button(page, "Follow a stream")
        dialog = page.get_by_role("dialog", name="Follow a stream")
        await dialog.get_by_role("textbox", name="Stream or address of its publisher").fill(stream)
        await dialog.get_by_role("button", name="Follow", exact=True).click()
        await expect(page.get_by_role("article", name="Bob Live Radio")).to_be_visible()

    async def shoot(self, page, name):
        if SHOTS:
            await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)

    async def test_a_sound_file_plays_and_the_page_says_what_is_proved(self):
        stream = self.stream([
            {"id": "opus-low", "codec": "codec:audio/opus", "transport": "transport:webrtc", "uri": "wss://live.bob.example/dsip/webrtc/main"},
            {"id": "main-wav", "codec": "codec:audio/pcm", "transport": "transport:https", "uri": "https://live.bob.example/main.wav"},
            {"id": "main-rist", "codec": "codec:audio/aac", "transport": "transport:rist", "uri": "rist://live.bob.example:5000"},
        ])
        page = await self.open(self.alice)
        sound = tone()
        await page.context.route("https://live.bob.example/**", lambda route: route.fulfill(body=sound, content_type="audio/wav"))
        await self.follow(page, stream)
        await expect(page.get_by_role("status", name="State")).to_have_text("Live")
        publisher = page.get_by_role("region", name="Original publisher")
        await expect(publisher.get_by_text("Self-issued identity")).to_be_visible()
        await expect(publisher.get_by_text(stream)).to_be_visible()
        path = page.get_by_role("region", name="Path and integrity")
        await expect(path.get_by_text("metadata-only")).to_be_visible()
        await expect(path.get_by_text("Nobody signed the sound or picture itself.")).to_be_visible()
        # What cannot be played says why, and nothing has been fetched yet.
        await expect(page.get_by_role("button", name="Play opus-low")).to_be_disabled()
        await expect(page.get_by_text("only https addresses (WHEP) are")).to_be_visible()
        await expect(page.get_by_text("This browser does not know rist.")).to_be_visible()
        await expect(page.get_by_text("The publisher’s first choice that plays here")).to_be_visible()
        self.assertEqual(await page.locator("audio").count(), 0)
        await self.button(page, "Play main-wav")
        await self.until(page, "() => document.querySelector('audio')?.currentTime > 0.3")
        await expect(page.get_by_label("Stream Bob Live Radio")).to_be_visible()
        await self.shoot(page, "broadcast-desktop")
        # A statement comes while it plays, against the publisher's wish.
        processor = did_for("cdn")
        known = self.alice.broadcasts[0]
        statement = {"id": ulid(), "processor": processor, "basis": ["Self-issued identity"], "operation": "transcode", "input_variant": "opus-low", "output_variant": "main-wav", "output_uri": None, "policy_violation": "transcoding"}
        self.alice.show({**known, "provenance": [statement], "integrity": "derivative-bound", "transcoded_by": [processor], "refused_statements": ["signer-mismatch"]})
        await expect(path.get_by_text("Transcoded by", exact=False)).to_be_visible()
        await expect(path.get_by_text("The publisher forbids transcoding.")).to_be_visible()
        await expect(path.get_by_text("derivative-bound")).to_be_visible()
        await expect(path.get_by_text("One statement about the path was not believed")).to_be_visible()
        await self.button(page, "Stop main-wav")
        self.assertEqual(await page.locator("audio").count(), 0)
        self.alice.show({**self.alice.broadcasts[0], "state": "withdrawn"})
        await expect(page.get_by_role("status", name="State")).to_have_text("Withdrawn")
        await expect(page.get_by_role("button", name="Play main-wav")).to_be_disabled()
        await self.button(page, "Stop following")
        await page.get_by_role("dialog").get_by_role("button", name="Stop following").click()
        await expect(page.get_by_role("heading", name="No broadcasts")).to_be_visible()

    async def test_a_webrtc_variant_plays_by_the_agent_alone(self):
        stream = self.stream([{"id": "main-opus", "codec": "codec:audio/opus", "transport": "transport:webrtc", "uri": "https://live.bob.example/whep"}])
        page, studio = await self.open(self.alice, **PHONE), await self.open(self.carol)
        self.alice.station = lambda sdp: studio.evaluate(STATION, sdp)
        await self.follow(page, stream)
        await self.button(page, "Play main-opus")
        await self.until(page, "async () => await audio_received() > 20")
        await expect(page.get_by_label("Stream Bob Live Radio")).to_be_visible()
        await self.shoot(page, "broadcast-phone")
        width = await page.evaluate("document.documentElement.scrollWidth")
        self.assertLessEqual(width, 390)
        await self.button(page, "Stop main-opus")
        await self.until(page, "() => connections.every(pc => pc.signalingState === 'closed')")
        # A station that does not answer is said to.
        self.alice.station = None
        await self.button(page, "Play main-opus")
        await expect(page.get_by_role("alert").get_by_text("The station did not answer")).to_be_visible()

    async def test_what_fails_to_load_and_what_is_not_there_is_said(self):
        stream = self.stream([{"id": "gone", "codec": "codec:audio/pcm", "transport": "transport:https", "uri": "https://live.bob.example/gone.wav"}])
        page = await self.open(self.alice)
        self.allowed.append("404")
        await page.context.route("https://live.bob.example/**", lambda route: route.fulfill(status=404))
        await self.follow(page, stream)
        await self.button(page, "Play gone")
        await expect(page.get_by_role("alert").get_by_text("The browser could not load it.")).to_be_visible()
        await page.get_by_role("link", name="Back to broadcasts").click()
        await expect(page.get_by_role("link", name="Show Bob Live Radio")).to_be_visible()
        await self.button(page, "Follow a stream")
        dialog = page.get_by_role("dialog", name="Follow a stream")
        await dialog.get_by_role("textbox", name="Stream or address of its publisher").fill("did:web:nobody.example:radio")
        await dialog.get_by_role("button", name="Follow", exact=True).click()
        await expect(dialog.get_by_role("alert")).to_contain_text("could not be found")


del PageTest

if __name__ == "__main__":
    unittest.main()
