import DSIPIdentity
import DSIPSignaling
import Encoding

/// A publication that its publisher signed, in the publisher's own namespace (DSIP §22.1). Only a verified `publish` makes one.
public struct PublicationRecord: Sendable {
    public let id: ULID
    public let publish: Publish
    /// The key that signed: the publisher's own, or that of a device it delegated.
    public let signer: DIDURL
    /// Unix seconds.
    public let issuedAt: Int64
    public let expiresAt: Int64
    /// As signed, to be handed on unchanged.
    public let envelope: Envelope

    public init(_ verified: Verified<Message>) throws(BroadcastError) {
        guard case .publish(let publish) = verified.body.body else { throw .unexpectedType }
        guard publish.publisher == verified.principal else { throw .publisherMismatch }
        guard StreamID.isStream(publish.streamID, of: publish.publisher) else { throw .streamIDNamespace }
        id = verified.body.id
        self.publish = publish
        signer = verified.signer
        issuedAt = verified.body.issuedAt
        expiresAt = verified.body.expiresAt
        envelope = verified.envelope
    }

    public var publisher: DID { publish.publisher }
    public var streamID: String { publish.streamID }
    public var variants: [Publish.Variant] { publish.variants }

    /// What the publisher commits to for a variant: the variant's own word, else the record's (DSIP §22.2).
    ///
    /// - Parameter variant: nil for the record as a whole.
    public func declaredIntegrity(of variant: Publish.Variant?) -> IntegrityMode {
        IntegrityMode(declared: variant?.parameters["integrity"]?.string ?? publish.integrity)
    }

    /// Whether this takes the place of `held`, of the same stream: ids order in time (DSIP §22.1).
    public func replaces(_ held: PublicationRecord) -> Bool { streamID == held.streamID && held.id < id }
}

/// Stream ids live in their publisher's namespace (DSIP §22.1).
public enum StreamID {
    /// Bytes; longer ones are nobody's stream.
    public static let maximumBytes = 512

    /// Whether `id` is `publisher` or a colon-suffixed extension of it.
    public static func isStream(_ id: String, of publisher: DID) -> Bool {
        let namespace = publisher.string
        guard id.utf8.count <= maximumBytes, id.utf8.starts(with: namespace.utf8) else { return false }
        let rest = id.utf8.dropFirst(namespace.utf8.count)
        return rest.isEmpty || (rest.first == UInt8(ascii: ":") && rest.count > 1)
    }

    /// Whose stream it could be, the longest DID first: nothing in a stream id says where its publisher ends. At most 8.
    public static func publishers(of id: String) -> [DID] {
        guard id.utf8.count <= maximumBytes else { return [] }
        var parts = id.split(separator: ":", omittingEmptySubsequences: false)
        // A did:key, and every other method of one part, has no namespace of its own beneath it.
        if parts.count > 3, parts[1] != "web", parts[1] != "webvh" { parts.removeLast(parts.count - 3) }
        var candidates: [DID] = []
        while parts.count >= 3, candidates.count < 8 {
            if let did = DID(parts.joined(separator: ":")) { candidates.append(did) }
            parts.removeLast()
        }
        return candidates
    }
}
