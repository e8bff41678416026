import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

/// What an owner's devices ask. M§5.4, M§5.5, M§5.7, M§12.2
extension MailboxHost {
    /// The mailbox of the signer's identity, when the signer is a device of it that has said hello; refuses otherwise.
    func ownMailbox(
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) -> HostedMailbox? {
        let message = verified.body
        guard let hosted = try mailbox(of: verified.principal) else {
            refuse(message, .policyBlocked, on: connection, at: now)
            return nil
        }
        // A binding outlives a failed commit that took its registration back.
        if let binding = bindings[connection], binding.owner == hosted.owner, binding.device == message.from {
            try register(binding.device, at: hosted, now)
        }
        return hosted
    }

    // MARK: Reading

    func sync(
        _ request: SyncRequest,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        guard let hosted = try ownMailbox(verified, on: connection, at: now) else { return }
        // A page is cut to what fits; asking for more than ever fits is idle.
        var request = request
        request.limit = min(request.limit ?? Self.pageItems, Self.pageItems)
        let actions = hosted.mailbox.received(request, id: message.id, from: message.from)
        if request.live, hosted.mailbox.isLive(message.from), bindings[connection]?.device == message.from {
            bindings[connection]?.isLive = true
        }
        try ask { () throws(StoreFailure) in try hosted.save(.init(devices: [message.from])) }
        try perform(actions, at: hosted, Reply(connection), at: now)
    }

    private static let pageItems: Int64 = 128

    // MARK: Archiving

    func archive(
        _ deposit: Deposit,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        guard case .archive(let archive) = deposit.content,
            let hosted = try ownMailbox(verified, on: connection, at: now)
        else { return }
        hosted.items.draft = StoredItem(
            cursor: Cursor(position: 0),
            storedAt: now,
            itemClass: .archive,
            source: message.from,
            group: archive.group,
            seq: archive.seq,
            archive: archive.record,
            archiveKey: archive.key
        )
        let actions = hosted.mailbox.receivedArchive(
            id: message.id,
            from: message.from,
            group: archive.group,
            seq: archive.seq,
            size: Int64(archive.record.decodedCount),
            at: now
        )
        hosted.items.draft = nil
        try ask { () throws(StoreFailure) in try hosted.save() }
        try perform(actions, at: hosted, Reply(connection), at: now)
    }

    // MARK: Configuring

    func configure(
        _ config: MailboxConfig,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        guard let hosted = try ownMailbox(verified, on: connection, at: now) else { return }
        var revoked: [(DelegationRevocation, Envelope)] = []
        if !config.revokedDelegations.isEmpty {
            let wants = wants
            let document = wants.document(hosted.owner)
            try wants.settle()
            for text in config.revokedDelegations {
                // M§5.7: the mailbox verifies each.
                guard let document, let envelope = Envelope(compact: text),
                    let revocation = try? DelegationRevocation.verify(envelope, document: document)
                else { return refuse(message, .policyBlocked, on: connection, at: now) }
                revoked.append((revocation, envelope))
            }
        }
        let known = hosted.mailbox.devices
        // A device enrolled anew after the revocation keeps what it has.
        let devices = revoked.map(\.0).filter { isCovered($0, at: hosted) }.map(\.device)
        let actions = hosted.mailbox.received(
            config,
            id: message.id,
            from: message.from,
            revokedDevices: devices,
            at: now
        )
        guard known.contains(message.from), config.subject == hosted.owner else {
            return try perform(actions, at: hosted, Reply(connection), at: now)
        }
        for entry in config.groups {
            // A device that has not read of the group's move yet does not lead back to the hub before.
            guard let uri = entry.hubURI, let registration = hosted.mailbox.groups[entry.group],
                entry.hub.map({ $0 == registration.hub }) ?? true
            else { continue }
            hosted.hubURIs[entry.group] = uri
        }
        for device in devices {
            try ask { () throws(StoreFailure) in try hosted.discardPackages(of: device) }
            hosted.devices[device] = nil
        }
        for (revocation, envelope) in revoked {
            revocations.insert(revocation)
            let key = MailboxRecord.Key(Self.revocationScope, "\(hosted.owner)/\(revocation.device)")
            try apply(.put(MailboxRecord(key, Array(envelope.compact.utf8))))
            emit(.revoked(revocation, envelope))
        }
        let touched = HostedMailbox.Touched(
            groups: config.groups.map(\.group),
            devices: devices,
            revokedGrants: config.revokedGrants,
            introductionsSent: config.introductionsSent
        )
        try ask { () throws(StoreFailure) in try hosted.save(touched) }
        for entry in config.groups where entry.hub == service.did {
            outbound.hasten(entry.group, hosted.owner, at: now)
        }
        try perform(actions, at: hosted, Reply(connection), at: now)
        for entry in config.groups where entry.state == .joined {
            // What waited for a mailbox here to have the group.
            guard let hub = try hub(of: entry.group), hub.owesInfo.contains(hosted.owner) else { continue }
            try sendInfo(hub, at: now)
            try ask { () throws(StoreFailure) in try hub.save() }
        }
    }

    /// Whether the device's present delegation, as far as it is known, falls under the revocation.
    private func isCovered(_ revocation: DelegationRevocation, at hosted: HostedMailbox) -> Bool {
        let bound = connections[DeviceKey(owner: hosted.owner, device: revocation.device)] ?? []
        let delegations = bound.compactMap { bindings[$0]?.delegation }
        return delegations.isEmpty || delegations.contains { revocation.covers($0) }
    }

    private static let revocationScope = "revocation"

    /// Those that owners here have sent, as many as are held in memory.
    func restoreRevocations() throws(StoreFailure) {
        var last: String?
        repeat {
            let page = try store.records(in: Self.revocationScope, after: last, limit: 512)
            for record in page {
                guard let envelope = Envelope(compact: String(decoding: record.value, as: UTF8.self)),
                    let revocation = DelegationRevocation.decode(envelope)
                else { continue }
                revocations.insert(revocation)
            }
            last = page.count < 512 ? nil : page.last?.key.name
        } while last != nil
    }

    // MARK: KeyPackages

    func upload(
        _ upload: KeyPackages,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        let device = message.from
        guard upload.inReplyTo == nil, upload.subject == verified.principal,
            let hosted = try ownMailbox(verified, on: connection, at: now)
        else { return refuse(message, .policyBlocked, on: connection, at: now) }
        guard hosted.mailbox.devices.contains(device) else {
            return refuse(message, .policyBlocked, on: connection, at: now)
        }
        let wants = wants
        let packages = upload.packages.map { held($0, of: device, hosted.owner, wants, at: now) }
        let last = upload.lastResort.map { held($0, of: device, hosted.owner, wants, at: now) }
        try wants.settle()
        // M§5.5: one that is not the device's own, or breaks M§6.2, refuses the upload.
        guard !packages.contains(nil), last != .some(nil) else {
            return refuse(message, .policyBlocked, on: connection, at: now)
        }
        try dropEnded(of: device, at: hosted, now)
        let before = hosted.mailbox.shelf.stock[device]?.oneTime ?? 0
        let actions = hosted.mailbox.uploaded(
            packages.count,
            hasLastResort: last != nil,
            id: message.id,
            from: device
        )
        let kept = (hosted.mailbox.shelf.stock[device]?.oneTime ?? 0) - before
        try ask { () throws(StoreFailure) in
            for case let package? in packages.prefix(kept) { try hosted.keepPackage(package, of: device) }
            if case let package?? = last { try hosted.keepLastResort(package, of: device) }
            try hosted.save(.init(devices: [device]))
        }
        try perform(actions, at: hosted, Reply(connection), at: now)
    }

    /// A KeyPackage that is the device's own, for its identity, and ends with its delegation at the latest. M§6.2, M§6.7
    private func held(
        _ encoded: EncodedBytes,
        of device: DID,
        _ owner: DID,
        _ wants: Wants,
        at now: Int64
    ) -> HeldKeyPackage? {
        guard encoded.decodedCount <= MessagingProfile.maximumMLSBytes, let bytes = encoded.bytes,
            let package = try? Unverified<KeyPackage>(decoding: bytes)
                .verified(at: UInt64(max(0, now)), by: DeviceCredentials()),
            package.cipherSuite == .x25519AES128 || package.cipherSuite == .x25519ChaCha20,
            case .keyPackage(let lifetime) = package.leafNode.source,
            let credential = try? LeafCredential(
                package.leafNode,
                at: now,
                document: wants.document,
                revocations: revocations
            ),
            credential.device == device, credential.identity == owner,
            lifetime.notAfter <= UInt64(max(0, credential.delegation.expiresAt)),
            package.leafNode.capabilities.carriesProfile
        else { return nil }
        return HeldKeyPackage(notAfter: lifetime.notAfter, encoded: bytes)
    }

    /// What has ended is nobody's use.
    private func dropEnded(of device: DID, at hosted: HostedMailbox, _ now: Int64) throws(HostStop) {
        let (ended, hasEndedLast) = try ask { () throws(StoreFailure) in
            var ended = 0
            while let package = try hosted.oldestPackage(of: device), package.notAfter < UInt64(max(0, now)) {
                _ = try hosted.takePackage(of: device)
                ended += 1
            }
            let last = try hosted.lastResort(of: device)
            return (ended, last.map { $0.notAfter < UInt64(max(0, now)) } ?? false)
        }
        if ended > 0 || hasEndedLast {
            hosted.mailbox.ended(ended, hasLastResort: hasEndedLast, of: device)
            try ask { () throws(StoreFailure) in try hosted.save(.init(devices: [device])) }
        }
    }

    func fetch(
        _ fetch: KeyPackageFetch,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        guard let hosted = try mailbox(of: fetch.target) else {
            return refuse(message, .transportUnknownRecipient, on: connection, at: now)
        }
        let wants = wants
        let grant = fetch.grant.flatMap { presented($0, wants) }
        try wants.settle()
        // The owner's own devices are bounded by their deposits.
        if verified.principal != fetch.target,
            let wait = fetchRate.admit([verified.principal, fetch.target], at: now)
        {
            return refuse(message, .policyRateLimited, on: connection, retryAfter: wait, at: now)
        }
        for device in hosted.devices.keys { try dropEnded(of: device, at: hosted, now) }
        let actions = hosted.mailbox.received(
            fetch,
            id: message.id,
            from: message.from,
            of: verified.principal,
            grant: grant,
            at: now
        )
        try perform(actions, at: hosted, Reply(connection), at: now)
    }

    func serve(
        _ served: [DID: KeyPackageShelf.Served],
        of hosted: HostedMailbox,
        to device: DID,
        about id: ULID,
        _ reply: Reply,
        at now: Int64
    ) throws(HostStop) {
        let packages = try ask { () throws(StoreFailure) in
            var packages: [EncodedBytes] = []
            for (device, kind) in served.sorted(by: { $0.key < $1.key }) {
                let held =
                    switch kind {
                    case .oneTime: try hosted.takePackage(of: device)
                    case .lastResort: try hosted.lastResort(of: device)
                    }
                guard let held else { throw .corrupt }
                packages.append(EncodedBytes(held.encoded))
            }
            try hosted.save(.init(devices: Array(served.keys)))
            return packages
        }
        let body = KeyPackages(inReplyTo: id, subject: hosted.owner, packages: packages)
        say(.keyPackages(body), to: device, reply, at: now)
    }
}

extension Capabilities {
    /// A client that cannot carry what every group of the profile requires cannot join one. M§6.2
    var carriesProfile: Bool {
        let types = [LeafCredential.extensionType, ConversationExtension.extensionType].map(
            ExtensionType.init(rawValue:)
        )
        return types.allSatisfy(extensions.contains) && credentials.contains(.basic)
    }
}
