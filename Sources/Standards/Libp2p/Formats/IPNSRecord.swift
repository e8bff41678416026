import Encoding

/// A signed pointer under a key's own name, as IPNS publishes it: protocol buffer outside, signed CBOR inside.
///
/// ```
/// 1 value   3 validityType   4 validity   5 sequence   6 ttl   7 pubKey   8 signatureV2   9 data (CBOR)
/// ```
///
/// Only the V2 signature counts; V1 fields beside it must agree with what it signs.
public struct IPNSRecord: Hashable, Sendable {
    /// Of a record, in bytes.
    public static let maximumLength = 10 << 10

    public let value: [UInt8]
    public let sequence: UInt64
    /// RFC 3339 text: the record holds until then.
    public let validity: String
    /// Nanoseconds that a resolver may cache it.
    public let ttl: UInt64

    /// Reads a record and verifies it for `name`, without regard to time.
    ///
    /// - Throws: `unauthentic` when the V2 signature is missing, wrong or of another key than the name's; `malformed` when the outer
    ///   fields contradict the signed ones; `unsupported` for a key that is not verified here.
    public init(verifying bytes: some Collection<UInt8>, name: PeerID) throws(Libp2pError) {
        guard bytes.count <= IPNSRecord.maximumLength else { throw Libp2pError(.limit, "record too long") }
        var reader = ProtobufReader(Array(bytes))
        var (signature, data): ([UInt8]?, [UInt8]?)
        var key = name.publicKey
        var outer: [UInt64: CBORValue] = [:]
        while let field = try reader.next() {
            switch field.number {
            case 1, 4: outer[field.number] = .bytes(Array(try field.bytes()))
            case 3, 5, 6: outer[field.number] = .unsigned(try field.varint())
            case 7: key = try PublicKey(protobuf: try field.bytes())
            case 8: signature = Array(try field.bytes())
            case 9: data = Array(try field.bytes())
            default: break
            }
        }
        guard let key, PeerID(key) == name else { throw Libp2pError(.unauthentic, "no key of this name") }
        guard key.canVerify else { throw Libp2pError(.unsupported, "\(key.type) keys are not verified") }
        guard let signature, let data,
            key.isValid(signature: signature, for: Array("ipns-signature:".utf8) + data)
        else { throw Libp2pError(.unauthentic, "the record is not signed by its name") }
        guard let signed = try? CBORValue(decoding: data, as: .valid), let value = signed["Value"]?.bytes,
            let validity = signed["Validity"]?.bytes.flatMap({ String(validating: $0, as: UTF8.self) }),
            case .unsigned(let sequence) = signed["Sequence"], signed["ValidityType"] == .unsigned(0)
        else { throw Libp2pError(.malformed, "the signed data is no record") }
        for (number, name) in IPNSRecord.mirrored {
            // A zero may be left out.
            guard let value = outer[number] else { continue }
            guard value == signed[.text(name)] ?? .unsigned(0) else {
                throw Libp2pError(.malformed, "\(name) differs from what is signed")
            }
        }
        self.value = value
        self.sequence = sequence
        self.validity = validity
        if case .unsigned(let ttl) = signed["TTL"] { self.ttl = ttl } else { self.ttl = 0 }
    }

    private static let mirrored: [(UInt64, String)] = [
        (1, "Value"), (3, "ValidityType"), (4, "Validity"), (5, "Sequence"), (6, "TTL"),
    ]
}
