import Crypto

/// Encrypts a body record by record (RFC 8188, `aes128gcm`), as its content comes.
///
/// ```swift
/// var encoder = try ContentEncoder(key: key, salt: salt, recordSize: 65_536)
/// for piece in pieces { send(encoder.append(piece)) }
/// send(encoder.finish())
/// ```
///
/// What it holds back is less than a record.
public struct ContentEncoder: Sendable {
    private var cipher: RecordCipher
    /// Content bytes and padding of a record together.
    private let capacity: Int
    private var header: [UInt8]
    private var pending: [UInt8] = []
    private var padding: Int

    /// - Parameters:
    ///   - key: key material, 16 bytes in RFC 8188's examples and 32 in RFC 8291.
    ///   - salt: 16 random bytes, never used twice with `key`.
    ///   - recordSize: bytes of every record but the last, 18 to 2^32 - 1.
    ///   - padding: zero bytes to hide the length with, in the first records.
    /// - Throws: `.parameter`.
    public init(
        key: SymmetricKey,
        salt: [UInt8],
        keyIdentifier: [UInt8] = [],
        recordSize: Int = 4096,
        padding: Int = 0
    ) throws(WebPushError) {
        let header = try ContentHeader(salt: salt, recordSize: recordSize, keyIdentifier: keyIdentifier)
        guard padding >= 0 else { throw WebPushError(.parameter, "padding below nothing") }
        self.cipher = RecordCipher(keyMaterial: key, salt: salt)
        self.capacity = recordSize - RecordCipher.overhead
        self.header = header.bytes
        self.padding = padding
    }

    /// - Returns: what can be sent already; the header comes with the first of it.
    public mutating func append(_ content: some Sequence<UInt8>) -> [UInt8] {
        pending.append(contentsOf: content)
        var out = takeHeader()
        var start = 0
        // A record that is full may be the last one: it leaves when something follows it.
        while true {
            let pad = nextPadding
            guard pending.count - start > capacity - pad else { break }
            let end = start + capacity - pad
            out += cipher.seal(pending[start..<end], .more, padding: pad)
            padding -= pad
            start = end
        }
        pending.removeFirst(start)
        return out
    }

    /// The rest of the body. The encoder is at its end: nothing may be appended.
    public mutating func finish() -> [UInt8] {
        var out = takeHeader()
        while pending.count + padding > capacity {
            let content = min(pending.count, capacity - nextPadding)
            let pad = capacity - content
            out += cipher.seal(pending[..<content], .more, padding: pad)
            pending.removeFirst(content)
            padding -= pad
        }
        out += cipher.seal(pending[...], .last, padding: padding)
        (pending, padding) = ([], 0)
        return out
    }

    /// As much as there is, but for one byte of content a record; where a record holds no more than that, padding goes first.
    private var nextPadding: Int { min(padding, max(1, capacity - 1)) }

    private mutating func takeHeader() -> [UInt8] {
        defer { header = [] }
        return header
    }

    /// A whole body at once.
    public static func encode(
        _ content: [UInt8],
        key: SymmetricKey,
        salt: [UInt8],
        keyIdentifier: [UInt8] = [],
        recordSize: Int = 4096,
        padding: Int = 0
    ) throws(WebPushError) -> [UInt8] {
        var encoder = try ContentEncoder(
            key: key,
            salt: salt,
            keyIdentifier: keyIdentifier,
            recordSize: recordSize,
            padding: padding
        )
        let start = encoder.append(content)
        return start + encoder.finish()
    }
}
