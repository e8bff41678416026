import DSIPIdentity
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding

/// From `place` to `ringing` between two endpoint engines, through a real relay over loopback, at a fixed rate of attempts.
///
/// Both ends verify and sign all they are sent and send; a call that rings is cancelled. The rate does not wait for slow calls.
enum RingingBenchmark {
    private static let limit = 0.020
    private static let rate = 200
    private static let attemptsEach = 800

    static func run(_ options: Options) async throws {
        try await withTemporaryFolder { folder in
            let relay = try RelayProcess(options.dsip, folder: folder)
            defer { relay.end() }
            let (alice, bob) = (try Caller(), try Caller())
            let (port, root) = (relay.port, relay.certificates + "/ca.pem")
            let caller = try Endpoint(alice, at: port, trusting: root, allowing: bob)
            let callee = try Endpoint(bob, at: port, trusting: root, allowing: alice)
            try await caller.connect()
            try await callee.connect()
            var quantiles: [(half: Double, most: Double)] = []
            // The first round warms up and does not count.
            for round in 0...options.rounds {
                let delays = try await attempts(by: caller, to: callee)
                if round > 0 { quantiles.append((delays.median, delays.quantile(0.99))) }
            }
            let most = quantiles.map(\.most).median
            Report.line(
                "ringing",
                "99 of 100 within \(Report.milliseconds(most)) of \(Report.milliseconds(limit)) allowed at \(rate) attempts a second, "
                    + "half within \(Report.milliseconds(quantiles.map(\.half).median))",
                ratio: most / limit,
                atMost: 1
            )
            await caller.close()
            await callee.close()
        }
    }

    private static func attempts(by caller: Endpoint, to callee: Endpoint) async throws -> [Double] {
        let clock = ContinuousClock()
        let start = clock.now
        for index in 0..<attemptsEach {
            try await clock.sleep(until: start + .seconds(index) / rate, tolerance: .zero)
            Task { await caller.place(to: callee.caller.identity.did) }
        }
        let end = clock.now + .seconds(10)
        while await caller.rung < attemptsEach {
            guard clock.now < end else {
                throw BenchmarkError("\(attemptsEach - (await caller.rung)) of \(attemptsEach) calls did not ring")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return await caller.takeDelays()
    }
}

/// An engine, a connection and a key: the shell around them does what the engine says and nothing else.
private actor Endpoint {
    nonisolated let caller: Caller
    private let client: SignalingClient
    private var engine: EndpointEngine
    private var placed: [ULID: ContinuousClock.Instant] = [:]
    private var delays: [Double] = []
    private var listener: Task<Void, Never>?

    init(_ caller: Caller, at port: Int, trusting root: String, allowing peer: Caller) throws {
        self.caller = caller
        var configuration = SignalingClient.Configuration(
            try RelayAddress("wss://127.0.0.1:\(port)/dsip"),
            key: caller.device,
            identity: caller.identity.did,
            delegations: [caller.delegation],
            clock: { Caller.now }
        )
        configuration.roots = TrustRoots(additionalFiles: [root])
        client = SignalingClient(configuration, source: SelfCertifyingSource())
        var settings = EndpointConfiguration()
        settings.maximumSessions = 4096
        engine = EndpointEngine(device: caller.device.did, identity: caller.identity.did, configuration: settings)
        _ = engine.handle(.allow(peer.identity.did), at: Caller.now)
    }

    var rung: Int { delays.count }

    func takeDelays() -> [Double] {
        defer { delays = [] }
        return delays
    }

    func connect() async throws {
        let (states, state) = AsyncStream<Bool>.makeStream()
        listener = Task {
            async let run: Void = client.run()
            for await event in client.events {
                switch event {
                case .message(let message): await received(message)
                case .state(.connected): state.yield(true)
                case .state(.waiting), .state(.refused): state.yield(false)
                case .state, .profile, .rejected, .networkChanged: break
                }
            }
            await run
        }
        for await isConnected in states {
            guard isConnected else { throw BenchmarkError("the relay cannot be reached") }
            return
        }
    }

    func close() async {
        client.close()
        await listener?.value
    }

    func place(to callee: DID) async {
        let id = caller.stamp().id
        placed[id] = .now
        await perform(engine.handle(.placeCall(session: id, to: callee), at: Caller.now))
    }

    private func received(_ message: Verified<Message>) async {
        await perform(engine.handle(.received(Signal(message)), at: Caller.now))
    }

    private func perform(_ actions: [EndpointAction]) async {
        var waiting = actions[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let outbound):
                guard let envelope = try? caller.sign(message(outbound)) else { continue }
                try? await client.send(envelope)
            case .ui(.offered, let session?):
                waiting += engine.handle(.alert(session: session), at: Caller.now)
            case .ui(.progress(.ringing, _), let session?):
                guard let start = placed.removeValue(forKey: session) else { continue }
                delays.append((ContinuousClock.now - start) / .seconds(1))
                waiting += engine.handle(.cancel(session: session), at: Caller.now)
            default: break
            }
        }
    }

    private func message(_ outbound: Outbound) throws -> Message {
        var stamp = caller.stamp()
        switch outbound.type {
        case .invite:
            if let session = outbound.session { stamp.id = session }
            return .invite(stamp, to: outbound.to, Sample.invite)
        case .progress: return Message(stamp, to: outbound.to, session: outbound.session, Progress(.ringing))
        case .cancel:
            return Message(stamp, to: outbound.to, session: outbound.session, Cancel(outbound.reason ?? .userCancelled))
        case .reject:
            return Message(stamp, to: outbound.to, session: outbound.session, Reject(outbound.reason ?? .userCancelled))
        case .error:
            return .error(
                stamp,
                to: outbound.to,
                session: outbound.session,
                ErrorReport(outbound.reason ?? .sessionFailed, inReplyTo: outbound.inReplyTo)
            )
        default: throw BenchmarkError("a ringing call has no \(outbound.type)")
        }
    }
}
