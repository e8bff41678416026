"""Real processes, killed without a word at any moment: whatever a person was told is written arrives once, and only once, on all devices.

Three people with four devices, one conversation of two and a group that changes its name. `DSIP_KILL_ROUNDS` (2 in `make test`,
50 in `make soak-kill`) kills, each of one of the devices or the relay. `DSIP_SEED` repeats a run.
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

    async def room(self, device, kind):
        """Their one conversation of that kind, once it is there."""
        state = await device.until(f"in a conversation: {kind}", lambda s: any(c["kind"] == kind for c in s["conversations"]), 120)
        return next(c["id"] for c in state["conversations"] if c["kind"] == kind)

    async def agree(self, rooms, said):
        """All devices show what was said, once and in one order."""
        for device, room in rooms.items():
            for _ in range(1800):
                found = await self.texts(device, room)
                if sorted(found) == sorted(said):
                    break
                await asyncio.sleep(0.1)
            self.assertEqual(sorted(found), sorted(said), f"{device.name}, seed {SEED}")
        orders = {device.name: await self.texts(device, room) for device, room in rooms.items()}
        for name, order in orders.items():
            self.assertEqual(order, next(iter(orders.values())), f"the order on {name}, seed {SEED}")

    async def test_nothing_that_was_written_is_lost_or_doubled(self):
        print(f"seed {SEED}, {ROUNDS} rounds")
        chance = random.Random(SEED)
        async with Network() as network:
            alice, bob, carol = [await network.person(name) for name in ("Alice", "Bob", "Carol")]
            people = [alice, bob, carol]
            for person in people:
                for other in people:
                    if other is not person:
                        await person.add(other)
            tablet = await network.second(bob, "Tablet")
            devices = [*people, tablet]
            two = {alice: (await alice.api("conversations.open", **{"with": await bob.did()}))["id"]}
            await alice.api("messages.send", conversation=two[alice], text="0")
            two |= {bob: await self.room(bob, "direct"), tablet: await self.room(tablet, "direct")}
            group = {alice: (await alice.api("conversations.create", title="Three", members=[await bob.did(), await carol.did()]))["id"]}
            await alice.api("messages.send", conversation=group[alice], text="0")
            group |= {device: await self.room(device, "group") for device in (bob, carol, tablet)}
            said, told = ["0"], ["0"]
            for round_ in range(1, ROUNDS + 1):
                for number in range(4):
                    rooms, words = chance.choice([(two, said), (group, told)])
                    writer = chance.choice(list(rooms))
                    text = f"{round_}.{number}"
                    try:
                        await writer.api("messages.send", conversation=rooms[writer], text=text)
                        words.append(text)
                    except (AssertionError, urllib.error.URLError, OSError) as error:
                        raise AssertionError(f"{writer.name} could not write {text}: {error}") from None
                if chance.random() < 0.3:
                    namer = chance.choice(devices)
                    await namer.api("conversations.update", id=group[namer], title=f"Three, {round_}")
                await asyncio.sleep(chance.random() * 0.4)
                victim = chance.choice([*devices, network])
                if victim is network:
                    network.relay.process.send_signal(signal.SIGKILL)
                    await network.relay.process.wait()
                    await network.start_relay()
                else:
                    victim.program.process.send_signal(signal.SIGKILL)
                    await victim.program.process.wait()
                    await victim.up()
            await self.agree(two, said)
            await self.agree(group, told)


if __name__ == "__main__":
    unittest.main()
