import Support

@testable import MLS

/// A group's life on a network that loses, repeats and reorders what the service sends: people add, remove, update, propose, talk,
/// join from outside, crash and lose their state, at seeded moments. What clients send reaches the service, in order.
///
/// All that may not be is written to `violations` as it happens.
struct GroupSimulation {
    enum Node: Hashable, Sendable {
        case service
        case client(Int)
    }

    /// How large and how long; drawn from the seed.
    struct Shape {
        var suite = CipherSuite.x25519AES128
        var maximumMembers = 12
        var founders = 4
        var steps = 80
        /// Of a thousand.
        var loss = 60
        var encryptsHandshakes = true
    }

    /// What all members of an epoch must agree on.
    struct Epoch {
        let publicGroup: PublicGroup
        let exporter: Secret
        let members: Set<Int>
    }

    let shape: Shape
    var network: SimulatedNetwork<Node, Packet>
    var random: SeededRandom
    var service: DeliveryService
    var clients: [Int: SimulatedClient] = [:]
    var epochs: [UInt64: Epoch] = [:]
    var ghosts: [Ghost] = []
    /// Who may read an application message.
    var readers: [[UInt8]: Set<Int>] = [:]
    var violations: [String] = []
    var counts = Counts()

    /// What happened, so that a test can see that something did.
    struct Counts {
        var sent = 0
        var heard = 0
        var duplicates = 0
        var early = 0
        var rejoined = 0
        var joined = 0
        var restored = 0
        var trials = 0
    }

    init(seed: UInt64, shape: Shape) throws {
        self.shape = shape
        random = SeededRandom(seed: seed &* 0x5851_f42d_4c95_7f2d &+ 1)
        network = SimulatedNetwork(seed: seed)
        var founder = try SimulatedClient(0, shape.suite, using: &random)
        var group = try Group(
            creating: Array("simulation".utf8),
            shape.suite,
            SimulatedClient.contents(0),
            signer: founder.signer,
            configuration: Self.configuration(shape),
            validator: UncheckedCredentials(),
            at: now,
            using: &random
        )
        var options = CommitOptions()
        for id in 1..<max(2, shape.founders) {
            let client = try SimulatedClient(id, shape.suite, using: &random)
            clients[id] = client
            options.proposals.append(.add(client.bundle.keyPackage))
        }
        service = DeliveryService(founder: 0, groupInfo: try group.groupInfo().encoded)
        options.makesGroupInfo = true
        let made = try group.commit(options, at: now, using: &random)
        founder.group = group
        clients[0] = founder
        let offer = CommitOffer(
            epoch: 0,
            bytes: made.commit.encoded,
            added: Set(clients.keys).subtracting([0]),
            removed: [],
            welcome: made.welcome.map { MLSMessage.welcome($0).encoded },
            groupInfo: made.groupInfo?.encoded ?? [],
            joins: false
        )
        let received = service.receive(.commit(offer), from: 0)
        try clients[0]?.group?.mergePendingCommit()
        entered(0)
        // The founders are there; the rest of the story is lossy.
        for (to, packet) in received where to != 0 { deliver(packet, to: to) }
        var link = network.defaultLink
        link.latency = 5...400
        link.loss = shape.loss
        link.duplication = shape.loss
        link.isOrdered = false
        network.defaultLink = link
    }

    static func configuration(_ shape: Shape) -> GroupConfiguration {
        var configuration = GroupConfiguration()
        configuration.encryptsHandshakes = shape.encryptsHandshakes
        configuration.pastEpochs = 3
        return configuration
    }

    // MARK: The story

    mutating func run() {
        for _ in 0..<shape.steps {
            advance(by: Int64(network.pick(20...400)))
            act()
            tick()
        }
        settle()
        judge()
    }

    private mutating func advance(by milliseconds: Int64) {
        let deadline = network.clock.milliseconds + milliseconds
        while let arrival = network.next(before: deadline) {
            switch arrival.to {
            case .service:
                guard case .client(let from) = arrival.from else { continue }
                for (to, packet) in service.receive(arrival.payload, from: from) {
                    network.send(packet, from: .service, to: .client(to))
                }
            case .client(let id): deliver(arrival.payload, to: id)
            }
        }
    }

    mutating func upload(_ packet: Packet, from id: Int) {
        let node = Node.client(id)
        var link = network.link(from: node, to: .service)
        (link.loss, link.isOrdered) = (0, true)
        network.setLink(from: node, to: .service, link)
        network.send(packet, from: node, to: .service)
    }

    /// Clients that know of a gap, or wait for long, ask.
    private mutating func tick() {
        let time = network.clock.milliseconds
        for id in clients.keys.sorted() {
            guard let since = clients[id]?.behindSince, time - since > 1500 else { continue }
            ask(id)
        }
    }

    private mutating func ask(_ id: Int) {
        guard let client = clients[id] else { return }
        clients[id]?.behindSince = network.clock.milliseconds
        let from = client.joining.map { $0.group.epoch - 1 } ?? client.group?.epoch
        upload(.sync(from: from), from: id)
    }

    /// The network heals, nobody starts anything new, and everybody who misses something asks until nothing is missing.
    private mutating func settle() {
        var link = network.defaultLink
        (link.loss, link.duplication, link.isCut) = (0, 0, false)
        network.defaultLink = link
        for id in clients.keys { network.setLink(from: .service, to: .client(id), link) }
        for _ in 0..<200 {
            advance(by: 2000)
            let unsettled = clients.values.filter { !isSettled($0) }.map(\.id).sorted()
            if unsettled.isEmpty, network.nextArrival == nil { return }
            for id in unsettled { ask(id) }
        }
        for client in clients.values where !isSettled(client) {
            violations.append(
                "client \(client.id) does not settle in epoch \(client.group?.epoch ?? 0) of \(service.epoch): "
                    + "joining \(client.joining?.group.epoch ?? 0), pending \(client.group?.hasPendingCommit ?? false), "
                    + "member \(service.roster.contains(client.id))"
            )
        }
    }

    private func isSettled(_ client: SimulatedClient) -> Bool {
        guard service.roster.contains(client.id) else { return client.group == nil && client.joining == nil }
        return client.joining == nil && client.group?.epoch == service.epoch
            && client.group?.hasPendingCommit == false
    }

    // MARK: The law

    private mutating func judge() {
        let members = service.roster.sorted()
        guard let last = epochs[service.epoch] else {
            violations.append("nobody is in epoch \(service.epoch)")
            return
        }
        for id in members {
            guard let group = clients[id]?.group, group.status == .active else {
                violations.append("client \(id) has no group")
                continue
            }
            if group.epoch != service.epoch { violations.append("client \(id) is in epoch \(group.epoch)") }
            if (try? group.export(label: "law", count: 32)) != last.exporter {
                violations.append("client \(id) has another exporter")
            }
            let present = Set(group.members.compactMap { SimulatedClient.id(of: $0.credential) })
            if present != service.roster { violations.append("client \(id) sees other members") }
        }
        guard let one = members.randomElement(using: &random), let member = clients[one]?.group else { return }
        for ghost in ghosts {
            if let learnt = ghost.holds(secretsOf: member) { violations.append("ghost \(ghost.id) \(learnt)") }
            for (epoch, agreed) in epochs where epoch >= ghost.removedAt {
                if (try? ghost.kept.export(label: "law", count: 32)) == agreed.exporter {
                    violations.append("ghost \(ghost.id) has the exporter of epoch \(epoch)")
                }
            }
            guard ghost.removedAt <= member.epoch,
                let forged = ghost.speak(in: member.publicGroup, using: &random)
            else { continue }
            for id in members where (try? clients[id]?.group?.process(forged, at: now)) != nil {
                violations.append("client \(id) heard ghost \(ghost.id)")
            }
        }
        // Everybody hears a last word; proposals that nobody committed are dropped for it.
        let said = counts.sent
        clients[one]?.group?.clearQueuedProposals()
        talk(one)
        if counts.sent == said { violations.append("client \(one) cannot talk") }
        advance(by: 2000)
        guard let word = readers.keys.first(where: { String(decoding: $0, as: UTF8.self).hasSuffix(" \(counts.sent)") })
        else {
            violations.append("the last word was not said")
            return
        }
        for id in members where id != one && clients[id]?.heard.contains(word) != true {
            violations.append("client \(id) did not hear the last word")
        }
    }

    /// A client is in a new epoch: it agrees with all who were there before.
    mutating func entered(_ id: Int) {
        guard let group = clients[id]?.group, group.status == .active,
            let exporter = try? group.export(label: "law", count: 32)
        else { return }
        if let agreed = epochs[group.epoch] {
            if agreed.exporter != exporter || agreed.publicGroup.tree.hash != group.publicGroup.tree.hash {
                violations.append("client \(id) disagrees in epoch \(group.epoch)")
            }
            return
        }
        let members = Set(group.members.compactMap { SimulatedClient.id(of: $0.credential) })
        epochs[group.epoch] = Epoch(publicGroup: group.publicGroup, exporter: exporter, members: members)
    }
}

extension GroupSimulation.Counts {
    static func += (a: inout Self, b: Self) {
        a.sent += b.sent
        a.heard += b.heard
        a.duplicates += b.duplicates
        a.early += b.early
        a.rejoined += b.rejoined
        a.joined += b.joined
        a.restored += b.restored
        a.trials += b.trials
    }
}
