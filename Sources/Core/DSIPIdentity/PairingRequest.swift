import Crypto
import CryptoExtras
import Encoding
import FoundationEssentials

/// What a new device shows, as text or QR code, to be added to an identity: its key and what it is, signed by that key.
///
///     offset  bytes
///          0      1  version, 1
///          1     32  Ed25519 public key
///         33      1  kind of device
///         34      8  nonce
///         42      8  issued at, Unix seconds, big-endian
///         50      2  seconds that it is good for, at most 600, big-endian
///         52    1+n  name: length and UTF-8
///               1+n  relay: length and text, empty when there is none
///                64  Ed25519 signature of "dsip pairing request v1\0" and all before
///
/// The signature shows that the device holds the key and keeps the parts together. It does not tell whose device it is:
/// that is what the two words are for, which the owner sees on both screens.
public struct PairingRequest: Hashable, Sendable {
    /// Seconds that a request may be approved for.
    public static let lifetime: Int64 = 600
    static let scheme = "dsip-pair:"
    static let maximumLength = 1024

    public let device: DID
    public let description: DeviceDescription
    /// Where the new device waits for its answer; nil when the answer is carried by hand.
    public let relay: String?
    /// 8 random bytes, so that no two requests are alike.
    public let nonce: [UInt8]
    /// Unix seconds.
    public let issuedAt: Int64
    public let expiresAt: Int64
    private let bytes: [UInt8]

    /// - Parameter key: the did:key that the new device will sign with.
    /// - Throws: `.malformed` for a name that is not printable or a relay that is no `wss` URL.
    public init(
        key: SigningKey,
        description: DeviceDescription,
        relay: String? = nil,
        at now: Int64,
        nonce: [UInt8] = (0..<8).map { _ in UInt8.random(in: 0...255) }
    ) throws(IdentityError) {
        precondition(nonce.count == 8)
        guard DisplayText.isValid(description.name, limit: 64) else {
            throw IdentityError(.malformed, "the device's name is not printable")
        }
        guard relay.map({ RelayURL.isValid($0) && $0.utf8.count <= 200 }) ?? true else {
            throw IdentityError(.malformed, "the relay is not a wss URL of at most 200 bytes")
        }
        guard case .ed25519(let publicKey) = key.publicKey, key.did == DIDKey.did(of: key.publicKey), now >= 0 else {
            throw IdentityError(.unsupported, "a device pairs with a did:key of its own")
        }
        var bytes: [UInt8] = [1] + Array(publicKey.rawRepresentation) + [PairingRequest.code(description.kind)] + nonce
        bytes += (0..<8).reversed().map { UInt8(truncatingIfNeeded: now >> ($0 * 8)) }
        bytes += [UInt8(PairingRequest.lifetime >> 8), UInt8(PairingRequest.lifetime & 0xff)]
        for text in [description.name, relay ?? ""] { bytes += [UInt8(text.utf8.count)] + Array(text.utf8) }
        let signature = try key.sign(Array(PairingRequest.context.utf8) + bytes)
        try self.init(bytes: bytes + signature)
    }

    /// Reads `dsip-pair:…`, with space around it, and checks the signature.
    ///
    /// - Throws: `.malformed`, or `.refused` when the signature is wrong.
    public init(parsing text: String) throws(IdentityError) {
        let malformed = IdentityError(.malformed, "this is not a pairing code")
        let text = String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        guard text.utf8.count <= PairingRequest.maximumLength, text.hasPrefix(PairingRequest.scheme),
            let bytes = Base64URL.decode(text.dropFirst(PairingRequest.scheme.count))
        else { throw malformed }
        try self.init(bytes: bytes)
    }

    private init(bytes: [UInt8]) throws(IdentityError) {
        let malformed = IdentityError(.malformed, "this is not a pairing code")
        guard bytes.count >= 118, bytes[0] == 1 else {
            throw bytes.first.map { $0 > 1 } == true
                ? IdentityError(.unsupported, "the pairing code was made by a newer version of the program") : malformed
        }
        let body = bytes.dropLast(64)
        var at = 52
        func text() throws(IdentityError) -> String {
            guard at < body.count, at + 1 + Int(body[at]) <= body.count,
                let text = String(validating: body[(at + 1)..<(at + 1 + Int(body[at]))], as: UTF8.self)
            else { throw malformed }
            at += 1 + Int(body[at])
            return text
        }
        let name = try text()
        let relay = try text()
        let issuedAt = bytes[42..<50].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        let lifetime = Int64(bytes[50]) << 8 | Int64(bytes[51])
        guard at == body.count, let key = PublicKey(ed25519: Array(bytes[1..<33])),
            let kind = PairingRequest.kind(bytes[33]),
            DisplayText.isValid(name, limit: 64), relay.isEmpty || RelayURL.isValid(relay), issuedAt < 1 << 40,
            lifetime <= PairingRequest.lifetime
        else { throw malformed }
        guard key.isValidSignature(Array(bytes.suffix(64)), for: Array(PairingRequest.context.utf8) + body) else {
            throw IdentityError(.refused, "the pairing code is not signed by the device it names")
        }
        self.device = DIDKey.did(of: key)
        self.description = DeviceDescription(name: name, kind: kind)
        self.relay = relay.isEmpty ? nil : relay
        self.nonce = Array(bytes[34..<42])
        self.issuedAt = Int64(issuedAt)
        self.expiresAt = Int64(issuedAt) + lifetime
        self.bytes = bytes
    }

    /// `dsip-pair:` and about 160 characters: small enough for a QR code that any camera reads.
    public var code: String { PairingRequest.scheme + Base64URL.encode(bytes) }

    /// Two words that both devices show, such as `tidal-mango`, for the owner to compare.
    ///
    /// They are 22 bits of a slow hash: whoever wants another code with the same words has to try some four million, at
    /// the price of an scrypt each, within the ten minutes that a code is good for.
    public func comparisonWords() throws(IdentityError) -> String {
        guard
            let digest = try? KDF.Scrypt.deriveKey(
                from: bytes,
                salt: Array("dsip pairing words".utf8),
                outputByteCount: 4,
                rounds: 1 << 14,
                blockSize: 8,
                parallelism: 1,
                maxMemory: 1 << 26
            )
        else { throw IdentityError(.storage, "there is not enough memory to compute the words") }
        let bits = digest.withUnsafeBytes { $0.reduce(0 as UInt32) { $0 << 8 | UInt32($1) } }
        return "\(RecoveryWords.all[Int(bits >> 21)])-\(RecoveryWords.all[Int(bits >> 10 & 2047)])"
    }

    /// Bound into the grant, so that it answers this request and no other.
    var digest: [UInt8] { Array(SHA256.hash(data: bytes)) }

    /// - Throws: `.refused` before and after the time the request is good for, with five minutes' grace for clocks that
    ///   differ.
    func checkTime(_ now: Int64) throws(IdentityError) {
        guard now >= issuedAt - 300 else {
            throw IdentityError(.refused, "the pairing code is from the future: check both clocks")
        }
        guard now < expiresAt + 300 else {
            throw IdentityError(.refused, "the pairing code has expired: show a new one")
        }
    }

    private static let context = "dsip pairing request v1\0"

    private static func code(_ kind: Delegation.DeviceClass) -> UInt8 {
        switch kind {
        case .phone: 1
        case .computer: 2
        case .browser: 3
        case .service: 4
        }
    }

    private static func kind(_ code: UInt8) -> Delegation.DeviceClass? {
        Delegation.DeviceClass.allCases.first { PairingRequest.code($0) == code }
    }

    public static func == (a: PairingRequest, b: PairingRequest) -> Bool { a.bytes == b.bytes }
    public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

/// A request that this device has shown, with the key it will use.
public struct PendingPairing: Sendable {
    public let request: PairingRequest
    let key: SigningKey

    var json: JSONValue {
        ["code": .string(request.code), "device": .string(key.withSeed { Base64URL.encode($0) })]
    }

    init(request: PairingRequest, key: SigningKey) {
        self.request = request
        self.key = key
    }

    init?(json: JSONValue) {
        guard let code = json["code"]?.string, let request = try? PairingRequest(parsing: code),
            let seed = json["device"]?.string.flatMap({ Base64URL.decode($0) }),
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed)
        else { return nil }
        self.init(request: request, key: SigningKey(selfIssued: key))
        guard self.key.did == request.device else { return nil }
    }
}
