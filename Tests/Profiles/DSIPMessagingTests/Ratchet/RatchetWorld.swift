import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding
import Support

@testable import DSIPMessaging

/// A few people with a few devices each, and a relay that keeps what it took until it is acknowledged, on virtual time.
final class RatchetWorld {
    /// A messenger without a mailbox, and the ratchet that carries what it says.
    final class Device {
        let identity: DID
        let configuration: RatchetConfiguration
        let delegation: Envelope
        var store = MemoryRatchetStore()
        var mailStore = MemoryMessengerStore()
        var machine: RatchetConversations<MemoryRatchetStore>
        var mail: Messenger<MemoryMessengerStore>

        var did: DID { configuration.device.did }

        init(
            _ identity: DID,
            _ configuration: RatchetConfiguration,
            _ delegation: Envelope,
            seed: UInt64,
            at now: Int64
        )
            throws
        {
            self.identity = identity
            self.configuration = configuration
            self.delegation = delegation
            machine = try RatchetConversations(configuration, store: store, random: SeededRandom(seed: seed), at: now)
            mail = try Device.mail(identity, configuration, delegation, mailStore, seed: seed ^ 1, at: now)
        }

        static func mail(
            _ identity: DID,
            _ configuration: RatchetConfiguration,
            _ delegation: Envelope,
            _ store: MemoryMessengerStore,
            seed: UInt64,
            at now: Int64
        ) throws -> Messenger<MemoryMessengerStore> {
            var mail = try Messenger(
                MessengerConfiguration(
                    identity: identity,
                    device: configuration.device,
                    delegation: delegation,
                    mailboxes: []
                ),
                store: store,
                random: SeededRandom(seed: seed),
                at: now
            )
            // Once: it is kept, and what a turn has to do must be done.
            if !mail.settings.sendsActivity {
                var settings = mail.settings
                (settings.sendsRead, settings.sendsActivity) = (true, true)
                _ = try mail.update(settings: settings, at: now)
            }
            mail.contacts = Set(["alice", "bob"].map(RatchetWorld.person))
            return mail
        }

        func thread(with peer: DID) -> ULID? { mailStore.conversations().first { $0.peer == peer }?.id }
    }

    struct Waiting {
        var message: RatchetMessage
        var from: DID
    }

    var random: SeededRandom
    var now: Int64 = 1_760_000_000
    /// Chances of a hundred.
    var (loss, crash) = (0, 0)
    var devices: [Device] = []
    var shelves: [DID: PreKeyShelf] = [:]
    var queues: [DID: [Waiting]] = [:]
    var restarts = 0
    /// Envelopes that a relay was handed, whether or not it took them.
    var sent = 0

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    static func person(_ name: String) -> DID { DID("did:web:\(name).example")! }

    @discardableResult
    func add(_ name: String, hasSiblings: Bool = false) throws -> Device {
        let seed = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
        let key = SigningKey(selfIssued: try Curve25519.Signing.PrivateKey(rawRepresentation: seed))
        let identity = Self.person(name)
        var configuration = RatchetConfiguration(
            identity: identity,
            device: key,
            delegation: "a.b.c",
            relay: "wss://relay.example/dsip",
            hasSiblings: hasSiblings
        )
        // Few, since each costs a signature and a key of ML-KEM.
        (configuration.limits.bundles, configuration.limits.fewBundles) = (8, 3)
        let owner = SigningKey(
            kid: DIDURL(did: identity, fragment: "key"),
            key: try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
        )
        let delegation = try Delegation(
            subject: identity,
            device: key.did,
            capabilities: [Delegation.Capability.messaging],
            issuedAt: now,
            expiresAt: now + 90 * 86_400
        ).issue(by: owner)
        let device = try Device(identity, configuration, delegation, seed: random.next(), at: now)
        devices.append(device)
        connect(device)
        return device
    }

    func connect(_ device: Device) { run(device) { try $0.bound(Self.relay, at: self.now) } }

    static let relay = DID("did:web:relay.example")!

    // MARK: Events

    /// One event at a device: it may be stopped before the commit, or after it with what it had to do undone.
    @discardableResult
    func run(
        _ device: Device,
        _ event: (inout RatchetConversations<MemoryRatchetStore>) throws -> [RatchetAction]
    ) -> Bool {
        if chance(crash) { device.store.fail(atCommit: device.store.commits) }
        defer { device.store.fail(atCommit: nil) }
        guard let actions = try? event(&device.machine) else {
            restart(device)
            return false
        }
        device.store.fail(atCommit: nil)
        if chance(crash) {
            restart(device)
        } else {
            for action in actions { act(action, device) }
        }
        return true
    }

    /// The same at its messenger.
    @discardableResult
    func work(
        _ device: Device,
        _ event: (inout Messenger<MemoryMessengerStore>) throws -> [MessengerAction]
    ) -> Bool {
        if chance(crash) { device.mailStore.fail(after: 0) }
        let actions = try? event(&device.mail)
        device.mailStore.fail(after: nil)
        guard let actions, !chance(crash) else {
            restart(device)
            return actions != nil
        }
        for action in actions { act(action, device) }
        return true
    }

    func restart(_ device: Device) {
        restarts += 1
        guard
            let machine = try? RatchetConversations(
                device.configuration,
                store: device.store,
                random: SeededRandom(seed: random.next()),
                at: now
            ),
            let mail = try? Device.mail(
                device.identity,
                device.configuration,
                device.delegation,
                device.mailStore,
                seed: random.next(),
                at: now
            )
        else { fatalError("a store cannot be read again") }
        (device.machine, device.mail) = (machine, mail)
        let held = crash
        crash = 0
        connect(device)
        work(device) { try $0.start(at: self.now) }
        crash = held
    }

    private func act(_ action: MessengerAction, _ device: Device) {
        switch action {
        case .carry(let item, let object, let peer):
            run(device) { try $0.send(object, as: item, to: peer, at: self.now) }
        case .copy(let object, let peer): run(device) { try $0.copy(object, of: peer, at: self.now) }
        case .carryTyping(let isOn, let peer): run(device) { try $0.typing(isOn, to: peer, at: self.now) }
        case .resolve(let did):
            let found = ResolvedIdentity(
                mailboxes: MailboxSelection(document: []),
                preKeys: shelves[did] == nil ? nil : "wss://relay.example/dsip"
            )
            work(device) { try $0.resolved(did, found, at: self.now) }
        default: break
        }
    }

    private func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    private func act(_ action: RatchetAction, _ device: Device) {
        switch action {
        case .send(let message, let person, _, _):
            sent += 1
            guard !chance(loss), let to = devices.first(where: { $0.did == message.head.to }), to.identity == person
            else { return }
            // What travels is what is read again.
            guard let read = try? RatchetMessage(message.json) else { fatalError("a message cannot be read again") }
            queues[to.did, default: []].append(Waiting(message: read, from: device.identity))
            if !chance(loss) { run(device) { try $0.accepted(message.head.id, at: self.now) } }
        case .say: break
        case .fetch(let id, let person, let only):
            guard !chance(loss) else { return }
            var shelf = shelves[person] ?? PreKeyShelf()
            let fetched = shelf.fetched(by: device.identity, of: person, device: only, asking: device.did, at: now)
            shelves[person] = shelf
            switch fetched {
            case .limited(let wait):
                run(device) { try $0.refused(id, .policyRateLimited, retryAfter: wait, at: self.now) }
            case .bundles(let bundles, _):
                guard !chance(loss) else { return }
                let answer = PreKeys(
                    id: ULID(milliseconds: UInt64(now) * 1000, using: &random),
                    from: DID("did:web:relay.example")!,
                    to: device.did,
                    issuedAt: now,
                    inReplyTo: id,
                    subject: person,
                    bundles: bundles
                )
                guard let read = try? PreKeys(answer.json) else { fatalError("an answer cannot be read again") }
                let theirs = Set(devices.filter { $0.identity == person }.map(\.did))
                run(device) { try $0.fetched(read, ofDevices: theirs, at: self.now) }
            }
        case .publish(let upload):
            guard !chance(loss), let read = try? PreKeys(upload.json) else { return }
            var shelf = shelves[device.identity] ?? PreKeyShelf()
            guard (try? shelf.uploaded(read, by: device.did)) != nil else { fatalError("an upload was refused") }
            shelves[device.identity] = shelf
            if !chance(loss) { run(device) { try $0.accepted(upload.head.id, at: self.now) } }
        case .acknowledge(let id):
            if !chance(loss) { queues[device.did]?.removeAll { $0.message.head.id == id } }
        case .arrived(let arrival):
            guard work(device, { try $0.received(carried: arrival, at: self.now) }) else { return }
            run(device) { try $0.handled(arrival.id, at: self.now) }
        case .taken(let item): work(device) { try $0.carried(item, at: self.now) }
        case .failed(let item): work(device) { try $0.carryFailed(item, at: self.now) }
        case .typing(let peer, let isOn): work(device) { try $0.receivedTyping(isOn, by: peer, at: self.now) }
        case .met(let other):
            guard work(device, { try $0.siblingCame(at: self.now) }) else { return }
            run(device) { try $0.greeted(other, at: self.now) }
        case .waiting(let peer): if peer != device.identity { work(device) { try $0.lookAgain(peer, at: self.now) } }
        }
    }

    // MARK: Time

    /// Delivers one waiting envelope, whichever; it is delivered again until it is acknowledged.
    @discardableResult
    func deliverOne() -> Bool {
        let full = devices.filter { queues[$0.did]?.isEmpty == false }
        guard let device = full.randomElement(using: &random),
            let waiting = queues[device.did]?.randomElement(using: &random)
        else { return false }
        run(device) { try $0.received(waiting.message, from: waiting.from, at: self.now) }
        return true
    }

    func pass(_ seconds: Int64) {
        now += seconds
        for device in devices {
            if device.machine.deadline ?? .max <= now { run(device) { try $0.advance(to: self.now) } }
            if device.mail.deadline ?? .max <= now { work(device) { try $0.advance(to: self.now) } }
        }
    }

    /// Until nothing is on its way, without faults.
    func settle() {
        (loss, crash) = (0, 0)
        for _ in 0..<400 {
            for device in devices where !device.machine.isBound { connect(device) }
            while deliverOne() {}
            let isQuiet = devices.allSatisfy { device in
                device.mail.outbox.isEmpty && device.store.rows(.arrived, "", after: nil, limit: 1).isEmpty
                    && device.store.rows(.outbox, "", after: nil, limit: 1).isEmpty
                    && device.store.rows(.wanted, "", after: nil, limit: 1).isEmpty
            }
            if isQuiet { return }
            pass(25)
        }
    }

    func lines(_ device: Device, with peer: DID) -> [MessageRecord] {
        guard let thread = device.thread(with: peer) else { return [] }
        return device.mailStore.messages(in: thread, before: nil, after: nil, limit: 10_000)
    }

    func texts(_ device: Device, with peer: DID) -> [String] {
        lines(device, with: peer).map { $0.isRetracted ? "(retracted)" : $0.text }
    }

    @discardableResult
    func say(_ text: String, _ device: Device, to peer: DID) -> ULID? {
        var thread: ULID?
        work(device) { mail in
            let (opened, actions) = try mail.open(with: peer, at: self.now)
            thread = opened
            return actions
        }
        var id: ULID?
        let isSaid = work(device) { mail in
            guard let thread else { throw MessagingError(.refused, "") }
            let (said, actions) = try mail.send(MessageDraft(text: text), in: thread, at: self.now)
            id = said
            return actions
        }
        return isSaid ? id : nil
    }

    /// Something about the conversation with a person.
    @discardableResult
    func about(
        _ device: Device,
        _ peer: DID,
        _ event: (inout Messenger<MemoryMessengerStore>, ULID) throws -> [MessengerAction]
    ) -> Bool {
        guard let thread = device.thread(with: peer) else { return false }
        return work(device) { try event(&$0, thread) }
    }
}
