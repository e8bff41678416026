import Support

@testable import MLS

extension GroupSimulation {
    mutating func deliver(_ packet: Packet, to id: Int) {
        switch packet {
        case .message(let bytes): receive(bytes, id)
        case .log(let messages):
            clients[id]?.behindSince = nil
            for bytes in messages { receive(bytes, id) }
            // An external commit that is not among them was not taken.
            if let joining = clients[id]?.joining, !messages.contains(joining.commit) {
                clients[id]?.joining = nil
                clients[id]?.behindSince = 0
            }
        case .welcome(let bytes): welcome(bytes, id)
        case .groupInfo(let bytes): joinFromOutside(id, bytes)
        case .notAMember:
            clients[id]?.behindSince = nil
            clients[id]?.joining = nil
            clients[id]?.early = []
            leave(id)
        case .commit, .proposal, .application, .sync: break
        }
    }

    private mutating func receive(_ bytes: [UInt8], _ id: Int) {
        if let joining = clients[id]?.joining {
            guard joining.commit == bytes else {
                clients[id]?.keep(bytes, at: network.clock.milliseconds)
                return
            }
            haunt(id, clients[id]?.group)
            clients[id]?.group = joining.group
            clients[id]?.joining = nil
            clients[id]?.behindSince = nil
            counts.joined += 1
            entered(id)
        } else {
            process(bytes, id)
        }
        for bytes in clients[id]?.due() ?? [] { process(bytes, id) }
    }

    private mutating func process(_ bytes: [UInt8], _ id: Int) {
        guard let message = try? MLSMessage(decoding: bytes), let claimed = message.claimedEpoch else {
            violations.append("client \(id) cannot decode a message")
            return
        }
        guard let before = clients[id]?.group, claimed <= before.epoch else {
            clients[id]?.keep(bytes, at: network.clock.milliseconds)
            counts.early += 1
            return
        }
        do {
            guard let received = try clients[id]?.group?.process(message, at: now) else { return }
            switch received {
            case .application(let application): hear(application, id)
            case .proposal: break
            case .commit(let summary): committed(summary, bytes, before, id)
            }
        } catch {
            judge(error, claimed, before, id)
        }
    }

    /// Which refusals an honest message may meet: it came twice, it came late, or a proposal it names was lost.
    private mutating func judge(_ error: MLSError, _ claimed: UInt64, _ before: Group, _ id: Int) {
        switch error.code {
        case .secretConsumed: counts.duplicates += 1
        // Of an epoch that is over; a joiner has no keys of those before it came.
        case .wrongEpoch where claimed < before.epoch: counts.duplicates += 1
        case .unknownProposal where claimed == before.epoch:
            if clients[id]?.behindSince == nil { clients[id]?.behindSince = network.clock.milliseconds }
        default: violations.append("client \(id) in epoch \(before.epoch) refuses one of \(claimed): \(error)")
        }
    }

    private mutating func hear(_ message: ApplicationMessage, _ id: Int) {
        counts.heard += 1
        guard let allowed = readers[message.data] else {
            violations.append("client \(id) heard what nobody said")
            return
        }
        if !allowed.contains(id) { violations.append("client \(id) read what is not for it") }
        if clients[id]?.heard.insert(message.data).inserted != true {
            violations.append("client \(id) heard a message twice")
        }
        guard let group = clients[id]?.group, group.epoch == message.epoch else { return }
        let sender = group.member(at: message.sender).flatMap { SimulatedClient.id(of: $0.credential) }
        let said = String(decoding: message.data, as: UTF8.self).split(separator: " ").first.flatMap { Int($0) }
        if sender != said { violations.append("client \(id) heard a message under another's name") }
    }

    private mutating func committed(_ summary: CommitSummary, _ bytes: [UInt8], _ before: Group, _ id: Int) {
        clients[id]?.behindSince = nil
        guard let group = clients[id]?.group else { return }
        if group.status == .removed {
            if (try? group.export(label: "law", count: 32)) != nil {
                violations.append("client \(id) exports, removed")
            }
            leave(id, before)
            return
        }
        let isFirst = epochs[group.epoch] == nil
        entered(id)
        // The first to enter an epoch shows its commit to the ghosts.
        if isFirst, let message = try? MLSMessage(decoding: bytes) { haunt(message, before, group) }
    }

    private mutating func welcome(_ bytes: [UInt8], _ id: Int) {
        guard case .welcome(let welcome) = try? MLSMessage(decoding: bytes), let client = clients[id],
            welcome.isFor(client.bundle.keyPackage)
        else { return }
        do {
            let group = try Group(
                joining: welcome,
                with: client.bundle,
                configuration: Self.configuration(shape),
                validator: UncheckedCredentials()
            )
            clients[id]?.bundle = try SimulatedClient.offer(id, shape.suite, client.signer, using: &random)
            guard group.epoch > client.group?.epoch ?? 0, client.joining == nil else { return }
            haunt(id, client.group)
            clients[id]?.group = group
            clients[id]?.behindSince = nil
            entered(id)
            for bytes in clients[id]?.due() ?? [] { process(bytes, id) }
        } catch {
            violations.append("client \(id) cannot join: \(error)")
        }
    }

    /// Joins, or joins anew, by external commit.
    private mutating func joinFromOutside(_ id: Int, _ bytes: [UInt8]) {
        guard let client = clients[id], case .groupInfo(let info) = try? MLSMessage(decoding: bytes),
            let offered = MLSMessage.groupInfo(info).claimedEpoch
        else { return }
        // An answer that comes late is of no use. A commit of its own that led no further than this was not taken.
        if let joining = client.joining, offered < joining.group.epoch { return }
        if let epoch = client.group?.epoch, offered <= epoch { return }
        do {
            let (group, commit) = try Group.joining(
                info,
                as: SimulatedClient.contents(id),
                signer: client.signer,
                replacing: { SimulatedClient.id(of: $0.credential) == id },
                configuration: Self.configuration(shape),
                validator: UncheckedCredentials(),
                using: &random
            )
            clients[id]?.joining = (group, commit.encoded)
            clients[id]?.behindSince = network.clock.milliseconds
            counts.rejoined += 1
            let offer = CommitOffer(
                epoch: group.epoch - 1,
                bytes: commit.encoded,
                added: [],
                removed: service.roster.contains(id) ? [id] : [],
                welcome: nil,
                groupInfo: try group.groupInfo().encoded,
                joins: true
            )
            upload(.commit(offer), from: id)
        } catch {
            violations.append("client \(id) cannot join from outside: \(error)")
        }
    }

    // MARK: Ghosts

    private mutating func leave(_ id: Int, _ before: Group? = nil) {
        haunt(id, before ?? clients[id]?.group)
        clients[id]?.group = nil
    }

    /// A state that its client no longer uses goes on as a ghost, when its leaf was removed.
    private mutating func haunt(_ id: Int, _ kept: Group?) {
        guard let kept, kept.status == .active, let removedAt = service.removals[id], removedAt > kept.epoch else {
            return
        }
        ghosts.append(Ghost(id: id, kept: kept, removedAt: removedAt))
        if ghosts.count > 6 { ghosts.removeFirst() }
    }

    private mutating func haunt(_ commit: MLSMessage, _ before: Group, _ after: Group) {
        var path: UpdatePath?
        if case .publicMessage(let frame) = commit, case .commit(let commit) = frame.value.message.content.body {
            path = commit.path
        }
        let context = after.context.with(confirmedTranscriptHash: before.context.confirmedTranscriptHash)
        for ghost in ghosts where ghost.removedAt <= after.epoch {
            counts.trials += 1
            if let learnt = ghost.open(path, context, to: after.publicGroup) { violations.append("ghost \(learnt)") }
            guard ghost.removedAt <= before.epoch else { continue }
            if let learnt = ghost.read(commit, in: before.publicGroup, at: now) { violations.append("ghost \(learnt)") }
        }
    }

    /// Shows a message that a member of `group` sends to the ghosts.
    mutating func haunt(_ message: MLSMessage, from group: Group) {
        guard case .privateMessage(let frame) = message,
            let sent = try? frame.value.message.openSenderData(group.secrets.senderData, group.suite)
        else { return }
        for ghost in ghosts where ghost.removedAt <= group.epoch {
            counts.trials += 1
            let learnt =
                ghost.read(message, in: group.publicGroup, at: now)
                ?? ghost.open(message, from: sent.leafIndex, generation: sent.generation, guard: sent.reuseGuard)
            if let learnt { violations.append("ghost \(ghost.id) \(learnt)") }
        }
    }
}
