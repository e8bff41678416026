import DSIPIdentity
import DSIPSignaling
import Encoding

/// Who is here. M§4.3, M§4.4
extension MailboxHost {
    /// A connection that has said hello.
    struct Binding {
        var device: DID
        var owner: DID
        var delegation: Delegation?
        /// It asked to be pushed to. M§5.4
        var isLive = false
    }

    struct DeviceKey: Hashable {
        var owner: DID
        var device: DID
    }

    /// A device said a verified `hello` for an identity that this service serves. The first one makes the identity's mailbox.
    ///
    /// - Parameters:
    ///   - delegation: by which the device acts; nil when the identity's own key signed.
    public func bound(
        device: DID,
        of owner: DID,
        delegation: Delegation?,
        on connection: ConnectionID,
        at now: Int64
    ) {
        if let delegation {
            guard delegation.capabilities.contains(Delegation.Capability.messaging) else { return }
            guard !revocations.cover(delegation) else { return emit(.close(connection)) }
        }
        unbound(connection)
        bindings[connection] = Binding(device: device, owner: owner, delegation: delegation)
        connections[DeviceKey(owner: owner, device: device), default: []].insert(connection)
        run(.none, at: now) { () throws(HostStop) in
            let hosted: HostedMailbox
            if let known = try mailbox(of: owner) {
                hosted = known
            } else {
                hosted = HostedMailbox(creating: owner, at: service.did, limits, in: store)
                mailboxes.put(hosted, for: owner)
                try ask { () throws(StoreFailure) in try hosted.save() }
            }
            try register(device, at: hosted, now)
        }
    }

    /// Hellos of a device are written down once in so many seconds.
    private static let seenStep: Int64 = 3600

    /// A registered device is one that said hello within the retention. M§4.4
    func register(_ device: DID, at hosted: HostedMailbox, _ now: Int64) throws(HostStop) {
        if let known = hosted.devices[device], hosted.mailbox.devices.contains(device),
            now - known.seenAt < Self.seenStep
        {
            return
        }
        hosted.mailbox.registered(device)
        hosted.devices[device, default: .init(seenAt: now)].seenAt = now
        var touched = HostedMailbox.Touched(devices: [device])
        while hosted.devices.count > limits.devices {
            let away = hosted.devices.filter { connections[DeviceKey(owner: hosted.owner, device: $0.key)] == nil }
            guard let oldest = away.min(by: { $0.value.seenAt < $1.value.seenAt })?.key else { break }
            try forget(oldest, at: hosted)
            touched.devices.append(oldest)
        }
        try ask { () throws(StoreFailure) in try hosted.save(touched) }
    }

    /// - Returns: with its KeyPackages gone; the caller saves the device.
    func forget(_ device: DID, at hosted: HostedMailbox) throws(HostStop) {
        try ask { () throws(StoreFailure) in try hosted.discardPackages(of: device) }
        _ = hosted.mailbox.forgot(device)
        hosted.devices[device] = nil
    }

    /// The connection is gone.
    public func unbound(_ connection: ConnectionID) {
        guard let binding = bindings.removeValue(forKey: connection) else { return }
        let key = DeviceKey(owner: binding.owner, device: binding.device)
        connections[key]?.remove(connection)
        if connections[key]?.isEmpty == true { connections[key] = nil }
        settleLive(key)
        parking.drop(connection)
        for (id, forward) in forwards where forward.connection == connection { forwards[id] = nil }
    }

    /// The connection does not take what is pushed to it: it gets no more until it syncs with `live` again.
    public func paused(_ connection: ConnectionID) {
        guard let binding = bindings[connection], binding.isLive else { return }
        bindings[connection]?.isLive = false
        settleLive(DeviceKey(owner: binding.owner, device: binding.device))
    }

    private func settleLive(_ key: DeviceKey) {
        guard liveConnections(of: key.device, of: key.owner).isEmpty else { return }
        mailboxes.peek(key.owner)?.mailbox.unbound(key.device)
    }

    func liveConnections(of device: DID, of owner: DID) -> [ConnectionID] {
        (connections[DeviceKey(owner: owner, device: device)] ?? []).filter { bindings[$0]?.isLive == true }.sorted()
    }

    // MARK: Messages

    /// A verified message of the profile came on a connection that has said hello.
    public func received(_ message: Verified<MailboxMessage>, on connection: ConnectionID, at now: Int64) {
        // For whom the device speaks cannot be told now: it is no stranger's message, and comes again.
        guard message.unresolved == nil else { return giveUp(.message(message, connection), at: now) }
        run(.message(message, connection), at: now) { () throws(HostStop) in
            try route(message, on: connection, at: now)
        }
    }

    /// A message broke a rule of the profile: the one that `EnvelopeVerifier` named.
    public func refused(_ fault: MessagingError, id: ULID, from: DID, on connection: ConnectionID, at now: Int64) {
        emit(.send(error(fault.reason ?? .policyBlocked, to: from, about: id, at: now), to: connection))
    }

    private func route(
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        if case .deposit(let deposit) = message.body {
            return try route(deposit, verified, on: connection, at: now)
        }
        guard message.to == service.did, verified.mayMessage else {
            if message.isAnswered { refuse(message, .policyBlocked, on: connection, at: now) }
            return
        }
        switch message.body {
        case .sync(let request): try sync(request, verified, on: connection, at: now)
        case .keyPackages(let packages): try upload(packages, verified, on: connection, at: now)
        case .keyPackageFetch(let fetch): try self.fetch(fetch, verified, on: connection, at: now)
        case .mailboxConfig(let config): try configure(config, verified, on: connection, at: now)
        case .blobPut: refuse(message, .policyBlocked, on: connection, at: now)
        case .deposit, .accepted, .items: break
        }
    }

    private func route(
        _ deposit: Deposit,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        if deposit.recipient == nil || deposit.depositClass == .archive {
            // What hubs and strangers bring is bounded by registrations, quota and the first-contact window.
            if let wait = depositRate.admit(verified.principal, at: now) {
                if message.isAnswered {
                    refuse(message, .policyRateLimited, on: connection, retryAfter: wait, at: now)
                }
                return
            }
        }
        if message.to != service.did { return try forward(deposit, verified, on: connection, at: now) }
        switch (deposit.depositClass, deposit.recipient) {
        case (.introduction, _), (.grant, _): try firstContact(deposit, verified, on: connection, at: now)
        case (.archive, let recipient):
            guard verified.mayMessage, recipient ?? verified.principal == verified.principal else {
                return refuse(message, .policyBlocked, on: connection, at: now)
            }
            try archive(deposit, verified, on: connection, at: now)
        case (.welcome, _?): try welcome(deposit, verified, on: connection, at: now)
        case (_, _?): try fanOut(deposit, verified, on: connection, at: now)
        case (_, nil): try order(deposit, verified, on: connection, at: now)
        }
    }

    // MARK: Waiting

    /// Inputs that wait for documents or blobs.
    struct Parking {
        struct Parked {
            var input: Input
            var wanted: Set<Wanted>
            /// Unix seconds.
            var end: Int64
        }

        var inputs: [UInt64: Parked] = [:]
        private var next: UInt64 = 0

        var deadline: Int64? { inputs.values.map(\.end).min() }

        mutating func add(_ parked: Parked) {
            inputs[next] = parked
            next += 1
        }

        mutating func drop(_ connection: ConnectionID) {
            inputs = inputs.filter {
                if case .message(_, connection) = $0.value.input { false } else { true }
            }
        }

        /// In the order in which they came.
        mutating func take(_ wanted: Wanted) -> [Input] {
            var ready: [(UInt64, Input)] = []
            for (number, var parked) in inputs where parked.wanted.remove(wanted) != nil {
                if parked.wanted.isEmpty {
                    ready.append((number, parked.input))
                    inputs[number] = nil
                } else {
                    inputs[number] = parked
                }
            }
            return ready.sorted { $0.0 < $1.0 }.map(\.1)
        }

        mutating func expire(at now: Int64) -> [Input] {
            let gone = inputs.filter { $0.value.end <= now }.sorted { $0.key < $1.key }
            for (number, _) in gone { inputs[number] = nil }
            return gone.map(\.value.input)
        }
    }

    /// Seconds an input waits at most.
    private static let patience: Int64 = 30

    func park(_ input: Input, until wanted: [Wanted], at now: Int64) {
        if case .none = input { return }
        guard parking.inputs.count < limits.parked else { return giveUp(input, at: now) }
        parking.add(.init(input: input, wanted: Set(wanted), end: now + Self.patience))
        for wanted in wanted {
            switch wanted {
            case .document(let did): emit(.resolve(did))
            case .blob(let reference): emit(.read(reference))
            }
        }
    }

    /// What the host wanted does not come: the sender tries again.
    func giveUp(_ input: Input, at now: Int64) {
        switch input {
        case .message(let message, let connection):
            guard message.body.isAnswered else { return }
            refuse(message.body, .mailboxQuotaExceeded, on: connection, retryAfter: Self.storageRetry, at: now)
        case .lane(let key): outbound.retry(key, at: now, after: nil, using: &random)
        case .none: break
        }
    }

    /// A document was looked up, whatever came of it.
    public func resolved(_ did: DID, at now: Int64) { resume(.document(did), at: now) }

    func resume(_ wanted: Wanted, at now: Int64) {
        for input in parking.take(wanted) {
            switch input {
            case .message(let message, let connection): received(message, on: connection, at: now)
            case .lane(let key): run(input, at: now) { () throws(HostStop) in try drive(key, at: now) }
            case .none: break
            }
        }
    }

    // MARK: Documents

    static let policy = VerificationPolicy(
        supported: SupportedVersions(profiles: [.interactiveMedia, .verifiedBroadcast, MessagingProfile.id]),
        isRouter: true
    )

    /// Collects what is not known yet while something is looked at.
    final class Wants {
        private(set) var wanted: [Wanted] = []
        /// A document that was asked for could not be had.
        private(set) var isBlind = false
        private let documents: @Sendable (DID) -> DocumentLookup

        init(_ documents: @escaping @Sendable (DID) -> DocumentLookup) { self.documents = documents }

        func document(_ did: DID) -> DIDDocument? {
            if did.method == "key" { return DIDKey.document(of: did) }
            switch documents(did) {
            case .found(let document): return document
            case .unresolvable:
                isBlind = true
                return nil
            case .unknown:
                want(.document(did))
                return nil
            }
        }

        func want(_ wanted: Wanted) {
            if !self.wanted.contains(wanted) { self.wanted.append(wanted) }
        }

        /// To be called before anything changes.
        func settle() throws(HostStop) {
            if !wanted.isEmpty { throw .needs(wanted) }
        }

        /// The same where nothing may be decided without a document: one that cannot be had now is no reason to refuse for good.
        func settleAll() throws(HostStop) {
            try settle()
            if isBlind { throw .blind }
        }
    }

    var wants: Wants { Wants(documents) }
}
