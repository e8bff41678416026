import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import MLS

/// Somebody's device in one conversation, over the project's own client and in a real MLS group: as much of a device as a relay sees.
actor SoakDevice {
    /// What others say, decrypted, in order. It ends with an error when the relay refuses something or the connection goes.
    nonisolated let texts: AsyncThrowingStream<String, any Error>

    private let caller: Caller
    private let client: SignalingClient
    private let heard: AsyncThrowingStream<String, any Error>.Continuation
    private let signer: SignaturePrivateKey
    private var random = SystemRandomNumberGenerator()
    private let url: String
    private var relay: DID?
    private var listener: Task<Void, Never>?
    private var group: Group?
    private var package: KeyPackageBundle?
    private var cursor: Cursor?
    private var waiting: [ULID: CheckedContinuation<Void, any Error>] = [:]
    private var count = 0

    /// - Parameter root: the path of the authority's certificate.
    init(atPort port: Int, trusting root: String) throws {
        caller = try Caller()
        url = "wss://127.0.0.1:\(port)/dsip"
        signer = try SignaturePrivateKey(.x25519AES128, rawRepresentation: Secret(caller.device.rawRepresentation))
        (texts, heard) = AsyncThrowingStream.makeStream()
        var configuration = SignalingClient.Configuration(
            try RelayAddress(url),
            key: caller.device,
            identity: caller.identity.did,
            delegations: [caller.delegation],
            clock: { Caller.now }
        )
        configuration.policy = .messaging()
        configuration.profiles = .messaging
        configuration.roots = TrustRoots(additionalFiles: [root])
        client = SignalingClient(configuration, source: SelfCertifyingSource())
    }

    // MARK: The connection

    /// Connects, lets strangers write, and has what comes pushed.
    func connect() async throws {
        let (relays, connected) = AsyncStream<SignalingClient.Relay?>.makeStream()
        listener = Task { [client] in
            async let run: Void = client.run()
            for await event in client.events {
                switch event {
                case .state(.connected(let relay)): connected.yield(relay)
                case .state(.waiting), .state(.refused):
                    connected.yield(nil)
                    end(BenchmarkError("the connection to the relay is gone"))
                case .profile(let message):
                    if let message = message.narrowed(as: MailboxMessage.self) { received(message.body) }
                case .message(let message): received(message.body)
                case .state, .rejected, .networkChanged: break
                }
            }
            await run
        }
        for await found in relays {
            guard let found else { throw BenchmarkError("the relay cannot be reached") }
            relay = found.identity
            break
        }
        try await ask(.mailboxConfig(MailboxConfig(subject: caller.identity.did, admit: .open)))
        try await synchronize()
    }

    func close() async {
        client.close()
        await listener?.value
    }

    /// Fails the texts when none has come for so many seconds.
    func end(afterSilenceOf seconds: Int) async throws {
        var last = -1
        while count != last {
            last = count
            try await Task.sleep(for: .seconds(seconds))
        }
        end(BenchmarkError("nothing came for \(seconds) s after \(count) messages"))
    }

    private func end(_ error: BenchmarkError) {
        heard.finish(throwing: error)
        for (_, waiter) in waiting { waiter.resume(throwing: error) }
        waiting = [:]
    }

    // MARK: The conversation

    private var contents: LeafNode.Contents {
        get throws {
            guard let relay else { throw BenchmarkError("not connected") }
            let types = [LeafCredential.extensionType, ConversationExtension.extensionType, MailboxHint.extensionType]
            return LeafNode.Contents(
                credential: .basic(identity: Array(caller.device.did.string.utf8)),
                capabilities: Capabilities(extensions: types.map(ExtensionType.init(rawValue:)), credentials: [.basic]),
                extensions: [
                    Extension(
                        ExtensionType(rawValue: LeafCredential.extensionType),
                        Array(caller.delegation.compact.utf8)
                    ),
                    MailboxHint.leafExtension(MailboxService(uri: url, mailbox: relay)),
                ]
            )
        }
    }

    private func makePackage() throws -> KeyPackage {
        let bundle = try KeyPackageBundle(
            .x25519AES128,
            contents,
            signer: signer,
            lifetime: Lifetime(notBefore: UInt64(Caller.now - 3600), notAfter: UInt64(Caller.now + 3600)),
            using: &random
        )
        package = bundle
        return bundle.keyPackage
    }

    /// Begins a direct conversation, hubbed at the relay of both. Returns when the other is in.
    func open(to other: SoakDevice) async throws {
        guard let relay else { throw BenchmarkError("not connected") }
        let id = caller.stamp().id
        let conversation = ConversationExtension(
            conversation: id,
            kind: .direct,
            hub: HubReference(did: relay, uri: url),
            successorOf: nil
        )
        let types = [LeafCredential.extensionType, ConversationExtension.extensionType]
        group = try Group(
            creating: Array(id.description.utf8),
            .x25519AES128,
            contents,
            signer: signer,
            extensions: [
                Extension(ExtensionType(rawValue: ConversationExtension.extensionType), conversation.json.utf8),
                .requiredCapabilities(
                    RequiredCapabilities(extensions: types.map(ExtensionType.init(rawValue:)), credentials: [.basic])
                ),
            ],
            configuration: Self.configuration,
            validator: DeviceCredentials(),
            at: UInt64(Caller.now),
            using: &random
        )
        try await publishInfo()
        let add = Proposal.add(try await other.makePackage())
        guard let bundle = try group?.commit(CommitOptions([add]), at: UInt64(Caller.now), using: &random) else {
            return
        }
        let handshake = Deposit.Handshake(
            mls: EncodedBytes(bundle.commit.encoded),
            welcome: bundle.welcome.map { EncodedBytes(MLSMessage.welcome($0).encoded) }
        )
        try await ask(.deposit(Deposit(group: GroupID(id), .handshake(handshake))))
        try group?.mergePendingCommit()
        try await publishInfo()
        for _ in 0..<100 where await !other.isIn { try await Task.sleep(for: .milliseconds(50)) }
        guard await other.isIn else { throw BenchmarkError("the other was not welcomed") }
    }

    private static var configuration: GroupConfiguration {
        var configuration = GroupConfiguration()
        configuration.encryptsHandshakes = false
        return configuration
    }

    private var isIn: Bool { group != nil }

    private var groupID: GroupID {
        get throws {
            guard let group, let id = ULID(String(decoding: group.id, as: UTF8.self)) else {
                throw BenchmarkError("in no conversation")
            }
            return GroupID(id)
        }
    }

    private func publishInfo() async throws {
        guard let info = try group?.groupInfo() else { return }
        let content = Deposit.Content.groupInfo(mls: EncodedBytes(info.encoded), ratchetTree: nil, handoverSeq: nil)
        try await ask(.deposit(Deposit(group: groupID, content)))
    }

    /// Returns when it is written to the socket.
    func say(_ text: String) async throws {
        guard let sealed = try group?.protect(Array(text.utf8), using: &random) else { return }
        try await post(.deposit(Deposit(group: groupID, .application(mls: EncodedBytes(sealed.encoded), blobs: []))))
    }

    /// What was read is safe: the mailbox need not keep it.
    func acknowledge() async throws { try await synchronize() }

    private func synchronize() async throws {
        try await post(.sync(SyncRequest(since: cursor, ackThrough: cursor, live: true)))
    }

    // MARK: The wire

    private func post(_ body: MailboxMessage.Body) async throws { try await client.send(sealed(body).envelope) }

    /// Posts, and waits until it is accepted.
    private func ask(_ body: MailboxMessage.Body) async throws {
        let (id, envelope) = try sealed(body)
        try await withCheckedThrowingContinuation { (waiter: CheckedContinuation<Void, any Error>) in
            waiting[id] = waiter
            Task {
                do { try await client.send(envelope) } catch { end(BenchmarkError("nothing can be sent: \(error)")) }
            }
        }
    }

    private func sealed(_ body: MailboxMessage.Body) throws -> (id: ULID, envelope: Envelope) {
        guard let relay else { throw BenchmarkError("not connected") }
        let stamp = caller.stamp()
        let message = MailboxMessage(
            id: stamp.id,
            from: caller.device.did,
            to: relay,
            issuedAt: stamp.issuedAt,
            expiresAt: stamp.issuedAt + 60,
            body: body
        )
        return (stamp.id, try message.signed(by: caller.device, delegations: [caller.delegation]))
    }

    private func received(_ message: Message) {
        guard case .error(let report) = message.body else { return }
        end(BenchmarkError("the relay refused something: \(report.reason.token)"))
    }

    private func received(_ message: MailboxMessage) {
        switch message.body {
        case .accepted(let accepted): waiting.removeValue(forKey: accepted.inReplyTo)?.resume()
        case .items(let delivery):
            do {
                for case .stored(let item) in delivery.items { try take(item) }
            } catch {
                end(BenchmarkError("an item could not be read: \(error)"))
            }
            if delivery.next != nil { Task { try await synchronize() } }
        default: break
        }
    }

    private func take(_ item: StoredItem) throws {
        if let known = cursor?.position, let position = item.cursor.position, position <= known { return }
        cursor = item.cursor
        guard let bytes = item.mls?.bytes else { return }
        switch (item.itemClass, try MLSMessage(decoding: bytes)) {
        case (.welcome, .welcome(let welcome)):
            guard let package, group == nil else { return }
            group = try Group(
                joining: welcome,
                with: package,
                configuration: Self.configuration,
                validator: DeviceCredentials()
            )
            Task {
                try await ask(
                    .mailboxConfig(MailboxConfig(subject: caller.identity.did, groups: [.init(groupID, .joined)]))
                )
            }
        // Only what the other says: whoever began wrote the rest.
        case (.application, let message) where package != nil:
            guard case .application(let said)? = try group?.process(message, at: UInt64(Caller.now)) else { return }
            count += 1
            heard.yield(String(decoding: said.data, as: UTF8.self))
        default: break
        }
    }
}
