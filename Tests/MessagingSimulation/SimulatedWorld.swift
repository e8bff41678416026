import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Support

/// Devices and services joined by a simulated network, on virtual time, under one seed.
///
/// Devices sign what they send and services verify it; what services say is taken as theirs. A connection of a device brings items in
/// their order until it breaks; whatever else it carries may be lost, come twice, or come in another order.
public final class SimulatedWorld {
    public enum Node: Hashable, Sendable {
        case device(Int)
        /// The same device, where it receives items.
        case items(Int)
        case service(Int)
        /// Where documents are.
        case web
    }

    public enum Payload: Sendable {
        /// Of a device, on its connection.
        case said(Envelope, connection: Int)
        /// Of a service, to a device.
        case answer(ServiceMessage, speaker: DID, connection: Int)
        /// The connection breaks here.
        case broken(connection: Int)
        /// Between services: a deposit, and what became of it.
        case deposit(Envelope, id: ULID, life: Int)
        case answered(ULID, ServiceMessage, life: Int)
        /// A document was looked up, with or without success.
        case lookedUp(DID)
    }

    public internal(set) var network: SimulatedNetwork<Node, Payload>
    let documents = SimulatedDocuments()
    private(set) var services: [SimulatedService] = []
    public private(set) var devices: [Device] = []
    public private(set) var people: [SimulatedPerson] = []
    public var random: SeededRandom
    public internal(set) var handled = 0
    /// Of a thousand: items that break their connection instead of arriving.
    var breaks = 0
    /// Of a hundred: blobs that are not stored, or not served, the first time.
    var blobFaults = 0
    var blobs: [String: [UInt8]] = [:]
    /// Plaintext of attachments, by message.
    var uploads: [ULID: [UInt8]] = [:]
    /// Deposits under way between services: who sent them, and whose they are.
    var deposits: [ULID: (from: Int, to: Int)] = [:]
    var unanswered: [ULID: (service: Int, until: Int64)] = [:]
    /// Short connections of devices to services that are not their own.
    var visitors: [ConnectionID: (device: Int, connection: Int)] = [:]
    /// What was done and what went wrong, the latest last.
    public private(set) var trace: [String] = []

    public init(seed: UInt64, services count: Int = 2) throws {
        random = SeededRandom(seed: seed)
        network = SimulatedNetwork(seed: seed &+ 1)
        for index in 0..<count {
            services.append(
                try SimulatedService(
                    index,
                    SimulatedPerson.key(&random),
                    documents,
                    SeededRandom(seed: random.next()),
                    at: now
                )
            )
        }
    }

    /// Unix seconds by the services' clocks.
    public var now: Int64 { network.clock.seconds }
    /// Who may begin a conversation with the devices made from here on.
    public var admission = AdmissionPolicy.open
    /// Those whose devices tell nobody else how far they have read.
    public var silentReaders: Set<DID> = []

    // MARK: Making

    /// - Parameter isNamed: whether it has a document, which names its mailbox; else it is a key.
    public func person(_ name: String, isNamed: Bool = false) -> SimulatedPerson {
        let mailbox = services[people.count % services.count].entry
        let person = SimulatedPerson(name, mailbox: isNamed ? mailbox : nil, &random)
        people.append(person)
        if let document = person.document { documents.put(document) }
        return person
    }

    func service(of person: SimulatedPerson) -> SimulatedService {
        services[(people.firstIndex { $0.did == person.did } ?? 0) % services.count]
    }

    /// - Parameter skew: seconds by which its clock is ahead.
    @discardableResult
    public func device(
        _ person: SimulatedPerson,
        skew: Int64 = 0,
        online: Bool = true,
        delegatedFor seconds: Int64 = 30 * 86_400
    ) throws -> Device {
        let key = SimulatedPerson.key(&random)
        let device = try Device(
            person,
            key,
            devices.count,
            service(of: person),
            person.delegation(of: key, from: now - 3600, for: seconds),
            skew: skew,
            SeededRandom(seed: random.next()),
            at: now
        )
        devices.append(device)
        try prepare(device)
        if online { try connect(device) }
        return device
    }

    // MARK: Faults

    /// Takes all documents off the web, or puts them back; who has found one keeps it.
    public func hideDocuments(_ areHidden: Bool) { documents.setDown(areHidden ? Set(documents.names) : []) }

    func note(_ line: String) {
        trace.append("\(now) \(line)")
        if trace.count > 2000 { trace.removeFirst(1000) }
    }

    func chance(_ percent: Int) -> Bool { Int.random(in: 0...99, using: &random) < percent }

    /// What lies between devices and services, and between services.
    public struct Links {
        /// Milliseconds.
        public var latency: ClosedRange<Int64>
        /// Of a thousand, between services.
        public var loss = 0
        public var duplication = 0
        /// The same between devices and services.
        public var deviceLoss = 0
        public var deviceDuplication = 0

        public init(latency: ClosedRange<Int64>) { self.latency = latency }
    }

    /// Between services each payload is for itself, and on a connection all but items.
    public func setLinks(_ links: Links) {
        let connection = SimulatedNetwork<Node, Payload>.Link(
            latency: links.latency,
            loss: links.deviceLoss,
            duplication: links.deviceDuplication,
            isOrdered: links.deviceLoss + links.deviceDuplication == 0
        )
        network.defaultLink = connection
        breaks = links.deviceLoss
        for (a, b) in services.indices.flatMap({ a in services.indices.map { (a, $0) } }) where a != b {
            network.setLink(
                from: .service(a),
                to: .service(b),
                .init(
                    latency: links.latency,
                    loss: links.loss,
                    duplication: links.duplication,
                    isOrdered: false
                )
            )
        }
        for service in services.indices {
            network.setLink(from: .web, to: .service(service), .init(latency: 20...2000, isOrdered: false))
            for device in 0..<64 {
                network.setLink(
                    from: .service(service),
                    to: .items(device),
                    .init(latency: links.latency, duplication: links.deviceDuplication)
                )
                network.setLink(from: .web, to: .device(device), .init(latency: 20...2000, isOrdered: false))
            }
        }
    }

    // MARK: Looking

    /// What every device waits for, for a person to read.
    var pending: String {
        devices.map { device in "\(device.index)\(device.isOnline ? "" : "!"):\(device.messenger.summary)" }
            .joined(separator: " ")
    }

    var serviceCrashes: Int { services.reduce(0) { $0 + $1.crashes } }
    var rejected: [String] { services.flatMap(\.rejected) }

    public func messages(_ device: Device, _ conversation: ULID) -> [MessageRecord] {
        device.store.messages(in: conversation, before: nil, after: nil, limit: 100_000)
    }

    public func texts(_ device: Device, _ conversation: ULID) -> [String] {
        messages(device, conversation).filter { $0.kind == .text }.map(\.text)
    }
}
