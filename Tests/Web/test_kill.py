"""Real processes, killed without a word at any moment: whatever a person was told is written arrives once, and only once.

`DSIP_KILL_ROUNDS` (2 in `make test`, 50 in `make soak-kill`) kills, each of one of: Alice's agent, Bob's agent, the relay. `DSIP_SEED` repeats a run.
"""

import asyncio
import os
import random
import signal
import sys
import unittest
import urllib.error

sys.path.insert(0, os.path.dirname(__file__))
from network import Network  # noqa: E402

ROUNDS = int(os.environ.get("DSIP_KILL_ROUNDS", "2"))
SEED = int(os.environ.get("DSIP_SEED", random.randrange(1 << 32)))


class KillTest(unittest.IsolatedAsyncioTestCase):
    async def texts(self, person, conversation):
        found, after = [], 0
        while True:
            page = await person.api("messages.list", conversation=conversation, after=after, limit=200)
            for message in page["messages"]:
                found.append(message["text"])
                after = max(after, message["order"])
            if not page["more_after"]:
                return [text for text in found if text]

    async def conversation(self, person, other):
        return (await person.api("conversations.open", **{"with": await other.did()}))["id"]

    async def test_nothing_that_was_written_is_lost_or_doubled(self):
        print(f"seed {SEED}, {ROUNDS} rounds")
        chance = random.Random(SEED)
        async with Network() as network:
            alice, bob = await network.person("Alice"), await network.person("Bob")
            await alice.add(bob)
            await bob.add(alice)
            people, rooms = [alice, bob], {}
            rooms[alice] = await self.conversation(alice, bob)
            await alice.api("messages.send", conversation=rooms[alice], text="0")
            await bob.until("shown the first message", lambda s: s["conversations"] and s["conversations"][0]["last"], 60)
            rooms[bob] = await self.conversation(bob, alice)
            said = ["0"]
            for round_ in range(1, ROUNDS + 1):
                for number in range(3):
                    writer = chance.choice(people)
                    text = f"{round_}.{number}"
                    try:
                        await writer.api("messages.send", conversation=rooms[writer], text=text)
                        said.append(text)
                    except (AssertionError, urllib.error.URLError, OSError) as error:
                        raise AssertionError(f"{writer.name} could not write {text}: {error}") from None
                await asyncio.sleep(chance.random() * 0.4)
                victim = chance.choice([alice, bob, network])
                if victim is network:
                    network.relay.process.send_signal(signal.SIGKILL)
                    await network.relay.process.wait()
                    await network.start_relay()
                else:
                    victim.program.process.send_signal(signal.SIGKILL)
                    await victim.program.process.wait()
                    await victim.up()
            for person in people:
                for _ in range(1200):
                    found = await self.texts(person, rooms[person])
                    if sorted(found) == sorted(said):
                        break
                    await asyncio.sleep(0.1)
                self.assertEqual(sorted(found), sorted(said), f"{person.name}, seed {SEED}")
            self.assertEqual(*[await self.texts(person, rooms[person]) for person in people], f"the order, seed {SEED}")


if __name__ == "__main__":
    unittest.main()
