import DSIPIdentity
import Encoding
import Libp2p
import Support
import Synchronization
import Testing

@testable import DSIPDiscovery

@Suite("Discovery") struct DiscoveryTests {
    private let start = Cast.now * 1000
    private let web = DID("did:web:example.com")!
    private let alias = Alias("alice@example.com")!

    private func sources(hints: [HintSearch.Place] = [], directory: Bool = false) -> Discovery.Sources {
        var sources = Discovery.Sources()
        sources.hints = hints
        sources.directory = directory
        return sources
    }

    private func play(_ target: IdentityURI.Target, _ sources: Discovery.Sources, relay: String? = nil) -> Play {
        Play(Discovery(target, relay: relay, sources: sources, verifier: HintVerifier(), at: start))
    }

    private struct Drained {
        var asked: [Discovery.Query] = []
        var routes: [DiscoveredRoute] = []
        var found: Discovered?
    }

    /// A discovery in a box, so that it can be asked inside an expectation.
    private final class Play {
        var discovery: Discovery

        init(_ discovery: Discovery) { self.discovery = discovery }

        func drain() -> Drained {
            var drained = Drained()
            while let output = discovery.pollOutput() {
                switch output {
                case .ask(let query): drained.asked.append(query)
                case .route(let route): drained.routes.append(route)
                case .repair: continue
                case .finished(let found): drained.found = found
                }
            }
            return drained
        }
    }

    private func document(_ did: DID, relay: String? = nil) -> Discovery.Answer {
        let services = relay.map {
            [DIDDocument.Service(id: "#s", type: "DSIPSignaling", uri: $0, bindings: ["ws/1.0"])]
        }
        return .document(.init(document: DIDDocument(id: did, verificationMethods: [], services: services ?? [])))
    }

    @Test("a bare did:key is looked for everywhere at once, and routed by the first word of its own")
    func bareKey() throws {
        let did = Cast.alice.did
        let play = self.play(.did(did), sources(hints: [.overlay], directory: true))
        #expect(play.drain().asked == [.document(did), .presence(did), .home(did), .hint(did, .overlay)])
        play.discovery.answered(.hint(did, .overlay), .records([try Cast.hint()]), at: start + 20)
        let hint = play.drain()
        #expect(hint.routes.map(\.origin) == [.hint] && hint.found == nil)
        let home = try HomeRecord.sign(
            .init(relays: ["wss://home.example/dsip"]),
            of: did,
            at: Cast.now,
            seq: 1,
            by: Cast.alice
        )
        play.discovery.answered(.home(did), .home(try HomeRecord(verifying: home, at: Cast.now)), at: start + 30)
        play.discovery.answered(.presence(did), .failed(IdentityError(.notFound, "none")), at: start + 40)
        play.discovery.answered(.document(did), document(did), at: start + 50)
        let found = try #require(play.drain().found)
        #expect(found.routes.map(\.origin) == [.home, .hint], "the best first")
        #expect(found.steps.map(\.milliseconds) == [20, 30, 40, 50])
        #expect(found.steps.map(\.isSuccess) == [true, true, false, true])
        #expect(found.hint?.place == .overlay)
    }

    @Test("where a document names a relay, nobody is asked for a hint")
    func documentDecides() throws {
        var play = self.play(.did(web), sources(hints: [.overlay]))
        #expect(play.drain().asked == [.document(web)])
        play.discovery.answered(.document(web), document(web, relay: "wss://relay.example/dsip"), at: start + 5)
        let found = try #require(play.drain().found)
        #expect(found.routes.map(\.origin) == [.document] && found.failure == nil)

        play = self.play(.did(web), sources(hints: [.overlay]))
        _ = play.drain()
        play.discovery.answered(.document(web), document(web), at: start + 5)
        #expect(play.drain().asked == [.hint(web, .overlay)], "a document without one leaves room for hints")
    }

    @Test("an alias is asked for at all its places, then followed")
    func following() throws {
        var sources = sources()
        sources.aliases = [.webFinger, .dns]
        let play = self.play(.alias(alias), sources)
        #expect(play.drain().asked == [.alias(alias, .webFinger), .alias(alias, .dns)])
        play.discovery.answered(
            .alias(alias, .webFinger),
            .claim(.init(source: .webFinger, did: web, relay: "wss://r.example/dsip", basis: .certificate)),
            at: start + 9
        )
        #expect(play.drain().asked.isEmpty, "the other place may say something else")
        play.discovery.answered(.alias(alias, .dns), .failed(IdentityError(.notFound, "no such name")), at: start + 12)
        let next = play.drain()
        #expect(next.asked == [.document(web)] && next.routes.map(\.origin) == [.alias])
        play.discovery.answered(.document(web), document(web, relay: "wss://r.example/dsip"), at: start + 20)
        let found = try #require(play.drain().found)
        #expect(found.did == web && found.alias?.verdict == .agreed(web))
        #expect(found.routes.map(\.origin) == [.document], "the same way is told once, at its best origin")
    }

    @Test("an alias that means several identities leads nowhere")
    func conflict() throws {
        var sources = sources()
        sources.aliases = [.webFinger, .dns]
        let play = self.play(.alias(alias), sources)
        _ = play.drain()
        let (one, two) = (web, Cast.bob.did)
        play.discovery.answered(
            .alias(alias, .webFinger),
            .claim(.init(source: .webFinger, did: one, basis: .certificate)),
            at: start
        )
        play.discovery.answered(
            .alias(alias, .dns),
            .claim(.init(source: .dns, did: two, basis: .signedDNS)),
            at: start
        )
        let drained = play.drain()
        let found = try #require(drained.found)
        #expect(drained.asked.isEmpty && found.did == nil && found.failure?.code == .refused)
        #expect(found.alias?.verdict == .conflict([one, two], signed: nil))
    }

    @Test("the time ends what takes too long; what came is kept, what comes late is not")
    func deadline() throws {
        let did = Cast.alice.did
        var play = self.play(
            .did(did),
            sources(hints: [.overlay], directory: true),
            relay: "wss://link.example/dsip"
        )
        #expect(play.drain().routes.map(\.origin) == [.link])
        play.discovery.answered(.document(did), document(did), at: start + 5)
        play.discovery.advance(to: start + 9_999)
        #expect(play.drain().found == nil)
        play.discovery.advance(to: start + 10_000)
        let found = try #require(play.drain().found)
        #expect(found.document?.id == did && found.routes.map(\.origin) == [.link])
        #expect(found.steps.count { !$0.isSuccess } == 3)
        play.discovery.answered(.hint(did, .overlay), .records([try Cast.hint()]), at: start + 10_001)
        #expect(play.discovery.pollOutput() == nil && play.discovery.nextDeadline == nil)

        play = self.play(.alias(alias), sources())
        _ = play.drain()
        play.discovery.advance(to: start + 10_000)
        #expect(try #require(play.drain().found).failure?.code == .unreachable)
    }

    @Test("answers about others, and answers nobody asked for, change nothing")
    func strangers() throws {
        let play = self.play(.did(web), sources(directory: true))
        _ = play.drain()
        var random = SeededRandom(seed: 1)
        var publisher = PresencePublisher(subject: Cast.mallory.did)
        publisher.reach.relays = ["wss://mallory.example/dsip"]
        let bytes = try publisher.sign(at: Cast.now, by: Cast.mallory, using: &random)
        play.discovery.answered(
            .presence(web),
            .presence(try PresenceRecord(verifying: bytes, at: Cast.now)),
            at: start
        )
        play.discovery.answered(.home(web), document(web, relay: "wss://x.example"), at: start)
        play.discovery.answered(.document(web), document(Cast.mallory.did, relay: "wss://mallory.example"), at: start)
        let found = try #require(play.drain().found)
        #expect(found.routes.isEmpty && found.presence == nil && found.document == nil)
    }
}

/// Answers documents from a table, and counts.
final class TableSource: DiscoverySource {
    private let state = Mutex<(documents: [DID: DIDDocument], asked: Int, gate: Bool)>(([:], 0, false))

    var asked: Int { state.withLock { $0.asked } }
    func set(_ did: DID, _ document: DIDDocument?) { state.withLock { $0.documents[did] = document } }

    func answer(_ query: Discovery.Query) async -> Discovery.Answer {
        for _ in 0..<10 { await Task.yield() }
        guard case .document(let did) = query else { return .failed(IdentityError(.notFound, "")) }
        return state.withLock { state in
            state.asked += 1
            guard let document = state.documents[did] else { return .failed(IdentityError(.unreachable, "down")) }
            return .document(.init(document: document))
        }
    }

    func repair(_ place: HintSearch.Place, _ did: DID, bytes: [UInt8]) async {}
}

@Suite("A discoverer") struct DiscovererTests {
    private let did = DID("did:web:example.com")!

    private func discoverer(_ source: TableSource, _ clock: @escaping @Sendable () -> Int64) -> Discoverer {
        Discoverer(source: source, sources: Discovery.Sources(), verifier: HintVerifier(), clock: clock)
    }

    @Test("many callers share one search, and its answer is used again")
    func collapsing() async throws {
        let source = TableSource()
        source.set(did, DIDDocument(id: did, verificationMethods: []))
        let discoverer = discoverer(source) { Cast.now * 1000 }
        try await withThrowingTaskGroup(of: DID?.self) { group in
            for _ in 0..<20 { group.addTask { try await discoverer.find(.did(did)).did } }
            for try await found in group { #expect(found == did) }
        }
        #expect(source.asked == 1)
    }

    @Test("a failure is remembered for a moment; an old answer serves while the source fails")
    func grace() async throws {
        let source = TableSource()
        let clock = ManualTime(Cast.now)
        let discoverer = discoverer(source) { clock.now * 1000 }
        for _ in 0..<3 {
            await #expect(throws: IdentityError(.unreachable, "")) { try await discoverer.find(.did(did)) }
        }
        #expect(source.asked == 1)
        clock.advance(15)
        source.set(did, DIDDocument(id: did, verificationMethods: []))
        _ = try await discoverer.find(.did(did))
        source.set(did, nil)
        clock.advance(301)
        #expect(try await discoverer.find(.did(did)).document?.id == did)
        clock.advance(86_400)
        await #expect(throws: IdentityError(.unreachable, "")) { try await discoverer.find(.did(did)) }
    }

    @Test("contacts are looked for in advance")
    func prefetch() async throws {
        let source = TableSource()
        let dids = (0..<10).compactMap { DID("did:web:host\($0).example") }
        for did in dids { source.set(did, DIDDocument(id: did, verificationMethods: [])) }
        let discoverer = discoverer(source) { Cast.now * 1000 }
        await discoverer.prefetch(dids)
        #expect(source.asked == 10)
        for did in dids { _ = try await discoverer.find(.did(did)) }
        #expect(source.asked == 10)
    }
}

final class ManualTime: Sendable {
    private let time: Mutex<Int64>
    init(_ now: Int64) { time = Mutex(now) }
    var now: Int64 { time.withLock { $0 } }
    func advance(_ seconds: Int64) { time.withLock { $0 += seconds } }
}

/// A directory with one shelf, as a DHT would keep it.
final class TableDirectory: RecordDirectory {
    private let records = Mutex<[[UInt8]: [[UInt8]]]>([:])

    func values(_ key: [UInt8]) async throws(IdentityError) -> [[UInt8]] { records.withLock { $0[key] ?? [] } }
    func put(_ key: [UInt8], _ value: [UInt8]) async { records.withLock { $0[key, default: []].append(value) } }
}

@Suite("The network as a source") struct NetworkSourceTests {
    @Test("a bare did:key is found by what it published, without any server of its own")
    func bareKey() async throws {
        let did = Cast.alice.did
        let fetcher = TableFetcher()
        let directory = TableDirectory()
        await directory.put(HintKey.path(of: did), try Cast.hint())
        let home = try HomeRecord.sign(
            .init(relays: ["wss://home.example/dsip"]),
            of: did,
            at: Cast.now,
            seq: 1,
            by: Cast.alice
        )
        await directory.put(DiscoveryKey.home(did), home)
        await directory.put(DiscoveryKey.home(did), Array("junk".utf8))
        fetcher.answer(
            "https://pkarr.example/\(try PkarrKey(did).zone)",
            try Cast.packet(uri: "wss://pkarr.example/dsip")
        )
        var source = NetworkSource(
            resolver: MethodResolver(fetcher: fetcher, clock: { Cast.now }),
            fetcher: fetcher,
            clock: { Cast.now }
        )
        source.directory = directory
        var sources = Discovery.Sources()
        sources.directory = true
        sources.hints = [.overlay, .pkarr("https://pkarr.example"), .relay("https://down.example")]
        let discoverer = Discoverer(
            source: source,
            sources: sources,
            verifier: HintVerifier(),
            clock: { Cast.now * 1000 }
        )
        let found = try await discoverer.find(.did(did))
        #expect(found.routes.first?.way == .relay("wss://home.example/dsip"))
        #expect(found.routes.dropFirst().allSatisfy { $0.origin == .hint } && found.hint != nil)
        #expect(found.steps.count == 6)
    }

    @Test("an alias is followed to its document over the web")
    func alias() async throws {
        let fetcher = TableFetcher()
        let alias = try #require(Alias("alice@example.com"))
        let web = try #require(DID("did:web:example.com:users:alice"))
        fetcher.answer(alias.webFingerURL, WebFinger.document(for: alias, did: web).utf8)
        fetcher.answer(AliasFile.url(of: alias), "", status: 404)
        let document = DIDDocument(
            id: web,
            verificationMethods: [],
            services: [.init(id: "#s", type: "DSIPSignaling", uri: "wss://r.example/dsip", bindings: ["ws/1.0"])]
        )
        fetcher.answer("https://example.com/users/alice/did.json", document.json.utf8)
        let source = NetworkSource(
            resolver: MethodResolver(fetcher: fetcher, clock: { Cast.now }),
            fetcher: fetcher,
            clock: { Cast.now }
        )
        var sources = Discovery.Sources()
        sources.aliases = [.webFinger, .wellKnown]
        let discoverer = Discoverer(
            source: source,
            sources: sources,
            verifier: HintVerifier(),
            clock: { Cast.now * 1000 }
        )
        let found = try await discoverer.find(.alias(alias))
        #expect(found.did == web && found.routes.map(\.way) == [.relay("wss://r.example/dsip")])
        #expect(found.steps.map(\.isSuccess).count { $0 } == 2)
    }
}
