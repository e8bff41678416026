"""Signed records put on one node and got on another, ours (LIBP2P_PEER, a process of N nodes) beside OpenDHT (N nodes in this process),
all on loopback, in turn. What counts is the time to the first verified value and to the end of the get, in microseconds."""
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time

import opendht

ROUNDS = int(os.environ.get("ROUNDS", "3"))
OPERATIONS = int(os.environ.get("OPERATIONS", "60"))


class OpenDHT:
    """N runners. Those that write have an identity: what they put is signed, and verified by who gets it."""

    def __init__(self, count, writers=5):
        self.nodes = []
        for number in range(count):
            config = opendht.DhtConfig()
            config.setNetwork(77)
            config.setRateLimit(-1, -1)
            if number < writers:
                config.setIdentity(opendht.Identity.generate(f"w{number}", bits=2048))
            node = opendht.DhtRunner()
            node.run(port=0, ipv4="127.0.0.1", ipv6="", config=config)
            if self.nodes:
                node.bootstrap("127.0.0.1", str(self.nodes[0].getBound().getPort()))
            self.nodes.append(node)
        self.writers = writers
        deadline = time.monotonic() + 20
        time.sleep(2)
        while time.monotonic() < deadline and not self.get(self.nodes[-1], self.put(0), 5)[0]:
            time.sleep(0.5)

    def put(self, number):
        key = opendht.InfoHash.get(f"key-{number}-{random.random()}")
        done = threading.Event()
        self.nodes[number % self.writers].putSigned(key, opendht.Value(bytes(200)), lambda ok, nodes: done.set())
        done.wait(10)
        return key

    def get(self, node, key, limit=10):
        first, done = [], threading.Event()
        ended = []

        def found(value):
            if not first:
                first.append(time.perf_counter())
            return True

        def over(ok, nodes):
            ended.append(time.perf_counter())
            done.set()

        start = time.perf_counter()
        node.get(key, found, over)
        done.wait(limit)
        return [(when[0] - start) * 1e6 if when else None for when in (first, ended)]

    def measure(self):
        results = []
        for number in range(OPERATIONS):
            key = self.put(number)
            results.append(self.get(random.choice(self.nodes[self.writers :]), key))
        return results

    def stop(self):
        for node in self.nodes:
            node.shutdown()
            node.join()


def ours(count):
    process = subprocess.run(
        [os.environ["LIBP2P_PEER"], "swarm", str(count), str(OPERATIONS)],
        stdout=subprocess.PIPE, timeout=300, check=True, text=True,
    )
    return [json.loads(line) for line in process.stdout.splitlines()]


def figures(results):
    found = [first for first, _ in results if first is not None]
    ended = [end for _, end in results if end is not None]
    return len(found), statistics.median(found), statistics.median(ended)


def main():
    met = True
    for count in (50, 100):
        rounds = []
        for _ in range(ROUNDS):
            peer = OpenDHT(count)
            theirs = figures(peer.measure())
            peer.stop()
            rounds.append((figures(ours(count)), theirs))
        for name, index, goal in (("first value", 1, 0.6), ("done", 2, 0.5)):
            mine = statistics.median(round[0][index] for round in rounds)
            other = statistics.median(round[1][index] for round in rounds)
            ratio = mine / other
            met = met and ratio <= goal
            print(f"{count} nodes, {name} p50: {mine:.0f} µs, OpenDHT {other:.0f} µs; ratio {ratio:.2f}, goal ≤ {goal}: "
                  f"{'met' if ratio <= goal else 'NOT MET'}", flush=True)
        print(f"{count} nodes, found of {OPERATIONS}: {min(r[0][0] for r in rounds)}, OpenDHT {min(r[1][0] for r in rounds)}")
    return met


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
