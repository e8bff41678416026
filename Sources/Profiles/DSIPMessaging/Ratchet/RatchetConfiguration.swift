import Crypto
import DSIPIdentity
import DoubleRatchet
import Encoding

/// Who speaks in ratchet conversations, and the bounds they keep.
public struct RatchetConfiguration: Sendable {
    public struct Limits: Hashable, Sendable {
        /// One-time bundles kept on the relay's shelf, and how few left have more made.
        public var bundles = 32
        public var fewBundles = 12
        /// Envelopes under way at once.
        public var inFlight = 32
        /// Objects that wait for a person's bundles, and envelopes kept to be sent again, each person.
        public var waiting = 256
        public var kept = 1024
        /// What was carried is known again, should the owner give it once more.
        public var carried = 8192
        /// Times one message is sent again to one device.
        public var resends = 3
        /// Seconds until an answer that has not come is no longer waited for.
        public var answerTime: Int64 = 20
        /// Seconds after which a person's devices are asked for anew when something is sent.
        public var deviceListLife: Int64 = 3600
        /// Seconds between replacements of the signed prekey.
        public var rotation: Int64 = 7 * 86_400

        public init() {}
    }

    public var identity: DID
    /// Of this device, a `did:key`: its Ed25519 key is the ratchet's identity.
    public var device: SigningKey
    /// The device's delegation, compact; nil where the device is the identity.
    public var delegation: String?
    /// Where this identity is reached (`wss`); others are told with what is said, for those who have no document.
    public var relay: String?
    /// Whether this identity is known to have other devices, which get a copy of what is said here; else the relay is asked.
    public var hasSiblings: Bool
    public var limits = Limits()

    public init(identity: DID, device: SigningKey, delegation: String?, relay: String?, hasSiblings: Bool) {
        self.identity = identity
        self.device = device
        self.delegation = delegation
        self.relay = relay
        self.hasSiblings = hasSiblings
    }

    /// PQXDH and the Double Ratchet with encrypted headers; the same at every end.
    public static let profile = SessionProfile.standard("dsip/1", kem: .mlKEM768, encryptsHeaders: true)

    /// `object` of archive records that one device of an identity tells another, `records`.
    static let past = "archive-records"

    /// The conversation of two people, the same on all their devices: 128 bits of a hash over both.
    public static func conversation(_ a: DID, _ b: DID) -> ULID {
        let names = [a.string, b.string].sorted()
        let digest = SHA256.hash(data: Array("dsip ratchet conversation v1\u{0}\(names[0])\u{0}\(names[1])".utf8))
        var bits = DigestBits(words: digest.withUnsafeBytes { Array($0) })
        return ULID(milliseconds: bits.next() >> 16, using: &bits)
    }

    private struct DigestBits: RandomNumberGenerator {
        var words: [UInt8]

        mutating func next() -> UInt64 {
            let word = words.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
            words = Array(words.dropFirst(8))
            return word
        }
    }
}
