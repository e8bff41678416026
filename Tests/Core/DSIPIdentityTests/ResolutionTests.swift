import Encoding
import Foundation
import Support
import Synchronization
import Testing

@testable import DSIPIdentity

/// Answers from a table and counts the questions; the table can change while a test runs.
final class TableFetcher: DocumentFetcher {
    private let state = Mutex<(answers: [String: Result<FetchedDocument, IdentityError>], asked: [String])>(([:], []))

    var asked: [String] { state.withLock { $0.asked } }

    func answer(_ url: String, _ body: String, status: Int = 200, cacheControl: String? = nil, finalURL: String? = nil)
    {
        let document = FetchedDocument(
            status: status,
            body: Array(body.utf8),
            finalURL: finalURL ?? url,
            cacheControl: cacheControl
        )
        state.withLock { $0.answers[url] = .success(document) }
    }

    func fail(_ url: String, _ error: IdentityError) { state.withLock { $0.answers[url] = .failure(error) } }

    func fetch(url: String, limit: Int) async throws(IdentityError) -> FetchedDocument {
        let answer = state.withLock { state in
            state.asked.append(url)
            return state.answers[url] ?? .failure(IdentityError(.unreachable, "no such host"))
        }
        // Lets other callers in, so that single flight is put to the test.
        for _ in 0..<10 { await Task.yield() }
        let document = try answer.get()
        guard document.body.count <= limit else { throw IdentityError(.tooLarge, "over the limit") }
        return document
    }
}

final class TestClock: Sendable {
    private let time: Mutex<Int64>
    init(_ now: Int64) { time = Mutex(now) }
    var now: Int64 { time.withLock { $0 } }
    func advance(_ seconds: Int64) { time.withLock { $0 += seconds } }
}

@Suite("did:web") struct DIDWebTests {
    @Test(
        "identifiers map to URLs",
        arguments: [
            ("did:web:example.com", "https://example.com/.well-known/did.json"),
            ("did:web:Example.COM", "https://example.com/.well-known/did.json"),
            ("did:web:example.com:users:bob", "https://example.com/users/bob/did.json"),
            ("did:web:example.com%3A8443:users:bob", "https://example.com:8443/users/bob/did.json"),
            ("did:web:localhost%3a8443", "https://localhost:8443/.well-known/did.json"),
            ("did:web:example.com:a%20b", nil), ("did:web:example.com:..:secret", nil), ("did:web:example.com::", nil),
            ("did:web:example.com:%2e%2e:x", nil), ("did:web:example.com:a%2Fb", nil), ("did:web:example.com:a%", nil),
            ("did:web:127.0.0.1", nil), ("did:web:0x7f000001", nil), ("did:web:user%40host", nil),
            ("did:web:a_b.example", nil),
            ("did:web:example.com%3A0", nil), ("did:web:example.com%3A70000", nil),
            ("did:web:example.com%3A80%3A80", nil),
            ("did:web:-a.example", nil), ("did:web:a..example", nil), ("did:web:example.com%2Fx", nil),
            ("did:key:z6Mk", nil),
        ] as [(String, String?)]
    )
    func mapping(text: String, url: String?) throws {
        let did = try #require(DID(text))
        #expect((try? DIDWeb.url(of: did)) == url)
    }

    @Test("a DID made for a place maps back to it")
    func making() throws {
        let made = try #require(DIDWeb.did(host: "relay.example", port: 8443, path: ["users", "bob"]))
        #expect(made.string == "did:web:relay.example%3A8443:users:bob")
        #expect(try DIDWeb.url(of: made) == "https://relay.example:8443/users/bob/did.json")
        #expect(DIDWeb.did(host: "relay.example", path: [".."]) == nil)
        #expect(DIDWeb.did(host: "10.0.0.1") == nil)
        #expect(DIDWeb.did(host: "relay.example", port: 0) == nil)
    }

    @Test("resolution fetches, checks the id and says what is wrong")
    func resolution() async throws {
        let fetcher = TableFetcher()
        let resolver = MethodResolver(fetcher: fetcher)
        let did = try did("did:web:example.com")
        let url = "https://example.com/.well-known/did.json"
        func code() async -> IdentityError.Code? {
            do {
                _ = try await resolver.resolve(did)
                return nil
            } catch { return error.code }
        }
        #expect(await code() == .unreachable)
        fetcher.answer(url, "", status: 404)
        #expect(await code() == .notFound)
        fetcher.answer(url, "", status: 500)
        #expect(await code() == .unreachable)
        fetcher.answer(url, #"{"id":"did:web:mallory.example"}"#)
        #expect(await code() == .malformed)
        fetcher.answer(url, #"{"id":"did:web:example.com"}"#, finalURL: "http://example.com/did.json")
        #expect(await code() == .refused)
        fetcher.answer(url, String(repeating: " ", count: DIDDocument.Limit.bytes + 1))
        #expect(await code() == .tooLarge)
        fetcher.answer(url, #"{"id":"did:web:example.com"}"#, cacheControl: "public, max-age=77")
        let resolved = try await resolver.resolve(did)
        #expect(resolved.lifetime == 77 && resolved.document.id == did)
        await #expect(throws: IdentityError(.unsupported, "")) { try await resolver.resolve(DID("did:example:1")!) }
        let key = SigningKey(seeded: 9)
        #expect(try await resolver.resolve(key.did).document.verificationMethods.first?.publicKey == key.publicKey)
    }

    @Test("cache headers give a lifetime")
    func freshness() {
        func lifetime(_ cacheControl: String? = nil, expires: String? = nil, date: String? = nil) -> Int64? {
            FetchedDocument(
                status: 200,
                body: [],
                finalURL: "",
                cacheControl: cacheControl,
                expires: expires,
                date: date
            ).freshness
        }
        #expect(lifetime() == nil)
        #expect(lifetime("max-age=60") == 60)
        #expect(lifetime("Public , Max-Age=\"60\", immutable") == 60)
        #expect(lifetime("max-age=60, no-cache") == 0)
        #expect(lifetime("max-age=junk") == 0)
        #expect(lifetime("max-age=99999999999999999999") == .max)
        #expect(
            lifetime(expires: "Sun, 06 Nov 1994 08:49:37 GMT", date: "Sun, 06 Nov 1994 08:48:37 GMT") == 60
        )
        #expect(lifetime(expires: "0", date: "Sun, 06 Nov 1994 08:48:37 GMT") == 0)
        #expect(HTTPDate.seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        #expect(HTTPDate.seconds("Thu, 29 Feb 2024 00:00:00 GMT") == 1_709_164_800)
    }
}

@Suite("The document cache") struct DocumentCacheTests {
    let did = DID("did:web:example.com")!

    private func document() -> DIDDocument { DIDDocument(id: did, verificationMethods: []) }

    private func state(_ cache: inout DocumentCache, _ now: Int64) -> String {
        switch cache.lookup(did, at: now) {
        case .found: "found"
        case .unresolvable: "unresolvable"
        case .unknown: "unknown"
        }
    }

    @Test("lifetimes are kept between floor and ceiling")
    func lifetimes() {
        for (given, expected) in [(nil, 300), (0, 30), (100, 100), (.max, 3600)] as [(Int64?, Int64)] {
            var cache = DocumentCache()
            #expect(state(&cache, 0) == "unknown")
            cache.resolved(ResolvedDocument(document: document(), lifetime: given), at: 0)
            #expect(state(&cache, expected - 1) == "found")
            #expect(state(&cache, expected) == "unknown")
        }
    }

    @Test("a failing source leaves the old document in use, for a day and no longer")
    func stale() {
        var cache = DocumentCache()
        cache.resolved(ResolvedDocument(document: document(), lifetime: 100), at: 0)
        cache.failed(did, IdentityError(.unreachable, ""), at: 200)
        #expect(state(&cache, 200) == "found")
        #expect(state(&cache, 215) == "unknown")
        cache.failed(did, IdentityError(.unreachable, ""), at: 86_499)
        #expect(state(&cache, 86_499) == "found")
        #expect(state(&cache, 86_500) == "unresolvable")
        #expect(state(&cache, 86_514) == "unknown")
    }

    @Test("a source that says the document is gone is believed at once")
    func gone() {
        var cache = DocumentCache()
        cache.resolved(ResolvedDocument(document: document(), lifetime: 100), at: 0)
        cache.failed(did, IdentityError(.notFound, ""), at: 200)
        #expect(state(&cache, 200) == "unresolvable")
        #expect(state(&cache, 215) == "unknown")
    }

    @Test("failures are remembered for a moment")
    func negative() {
        var cache = DocumentCache()
        cache.failed(did, IdentityError(.unreachable, ""), at: 0)
        #expect(state(&cache, 14) == "unresolvable" && cache.failure(of: did, at: 14)?.code == .unreachable)
        #expect(state(&cache, 15) == "unknown" && cache.failure(of: did, at: 15) == nil)
        cache.forget(did)
        #expect(state(&cache, 1) == "unknown" && cache.count == 0)
    }

    @Test("did:keys resolve themselves, wrong ones never")
    func didKeys() {
        var cache = DocumentCache()
        guard case .found = cache.lookup(SigningKey(seeded: 1).did, at: 0) else {
            Issue.record("not found")
            return
        }
        guard case .unresolvable = cache.lookup(DID("did:key:zwrong")!, at: 0) else {
            Issue.record("found")
            return
        }
        // However many are looked up, documents of other methods stay.
        var policy = DocumentCache.Policy()
        policy.capacity = 4
        cache = DocumentCache(policy: policy)
        cache.resolved(ResolvedDocument(document: document(), lifetime: 1000), at: 0)
        for i in 0..<20 { _ = cache.lookup(SigningKey(seeded: UInt8(i)).did, at: 0) }
        #expect(state(&cache, 1) == "found")
    }

    @Test("the cache is bounded, and failures go before documents")
    func bounded() {
        var policy = DocumentCache.Policy()
        policy.capacity = 64
        var cache = DocumentCache(policy: policy)
        cache.resolved(ResolvedDocument(document: document(), lifetime: 1000), at: 0)
        // Not looked up in between: a document outlasts failures.
        for i in 0..<1000 {
            cache.failed(DID("did:web:host\(i).example")!, IdentityError(.unreachable, ""), at: 0)
            #expect(cache.count <= 64)
        }
        #expect(state(&cache, 1) == "found")
    }
}

@Suite("The caching resolver") struct CachingResolverTests {
    @Test("many askers, one question; the answer is kept, and survives its source")
    func singleFlight() async throws {
        let fetcher = TableFetcher()
        let clock = TestClock(1000)
        let resolver = CachingResolver(upstream: MethodResolver(fetcher: fetcher), clock: { clock.now })
        let did = try did("did:web:example.com")
        let url = "https://example.com/.well-known/did.json"
        fetcher.answer(url, #"{"id":"did:web:example.com"}"#, cacheControl: "max-age=60")
        guard case .unknown = resolver.lookup(did) else {
            throw IdentityError(.malformed, "known before it was asked for")
        }
        try await withThrowingTaskGroup(of: DID.self) { group in
            for _ in 0..<50 { group.addTask { try await resolver.resolve(did).document.id } }
            for try await id in group { #expect(id == did) }
        }
        #expect(fetcher.asked.count == 1)
        guard case .found = resolver.lookup(did) else { throw IdentityError(.malformed, "not kept") }
        clock.advance(61)
        fetcher.fail(url, IdentityError(.unreachable, "down"))
        #expect(try await resolver.resolve(did).lifetime == 0)
        _ = try await resolver.resolve(did)
        #expect(fetcher.asked.count == 2)
    }

    @Test("a failure is told to all who wait, and not asked for again at once")
    func failure() async throws {
        let fetcher = TableFetcher()
        let clock = TestClock(1000)
        let resolver = CachingResolver(upstream: MethodResolver(fetcher: fetcher), clock: { clock.now })
        let did = try did("did:web:example.com")
        for _ in 0..<3 {
            await #expect(throws: IdentityError(.unreachable, "")) { try await resolver.resolve(did) }
        }
        #expect(fetcher.asked.count == 1)
        clock.advance(20)
        await #expect(throws: IdentityError(.unreachable, "")) { try await resolver.resolve(did) }
        #expect(fetcher.asked.count == 2)
    }
}

@Suite("The address policy") struct AddressPolicyTests {
    @Test(
        "addresses that are not of the open internet are refused",
        arguments: [
            "127.0.0.1", "127.255.255.255", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1", "100.127.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255", "192.88.99.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
            "fe80::1",
            "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "64:ff9b::7f00:1",
            "64:ff9b::a00:1", "64:ff9b:1::1", "2001::1", "100::1", "3fff::1", "5f00::1", "fec0::1",
        ]
    )
    func refused(text: String) throws {
        let address = try #require(IPAddress.parse(text))
        #expect(AddressPolicy().refuses(address))
    }

    @Test(
        "addresses of the open internet are allowed",
        arguments: [
            "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "223.255.255.255",
            "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
        ]
    )
    func allowed(text: String) throws {
        let address = try #require(IPAddress.parse(text))
        #expect(!AddressPolicy().refuses(address))
    }

    @Test("what the operator allows is allowed, and no more")
    func exceptions() throws {
        let policy = AddressPolicy(allowing: [
            try #require(AddressRange("127.0.0.1")), try #require(AddressRange("10.8.0.0/13")),
        ])
        #expect(!policy.refuses([127, 0, 0, 1]) && policy.refuses([127, 0, 0, 2]))
        #expect(
            !policy.refuses([10, 8, 0, 1]) && !policy.refuses([10, 15, 255, 255]) && policy.refuses([10, 16, 0, 0])
        )
        #expect(policy.refuses([]) && policy.refuses([1, 2, 3]))
    }

    @Test(
        "doubtful spellings are no addresses",
        arguments: [
            "", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "0x7f.0.0.1", "256.1.1.1", "1.2.3.-4", ":::", "1::2::3",
            "12345::", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9", "::1.2.3", "::1%eth0", "[::1]", "+1::", "1:2:3:4:5:6:7:8::", "::ffff:1.2.3.4:5",
        ]
    )
    func malformed(text: String) {
        #expect(IPAddress.parse(text) == nil)
    }

    @Test("IPv6 text reads as RFC 4291 has it")
    func spelling() {
        #expect(IPAddress.parse("::") == [UInt8](repeating: 0, count: 16))
        #expect(IPAddress.parse("1:2:3:4:5:6:7:8") == [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8])
        #expect(IPAddress.parse("::ffff:1.2.3.4") == [UInt8](repeating: 0, count: 10) + [255, 255, 1, 2, 3, 4])
        #expect(AddressRange("10.0.0.0/33") == nil && AddressRange("::/129") == nil && AddressRange("::/+1") == nil)
    }
}
