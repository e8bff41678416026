import DSIPIdentity
import Encoding
import Support
import Synchronization
import Testing

@testable import DSIPDiscovery

/// Answers from a list, one after the other; the last one stands.
private actor Scripted: Resolver {
    private var answers: [Result<ResolvedDocument, IdentityError>]
    private(set) var asked = 0

    init(_ answers: [Result<ResolvedDocument, IdentityError>]) { self.answers = answers }

    func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        asked += 1
        return try (answers.count > 1 ? answers.removeFirst() : answers[0]).get()
    }
}

/// Says nothing until it is let go.
private final class Silent: Resolver {
    private let gate = AsyncStream<Void>.makeStream()

    func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        for await _ in gate.stream {}
        throw IdentityError(.unreachable, "silent")
    }

    func end() { gate.continuation.finish() }
}

private struct Carrier: ProofCarrier {
    var name = "https://relay.example"
    var answer: Result<DocumentProof, IdentityError>

    init(_ answer: Result<DocumentProof, IdentityError>) { self.answer = answer }

    func proof(of did: DID) async throws(IdentityError) -> DocumentProof { try answer.get() }
}

@Suite("The resolver mesh") struct MeshTests {
    private let unreachable = IdentityError(.unreachable, "no such host")

    private func author() throws -> LogAuthor {
        var author = LogAuthor()
        try author.create(by: Cast.alice)
        try author.update(by: [Cast.alice])
        return author
    }

    private func proof(_ author: LogAuthor) throws -> DocumentProof {
        try DocumentProof(of: try #require(DID(author.did)), [.log: Array(author.text.utf8)])
    }

    private func mesh(
        _ place: any Resolver,
        _ carriers: [any ProofCarrier],
        memory: any VersionMemory = ShortVersionMemory(),
        headStart: Duration = .seconds(600)
    ) -> MeshResolver {
        MeshResolver(place, carriers: { carriers }, memory: memory, headStart: headStart, clock: { Cast.now })
    }

    @Test("a proof survives its encoding, and proves the document by itself")
    func encoding() async throws {
        let author = try author()
        let did = try #require(DID(author.did))
        let read = try DocumentProof(parsing: try proof(author).encoded, expecting: did)
        #expect(read == (try proof(author)))
        let resolved = try await read.verify(memory: ShortVersionMemory(), clock: { Cast.now })
        #expect(resolved.document.id == did)
        #expect(throws: IdentityError(.malformed, "")) {
            try DocumentProof(parsing: read.encoded, expecting: Cast.alice.did)
        }
    }

    @Test("documents that nobody can prove are not carried: keys need it not, did:web and did:ethr cannot")
    func absence() async throws {
        let keeper = ProofKeeper(others: Scripted([.failure(unreachable)]), fetcher: TableFetcher()) { Cast.now }
        for text in ["did:web:example.com", "did:key:z6Mk", "did:ethr:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"] {
            let did = try #require(DID(text))
            #expect(throws: IdentityError(.unsupported, "")) { try DocumentProof(of: did, [:]) }
            await #expect(throws: IdentityError(.unsupported, "")) { try await keeper.proof(of: did) }
        }
    }

    @Test("one byte changed, another's log, or a word missing: a carrier is believed nothing")
    func forgery() async throws {
        let author = try author()
        let did = try #require(DID(author.did))
        let changed = author.text.replacing("00:02:00", with: "00:02:01")
        for text in [changed, "", "{}", String(author.text.dropLast(40))] {
            let forged = try DocumentProof(of: did, [.log: Array(text.utf8)])
            let mesh = mesh(Scripted([.failure(unreachable)]), [Carrier(.success(forged))])
            await #expect(throws: IdentityError(.unreachable, "")) { try await mesh.resolve(did) }
        }
    }

    @Test("what a carrier has stands in for a place that does not answer, and for a minute only")
    func standingIn() async throws {
        let author = try author()
        let did = try #require(DID(author.did))
        let carriers = [Carrier(.failure(unreachable)), Carrier(.success(try proof(author)))]
        let resolved = try await mesh(Scripted([.failure(unreachable)]), carriers).resolve(did)
        #expect(resolved.document.id == did && resolved.lifetime == MeshResolver.lifetime)
    }

    @Test("a place that is silent is not waited for, when somebody else can prove the document")
    func silence() async throws {
        let author = try author()
        let did = try #require(DID(author.did))
        let place = Silent()
        let mesh = mesh(place, [Carrier(.success(try proof(author)))], headStart: .milliseconds(1))
        #expect(try await mesh.resolve(did).document.id == did)
        place.end()
    }

    @Test("the place decides: a document that it says is gone is gone, whoever still carries it")
    func gone() async throws {
        let author = try author()
        let did = try #require(DID(author.did))
        let mesh = mesh(
            Scripted([.failure(IdentityError(.notFound, "gone"))]),
            [Carrier(.success(try proof(author)))]
        )
        await #expect(throws: IdentityError(.notFound, "")) { try await mesh.resolve(did) }
    }

    @Test("a carrier cannot take back what was seen before")
    func rollback() async throws {
        var author = try author()
        let did = try #require(DID(author.did))
        let older = try proof(author)
        try author.update(by: [Cast.alice])
        let memory = ShortVersionMemory()
        await memory.remember(author.lastVersion, of: did)
        let mesh = mesh(Scripted([.failure(unreachable)]), [Carrier(.success(older))], memory: memory)
        await #expect(throws: IdentityError(.unreachable, "")) { try await mesh.resolve(did) }
    }

    @Test("a keeper fetches once for all who ask, keeps what it verified, and serves it while the place fails")
    func keeping() async throws {
        let author = try author()
        let did = try #require(DID(author.did))
        let url = try #require(WebVHIdentifier(author.did)).logURL
        let fetcher = TableFetcher()
        fetcher.answer(url, author.text)
        let time = Mutex(Cast.now)
        let keeper = ProofKeeper(others: Scripted([.failure(unreachable)]), fetcher: fetcher) { time.withLock { $0 } }
        let proofs = try await withThrowingTaskGroup(of: DocumentProof.self) { group in
            for _ in 0..<8 { group.addTask { try await keeper.proof(of: did) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(proofs) == [try proof(author)])
        #expect(fetcher.asked == [url])
        #expect(try await keeper.resolve(did).document.id == did)
        fetcher.fail(url, unreachable)
        time.withLock { $0 += 4000 }
        #expect(try await keeper.proof(of: did) == proofs[0])
        #expect(fetcher.asked.count == 2)
        time.withLock { $0 += 90_000 }
        await #expect(throws: IdentityError(.unreachable, "")) { try await keeper.proof(of: did) }
        // The failure is remembered: nobody makes the keeper ask again at once.
        await #expect(throws: IdentityError(.unreachable, "")) { try await keeper.proof(of: did) }
        #expect(fetcher.asked.count == 3)
        fetcher.answer(url, author.text, status: 404)
        time.withLock { $0 += 60 }
        await #expect(throws: IdentityError(.notFound, "")) { try await keeper.proof(of: did) }
    }

    @Test("a log that does not verify is kept for nobody")
    func keepingNothingWrong() async throws {
        let author = try author()
        let fetcher = TableFetcher()
        let url = try #require(WebVHIdentifier(author.did)).logURL
        fetcher.answer(url, author.text.replacing("00:02:00", with: "00:02:01"))
        let keeper = ProofKeeper(others: Scripted([.failure(unreachable)]), fetcher: fetcher) { Cast.now }
        let did = try #require(DID(author.did))
        await #expect(throws: IdentityError(.refused, "")) { try await keeper.proof(of: did) }
    }

    @Test("a long log is resolved, and carried by nobody")
    func tooLong() async throws {
        var author = try author()
        let long = String(repeating: "x", count: DocumentProof.maximumBytes)
        try author.update(by: [Cast.alice], state: LogAuthor.state(author.did, alsoKnownAs: [long]))
        let fetcher = TableFetcher()
        fetcher.answer(try #require(WebVHIdentifier(author.did)).logURL, author.text)
        let keeper = ProofKeeper(others: Scripted([.failure(unreachable)]), fetcher: fetcher) { Cast.now }
        let did = try #require(DID(author.did))
        await #expect(throws: IdentityError(.tooLarge, "")) { try await keeper.proof(of: did) }
        #expect(try await keeper.resolve(did).document.id == did)
    }

    @Test("a search shows both: its own place, which decides, and who stood in for it")
    func explained() throws {
        let author = try author()
        let did = try #require(DID(author.did))
        var sources = Discovery.Sources()
        sources.carriers = ["https://relay.example"]
        let document = DIDDocument(id: did, verificationMethods: [])
        func play(_ place: Discovery.Answer, first: Bool) -> Discovered {
            var discovery = Discovery(.did(did), sources: sources, verifier: HintVerifier(), at: 0)
            let answers: [(Discovery.Query, Discovery.Answer)] = [
                (.document(did), place),
                (.proof(did, carrier: "https://relay.example"), .document(.init(document: document))),
            ]
            for (query, answer) in first ? answers : answers.reversed() { discovery.answered(query, answer, at: 5) }
            return discovery.result
        }
        for first in [true, false] {
            let found = play(.failed(unreachable), first: first)
            #expect(found.document?.id == did && found.carrier == "https://relay.example" && found.failure == nil)
            let gone = play(.failed(IdentityError(.notFound, "gone")), first: first)
            #expect(gone.document == nil && gone.carrier == nil && gone.failure?.code == .notFound)
            let itself = play(.document(.init(document: document)), first: first)
            #expect(itself.document?.id == did && itself.carrier == nil)
        }
        var late = Discovery(.did(did), sources: sources, verifier: HintVerifier(), at: 0)
        late.answered(.proof(did, carrier: "https://relay.example"), .document(.init(document: document)), at: 5)
        late.advance(to: Discovery.patience)
        #expect(late.result.carrier == "https://relay.example")
    }
}

@Suite("Documents looked for in advance") struct PrefetchTests {
    private let web = (0..<100).map { DID("did:web:c\($0).example")! }

    @Test("each contact is looked for once soon after the start, at moments of chance, and keys never")
    func start() {
        var plan = PrefetchPlan()
        var random = SeededRandom(seed: 1)
        plan.want([Cast.alice.did] + web, at: 1000, using: &random)
        #expect(plan.count == PrefetchPlan.maximum)
        #expect(!plan.contains(Cast.alice.did))
        #expect(plan.takeDue(at: 999, atMost: 100).isEmpty)
        let early = plan.takeDue(at: 1000 + PrefetchPlan.start / 2, atMost: 100).count
        #expect(early > 10 && early < 54)
        #expect(plan.takeDue(at: 1000 + PrefetchPlan.start, atMost: 100).count == PrefetchPlan.maximum - early)
    }

    @Test("a document is looked for again before it runs out, and one that fails ever more rarely")
    func renewal() throws {
        var plan = PrefetchPlan()
        var random = SeededRandom(seed: 2)
        plan.want([web[0], web[1]], at: 0, using: &random)
        _ = plan.takeDue(at: PrefetchPlan.start, atMost: 4)
        plan.resolved(web[0], lifetime: 1000, at: 100, using: &random)
        var (now, pauses): (Int64, [Int64]) = (100, [])
        for _ in 0..<12 {
            plan.failed(web[1], at: now, using: &random)
            let due = try #require(plan.takeDueTime(of: web[1]))
            pauses.append(due - now)
            now = due
        }
        #expect(pauses[0] <= 60 && pauses.last! >= 1800 && pauses.allSatisfy { (30...3600).contains($0) })
        let renewal = try #require(plan.takeDueTime(of: web[0]))
        #expect((700...1000).contains(renewal))
        plan.resolved(web[0], lifetime: 1, at: 0, using: &random)
        #expect(try #require(plan.takeDueTime(of: web[0])) >= 180)
    }

    @Test("who is no contact any more is not looked for")
    func removal() {
        var plan = PrefetchPlan()
        var random = SeededRandom(seed: 3)
        plan.want(Array(web.prefix(3)), at: 0, using: &random)
        plan.want([web[1]], at: 0, using: &random)
        #expect(plan.count == 1 && plan.nextDue != nil)
        plan.want([web[1], web[9]], at: 50, using: &random)
        #expect(plan.takeDue(at: 50 + PrefetchPlan.addition, atMost: 8).contains(web[9]), "who comes later, soon")
        plan.want([], at: 0, using: &random)
        #expect(plan.nextDue == nil)
    }

    @Test("a copy at hand is given with what is left of its life, and its place is not asked")
    func copies() async throws {
        let time = Mutex<Int64>(0)
        let document = DIDDocument(id: web[0], verificationMethods: [])
        let place = Scripted([.success(.init(document: document, lifetime: 1000)), .failure(.init(.unreachable, ""))])
        let resolver = PrefetchingResolver(place) { time.withLock { $0 } }
        await resolver.want([web[0]])
        await resolver.stop()
        time.withLock { $0 = 40 }
        _ = await resolver.work()
        #expect(await place.asked == 1)
        time.withLock { $0 = 140 }
        #expect(try await resolver.resolve(web[0]).lifetime == 900)
        #expect(await place.asked == 1)
        time.withLock { $0 = 1040 }
        await #expect(throws: IdentityError(.unreachable, "")) { try await resolver.resolve(web[0]) }
        await resolver.want([])
        #expect(await resolver.work() == nil)
    }
}

extension PrefetchPlan {
    /// When `did` is due; it alone is looked at.
    fileprivate func takeDueTime(of did: DID) -> Int64? {
        var low: Int64 = 0
        while low < 1 << 20 {
            var copy = self
            if copy.takeDue(at: low, atMost: .max).contains(did) { return low }
            low += 1
        }
        return nil
    }
}
