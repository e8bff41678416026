import Crypto
import DSIPIdentity
import Encoding

/// What a Pkarr relay carries for a key: a BEP 44 mutable item with a DNS message inside (hints profile §9).
///
/// ```
/// signature 64 | timestamp u64, µs | DNS message, at most 1000 bytes
/// ```
///
/// A packet is split and nothing more; `open` verifies it.
public struct PkarrPacket: Hashable, Sendable {
    /// Bytes of a payload.
    public static let length = 72...1072
    /// Bytes of a DNS message that this module publishes: with its bencoding, what BEP 44 allows a value.
    public static let maximumMessage = 996
    /// The last microsecond that is exact as a JSON number.
    public static let maximumTimestamp: UInt64 = 1 << 53 - 1
    /// Microseconds that a timestamp may be ahead of the clock.
    static let tolerance: UInt64 = 300_000_000

    public let payload: [UInt8]

    /// - Throws: `.malformed` for another length.
    public init(_ payload: [UInt8]) throws(DiscoveryError) {
        guard PkarrPacket.length.contains(payload.count) else {
            throw DiscoveryError(.malformed, "a payload of \(payload.count) bytes")
        }
        self.payload = payload
    }

    /// Signs `message` at `timestamp`, in Unix microseconds.
    ///
    /// - Throws: `.limit` for a message over 996 bytes, `.exhausted` beyond 2^53−1 µs, `.signature` when the key cannot be used.
    public init(signing message: [UInt8], at timestamp: UInt64, by key: SigningKey) throws(DiscoveryError) {
        guard message.count <= PkarrPacket.maximumMessage else {
            throw DiscoveryError(.limit, "a DNS message of \(message.count) bytes does not fit")
        }
        guard timestamp <= PkarrPacket.maximumTimestamp else {
            throw DiscoveryError(.exhausted, "no reader accepts the timestamp")
        }
        let signature: [UInt8]
        do {
            signature = try key.sign(BEP44.signable(sequence: timestamp, value: message))
        } catch {
            throw DiscoveryError(.signature, error.reason)
        }
        self.payload =
            signature + (0..<8).map { UInt8(truncatingIfNeeded: timestamp >> (56 - 8 * UInt64($0))) } + message
    }

    public var signature: ArraySlice<UInt8> { payload[..<64] }
    /// Unix microseconds.
    public var timestamp: UInt64 { payload[64..<72].reduce(0) { $0 << 8 | UInt64($1) } }
    public var message: ArraySlice<UInt8> { payload[72...] }

    /// Verifies what every packet must pass, in the order of the profile: signature, timestamp, DNS message.
    ///
    /// - Parameter now: Unix seconds.
    /// - Throws: `.signature`, `.malformed`, `.future`.
    public func open(under key: PkarrKey, at now: Int64) throws(DiscoveryError) -> DNSMessage {
        let message = Array(message)
        guard BEP44.isValid(Array(signature), sequence: timestamp, value: message, under: key.publicKey) else {
            throw DiscoveryError(.signature, "the packet is not signed by its key")
        }
        guard timestamp <= PkarrPacket.maximumTimestamp else { throw DiscoveryError(.malformed, "the timestamp") }
        let (clock, overflow) = UInt64(clamping: now).multipliedReportingOverflow(by: 1_000_000)
        guard overflow || timestamp <= clock.addingReportingOverflow(PkarrPacket.tolerance).partialValue else {
            throw DiscoveryError(.future, "the packet is dated in the future")
        }
        return try DNSMessage(message)
    }
}

/// An Ed25519 key as Pkarr names it.
public struct PkarrKey: Hashable, Sendable, CustomStringConvertible {
    public let publicKey: PublicKey
    /// In z-base-32, lower case.
    public let zone: String

    /// - Throws: `.notDIDKey` unless `did` is the did:key of an Ed25519 key.
    public init(_ did: DID) throws(DiscoveryError) {
        guard case .ed25519(let key)? = DIDKey.publicKey(of: did) else {
            throw DiscoveryError(.notDIDKey, "only a did:key with an Ed25519 key has a zone")
        }
        self.publicKey = .ed25519(key)
        self.zone = ZBase32.encode(Array(key.rawRepresentation))
    }

    /// Reads the canonical spelling. - Throws: `.badKey`.
    public init(zone: some StringProtocol) throws(DiscoveryError) {
        guard let bytes = try? ZBase32.key(zone), let key = PublicKey(ed25519: bytes) else {
            throw DiscoveryError(.badKey, "not a key in canonical z-base-32")
        }
        self.publicKey = key
        self.zone = String(zone)
    }

    public var did: DID { DIDKey.did(of: publicKey) }
    public var description: String { zone }

    /// `label.zone`.
    func name(_ label: String) -> DNSName { DNSName(unchecked: [Array(label.utf8), Array(zone.utf8)]) }
}

/// Mutable items of the BitTorrent DHT (BEP 44).
public enum BEP44 {
    /// What the signature of an item covers.
    public static func signable(sequence: UInt64, value: [UInt8], salt: [UInt8] = []) -> [UInt8] {
        var bytes: [UInt8] = []
        if !salt.isEmpty { bytes += Array("4:salt\(salt.count):".utf8) + salt }
        bytes += Array("3:seqi\(sequence)e1:v\(value.count):".utf8)
        return bytes + value
    }

    public static func isValid(
        _ signature: [UInt8],
        sequence: UInt64,
        value: [UInt8],
        salt: [UInt8] = [],
        under key: PublicKey
    ) -> Bool {
        key.isValidSignature(signature, for: signable(sequence: sequence, value: value, salt: salt))
    }
}
