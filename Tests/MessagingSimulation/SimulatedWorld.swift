import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Support

/// Devices and services joined by a simulated network, on virtual time, under one seed.
///
/// Devices sign what they send and services verify it; what services say is taken as theirs.
public final class SimulatedWorld {
    public enum Node: Hashable, Sendable {
        case device(Int)
        case service(Int)
    }

    public enum Payload: Sendable {
        /// Of a device, on its connection.
        case said(Envelope, connection: Int)
        /// Of a service, to a device.
        case answer(ServiceMessage, speaker: DID, connection: Int)
        /// Between services: a deposit, and what became of it.
        case deposit(Envelope, id: ULID, life: Int)
        case answered(ULID, ServiceMessage, life: Int)
    }

    public final class Device {
        public let person: SimulatedPerson
        public let key: SigningKey
        public let index: Int
        public let store: MemoryMessengerStore
        public internal(set) var messenger: Messenger<MemoryMessengerStore>
        public internal(set) var isOnline = false
        let service: SimulatedService
        fileprivate(set) var delegation: Envelope
        /// Connections so far; what is of an earlier one is lost.
        var connection = 0
        var connectionID: ConnectionID?
        public internal(set) var errors: [String] = []
        public internal(set) var failures: [MessengerAction.Failure] = []
        public internal(set) var crashes = 0

        init(
            _ person: SimulatedPerson,
            _ key: SigningKey,
            _ index: Int,
            _ store: MemoryMessengerStore,
            _ service: SimulatedService,
            _ delegation: Envelope,
            _ messenger: Messenger<MemoryMessengerStore>
        ) {
            self.person = person
            self.key = key
            self.index = index
            self.store = store
            self.service = service
            self.delegation = delegation
            self.messenger = messenger
        }
    }

    public private(set) var network: SimulatedNetwork<Node, Payload>
    private(set) var services: [SimulatedService] = []
    public private(set) var devices: [Device] = []
    public private(set) var people: [SimulatedPerson] = []
    public var random: SeededRandom
    var handled = 0
    private var blobs: [String: [UInt8]] = [:]
    /// Deposits under way between services: who sent them, and on which connection the answer comes.
    private var deposits: [ULID: (from: Int, to: Int)] = [:]
    private var answersDue: [ConnectionID: [Int: Int]] = [:]

    public init(seed: UInt64, services count: Int = 2) throws {
        random = SeededRandom(seed: seed)
        network = SimulatedNetwork(seed: seed &+ 1)
        for index in 0..<count {
            services.append(
                try SimulatedService(index, SimulatedPerson.key(&random), SeededRandom(seed: random.next()), at: now)
            )
        }
    }

    public var now: Int64 { network.clock.seconds }
    /// Who may begin a conversation with the devices made from here on.
    public var admission = AdmissionPolicy.open

    // MARK: Making

    public func person(_ name: String) -> SimulatedPerson {
        let person = SimulatedPerson(name, &random)
        people.append(person)
        return person
    }

    func service(of person: SimulatedPerson) -> SimulatedService {
        services[(people.firstIndex { $0.did == person.did } ?? 0) % services.count]
    }

    @discardableResult
    public func device(
        _ person: SimulatedPerson,
        online: Bool = true,
        delegatedFor seconds: Int64 = 30 * 86_400
    ) throws -> Device {
        let key = SimulatedPerson.key(&random)
        let store = MemoryMessengerStore()
        let service = service(of: person)
        let delegation = person.delegation(of: key, from: now - 60, for: seconds)
        let messenger = try Messenger(
            configuration(person, key, delegation),
            store: store,
            random: SeededRandom(seed: random.next()),
            at: now
        )
        let device = Device(person, key, devices.count, store, service, delegation, messenger)
        devices.append(device)
        try prepare(device)
        if online { try connect(device) }
        return device
    }

    private func configuration(
        _ person: SimulatedPerson,
        _ key: SigningKey,
        _ delegation: Envelope
    ) -> MessengerConfiguration {
        MessengerConfiguration(
            identity: person.did,
            device: key,
            delegation: delegation,
            mailboxes: [entry(service(of: person))]
        )
    }

    private func entry(_ service: SimulatedService) -> MailboxService {
        MailboxService(uri: service.uri, mailbox: service.did)
    }

    private func prepare(_ device: Device) throws {
        device.messenger.contacts = Set(people.map(\.did))
        try act(device) { try $0.start(at: now) }
        var settings = device.messenger.settings
        guard settings.admit != admission || !settings.sendsRead else { return }
        settings.admit = admission
        settings.sendsRead = true
        try act(device) { try $0.update(settings: settings, at: now) }
    }

    // MARK: Acting

    /// One call of a device's messenger, and what it asks for.
    public func act(
        _ device: Device,
        _ body: (inout Messenger<MemoryMessengerStore>) throws -> [MessengerAction]
    ) throws {
        for action in try body(&device.messenger) { try follow(action, of: device) }
    }

    public func act<Result>(
        _ device: Device,
        _ body: (inout Messenger<MemoryMessengerStore>) throws -> (Result, [MessengerAction])
    ) throws -> Result {
        let (result, actions) = try body(&device.messenger)
        for action in actions { try follow(action, of: device) }
        return result
    }

    private func follow(_ action: MessengerAction, of device: Device) throws {
        switch action {
        case .send(let message, let route):
            guard device.isOnline, let service = services.first(where: { $0.did == route.mailbox }) else { return }
            let envelope = try Envelope(signing: message.json.utf8, by: device.key, delegations: [device.delegation])
            network.send(
                .said(envelope, connection: device.connection),
                from: .device(device.index),
                to: .service(service.index)
            )
        case .resolve(let did):
            guard let person = people.first(where: { $0.did == did }) else {
                try act(device) { try $0.unresolved(did, at: now) }
                return
            }
            let found = MailboxSelection(document: [entry(service(of: person)).json])
            try act(device) { try $0.resolved(did, ResolvedIdentity(mailboxes: found), at: now) }
        case .putBlob(let job):
            guard case .bytes(let bytes) = job.source else { return }
            let hash = Seal.hash(bytes)
            blobs[hash] = bytes
            let reference = BlobReference(
                uri: "https://mailbox.example/blobs/\(hash)",
                sha256: hash,
                size: Int64(bytes.count)
            )
            try act(device) { try $0.blobStored(job.id, reference, at: now) }
        case .getBlob(let request):
            guard let bytes = blobs[request.reference.sha256] else { return }
            try act(device) { try $0.blobFetched(request.id, bytes: bytes, at: now) }
        case .failed(let failure): device.failures.append(failure)
        case .sign(let statement):
            let compact = try sign(statement, device)
            try act(device) { try $0.signed(compact, as: statement, at: now) }
        case .carry, .copy, .carryTyping, .conversation, .conversationGone, .message, .messageGone, .reset: break
        }
    }

    private func sign(_ statement: ContactStatement, _ device: Device) throws -> String {
        let message: Message
        switch statement {
        case .introduction(let id, let recipient, let purpose):
            let stamp = Message.Stamp(id: id, from: device.key.did, issuedAt: now, lifetime: 86_400)
            message = Message(
                stamp,
                to: recipient,
                Introduction(
                    identity: IdentityInfo(displayName: device.person.name),
                    purpose: purpose,
                    contactToken: nil
                )
            )
        case .grant(let id, let recipient, let session, let validUntil):
            let stamp = Message.Stamp(id: id, from: device.key.did, issuedAt: now, lifetime: 290)
            let grant = Grant(scope: [Grant.messageScope], validUntil: validUntil)
            message = Message(stamp, to: recipient, session: session, grant)
        }
        let envelope = try message.signed(by: device.key, delegations: [device.delegation])
        return envelope.protectedText + "." + envelope.payloadText + "." + envelope.signatureText
    }

    public func connect(_ device: Device) throws {
        device.connection += 1
        device.isOnline = true
        let connection = device.service.newConnection()
        device.connectionID = connection
        device.service.host.bound(
            device: device.key.did,
            of: device.person.did,
            delegation: Delegation.decode(device.delegation),
            on: connection,
            at: now
        )
        try commit(device.service)
        try act(device) { try $0.bound(device.service.did, at: now) }
    }

    /// The device is delegated anew.
    public func renew(_ device: Device) throws {
        device.delegation = device.person.delegation(of: device.key, from: now)
        try act(device) { try $0.renew(delegation: device.delegation, at: now) }
        try disconnect(device)
        try connect(device)
    }

    public func disconnect(_ device: Device) throws {
        drop(device)
        try act(device) { try $0.unbound(device.service.did, at: now) }
    }

    private func drop(_ device: Device) {
        device.isOnline = false
        device.connection += 1
        if let connection = device.connectionID { device.service.host.unbound(connection) }
        device.connectionID = nil
    }

    /// The program ends at once and starts again with what its store holds.
    public func restart(_ device: Device) throws {
        device.store.fail(after: nil)
        drop(device)
        device.messenger = try Messenger(
            configuration(device.person, device.key, device.delegation),
            store: device.store,
            random: SeededRandom(seed: random.next()),
            at: now
        )
        device.crashes += 1
        try prepare(device)
        try connect(device)
    }

    /// The service ends at once and starts again; every connection to it is gone.
    public func restartService(_ index: Int) throws {
        let service = services[index]
        try service.restart(at: now)
        for device in devices where device.service === service && device.isOnline {
            try attempt(device) { try disconnect(device) }
        }
        try commit(service)
    }

    func failService(_ index: Int) { services[index].store.failure = .unavailable }

    var serviceCrashes: Int { services.reduce(0) { $0 + $1.crashes } }
    var rejected: [String] { services.flatMap(\.rejected) }

    // MARK: Time

    /// Lets the world run for so many seconds.
    public func run(_ seconds: Int64) throws {
        let end = network.clock.milliseconds + seconds * 1000
        while true {
            let due = nextDeadline.map { $0 * 1000 } ?? end
            let until = min(end, max(due, network.clock.milliseconds))
            if let arrival = network.next(before: until) {
                try handle(arrival)
                continue
            }
            guard network.clock.milliseconds < end || due <= end else { break }
            for device in devices where device.messenger.deadline.map({ $0 <= now }) ?? false {
                try guarded(device) { try act(device) { try $0.advance(to: now) } }
            }
            for service in services where service.host.deadline.map({ $0 <= now }) ?? false {
                service.host.advance(to: now)
                try commit(service)
            }
            try missUnanswered()
            if network.clock.milliseconds >= end { break }
        }
    }

    private var nextDeadline: Int64? {
        let deadlines =
            devices.compactMap(\.messenger.deadline) + services.compactMap(\.host.deadline)
            + unanswered.values.map(\.until)
        return deadlines.min().map { max($0, now + 1) }
    }

    private func handle(_ arrival: SimulatedNetwork<Node, Payload>.Arrival) throws {
        handled += 1
        switch (arrival.from, arrival.to, arrival.payload) {
        case (.device(let from), .service(let to), .said(let envelope, let connection)):
            let (device, service) = (devices[from], services[to])
            guard device.connection == connection else { return }
            var on = device.connectionID
            if service !== device.service {
                // A short connection of its own.
                let short = service.newConnection()
                visitors[short] = (from, connection)
                on = short
            }
            guard let on else { return }
            service.received(envelope, on: on, at: now)
            try commit(service)
        case (_, .device(let to), .answer(let message, let speaker, let connection)):
            let device = devices[to]
            guard device.connection == connection else { return }
            try guarded(device) { try deliver(message, by: speaker, to: device) }
        case (.service(let from), .service(let to), .deposit(let envelope, let id, let life)):
            guard services[from].life == life else { return }
            deposits[id] = (from, to)
            services[to].received(envelope, on: services[to].connection(of: services[from]), at: now)
            try commit(services[to])
        case (.service, .service(let to), .answered(let id, let message, let life)):
            let service = services[to]
            guard service.life == life, case .service(let from) = arrival.from else { return }
            let envelope = try message.signed(by: services[from].key)
            switch message {
            case .profile(let said):
                if case .accepted(let accepted) = said.body {
                    service.host.answered(id, by: services[from].did, .accepted(accepted, envelope), at: now)
                }
            case .error(let said):
                if let report = said.body(as: ErrorReport.self) {
                    service.host.answered(
                        id,
                        by: services[from].did,
                        .refused(report.reason, retryAfter: report.retryAfter, envelope),
                        at: now
                    )
                }
            }
            try commit(service)
        default: break
        }
    }

    private var visitors: [ConnectionID: (device: Int, connection: Int)] = [:]

    private func deliver(_ message: ServiceMessage, by speaker: DID, to device: Device) throws {
        switch message {
        case .profile(let said): try act(device) { try $0.received(said, by: speaker, at: now) }
        case .error(let said):
            guard let report = said.body(as: ErrorReport.self), let id = report.inReplyTo else { return }
            try act(device) { try $0.refused(id, report.reason, by: speaker, at: now) }
        }
    }

    /// Makes what a service was told durable, and lets out what it says; one that cannot has ended.
    private func commit(_ service: SimulatedService) throws {
        for action in service.host.commit(at: now) {
            switch action {
            case .send(let message, let connection): answer(message, service.did, on: connection, of: service)
            case .relay(let envelope, let connection):
                guard let payload = try? JSONValue(parsing: envelope.decodedPayload()),
                    let speaker = payload["from"]?.string.flatMap({ DID($0) })
                else { continue }
                if let said = try? MailboxMessage(payload) {
                    answer(.profile(said), speaker, on: connection, of: service)
                } else if let document = try? JSONDocument(scanning: envelope.decodedPayload()),
                    let said = try? Message(decoding: document)
                {
                    answer(.error(said), speaker, on: connection, of: service)
                }
            case .deposit(let message, let hub, let isAnswered):
                let envelope = try ServiceMessage.profile(message).signed(by: service.key)
                try pass(envelope, message.id, from: service, to: hub.did, isAnswered: isAnswered)
            case .forward(let envelope, let id, let hub, let isAnswered):
                try pass(envelope, id, from: service, to: hub.did, isAnswered: isAnswered)
            case .fetch(let blob):
                service.host.fetched(
                    blob,
                    BlobResponse(status: blobs[blob.sha256] == nil ? 404 : 200, sha256: blob.sha256, size: blob.size),
                    at: now
                )
                try commit(service)
            case .read(let blob):
                service.host.read(blob, blobs[blob.sha256], at: now)
                try commit(service)
            case .resolve(let did):
                service.host.resolved(did, at: now)
                try commit(service)
            case .close, .revoked, .wake, .deleteBlob, .handoverExpired: break
            }
        }
    }

    private func pass(
        _ envelope: Envelope,
        _ id: ULID,
        from service: SimulatedService,
        to did: DID,
        isAnswered: Bool
    ) throws {
        guard let other = services.first(where: { $0.did == did }) else {
            service.host.answered(id, by: did, .unreachable, at: now)
            return
        }
        network.send(
            .deposit(envelope, id: id, life: service.life),
            from: .service(service.index),
            to: .service(other.index)
        )
        if isAnswered { unanswered[id] = (service.index, now + 10) }
    }

    private var unanswered: [ULID: (service: Int, until: Int64)] = [:]

    private func answer(
        _ message: ServiceMessage,
        _ speaker: DID,
        on connection: ConnectionID,
        of service: SimulatedService
    ) {
        if let device = devices.first(where: { $0.service === service && $0.connectionID == connection }) {
            network.send(
                .answer(message, speaker: speaker, connection: device.connection),
                from: .service(service.index),
                to: .device(device.index)
            )
        } else if let visitor = visitors[connection] {
            visitors[connection] = nil
            service.host.unbound(connection)
            network.send(
                .answer(message, speaker: speaker, connection: visitor.connection),
                from: .service(service.index),
                to: .device(visitor.device)
            )
        } else if let id = message.inReplyTo, let deposit = deposits.removeValue(forKey: id) {
            unanswered[id] = nil
            network.send(
                .answered(id, message, life: services[deposit.from].life),
                from: .service(service.index),
                to: .service(deposit.from)
            )
        }
    }

    /// Deposits between services that nobody answered in time.
    func missUnanswered() throws {
        for (id, waiting) in unanswered where waiting.until <= now {
            unanswered[id] = nil
            deposits[id] = nil
            let service = services[waiting.service]
            service.host.answered(id, by: services[1 - waiting.service].did, .unreachable, at: now)
            try commit(service)
        }
    }

    /// A person's act; a command that makes no sense just then is none.
    public func attempt(_ device: Device, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as MessagingError where error.code == .storeFailed {
            try restart(device)
        } catch let error as MessagingError where error.code == .refused {
            return
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

    /// What every device waits for, for a person to read.
    var pending: String {
        devices.map { device in "\(device.index)\(device.isOnline ? "" : "!"):\(device.messenger.summary)" }
            .joined(separator: " ")
    }

    public func messages(_ device: Device, _ conversation: ULID) -> [MessageRecord] {
        device.store.messages(in: conversation, before: nil, after: nil, limit: 100_000)
    }

    public func texts(_ device: Device, _ conversation: ULID) -> [String] {
        messages(device, conversation).filter { $0.kind == .text }.map(\.text)
    }

    /// Connections of devices lose nothing but when they are cut; between services each payload is for itself.
    public func setLinks(latency: ClosedRange<Int64>, loss: Int, duplication: Int) {
        network.defaultLink = .init(latency: latency)
        for a in services.indices {
            for b in services.indices where a != b {
                network.setLink(
                    from: .service(a),
                    to: .service(b),
                    .init(latency: latency, loss: loss, duplication: duplication, isOrdered: false)
                )
            }
        }
    }
}

extension ServiceMessage {
    /// The message that it answers.
    var inReplyTo: ULID? {
        switch self {
        case .profile(let said):
            if case .accepted(let accepted) = said.body { accepted.inReplyTo } else { nil }
        case .error(let said): said.body(as: ErrorReport.self)?.inReplyTo
        }
    }
}
