import Crypto
import DSIPIdentity
import Encoding

/// The past of conversations that a ratchet carries: it lies in the identity's archive like that of groups, for its other devices. No hub
/// has numbered it, so a record's number is made of what it holds, and is the same whichever device files it.
extension Messenger {
    /// Beside the object, with whom it was said: what one has said oneself does not tell.
    private static var peerMember: String { "peer" }

    /// As it is filed; nil for what is filed nowhere.
    func filed(_ said: Saying) throws(MessagingError) -> Saying? {
        guard said.origin == .carried else { return said }
        guard let peer = try ledger.conversation(said.thread)?.peer, var payload = said.payload.object else {
            return nil
        }
        var filed = said
        filed.seq = Self.number(of: payload)
        payload[Self.peerMember] = .string(peer.string)
        filed.payload = .object(payload)
        return filed
    }

    /// 52 bits of a hash. A receipt that was translated has an id of its own on each device.
    private static func number(of payload: JSONObject) -> Int64 {
        let isReceipt = payload["object"]?.string == "receipt"
        let named = JSONObject(members: payload.members.filter { isReceipt ? $0.name != "id" : $0.name == "id" })
        let digest = SHA256.hash(
            data: Array("\(payload["object"]?.string ?? "")\u{0}".utf8) + JSONValue.object(named).utf8
        )
        let bits = digest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return max(1, Int64(bits >> 12))
    }

    /// With whom a record's conversation is, when a ratchet carried it.
    func carriedPeer(of record: ArchiveRecord) -> DID? {
        guard record.group == GroupID(record.conversation), groups[record.group] == nil,
            let peer = record.payload[Self.peerMember]?.string.flatMap({ DID($0) }), peer != identity,
            RatchetConfiguration.conversation(identity, peer) == record.conversation,
            record.sender == peer || record.sender == identity
        else { return nil }
        return peer
    }

    /// Takes a record in. Of what is later than all that is shown the place is behind it; what is earlier stands before it.
    mutating func restore(_ record: ArchiveRecord, with peer: DID, _ blobs: [BlobReference]) throws(MessagingError) {
        let known = directs[peer]
        guard let thread = known == nil ? try carriedThread(with: peer, by: identity) : known else { return }
        let payload = JSONValue.object(
            JSONObject(members: record.payload.members.filter { $0.name != Self.peerMember })
        )
        let context = ObjectContext(conversation: record.conversation, kind: .direct, sender: record.sender)
        guard let object = try? MessagingObject(payload, in: context) else { return }
        if case .content(let content) = object, try ledger.message(content.id, in: thread) != nil { return }
        let last = try ledger.messages(in: thread, before: Self.pendingOrder, limit: 1).last
        let isLatest = last.map { $0.receivedAt <= record.receivedAt } ?? true
        let place = isLatest ? try carriedPlace(in: thread) : Self.earlierPlace(record.receivedAt)
        try apply(
            object,
            Saying(
                group: record.group,
                thread: thread,
                conversation: record.conversation,
                order: place << 1 | 1,
                seq: max(1, place),
                sender: record.sender,
                device: record.senderDevice,
                receivedAt: record.receivedAt,
                blobs: blobs,
                origin: .restored,
                payload: payload
            )
        )
    }

    /// Below all others, and by time among themselves.
    private static func earlierPlace(_ time: Int64) -> Int64 { min(max(0, time), 1 << 40) - 1 << 41 }
}
