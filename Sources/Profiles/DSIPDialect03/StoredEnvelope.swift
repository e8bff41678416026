import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding
import FoundationEssentials

/// `dsip.envelope.v1`: a signed message of the dialect, sealed to whom it waits for (proposal 0.3 §21.B).
///
/// ```
/// {"type":"dsip.envelope.v1","to":…,"from":…,"payload_enc":base64url(enc ‖ ct),"nonce":…,"exp":…,"sig":base64url}
///
/// plaintext   the message and spaces, to a multiple of 256 bytes
/// HPKE        base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; info "dsip.envelope.v1"
/// AAD         JCS of type, to, from, nonce and exp
/// ```
///
/// Whoever carries it learns to whom it goes, how large it is and until when it is good. With ``sealing(_:for:key:until:using:)`` it is signed by a key made
/// for it alone, so that the sender stands inside only.
public struct StoredEnvelope: Hashable, Sendable {
    public static let type = "dsip.envelope.v1"
    private static let suite = HPKE.Ciphersuite(kem: .Curve25519_HKDF_SHA256, kdf: .HKDF_SHA256, aead: .AES_GCM_256)
    private static let info = Data(type.utf8)
    /// Seconds an envelope may wait: as long as what is in it.
    public static let maximumLifetime = ProposalReading.keptLifetime
    private static let limits = JSONDocument.Limits(bytes: ProtocolLimits.frame, depth: 2, members: 16)
    private static let block = 256

    public let to: DID
    /// A did:key; the sender's, or one made for this envelope.
    public let from: DID
    /// Unix seconds.
    public let expiresAt: Int64
    /// As received, or as it goes out.
    public let bytes: [UInt8]
    private let outer: JSONObject
    private let sealed: [UInt8]
    let signature: [UInt8]

    /// By what a relay calls it, and the device that acknowledges it: of what is signed, so that a repetition has the same.
    public var id: ULID {
        // Sixteen bytes are always one.
        ULID(bytes: Array(SHA256.hash(data: covered).prefix(16)))!
    }

    /// What the signature covers.
    var covered: [UInt8] { JSONValue.object(outer).canonical }

    /// Reads and verifies an envelope.
    ///
    /// - Returns: nil for what is none.
    /// - Throws: `schema-invalid`, `expired`, `kid-unresolvable`, `signature-invalid`.
    public init?(_ bytes: [UInt8], at now: Int64) throws(Rejection) {
        try self.init(reading: bytes)
        try checkTime(at: now)
        guard let key = DIDKey.publicKey(of: from) else {
            throw Rejection(.kidUnresolvable, "an envelope is signed by a did:key", from: from)
        }
        guard key.isValidSignature(signature, for: covered) else {
            throw Rejection(.signatureInvalid, "the signature does not verify", from: from)
        }
    }

    /// The same, neither time nor signature checked.
    init?(reading bytes: [UInt8]) throws(Rejection) {
        guard bytes.first == UInt8(ascii: "{"),
            let object = (try? JSONDocument(scanning: bytes, limits: Self.limits))?.root.value.object,
            object["type"]?.string == Self.type
        else { return nil }
        guard let to = object["to"]?.string.flatMap({ DID($0) }), let from = object["from"]?.string,
            let sender = DID(from.prefix { $0 != "#" }), object["nonce"]?.string.map({ !$0.isEmpty }) == true,
            let sealed = object["payload_enc"]?.string.flatMap({ Base64URL.decode($0) }), sealed.count > 32,
            let signature = object["sig"]?.string.flatMap({ Base64URL.decode($0) }),
            let expiresAt = object["exp"]?.int, expiresAt >= 0
        else { throw Rejection(.schemaInvalid, "a malformed dsip.envelope.v1") }
        var outer = object
        outer["sig"] = nil
        self.to = to
        self.from = sender
        self.expiresAt = expiresAt
        self.bytes = bytes
        self.outer = outer
        self.sealed = sealed
        self.signature = signature
    }

    func checkTime(at now: Int64) throws(Rejection) {
        guard expiresAt - Self.maximumLifetime <= now + ProtocolLimits.replayWindow else {
            throw Rejection(.schemaInvalid, "good for longer than it may be", from: from)
        }
        guard now < expiresAt else { throw Rejection(.expired, "expired", from: from) }
    }

    private init(
        to: DID,
        from: DID,
        expiresAt: Int64,
        bytes: [UInt8],
        outer: JSONObject,
        sealed: [UInt8],
        signature: [UInt8]
    ) {
        (self.to, self.from, self.expiresAt) = (to, from, expiresAt)
        (self.bytes, self.outer, self.sealed, self.signature) = (bytes, outer, sealed, signature)
    }

    /// Seals `message` to `recipient` under a key that is thrown away: nothing outside says who sends.
    ///
    /// - Parameters:
    ///   - message: a signed message of the dialect.
    ///   - key: the recipient's X25519 key agreement key, raw.
    ///   - expiry: Unix seconds, at most ``maximumLifetime`` away.
    /// - Throws: `.signing` when nothing can be sealed to the key, `.tooLarge`.
    public static func sealing(
        _ message: Envelope,
        for recipient: DID,
        key: [UInt8],
        until expiry: Int64,
        using random: inout some RandomNumberGenerator
    ) throws(IdentityError) -> StoredEnvelope {
        let sender = SigningKey(selfIssued: Curve25519.Signing.PrivateKey())
        let nonce = (0..<12).map { _ in UInt8.random(in: 0...255, using: &random) }
        var outer: JSONObject = [
            "type": .string(type), "to": .string(recipient.string), "from": .string(sender.did.string),
            "nonce": .string(Base64URL.encode(nonce)), "exp": .int(expiry),
        ]
        let plaintext = message.bytes + repeatElement(0x20, count: -message.bytes.count & (block - 1))
        guard let publicKey = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: key),
            var seal = try? HPKE.Sender(recipientKey: publicKey, ciphersuite: suite, info: info),
            let ciphertext = try? seal.seal(Data(plaintext), authenticating: Data(JSONValue.object(outer).canonical))
        else { throw IdentityError(.signing, "nothing can be sealed to that key") }
        let sealed = Array(seal.encapsulatedKey + ciphertext)
        outer["payload_enc"] = .string(Base64URL.encode(sealed))
        let signature = try sender.sign(JSONValue.object(outer).canonical)
        var signed = outer
        signed["sig"] = .string(Base64URL.encode(signature))
        let bytes = JSONValue.object(signed).utf8
        guard bytes.count <= ProtocolLimits.frame else {
            throw IdentityError(.tooLarge, "a stored envelope is at most \(ProtocolLimits.frame) bytes")
        }
        return StoredEnvelope(
            to: recipient,
            from: sender.did,
            expiresAt: expiry,
            bytes: bytes,
            outer: outer,
            sealed: sealed,
            signature: signature
        )
    }

    /// What a relay reads of it, as a message of the core that holds nothing but where it goes and until when.
    func payload(at now: Int64) -> JSONObject {
        [
            "dsip": ProposalReading.ratchet, "type": .string(Self.type), "id": .string(id.description),
            "from": .string(from.string), "to": .string(to.string), "issued_at": .int(now),
            "expires_at": .int(expiresAt),
        ]
    }

    /// The frame inside, to be verified as of when it was issued: it has waited.
    ///
    /// - Throws: `sealed-open-failed` when it was sealed to another, or under another outside; `sealed-plaintext-invalid`.
    public func opened(by key: SigningKey) throws(Rejection) -> [UInt8] {
        var context = outer
        context["payload_enc"] = nil
        guard let agreement = try? key.keyAgreementKey(),
            var recipient = try? HPKE.Recipient(
                privateKey: agreement,
                ciphersuite: Self.suite,
                info: Self.info,
                encapsulatedKey: Data(sealed.prefix(32))
            ),
            let plaintext = try? recipient.open(
                Data(sealed.dropFirst(32)),
                authenticating: Data(JSONValue.object(context).canonical)
            )
        else { throw Rejection(.sealedOpenFailed, "the seal does not open", from: from) }
        guard plaintext.count.isMultiple(of: Self.block), let end = plaintext.lastIndex(where: { $0 != 0x20 }) else {
            throw Rejection(.sealedPlaintextInvalid, "what was sealed is not padded", from: from)
        }
        return Array(plaintext[...end])
    }
}
