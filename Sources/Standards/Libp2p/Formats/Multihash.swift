import Crypto
import Encoding

/// A digest that says how it was made: code varint, length varint, digest.
public struct Multihash: Hashable, Sendable {
    public enum Function: UInt64, Sendable {
        case identity = 0x00
        case sha1 = 0x11
        case sha256 = 0x12
        case sha512 = 0x13
        case doubleSHA256 = 0x56
    }

    /// The longest digest that is read.
    public static let maximumLength = 128

    /// The function's code in the multicodec table; also of functions that are not computed here.
    public let code: UInt64
    public let digest: [UInt8]

    public init(code: UInt64, digest: [UInt8]) {
        self.code = code
        self.digest = digest
    }

    /// Hashes `content`.
    ///
    /// - Parameter length: bytes kept of the digest; all when nil.
    public init(_ function: Function, of content: [UInt8], length: Int? = nil) {
        let digest =
            switch function {
            case .identity: content
            case .sha1: Array(Insecure.SHA1.hash(data: content))
            case .sha256: Array(SHA256.hash(data: content))
            case .sha512: Array(SHA512.hash(data: content))
            case .doubleSHA256: Array(SHA256.hash(data: Array(SHA256.hash(data: content))))
            }
        self.init(code: function.rawValue, digest: Array(digest.prefix(length ?? digest.count)))
    }

    /// - Throws: `malformed` unless `bytes` are one multihash and nothing more, `limit` over `maximumLength`.
    public init(bytes: some Collection<UInt8>) throws(Libp2pError) {
        guard let (code, first) = Varint.decode(bytes), let (length, second) = Varint.decode(bytes.dropFirst(first))
        else { throw Libp2pError(.malformed, "no multihash") }
        guard length <= UInt64(Multihash.maximumLength) else { throw Libp2pError(.limit, "digest of \(length) bytes") }
        let digest = bytes.dropFirst(first + second)
        guard digest.count == Int(length) else { throw Libp2pError(.malformed, "digest of another length") }
        self.init(code: code, digest: Array(digest))
    }

    public var bytes: [UInt8] { Varint.encode(code) + Varint.encode(UInt64(digest.count)) + digest }
}
