import DSIPIdentity
import Encoding

extension Messenger {
    /// The key new records are sealed under: the newest, ties broken by id. M§12.1
    var currentArchiveKey: ArchiveKey? { archiveKeys.values.max { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) } }

    static var maximumArchiveKeys: Int { 1024 }

    // MARK: Keys

    mutating func received(_ key: ArchiveKey) throws(MessagingError) {
        guard archiveKeys[key.id] == nil, archiveKeys.count < Self.maximumArchiveKeys else { return }
        keep(key)
        if missingKeys.remove(key.id) != nil {
            ledger.set(.setting, Self.missingScope, key.id.description, nil)
            keyRequests = 0
        }
        try archiveUnsealed()
        for row in try ledger.rows(.archive, key.id.description) {
            ledger.set(.archive, key.id.description, row.key, nil)
            guard let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }) else { continue }
            try receivedArchive(item)
        }
    }

    private mutating func keep(_ key: ArchiveKey) {
        archiveKeys[key.id] = key
        var row = RowWriter()
        row.put("key", bytes: key.key)
        row.put("created", key.createdAt)
        ledger.set(.archiveKey, "", key.id.description, row.bytes)
    }

    private mutating func archiveUnsealed() throws(MessagingError) {
        for row in try ledger.rows(.early, "unsealed") {
            ledger.set(.early, "unsealed", row.key, nil)
            guard let said = RowReader(row.value).flatMap({ Saying($0, thread: newULID()) }) else { continue }
            try archive(said)
        }
        unsealed = 0
    }

    /// A new key, told to the identity's devices. M§12.1, M§12.4
    mutating func rotateArchiveKey() throws(MessagingError) {
        guard let thread = personalThread else { return }
        // Never older than what it follows, whatever the clock says.
        let key = ArchiveKey(
            id: newULID(),
            key: random.bytes(32),
            createdAt: max(now, (currentArchiveKey?.createdAt ?? 0) + 1)
        )
        keep(key)
        try archiveUnsealed()
        try queue(key.json, in: thread)
    }

    /// M§12.3 step 3: a new member cannot read what was said before it came.
    mutating func resendArchiveKeys() throws(MessagingError) {
        guard let thread = personalThread else { return }
        for key in archiveKeys.values.sorted(by: { $0.id < $1.id }) {
            let json = key.json
            let isQueued = outbox[thread]?.contains { $0.deposit == nil && $0.object == json.utf8 } ?? false
            if !isQueued { try queue(json, in: thread) }
        }
    }

    // MARK: Keys that are missing

    static var missingScope: String { "missing-keys" }
    /// Seconds between two requests for keys: the first is left time to come by itself.
    static var keyInterval: Int64 { 60 }

    /// When the identity's other devices are asked for the keys of records that cannot be opened.
    var keyDeadline: Int64? { lacksNoKeys || !canAskForKeys ? nil : keysAskedAt + keyPatience }

    /// Twice as long after each request that nobody could answer, at most an hour.
    private var keyPatience: Int64 { min(Self.keyInterval << min(keyRequests, 6), 3600) }

    private var lacksNoKeys: Bool { missingKeys.isEmpty && !archiveKeys.isEmpty }

    private var canAskForKeys: Bool { personal.flatMap { groups[$0] }?.phase == .active }

    mutating func askForKeys() throws(MessagingError) {
        guard !lacksNoKeys, canAskForKeys, let thread = personalThread else { return }
        if keysAskedAt == 0 { keysAskedAt = now }
        guard now - keysAskedAt >= keyPatience else { return }
        keysAskedAt = now
        keyRequests += 1
        // Nobody is left who has one: what is said from here on is kept for those who come.
        if archiveKeys.isEmpty { try rotateArchiveKey() }
        guard !missingKeys.isEmpty else { return }
        guard try !siblings.isEmpty, let conversation = current(thread)?.conversation else { return }
        let keys = Array(missingKeys.sorted().prefix(ArchiveKeyRequest.maximumKeys))
        let request = ArchiveKeyRequest(
            id: newULID(),
            conversation: conversation,
            sender: identity,
            sentAt: now,
            keys: keys
        )
        try queue(request.json, in: thread)
    }

    /// Another device lacks keys: all that this one has are said again, once.
    mutating func answer(_ request: ArchiveKeyRequest, _ said: Saying) throws(MessagingError) {
        guard said.origin == .live, said.device != device, groups[said.group]?.isPersonal == true,
            let thread = personalThread
        else { return }
        for id in request.keys {
            guard let json = archiveKeys[id]?.json else { continue }
            let isQueued = outbox[thread]?.contains { $0.object == json.utf8 } ?? false
            if !isQueued { try? queue(json, in: thread) }
        }
    }

    // MARK: Writing

    /// Seals what changed the picture and deposits it in every mailbox of the identity. M§12.2
    mutating func archive(_ said: Saying) throws(MessagingError) {
        guard settings.mode == .sync, let payload = said.payload.object, let groupBytes = said.group.bytes,
            isArchived(said.payload)
        else { return }
        guard let key = currentArchiveKey else {
            // A device that has no key yet has something to say already: it is archived when the key comes.
            guard unsealed < Self.maximumEarly else { return }
            unsealed += 1
            ledger.set(.early, "unsealed", said.group.text + OutboxItem.key(said.seq), said.encoded)
            return
        }
        let record = ArchiveRecord(said, payload)
        let sealed = try Seal.seal(
            record.json.utf8,
            key: key.key,
            nonce: random.bytes(Seal.nonceBytes),
            use: .archive(group: groupBytes, seq: UInt64(said.seq))
        )
        guard sealed.count <= MessagingProfile.maximumMLSBytes else { return }
        for service in configuration.mailboxes {
            addErrand(
                .archive,
                .deposit(
                    Deposit(
                        group: said.group,
                        .archive(.init(record: EncodedBytes(sealed), key: key.id, group: said.group, seq: said.seq))
                    )
                ),
                via: MailboxRoute(mailbox: service.mailbox)
            )
        }
    }

    /// M§12.2 (gap 68): of what this device said itself, receipts other than `read` are not.
    private func isArchived(_ payload: JSONValue) -> Bool {
        guard payload["object"]?.string == "receipt", payload["sender"]?.string == identity.string else { return true }
        return payload["kind"]?.string == "read"
    }

    // MARK: Reading

    mutating func receivedArchive(_ item: StoredItem) throws(MessagingError) {
        guard let akid = item.archiveKey, let group = item.group, let groupBytes = group.bytes, let seq = item.seq,
            let sealed = item.archive?.bytes
        else { return }
        let scope = "\(group.text)/\(OutboxItem.key(seq))"
        guard let key = archiveKeys[akid] else {
            ledger.set(.archive, akid.description, scope, item.json.utf8)
            if missingKeys.count < Self.maximumArchiveKeys, missingKeys.insert(akid).inserted {
                ledger.set(.setting, Self.missingScope, akid.description, [1])
            }
            return
        }
        guard
            let opened = try? Seal.open(sealed, key: key.key, use: .archive(group: groupBytes, seq: UInt64(seq))),
            let record = try? ArchiveRecord(decoding: opened), record.group == group, record.seq == seq
        else { return }
        let isPersonal = isPersonalRecord(record)
        guard let thread = isPersonal ? personalThread : try shownThread(of: record.conversation) else {
            // M§12.2: of a conversation that this device has not joined yet.
            ledger.set(.archive, "of/\(record.conversation)", scope, item.json.utf8)
            return
        }
        let known = groups[group] ?? groups.values.first { $0.thread == thread }
        guard let known else { return }
        let payload = JSONValue.object(record.payload)
        let context = ObjectContext(
            conversation: record.conversation,
            kind: isPersonal ? .personal : known.kind,
            sender: record.sender
        )
        guard let object = try? MessagingObject(payload, in: context) else { return }
        let named: ULID? =
            switch object {
            case .receipt(let receipt) where isPersonal: receipt.conversation
            // Said first in another group of the thread.
            case .saidAgain(let again): again.payload?["conversation"]?.string.flatMap { ULID($0) }
            default: nil
            }
        if let named, named != record.conversation, try shownThread(of: named) == nil {
            ledger.set(.archive, "of/\(named)", scope, item.json.utf8)
            return
        }
        try apply(
            object,
            Saying(
                group: group,
                thread: thread,
                conversation: record.conversation,
                order: order(of: seq, in: group),
                seq: seq,
                sender: record.sender,
                device: record.senderDevice,
                receivedAt: record.receivedAt,
                blobs: item.blobs,
                origin: .restored,
                payload: payload
            )
        )
        foundInArchive(seq, of: group)
    }

    /// The thread of a conversation once it is shown: of a group that is being joined it is not certain which it will be.
    private func shownThread(of conversation: ULID) throws(MessagingError) -> ULID? {
        guard let thread = thread(of: conversation), try ledger.conversation(thread) != nil else { return nil }
        return thread
    }

    private func isPersonalRecord(_ record: ArchiveRecord) -> Bool {
        if groups[record.group]?.isPersonal == true { return true }
        // M§10.5: of a personal group that this device was never in.
        if record.payload["object"]?.string == "receipt", record.sender == identity,
            record.payload["conversation"]?.string != record.conversation.description
        {
            return true
        }
        return personal.flatMap { groups[$0] }?.conversation == record.conversation
    }

    /// Records that waited for the device to be in their conversation.
    mutating func openWaiting(for conversation: ULID) throws(MessagingError) {
        let scope = "of/\(conversation)"
        for row in try ledger.rows(.archive, scope) {
            ledger.set(.archive, scope, row.key, nil)
            guard let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }) else { continue }
            try receivedArchive(item)
        }
    }
}
