import DSIPSignaling

/// Why a record or a statement is not believed. Equal by ``code``.
public enum BroadcastError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A rule that every envelope keeps.
    case envelope(Rejection)
    /// The message is of another type than the one looked for.
    case unexpectedType
    /// `publisher` is not the identity that signed (DSIP §22.1).
    case publisherMismatch
    /// `stream_id` is not in the publisher's namespace (DSIP §22.1).
    case streamIDNamespace
    /// The statement names another publication, or one that was never verified (DSIP §22.3).
    case provenanceUnknownPublication
    case provenanceStreamMismatch
    /// `processor` is not the identity that signed.
    case provenanceProcessorMismatch
    /// The publication advertises no such variant.
    case provenanceVariantUnknown

    /// The conformance vectors' word for it.
    public var code: String {
        switch self {
        case .envelope(let rejection): rejection.code.rawValue
        case .unexpectedType: "unexpected-type"
        case .publisherMismatch: "publisher-mismatch"
        case .streamIDNamespace: "stream-id-namespace"
        case .provenanceUnknownPublication: "provenance-unknown-publication"
        case .provenanceStreamMismatch: "provenance-stream-mismatch"
        case .provenanceProcessorMismatch: "provenance-processor-mismatch"
        case .provenanceVariantUnknown: "provenance-variant-unknown"
        }
    }

    public var description: String {
        if case .envelope(let rejection) = self { rejection.description } else { code }
    }

    public static func == (a: BroadcastError, b: BroadcastError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
