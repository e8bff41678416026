import DSIPIdentity
import DSIPSignaling
import Encoding

/// What a processor signed about a publication that was verified (DSIP §22.3). It never replaces the publisher's word.
public struct ProvenanceRecord: Sendable {
    /// The registered operation that makes something else of the media; all others deliver it.
    public static let transcode = "transcode"

    /// What the publisher's policy forbids and a processor says it did. Shown, not enforced (DSIP §16.4).
    public enum PolicyViolation: String, Hashable, Sendable { case redistribution, transcoding }

    public let id: ULID
    public let statement: Provenance
    public let policyViolation: PolicyViolation?
    /// Unix seconds.
    public let expiresAt: Int64
    /// As signed, to be handed on unchanged.
    public let envelope: Envelope

    /// - Throws: the first rule that the statement breaks; the publication stands.
    public init(_ verified: Verified<Message>, about record: PublicationRecord) throws(BroadcastError) {
        guard case .provenance(let statement) = verified.body.body else { throw .unexpectedType }
        guard statement.originalPublication == record.id else { throw .provenanceUnknownPublication }
        guard statement.originalStream == record.streamID else { throw .provenanceStreamMismatch }
        guard statement.processor == verified.principal else { throw .provenanceProcessorMismatch }
        guard record.variants.contains(where: { $0.id == statement.inputVariant }) else {
            throw .provenanceVariantUnknown
        }
        id = verified.body.id
        self.statement = statement
        policyViolation = ProvenanceRecord.violation(statement, record.publish.policy)
        expiresAt = verified.body.expiresAt
        envelope = verified.envelope
    }

    public var isTranscode: Bool { statement.operation == ProvenanceRecord.transcode }

    private static func violation(_ statement: Provenance, _ policy: MediaPolicy?) -> PolicyViolation? {
        if policy?["redistribution"] == "forbidden" { return .redistribution }
        return statement.operation == transcode && policy?["transcoding"] == "forbidden" ? .transcoding : nil
    }
}
