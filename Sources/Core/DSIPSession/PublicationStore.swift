import DSIPIdentity
import Encoding

/// The publication records an authority holds, newest by stream (DSIP §22.1).
struct PublicationStore: Sendable {
    struct Record: Hashable, Sendable {
        let publication: Publication
        /// As published, then `withdrawn` or `expired`.
        var state: String
        /// Whose statements are attached, in order (DSIP §22.3).
        var processors: [DID] = []
    }

    private(set) var records: [String: Record] = [:]
    private var streams: [ULID: String] = [:]
    private var perPublisher: [DID: Int] = [:]

    func stream(of publication: ULID) -> String? { streams[publication] }

    subscript(stream: String) -> Record? { records[stream] }

    mutating func publish(
        _ publication: Publication,
        limits: SubscriptionAuthority.Limits
    ) throws(BroadcastDrop) {
        guard publication.publisher == publication.identity else { throw .publisherMismatch }
        let namespace = publication.publisher.string
        guard publication.stream == namespace || publication.stream.utf8.starts(with: (namespace + ":").utf8) else {
            throw .streamIDNamespace
        }
        if let held = records[publication.stream] {
            guard held.publication.id < publication.id else { throw .stalePublication }
            streams[held.publication.id] = nil
        } else {
            guard records.count < limits.publications,
                perPublisher[publication.publisher, default: 0] < limits.publicationsPerPublisher
            else { throw .tooMany }
            perPublisher[publication.publisher, default: 0] += 1
        }
        streams[publication.id] = publication.stream
        records[publication.stream] = Record(publication: publication, state: publication.state)
    }

    mutating func withdraw(_ withdrawal: Withdrawal) throws(BroadcastDrop) {
        guard withdrawal.publisher == withdrawal.identity else { throw .publisherMismatch }
        guard var record = records[withdrawal.stream], record.publication.id == withdrawal.publication,
            record.state != "withdrawn"
        else { throw .unknownPublication }
        guard record.publication.publisher == withdrawal.publisher else { throw .publisherMismatch }
        record.state = "withdrawn"
        records[withdrawal.stream] = record
    }

    /// - Returns: whether the record's state changed.
    mutating func expire(_ stream: String) -> Bool {
        guard var record = records[stream], !["ended", "withdrawn", "expired"].contains(record.state) else {
            return false
        }
        record.state = "expired"
        records[stream] = record
        return true
    }

    mutating func forget(_ stream: String) {
        guard let publication = records.removeValue(forKey: stream)?.publication else { return }
        streams[publication.id] = nil
        let left = perPublisher[publication.publisher, default: 1] - 1
        perPublisher[publication.publisher] = left > 0 ? left : nil
    }

    /// Attaches a processor's statement; it never replaces the publisher.
    mutating func attach(
        _ statement: ProvenanceStatement,
        limits: SubscriptionAuthority.Limits
    ) throws(BroadcastDrop) {
        guard let stream = streams[statement.publication], var record = records[stream] else {
            throw .provenanceUnknownPublication
        }
        guard stream == statement.stream else { throw .provenanceStreamMismatch }
        guard statement.processor == statement.identity else { throw .provenanceProcessorMismatch }
        guard record.publication.variants.contains(statement.inputVariant) else { throw .provenanceVariantUnknown }
        if !record.processors.contains(statement.processor) {
            guard record.processors.count < limits.statementsPerPublication else { throw .tooMany }
            record.processors.append(statement.processor)
        }
        records[stream] = record
    }
}
