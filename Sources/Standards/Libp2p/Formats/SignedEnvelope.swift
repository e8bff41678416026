import Encoding

/// A signed payload as it came in (libp2p RFC 0002). Its payload cannot be reached but through `verified`.
///
/// ```
/// 1 public_key   2 payload_type   3 payload   5 signature over: len | domain | len | payload_type | len | payload
/// ```
public struct SignedEnvelope: Hashable, Sendable {
    /// The longest envelope that is read, in bytes.
    public static let maximumLength = 16 << 10

    public let publicKey: PublicKey
    public let payloadType: [UInt8]
    private let payload: [UInt8]
    private let signature: [UInt8]

    public init(bytes: some Collection<UInt8>) throws(Libp2pError) {
        guard bytes.count <= SignedEnvelope.maximumLength else { throw Libp2pError(.limit, "envelope too long") }
        var reader = ProtobufReader(Array(bytes))
        var (key, type, payload, signature): (PublicKey?, [UInt8]?, [UInt8]?, [UInt8]?)
        while let field = try reader.next() {
            switch field.number {
            case 1: key = try PublicKey(protobuf: try field.bytes())
            case 2: type = Array(try field.bytes())
            case 3: payload = Array(try field.bytes())
            case 5: signature = Array(try field.bytes())
            default: break
            }
        }
        guard let key, let type, let payload, let signature else {
            throw Libp2pError(.malformed, "envelope with a field missing")
        }
        self.publicKey = key
        self.payloadType = type
        self.payload = payload
        self.signature = signature
    }

    /// Signs `payload`.
    public init(signing payload: [UInt8], type: [UInt8], domain: String, by key: IdentityKey) throws(Libp2pError) {
        self.publicKey = key.publicKey
        self.payloadType = type
        self.payload = payload
        self.signature = try key.sign(SignedEnvelope.signingInput(domain, type, payload))
    }

    public var bytes: [UInt8] {
        var writer = ProtobufWriter()
        writer.bytes(1, publicKey.protobuf)
        writer.bytes(2, payloadType)
        writer.bytes(3, payload)
        writer.bytes(5, signature)
        return writer.bytes
    }

    /// - Returns: the payload, signed by `publicKey`.
    /// - Throws: `malformed` for another payload type, `unauthentic` when the signature is not of this key, domain and payload.
    public func verified(type: [UInt8], domain: String) throws(Libp2pError) -> [UInt8] {
        guard payloadType == type else { throw Libp2pError(.malformed, "envelope of another payload type") }
        guard publicKey.isValid(signature: signature, for: SignedEnvelope.signingInput(domain, type, payload)) else {
            throw Libp2pError(.unauthentic, "envelope's signature does not verify")
        }
        return payload
    }

    private static func signingInput(_ domain: String, _ type: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        Array(domain.utf8).delimited + type.delimited + payload.delimited
    }
}
