import Encoding

/// Who a peer is: the multihash of its public key, or the key itself when it is short.
public struct PeerID: Hashable, Sendable, CustomStringConvertible {
    /// The multihash.
    public let bytes: [UInt8]

    public init(_ key: PublicKey) {
        let encoded = key.protobuf
        self.bytes = Multihash(encoded.count <= PeerID.longestInline ? .identity : .sha256, of: encoded).bytes
    }

    /// - Returns: nil unless `bytes` are a SHA-256 multihash, or an identity multihash of a public key of at most 42 bytes.
    public init?(bytes: some Collection<UInt8>) {
        // Nearly every peer's, of which any 32 bytes are as good a key as others.
        guard bytes.count != PeerID.ed25519Length || !bytes.starts(with: PeerID.ed25519Prefix) else {
            self.bytes = Array(bytes)
            return
        }
        guard bytes.count <= PeerID.longestInline + 2, let hash = try? Multihash(bytes: bytes) else { return nil }
        switch Multihash.Function(rawValue: hash.code) {
        case .identity:
            guard hash.digest.count <= PeerID.longestInline, (try? PublicKey(protobuf: hash.digest)) != nil else {
                return nil
            }
        case .sha256: guard hash.digest.count == 32 else { return nil }
        default: return nil
        }
        self.bytes = Array(bytes)
    }

    /// Reads either text form: base58btc of the multihash (`12D3Koo…`, `Qm…`), or a CIDv1 of codec libp2p-key (`bafz…`, `k51…`).
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 128 else { return nil }
        if text.hasPrefix("1") || text.hasPrefix("Qm") {
            guard let bytes = Base58.decode(text) else { return nil }
            self.init(bytes: bytes)
            return
        }
        guard let cid = text.first == "k" ? Base36.decode(text.dropFirst()) : Multibase.decode(text),
            cid.count > 2, cid[0] == 1, cid[1] == PeerID.keyCodec
        else { return nil }
        self.init(bytes: cid[2...])
    }

    /// Base58btc, the form that is shown.
    public var description: String { Base58.encode(bytes) }

    /// CIDv1 in base32.
    public var cid: String { "b" + Base32.encode([1, PeerID.keyCodec] + bytes) }

    /// The key, when the id carries it.
    public var publicKey: PublicKey? {
        guard let hash = try? Multihash(bytes: bytes), hash.code == Multihash.Function.identity.rawValue else {
            return nil
        }
        return try? PublicKey(protobuf: hash.digest)
    }

    /// An identity multihash of 36 bytes: an Ed25519 key (type 1) of 32 bytes as a protocol buffer.
    private static let ed25519Prefix: [UInt8] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20]
    private static let ed25519Length = 38
    private static let longestInline = 42
    /// Multicodec libp2p-key.
    private static let keyCodec: UInt8 = 0x72
}

/// Base36, lower case, as IPNS names write keys.
enum Base36 {
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        guard text.utf8.count <= 128 else { return nil }
        let zeros = text.utf8.prefix { $0 == UInt8(ascii: "0") }.count
        var bytes: [UInt8] = []
        for character in text.utf8.dropFirst(zeros) {
            var carry: Int
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): carry = Int(character - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "z"): carry = Int(character - UInt8(ascii: "a")) + 10
            default: return nil
            }
            for i in bytes.indices.reversed() {
                carry += Int(bytes[i]) * 36
                bytes[i] = UInt8(truncatingIfNeeded: carry)
                carry >>= 8
            }
            if carry > 0 { bytes.insert(UInt8(carry), at: 0) }
        }
        return [UInt8](repeating: 0, count: zeros) + bytes
    }
}
