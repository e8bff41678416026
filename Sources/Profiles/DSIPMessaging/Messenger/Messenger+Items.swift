import Crypto
import DSIPIdentity
import Encoding
import MLS

extension Messenger {
    /// An item of a mailbox: new, a copy, or too early, as ``DeviceInbox`` says.
    mutating func received(_ item: StoredItem, from mailbox: DID) throws(MessagingError) {
        if let id = item.group, joining.contains(id), [.handshake, .application, .welcome].contains(item.itemClass) {
            inbox.cursors[mailbox] = item.cursor
            return try keepForJoin(item, in: id)
        }
        let welcome = item.itemClass == .welcome ? Self.welcome(item) : nil
        var references: [String] = []
        if let welcome { references = try ownReferences(in: welcome) }
        let actions = inbox.received(
            DeviceSync.Item(
                cursor: item.cursor,
                itemClass: item.itemClass,
                group: item.group,
                seq: item.seq,
                isSiblings: item.itemClass == .welcome && references.isEmpty
            ),
            from: mailbox,
            at: now
        )
        if let group = item.group { dirtyGroups.insert(group) }
        for action in actions {
            switch action {
            case .process:
                try unlessRefused { messenger throws(MessagingError) in
                    try messenger.process(item, welcome, references)
                }
            case .hold: hold(item)
            case .release, .rejoin: try follow(action, in: item.group)
            case .skip: notePassed(item)
            case .duplicate, .siblings: break
            }
        }
    }

    /// What the inbox asks for beyond the item that came.
    func isFollowUp(_ action: DeviceInbox.Action) -> Bool {
        switch action {
        case .release, .rejoin: true
        case .process, .hold, .duplicate, .siblings, .skip: false
        }
    }

    mutating func follow(_ action: DeviceInbox.Action, in group: GroupID?) throws(MessagingError) {
        switch action {
        case .release(let list):
            guard let group else { return }
            for seq in list {
                try unlessRefused { messenger throws(MessagingError) in try messenger.release(seq, of: group) }
            }
        case .rejoin(let group, let dropped):
            for seq in dropped { try drop(seq, of: group) }
            for seq in inbox.missed(in: group) { noteUnopened(seq, in: group) }
            try lose(group)
        case .process, .hold, .duplicate, .siblings, .skip: break
        }
    }

    /// What cannot be done with an item now never can: none keeps those behind it from being read.
    private mutating func unlessRefused(
        _ body: (inout Self) throws(MessagingError) -> Void
    ) throws(MessagingError) {
        do throws(MessagingError) {
            try body(&self)
        } catch {
            guard error.code == .refused else { throw error }
        }
    }

    private mutating func process(
        _ item: StoredItem,
        _ welcome: Welcome?,
        _ references: [String]
    ) throws(MessagingError) {
        switch item.itemClass {
        case .handshake, .application: try sequenced(item)
        case .welcome:
            guard let welcome, let reference = references.first else { return }
            try join(welcome, reference, item)
        case .groupInfo: try receivedGroupInfo(item)
        case .archive: try receivedArchive(item)
        case .introduction, .grant: try receivedContact(item)
        default: break
        }
    }

    // MARK: Held items

    private mutating func hold(_ item: StoredItem) {
        guard let group = item.group, let seq = item.seq else { return }
        ledger.set(.held, group.text, OutboxItem.key(seq), item.json.utf8)
    }

    private mutating func held(_ seq: Int64, of group: GroupID) throws(MessagingError) -> StoredItem? {
        let key = OutboxItem.key(seq)
        guard let bytes = try ledger.row(.held, group.text, key), let row = RowReader(bytes) else { return nil }
        ledger.set(.held, group.text, key, nil)
        return try? StoredItem(row.value)
    }

    private mutating func release(_ seq: Int64, of group: GroupID) throws(MessagingError) {
        guard let item = try held(seq, of: group) else { return }
        try sequenced(item)
    }

    mutating func drop(_ seq: Int64, of group: GroupID) throws(MessagingError) {
        guard let item = try held(seq, of: group) else { return }
        guard item.itemClass == .application else { return try noteMove(item, in: group) }
        noteUnopened(seq, in: group)
    }

    // MARK: In the order of the hub

    /// The next item of a group, in order as far as that matters.
    mutating func sequenced(_ item: StoredItem) throws(MessagingError) {
        guard let id = item.group, let seq = item.seq, let group = groups[id], let bytes = item.mls?.bytes else {
            return
        }
        heard(fromHubOf: id, seq)
        // M§6.5: its own items are known by their bytes, and never opened.
        if let own = outbox[group.thread]?.first(where: { $0.group == id && $0.mls?.bytes == bytes }) {
            try ordered(own.id, in: id, as: seq)
            return
        }
        if item.itemClass == .application, try stray(bytes, in: id, as: seq) { return }
        if group.stalledOn != nil {
            stall(item)
            return
        }
        guard group.phase == .active || group.phase == .founding else {
            if group.phase == .lost {
                try noteMove(item, in: id)
                try keepForReturn(item, seq, in: id)
            }
            return
        }
        guard let message = try? MLSMessage(decoding: bytes), message.claimedGroupID == id.bytes else { return }
        if item.itemClass == .handshake {
            try handshake(message, item, in: id, seq)
        } else {
            try application(message, item, in: id, seq)
        }
    }

    private mutating func application(
        _ message: MLSMessage,
        _ item: StoredItem,
        in id: GroupID,
        _ seq: Int64
    ) throws(MessagingError) {
        guard case .privateMessage = message, let epoch = message.claimedEpoch, var mls = try mlsGroup(id),
            let group = groups[id]
        else { return }
        // M§12.3: said before this device was there, or by who did not know yet that it is: what is ordered behind its coming is asked for.
        guard epoch >= group.joinedEpoch else { return noteUnopened(seq, in: id) }
        let opened: ApplicationMessage
        do throws(MLSError) {
            guard case .application(let message) = try mls.process(message, at: UInt64(now)) else { return }
            opened = message
        } catch {
            // Ahead of us: a commit is on its way still, or was missed.
            if error.code == .wrongEpoch, epoch > mls.epoch {
                if inbox.holdBack(seq, of: id, at: now) { return hold(item) }
                try lose(id)
            }
            noteUnopened(seq, in: id)
            return
        }
        set(mls, for: id)
        update(id) { $0.unopened.removeAll { $0 == seq } }
        guard let sender = try roster(of: id).entry(at: opened.sender, epoch: opened.epoch) else {
            return noteUnopened(seq, in: id)
        }
        // M§6.2: not by a leaf whose delegation had ended. Its device is asked to say it by the one that it has now.
        guard sender.expiresAt > item.storedAt else { return noteUnopened(seq, in: id) }
        let context = ObjectContext(conversation: group.conversation, kind: group.kind, sender: sender.identity)
        guard let payload = try? MessagingObject.parse(opened.data),
            let object = try? MessagingObject(payload, in: context)
        else { return }
        try apply(
            object,
            Saying(
                group: id,
                thread: group.thread,
                conversation: group.conversation,
                order: group.order(seq),
                seq: seq,
                sender: sender.identity,
                device: sender.device,
                receivedAt: item.storedAt,
                blobs: item.blobs,
                origin: .live,
                payload: payload,
                isLate: opened.epoch < mls.epoch
            )
        )
    }

    // MARK: Waiting for a document

    /// Processes what waited for a document that came now.
    mutating func unstall(_ did: DID) throws(MessagingError) {
        for id in groups.keys.sorted() where groups[id]?.stalledOn == did {
            update(id) { $0.stalledOn = nil }
            for row in try ledger.rows(.held, Self.stallScope(id)) {
                ledger.set(.held, Self.stallScope(id), row.key, nil)
                guard let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }) else { continue }
                try sequenced(item)
            }
        }
    }

    mutating func stall(_ item: StoredItem, on did: DID? = nil) {
        guard let id = item.group, let seq = item.seq else { return }
        if let did {
            update(id) { $0.stalledOn = did }
            awaitDocument(of: did)
        }
        ledger.set(.held, Self.stallScope(id), OutboxItem.key(seq), item.json.utf8)
    }

    /// What waits for a document is of epochs that the device will not see.
    mutating func loseStalled(_ id: GroupID) throws(MessagingError) {
        update(id) { $0.stalledOn = nil }
        for row in try ledger.rows(.held, Self.stallScope(id)) {
            ledger.set(.held, Self.stallScope(id), row.key, nil)
            guard let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }) else { continue }
            if let seq = item.seq, item.itemClass == .application { noteUnopened(seq, in: id) }
        }
    }

    private static func stallScope(_ id: GroupID) -> String { "stalled/" + id.text }

    // MARK: While lost

    /// What comes while the device is on its way back may be of the epochs after its return.
    private mutating func keepForReturn(_ item: StoredItem, _ seq: Int64, in id: GroupID) throws(MessagingError) {
        guard groups[id]?.commitItem != nil else {
            if item.itemClass == .application { noteUnopened(seq, in: id) }
            return
        }
        ledger.set(.held, Self.lostScope(id), OutboxItem.key(seq), item.json.utf8)
    }

    /// The device is back with `seq`: what came since is read, what came before is asked for.
    mutating func readSinceReturn(to id: GroupID, at seq: Int64) throws(MessagingError) {
        let rows = try ledger.rows(.held, Self.lostScope(id))
        for row in rows {
            ledger.set(.held, Self.lostScope(id), row.key, nil)
            guard let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }), let place = item.seq else {
                continue
            }
            if place > seq {
                try sequenced(item)
            } else if item.itemClass == .application {
                noteUnopened(place, in: id)
            }
        }
    }

    private static func lostScope(_ id: GroupID) -> String { "lost/" + id.text }

    // MARK: Welcomes

    private static func welcome(_ item: StoredItem) -> Welcome? {
        guard let bytes = item.mls?.bytes, case .welcome(let welcome) = try? MLSMessage(decoding: bytes) else {
            return nil
        }
        return welcome
    }

    /// Those of this device's KeyPackages that a welcome answers, by their rows.
    private func ownReferences(in welcome: Welcome) throws(MessagingError) -> [String] {
        var found: [String] = []
        for entry in welcome.secrets.prefix(65_536) {
            let key = Hex.encode(entry.newMember)
            if try ledger.row(.keyPackage, "", key) != nil { found.append(key) }
        }
        return found
    }

    // MARK: What did not open

    /// Remembers an item that did not open, to be asked for again; nothing of it is shown.
    mutating func noteUnopened(_ seq: Int64, in id: GroupID) {
        update(id) { group in
            guard !group.unopened.contains(seq), group.unopened.count < GroupState.maximumUnopened else { return }
            group.unopened.append(seq)
        }
    }
}
