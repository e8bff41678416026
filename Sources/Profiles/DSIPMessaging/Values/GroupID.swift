import Encoding

/// An MLS group id as messages carry it: base64url of the UTF-8 of a ULID. M§6.3
public struct GroupID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let text: String

    init(_ encoded: EncodedBytes) { self.text = encoded.text }

    /// - Returns: nil unless `text` is at least one character of the base64url alphabet.
    public init?(_ text: String) {
        guard let encoded = EncodedBytes(text) else { return nil }
        self.init(encoded)
    }

    /// The id of a new group.
    public init(_ id: ULID) { self.init(EncodedBytes(Array(id.description.utf8))) }

    /// The MLS `group_id`; nil when the text does not decode.
    public var bytes: [UInt8]? { Base64URL.decode(text) }

    /// The ULID inside, by which successors are compared; nil when there is none. M§7.5
    public var ulid: ULID? { bytes.flatMap { $0.withUnsafeBytes { ULID(utf8: $0) } } }

    public var description: String { text }
    /// By text, for stable orders; not the order of successors.
    public static func < (a: GroupID, b: GroupID) -> Bool { a.text < b.text }
}
