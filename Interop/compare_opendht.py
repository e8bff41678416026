"""Signed records put on one node and got on another, ours (LIBP2P_PEER, a process of N nodes) beside OpenDHT (a process of N nodes),
all on loopback, in turn. What counts is the time to the first verified value and to the end of the get, and the processor time that
all nodes took for it, in microseconds."""
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time

import opendht

# Behind a put and behind a get, for what it leaves to be done; as in Libp2pPeer/Swarm.swift.
PAUSE = 0.02
# Of each node before anything is measured, as a node in use has had them.
SEARCHES = 4
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
        for node in self.nodes:
            for _ in range(SEARCHES):
                self.get(node, opendht.InfoHash.get(f"nothing-{random.random()}"))

    def put(self, number):
        key = opendht.InfoHash.get(f"key-{number}-{random.random()}")
        done = threading.Event()
        self.nodes[number % self.writers].putSigned(key, opendht.Value(bytes(200)), lambda ok, nodes: done.set())
        done.wait(10)
        time.sleep(PAUSE)
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

        before = time.process_time()
        start = time.perf_counter()
        node.get(key, found, over)
        done.wait(limit)
        time.sleep(PAUSE)
        processor = (time.process_time() - before) * 1e6
        return [(when[0] - start) * 1e6 if when else None for when in (first, ended)] + [processor]

    def measure(self):
        """As ours does it: a reader that keeps the record itself is passed over."""
        done = 0
        for number in range(OPERATIONS * 20):
            if done == OPERATIONS:
                return
            key, reader = self.put(number), random.choice(self.nodes[self.writers :])
            if str(key) in reader.getStorageLog():
                continue
            print(json.dumps(self.get(reader, key)), flush=True)
            done += 1


    def ask(self):
        for number in range(OPERATIONS):
            print(json.dumps(self.get(self.nodes[1], opendht.InfoHash.get(f"nothing-{number}-{random.random()}"))), flush=True)


def pair():
    OpenDHT(2, writers=1).ask()
    os._exit(0)


def theirs(count):
    OpenDHT(count).measure()
    # Joining its threads waits for ever: a callback of theirs waits for the interpreter, which waits for them.
    os._exit(0)


def run(*command):
    process = subprocess.run(command, stdout=subprocess.PIPE, timeout=300, check=True, text=True)
    return figures([json.loads(line) for line in process.stdout.splitlines()])


def figures(results):
    columns = [[value for value in column if value is not None] for column in zip(*results)]
    return len(columns[0]), *(statistics.median(column) if column else 0 for column in columns)


def main():
    met = True
    for count in (50, 100):
        rounds = []
        for _ in range(ROUNDS):
            rounds.append((
                run(os.environ["LIBP2P_PEER"], "swarm", str(count), str(OPERATIONS)),
                run(sys.executable, __file__, "theirs", str(count)),
            ))
        for name, index, goal in (("first value", 1, 0.6), ("done", 2, 0.5)):
            mine = statistics.median(round[0][index] for round in rounds)
            other = statistics.median(round[1][index] for round in rounds)
            ratio = mine / other
            met = met and ratio <= goal
            print(f"{count} nodes, {name} p50: {mine:.0f} µs, OpenDHT {other:.0f} µs; ratio {ratio:.2f}, goal ≤ {goal}: "
                  f"{'met' if ratio <= goal else 'NOT MET'}", flush=True)
        for name, index, side in (("processor time", 3, 0), ("requests", 4, 0), ("processor time of OpenDHT", 3, 1)):
            print(f"{count} nodes, {name} of a get p50: {statistics.median(round[side][index] for round in rounds):.0f}")
        print(f"{count} nodes, found of {OPERATIONS}: {min(r[0][0] for r in rounds)}, OpenDHT {min(r[1][0] for r in rounds)}")
    mine = run(os.environ["LIBP2P_PEER"], "pair", str(OPERATIONS))
    other = run(sys.executable, __file__, "pair")
    print(f"one request without a record, 2 nodes, p50: {mine[2]:.0f} µs, {mine[3]:.0f} of processor time; "
          f"OpenDHT {other[2]:.0f} µs, {other[3]:.0f}")
    return met


if __name__ == "__main__":
    if sys.argv[1:2] == ["pair"]:
        pair()
    if sys.argv[1:2] == ["theirs"]:
        theirs(int(sys.argv[2]))
    sys.exit(0 if main() else 1)
