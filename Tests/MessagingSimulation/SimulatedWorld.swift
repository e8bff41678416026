import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Support

/// Devices and services joined by a simulated network, on virtual time, under one seed.
public final class SimulatedWorld {
    public enum Node: Hashable, Sendable {
        case device(Int)
        case service
    }

    enum Payload: Sendable {
        case message(MailboxMessage, epoch: Int)
        case refusal(ULID, Reason, epoch: Int)
    }

    public final class Device {
        public let person: SimulatedPerson
        public let key: SigningKey
        public let index: Int
        public let store: MemoryMessengerStore
        public internal(set) var messenger: Messenger<MemoryMessengerStore>
        public internal(set) var isOnline = false
        /// Connections so far; what is of an earlier one is lost.
        var connection = 0
        public internal(set) var errors: [String] = []
        public internal(set) var failures: [MessengerAction.Failure] = []
        public var crashes = 0

        init(
            _ person: SimulatedPerson,
            _ key: SigningKey,
            _ index: Int,
            _ store: MemoryMessengerStore,
            _ messenger: Messenger<MemoryMessengerStore>
        ) {
            self.person = person
            self.key = key
            self.index = index
            self.store = store
            self.messenger = messenger
        }
    }

    public private(set) var network: SimulatedNetwork<Node, Payload>
    public let service: StandInService
    public private(set) var devices: [Device] = []
    public private(set) var people: [SimulatedPerson] = []
    public var random: SeededRandom
    public let uri = "wss://mailbox.example/dsip"
    var handled = 0

    public init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        network = SimulatedNetwork(seed: seed &+ 1)
        guard let did = DID("did:web:mailbox.example") else { preconditionFailure("a DID") }
        service = StandInService(did: did, random: SeededRandom(seed: seed &+ 2))
    }

    public var now: Int64 { network.clock.seconds }

    // MARK: Making

    public func person(_ name: String) -> SimulatedPerson {
        let person = SimulatedPerson(name, &random)
        people.append(person)
        return person
    }

    @discardableResult
    public func device(_ person: SimulatedPerson, online: Bool = true) throws -> Device {
        let key = SimulatedPerson.key(&random)
        let store = MemoryMessengerStore()
        let index = devices.count
        let messenger = try Messenger(
            configuration(person, key),
            store: store,
            random: SeededRandom(seed: random.next()),
            at: now
        )
        let device = Device(person, key, index, store, messenger)
        devices.append(device)
        try prepare(device)
        if online { try connect(device) }
        return device
    }

    func configuration(_ person: SimulatedPerson, _ key: SigningKey) -> MessengerConfiguration {
        MessengerConfiguration(
            identity: person.did,
            device: key,
            delegation: person.delegation(of: key, from: now - 60),
            mailboxes: [MailboxService(uri: uri, mailbox: service.did)]
        )
    }

    private func prepare(_ device: Device) throws {
        device.messenger.contacts = Set(people.map(\.did))
        try act(device) { try $0.start(at: now) }
    }

    // MARK: Acting

    /// One call of a device's messenger, and what it asks for.
    public func act(
        _ device: Device,
        _ body: (inout Messenger<MemoryMessengerStore>) throws -> [MessengerAction]
    ) throws {
        let actions = try body(&device.messenger)
        for action in actions { follow(action, of: device) }
    }

    public func act<Result>(
        _ device: Device,
        _ body: (inout Messenger<MemoryMessengerStore>) throws -> (Result, [MessengerAction])
    ) throws -> Result {
        let (result, actions) = try body(&device.messenger)
        for action in actions { follow(action, of: device) }
        return result
    }

    private func follow(_ action: MessengerAction, of device: Device) {
        switch action {
        case .send(let message, _):
            guard device.isOnline else { return }
            network.send(.message(message, epoch: device.connection), from: .device(device.index), to: .service)
        case .resolve(let did):
            let found = MailboxSelection(document: [MailboxService(uri: uri, mailbox: service.did).json])
            do {
                try act(device) { try $0.resolved(did, ResolvedIdentity(mailboxes: found), at: now) }
            } catch {
                device.errors.append("\(error)")
            }
        case .failed(let failure): device.failures.append(failure)
        case .putBlob, .getBlob, .sign, .conversation, .conversationGone, .message, .messageGone, .reset: break
        }
    }

    public func connect(_ device: Device) throws {
        device.connection += 1
        device.isOnline = true
        service.bound(device.key.did, of: device.person.did)
        try act(device) { try $0.bound(service.did, at: now) }
    }

    public func disconnect(_ device: Device) throws {
        device.isOnline = false
        device.connection += 1
        service.unbound(device.key.did)
        try act(device) { try $0.unbound(service.did, at: now) }
    }

    /// The program ends at once and starts again with what its store holds.
    public func restart(_ device: Device) throws {
        device.store.fail(after: nil)
        device.isOnline = false
        device.connection += 1
        service.unbound(device.key.did)
        device.messenger = try Messenger(
            configuration(device.person, device.key),
            store: device.store,
            random: SeededRandom(seed: random.next()),
            at: now
        )
        device.crashes += 1
        try prepare(device)
        try connect(device)
    }

    // MARK: Time

    /// Lets the world run for so many seconds.
    public func run(_ seconds: Int64) throws {
        let end = network.clock.milliseconds + seconds * 1000
        while network.clock.milliseconds < end {
            let deadlines = devices.compactMap { device in
                device.messenger.deadline.map { (at: $0 * 1000, device: device) }
            }
            let due = deadlines.map(\.at).min() ?? end
            let until = min(end, max(due, network.clock.milliseconds))
            if let arrival = network.next(before: until) {
                try handle(arrival)
                continue
            }
            for (at, device) in deadlines where at <= network.clock.milliseconds {
                try guarded(device) { try act(device) { try $0.advance(to: now) } }
            }
        }
    }

    private func handle(_ arrival: SimulatedNetwork<Node, Payload>.Arrival) throws {
        handled += 1
        service.now = now
        switch (arrival.to, arrival.payload) {
        case (.service, .message(let message, let epoch)):
            guard case .device(let index) = arrival.from, devices[index].connection == epoch else { return }
            for answer in service.received(message) {
                guard let device = devices.first(where: { $0.key.did == answer.to }), device.isOnline else { continue }
                if let message = answer.message {
                    network.send(.message(message, epoch: device.connection), from: .service, to: .device(device.index))
                } else if let (id, reason) = answer.refusal {
                    network.send(
                        .refusal(id, reason, epoch: device.connection),
                        from: .service,
                        to: .device(device.index)
                    )
                }
            }
        case (.device(let index), let payload):
            let device = devices[index]
            switch payload {
            case .message(let message, let epoch):
                guard device.connection == epoch else { return }
                try guarded(device) { try act(device) { try $0.received(message, by: service.did, at: now) } }
            case .refusal(let id, let reason, let epoch):
                guard device.connection == epoch else { return }
                try guarded(device) { try act(device) { try $0.refused(id, reason, by: service.did, at: now) } }
            }
        case (.service, .refusal): break
        }
    }

    /// A store that fails is a program that ended there.
    private func guarded(_ device: Device, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as MessagingError where error.code == .storeFailed {
            try restart(device)
        } catch let error as MessagingError {
            device.errors.append("\(error)")
        }
    }

    // MARK: Looking

    public func messages(_ device: Device, _ conversation: ULID) -> [MessageRecord] {
        device.store.messages(in: conversation, before: nil, after: nil, limit: 100_000)
    }

    public func texts(_ device: Device, _ conversation: ULID) -> [String] {
        messages(device, conversation).filter { $0.kind == .text }.map(\.text)
    }

    public func setLink(_ link: SimulatedNetwork<Node, Payload>.Link) { network.defaultLink = link }
}
