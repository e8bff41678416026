import NIOConcurrencyHelpers
import NIOCore

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
    /// Who is told of each lookup, on this executor.
    private var watchers: [KademliaEngine.LookupID: (KademliaEvent) -> Void] = [:]
    private var watcher: Task<Void, Never>?
    private var timer: Scheduled<Void>?
    private var timerAt: Int64 = .max
    private var isRunning = false
    private var isDraining = false
    private var keptAt: Int64 = 0
    private var underWay = 0
    private var queue: [(KademliaEngine.RequestID, KademliaPeer, KademliaMessage, Bool)] = []

    /// The host's: what comes in is answered, and what is to be asked goes out, without a change of threads.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { host.unownedExecutor }

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
        host.kept.withLockedValue { $0[configuration.protocolID] = nil }
        await host.stopHandling(configuration.protocolID)
        let told = watchers.values
        watchers = [:]
        for tell in told { tell(.finished(KademliaResult())) }
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
    public func records(_ key: [UInt8]) -> AsyncStream<KademliaEvent> {
        let lookup = engine.get(key, at: host.clock.now)
        return AsyncStream(bufferingPolicy: .bufferingNewest(64)) { continuation in
            continuation.onTermination = { [weak self] reason in
                guard case .cancelled = reason else { return }
                Task { await self?.cancel(lookup) }
            }
            watch(lookup) { event in
                continuation.yield(event)
                if case .finished = event { continuation.finish() }
            }
        }
    }

    /// The same, told on the host's executor: no thread stands between an answer and who waits for it. Ends with `.finished`.
    public func records(_ key: [UInt8], tell: @escaping @Sendable (KademliaEvent) -> Void) {
        watch(engine.get(key, at: host.clock.now), tell)
    }

    /// The first valid record; the search goes on behind and repairs.
    public func first(_ key: [UInt8]) async -> [UInt8]? {
        let lookup = engine.get(key, at: host.clock.now)
        return await wait(for: lookup, endsWithWaiter: false) { event in
            switch event {
            case .found(let value, _): .some(value)
            case .finished(let result): .some(result.value)
            case .providers: .none
            }
        }
    }

    /// The best record of those nearest to the key.
    public func get(_ key: [UInt8]) async -> [UInt8]? { await result { $0.get(key, at: $1) }.value }

    /// - Throws: `malformed` when our own rules refuse the record.
    /// - Returns: who took it, and how many.
    @discardableResult
    public func put(_ key: [UInt8], _ value: [UInt8]) async throws(Libp2pError) -> KademliaResult {
        await end(try engine.put(key, value, at: host.clock.now))
    }

    /// Puts a record now and again until `withdraw`.
    @discardableResult
    public func publish(_ key: [UInt8], _ value: [UInt8]) async throws(Libp2pError) -> KademliaResult {
        await end(try engine.publish(key, value, at: host.clock.now))
    }

    /// Tells that this node provides `key`, now and again until `withdraw`.
    @discardableResult
    public func announce(_ key: [UInt8]) async throws(Libp2pError) -> KademliaResult {
        engine.ownAddresses = await host.listenAddresses
        return await end(try engine.announce(key, at: host.clock.now))
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
        await end(begin(&engine, host.clock.now))
    }

    private func end(_ lookup: KademliaEngine.LookupID) async -> KademliaResult {
        await wait(for: lookup, endsWithWaiter: true) { event in
            if case .finished(let result) = event { result } else { nil }
        }
    }

    /// Waits until `answer` makes something of an event, as it does of `.finished`.
    ///
    /// - Parameter endsWithWaiter: whether the lookup ends when nobody waits any more.
    private func wait<Value: Sendable>(
        for lookup: KademliaEngine.LookupID,
        endsWithWaiter: Bool,
        _ answer: @escaping (KademliaEvent) -> Value?
    ) async -> Value {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                var waiting: CheckedContinuation<Value, Never>? = continuation
                watch(lookup) { event in
                    guard let value = answer(event) else { return }
                    waiting?.resume(returning: value)
                    waiting = nil
                }
            }
        } onCancel: {
            Task { await abandon(lookup, ending: endsWithWaiter) }
        }
    }

    private func abandon(_ lookup: KademliaEngine.LookupID, ending: Bool) {
        guard let tell = watchers.removeValue(forKey: lookup) else { return }
        if ending { engine.cancel(lookup) }
        tell(.finished(KademliaResult()))
    }

    /// - Parameter tell: called once with `.finished`, and never after.
    private func watch(_ lookup: KademliaEngine.LookupID, _ tell: @escaping (KademliaEvent) -> Void) {
        watchers[lookup] = tell
        drain()
    }

    private func cancel(_ lookup: KademliaEngine.LookupID) {
        watchers[lookup] = nil
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
        // What is told and sent below may come back here.
        guard !isDraining else { return }
        isDraining = true
        while true {
            if let output = engine.pollOutput() {
                take(output)
            } else if underWay < KademliaService.maximumUnderWay, !queue.isEmpty {
                let (id, peer, message, expectsAnswer) = queue.removeFirst()
                send(id, peer, message, expectsAnswer)
            } else {
                break
            }
        }
        isDraining = false
        schedule()
    }

    private func take(_ output: KademliaOutput) {
        switch output {
        case .send(let id, let peer, let message, let expectsAnswer):
            if underWay < KademliaService.maximumUnderWay {
                send(id, peer, message, expectsAnswer)
            } else {
                queue.append((id, peer, message, expectsAnswer))
            }
        case .event(let lookup, let event):
            guard case .finished = event else {
                watchers[lookup]?(event)
                return
            }
            watchers.removeValue(forKey: lookup)?(event)
        }
    }

    private func schedule() {
        guard isRunning else { return }
        let at = engine.nextDeadline
        guard at < timerAt else { return }
        timer?.cancel()
        timerAt = at
        timer = host.loop.assumeIsolated().scheduleTask(in: .milliseconds(max(1, at - host.clock.now))) { [weak self] in
            self?.assumeIsolated { $0.tick() }
        }
    }

    private func tick() {
        timer = nil
        timerAt = .max
        engine.advance(to: host.clock.now)
        keep()
        drain()
    }

    /// Whom a search asks first, it need not dial: the nearest neighbours, and the longest known of each bucket beyond. A client keeps
    /// nobody; it may be on a battery.
    private func keep() {
        let now = host.clock.now
        guard now - keptAt >= KademliaService.keepInterval else { return }
        keptAt = now
        let peers = engine.mode == .client ? [] : engine.table.mainstays(KademliaService.maximumKept)
        host.kept.withLockedValue { $0[configuration.protocolID] = Set(peers) }
    }

    private static let keepInterval: Int64 = 10_000
    private static let maximumKept = 64

    // MARK: Asking

    private func send(
        _ id: KademliaEngine.RequestID,
        _ peer: KademliaPeer,
        _ message: KademliaMessage,
        _ expectsAnswer: Bool
    ) {
        underWay += 1
        if let connection = host.assumeIsolated({ $0.connection(with: peer.id) }) {
            return ask(id, connection, message, expectsAnswer)
        }
        Task {
            do {
                ask(id, try await host.connect(to: peer.id, at: peer.addresses), message, expectsAnswer)
            } catch {
                answered(id, .failure(Libp2pError(.unreachable, "nobody answers")))
            }
        }
    }

    private func ask(
        _ id: KademliaEngine.RequestID,
        _ connection: HostConnection,
        _ message: KademliaMessage,
        _ expectsAnswer: Bool
    ) {
        let question = Question(
            message: message.bytes,
            expectsAnswer: expectsAnswer,
            limit: KademliaMessage.maximumLength,
            time: configuration.requestTime
        ) { [weak self] result in self?.assumeIsolated { $0.answered(id, result) } }
        connection.ask(question, configuration.protocolID)
    }

    private func answered(_ id: KademliaEngine.RequestID, _ result: Result<[UInt8]?, Libp2pError>) {
        underWay -= 1
        do {
            let answer = try result.get().map { try KademliaMessage(bytes: $0) }
            engine.answered(id, answer, at: host.clock.now)
        } catch {
            engine.failed(id, at: host.clock.now)
        }
        drain()
    }

    // MARK: Serving

    private func serve() async {
        guard engine.mode != .client else { return await host.stopHandling(configuration.protocolID) }
        await host.answer(
            configuration.protocolID,
            limit: KademliaMessage.maximumLength,
            within: configuration.requestTime,
            forOwnNetwork: engine.mode == .local
        ) { [weak self] question, connection in
            self?.assumeIsolated { $0.answer(question, from: connection.peer) } ?? .refused
        }
    }

    private func answer(_ question: [UInt8], from peer: PeerID) -> PeerAnswer {
        guard let request = try? KademliaMessage(bytes: question) else { return .refused }
        let addresses = request.kind == .addProvider ? host.assumeIsolated { $0.addresses(of: peer) } : []
        let answer = engine.handle(request, from: peer, addresses: addresses, at: host.clock.now)
        drain()
        if let answer { return .message(answer.bytes) }
        return request.kind == .addProvider ? .none : .refused
    }
}
