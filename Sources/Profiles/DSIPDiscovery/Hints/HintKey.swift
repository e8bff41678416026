import Crypto
import DSIPIdentity
import Encoding
import Libp2p

/// Under which key a subject's hint is kept (hints profile §3).
public enum HintKey {
    /// The stream protocol of the overlay.
    public static let protocolID = "/dsip/hints/0.6"
    /// Before the digest where an overlay sorts its keys by namespaces.
    static let prefix = Array("/dsip/hints/".utf8)

    /// The multihash `0x12 0x20 ‖ sha2-256` of the DID. Its prefix and method are lower case by the grammar of `DID`.
    public static func bytes(of subject: DID) -> [UInt8] {
        Multihash(.sha256, of: Array(subject.string.utf8)).bytes
    }

    /// The same for an overlay with namespaces: `/dsip/hints/` and the multihash in base16.
    public static func path(of subject: DID) -> [UInt8] { prefix + Array(Hex.encode(bytes(of: subject)).utf8) }

    /// Whether `key`, in either form, is the subject's.
    static func matches(_ key: [UInt8], _ subject: DID) -> Bool {
        key == (key.starts(with: prefix) ? path(of: subject) : bytes(of: subject))
    }
}
