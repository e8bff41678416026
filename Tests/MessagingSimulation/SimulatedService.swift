import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Support

/// A mailbox service over a simulated network: a `MailboxHost`, its store, and the links to other services.
final class SimulatedService {
    let index: Int
    let key: SigningKey
    let store: MemoryMailboxStore
    let uri: String
    private(set) var host: MailboxHost
    private var verifier = EnvelopeVerifier(policy: SimulatedService.policy)
    private var replay = ReplayWindow()
    private var random: SeededRandom
    var crashes = 0
    /// What an earlier run sent is not answered any more.
    private(set) var life = 0
    private var serviceConnections: [Int: ConnectionID] = [:]
    private var nextConnection: UInt64 = 1

    var did: DID { key.did }

    init(_ index: Int, _ key: SigningKey, _ random: SeededRandom, at now: Int64) throws {
        self.index = index
        self.key = key
        self.random = random
        uri = "wss://mailbox\(index).example/dsip"
        store = MemoryMailboxStore()
        host = try Self.host(key, uri, index, store, random, now)
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
            documents: { _ in .unresolvable },
            random: random,
            at: now
        )
    }

    /// The program ends at once and starts again with what is on its disk.
    func restart(at now: Int64) throws {
        store.failure = nil
        store.rollback()
        crashes += 1
        life += 1
        serviceConnections = [:]
        host = try Self.host(key, uri, index, store, SeededRandom(seed: random.next()), now)
        replay = ReplayWindow()
    }

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

    func received(_ envelope: Envelope, on connection: ConnectionID, at now: Int64) {
        let verdict = verifier.verify(
            envelope.bytes,
            at: now,
            replay: &replay,
            documents: { _ in .unresolvable },
            reading: { (payload) throws(MessagingError) in try MailboxMessage(payload) }
        )
        switch verdict {
        case .accepted(let message): host.received(message, on: connection, at: now)
        case .refused(let fault, let id, let from, _): host.refused(fault, id: id, from: from, on: connection, at: now)
        case .rejected(let rejection): rejected.append("\(rejection)")
        case .needs: break
        }
    }

    var rejected: [String] = []
}
