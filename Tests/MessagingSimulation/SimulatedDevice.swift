import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Support

extension SimulatedWorld {
    /// A device: a `Messenger`, its store, its clock and its connection.
    public final class Device {
        public let person: SimulatedPerson
        public let key: SigningKey
        public let index: Int
        public let store = MemoryMessengerStore()
        /// Seconds by which its clock is ahead.
        public let skew: Int64
        public internal(set) var messenger: Messenger<MemoryMessengerStore>
        public internal(set) var isOnline = false
        /// The identity has taken it away.
        public internal(set) var isRevoked = false
        let service: SimulatedService
        var delegation: Envelope
        /// Connections so far; what is of an earlier one is lost.
        var connection = 0
        var connectionID: ConnectionID?
        /// When a store that fails works again, Unix seconds.
        var healsAt: Int64?
        /// Attachments that were fetched and opened, by message.
        var opened: [ULID: [UInt8]] = [:]
        public internal(set) var errors: [String] = []
        public internal(set) var failures: [MessengerAction.Failure] = []
        public internal(set) var crashes = 0
        public internal(set) var storeFaults = 0
        /// Times that it had something to do by its own clock.
        var wakes = 0

        init(
            _ person: SimulatedPerson,
            _ key: SigningKey,
            _ index: Int,
            _ service: SimulatedService,
            _ delegation: Envelope,
            skew: Int64,
            _ random: SeededRandom,
            at now: Int64
        ) throws {
            self.person = person
            self.key = key
            self.index = index
            self.service = service
            self.delegation = delegation
            self.skew = skew
            messenger = try Messenger(
                Self.configuration(person, key, service, delegation),
                store: store,
                random: random,
                at: now + skew
            )
        }

        public var name: String { "\(person.name).\(index)" }

        /// The program begins anew with what the store holds.
        func begin(_ random: SeededRandom, at now: Int64) throws {
            messenger = try Messenger(
                Self.configuration(person, key, service, delegation),
                store: store,
                random: random,
                at: now + skew
            )
        }

        private static func configuration(
            _ person: SimulatedPerson,
            _ key: SigningKey,
            _ service: SimulatedService,
            _ delegation: Envelope
        ) -> MessengerConfiguration {
            MessengerConfiguration(
                identity: person.did,
                device: key,
                delegation: delegation,
                mailboxes: [service.entry]
            )
        }
    }

    /// What the clock of a device says, Unix seconds.
    public func time(of device: Device) -> Int64 { now + device.skew }

    func prepare(_ device: Device) throws {
        device.messenger.contacts = Set(people.map(\.did))
        let now = time(of: device)
        try act(device) { try $0.start(at: now) }
        if device.person.document != nil {
            let own = ResolvedIdentity(
                mailboxes: MailboxSelection(document: [device.service.entry.json]),
                document: device.person.document
            )
            try act(device) { try $0.resolved(device.person.did, own, at: now) }
        }
        var settings = device.messenger.settings
        let sendsRead = !silentReaders.contains(device.person.did)
        guard settings.admit != admission || settings.sendsRead != sendsRead else { return }
        settings.admit = admission
        settings.sendsRead = sendsRead
        try act(device) { try $0.update(settings: settings, at: now) }
    }

    // MARK: Acting

    /// One call of a device's messenger, and what it asks for.
    public func act(
        _ device: Device,
        _ body: (inout Messenger<MemoryMessengerStore>) throws -> [MessengerAction]
    ) throws {
        for action in try body(&device.messenger) { try follow(action, of: device) }
    }

    public func act<Result>(
        _ device: Device,
        _ body: (inout Messenger<MemoryMessengerStore>) throws -> (Result, [MessengerAction])
    ) throws -> Result {
        let (result, actions) = try body(&device.messenger)
        for action in actions { try follow(action, of: device) }
        return result
    }

    private func follow(_ action: MessengerAction, of device: Device) throws {
        let now = time(of: device)
        switch action {
        case .send(let message, let route):
            guard device.isOnline, let service = services.first(where: { $0.did == route.mailbox }) else { return }
            let envelope = try Envelope(signing: message.json.utf8, by: device.key, delegations: [device.delegation])
            network.send(
                .said(envelope, connection: device.connection),
                from: .device(device.index),
                to: .service(service.index)
            )
        case .resolve(let did): try resolve(did, for: device)
        case .putBlob(let job): try put(job, of: device)
        case .getBlob(let request): try get(request, for: device)
        case .failed(let failure):
            note("\(device.name) failed: \(failure)")
            device.failures.append(failure)
        case .sign(let statement):
            let compact = try sign(statement, device)
            try act(device) { try $0.signed(compact, as: statement, at: now) }
        case .moved, .carry, .copy, .carryTyping, .conversation, .conversationGone, .message, .messageGone, .reset:
            break
        }
    }

    private func sign(_ statement: ContactStatement, _ device: Device) throws -> String {
        let now = time(of: device)
        let message: Message
        switch statement {
        case .introduction(let id, let recipient, let purpose):
            let stamp = Message.Stamp(id: id, from: device.key.did, issuedAt: now, lifetime: 86_400)
            message = Message(
                stamp,
                to: recipient,
                Introduction(
                    identity: IdentityInfo(displayName: device.person.name),
                    purpose: purpose,
                    contactToken: nil
                )
            )
        case .grant(let id, let recipient, let session, let validUntil):
            let stamp = Message.Stamp(id: id, from: device.key.did, issuedAt: now, lifetime: 290)
            let grant = Grant(scope: [Grant.messageScope], validUntil: validUntil)
            message = Message(stamp, to: recipient, session: session, grant)
        }
        let envelope = try message.signed(by: device.key, delegations: [device.delegation])
        return envelope.protectedText + "." + envelope.payloadText + "." + envelope.signatureText
    }

    private func resolve(_ did: DID, for device: Device) throws {
        guard let person = people.first(where: { $0.did == did }), person.document == nil else {
            network.send(.lookedUp(did), from: .web, to: .device(device.index))
            return
        }
        let now = time(of: device)
        let found = MailboxSelection(document: [service(of: person).entry.json])
        try act(device) { try $0.resolved(did, ResolvedIdentity(mailboxes: found), at: now) }
    }

    /// The web's answer about a document.
    func lookedUp(_ did: DID, for device: Device) throws {
        let now = time(of: device)
        guard let document = documents.document(of: did) else {
            return try act(device) { try $0.unresolved(did, at: now) }
        }
        let found = ResolvedIdentity(
            mailboxes: MailboxSelection(document: document.mailboxEntries),
            document: document
        )
        try act(device) { try $0.resolved(did, found, at: now) }
    }

    // MARK: Blobs

    private func put(_ job: BlobJob, of device: Device) throws {
        let now = time(of: device)
        guard !chance(blobFaults) else { return try act(device) { try $0.blobFailed(job.id, at: now) } }
        let bytes: [UInt8]
        switch job.source {
        case .bytes(let tree): bytes = tree
        case .attachment(let message, _, let key, let nonce):
            guard let plaintext = uploads[message] else { return }
            bytes = try Seal.seal(plaintext, key: key, nonce: nonce, use: .blob)
        }
        let hash = Seal.hash(bytes)
        blobs[hash] = bytes
        let reference = BlobReference(
            uri: "https://mailbox\(device.service.index).example/blobs/\(hash)",
            sha256: hash,
            size: Int64(bytes.count)
        )
        try act(device) { try $0.blobStored(job.id, reference, at: now) }
    }

    private func get(_ request: BlobRequest, for device: Device) throws {
        let now = time(of: device)
        guard let bytes = blobs[request.reference.sha256], !chance(blobFaults) else {
            let missing = BlobResponse(status: 404)
            let tried = request.sources.map { (source: $0, response: missing) }
            return try act(device) { try $0.blobMissing(request.id, tried: tried, at: now) }
        }
        guard let key = request.key else {
            return try act(device) { try $0.blobFetched(request.id, bytes: bytes, at: now) }
        }
        let opened = try Seal.openBlob(
            bytes,
            size: request.reference.size,
            sha256: request.reference.sha256,
            key: key
        )
        if let message = request.message { device.opened[message] = opened }
        try act(device) { try $0.blobFetched(request.id, at: now) }
    }

    // MARK: Connections

    public func connect(_ device: Device) throws {
        guard !device.isRevoked else { return }
        device.connection += 1
        device.isOnline = true
        let connection = device.service.newConnection()
        device.connectionID = connection
        device.service.host.bound(
            device: device.key.did,
            of: device.person.did,
            delegation: Delegation.decode(device.delegation),
            on: connection,
            at: now
        )
        try commit(device.service)
        let own = time(of: device)
        try guarded(device) { try act(device) { try $0.bound(device.service.did, at: own) } }
    }

    /// The device is delegated anew.
    public func renew(_ device: Device) throws {
        let now = time(of: device)
        device.delegation = device.person.delegation(of: device.key, from: now)
        try act(device) { try $0.renew(delegation: device.delegation, at: now) }
        try disconnect(device)
        try connect(device)
    }

    /// The mailbox of a device's owner loses an archive record; whether it had it.
    public func loseArchived(_ seq: Int64, of group: GroupID, from device: Device) throws -> Bool {
        let (store, owner) = (device.service.store, device.person.did)
        guard let item = try store.items(of: owner, .archived(group, seq), limit: 1).first else { return false }
        try store.apply(.removeItem(item.position, owner: owner))
        try store.commit()
        return true
    }

    public func disconnect(_ device: Device) throws {
        drop(device)
        let own = time(of: device)
        try guarded(device) { try act(device) { try $0.unbound(device.service.did, at: own) } }
    }

    private func drop(_ device: Device) {
        device.isOnline = false
        device.connection += 1
        if let connection = device.connectionID { device.service.host.unbound(connection) }
        device.connectionID = nil
    }

    // MARK: Faults

    /// The program ends at once and starts again with what its store holds.
    public func restart(_ device: Device) throws {
        note("\(device.name) begins anew")
        heal(device)
        drop(device)
        try device.begin(SeededRandom(seed: random.next()), at: now)
        device.crashes += 1
        try prepare(device)
        try connect(device)
    }

    func heal(_ device: Device) {
        device.store.fail(after: nil)
        device.healsAt = nil
    }

    /// A person's act; a command that makes no sense just then is none.
    public func attempt(_ device: Device, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as MessagingError where error.code == .storeFailed {
            try failed(device)
        } catch let error as MessagingError where error.code == .refused {
            return
        }
    }

    /// What comes from elsewhere.
    func guarded(_ device: Device, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as MessagingError where error.code == .storeFailed {
            try failed(device)
        } catch let error as MessagingError {
            device.errors.append("\(error)")
        }
    }

    /// The store of a device has failed: its program has ended there, or goes on when the store does.
    private func failed(_ device: Device) throws {
        guard device.healsAt == nil else { return }
        guard chance(40) else { return try restart(device) }
        note("the store of \(device.name) fails")
        device.storeFaults += 1
        device.healsAt = now + Int64.random(in: 1...8, using: &random)
    }
}
