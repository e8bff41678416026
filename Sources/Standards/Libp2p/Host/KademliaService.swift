/// A Kademlia engine on a host: it serves the protocol, sends the engine's requests over streams, and keeps its time.
///
/// ```swift
/// let dht = KademliaService(host: host, configuration: .init(protocolID: "/dsip/kad/1.0.0"), rules: rules)
/// await dht.start()
/// try await dht.bootstrap()
/// let value = await dht.first(key)
/// ```
public actor KademliaService {
    public nonisolated let host: PeerHost
    private let configuration: KademliaConfiguration
    private var engine: KademliaEngine
    private var waiting: [KademliaEngine.LookupID: AsyncStream<KademliaEvent>.Continuation] = [:]
    private var watcher: Task<Void, Never>?
    private var timer: Task<Void, Never>?
    private var timerAt: Int64 = .max
    private var isRunning = false
    private var underWay = 0
    private var queue: [(KademliaEngine.RequestID, KademliaPeer, KademliaMessage, Bool)] = []

    /// Requests on the wire at a time; more wait.
    private static let maximumUnderWay = 256

    public init(host: PeerHost, configuration: KademliaConfiguration, rules: RecordRules) {
        self.host = host
        self.configuration = configuration
        self.engine = KademliaEngine(own: host.peerID, configuration: configuration, rules: rules)
    }

    /// Begins to serve, in server mode, and to learn of peers that serve.
    public func start() async {
        guard !isRunning else { return }
        isRunning = true
        engine.ownAddresses = await host.listenAddresses
        let events = await host.subscribe()
        watcher = Task { [weak self] in
            for await event in events { await self?.take(event) }
        }
        for peer in await host.connectedPeers {
            guard let identify = await host.identify(of: peer) else { continue }
            identified(peer, identify, await host.addresses(of: peer))
        }
        await serve()
        drain()
    }

    public func stop() async {
        isRunning = false
        watcher?.cancel()
        timer?.cancel()
        await host.stopHandling(configuration.protocolID)
        for continuation in waiting.values { continuation.finish() }
        waiting = [:]
    }

    /// Serves others from now on, or no longer.
    public func setMode(_ mode: KademliaConfiguration.Mode) async {
        guard mode != engine.mode else { return }
        engine.setMode(mode)
        await serve()
    }

    public var statistics: KademliaEngine.Statistics { engine.statistics }
    public var mode: KademliaConfiguration.Mode { engine.mode }
    public var peerCount: Int { engine.table.count }
    /// Servers that are known, those nearest to this one first.
    public var peers: [KademliaPeer] {
        engine.table.closest(to: engine.table.own, count: engine.table.count).map(\.peer)
    }
    public var recordCount: Int { engine.recordCount }
    /// The record that is kept here.
    public func held(_ key: [UInt8]) -> [UInt8]? { engine.records.record(key, at: host.clock.now)?.value }
    public func offences(of peer: PeerID) -> Int { engine.offences(of: peer) }

    // MARK: Lookups

    /// Looks up the own neighbourhood.
    @discardableResult
    public func bootstrap() async -> KademliaResult {
        await result { engine, now in engine.bootstrap(at: now) }
    }

    /// What a get tells as it goes: the first valid record at once, better ones after it, then the end.
    public func records(_ key: [UInt8]) -> AsyncStream<KademliaEvent> { events(engine.get(key, at: host.clock.now)) }

    /// The first valid record; the search goes on behind and repairs.
    public func first(_ key: [UInt8]) async -> [UInt8]? {
        let lookup = engine.get(key, at: host.clock.now)
        for await event in events(lookup, cancelsWithReader: false) {
            switch event {
            case .found(let value, _): return value
            case .finished(let result): return result.value
            case .providers: continue
            }
        }
        return nil
    }

    /// The best record of those nearest to the key.
    public func get(_ key: [UInt8]) async -> [UInt8]? { await result { $0.get(key, at: $1) }.value }

    /// - Throws: `malformed` when our own rules refuse the record.
    /// - Returns: who took it, and how many.
    @discardableResult
    public func put(_ key: [UInt8], _ value: [UInt8]) async throws(Libp2pError) -> KademliaResult {
        await end(events(try engine.put(key, value, at: host.clock.now)))
    }

    /// Puts a record now and again until `withdraw`.
    @discardableResult
    public func publish(_ key: [UInt8], _ value: [UInt8]) async throws(Libp2pError) -> KademliaResult {
        await end(events(try engine.publish(key, value, at: host.clock.now)))
    }

    /// Tells that this node provides `key`, now and again until `withdraw`.
    @discardableResult
    public func announce(_ key: [UInt8]) async throws(Libp2pError) -> KademliaResult {
        engine.ownAddresses = await host.listenAddresses
        return await end(events(try engine.announce(key, at: host.clock.now)))
    }

    public func withdraw(_ key: [UInt8]) { engine.withdraw(key) }

    public func providers(_ key: [UInt8]) async -> [KademliaPeer] {
        await result { $0.getProviders(key, at: $1) }.providers
    }

    /// Where a peer is reached.
    public func find(_ peer: PeerID) async -> KademliaPeer? { await result { $0.find(peer, at: $1) }.peer }

    private func result(
        _ begin: (inout KademliaEngine, Int64) -> KademliaEngine.LookupID
    ) async -> KademliaResult {
        await end(events(begin(&engine, host.clock.now)))
    }

    private func end(_ events: AsyncStream<KademliaEvent>) async -> KademliaResult {
        for await event in events { if case .finished(let result) = event { return result } }
        return KademliaResult()
    }

    private func events(
        _ lookup: KademliaEngine.LookupID,
        cancelsWithReader: Bool = true
    ) -> AsyncStream<KademliaEvent> {
        let stream = AsyncStream<KademliaEvent>(bufferingPolicy: .bufferingNewest(64)) { continuation in
            waiting[lookup] = continuation
            continuation.onTermination = { [weak self] reason in
                guard case .cancelled = reason, cancelsWithReader else { return }
                Task { await self?.cancel(lookup) }
            }
        }
        drain()
        return stream
    }

    private func cancel(_ lookup: KademliaEngine.LookupID) {
        waiting[lookup] = nil
        engine.cancel(lookup)
    }

    // MARK: Engine

    /// Takes note of what the host tells, as this does by itself a moment later.
    public func take(_ event: PeerHost.Event) {
        guard case .identified(let peer, let identify, let addresses) = event else { return }
        identified(peer, identify, addresses)
    }

    private func identified(_ peer: PeerID, _ identify: Identify, _ addresses: [Multiaddr]) {
        engine.identified(
            KademliaPeer(id: peer, addresses: addresses),
            servesDHT: identify.protocols.contains(configuration.protocolID),
            at: host.clock.now
        )
    }

    private func drain() {
        while let output = engine.pollOutput() {
            switch output {
            case .send(let id, let peer, let message, let expectsAnswer):
                queue.append((id, peer, message, expectsAnswer))
            case .event(let lookup, let event):
                waiting[lookup]?.yield(event)
                if case .finished = event { waiting.removeValue(forKey: lookup)?.finish() }
            }
        }
        while underWay < KademliaService.maximumUnderWay, !queue.isEmpty {
            let (id, peer, message, expectsAnswer) = queue.removeFirst()
            underWay += 1
            Task { await self.perform(id, peer, message, expectsAnswer) }
        }
        schedule()
    }

    private func schedule() {
        guard isRunning else { return }
        let at = engine.nextDeadline
        guard at < timerAt || timer == nil else { return }
        timer?.cancel()
        timerAt = at
        let wait = max(1, at - host.clock.now)
        timer = Task { [weak self] in
            do { try await Task.sleep(for: .milliseconds(wait)) } catch { return }
            await self?.tick()
        }
    }

    private func tick() {
        timer = nil
        timerAt = .max
        engine.advance(to: host.clock.now)
        drain()
    }

    private func perform(
        _ id: KademliaEngine.RequestID,
        _ peer: KademliaPeer,
        _ message: KademliaMessage,
        _ expectsAnswer: Bool
    ) async {
        do {
            let answer = try await exchange(peer, message, expectsAnswer)
            engine.answered(id, answer, at: host.clock.now)
        } catch {
            engine.failed(id, at: host.clock.now)
        }
        underWay -= 1
        drain()
    }

    private nonisolated func exchange(
        _ peer: KademliaPeer,
        _ message: KademliaMessage,
        _ expectsAnswer: Bool
    ) async throws -> KademliaMessage? {
        let stream = try await host.openStream(to: peer.id, at: peer.addresses, [configuration.protocolID])
        stream.expire(after: configuration.requestTime)
        try await stream.write(message.bytes.delimited)
        guard expectsAnswer else {
            stream.end()
            // Some answer it all the same, others end or reset the stream: it was sent in any case.
            _ = try? await stream.read()
            return nil
        }
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: KademliaMessage.maximumLength) else {
            throw Libp2pError(.protocolViolation, "no answer")
        }
        stream.end()
        return try KademliaMessage(bytes: bytes)
    }

    // MARK: Serving

    private func serve() async {
        guard engine.mode != .client else { return await host.stopHandling(configuration.protocolID) }
        await host.handle(configuration.protocolID, forOwnNetwork: engine.mode == .local) { [weak self] in
            try await self?.serve($0)
        }
    }

    private nonisolated func serve(_ stream: PeerStream) async throws {
        var reader = MessageReader(stream)
        stream.expire(after: configuration.requestTime)
        while let bytes = try await reader.next(limit: KademliaMessage.maximumLength) {
            let request = try KademliaMessage(bytes: bytes)
            let addresses = await host.addresses(of: stream.peer)
            let answer = await answer(request, from: stream.peer, addresses)
            if let answer {
                try await stream.write(answer.bytes.delimited)
            } else if request.kind != .addProvider {
                throw Libp2pError(.unsupported, "refused")
            }
            stream.expire(after: configuration.requestTime)
        }
    }

    private func answer(_ request: KademliaMessage, from peer: PeerID, _ addresses: [Multiaddr]) -> KademliaMessage? {
        let answer = engine.handle(request, from: peer, addresses: addresses, at: host.clock.now)
        drain()
        return answer
    }
}
