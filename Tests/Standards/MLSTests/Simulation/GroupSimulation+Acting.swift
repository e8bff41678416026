import Support

@testable import MLS

extension GroupSimulation {
    /// Somebody does something.
    mutating func act() {
        let active = clients.values.filter { $0.group?.status == .active && $0.joining == nil }.map(\.id).sorted()
        guard let id = active.randomElement(using: &random) else { return }
        switch network.pick(0...99) {
        case ..<34: talk(id)
        case ..<48: commit(id, CommitOptions())
        case ..<62: add(id)
        case ..<73: remove(id)
        case ..<86: propose(id)
        case ..<91: invite()
        case ..<95: restart(id)
        case ..<97: forget(id)
        default: cutOrHeal(id)
        }
    }

    mutating func talk(_ id: Int) {
        let data = Array("\(id) says \(counts.sent + 1)".utf8)
        // While proposals wait, a member commits before it talks.
        guard let epoch = clients[id]?.group?.epoch, let agreed = epochs[epoch],
            let message = try? clients[id]?.group?.protect(data, using: &random)
        else { return }
        counts.sent += 1
        readers[data] = agreed.members
        if let group = clients[id]?.group { haunt(message, from: group) }
        upload(.application(bytes: message.encoded), from: id)
    }

    private mutating func commit(_ id: Int, _ options: CommitOptions) {
        guard var group = clients[id]?.group, !group.hasPendingCommit else { return }
        var options = options
        options.forcesPath = network.pick(0...2) > 0
        options.makesGroupInfo = true
        let queued = group.queuedProposals
        // Proposals that do not fit together are left for another epoch.
        var made = try? group.commit(options, at: now, using: &random)
        if made == nil, options.includesQueued {
            options.includesQueued = false
            made = try? group.commit(options, at: now, using: &random)
        }
        guard let made, let groupInfo = made.groupInfo else { return }
        let proposals = options.proposals + (options.includesQueued ? queued.map(\.proposal) : [])
        var added: Set<Int> = []
        for case .add(let keyPackage) in proposals {
            if let newcomer = SimulatedClient.id(of: keyPackage.value.leafNode.credential) { added.insert(newcomer) }
        }
        let removed = made.summary.removed.compactMap { group.member(at: $0) }
            .compactMap { SimulatedClient.id(of: $0.credential) }
        clients[id]?.group = group
        let offer = CommitOffer(
            epoch: group.epoch,
            bytes: made.commit.encoded,
            added: added,
            removed: Set(removed),
            welcome: made.welcome.map { MLSMessage.welcome($0).encoded },
            groupInfo: groupInfo.encoded,
            joins: false
        )
        upload(.commit(offer), from: id)
        if clients[id]?.behindSince == nil { clients[id]?.behindSince = network.clock.milliseconds }
    }

    /// Somebody who is not there: a new client, or one that was removed.
    private mutating func newcomer(_ group: Group) -> SimulatedClient? {
        let present = Set(group.members.compactMap { SimulatedClient.id(of: $0.credential) })
        guard present.count < shape.maximumMembers else { return nil }
        let absent = clients.values.filter {
            !present.contains($0.id) && !service.roster.contains($0.id) && $0.joining == nil
        }.map(\.id).sorted()
        if network.pick(0...1) == 0, let id = absent.randomElement(using: &random) { return clients[id] }
        guard let client = try? SimulatedClient(clients.count, shape.suite, using: &random) else { return nil }
        clients[client.id] = client
        return client
    }

    private mutating func add(_ id: Int) {
        guard let group = clients[id]?.group else { return }
        var options = CommitOptions()
        var added: Set<Int> = []
        for _ in 0..<network.pick(1...3) {
            guard let newcomer = newcomer(group), added.insert(newcomer.id).inserted else { break }
            options.proposals.append(.add(newcomer.bundle.keyPackage))
        }
        if !options.proposals.isEmpty { commit(id, options) }
    }

    private mutating func somebodyElse(_ group: Group) -> LeafIndex? {
        guard group.memberCount > 2 else { return nil }
        return group.members.map(\.index).filter { $0 != group.ownLeaf }.randomElement(using: &random)
    }

    private mutating func remove(_ id: Int) {
        guard let group = clients[id]?.group, let other = somebodyElse(group) else { return }
        commit(id, CommitOptions([.remove(other)]))
    }

    private mutating func propose(_ id: Int) {
        guard var group = clients[id]?.group, !group.hasPendingCommit else { return }
        var message: MLSMessage?
        switch network.pick(0...2) {
        case 0: message = try? group.proposeUpdate(at: now, using: &random)
        case 1:
            if let other = somebodyElse(group) {
                message = try? group.propose(.remove(other), at: now, using: &random)
            }
        default:
            if let newcomer = newcomer(group) {
                message = try? group.propose(.add(newcomer.bundle.keyPackage), at: now, using: &random)
            }
        }
        guard let message else { return }
        clients[id]?.group = group
        upload(.proposal(epoch: group.epoch, bytes: message.encoded), from: id)
    }

    /// A client that is no member may join from outside.
    private mutating func invite() {
        guard service.roster.count < shape.maximumMembers else { return }
        let absent = clients.values.filter { !service.roster.contains($0.id) && $0.joining == nil }.map(\.id).sorted()
        guard let id = absent.randomElement(using: &random) else { return }
        service.invited.insert(id)
        clients[id]?.behindSince = 0
    }

    /// Killed and restored from what it wrote down.
    private mutating func restart(_ id: Int) {
        guard let saved = clients[id]?.group?.saved else { return }
        do {
            clients[id]?.group = try Group(restoring: saved, validator: UncheckedCredentials())
            counts.restored += 1
        } catch {
            violations.append("client \(id) cannot be restored: \(error)")
        }
    }

    /// All state is lost but the signature key.
    private mutating func forget(_ id: Int) {
        clients[id]?.group = nil
        clients[id]?.early = []
        clients[id]?.behindSince = 0
    }

    /// Nothing reaches a client for a while.
    private mutating func cutOrHeal(_ id: Int) {
        var link = network.link(from: .service, to: .client(id))
        link.isCut.toggle()
        network.setLink(from: .service, to: .client(id), link)
        for other in clients.keys.sorted() where other != id && network.pick(0...1) == 0 {
            network.setLink(from: .service, to: .client(other), network.defaultLink)
        }
    }
}
