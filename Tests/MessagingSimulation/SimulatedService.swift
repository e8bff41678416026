import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Support

/// A mailbox service over a simulated network: a `MailboxHost`, its store, and the links to other services.
final class SimulatedService {
    let index: Int
    let key: SigningKey
    let store = MemoryMailboxStore()
    let uri: String
    let documents: SimulatedDocuments
    private(set) var host: MailboxHost
    private var verifier = EnvelopeVerifier(policy: SimulatedService.policy)
    private var replay = ReplayWindow()
    private var random: SeededRandom
    private(set) var crashes = 0
    /// What an earlier run sent is not answered any more.
    private(set) var life = 0
    private var serviceConnections: [Int: ConnectionID] = [:]
    private var nextConnection: UInt64 = 1
    /// Until when the store keeps nothing, Unix seconds.
    private(set) var fullUntil: Int64?
    /// Envelopes whose signer's document is being looked up.
    private var parked: [(envelope: Envelope, connection: ConnectionID, needs: DID)] = []
    /// What is asked of the web at this moment.
    var lookingUp: Set<DID> = []
    private(set) var rejected: [String] = []

    var did: DID { key.did }
    var entry: MailboxService { MailboxService(uri: uri, mailbox: did) }

    init(
        _ index: Int,
        _ key: SigningKey,
        _ documents: SimulatedDocuments,
        _ random: SeededRandom,
        at now: Int64
    ) throws {
        self.index = index
        self.key = key
        self.documents = documents
        self.random = random
        uri = "wss://mailbox\(index).example/dsip"
        host = try Self.host(key, uri, index, store, documents, random, now)
    }

    private static let policy = VerificationPolicy(supported: supported, isRouter: true)
    private static let supported: SupportedVersions = {
        var supported = SupportedVersions()
        supported.profiles.append(MessagingProfile.id)
        return supported
    }()

    private static func host(
        _ key: SigningKey,
        _ uri: String,
        _ index: Int,
        _ store: MemoryMailboxStore,
        _ documents: SimulatedDocuments,
        _ random: SeededRandom,
        _ now: Int64
    ) throws -> MailboxHost {
        var limits = MailboxHost.Limits()
        limits.fetchBurst = 1000
        limits.fetchesPerSecond = 10
        return try MailboxHost(
            .init(did: key.did, uri: uri, blobEndpoint: "https://mailbox\(index).example/blobs"),
            store: store,
            limits: limits,
            documents: { documents.lookup($0, by: index) },
            random: random,
            at: now
        )
    }

    // MARK: Faults

    /// The program ends at once and starts again with what is on its disk.
    func restart(at now: Int64) throws {
        fullUntil = nil
        store.failure = nil
        store.rollback()
        crashes += 1
        life += 1
        serviceConnections = [:]
        lookingUp = []
        parked = []
        documents.forget(by: index)
        host = try Self.host(key, uri, index, store, documents, SeededRandom(seed: random.next()), now)
        replay = ReplayWindow()
    }

    /// The disk is full for a while: what is said meanwhile is refused.
    func fill(until end: Int64) {
        store.failure = .full
        fullUntil = end
    }

    func drain(at now: Int64) {
        guard let fullUntil, fullUntil <= now else { return }
        self.fullUntil = nil
        store.failure = nil
    }

    // MARK: Connections

    func newConnection() -> ConnectionID {
        nextConnection += 1
        return ConnectionID(nextConnection)
    }

    /// The connection by which another service speaks here.
    func connection(of other: SimulatedService) -> ConnectionID {
        if let known = serviceConnections[other.index] { return known }
        let connection = newConnection()
        serviceConnections[other.index] = connection
        return connection
    }

    // MARK: Hearing

    /// - Returns: whose document must be looked up first.
    func received(_ envelope: Envelope, on connection: ConnectionID, at now: Int64) -> DID? {
        let verdict = verifier.verify(
            envelope.bytes,
            at: now,
            replay: &replay,
            documents: { [documents, index] in documents.lookup($0, by: index) },
            reading: { (payload) throws(MessagingError) in try MailboxMessage(payload) }
        )
        switch verdict {
        case .accepted(let message): host.received(message, on: connection, at: now)
        case .refused(let fault, let id, let from, _): host.refused(fault, id: id, from: from, on: connection, at: now)
        case .rejected(let rejection):
            // Copies are expected, and so is who cannot be looked up.
            if ![.duplicateID, .kidUnresolvable].contains(rejection.code) {
                let said = (try? JSONValue(parsing: envelope.decodedPayload())) ?? .null
                rejected.append(
                    "at \(now): \(rejection): \(said["type"] ?? .null) from \((said["from"]?.string ?? "").suffix(6)) "
                        + "issued at \(said["issued_at"]?.int ?? 0) until \(said["expires_at"]?.int ?? 0)"
                )
            }
        case .needs(let did):
            if parked.count < 256 { parked.append((envelope, connection, did)) }
            return did
        }
        return nil
    }

    /// A document was looked up, whatever came of it: what waited for it is heard.
    func resolved(_ did: DID, at now: Int64) -> [DID] {
        host.resolved(did, at: now)
        let waiting = parked.filter { $0.needs == did }
        parked.removeAll { $0.needs == did }
        return waiting.compactMap { received($0.envelope, on: $0.connection, at: now) }.filter { $0 != did }
    }
}
