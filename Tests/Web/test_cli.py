"""The `dsip` command as a person types it: results, sentences, exit statuses."""

import asyncio
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from network import DSIP, Network, Program  # noqa: E402


class CommandTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.network = await Network().__aenter__()
        self.addAsyncCleanup(self.network.__aexit__)
        self.environment = {
            **os.environ, "DSIP_STATE": str(self.network.folder / "carol"), "DSIP_RELAY": self.network.relay_url,
            "DSIP_TRUST": str(self.network.authority), "NO_COLOR": "1"}

    async def dsip(self, *arguments, status=0, stdin=b""):
        process = await asyncio.create_subprocess_exec(
            DSIP, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=self.environment)
        out, error = await asyncio.wait_for(process.communicate(stdin), 60)
        self.assertEqual(process.returncode, status, f"dsip {' '.join(arguments)}\n{out.decode()}{error.decode()}")
        return out.decode() + error.decode()

    async def test_an_identity_is_made_shown_and_found(self):
        await self.dsip("id", "show", status=3)
        made = await self.dsip("id", "create", "Carol")
        did = next(word for word in made.split() if word.startswith("did:key:"))
        self.assertIn(did, await self.dsip("id", "show"))
        self.assertEqual(json.loads(await self.dsip("id", "show", "--json"))["did"], did)
        self.assertIn("█", await self.dsip("id", "qr"))
        self.assertIn("Self-issued identity", await self.dsip("resolve", did))
        await self.dsip("resolve", "did:web:127.0.0.1", status=3)
        self.assertEqual(os.stat(self.network.folder / "carol").st_mode & 0o077, 0, "the state folder is the person's alone")

    async def test_contacts_are_kept_and_nonsense_is_refused(self):
        await self.dsip("id", "create", "Carol")
        await self.dsip("contacts", "add", "not a did", "Bob", status=64)
        await self.dsip("contacts", "add", "did:key:z6MkrgXgMcSfqUQ6bhMEL1dhqvPYU4YaueY56Mw8aee9YN4R", "Bob")
        self.assertIn("Bob", await self.dsip("contacts", "list"))

    async def test_a_stream_is_published_followed_attested_and_withdrawn(self):
        await self.dsip("broadcast", "list", status=3)
        await self.dsip("id", "create", "Carol")
        did = json.loads(await self.dsip("id", "show", "--json"))["did"]
        variant = "id=main,codec=audio/aac,transport=hls,uri=https://live.example/main.m3u8"
        await self.dsip("broadcast", "publish", "radio", "--variant", "nonsense", status=64)
        await self.dsip("broadcast", "publish", "radio", "--variant", variant, "--policy", "nonsense", status=64)
        await self.dsip("broadcast", "unpublish", "radio", status=3)
        await self.dsip("broadcast", "publish", "radio", "--title", "Carol Live", "--variant", variant, "--policy", "transcoding=forbidden")
        stream = f"{did}:radio"
        listener = ("--state", str(self.network.folder / "dave"))
        await self.dsip("id", "create", "Dave", *listener)
        self.assertIn("Integrity mode: metadata-only", await self.dsip("broadcast", "show", stream, *listener))
        await self.dsip("broadcast", "show", stream + ":none", *listener, status=3)
        await self.dsip("broadcast", "attest", stream, "transcode", "--from", "none", "--to", "low", *listener, status=64)
        await self.dsip("broadcast", "attest", stream, "transcode", "--from", "main", "--to", "low", *listener)
        shown = await self.dsip("broadcast", "show", stream)
        self.assertIn("Integrity mode: derivative-bound", shown)
        self.assertIn("Against the publisher’s policy: transcoding", shown)
        await self.dsip("broadcast", "unpublish", "radio")
        self.assertEqual(json.loads(await self.dsip("broadcast", "show", stream, "--json", *listener))["state"], "withdrawn")
        self.assertIn("withdrawn", await self.dsip("broadcast", "list", *listener))
        await self.dsip("broadcast", "forget", stream, *listener)
        await self.dsip("broadcast", "forget", stream, *listener, status=3)

    async def test_doctor_checks_every_hop_and_names_the_first_that_fails(self):
        await self.dsip("doctor", status=1)
        await self.dsip("id", "create", "Carol")
        report = await self.dsip("doctor")
        for hop in ("wallet", "tls", "websocket", "hello", "stun"):
            self.assertRegex(report, rf"(?m)^ok +{hop}")
        await self.network.relay.stop()
        self.assertRegex(await self.dsip("doctor", status=1), r"(?m)^failed +tcp")

    async def test_verify_says_which_stage_failed(self):
        report = await self.dsip("verify", status=1, stdin=b'{"protected":"e30","payload":"e30","signature":"AA"}')
        self.assertIn("header-invalid", report)
        self.assertIn("envelope-shape", await self.dsip("verify", status=1, stdin=b"{}"))

    async def test_up_shares_its_folder_with_the_other_commands(self):
        person = await self.network.person("Carol")
        self.assertIn("already up", await self.dsip("up", "--state", str(person.folder), status=1))
        self.assertIn(await person.did(), await self.dsip("id", "show"))

    async def test_a_locked_wallet_is_opened_in_one_way_by_every_command(self):
        right, wrong = self.network.folder / "right", self.network.folder / "wrong"
        right.write_text("correct horse\n")
        wrong.write_text("battery staple\n")
        self.environment["DSIP_PASSPHRASE_FILE"] = str(right)
        made = await self.dsip("id", "create", "Carol", "--passphrase")
        did = next(word for word in made.split() if word.startswith("did:key:"))
        self.assertIn(did, await self.dsip("id", "show"))
        self.assertFalse((self.network.folder / "carol" / "wallet.key").exists())
        self.environment["DSIP_PASSPHRASE_FILE"] = str(wrong)
        for command in (("id", "show"), ("up", "--port", "0")):
            await self.dsip(*command, status=4)
        self.environment["DSIP_PASSPHRASE_FILE"] = str(right)
        up = Program("Carol", "up", "--port", "0", environment=self.environment)
        await up.start()
        await up.line(r"^page +http://127\.0\.0\.1:\d+/#token=")
        self.assertEqual((await up.line(r"^relay +(\S+)"))[1], self.network.relay_url)
        self.assertIn(did, await self.dsip("id", "show"))
        await up.stop()
        self.assertEqual(up.process.returncode, 0)

    async def test_options_are_the_same_everywhere_and_completed(self):
        for command in (("up",), ("id", "create"), ("contacts", "list"), ("doctor",)):
            help = await self.dsip(*command, "--help")
            for option in ("--state", "--relay", "--trust", "--allow"):
                self.assertIn(option, help, command)
        await self.dsip("up", "--root", "x", status=64)
        self.assertIn("--trust", await self.dsip("completion", "bash"))

    async def test_a_missing_folder_and_an_unknown_command(self):
        await self.dsip("conformance", "/nonexistent", status=3)
        await self.dsip("frobnicate", status=64)


if __name__ == "__main__":
    unittest.main()
