import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

extension Messenger {
    // MARK: Founding

    /// A group of this device alone; its first GroupInfo goes to the hub before anything else. M§6.5 rule 6, M§7.1 to M§7.3
    mutating func found(
        _ id: GroupID,
        thread: ULID,
        kind: ConversationKind,
        members: [DID],
        conversation: ULID? = nil,
        successorOf: GroupID? = nil
    ) throws(MessagingError) {
        guard let service = configuration.mailboxes.first, let bytes = id.bytes else {
            throw MessagingError(.refused, "There is no mailbox yet that could host the conversation.")
        }
        let context = ConversationExtension(
            conversation: conversation ?? thread,
            kind: kind,
            hub: HubReference(did: service.mailbox, uri: service.uri),
            successorOf: successorOf
        )
        var extensions: Extensions = []
        extensions[Self.conversationExtension] = context.json.utf8
        extensions = Extensions(extensions.all + [.requiredCapabilities(Self.requiredCapabilities)])
        let mls: MLS.Group
        do throws(MLSError) {
            mls = try MLS.Group(
                creating: bytes,
                .x25519AES128,
                leafContents(),
                signer: try signerForMLS(),
                extensions: extensions,
                configuration: Self.groupConfiguration,
                validator: DeviceCredentials(),
                at: UInt64(now),
                using: &random
            )
        } catch {
            throw MessagingError(.refused, "The group could not be made.")
        }
        var group = GroupState(
            id,
            thread: thread,
            conversation: context.conversation,
            kind: kind,
            hub: context.hub,
            phase: .founding,
            outage: HubOutage(timeout: configuration.hubTimeout),
            at: now
        )
        group.isConfirmed = true
        group.successorOf = successorOf
        if kind == .direct { group.generation = generation(in: thread) }
        if let successorOf, let before = groups[successorOf] { group.generation = min(before.generation + 1, 8000) }
        if !members.isEmpty {
            let hasSiblings = try !siblings.isEmpty
            group.changes = [.add(members.filter { $0 != identity } + (hasSiblings ? [identity] : []))]
            if members.count > 1 {
                group.gathersUntil = GroupState.gathering
                group.awaitsFounders = true
            }
        }
        groups[id] = group
        inbox.created(id)
        dirtyGroups.insert(id)
        set(mls, for: id)
        // Who this device is itself it knows without a document.
        var roster = GroupRoster()
        roster.epoch = mls.epoch
        roster.entries = [
            .init(index: mls.ownLeaf.rawValue, identity: identity, device: device, expiresAt: delegationEnd)
        ]
        set(roster, for: id)
        try renewalPlanned(id, mls)
        try publishGroupInfo(of: id)
    }
}
