import DSIPBroadcast
import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding

/// One stream that is followed. Confined to the agent actor.
final class WatchedStream: Following {
    let publisher: DID
    var state = Broadcast.State.waiting
    var record: PublicationRecord?
    var statements: [ProvenanceRecord] = []
    var refused: [String] = []
    var fault: String?
    /// Seconds for which a record of ours is published anew before it ends, as long as this agent runs; nil where it just ends.
    var renewal: Int64?
    /// When that was last tried. Unix seconds.
    var renewedAt: Int64 = 0
    /// Of notifies, in the order they came: what is verified later than a newer one is not shown any more.
    var arrivals = 0
    var shownArrival = 0

    var stream: String { target }

    init(stream: String, owner: DID, publisher: DID, path: String) {
        self.publisher = publisher
        super.init(stream, Subscribe.publication, as: owner, at: path)
    }

    init?(_ json: JSONValue) {
        guard let stream = json["stream"]?.string, let owner = json["owner"]?.string.flatMap({ DID($0) }),
            let publisher = json["publisher"]?.string.flatMap({ DID($0) }), let path = json["path"]?.string,
            StreamID.isStream(stream, of: publisher)
        else { return nil }
        self.publisher = publisher
        self.renewal = json["renewal"]?.int
        super.init(stream, Subscribe.publication, as: owner, at: path)
    }

    var json: JSONValue {
        var object: JSONObject = [
            "stream": .string(stream), "owner": .string(owner.string), "publisher": .string(publisher.string),
            "path": .string(path),
        ]
        object["renewal"] = renewal.map { .int($0) }
        return .object(object)
    }

    /// When the subscription or a new record is due. Unix seconds.
    var nextDeadline: Int64? { [subscriptionDue, renewalDue].compactMap(\.self).min() }

    /// When the record that is on is published anew: with two fifths of its life left, and every minute while that does not succeed.
    var renewalDue: Int64? {
        guard let renewal, let record, state == .live || state == .scheduled else { return nil }
        return max(record.expiresAt - renewal * 2 / 5, renewedAt + 60)
    }

    /// Takes what was verified of the `arrival`th notify.
    ///
    /// - Returns: false when something newer is shown already.
    func show(_ record: PublicationRecord, _ statements: [ProvenanceRecord], refused: [String], of arrival: Int) -> Bool
    {
        guard arrival > shownArrival else { return false }
        if let held = self.record, held.id != record.id, !record.replaces(held) {
            // An authority that goes back to an older record is not followed there.
            fault = "stale-publication"
            return true
        }
        shownArrival = arrival
        (self.record, self.statements, self.refused, fault) = (record, statements, refused, nil)
        return true
    }
}
