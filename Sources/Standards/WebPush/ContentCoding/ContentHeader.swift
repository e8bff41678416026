/// What stands before the records of a body (RFC 8188 §2.1).
///
/// ```
/// +-----------+--------+-----------+---------------+
/// | salt (16) | rs (4) | idlen (1) | keyid (idlen) |
/// +-----------+--------+-----------+---------------+
/// ```
public struct ContentHeader: Hashable, Sendable {
    /// The least record: one byte of content, its delimiter and the tag. RFC 8188 §2.1
    public static let minimumRecordSize = 18
    /// The name of the coding, for `Content-Encoding`.
    public static let coding = "aes128gcm"

    /// 16 bytes; never twice with one key.
    public let salt: [UInt8]
    /// Bytes of every record but the last, delimiter and tag included.
    public let recordSize: Int
    /// At most 255 bytes that tell the recipient which key it is.
    public let keyIdentifier: [UInt8]

    /// - Throws: `.parameter` for a salt that is not 16 bytes long, a record size below 18 or beyond 32 bits, an identifier beyond 255 bytes.
    public init(salt: [UInt8], recordSize: Int, keyIdentifier: [UInt8]) throws(WebPushError) {
        guard salt.count == 16 else { throw WebPushError(.parameter, "a salt has 16 bytes") }
        guard recordSize >= Self.minimumRecordSize, recordSize <= Int(UInt32.max) else {
            throw WebPushError(.parameter, "a record has between 18 and 2^32 - 1 bytes")
        }
        guard keyIdentifier.count <= 255 else {
            throw WebPushError(.parameter, "a key identifier has 255 bytes at most")
        }
        self.salt = salt
        self.recordSize = recordSize
        self.keyIdentifier = keyIdentifier
    }

    /// Reads the header at the start of `bytes`.
    ///
    /// - Returns: nil when more bytes are needed.
    /// - Throws: `.malformed` for a record size below 18.
    init?(prefix bytes: some RandomAccessCollection<UInt8>) throws(WebPushError) {
        let bytes = bytes.prefix(21 + 255)
        guard bytes.count >= 21 else { return nil }
        let fixed = Array(bytes.prefix(21))
        let size = fixed[16..<20].reduce(0) { $0 << 8 | Int($1) }
        guard size >= Self.minimumRecordSize else { throw WebPushError(.malformed, "a record size below 18") }
        guard bytes.count >= 21 + Int(fixed[20]) else { return nil }
        self.salt = Array(fixed[..<16])
        self.recordSize = size
        self.keyIdentifier = Array(bytes.dropFirst(21).prefix(Int(fixed[20])))
    }

    public var bytes: [UInt8] {
        let size = UInt32(recordSize)
        return salt + [UInt8(size >> 24), UInt8(size >> 16 & 0xff), UInt8(size >> 8 & 0xff), UInt8(size & 0xff)]
            + [UInt8(keyIdentifier.count)] + keyIdentifier
    }

    var byteCount: Int { 21 + keyIdentifier.count }
}
