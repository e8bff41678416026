import DSIPIdentity
import Encoding
import MLS

extension Messenger {
    static var conversationExtension: ExtensionType { ExtensionType(rawValue: ConversationExtension.extensionType) }
    static var delegationExtension: ExtensionType { ExtensionType(rawValue: LeafCredential.extensionType) }
    static var mailboxExtension: ExtensionType { ExtensionType(rawValue: MailboxHint.extensionType) }
    static var cipherSuites: [CipherSuite] { [.x25519AES128, .x25519ChaCha20] }
    /// Documents kept of those whose leaves were judged.
    static var maximumDocuments: Int { 4096 }

    /// What this device's leaf says. M§6.2
    func leafContents() -> LeafNode.Contents {
        var extensions: Extensions = []
        extensions[Self.delegationExtension] = Array(Self.compact(configuration.delegation).utf8)
        if configuration.hintsMailbox, let service = configuration.mailboxes.first {
            extensions[Self.mailboxExtension] = MailboxHint.data(service)
        }
        return LeafNode.Contents(
            credential: .basic(identity: Array(device.string.utf8)),
            capabilities: Capabilities(
                cipherSuites: Self.cipherSuites,
                extensions: [Self.delegationExtension, Self.conversationExtension, Self.mailboxExtension],
                credentials: [.basic]
            ),
            extensions: extensions
        )
    }

    /// `protected.payload.signature`.
    static func compact(_ envelope: Envelope) -> String {
        envelope.protectedText + "." + envelope.payloadText + "." + envelope.signatureText
    }

    /// When this device's delegation ends.
    var delegationEnd: Int64 { Delegation.decode(configuration.delegation)?.expiresAt ?? now }

    static var requiredCapabilities: RequiredCapabilities {
        RequiredCapabilities(extensions: [delegationExtension, conversationExtension], credentials: [.basic])
    }

    /// Past epochs kept at most, while own commits are ahead of their place.
    private static var maximumPastEpochs: Int { 4 }

    /// Past epochs to keep with an own commit merged: the hub may have ordered what is of the last of them before it, unheard yet. M§6.5
    static func pastEpochs(_ kept: Int, isAhead: Bool) -> Int {
        isAhead ? min(kept + 1, maximumPastEpochs) : groupConfiguration.pastEpochs
    }

    /// One member's limits: hubs take messages of this epoch and the last (M§6.5 rule 3), so more is not kept.
    static var groupConfiguration: GroupConfiguration {
        var configuration = GroupConfiguration()
        configuration.pastEpochs = 1
        configuration.resumptionKeys = 0
        configuration.encryptsHandshakes = false
        configuration.paddingStep = 32
        return configuration
    }

    // MARK: Others' leaves

    enum LeafJudgement {
        case known(LeafCredential)
        case needs(DID)
        case invalid
    }

    /// Who a leaf is, held against M§6.2 now.
    func credential(of leaf: LeafNode) -> LeafJudgement {
        if let subject = LeafCredential.claim(of: leaf)?.identity, DIDKey.document(of: subject) == nil,
            documents[subject] == nil
        {
            return .needs(subject)
        }
        do throws(MessagingError) {
            return .known(try LeafCredential(leaf, at: now, document: { documents[$0] }))
        } catch {
            // Its keys may be others by now (DSIP §7.5): the document is looked at again before a leaf is refused.
            if error.code == .delegationInvalid, let subject = LeafCredential.claim(of: leaf)?.identity,
                DIDKey.document(of: subject) == nil, now - (lookedUp[subject] ?? 0) > Self.documentInterval
            {
                return .needs(subject)
            }
            return .invalid
        }
    }

    /// The leaves of a group that is entered from outside: whoever lapsed meanwhile stands there still, and says nothing any more.
    ///
    /// - Returns: `needs`: whose documents it takes to tell; without them the roster lacks their leaves.
    func rosterAtEntry(of group: MLS.Group) -> (roster: GroupRoster, needs: Set<DID>) {
        var roster = GroupRoster()
        var needs: Set<DID> = []
        roster.epoch = group.epoch
        for member in group.members {
            switch credential(of: member.leafNode) {
            case .known(let leaf):
                roster.entries.append(
                    .init(
                        index: member.index.rawValue,
                        identity: leaf.identity,
                        device: leaf.device,
                        expiresAt: leaf.delegation.expiresAt
                    )
                )
            case .needs(let did): needs.insert(did)
            case .invalid:
                guard let device = DeviceCredentials.device(member.credential) else { continue }
                let subject = LeafCredential.claim(of: member.leafNode)?.identity
                roster.entries.append(
                    .init(index: member.index.rawValue, identity: subject ?? device, device: device, expiresAt: 0)
                )
            }
        }
        return (roster, needs)
    }

    /// Mailboxes that leaves name, for members whose documents say nothing (`docs/messaging.md`).
    mutating func learnMailboxes(from group: MLS.Group, _ roster: GroupRoster) throws(MessagingError) {
        for member in group.members {
            guard let entry = roster.entries.first(where: { $0.index == member.index.rawValue }),
                entry.identity != identity,
                let service = MailboxHint.service(of: member.leafNode)
            else { continue }
            var peer = try peer(entry.identity)
            guard peer.mailboxes.isEmpty || peer.isHinted, peer.mailboxes != [service] || peer.hinted != .there else {
                continue
            }
            peer.mailboxes = [service]
            (peer.isHinted, peer.hinted) = (true, .there)
            set(peer, for: entry.identity)
        }
    }

    /// The own leaf is renewed before its delegation ends. M§6.2
    mutating func renewalPlanned(_ id: GroupID, _ group: MLS.Group) throws(MessagingError) {
        guard let leaf = group.member(at: group.ownLeaf)?.leafNode,
            let data = leaf.extensions[Self.delegationExtension],
            let envelope = Envelope(compact: String(decoding: data, as: UTF8.self)),
            let delegation = Delegation.decode(envelope)
        else { return }
        update(id) { $0.renewAt = Self.renewal(of: delegation) }
        try lapsePlanned(id, group.ownLeaf)
    }

    /// Who lapsed is taken out some days later, by the first leaf that has not; those behind it only if it does not. M§6.2, M§12.4
    private mutating func lapsePlanned(_ id: GroupID, _ own: LeafIndex) throws(MessagingError) {
        let entries = try roster(of: id).entries
        guard let first = entries.filter({ $0.index != own.rawValue }).map(\.expiresAt).min() else {
            update(id) { $0.lapsesAt = .max }
            return
        }
        let due = max(first + GroupState.lapseGrace, now)
        let before = entries.count { $0.index < own.rawValue && $0.expiresAt > due }
        let jitter = Int64.random(in: 0..<600, using: &random)
        update(id) { $0.lapsesAt = due + Int64(min(before, 48)) * GroupState.lapseTurn + jitter }
    }
}
