import Crypto
import DSIPIdentity
import Encoding

/// Keys of the presence DHT (proposal 0.3 §21.C): a SHA-256, on the wire `/dsip/` and its 64 digits of base16.
public enum DiscoveryKey {
    /// The stream protocol of the DHT that holds presence, home records and region buckets.
    public static let protocolID = "/dsip/kad/1.0.0"
    /// The namespace of its records.
    public static let namespace = "dsip"

    public static func presence(_ did: DID) -> [UInt8] { key("dsip-presence:" + did.string) }
    public static func home(_ did: DID) -> [UInt8] { key("dsip-home:" + did.string) }
    /// Who serves a region, as provider entries; nothing is stored under it.
    public static func region(_ prefix: Geohash) -> [UInt8] { key("dsip-presence:geo:" + prefix.text) }

    /// The key that 64 digits of base16 in lower case stand for; nil for others.
    public static func key(digits: some StringProtocol) -> [UInt8]? {
        guard digits.utf8.count == 64, let digest = Hex.decode(String(digits)), Hex.encode(digest) == digits else {
            return nil
        }
        return Array("/dsip/".utf8) + Array(digits.utf8)
    }

    private static func key(_ text: String) -> [UInt8] {
        Array("/dsip/".utf8) + Array(Hex.encode(Array(SHA256.hash(data: Array(text.utf8)))).utf8)
    }
}
