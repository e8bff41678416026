import Crypto
import DSIPIdentity
import Encoding
import Testing

@testable import DSIPDiscovery

/// A log as its owner writes it.
struct LogAuthor {
    var entries: [JSONValue] = []
    private(set) var did = ""
    private(set) var scid = ""
    private var last = ""
    let domain: String

    init(domain: String = "example.com") { self.domain = domain }

    var text: String { entries.map { $0.text + "\n" }.joined() }
    var lastVersion: String { last }

    static func time(_ minute: Int) -> String { "2026-01-01T00:\(minute < 10 ? "0" : "")\(minute):00Z" }

    static func state(_ did: String, alsoKnownAs: [String] = [], key: SigningKey = Cast.bob) -> JSONValue {
        var object: JSONObject = [
            "@context": ["https://www.w3.org/ns/did/v1"], "id": .string(did),
            "verificationMethod": [
                [
                    "id": .string("\(did)#key-1"), "type": "Multikey", "controller": .string(did),
                    "publicKeyMultibase": .string(key.publicKey.multibase),
                ]
            ],
        ]
        if !alsoKnownAs.isEmpty { object["alsoKnownAs"] = .array(alsoKnownAs.map { .string($0) }) }
        return .object(object)
    }

    mutating func create(by key: SigningKey, _ more: JSONObject = [:], keys: [SigningKey]? = nil) throws {
        var parameters: JSONObject = [
            "method": "did:webvh:1.0", "scid": "{SCID}",
            "updateKeys": .array((keys ?? [key]).map { .string($0.publicKey.multibase) }),
        ]
        for member in more.members { parameters[member.name] = member.value }
        let template: JSONObject = [
            "versionId": "{SCID}", "versionTime": .string(LogAuthor.time(1)), "parameters": .object(parameters),
            "state": LogAuthor.state("did:webvh:{SCID}:\(domain)"),
        ]
        scid = WebVHHash.of(JSONValue.object(template).canonical)
        did = "did:webvh:\(scid):\(domain)"
        let text = JSONValue.object(template).text.replacing("{SCID}", with: scid)
        last = scid
        try append(try #require(try JSONValue(parsing: text).object), by: [key])
    }

    mutating func update(
        by keys: [SigningKey],
        _ parameters: JSONObject = [:],
        state: JSONValue? = nil,
        minute: Int? = nil
    ) throws {
        try append(
            [
                "versionId": .string(last), "versionTime": .string(LogAuthor.time(minute ?? entries.count + 1)),
                "parameters": .object(parameters), "state": state ?? LogAuthor.state(did, key: Cast.laptop),
            ],
            by: keys
        )
    }

    private mutating func append(_ unsigned: JSONObject, by keys: [SigningKey]) throws {
        var entry = unsigned
        entry["versionId"] = .string(last)
        last = "\(entries.count + 1)-\(WebVHHash.of(JSONValue.object(entry).canonical))"
        entry["versionId"] = .string(last)
        entry["proof"] = .array(try keys.map { try LogAuthor.proof(of: .object(entry), by: $0) })
        entries.append(.object(entry))
    }

    static func proof(of document: JSONValue, by key: SigningKey) throws -> JSONValue {
        let name = key.publicKey.multibase
        var options: JSONObject = [
            "type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022",
            "verificationMethod": .string("did:key:\(name)#\(name)"), "created": "2026-01-01T00:00:00Z",
            "proofPurpose": "assertionMethod",
        ]
        let covered =
            Array(SHA256.hash(data: JSONValue.object(options).canonical))
            + Array(SHA256.hash(data: document.canonical))
        options["proofValue"] = .string(Multibase.encode(try key.sign(covered)))
        return .object(options)
    }
}

@Suite("did:webvh") struct WebVHTests {
    private func verify(
        _ author: LogAuthor,
        did: String? = nil,
        witness: String? = nil,
        seen: String? = nil,
        at now: Int64 = Cast.now
    ) throws -> WebVHLog {
        try WebVHLog(
            verifying: Array(author.text.utf8),
            of: did ?? author.did,
            witness: witness.map { Array($0.utf8) },
            seen: seen,
            at: now
        )
    }

    private func fault(_ body: () throws -> Void) -> WebVHFault? {
        do {
            try body()
            return nil
        } catch {
            return error as? WebVHFault
        }
    }

    @Test("a log resolves to its last state, through rotated keys")
    func rotation() throws {
        var author = LogAuthor()
        try author.create(by: Cast.alice)
        #expect(try verify(author).document?["id"]?.string == author.did)
        try author.update(by: [Cast.alice], ["updateKeys": [.string(Cast.phone.publicKey.multibase)], "ttl": 60])
        try author.update(by: [Cast.phone])
        let log = try verify(author)
        #expect(log.versionId == author.lastVersion && log.ttl == 60)
        var old = author
        try old.update(by: [Cast.alice])
        #expect(fault { _ = try verify(old) } == .unauthorizedKey, "a key that was rotated away")
        try author.update(by: [Cast.phone], ["deactivated": true])
        #expect(try verify(author).isDeactivated)
        try author.update(by: [Cast.phone])
        #expect(fault { _ = try verify(author) } == .afterDeactivation)
    }

    @Test("every byte of the history is bound: what was changed is found")
    func tampering() throws {
        var author = LogAuthor()
        try author.create(by: Cast.alice)
        try author.update(by: [Cast.alice])
        for (from, to, expected) in [
            (LogAuthor.time(1), LogAuthor.time(0), WebVHFault.scid), ("key-1", "key-2", .scid),
            ("did:webvh:1.0", "did:webvh:0.5", .parameters), ("assertionMethod", "authentication", .proof),
            ("\"versionId\":\"1-", "\"versionId\":\"2-", .versionNumber), ("\"state\"", "\"stute\"", .logMalformed),
            ("00:01:00Z", "00:01:00+02:00", .versionTime),
        ] {
            let text = author.text.replacing(from, with: to, maxReplacements: 1)
            #expect(text != author.text)
            let found = fault { _ = try WebVHLog(verifying: Array(text.utf8), of: author.did, at: Cast.now) }
            #expect(found == expected, "\(from)")
        }
        let second = author.entries[1].text.replacing(
            Cast.laptop.publicKey.multibase,
            with: Cast.mallory.publicKey.multibase
        )
        let text = author.entries[0].text + "\n" + second
        #expect(fault { _ = try WebVHLog(verifying: Array(text.utf8), of: author.did, at: Cast.now) } == .entryHash)
        #expect(fault { _ = try WebVHLog(verifying: [], of: author.did, at: Cast.now) } == .logMalformed)
        #expect(fault { _ = try verify(author, did: "did:webvh:\(author.scid):other.example") } == .identity)
        #expect(fault { _ = try verify(author, at: 1_700_000_000) } == .versionTime)
        #expect(fault { _ = try verify(author, did: "did:web:example.com") } == .invalidDID)
    }

    @Test("a host can neither take back nor tell another past")
    func rollback() throws {
        var author = LogAuthor()
        try author.create(by: Cast.alice)
        let first = author
        try author.update(by: [Cast.alice])
        let seen = author.lastVersion
        #expect(try verify(author, seen: first.lastVersion).versionId == seen)
        #expect(fault { _ = try verify(first, seen: seen) } == .rollback)
        var other = first
        try other.update(by: [Cast.alice], minute: 9)
        try other.update(by: [Cast.alice], minute: 10)
        #expect(fault { _ = try verify(other, seen: seen) } == .fork)
        #expect(try verify(other, seen: "junk").versionId == other.lastVersion)
    }

    @Test("keys that were committed to before, and only those, may follow")
    func preRotation() throws {
        func hash(_ key: SigningKey) -> JSONValue { .string(WebVHHash.of(Array(key.publicKey.multibase.utf8))) }
        func keys(_ key: SigningKey) -> JSONValue { [.string(key.publicKey.multibase)] }
        var author = LogAuthor()
        try author.create(by: Cast.alice, ["nextKeyHashes": [hash(Cast.phone)]])
        var good = author
        try good.update(by: [Cast.phone], ["updateKeys": keys(Cast.phone), "nextKeyHashes": []])
        #expect(try verify(good).versionId == good.lastVersion)
        var uncommitted = author
        try uncommitted.update(by: [Cast.mallory], ["updateKeys": keys(Cast.mallory), "nextKeyHashes": []])
        #expect(fault { _ = try verify(uncommitted) } == .preRotation)
        try author.update(by: [Cast.phone], ["updateKeys": keys(Cast.phone)])
        #expect(fault { _ = try verify(author) } == .preRotation)
    }

    @Test("enough different witnesses approve every entry, or the log is refused")
    func witnesses() throws {
        let witnesses = [Cast.phone, Cast.laptop, Cast.mallory]
        var author = LogAuthor()
        try author.create(
            by: Cast.alice,
            [
                "witness": [
                    "threshold": 2,
                    "witnesses": .array(witnesses.map { ["id": .string($0.did.string)] }),
                ]
            ]
        )
        try author.update(by: [Cast.alice])
        func file(_ version: String, _ keys: [SigningKey]) throws -> String {
            let document: JSONValue = ["versionId": .string(version)]
            let proofs = try keys.map { try LogAuthor.proof(of: document, by: $0) }
            return JSONValue.array([["versionId": .string(version), "proof": .array(proofs)]]).text
        }
        let (first, last) = (try #require(author.entries[0]["versionId"]?.string), author.lastVersion)
        #expect(try verify(author, witness: file(last, [Cast.phone, Cast.mallory])).versionId == last)
        #expect(fault { _ = try verify(author) } == .witness)
        #expect(fault { _ = try verify(author, witness: "no JSON") } == .witness)
        #expect(fault { _ = try verify(author, witness: try file(last, [Cast.phone, Cast.phone])) } == .witness)
        #expect(fault { _ = try verify(author, witness: try file(last, [Cast.phone, Cast.alice])) } == .witness)
        #expect(fault { _ = try verify(author, witness: try file(first, witnesses)) } == .witness)
        #expect(fault { _ = try verify(author, witness: try file("1-x", witnesses)) } == .witness)
    }

    @Test("a portable identity moves with its history; the old name tells where it went")
    func moving() async throws {
        var author = LogAuthor()
        try author.create(by: Cast.alice, ["portable": true])
        let moved = "did:webvh:\(author.scid):new.example"
        var silent = author
        try silent.update(by: [Cast.alice], state: LogAuthor.state(moved))
        #expect(fault { _ = try verify(silent) } == .identity)
        try author.update(by: [Cast.alice], state: LogAuthor.state(moved, alsoKnownAs: [author.did]))
        #expect(try verify(author, did: moved).document?["id"]?.string == moved)
        let fetcher = TableFetcher()
        for host in ["example.com", "new.example"] {
            fetcher.answer("https://\(host)/.well-known/did.jsonl", author.text)
        }
        let resolver = WebVHResolver(fetcher: fetcher, clock: { Cast.now })
        let resolved = try await resolver.resolve(try #require(DID(moved)))
        #expect(
            resolved.document.verificationMethods.first?.publicKey == Cast.bob.publicKey && resolved.lifetime == 3600
        )
        let old = try #require(DID(author.did))
        await #expect(throws: IdentityError(.notFound, "")) { try await resolver.resolve(old) }
    }

    @Test("the resolver remembers, and asks for witnesses when there are some")
    func resolver() async throws {
        var author = LogAuthor()
        try author.create(by: Cast.alice)
        let did = try #require(DID(author.did))
        let first = author.text
        try author.update(by: [Cast.alice])
        let fetcher = TableFetcher()
        let url = "https://example.com/.well-known/did.jsonl"
        fetcher.answer(url, author.text)
        let resolver = WebVHResolver(fetcher: fetcher, clock: { Cast.now })
        _ = try await resolver.resolve(did)
        fetcher.answer(url, first)
        await #expect(throws: IdentityError(.refused, "")) { try await resolver.resolve(did) }
        fetcher.answer(url, "", status: 404)
        await #expect(throws: IdentityError(.notFound, "")) { try await resolver.resolve(did) }

        var witnessed = LogAuthor(domain: "example.com:people:bob")
        try witnessed.create(
            by: Cast.alice,
            ["witness": ["threshold": 1, "witnesses": [["id": .string(Cast.phone.did.string)]]]]
        )
        fetcher.answer("https://example.com/people/bob/did.jsonl", witnessed.text)
        let other = try #require(DID(witnessed.did))
        await #expect(throws: IdentityError(.unreachable, "")) { try await resolver.resolve(other) }
        let document: JSONValue = ["versionId": .string(witnessed.lastVersion)]
        let record: JSONValue = [
            ["versionId": .string(witnessed.lastVersion), "proof": [try LogAuthor.proof(of: document, by: Cast.phone)]]
        ]
        fetcher.answer("https://example.com/people/bob/did-witness.json", record.text)
        #expect(try await resolver.resolve(other).document.id == other)
    }

    @Test(
        "identifiers name a place on the web, and nothing above it",
        arguments: [
            (":example.com", "https://example.com/.well-known/did.jsonl"),
            (":Example.com%3A8443:a:b", "https://example.com:8443/a/b/did.jsonl"),
            (":example.com:a%20b", "https://example.com/a%20b/did.jsonl"), (":localhost", nil), (":127.0.0.1", nil),
            (":example.com:..", nil), (":example.com:%2e%2E", nil), (":example.com:a%2Fb", nil), (":example.com:", nil),
            (":example.com%3A0", nil), (":example.com%3A70000", nil), (":example.com:%C2%A0x", nil),
            (":example.com:%ff", nil), (":example.com:%", nil), ("", nil),
        ] as [(String, String?)]
    )
    func identifiers(_ rest: String, _ url: String?) {
        let scid = "QmXpnm4R7BPTnL6iWNL5HJhq1sSUjkc3dudv2BRuSJWBbC"
        #expect(WebVHIdentifier("did:webvh:\(scid)\(rest)")?.logURL == url)
        #expect(WebVHIdentifier("did:webvh:\(scid.dropLast())\(rest)") == nil)
    }

    @Test(
        "instants are read to the nanosecond, in UTC only",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-01-01T00:01:00Z", 1_767_225_660),
            ("2024-02-29T23:59:59.5+00:00", 1_709_251_199),
            ("2023-02-29T00:00:00Z", nil), ("2026-01-01T00:00:00+01:00", nil), ("2026-01-01T00:00:00.Z", nil),
            ("2026-01-01T00:00:00.1234567890Z", nil), ("2026-1-01T00:00:00Z", nil), ("2026-01-01 00:00:00Z", nil),
        ] as [(String, Int64?)]
    )
    func times(_ text: String, _ seconds: Int64?) {
        #expect(WebVHTime(text)?.seconds == seconds)
    }
}
