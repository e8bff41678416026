import Crypto
import DSIPDiscovery
import DSIPIdentity
import DSIPSignaling
import Encoding
import Support
import Synchronization

/// People of the tests, each with a key that is the same in every run.
enum Cast {
    static func key(_ name: String) -> SigningKey {
        let seed = Array(SHA256.hash(data: Array("discovery-test:\(name)".utf8)))
        return SigningKey(selfIssued: try! Curve25519.Signing.PrivateKey(rawRepresentation: seed))
    }

    static let alice = key("alice")
    static let bob = key("bob")
    static let phone = key("phone")
    static let laptop = key("laptop")
    static let mallory = key("mallory")

    /// The second that most tests play in.
    static let now: Int64 = 1_790_000_000
    static let relay = ReachabilityHint.Endpoint(uri: "wss://relay.example/dsip")

    static func id(_ seconds: Int64, _ seed: UInt64 = 1) -> ULID {
        var random = SeededRandom(seed: seed)
        return ULID(milliseconds: UInt64(seconds) * 1000, using: &random)
    }

    static func delegation(
        to device: SigningKey = phone,
        capabilities: [String] = Delegation.Capability.ofPerson,
        expiresAt: Int64 = now + 86_400
    ) throws -> Envelope {
        try Delegation(
            subject: alice.did,
            device: device.did,
            capabilities: capabilities,
            issuedAt: now - 3600,
            expiresAt: expiresAt
        ).issue(by: alice)
    }

    /// A hint of `key` about itself.
    static func hint(
        _ key: SigningKey = alice,
        at now: Int64 = now,
        seq: Int64? = nil,
        lifetime: Int64 = 3600,
        uri: String = "wss://relay.example/dsip"
    ) throws -> [UInt8] {
        let message = Message(
            .init(id: id(now), from: key.did, issuedAt: now, lifetime: lifetime, version: .core),
            ReachabilityHint(subject: key.did, endpoints: [.init(uri: uri)], seq: seq ?? now)
        )
        return try Envelope(signing: message.payload(), by: key).bytes
    }

    /// A packet with one endpoint in the zone of `key`.
    static func packet(
        _ key: SigningKey = alice,
        at seconds: Int64 = now,
        ttl: UInt32 = 1800,
        uri: String = "wss://relay.example/dsip",
        delegation: Envelope? = nil
    ) throws -> [UInt8] {
        var zone = PkarrZone(try PkarrKey(key.did))
        try zone.add(.init(uri: uri), ttl: ttl)
        if let delegation { zone.add(delegation: delegation, ttl: ttl) }
        return try PkarrPacket(signing: try zone.message(), at: UInt64(seconds) * 1_000_000, by: key).payload
    }
}

/// Answers from a table and counts the questions.
final class TableFetcher: DocumentFetcher {
    private let state = Mutex<(answers: [String: Result<FetchedDocument, IdentityError>], asked: [String])>(([:], []))

    var asked: [String] { state.withLock { $0.asked } }

    func answer(_ url: String, _ body: [UInt8], status: Int = 200) {
        state.withLock { $0.answers[url] = .success(FetchedDocument(status: status, body: body, finalURL: url)) }
    }

    func answer(_ url: String, _ body: String, status: Int = 200) { answer(url, Array(body.utf8), status: status) }

    func fail(_ url: String, _ error: IdentityError) { state.withLock { $0.answers[url] = .failure(error) } }

    func fetch(url: String, limit: Int) async throws(IdentityError) -> FetchedDocument {
        let answer = state.withLock { state in
            state.asked.append(url)
            return state.answers[url] ?? .failure(IdentityError(.unreachable, "no such host"))
        }
        await Task.yield()
        let document = try answer.get()
        guard document.body.count <= limit else { throw IdentityError(.tooLarge, "over the limit") }
        return document
    }
}

/// The code with which `body` fails; nil when it does not.
func code(_ body: () throws -> Void) -> DiscoveryError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? DiscoveryError)?.code
    }
}
