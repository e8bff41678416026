import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding

/// Alice with a phone, Bob at a domain, a relay, and the moment at which it all happens.
enum Fixture {
    static let now: Int64 = 1_760_000_000

    static func key(_ name: String) -> Curve25519.Signing.PrivateKey {
        // A SHA-256 digest is 32 bytes, which is a seed.
        try! Curve25519.Signing.PrivateKey(rawRepresentation: Array(SHA256.hash(data: Array("signaling:\(name)".utf8))))
    }

    static let alice = SigningKey(selfIssued: key("alice"))
    static let phone = SigningKey(selfIssued: key("phone"))
    static let mallory = SigningKey(selfIssued: key("mallory"))
    static let bobDID = DID("did:web:example.com:users:bob")!
    static let bob = SigningKey(kid: DIDURL(did: bobDID, fragment: "key-1"), key: key("bob"))

    static func ulid(_ salt: UInt64 = 1, at seconds: Int64 = now) -> ULID {
        var source = SplitMix(state: salt)
        return ULID(milliseconds: UInt64(seconds) * 1000, using: &source)
    }

    static func delegation(
        of device: DID = phone.did,
        subject: DID = alice.did,
        by key: SigningKey = alice,
        capabilities: [String] = ["dsip.signaling"],
        issuedAt: Int64 = now - 100,
        expiresAt: Int64 = now + 100
    ) throws -> Envelope {
        let delegation = Delegation(
            subject: subject,
            device: device,
            capabilities: capabilities,
            issuedAt: issuedAt,
            expiresAt: expiresAt
        )
        return try Envelope(signing: delegation.json.utf8, by: key)
    }

    static let audio = MediaDescriptor(.audio, codecs: [Codec("codec:audio/opus"), Codec("codec:audio/pcmu")])

    static let offer = Invite(
        media: [audio],
        transports: [TransportDescriptor(webRTC: "v=0\r\n")],
        identity: IdentityInfo(displayName: "Alice", claims: []),
        policy: ["recording": "consent-required"]
    )

    static func stamp(_ from: DID, salt: UInt64 = 1, at seconds: Int64 = now, lifetime: Int64 = 30) -> Message.Stamp {
        Message.Stamp(id: ulid(salt, at: seconds), from: from, issuedAt: seconds, lifetime: lifetime)
    }

    static func invite(from: DID = phone.did, salt: UInt64 = 1) -> Message {
        .invite(stamp(from, salt: salt), to: bobDID, offer)
    }

    /// Signs what no builder would: any header over any payload.
    static func frame(header: JSONValue, payload: [UInt8], key: SigningKey = phone) throws -> [UInt8] {
        try frame(header: header.utf8, payload: payload, key: key)
    }

    static func frame(header: [UInt8], payload: [UInt8], key: SigningKey = phone) throws -> [UInt8] {
        let input = Base64URL.encode(header) + "." + Base64URL.encode(payload)
        let parts = input.split(separator: ".", omittingEmptySubsequences: false)
        let signature = Base64URL.encode(try key.sign(Array(input.utf8)))
        return Array("{\"protected\":\"\(parts[0])\",\"payload\":\"\(parts[1])\",\"signature\":\"\(signature)\"}".utf8)
    }

    static func header(_ key: SigningKey = phone, alg: String = "EdDSA") -> JSONObject {
        ["alg": .string(alg), "kid": .string(key.kid.description)]
    }

    /// Signs a payload with some members replaced or, when nil, removed.
    static func altered(
        _ message: Message,
        by key: SigningKey = phone,
        _ changes: [(String, JSONValue?)]
    ) throws -> [UInt8] {
        guard case .object(var object) = message.json else { return [] }
        for (name, value) in changes { object[name] = value }
        return try frame(header: .object(header(key)), payload: JSONValue.object(object).utf8, key: key)
    }

    static func document(_ did: DID, _ keys: [SigningKey], revocations: [Envelope] = []) -> DIDDocument {
        DIDDocument(
            id: did,
            verificationMethods: keys.map {
                DIDDocument.VerificationMethod(id: $0.kid, controller: did, publicKey: $0.publicKey)
            },
            delegationRevocations: revocations
        )
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// A receiver with everything it may know; each test sets what it is about.
final class Receiver {
    var verifier = EnvelopeVerifier()
    var replay = ReplayWindow()
    var documents: [DID: DocumentLookup] = [:]
    var delegations = DelegationStore()
    var revocations = Revocations()
    var helloVerified = true
    var sentHello: ULID?

    init(policy: VerificationPolicy = VerificationPolicy()) { self.verifier = EnvelopeVerifier(policy: policy) }

    func verify(_ frame: [UInt8], at now: Int64 = Fixture.now) -> Verdict {
        verifier.verify(
            frame,
            at: now,
            replay: &replay,
            helloVerified: helloVerified,
            sentHello: sentHello,
            documents: { [documents] in documents[$0] ?? .unresolvable },
            delegations: delegations,
            revocations: revocations
        )
    }

    /// The code of the rejection, or nil when the frame is accepted.
    func code(_ frame: [UInt8], at now: Int64 = Fixture.now) -> VerdictCode? { rejection(frame, at: now)?.code }

    func rejection(_ frame: [UInt8], at now: Int64 = Fixture.now) -> Rejection? {
        switch verify(frame, at: now) {
        case .accepted: nil
        case .rejected(let rejection): rejection
        case .needs(let did): Rejection(.kidUnresolvable, "needs \(did)")
        }
    }

    func accepted(_ frame: [UInt8], at now: Int64 = Fixture.now) -> Verified<Message>? {
        if case .accepted(let verified) = verify(frame, at: now) { verified } else { nil }
    }
}
