import Crypto

/// Decrypts a body record by record (RFC 8188, `aes128gcm`), as it comes.
///
/// ```swift
/// var decoder = ContentDecoder { header in keys[header.keyIdentifier] }
/// for piece in pieces { write(try decoder.append(piece)) }
/// try write(decoder.finish())
/// ```
///
/// Each record is authentic and in its place when it is handed out, but only ``finish()`` says that the body was whole. After an
/// error the decoder keeps throwing it.
public struct ContentDecoder: Sendable {
    public struct Limits: Sendable {
        /// Bytes kept of a record that is not complete. A header may name a larger size, as long as the records that come are not.
        public var record: Int
        /// Bytes of the body, header included.
        public var body: Int

        public init(record: Int = 1 << 20, body: Int = .max) {
            self.record = record
            self.body = body
        }
    }

    private enum State: Sendable {
        case header
        case records(RecordCipher, size: Int)
        case ended
        case failed(WebPushError)
    }

    private let limits: Limits
    private let key: @Sendable (ContentHeader) throws -> SymmetricKey?
    private var state = State.header
    private var buffer: [UInt8] = []
    private var received = 0

    /// - Parameter key: the key material for a header; nil (or an error) when there is none.
    public init(limits: Limits = Limits(), key: @escaping @Sendable (ContentHeader) throws -> SymmetricKey?) {
        self.limits = limits
        self.key = key
    }

    /// - Returns: the content of the records that are complete now.
    /// - Throws: `.malformed`, `.authentication`, `.limit`, `.unknownKey`.
    public mutating func append(_ bytes: some Collection<UInt8>) throws(WebPushError) -> [UInt8] {
        if case .failed(let error) = state { throw error }
        do throws(WebPushError) {
            received = received.addingReportingOverflow(bytes.count).partialValue
            guard received >= 0, received <= limits.body else { throw WebPushError(.limit, "the body is too large") }
            buffer.append(contentsOf: bytes)
            if case .header = state, let header = try ContentHeader(prefix: buffer) {
                buffer.removeFirst(header.byteCount)
                state = .records(try cipher(for: header), size: header.recordSize)
            }
            return try takeRecords()
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// - Returns: the content of the last record.
    /// - Throws: `.truncated` when the body is not whole, and what ``append(_:)`` throws.
    public mutating func finish() throws(WebPushError) -> [UInt8] {
        do throws(WebPushError) {
            switch state {
            case .failed(let error): throw error
            case .ended: return []
            case .header: throw WebPushError(.truncated, "the body ends in its header")
            case .records(var cipher, _):
                guard !buffer.isEmpty else { throw WebPushError(.truncated, "the last record is missing") }
                let (content, isLast) = try cipher.open(buffer[...])
                guard isLast else { throw WebPushError(.truncated, "the last record is missing") }
                (state, buffer) = (.ended, [])
                return Array(content)
            }
        } catch {
            state = .failed(error)
            throw error
        }
    }

    private func cipher(for header: ContentHeader) throws(WebPushError) -> RecordCipher {
        let material: SymmetricKey?
        do {
            material = try key(header)
        } catch let error as WebPushError {
            throw error
        } catch {
            material = nil
        }
        guard let material else { throw WebPushError(.unknownKey, "no key is known by that name") }
        return RecordCipher(keyMaterial: material, salt: header.salt)
    }

    private mutating func takeRecords() throws(WebPushError) -> [UInt8] {
        var out: [UInt8] = []
        if case .records(var cipher, let size) = state {
            var start = 0
            var ended = false
            while !ended, buffer.count - start >= size {
                let (content, isLast) = try cipher.open(buffer[start..<start + size])
                out += content
                start += size
                ended = isLast
            }
            buffer.removeFirst(start)
            state = ended ? .ended : .records(cipher, size: size)
        }
        if case .ended = state, !buffer.isEmpty { throw WebPushError(.malformed, "something follows the last record") }
        guard buffer.count <= limits.record else { throw WebPushError(.limit, "a record is too large") }
        return out
    }

    /// A whole body at once.
    public static func decode(
        _ body: [UInt8],
        limits: Limits = Limits(),
        key: @escaping @Sendable (ContentHeader) throws -> SymmetricKey?
    ) throws(WebPushError) -> [UInt8] {
        var decoder = ContentDecoder(limits: limits, key: key)
        let start = try decoder.append(body)
        return start + (try decoder.finish())
    }
}
