/// The initiator's half of a key agreement, sent with each message until the responder answers (X3DH §3.3, PQXDH §3.3).
///
/// ```
/// | identity (33 or 65) | ephemeral key (32) | signed prekey id (4) |
/// | 0, or 1 | one-time prekey id (4) |
/// | 0, or 1 | KEM prekey id (4) | ML-KEM set (1) | ciphertext |                   integers big-endian
/// ```
public struct Handshake: Hashable, Sendable {
    public struct Encapsulation: Hashable, Sendable {
        public var preKey: UInt32
        public var kem: KEMAlgorithm
        public var ciphertext: [UInt8]
    }

    public var identity: IdentityKey
    /// 32 bytes; also what the session is known by.
    public var ephemeralKey: [UInt8]
    public var signedPreKey: UInt32
    public var oneTimePreKey: UInt32?
    public var encapsulation: Encapsulation?

    public init(
        identity: IdentityKey,
        ephemeralKey: [UInt8],
        signedPreKey: UInt32,
        oneTimePreKey: UInt32?,
        encapsulation: Encapsulation? = nil
    ) {
        self.identity = identity
        self.ephemeralKey = ephemeralKey
        self.signedPreKey = signedPreKey
        self.oneTimePreKey = oneTimePreKey
        self.encapsulation = encapsulation
    }

    func write(to writer: inout ByteWriter) {
        writer.append(identity.bytes)
        writer.append(ephemeralKey)
        writer.append(signedPreKey)
        writer.append(optional: oneTimePreKey) { $0.append($1) }
        writer.append(optional: encapsulation) { writer, encapsulation in
            writer.append(encapsulation.preKey)
            writer.append(byte: encapsulation.kem.rawValue)
            writer.append(encapsulation.ciphertext)
        }
    }

    init(from reader: inout ByteReader) throws(RatchetError) {
        identity = try IdentityKey(from: &reader)
        ephemeralKey = Array(try reader.bytes(32))
        signedPreKey = try reader.uint32()
        oneTimePreKey = try reader.optional { (reader) throws(RatchetError) in try reader.uint32() }
        encapsulation = try reader.optional { (reader) throws(RatchetError) in
            let id = try reader.uint32()
            guard let kem = KEMAlgorithm(rawValue: try reader.byte()) else {
                throw RatchetError(.malformed, "an unknown KEM")
            }
            return Encapsulation(preKey: id, kem: kem, ciphertext: Array(try reader.bytes(kem.ciphertextSize)))
        }
    }
}
