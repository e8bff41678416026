import DSIPIdentity
import Libp2p

/// One host in both DHTs of DSIP: the directory with presence, home records and regions (`/dsip/kad/1.0.0`), and the overlay of hints
/// (`/dsip/hints/0.6`), over the same connections and by the same rules.
///
/// ```swift
/// let overlay = Overlay(.init(listen: [try Multiaddr("/ip4/0.0.0.0/tcp/4001")], bootstrap: known))
/// try await overlay.start()
/// let homes = try await overlay.values(DiscoveryKey.home(did))
/// ```
public actor Overlay: RecordDirectory {
    public struct Configuration: Sendable {
        /// The host's own key; whoever is to be found again keeps it.
        public var identity: IdentityKey
        /// TCP addresses to listen on. A host without any asks, and stores nothing for others.
        public var listen: [Multiaddr]
        /// Hosts to begin with; each address names its peer at its end.
        public var bootstrap: [Multiaddr]
        /// Milliseconds of a lookup, after which it ends with what it has.
        public var lookupTime: Int64 = 4_000

        public init(identity: IdentityKey = IdentityKey(), listen: [Multiaddr] = [], bootstrap: [Multiaddr] = []) {
            self.identity = identity
            self.listen = listen
            self.bootstrap = bootstrap
        }
    }

    public nonisolated let host: PeerHost
    private let configuration: Configuration
    private let directory: KademliaService
    private let hints: KademliaService
    private var joining: Task<Void, Never>?

    /// - Parameters:
    ///   - documents: what is known of a DID now; not asked for did:keys. Must not wait.
    ///   - revocations: those held.
    public init(
        _ configuration: Configuration,
        documents: @escaping @Sendable (DID) -> DocumentLookup = { _ in .unresolvable },
        revocations: @escaping @Sendable () -> Revocations = { Revocations() }
    ) {
        self.configuration = configuration
        let host = PeerHost(identity: configuration.identity)
        var rules = RecordRules()
        rules.register(
            DiscoveryKey.namespace,
            DirectoryValidator(documents: documents, revocations: revocations)
        )
        func service(_ protocolID: String) -> KademliaService {
            var kademlia = KademliaConfiguration(protocolID: protocolID)
            kademlia.mode = configuration.listen.isEmpty ? .client : .server
            kademlia.lookupTime = configuration.lookupTime
            return KademliaService(host: host, configuration: kademlia, rules: rules)
        }
        self.host = host
        directory = service(DiscoveryKey.protocolID)
        hints = service(HintKey.protocolID)
    }

    /// Listens, and goes on joining in the background for as long as nobody else is known.
    ///
    /// - Throws: `Libp2pError` `unsupported` for an address that is not TCP; an I/O error when a port is taken.
    public func start() async throws {
        for address in configuration.listen { try await host.listen(on: address) }
        await directory.start()
        await hints.start()
        joining = Task { [weak self] in
            var wait = 1
            while !Task.isCancelled {
                guard let self else { return }
                let isAlone = await self.isAlone
                if isAlone { await self.join() }
                let isStillAlone = await self.isAlone
                wait = isStillAlone ? min(wait * 2, 60) : 60
                do { try await Task.sleep(for: .seconds(wait)) } catch { return }
            }
        }
    }

    public func stop() async {
        joining?.cancel()
        await directory.stop()
        await hints.stop()
        await host.shutdown()
    }

    private var isAlone: Bool { get async { await directory.peerCount == 0 } }

    private func join() async {
        await withTaskGroup(of: Void.self) { [host] group in
            for address in configuration.bootstrap where address.peerID != host.peerID {
                group.addTask { _ = try? await host.connect(to: address) }
            }
        }
        await directory.bootstrap()
        await hints.bootstrap()
    }

    // MARK: State

    /// Where others reach this host, each address naming it.
    public var addresses: [Multiaddr] { get async { await host.listenAddresses.map { $0.naming(host.peerID) } } }

    /// Servers of the directory that are known.
    public var peerCount: Int { get async { await directory.peerCount } }

    /// Records kept for others, of both kinds.
    public var recordCount: Int { get async { await directory.recordCount + hints.recordCount } }

    // MARK: Records

    /// The first live record that anybody has, verified; the search goes on behind and repairs. None after
    /// ``Configuration/lookupTime``.
    public func values(_ key: [UInt8]) async throws(IdentityError) -> [[UInt8]] {
        await [service(key).first(key)].compactMap(\.self)
    }

    /// Puts a record where it is looked for, and again while it lives. What does not hold is not put.
    public func put(_ key: [UInt8], _ value: [UInt8]) async { _ = try? await service(key).publish(key, value) }

    private func service(_ key: [UInt8]) -> KademliaService { key.starts(with: HintKey.prefix) ? hints : directory }
}
