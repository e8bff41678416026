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
///
/// Whoever listens also says whether others can be dialled, finds out whether it can be itself, and is connected by relays when it cannot
/// (`standing`).
public actor Overlay: RecordDirectory {
    public nonisolated let host: PeerHost
    public nonisolated let configuration: Configuration
    let directory: KademliaService
    let hints: KademliaService
    let reachability: ReachabilityService
    let punches: HolePunchService
    let circuits: CircuitListener
    private let local: LocalDiscoveryService?
    private let relaying: CircuitRelayService?
    private var hosts: [Multiaddr]
    private var joining: Task<Void, Never>?
    private var watcher: Task<Void, Never>?
    /// Put while nobody was there to take it; put anew as soon as somebody is.
    private var waiting: [[UInt8]: [UInt8]] = [:]
    private static let maximumWaiting = 256
    /// What the last examination found, and when it was.
    var known = Standing.unknown
    var examinedAt: ContinuousClock.Instant?

    /// What this host says it is.
    var about = HostAbout()

    /// Hosts to begin with that are remembered.
    public static let maximumHosts = 32

    /// - Parameters:
    ///   - documents: what is known of a DID now; not asked for did:keys. Must not wait.
    ///   - revocations: those held.
    public init(
        _ configuration: Configuration,
        documents: @escaping @Sendable (DID) -> DocumentLookup = { _ in .unresolvable },
        revocations: @escaping @Sendable () -> Revocations = { Revocations() }
    ) {
        self.configuration = configuration
        self.hosts = Array(configuration.bootstrap.prefix(Overlay.maximumHosts))
        let host = PeerHost(identity: configuration.identity)
        var rules = RecordRules()
        rules.register(
            DiscoveryKey.namespace,
            DirectoryValidator(documents: documents, revocations: revocations)
        )
        func service(_ protocolID: String) -> KademliaService {
            var kademlia = KademliaConfiguration(protocolID: protocolID)
            kademlia.mode = configuration.mode
            kademlia.lookupTime = configuration.lookupTime
            return KademliaService(host: host, configuration: kademlia, rules: rules)
        }
        self.host = host
        directory = service(DiscoveryKey.protocolID)
        hints = service(HintKey.protocolID)
        reachability = ReachabilityService(host: host)
        punches = HolePunchService(host: host)
        circuits = CircuitListener(host: host)
        local = configuration.local.map {
            LocalDiscoveryService(host: host, limits: $0.limits, interfaces: $0.interfaces, port: $0.port)
        }
        relaying = configuration.circuits.map { CircuitRelayService(host: host, limits: $0) }
    }

    /// Listens, and goes on joining in the background for as long as nobody else is known.
    ///
    /// - Throws: `Libp2pError` `unsupported` for an address that is not TCP; an I/O error when a port is taken.
    public func start() async throws {
        for address in configuration.listen { try await host.listen(on: address) }
        // Who wants to be met on the own network has to be there for it.
        if configuration.listen.isEmpty, local != nil {
            try await host.listen(on: Overlay.anyPort)
            // Where there is IPv6.
            _ = try? await host.listen(on: Overlay.anyPortV6)
        }
        await directory.start()
        await hints.start()
        let events = await host.subscribe()
        watcher = Task { [weak self] in for await event in events { await self?.take(event) } }
        if isDialled {
            await reachability.start()
            await punches.start()
            await relaying?.start()
        }
        // A machine without a network that can do multicast has nobody to meet.
        try? await local?.start()
        beginJoining()
    }

    public func stop() async {
        joining?.cancel()
        joining = nil
        watcher?.cancel()
        await circuits.stop()
        await local?.stop()
        await relaying?.stop()
        await punches.stop()
        await reachability.stop()
        await directory.stop()
        await hints.stop()
        await host.shutdown()
    }

    static let anyPort = Multiaddr(IPAddress("0.0.0.0")!, tcp: 0)
    private static let anyPortV6 = Multiaddr(IPAddress("::")!, tcp: 0)

    /// Whether this host listens at all.
    nonisolated var isDialled: Bool { !configuration.listen.isEmpty || configuration.local != nil }

    // MARK: Joining

    /// Learns of hosts to begin with; what names no peer is passed over, and beyond ``maximumHosts`` the first are forgotten.
    public func learn(_ addresses: [Multiaddr]) {
        let new = addresses.filter { $0.peerID != nil && $0.peerID != host.peerID && !hosts.contains($0) }
        guard !new.isEmpty else { return }
        hosts = Array((hosts + new).suffix(Overlay.maximumHosts))
        if joining != nil { beginJoining() }
    }

    private func beginJoining() {
        joining?.cancel()
        joining = Task { [weak self] in
            var wait = 1
            while !Task.isCancelled {
                guard let self else { return }
                if await self.joinIfAlone() {
                    wait = min(wait * 2, 60)
                } else {
                    wait = 60
                    await self.examineIfDue()
                }
                do { try await Task.sleep(for: .seconds(wait)) } catch { return }
            }
        }
    }

    /// - Returns: whether nobody is known still.
    private func joinIfAlone() async -> Bool {
        guard await directory.peerCount == 0 else { return false }
        await withTaskGroup(of: Void.self) { [host, hosts] group in
            for address in hosts where address.peerID != host.peerID {
                group.addTask { _ = try? await host.connect(to: address) }
            }
        }
        await directory.bootstrap()
        await hints.bootstrap()
        return await directory.peerCount == 0
    }

    /// The first that is known of ends being alone.
    private func take(_ event: PeerHost.Event) async {
        let wasAlone = await directory.peerCount == 0
        await directory.take(event)
        await hints.take(event)
        guard await directory.peerCount > 0 else { return }
        let records = waiting
        waiting = [:]
        for (key, value) in records { Task { await put(key, value) } }
        if wasAlone, !about.regions.isEmpty { Task { await announce(about.regions) } }
    }

    // MARK: State

    /// Where others reach this host, each address naming it.
    public var addresses: [Multiaddr] { get async { await host.listenAddresses.map { $0.naming(host.peerID) } } }

    /// Servers of the directory that are known.
    public var peerCount: Int { get async { await directory.peerCount } }

    /// Some of them, to begin with the next time.
    public var peers: [Multiaddr] {
        get async {
            await directory.peers.compactMap { peer in peer.addresses.first.map { $0.transport.naming(peer.id) } }
                .suffix(Overlay.maximumHosts / 2)
        }
    }

    /// Records kept for others, of both kinds.
    public var recordCount: Int { get async { await directory.recordCount + hints.recordCount } }

    // MARK: Records

    /// The first live record that anybody has, verified; the search goes on behind and repairs. None after
    /// ``Configuration/lookupTime``.
    public func values(_ key: [UInt8]) async throws(IdentityError) -> [[UInt8]] {
        await [service(key).first(key)].compactMap(\.self)
    }

    /// The record that this host keeps for others; nobody is asked.
    public func held(_ key: [UInt8]) async -> [UInt8]? { await service(key).held(key) }

    /// Puts a record where it is looked for, and again while it lives. What does not hold is not put.
    public func put(_ key: [UInt8], _ value: [UInt8]) async {
        if await service(key).peerCount == 0, waiting[key] != nil || waiting.count < Overlay.maximumWaiting {
            waiting[key] = value
        }
        _ = try? await service(key).publish(key, value)
    }

    /// Puts the record under `key` no more.
    public func withdraw(_ key: [UInt8]) async {
        waiting[key] = nil
        await service(key).withdraw(key)
    }

    private func service(_ key: [UInt8]) -> KademliaService { key.starts(with: HintKey.prefix) ? hints : directory }
}
