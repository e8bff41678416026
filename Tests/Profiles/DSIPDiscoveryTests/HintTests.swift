import DSIPIdentity
import DSIPSignaling
import Encoding
import Libp2p
import Testing

@testable import DSIPDiscovery

@Suite("Hints") struct HintTests {
    @Test("the key is the multihash of the DID")
    func key() throws {
        let did = try #require(DID("did:key:z6MkrgXgMcSfqUQ6bhMEL1dhqvPYU4YaueY56Mw8aee9YN4R"))
        let bytes = HintKey.bytes(of: did)
        #expect(bytes.count == 34 && bytes.starts(with: [0x12, 0x20]))
        #expect(HintKey.path(of: did) == Array("/dsip/hints/\(Hex.encode(bytes))".utf8))
    }

    @Test("a device publishes for its identity; the record verifies without any look-up")
    func publishing() throws {
        var publisher = HintPublisher(subject: Cast.alice.did)
        #expect(!publisher.isDue(at: Cast.now), "there is nothing to say")
        publisher.endpoints = [Cast.relay]
        #expect(publisher.isDue(at: Cast.now))
        let delegation = try Cast.delegation()
        let bytes = try publisher.sign(at: Cast.now, id: Cast.id(Cast.now), by: Cast.phone, delegations: [delegation])
        let record = try HintVerifier().verify(bytes, at: Cast.now + 3599)
        #expect(record.subject == Cast.alice.did && record.signer.did == Cast.phone.did)
        #expect(record.endpoints == [Cast.relay] && record.seq == Cast.now)
        #expect(publisher.nextAt == Cast.now + 2400, "at two thirds of its life")
        publisher.endpoints.append(.init(uri: "wss://b.example/dsip"))
        #expect(publisher.isDue(at: Cast.now + 1))
        _ = try publisher.sign(at: Cast.now, id: Cast.id(Cast.now), by: Cast.phone, delegations: [delegation])
        #expect(publisher.lastSeq == Cast.now + 1, "seq rises though the clock stands")
    }

    @Test("what is no hint of its subject is refused, each for its reason")
    func refusing() throws {
        let verifier = HintVerifier()
        func reason(_ bytes: [UInt8], at now: Int64 = Cast.now) -> DiscoveryError.Code? {
            code { _ = try verifier.verify(bytes, at: now) }
        }
        let good = try Cast.hint()
        #expect(reason(good) == nil)
        #expect(reason(good, at: Cast.now + 3600) == .expired)
        #expect(reason(good, at: Cast.now - 301) == .future)
        #expect(reason(Array(String(decoding: good, as: UTF8.self).dropLast(9).utf8)) == .malformed)
        #expect(reason(try Cast.hint(lifetime: 3601)) == .malformed)
        let about = Message(
            .init(id: Cast.id(Cast.now), from: Cast.mallory.did, issuedAt: Cast.now, lifetime: 60, version: .core),
            ReachabilityHint(subject: Cast.alice.did, endpoints: [Cast.relay], seq: 1)
        )
        #expect(reason(try Envelope(signing: about.payload(), by: Cast.mallory).bytes) == .subject)
        let posing = Message(
            .init(id: Cast.id(Cast.now), from: Cast.alice.did, issuedAt: Cast.now, lifetime: 60, version: .core),
            ReachabilityHint(subject: Cast.alice.did, endpoints: [Cast.relay], seq: 1)
        )
        #expect(reason(try Envelope(signing: posing.payload(), by: Cast.mallory).bytes) == .subject)
    }

    @Test("a DHT stores a hint under its subject's key only, and the highest seq stands")
    func validating() throws {
        let validator = HintValidator()
        let milliseconds = Cast.now * 1000
        let good = try Cast.hint()
        for key in [HintKey.bytes(of: Cast.alice.did), HintKey.path(of: Cast.alice.did)] {
            #expect(try validator.validate(key: key, value: good, at: milliseconds) == milliseconds + 3_600_000)
        }
        for key in [HintKey.bytes(of: Cast.bob.did), HintKey.path(of: Cast.bob.did), [], Array("/dsip/hints/".utf8)] {
            #expect(code { _ = try validator.validate(key: key, value: good, at: milliseconds) } == .subject)
        }
        let values = [try Cast.hint(seq: 5), try Cast.hint(seq: 9), try Cast.hint(seq: 9, lifetime: 60), [1, 2]]
        #expect(validator.select(key: [], values: values) == 1)
        #expect(validator.select(key: [], values: [[0]]) == 0)
    }

    @Test("a shelf keeps one hint a subject, and the first of two that claim one seq")
    func shelf() throws {
        let verifier = HintVerifier()
        var shelf = HintShelf(capacity: 4)
        func offer(_ bytes: [UInt8], at now: Int64 = Cast.now) throws -> HintPrecedence {
            shelf.offer(try verifier.verify(bytes, at: now), at: now)
        }
        #expect(try offer(try Cast.hint(seq: 5)) == .first)
        #expect(try offer(try Cast.hint(seq: 5)).conflict == .none)
        #expect(try offer(try Cast.hint(seq: 5, uri: "wss://b.example")).conflict == .sameSeqLive)
        #expect(try offer(try Cast.hint(seq: 4)).conflict == .olderSeq)
        #expect(try offer(try Cast.hint(seq: 6)).conflict == .newerSeq)
        #expect(shelf.record(Cast.alice.did, at: Cast.now)?.seq == 6)
        #expect(shelf.record(Cast.alice.did, at: Cast.now + 3600) == nil)
        #expect(try offer(try Cast.hint(at: Cast.now + 4000, seq: 1), at: Cast.now + 4000) == .first)
        for index in 0..<12 { _ = try offer(try Cast.hint(Cast.key("crowd-\(index)"))) }
        #expect(shelf.count <= 4)
    }
}

@Suite("A search for a hint") struct HintSearchTests {
    /// A search in a box, so that it can be asked inside an expectation.
    private final class Play {
        var search: HintSearch

        init(_ places: [HintSearch.Place]) {
            search = HintSearch(Cast.alice.did, asking: places, until: Cast.now + 4, verifier: HintVerifier())
        }

        func drain() -> [HintSearch.Output] {
            var outputs: [HintSearch.Output] = []
            while let output = search.pollOutput() { outputs.append(output) }
            return outputs
        }
    }

    @Test("the first live hint is told at once, a better one after it, and the stale places are repaired")
    func merging() throws {
        let old = try Cast.hint(seq: 1)
        let new = try Cast.hint(seq: 2, uri: "wss://new.example")
        let play = Play([.cache, .overlay, .relay("r")])
        play.search.answered(.cache, records: [old], at: Cast.now)
        guard case .candidate(let first)? = play.search.pollOutput() else { throw TestFault("no candidate") }
        #expect(first.place == .cache && first.bytes == old)
        play.search.answered(.overlay, records: [[1, 2], old, new], at: Cast.now)
        guard case .candidate(let second)? = play.search.pollOutput() else { throw TestFault("no better candidate") }
        #expect(second.endpoints.map(\.uri) == ["wss://new.example"] && play.search.refused == 1)
        play.search.failed(.relay("r"), at: Cast.now)
        let rest = play.drain()
        #expect(rest == [.repair(.cache, bytes: new), .finished(second)])
    }

    @Test("of the records of one answer all are read, not the first")
    func all() throws {
        let play = Play([.overlay])
        play.search.answered(
            .overlay,
            records: [try Cast.hint(seq: 1), try Cast.hint(seq: 3), try Cast.hint(seq: 2)],
            at: Cast.now
        )
        guard case .finished(let found?)? = play.drain().last else { throw TestFault("nothing found") }
        #expect(found.bytes == (try Cast.hint(seq: 3)))
    }

    @Test("two hints with one seq are a conflict that is told")
    func conflict() throws {
        let play = Play([.overlay, .cache])
        play.search.answered(.overlay, records: [try Cast.hint(seq: 1)], at: Cast.now)
        play.search.answered(.cache, records: [try Cast.hint(seq: 1, uri: "wss://b.example")], at: Cast.now)
        let outputs = play.drain()
        #expect(outputs.contains { if case .conflict = $0 { true } else { false } })
        guard case .finished(let found?)? = outputs.last else { throw TestFault("nothing found") }
        #expect(found.endpoints == [Cast.relay], "the first stands")
    }

    @Test("the time ends a search, late and unasked answers change nothing")
    func deadline() throws {
        let play = Play([.overlay, .pkarr("p")])
        play.search.answered(.relay("never asked"), records: [try Cast.hint()], at: Cast.now)
        #expect(play.drain().isEmpty)
        play.search.advance(to: Cast.now + 3)
        #expect(play.drain().isEmpty)
        play.search.advance(to: Cast.now + 4)
        #expect(play.drain() == [.finished(nil)])
        play.search.answered(.overlay, records: [try Cast.hint()], at: Cast.now + 5)
        #expect(play.drain().isEmpty)
    }

    @Test("between the carriers the later issue is the newer word")
    func carriers() throws {
        let play = Play([.overlay, .pkarr("p"), .pkarr("q")])
        play.search.answered(.overlay, records: [try Cast.hint(at: Cast.now - 60)], at: Cast.now)
        let packet = try Cast.packet(at: Cast.now - 30, uri: "wss://p.example")
        play.search.answered(.pkarr("p"), packet: packet, at: Cast.now)
        play.search.answered(.pkarr("q"), packet: nil, at: Cast.now)
        let outputs = play.drain()
        #expect(outputs.contains(.repair(.pkarr("q"), bytes: packet)))
        guard case .finished(let found?)? = outputs.last else { throw TestFault("nothing found") }
        #expect(found.place == .pkarr("p"))
    }
}

@Suite("Hints over HTTP") struct HintNodeTests {
    private func node() -> HintNode { HintNode(verifier: HintVerifier()) }

    @Test("records are posted and fetched, and precedence decides")
    func records() throws {
        var node = node()
        let did = Cast.alice.did
        func post(_ bytes: [UInt8]) -> HintNode.Response {
            node.answer(.init(method: "POST", path: "/dsip/v1/hints", body: bytes), at: Cast.now)
        }
        func get(_ path: String) -> HintNode.Response { node.answer(.init(method: "GET", path: path), at: Cast.now) }
        #expect(get("/dsip/v1/hints/\(did)").body == Array(#"{"hints":[]}"#.utf8))
        let record = try Cast.hint(seq: 5)
        let stored = post(record)
        guard case .record(let accepted)? = stored.accepted else { throw TestFault("not accepted") }
        #expect(stored.status == 202 && accepted.bytes == record)
        #expect(post(record).status == 202 && post(record).accepted == nil)
        #expect(post(try Cast.hint(seq: 4)).status == 409)
        #expect(post(try Cast.hint(seq: 5, uri: "wss://b.example")).status == 409)
        #expect(post([1, 2, 3]).status == 400)
        let encoded = "did%3Akey%3A\(did.identifier)"
        for path in ["/dsip/v1/hints/\(did)", "/dsip/v1/hints/\(encoded)"] {
            let body = try JSONValue(parsing: get(path).body)
            #expect(body["hints"]?[0]?.string.map { Array($0.utf8) } == record)
        }
        #expect(get("/dsip/v1/hints/nobody").status == 400)
        #expect(get("/dsip/v1/hints/did%3").status == 400)
    }

    @Test("a node is a Pkarr relay for every key")
    func packets() throws {
        var node = node()
        let zone = try PkarrKey(Cast.alice.did).zone
        let packet = try Cast.packet()
        func put(_ path: String, _ body: [UInt8]) -> Int {
            node.answer(.init(method: "PUT", path: path, body: body), at: Cast.now).status
        }
        func get() -> HintNode.Response { node.answer(.init(method: "GET", path: "/\(zone)"), at: Cast.now) }
        func wantsNewer(at now: Int64) -> String? {
            node.wantsNewer(.init(method: "GET", path: "/\(zone)"), at: now)
        }
        #expect(get().status == 404 && wantsNewer(at: Cast.now) == zone)
        #expect(put("/\(zone)", packet) == 204 && put("/\(zone)", packet) == 204)
        #expect(put("/\(zone)", try Cast.packet(at: Cast.now - 1)) == 409)
        #expect(put("/\(zone.uppercased())", packet) == 400 && put("/x", packet) == 404)
        let answer = get()
        #expect(answer.status == 200 && answer.body == packet)
        #expect(wantsNewer(at: Cast.now) == nil)
        #expect(wantsNewer(at: Cast.now + 1800) == zone)
    }
}

struct TestFault: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
