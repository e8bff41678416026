import Crypto
import Encoding
import Support
import Testing

@testable import Libp2p

/// Records that say when they were made: eight bytes of time in milliseconds, sixty-four of a signature by the key in the name.
private struct DatedValidator: RecordValidator {
    static let lifetime: Int64 = 300_000
    /// Clocks may differ by so much.
    static let tolerance: Int64 = 30_000

    static func number(_ time: Int64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: time >> (56 - 8 * $0)) } }

    func validate(key: [UInt8], value: [UInt8], at now: Int64) throws -> Int64? {
        guard value.count == 72, let id = Hex.decode(String(decoding: key.dropFirst(3), as: UTF8.self)),
            let signer = try? Curve25519.Signing.PublicKey(rawRepresentation: id),
            signer.isValidSignature(value.suffix(64), for: key + value.prefix(8))
        else { throw Libp2pError(.unauthentic, "") }
        let made = Int64(truncatingIfNeeded: value.prefix(8).bigEndianValue)
        guard made <= now + DatedValidator.tolerance else { throw Libp2pError(.malformed, "future") }
        return made + DatedValidator.lifetime
    }

    func select(key: [UInt8], values: [[UInt8]]) -> Int {
        values.indices.max { values[$0].prefix(8).lexicographicallyPrecedes(values[$1].prefix(8)) } ?? 0
    }
}

/// What is done to streams and windows is in `YamuxTests`, `ConnectionTests` and `HostTests`.
@Suite("Attacks on records are counted and refused, and leave nothing behind")
struct AttackTests {
    private let owner = Curve25519.Signing.PrivateKey()
    private let now: Int64 = 1_760_000_000_000

    private func key(_ owner: Curve25519.Signing.PrivateKey) -> [UInt8] {
        Array("/d/\(Hex.encode(Array(owner.publicKey.rawRepresentation)))".utf8)
    }

    private func record(_ time: Int64, by signer: Curve25519.Signing.PrivateKey, under key: [UInt8]) throws -> [UInt8] {
        let number = DatedValidator.number(time)
        return number + Array(try signer.signature(for: key + number))
    }

    private func engine() -> KademliaEngine {
        var rules = RecordRules()
        rules.register("d", DatedValidator())
        return KademliaEngine(own: IdentityKey().peerID, configuration: .init(protocolID: "/t"), rules: rules)
    }

    /// What a hostile peer may try to have stored.
    private func hostile() throws -> [(name: String, key: [UInt8], value: [UInt8])] {
        let (own, thief) = (key(owner), Curve25519.Signing.PrivateKey())
        var poisoned = try record(now, by: owner, under: own)
        poisoned[40] ^= 1
        return [
            ("poisoned", own, poisoned),
            ("of another key", own, try record(now, by: thief, under: own)),
            ("signed under another key", own, try record(now, by: thief, under: key(thief))),
            ("future-dated", own, try record(now + 60_000, by: owner, under: own)),
            ("far in the future", own, try record(.max, by: owner, under: own)),
            ("expired", own, try record(now - 300_000, by: owner, under: own)),
            ("before all time", own, try record(.min, by: owner, under: own)),
            ("oversized", own, [UInt8](repeating: 7, count: KademliaMessage.maximumValue + 1)),
            ("empty", own, []),
            ("of no namespace", Array("/other/x".utf8), try record(now, by: owner, under: own)),
            ("of no key", Array("x".utf8), try record(now, by: owner, under: own)),
        ]
    }

    @Test("Put: nothing wrong is stored, each is an offence, and three close the ear")
    func puts() throws {
        for attack in try hostile() {
            var engine = engine()
            let peer = IdentityKey().peerID
            for _ in 0..<5 {
                let answer = engine.handle(
                    KademliaMessage(.putValue, key: attack.key, value: attack.value),
                    from: peer,
                    at: now
                )
                #expect(answer == nil, "\(attack.name)")
            }
            #expect(engine.recordCount == 0, "\(attack.name)")
            #expect(engine.offences(of: peer) == 3, "\(attack.name)")
        }
    }

    @Test("Answer: nothing wrong is told or forwarded, and its sender is counted")
    func answers() throws {
        for attack in try hostile() where attack.key == key(owner) {
            var engine = engine()
            let peer = KademliaPeer(id: IdentityKey().peerID, addresses: [try Multiaddr("/ip4/203.0.113.1/tcp/1")])
            engine.identified(peer, servesDHT: true, at: now)
            let lookup = engine.get(key(owner), at: now)
            var (found, finished, puts) = (false, false, 0)
            var time = now
            while !finished, time < now + 60_000 {
                while let output = engine.pollOutput() {
                    switch output {
                    case .send(let id, _, let message, _):
                        if message.kind == .putValue { puts += 1 }
                        engine.answered(id, KademliaMessage(.getValue, key: attack.key, value: attack.value), at: time)
                    case .event(lookup, .found): found = true
                    case .event(lookup, .finished(let result)):
                        finished = true
                        #expect(result.value == nil, "\(attack.name)")
                    case .event: break
                    }
                }
                time += 100
                engine.advance(to: time)
            }
            #expect(finished && !found && puts == 0 && engine.recordCount == 0, "\(attack.name)")
            #expect(engine.offences(of: peer.id) > 0 && engine.statistics.recordsRefused > 0, "\(attack.name)")
        }
    }

    @Test("Replay: an older record does not displace a newer one, and cannot outlive its own time")
    func replay() throws {
        var engine = engine()
        let (own, peer) = (key(owner), IdentityKey().peerID)
        let (old, new) = (
            try record(now - 10_000, by: owner, under: own), try record(now, by: owner, under: own)
        )
        func put(_ value: [UInt8], at time: Int64) -> KademliaMessage? {
            engine.handle(KademliaMessage(.putValue, key: own, value: value), from: peer, at: time)
        }
        #expect(put(new, at: now)?.value == new)
        for _ in 0..<10 { #expect(put(old, at: now) == nil) }
        let kept = engine.handle(KademliaMessage(.getValue, key: own), from: IdentityKey().peerID, at: now)?.value
        #expect(kept == new)
        // Replayed again and again, it ends all the same.
        for time in stride(from: now, to: now + 300_000, by: 50_000) { _ = put(new, at: time) }
        let later = engine.handle(
            KademliaMessage(.getValue, key: own),
            from: IdentityKey().peerID,
            at: now + 300_000
        )
        #expect(later != nil && later?.value == nil)
    }

    @Test("Flood: a peer that sends valid records of a million keys fills the store to its bounds and no further")
    func flood() throws {
        var rules = RecordRules()
        rules.register("t", Anything())
        var configuration = KademliaConfiguration(protocolID: "/t")
        configuration.maximumRecords = 100
        configuration.maximumRecordBytes = 50_000
        var engine = KademliaEngine(own: IdentityKey().peerID, configuration: configuration, rules: rules)
        let peer = IdentityKey().peerID
        for number in 0..<5_000 {
            _ = engine.handle(
                KademliaMessage(
                    .putValue,
                    key: Array("/t/\(number)".utf8),
                    value: [UInt8](repeating: 1, count: 1_000)
                ),
                from: peer,
                at: now
            )
        }
        #expect(engine.recordCount == 50)
    }

    private struct Anything: RecordValidator {
        func validate(key: [UInt8], value: [UInt8], at now: Int64) -> Int64? { nil }
        func select(key: [UInt8], values: [[UInt8]]) -> Int { 0 }
    }
}
