import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import MLS

extension HostWorld {
    /// A device with its delegation, its MLS groups, and what its mailbox has told it.
    final class Device {
        let world: HostWorld
        let key: SigningKey
        let identity: SigningKey
        let node: Node
        var delegation: Envelope
        var connection = ConnectionID(0)
        var isBound = false
        var answers: [ULID: Answer] = [:]
        /// By cursor, in the order they were first heard of.
        var items: [StoredItem] = []
        var activity: [EphemeralItem] = []
        var pushes = 0
        var groups: [GroupID: Group] = [:]
        /// `seq` of what was processed, of every group.
        var processed: [GroupID: Set<Int64>] = [:]
        var texts: [String] = []
        var cursor: Cursor?
        private let signer: SignaturePrivateKey
        private var bundles: [KeyPackageBundle] = []

        var did: DID { key.did }

        init(_ world: HostWorld, key: SigningKey, identity: SigningKey, node: Node) throws {
            self.world = world
            self.key = key
            self.identity = identity
            self.node = node
            signer = try SignaturePrivateKey(.x25519AES128, rawRepresentation: Secret(key.rawRepresentation))
            delegation = try Delegation(
                subject: identity.did,
                device: key.did,
                capabilities: [Delegation.Capability.signaling, Delegation.Capability.messaging],
                issuedAt: HostWorld.start - 60,
                expiresAt: HostWorld.start + 90 * 86_400
            ).issue(by: identity)
        }

        // MARK: Hearing

        func received(_ message: ServiceMessage) {
            switch message {
            case .profile(let message):
                switch message.body {
                case .accepted(let accepted): answers[accepted.inReplyTo] = .accepted(accepted)
                case .keyPackages(let packages):
                    if let id = packages.inReplyTo { answers[id] = .packages(packages.packages) }
                case .items(let delivery):
                    if let id = delivery.inReplyTo {
                        answers[id] = .items(delivery.items.count, next: delivery.next)
                    } else {
                        pushes += 1
                    }
                    for item in delivery.items { keep(item) }
                default: break
                }
            case .error(let message):
                guard case .error(let report) = message.body, let id = report.inReplyTo else { return }
                answers[id] = .refused(report.reason, retryAfter: report.retryAfter)
            }
        }

        /// What another service answered to a deposit that was forwarded.
        func received(relayed envelope: Envelope) {
            guard let value = try? JSONValue(parsing: envelope.decodedPayload()) else { return }
            if let message = try? MailboxMessage(value), case .accepted(let accepted) = message.body {
                answers[accepted.inReplyTo] = .accepted(accepted)
            } else if let id = value["in_reply_to"]?.string.flatMap({ ULID($0) }),
                let reason = value["reason"]?.string.flatMap({ Reason($0) })
            {
                answers[id] = .refused(reason, retryAfter: value["retry_after"]?.int)
            }
        }

        private func keep(_ item: ItemsDelivery.Item) {
            switch item {
            case .stored(let item): if !items.contains(where: { $0.cursor == item.cursor }) { items.append(item) }
            case .ephemeral(let item): activity.append(item)
            }
        }

        // MARK: Asking

        @discardableResult
        func deposit(_ deposit: Deposit, to service: DID? = nil, lifetime: Int64 = 30) throws -> Answer? {
            try world.send(.deposit(deposit), from: self, to: service, lifetime: lifetime)
        }

        /// Reads all there is, page by page.
        @discardableResult
        func sync(live: Bool = false, acknowledges: Bool = false) throws -> Int {
            var read = 0
            while true {
                let request = SyncRequest(since: cursor, ackThrough: acknowledges ? cursor : nil, live: live)
                guard case .items(let count, let next)? = try world.send(.sync(request), from: self) else {
                    return read
                }
                read += count
                if let last = items.compactMap(\.cursor.position).max() { cursor = Cursor(position: last) }
                guard next != nil else { return read }
            }
        }

        // MARK: MLS

        var contents: LeafNode.Contents {
            let types = [LeafCredential.extensionType, ConversationExtension.extensionType, MailboxHint.extensionType]
            let service = MailboxService(uri: node.service.uri, mailbox: node.service.did)
            return LeafNode.Contents(
                credential: .basic(identity: Array(did.string.utf8)),
                capabilities: Capabilities(
                    extensions: types.map(ExtensionType.init(rawValue:)),
                    credentials: [.basic]
                ),
                extensions: [
                    Extension(ExtensionType(rawValue: LeafCredential.extensionType), Array(delegation.compact.utf8)),
                    MailboxHint.leafExtension(service),
                ]
            )
        }

        static var configuration: GroupConfiguration {
            var configuration = GroupConfiguration()
            configuration.encryptsHandshakes = false
            return configuration
        }

        /// Leaves fresh KeyPackages at the mailbox.
        @discardableResult
        func upload(_ count: Int, lastResort: Bool = false, lifetime: Int64 = 80 * 86_400) throws -> Answer? {
            let made = try (0..<(count + (lastResort ? 1 : 0))).map { _ in
                try KeyPackageBundle(
                    .x25519AES128,
                    contents,
                    signer: signer,
                    lifetime: Lifetime(
                        notBefore: UInt64(world.now - 3600),
                        notAfter: UInt64(world.now + lifetime)
                    ),
                    using: &world.random
                )
            }
            bundles += made
            let packages = made.map { EncodedBytes($0.keyPackage.encoded) }
            let upload = KeyPackages(
                subject: identity.did,
                packages: Array(packages.prefix(count)),
                lastResort: lastResort ? packages.last : nil
            )
            return try world.send(.keyPackages(upload), from: self)
        }

        /// A new group, its hub this device's mailbox, made known there.
        func create(
            _ kind: ConversationKind,
            successorOf predecessor: GroupID? = nil,
            conversation: ULID? = nil
        ) throws -> GroupID {
            let id = ULID(milliseconds: UInt64(world.now) * 1000, using: &world.random)
            let group = GroupID(id)
            let conversation = ConversationExtension(
                conversation: conversation ?? id,
                kind: kind,
                hub: HubReference(did: node.service.did, uri: node.service.uri),
                successorOf: predecessor
            )
            let types = [LeafCredential.extensionType, ConversationExtension.extensionType]
            groups[group] = try Group(
                creating: Array(id.description.utf8),
                .x25519AES128,
                contents,
                signer: signer,
                extensions: [
                    Extension(ExtensionType(rawValue: ConversationExtension.extensionType), conversation.json.utf8),
                    .requiredCapabilities(
                        RequiredCapabilities(
                            extensions: types.map(ExtensionType.init(rawValue:)),
                            credentials: [.basic]
                        )
                    ),
                ],
                configuration: Self.configuration,
                validator: DeviceCredentials(),
                at: UInt64(world.now),
                using: &world.random
            )
            return group
        }

        @discardableResult
        func publishInfo(of group: GroupID, to hub: DID? = nil, handoverSeq: Int64? = nil) throws -> Answer? {
            let info = EncodedBytes(try groups[group]!.groupInfo().encoded)
            let content = Deposit.Content.groupInfo(mls: info, ratchetTree: nil, handoverSeq: handoverSeq)
            return try deposit(Deposit(group: group, content), to: hub ?? self.hub(of: group))
        }

        func hub(of group: GroupID) -> DID {
            groups[group].flatMap { ConversationExtension(of: $0.extensions)?.hub.did } ?? node.service.did
        }

        /// One KeyPackage of each device of `target`, from its mailbox.
        func packages(
            of target: DID,
            at node: Node,
            grant: Envelope? = nil,
            successorOf: GroupID? = nil
        ) throws -> Answer? {
            let fetch = KeyPackageFetch(target: target, grant: grant?.compact, successorOf: successorOf)
            guard node !== self.node else { return try world.send(.keyPackageFetch(fetch), from: self) }
            // A short connection of its own.
            let visit = try Device(world, key: key, identity: identity, node: node)
            return try world.visit(visit, delegation) { try world.send(.keyPackageFetch(fetch), from: visit) }
        }

        /// A commit, without sending it.
        func makeCommit(
            _ proposals: [Proposal],
            in group: GroupID,
            change: (inout CommitOptions) -> Void = { _ in }
        ) throws -> CommitBundle {
            var options = CommitOptions(proposals)
            change(&options)
            return try groups[group]!.commit(options, at: UInt64(world.now), using: &world.random)
        }

        func adds(_ packages: [EncodedBytes]) throws -> [Proposal] {
            try packages.map { .add(try Unverified<KeyPackage>(decoding: $0.bytes ?? [])) }
        }

        /// Commits and deposits; merges when the hub took it.
        @discardableResult
        func commit(_ proposals: [Proposal], in group: GroupID, grants: [Envelope] = []) throws -> Answer? {
            let bundle = try makeCommit(proposals, in: group)
            return try submit(bundle, in: group, grants: grants)
        }

        func submit(_ bundle: CommitBundle, in group: GroupID, grants: [Envelope] = []) throws -> Answer? {
            let handshake = Deposit.Handshake(
                mls: EncodedBytes(bundle.commit.encoded),
                welcome: bundle.welcome.map { EncodedBytes(MLSMessage.welcome($0).encoded) },
                grants: grants.map(\.compact)
            )
            let answer = try deposit(Deposit(group: group, .handshake(handshake)), to: hub(of: group))
            if let seq = answer?.accepted?.seq {
                try groups[group]!.mergePendingCommit()
                processed[group, default: []].insert(seq)
            } else {
                groups[group]!.clearPendingCommit()
            }
            return answer
        }

        /// Joins by external commit, in its own old place when it has one.
        func join(outside item: StoredItem, in group: GroupID) throws -> Answer? {
            guard case .groupInfo(let info) = try MLSMessage(decoding: item.mls?.bytes ?? []) else { return nil }
            let own = contents.credential
            let hub = ConversationExtension(of: info.claimedContext.extensions)?.hub.did
            let (joined, commit) = try Group.joining(
                info,
                as: contents,
                signer: signer,
                replacing: { $0.credential == own },
                configuration: Self.configuration,
                validator: DeviceCredentials(),
                using: &world.random
            )
            let handshake = Deposit.Handshake(mls: EncodedBytes(commit.encoded))
            let answer = try deposit(Deposit(group: group, .handshake(handshake)), to: hub)
            if let seq = answer?.accepted?.seq {
                groups[group] = joined
                processed[group, default: []].formUnion(1...seq)
            }
            return answer
        }

        func encrypt(_ text: String, in group: GroupID) throws -> EncodedBytes {
            EncodedBytes(try groups[group]!.protect(Array(text.utf8), using: &world.random).encoded)
        }

        @discardableResult
        func say(_ text: String, in group: GroupID) throws -> Answer? {
            try say(try encrypt(text, in: group), in: group)
        }

        @discardableResult
        func say(_ mls: EncodedBytes, in group: GroupID) throws -> Answer? {
            let answer = try deposit(Deposit(group: group, .application(mls: mls, blobs: [])), to: hub(of: group))
            if let seq = answer?.accepted?.seq { processed[group, default: []].insert(seq) }
            return answer
        }

        /// Takes in what has come, in the order of the cursors.
        func process() throws {
            for item in items.sorted(by: { ($0.cursor.position ?? 0) < ($1.cursor.position ?? 0) }) {
                guard let group = item.group else { continue }
                switch item.itemClass {
                case .welcome:
                    guard groups[group] == nil else { continue }
                    try join(item, group)
                case .handshake, .application:
                    guard let seq = item.seq, groups[group] != nil,
                        processed[group, default: []].insert(seq).inserted
                    else { continue }
                    let message = try MLSMessage(decoding: item.mls?.bytes ?? [])
                    if case .application(let received) = try groups[group]!.process(message, at: UInt64(world.now)) {
                        texts.append(String(decoding: received.data, as: UTF8.self))
                    }
                default: continue
                }
            }
        }

        private func join(_ item: StoredItem, _ group: GroupID) throws {
            guard case .welcome(let welcome) = try MLSMessage(decoding: item.mls?.bytes ?? []) else { return }
            for bundle in bundles {
                guard
                    let joined = try? Group(
                        joining: welcome,
                        with: bundle,
                        configuration: Self.configuration,
                        validator: DeviceCredentials()
                    )
                else { continue }
                groups[group] = joined
                // What came before is history. M§6.5
                if let seq = item.seq { processed[group, default: []].formUnion(1...seq) }
                let config = MailboxConfig(subject: identity.did, groups: [.init(group, .joined)])
                try world.send(.mailboxConfig(config), from: self)
                return
            }
        }
    }

    /// A device at another service for the length of `body`.
    func visit<Value>(_ device: Device, _ delegation: Envelope, _ body: () throws -> Value) rethrows -> Value {
        device.delegation = delegation
        attach(device)
        defer { detach(device) }
        return try body()
    }
}
