import Crypto
import DSIPIdentity
import Encoding
import Support

@testable import DSIPMessaging

/// A few people with a few devices each, and a relay that keeps what it took until it is acknowledged, on virtual time.
final class RatchetWorld {
    final class Device {
        let identity: DID
        let configuration: RatchetConfiguration
        var store = MemoryRatchetStore()
        var machine: RatchetConversations<MemoryRatchetStore>
        var typing: [DID: Bool] = [:]

        var did: DID { configuration.device.did }

        init(_ identity: DID, _ configuration: RatchetConfiguration, seed: UInt64, at now: Int64) throws {
            self.identity = identity
            self.configuration = configuration
            machine = try RatchetConversations(configuration, store: store, random: SeededRandom(seed: seed), at: now)
        }
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
            relay: DID("did:web:relay.example")!,
            hasSiblings: hasSiblings
        )
        // Few, since each costs a signature and a key of ML-KEM.
        (configuration.limits.bundles, configuration.limits.fewBundles) = (8, 3)
        let device = try Device(identity, configuration, seed: random.next(), at: now)
        devices.append(device)
        connect(device)
        return device
    }

    func connect(_ device: Device) { run(device) { try $0.bound(at: self.now) } }

    // MARK: Events

    /// One event at a device: it may be stopped before the commit, or after it with what it had to do undone.
    @discardableResult
    func run(
        _ device: Device,
        _ event: (inout RatchetConversations<MemoryRatchetStore>) throws -> [RatchetAction]
    ) -> Bool {
        if chance(crash) { device.store.fail(atCommit: device.store.commits) }
        do {
            let actions = try event(&device.machine)
            device.store.fail(atCommit: nil)
            if chance(crash) {
                restart(device)
            } else {
                for action in actions { act(action, device) }
            }
            return true
        } catch {
            device.store.fail(atCommit: nil)
            restart(device)
            return false
        }
    }

    func restart(_ device: Device) {
        restarts += 1
        guard
            let machine = try? RatchetConversations(
                device.configuration,
                store: device.store,
                random: SeededRandom(seed: random.next()),
                at: now
            )
        else { fatalError("a store cannot be read again") }
        device.machine = machine
        let held = crash
        crash = 0
        connect(device)
        crash = held
    }

    private func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    private func act(_ action: RatchetAction, _ device: Device) {
        switch action {
        case .send(let message, let person):
            sent += 1
            guard !chance(loss), let to = devices.first(where: { $0.did == message.head.to }), to.identity == person
            else { return }
            // What travels is what is read again.
            guard let read = try? RatchetMessage(message.json) else { fatalError("a message cannot be read again") }
            queues[to.did, default: []].append(Waiting(message: read, from: device.identity))
            if !chance(loss) { run(device) { try $0.accepted(message.head.id, at: self.now) } }
        case .fetch(let id, let person, let only):
            guard !chance(loss) else { return }
            var shelf = shelves[person] ?? PreKeyShelf()
            let fetched = shelf.fetched(by: device.identity, of: person, device: only, at: now)
            shelves[person] = shelf
            switch fetched {
            case .limited(let wait): run(device) { try $0.refused(id, retryAfter: wait, at: self.now) }
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
        case .typing(let peer, let isOn): device.typing[peer] = isOn
        case .line, .readElsewhere, .waiting: break
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
        for device in devices where device.machine.deadline ?? .max <= now {
            run(device) { try $0.advance(to: self.now) }
        }
    }

    /// Until nothing is on its way, without faults.
    func settle() {
        (loss, crash) = (0, 0)
        for _ in 0..<400 {
            for device in devices where !device.machine.isBound { connect(device) }
            while deliverOne() {}
            let isQuiet = devices.allSatisfy { device in
                device.store.rows(.outbox, "", after: nil, limit: 1).isEmpty
                    && device.store.rows(.wanted, "", after: nil, limit: 1).isEmpty
            }
            if isQuiet { return }
            pass(25)
        }
    }

    func lines(_ device: Device, with peer: DID) -> [RatchetLine] {
        device.store.lines(with: peer, before: nil, limit: 10_000).reversed()
    }

    func texts(_ device: Device, with peer: DID) -> [String] {
        lines(device, with: peer).map { line in
            switch (line.patch, line.content.body) {
            case (.retraction, _): "(retracted)"
            case (.text(let text), _), (nil, .text(let text, _)): text
            default: "?"
            }
        }
    }

    @discardableResult
    func say(_ text: String, _ device: Device, to peer: DID) -> ULID? {
        var id: ULID?
        let isSaid = run(device) { machine in
            let (said, actions) = try machine.send(.text(text, type: nil), to: peer, at: self.now)
            id = said
            return actions
        }
        return isSaid ? id : nil
    }
}
