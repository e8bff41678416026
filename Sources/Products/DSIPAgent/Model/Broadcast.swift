import DSIPBroadcast
import DSIPIdentity
import DSIPSignaling
import Encoding

/// A stream that is followed: what its publisher signed, who says to have had it in hands, and what the authority says of now.
public struct Broadcast: Sendable {
    public enum State: String, Sendable {
        /// As the publisher signed it.
        case live, scheduled, ended
        /// As the authority says.
        case withdrawn, expired
        /// Nothing is known yet, or the authority cannot be reached.
        case waiting
        /// The authority has no such stream, or none for us: it does not say which.
        case unavailable
    }

    public var stream: String
    public var isOwn: Bool
    public var publisher: Peer
    public var state: State
    /// Whether the authority can be heard now: else this is what it said last.
    public var isCurrent: Bool
    public var record: PublicationRecord?
    public var statements: [ProvenanceRecord]
    /// Statements that came with the record and did not verify, by their codes.
    public var refused: [String]
    /// Why the record that came was not believed.
    public var fault: String?

    /// How a receiver with these capabilities takes it; nil before there is a record.
    func reception(_ capabilities: ReceiverCapabilities) -> Reception? {
        record.map { Reception($0, statements: statements, capabilities: capabilities) }
    }

    public var json: JSONValue {
        var json: JSONObject = [
            "stream": .string(stream), "own": .bool(isOwn), "publisher": publisher.json,
            "state": .string(state.rawValue), "current": .bool(isCurrent), "record": record.map(\.view) ?? .null,
            "provenance": .array(statements.map(\.view)),
            "refused_statements": .array(refused.map { .string($0) }), "fault": .optional(fault),
        ]
        if let whole = reception(ReceiverCapabilities(codecs: [], transports: [])) {
            json["integrity"] = .string(whole.integrity.rawValue)
            json["delivered_by"] = .array(whole.deliveredBy.map { .string($0.string) })
            json["transcoded_by"] = .array(whole.transcodedBy.map { .string($0.string) })
        }
        return .object(json)
    }
}

extension PublicationRecord {
    /// What it says, for people; `envelope` is what was signed.
    fileprivate var view: JSONValue {
        [
            "publication": .string(id.description), "signer": .string(signer.did.string),
            "title": .optional(publish.title),
            "integrity": .string(declaredIntegrity(of: nil).rawValue),
            "variants": .array(variants.map { $0.view(integrity: declaredIntegrity(of: $0)) }),
            "policy": .object(
                JSONObject((publish.policy?.statements ?? [:]).sorted { $0.key < $1.key }.map { ($0, .string($1)) })
            ),
            "issued_at": .int(issuedAt), "expires_at": .int(expiresAt),
        ]
    }
}

extension Publish.Variant {
    fileprivate func view(integrity: IntegrityMode) -> JSONValue {
        [
            "id": .string(id), "media": .array(media.map { .string($0.rawValue) }), "codec": .string(codec),
            "transport": .string(transport), "uri": .string(uri), "integrity": .string(integrity.rawValue),
        ]
    }
}

extension ProvenanceRecord {
    fileprivate var view: JSONValue {
        [
            "id": .string(id.description), "processor": .string(statement.processor.string),
            "basis": .array(TrustLines.lines(for: statement.processor).map { .string($0) }),
            "operation": .string(statement.operation), "input_variant": .string(statement.inputVariant),
            "output_variant": .string(statement.outputVariant), "output_uri": .optional(statement.outputURI),
            "policy_violation": .optional(policyViolation?.rawValue),
        ]
    }
}
