import DSIPIdentity
import Libp2p
import Support
import Testing

@testable import DSIPDiscovery

@Suite("Records in a DHT node") struct DirectoryTests {
    /// A node with our rules, in a box, so that it can be asked inside an expectation.
    private final class Node {
        var engine: KademliaEngine

        init() {
            var rules = RecordRules()
            rules.register(DiscoveryKey.namespace, DirectoryValidator())
            engine = KademliaEngine(
                own: IdentityKey().peerID,
                configuration: .init(protocolID: DiscoveryKey.protocolID),
                rules: rules
            )
        }

        /// Puts from a stranger each time, so that one's offences do not silence the next.
        func put(_ key: [UInt8], _ value: [UInt8], at now: Int64 = Cast.now) -> Bool {
            let message = KademliaMessage(.putValue, key: key, value: value)
            return engine.handle(message, from: IdentityKey().peerID, at: now * 1000) != nil
        }

        func get(_ key: [UInt8], at now: Int64 = Cast.now) -> [UInt8]? {
            engine.handle(KademliaMessage(.getValue, key: key), from: IdentityKey().peerID, at: now * 1000)?.value
        }
    }

    private func presence(_ key: SigningKey = Cast.alice, at now: Int64 = Cast.now) throws -> [UInt8] {
        var random = SeededRandom(seed: 3)
        var publisher = PresencePublisher(subject: key.did)
        publisher.reach.relays = ["wss://relay.example/dsip"]
        return try publisher.sign(at: now, by: key, using: &random)
    }

    @Test("what verifies under its key is stored, until it expires")
    func storing() throws {
        let node = Node()
        let key = DiscoveryKey.presence(Cast.alice.did)
        let record = try presence()
        #expect(node.put(key, record) && node.get(key) == record)
        #expect(node.get(key, at: Cast.now + 239) == record && node.get(key, at: Cast.now + 240) == nil)
        let hint = try Cast.hint()
        #expect(node.put(HintKey.path(of: Cast.alice.did), hint))
        #expect(node.engine.recordCount == 2 && node.engine.statistics.recordsRefused == 0)
    }

    @Test("poisoned, future-dated, oversized and misplaced records are refused and counted, and nothing is stored")
    func attacks() throws {
        let node = Node()
        let key = DiscoveryKey.presence(Cast.alice.did)
        let good = try presence()
        let text = String(decoding: good, as: UTF8.self)
        let attacks: [[UInt8]] = [
            Array(text.replacing("relay.example", with: "mallory.example").utf8), Array(good.dropLast()), [0],
            try presence(at: Cast.now + 3600), try presence(at: Cast.now - 3600), try presence(Cast.mallory),
            good + [UInt8](repeating: 0x20, count: PresenceRecord.maximumLength), try Cast.hint(),
        ]
        for attack in attacks { #expect(!node.put(key, attack)) }
        #expect(
            !node.put(DiscoveryKey.presence(Cast.bob.did), good) && !node.put(DiscoveryKey.home(Cast.alice.did), good)
        )
        let hint = try Cast.hint()
        #expect(!node.put(Array("/other/key".utf8), good) && !node.put(HintKey.bytes(of: Cast.alice.did), hint))
        #expect(node.engine.recordCount == 0 && node.engine.statistics.recordsRefused == attacks.count + 4)
    }

    @Test("an older record that is still live does not come back")
    func replay() throws {
        let node = Node()
        let key = DiscoveryKey.presence(Cast.alice.did)
        let (old, new) = (try presence(), try presence(at: Cast.now + 30))
        #expect(node.put(key, new, at: Cast.now + 30))
        _ = node.put(key, old, at: Cast.now + 31)
        #expect(node.get(key, at: Cast.now + 31) == new)
    }
}
