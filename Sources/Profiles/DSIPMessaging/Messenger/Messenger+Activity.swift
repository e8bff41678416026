import DSIPIdentity
import Encoding
import MLS

extension Messenger {
    /// Who is doing what in a conversation just now. M§11
    public func activity(in conversation: ULID) -> [DID: [ActivityKind]] {
        (clients[conversation]?.activity ?? [:]).mapValues { $0.keys.sorted { $0.token < $1.token } }
    }

    private func client(_ thread: ULID) -> ConversationClient {
        var client = clients[thread] ?? ConversationClient(me: identity, memberIdentities: 2)
        client.policy.activity = settings.sendsActivity
        return client
    }

    /// The person is typing, or has stopped. M§11.2
    public mutating func act(
        _ kind: ActivityKind,
        _ state: Activity.State,
        in conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            var client = messenger.client(conversation)
            let actions = client.act(kind, state, at: now)
            messenger.clients[conversation] = client
            for case .sendActivity(let kind, let state) in actions {
                try messenger.sendActivity(kind, state, in: conversation)
            }
        }.1
    }

    private mutating func sendActivity(
        _ kind: ActivityKind,
        _ state: Activity.State,
        in thread: ULID
    ) throws(MessagingError) {
        if let peer = try carriedPeer(of: thread) {
            if kind == .typing, try ledger.conversation(thread)?.isRequest == false {
                outgoing.append(.carryTyping(state == .active, to: peer))
            }
            return
        }
        guard let group = current(thread), group.phase == .active, let primary, bound.contains(primary),
            let mls = try mlsGroup(group.id), let record = try ledger.conversation(thread), !record.isRequest
        else { return }
        let said = Activity(conversation: group.conversation, sender: identity, kind: kind, state: state)
        guard
            let envelope = try? Envelope(
                signing: said.json.utf8,
                by: configuration.device,
                delegations: []
            ), let key = try? mls.export(label: Seal.activityExporterLabel, context: mls.id, count: 32)
        else { return }
        let sealed = try Seal.seal(
            Array(Self.compact(envelope).utf8),
            key: key.bytes,
            nonce: random.bytes(Seal.nonceBytes),
            use: .activity(group: mls.id, epoch: mls.epoch)
        )
        let message = message(
            to: group.hub.did,
            .deposit(Deposit(group: group.id, .ephemeral(sealed: EncodedBytes(sealed)))),
            lifetime: MessagingProfile.maximumEphemeralLifetime
        )
        outgoing.append(.send(message, via: MailboxRoute(mailbox: primary)))
    }

    /// Somebody's activity came; what does not open is passed over, since it tells of nothing that is kept.
    mutating func received(_ item: EphemeralItem) throws(MessagingError) {
        guard let group = groups[item.group], group.phase == .active, let mls = try mlsGroup(item.group),
            let sealed = item.sealed.bytes,
            let key = try? mls.export(label: Seal.activityExporterLabel, context: mls.id, count: 32),
            let opened = try? Seal.open(
                sealed,
                key: key.bytes,
                use: .activity(group: mls.id, epoch: mls.epoch)
            ), let envelope = Envelope(compact: String(decoding: opened, as: UTF8.self)),
            let speaker = try signer(of: envelope, in: item.group),
            let value = try? MessagingObject.parse(envelope.decodedPayload()),
            case .activity(let said) = try? MessagingObject(
                value,
                in: ObjectContext(conversation: group.conversation, kind: group.kind, sender: speaker)
            )
        else { return }
        note(said, in: group.thread, expiresAt: min(item.expiresAt, now + MessagingProfile.maximumEphemeralLifetime))
    }

    mutating func note(_ said: Activity, in thread: ULID, expiresAt end: Int64) {
        var client = client(thread)
        let before = client.activity
        client.received(said, expiresAt: end, at: now)
        clients[thread] = client
        if client.activity != before { touched.conversations.insert(thread) }
    }

    /// The exporter's key is the whole group's; it is the device's signature that says who acts. M§11.1
    private mutating func signer(of envelope: Envelope, in id: GroupID) throws(MessagingError) -> DID? {
        guard let header = try? JSONDocument(scanning: envelope.decodedProtected()),
            header.root["alg"]?.string == SignatureAlgorithm.edDSA.rawValue, header.root["crit"] == nil,
            let device = header.root["kid"]?.string.flatMap({ DIDURL($0) })?.did,
            let entry = try roster(of: id).entries.first(where: { $0.device == device }), entry.expiresAt > now
        else { return nil }
        let document = DIDKey.document(of: device) ?? documents[device]
        let isSigned = document?.verificationMethods.contains {
            $0.publicKey.isValidSignature(envelope.decodedSignature(), for: envelope.signingInput)
        }
        return isSigned == true ? entry.identity : nil
    }
}
