import Encoding

/// Bytes carried as base64url text, kept as the text they came in.
///
/// The text has the right alphabet; whether its unused trailing bits are zero is judged only by ``bytes``, so that decoders that
/// differ on them agree about size. M§5.1
public struct EncodedBytes: Hashable, Sendable {
    public let text: String

    /// - Returns: nil unless `text` is at least one character of the base64url alphabet.
    public init?(_ text: String) {
        guard !text.isEmpty, Grammar.isBase64URL(text) else { return nil }
        self.text = text
    }

    /// - Precondition: there is at least one byte.
    public init(_ bytes: some Collection<UInt8>) {
        precondition(!bytes.isEmpty, "nothing to carry")
        self.text = Base64URL.encode(bytes)
    }

    /// ⌊length × 3 / 4⌋ of the text. M§5.1
    public var decodedCount: Int { text.utf8.count * 3 / 4 }

    /// Nil when the text is no base64url after all.
    public var bytes: [UInt8]? { Base64URL.decode(text) }
}
