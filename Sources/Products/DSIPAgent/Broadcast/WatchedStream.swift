import DSIPBroadcast
import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding

/// One stream that is followed, and the subscription by which. Confined to the agent actor.
final class WatchedStream {
    let stream: String
    /// The identity of ours that subscribes.
    let owner: DID
    let publisher: DID
    /// The relay that answers for the stream.
    let path: String
    var subscriber = Subscriber()
    /// The one that was asked for last.
    var subscription: ULID?
    /// Unix seconds at which it is asked for anew.
    var dueAt: Int64?
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

    init(stream: String, owner: DID, publisher: DID, path: String) {
        self.stream = stream
        self.owner = owner
        self.publisher = publisher
        self.path = path
    }

    init?(_ json: JSONValue) {
        guard let stream = json["stream"]?.string, let owner = json["owner"]?.string.flatMap({ DID($0) }),
            let publisher = json["publisher"]?.string.flatMap({ DID($0) }), let path = json["path"]?.string,
            StreamID.isStream(stream, of: publisher)
        else { return nil }
        self.stream = stream
        self.owner = owner
        self.publisher = publisher
        self.path = path
        self.renewal = json["renewal"]?.int
    }

    var json: JSONValue {
        var object: JSONObject = [
            "stream": .string(stream), "owner": .string(owner.string), "publisher": .string(publisher.string),
            "path": .string(path),
        ]
        object["renewal"] = renewal.map { .int($0) }
        return .object(object)
    }

    /// When the subscription machine, a new request or a new record is due. Unix seconds.
    var nextDeadline: Int64? { [dueAt, subscriber.nextDeadline, renewalDue].compactMap(\.self).min() }

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
