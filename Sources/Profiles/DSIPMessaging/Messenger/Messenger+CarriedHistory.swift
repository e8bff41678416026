import DSIPIdentity
import Encoding

/// The past of conversations that a ratchet carries, which no mailbox archives: each device keeps the last of it and tells it, as archive
/// records, to an own device that has come.
extension Messenger {
    /// Beside the object, with whom it was said: what one has said oneself does not tell.
    private static var peerMember: String { "peer" }

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
    private mutating func restore(_ record: ArchiveRecord, with peer: DID) throws(MessagingError) {
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
        let said = Saying(
            group: record.group,
            thread: thread,
            conversation: record.conversation,
            order: place << 1 | 1,
            seq: max(1, place),
            sender: record.sender,
            device: record.senderDevice,
            receivedAt: record.receivedAt,
            blobs: [],
            origin: .restored,
            payload: payload
        )
        try apply(object, said)
    }

    /// Below all others, and by time among themselves.
    private static func earlierPlace(_ time: Int64) -> Int64 { min(max(0, time), 1 << 40) - 1 << 41 }

    // MARK: Telling

    /// Objects of one conversation kept for devices that come later.
    private static var kept: Int64 { 512 }
    /// Objects told to a device that has come.
    private static var told: Int { 2048 }
    /// Bytes of records in one message; a record by itself is smaller than a message.
    private static var bytesAtOnce: Int { 16_384 }
    /// Seconds for which what comes is handed on to a device that has come: so long its peers may not have heard of it.
    private static var handedOn: Int64 { 7200 }

    /// Keeps what was said for own devices that come later. What is to disappear is not kept.
    mutating func keep(_ said: Saying) throws(MessagingError) {
        guard let peer = try ledger.conversation(said.thread)?.peer, var payload = said.payload.object,
            payload["disappear_after_s"] == nil
        else { return }
        payload[Self.peerMember] = .string(peer.string)
        let (record, place) = (ArchiveRecord(said, payload).json, said.seq)
        ledger.set(.history, peer.string, OutboxItem.key(place), record.utf8)
        if place > Self.kept { ledger.set(.history, peer.string, OutboxItem.key(place - Self.kept), nil) }
        let came = try ledger.row(.setting, "", "sibling-came").flatMap { RowReader($0) }?.int("at") ?? 0
        if said.sender == peer, now - came < Self.handedOn { outgoing.append(.copy(Self.past([record]), of: peer)) }
    }

    private static func past(_ records: [JSONValue]) -> JSONValue {
        ["object": .string(RatchetConfiguration.past), "records": .array(records)]
    }

    /// A device of this identity has come: it is told what was said, and what of it was read.
    public mutating func siblingCame(at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            var row = RowWriter()
            row.put("at", now)
            messenger.ledger.set(.setting, "", "sibling-came", row.bytes)
            var room = Self.told
            let records = try messenger.ledger.store.conversations().filter { $0.peer != nil && !$0.isRemoved }
            for record in records.sorted(by: { ($0.lastActivity, $0.id) > ($1.lastActivity, $1.id) }) {
                room -= try messenger.tellPast(of: record, room)
                if room <= 0 { return }
            }
        }.1
    }

    private mutating func tellPast(of record: ConversationRecord, _ room: Int) throws(MessagingError) -> Int {
        guard let peer = record.peer else { return 0 }
        let rows = try ledger.rows(.history, peer.string).suffix(room)
        var (records, bytes): ([JSONValue], Int) = ([], 0)
        for row in rows {
            guard let record = RowReader(row.value)?.value else { continue }
            if bytes + row.value.count > Self.bytesAtOnce {
                outgoing.append(.copy(Self.past(records), of: peer))
                (records, bytes) = ([], 0)
            }
            records.append(record)
            bytes += row.value.count
        }
        if !records.isEmpty { outgoing.append(.copy(Self.past(records), of: peer)) }
        // In a group that the conversation goes on in, own devices tell each other how far was read.
        if try carriedPeer(of: record.id) == peer, let conversation = try wire(record.id),
            let read = try readMarks(of: identity.string, in: record.id).highest?.message
        {
            let receipt = Receipt(
                id: newULID(),
                conversation: conversation,
                sender: identity,
                sentAt: now,
                .read(through: read)
            )
            outgoing.append(.copy(receipt.json, of: peer))
        }
        return rows.count
    }

    /// Whether it is of the past, told by another device of this identity; then it is taken in.
    mutating func isPast(_ arrival: RatchetArrival) throws(MessagingError) -> Bool {
        guard arrival.object["object"]?.string == RatchetConfiguration.past else { return false }
        guard arrival.sender == identity else { return true }
        for value in arrival.object["records"]?.array ?? [] {
            guard let record = try? ArchiveRecord(value), carriedPeer(of: record) == arrival.peer else { continue }
            try restore(record, with: arrival.peer)
        }
        return true
    }
}

extension ArchiveRecord {
    init(_ said: Saying, _ payload: JSONObject) {
        self.init(
            conversation: said.conversation,
            group: said.group,
            seq: said.seq,
            sender: said.sender,
            senderDevice: said.device,
            receivedAt: said.receivedAt,
            payload: payload
        )
    }
}
