import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

/// Groups that are ordered here. M§6.5, M§6.8, M§7.3, M§7.4
extension MailboxHost {
    /// Of MLS bytes, as items are told apart by.
    static func digest(_ mls: EncodedBytes) -> String {
        // Two spellings of one value are one item, so the bytes count and not the text.
        Base64URL.encode(Array(SHA256.hash(data: mls.bytes ?? Array(mls.text.utf8))))
    }

    /// A member's deposit for the group's hub.
    func order(
        _ deposit: Deposit,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        func refuse(_ reason: Reason) { self.refuse(message, reason, on: connection, at: now) }
        guard verified.mayMessage else { return refuse(.policyBlocked) }
        guard let group = deposit.group, let hosted = try hub(of: group) else {
            guard case .groupInfo(let mls, let tree, let handoverSeq) = deposit.content else {
                return refuse(.mailboxUnknownGroup)
            }
            return try begin(mls, tree, handoverSeq, deposit, verified, on: connection, at: now)
        }
        // A group that moved away may come back, with what the other hub ordered meanwhile behind it.
        if hosted.hub.movedTo != nil, case .groupInfo(let mls, let tree, let last?) = deposit.content,
            last >= hosted.hub.nextSeq
        {
            return try begin(mls, tree, last, deposit, verified, after: hosted, on: connection, at: now)
        }
        var facts = HubDeposit(
            id: message.id,
            device: message.from,
            identity: verified.principal,
            depositClass: deposit.depositClass,
            expiresAt: message.expiresAt
        )
        var arrival = Arrival(connection: connection, message: message, identity: verified.principal)
        if hosted.hub.movedTo == nil {
            switch deposit.content {
            case .application(let mls, let blobs):
                guard let epoch = claim(mls, of: group, isPrivate: true)?.claimedEpoch else {
                    return refuse(.policyBlocked)
                }
                facts.epoch = epoch
                facts.digest = Self.digest(mls)
                // A manifest helps replication; one that would not fit beside the item on its way out is left behind.
                let size = blobs.reduce(mls.text.utf8.count) { $0 + $1.uri.utf8.count + 128 }
                arrival.content = OrderedContent(mls: mls, blobs: size <= limits.page ? blobs : [])
            case .handshake(let handshake):
                let fault = try observe(handshake, group, verified, hosted, &facts, &arrival, at: now)
                if let fault { return refuse(fault) }
            case .groupInfo(let mls, let tree, _):
                // Membership is judged before what the GroupInfo says.
                if hosted.hub.roster.contains(verified.principal) {
                    if let fault = fault(of: mls, hosted) { return refuse(fault) }
                    arrival.info = .init(mls: mls, ratchetTree: tree)
                }
            case .ephemeral(let sealed): arrival.sealed = sealed
            case .welcome, .archive, .introduction, .grant: break
            }
        }
        // Whose device gets through has a mailbox that can be reached.
        outbound.hasten(group, verified.principal, at: now)
        try settle(facts, arrival, at: hosted, now)
    }

    /// A deposit at a hub with what is done with it once it is admitted.
    struct Arrival {
        var connection: ConnectionID
        var message: MailboxMessage
        var identity: DID
        var content: OrderedContent?
        var info: HostedHub.Info?
        var sealed: EncodedBytes?
        var observed: Observed?
    }

    /// Lets the machine judge, follows the group, and carries out what it says.
    private func settle(
        _ facts: HubDeposit,
        _ arrival: Arrival,
        at hosted: HostedHub,
        _ now: Int64
    ) throws(HostStop) {
        let actions = hosted.hub.received(facts, at: now)
        if case .accepted(_, _, let seq, false)? = actions.first {
            if let seq, let content = arrival.content { hosted.log.put(content, for: seq, at: now) }
            switch arrival.observed {
            case .commit(let commit):
                guard (try? hosted.enter(commit)) != nil else { throw .failed(.corrupt) }
            case .proposal(let proposal):
                guard (try? hosted.observer.queue(proposal)) != nil else { throw .failed(.corrupt) }
            case nil: break
            }
            if arrival.observed != nil {
                try ask { () throws(StoreFailure) in try hosted.saveObserver() }
            }
            if let info = arrival.info { try keep(info, hosted) }
        }
        try perform(actions, at: hosted, arrival, now)
        try ask { () throws(StoreFailure) in try hosted.save() }
    }

    /// The latest GroupInfo goes to every member; who has no registration yet gets it when it has. M§6.5 rule 1
    private func keep(_ info: HostedHub.Info, _ hosted: HostedHub) throws(HostStop) {
        try ask { () throws(StoreFailure) in try hosted.save(info) }
        hosted.hub.hasGroupInfo = true
        hosted.owesInfo = hosted.hub.roster.identities
    }

    private func claim(_ mls: EncodedBytes, of group: GroupID, isPrivate: Bool) -> MLSMessage? {
        guard let bytes = mls.bytes, let message = try? MLSMessage(decoding: bytes),
            let id = group.bytes, message.claimedGroupID == id
        else { return nil }
        switch message {
        case .privateMessage: return isPrivate ? message : nil
        case .publicMessage: return isPrivate ? nil : message
        case .welcome, .groupInfo, .keyPackage: return nil
        }
    }

    // MARK: Handshakes

    /// Reads what a handshake does into `facts`.
    ///
    /// - Returns: why it is refused whatever the machine would say: it is no handshake of the group at all, or cannot be handed on.
    private func observe(
        _ handshake: Deposit.Handshake,
        _ group: GroupID,
        _ verified: Verified<MailboxMessage>,
        _ hosted: HostedHub,
        _ facts: inout HubDeposit,
        _ arrival: inout Arrival,
        at now: Int64
    ) throws(HostStop) -> Reason? {
        guard let mls = claim(handshake.mls, of: group, isPrivate: false), let epoch = mls.claimedEpoch,
            let kind = mls.claimedHandshake
        else { return .policyBlocked }
        facts.epoch = epoch
        facts.digest = Self.digest(handshake.mls)
        let joiner = Leaf(identity: verified.principal, device: verified.body.from)
        if kind != .proposal {
            facts.commit = .init(isValid: false, isExternal: kind == .externalCommit)
            // Before it is looked into, an external commit is one that adds whoever deposits it.
            if kind == .externalCommit { facts.commit?.adds = [joiner] }
        }
        // A commit of another epoch, a redelivery or a stranger's is answered for what it is, not for what it holds.
        guard epoch == hosted.hub.epoch, hosted.log.seq(of: facts.digest) == nil,
            kind == .externalCommit || hosted.hub.roster.contains(verified.principal)
        else { return nil }
        guard let observed = try? hosted.observer.observe(mls, at: UInt64(max(0, now))) else {
            return kind == .proposal ? .policyBlocked : nil
        }
        switch observed {
        case .proposal(let proposal):
            var next = hosted.observer
            guard let proposer = proposal.proposer.flatMap({ LeafCredential.claim(of: $0.leafNode) }),
                proposer.identity == verified.principal, (try? next.queue(proposal)) != nil
            else { return .policyBlocked }
            arrival.content = OrderedContent(mls: handshake.mls)
        case .commit(let commit):
            let wants = wants
            facts.commit = judge(commit, handshake, verified, hosted, wants, at: now)
            try wants.settleAll()
            arrival.content = OrderedContent(mls: handshake.mls)
            if let welcome = handshake.welcome {
                let origin = verified.envelope.compact
                // A welcome travels with its origin, whole; what does not fit one frame could never be brought to anybody.
                let size = handshake.grants.reduce(welcome.text.utf8.count + origin.utf8.count) { $0 + $1.utf8.count }
                if facts.commit?.isValid == true, size > limits.page { return .mailboxObjectTooLarge }
                arrival.content?.welcome = .init(
                    mls: welcome,
                    ratchetTree: handshake.ratchetTree,
                    grants: handshake.grants,
                    origin: origin,
                    adder: verified.principal
                )
            }
            if let info = handshake.groupInfo, facts.commit?.isValid == true {
                var next = hosted.observer
                if (try? next.enter(commit)) != nil, Self.fault(of: info, next) == nil {
                    arrival.info = .init(mls: info, ratchetTree: handshake.ratchetTree)
                }
            }
        }
        arrival.observed = observed
        return nil
    }

    /// What a commit does to identities, and whether the profile lets it. M§6.2, M§6.8, M§7.3, M§7.4
    private func judge(
        _ commit: ObservedCommit,
        _ handshake: Deposit.Handshake,
        _ verified: Verified<MailboxMessage>,
        _ hosted: HostedHub,
        _ wants: Wants,
        at now: Int64
    ) -> HubDeposit.Commit {
        func verify(_ leaf: LeafNode) -> Leaf? {
            let credential = try? LeafCredential(leaf, at: now, document: wants.document, revocations: revocations)
            return credential.map { Leaf(identity: $0.identity, device: $0.device) }
        }
        var facts = HubDeposit.Commit(isValid: true, isExternal: commit.isExternal)
        func refuse() -> HubDeposit.Commit {
            facts.isValid = false
            return facts
        }
        // The committer is who deposits: under a leaf that is verified anew when the commit brings a new one.
        let committer =
            commit.previous?.leafNode == commit.committer.leafNode
            ? LeafCredential.claim(of: commit.committer.leafNode) : verify(commit.committer.leafNode)
        let adds = commit.added.map { verify($0.leafNode) }
        let updates = commit.updated.map { ($0.index, verify($0.leafNode)) }
        for member in commit.removed {
            guard var leaf = LeafCredential.claim(of: member.leafNode) else { continue }
            // Who lapsed may be removed by anybody; only then is it looked at. M§7.3
            if leaf.identity != verified.principal { leaf.isAuthentic = verify(member.leafNode) != nil }
            facts.removes.append(leaf)
        }
        facts.adds = adds.compactMap { $0 }
        guard let committer, committer.identity == verified.principal, committer.device == verified.body.from,
            !adds.contains(nil), commit.summary.reInit == nil
        else { return refuse() }
        if commit.isExternal { facts.adds = [committer] }
        for (index, leaf) in updates {
            // A leaf stays its identity's.
            guard let leaf,
                let old = hosted.observer.member(at: index).flatMap({ LeafCredential.claim(of: $0.leafNode) }),
                old.identity == leaf.identity
            else { return refuse() }
        }
        if let old = commit.previous.flatMap({ LeafCredential.claim(of: $0.leafNode) }),
            old.identity != committer.identity
        {
            return refuse()
        }
        guard hosted.observer.memberCount + facts.adds.count - facts.removes.count <= limits.leaves else {
            return refuse()
        }
        if let extensions = commit.summary.extensions {
            guard let before = hosted.conversation, let after = ConversationExtension(of: extensions) else {
                return refuse()
            }
            do {
                facts.movesTo = try before.update(to: after)
            } catch {
                return refuse()
            }
        }
        // Who is added and not welcomed could never come in. M§6.5 rule 5
        let brings = !facts.adds.isEmpty && !commit.isExternal
        guard !brings || handshake.welcome != nil else { return refuse() }
        return facts
    }

    // MARK: GroupInfo

    private func fault(of info: EncodedBytes, _ hosted: HostedHub) -> Reason? { Self.fault(of: info, hosted.observer) }

    private static func fault(of mls: EncodedBytes, _ observer: GroupObserver) -> Reason? {
        guard let bytes = mls.bytes, case .groupInfo(let info)? = try? MLSMessage(decoding: bytes) else {
            return .policyBlocked
        }
        do throws(MLSError) {
            try observer.check(info)
            return nil
        } catch {
            return error.code == .wrongEpoch ? .mailboxStaleEpoch : .policyBlocked
        }
    }

    /// The first GroupInfo of a group: from here on this service orders it. M§6.5 rule 6, M§7.4
    private func begin(
        _ mls: EncodedBytes,
        _ tree: BlobReference?,
        _ handoverSeq: Int64?,
        _ deposit: Deposit,
        _ verified: Verified<MailboxMessage>,
        after former: HostedHub? = nil,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        func refuse(_ reason: Reason) { self.refuse(message, reason, on: connection, at: now) }
        guard limits.isHub, let group = deposit.group, let bytes = mls.bytes,
            case .groupInfo(let info)? = try? MLSMessage(decoding: bytes),
            info.claimedContext.groupID == group.bytes,
            let conversation = ConversationExtension(of: info.claimedContext.extensions),
            conversation.hub.did == service.did
        else { return refuse(.mailboxUnknownGroup) }
        // A hub is its creator's, or the mover's, own mailbox. M§7.1, M§7.2
        guard let owner = try mailbox(of: verified.principal) else { return refuse(.policyBlocked) }
        var ratchetTree: UnverifiedRatchetTree?
        if info.hasRatchetTree == false {
            guard let tree else { return refuse(.policyBlocked) }
            guard let read = trees.value(for: tree.sha256) else {
                throw .needs([.blob(tree)])
            }
            ratchetTree = try? UnverifiedRatchetTree(decoding: read)
        }
        guard let observer = try? GroupObserver(info, ratchetTree: ratchetTree, validator: DeviceCredentials()),
            observer.memberCount <= limits.leaves
        else { return refuse(.policyBlocked) }
        let wants = wants
        var isMember = false
        for member in observer.members {
            guard let leaf = LeafCredential.claim(of: member.leafNode) else { return refuse(.policyBlocked) }
            guard leaf.identity == verified.principal else {
                if conversation.kind.effective == .personal { return refuse(.policyBlocked) }
                continue
            }
            guard leaf.device == message.from else { continue }
            let credential = try? LeafCredential(
                member.leafNode,
                at: now,
                document: wants.document,
                revocations: revocations
            )
            isMember = credential?.identity == verified.principal
        }
        try wants.settleAll()
        guard isMember else { return refuse(.policyBlocked) }
        let hosted = HostedHub(
            creating: group,
            observer,
            conversation,
            owner: conversation.kind.effective == .personal ? verified.principal : nil,
            handoverSeq: handoverSeq ?? 0,
            in: store
        )
        if let former { hosted.goOn(from: former) }
        hubs.put(hosted, for: group)
        // Its owner's device has made it, so the owner is in it.
        if owner.mailbox.groups[group] == nil {
            owner.mailbox.joined(group, at: service.did)
            owner.hubURIs[group] = service.uri
            try ask { () throws(StoreFailure) in try owner.save(.init(groups: [group])) }
        }
        try ask { () throws(StoreFailure) in try hosted.saveObserver() }
        let facts = HubDeposit(
            id: message.id,
            device: message.from,
            identity: verified.principal,
            depositClass: .groupInfo,
            expiresAt: message.expiresAt
        )
        var arrival = Arrival(connection: connection, message: message, identity: verified.principal)
        arrival.info = .init(mls: mls, ratchetTree: tree)
        try settle(facts, arrival, at: hosted, now)
    }

    /// A blob that was asked for: a group's tree, or nil when it is not to be had.
    public func read(_ reference: BlobReference, _ bytes: [UInt8]?, at now: Int64) {
        let matches = bytes.map { bytes in
            bytes.count == reference.size && SHA256.hash(data: bytes).hexadecimal == reference.sha256
        }
        trees.put(matches == true ? bytes ?? [] : [], for: reference.sha256)
        resume(.blob(reference), at: now)
    }
}

extension Digest {
    /// Lower case.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
