import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import NIOConcurrencyHelpers
import NIOCore

/// One connection to another service: items out in order, their answers back by `in_reply_to`.
final class ServiceLink: Sendable {
    struct Item: Sendable {
        var id: ULID
        /// Bytes it keeps in memory, about.
        var size: Int
        var isAnswered: Bool
        /// The envelope to send; nil when the key cannot sign.
        var envelope: @Sendable () -> Envelope?
    }

    /// Items that wait for the connection or for their answer, and how long an answer may take.
    private static let maximumItems = 4096
    private static let maximumBytes = 16 << 20
    private static let patience = Duration.seconds(20)

    private enum Phase { case connecting, connected, waiting, closed }

    private struct State {
        var phase = Phase.connecting
        var queue = CircularBuffer<Item>()
        var bytes = 0
        /// Sent, and when.
        var unanswered: [ULID: ContinuousClock.Instant] = [:]
        var lastUse = ContinuousClock.now
        var isFlushing = false
        var tasks: [Task<Void, Never>] = []
    }

    private let did: DID
    private let client: SignalingClient
    private let metrics: RelayMetrics
    private let answered: ServiceLinks.Answered
    private let state = NIOLockedValueBox(State())

    init(
        _ address: RelayAddress,
        to did: DID,
        _ environment: ServiceLinks.Environment,
        answered: @escaping ServiceLinks.Answered
    ) {
        self.did = did
        self.metrics = environment.metrics
        self.answered = answered
        var configuration = SignalingClient.Configuration(address, key: environment.key, clock: environment.clock)
        configuration.relay = did
        configuration.roots = environment.roots
        configuration.policy = .messaging()
        configuration.profiles = .messaging
        configuration.allows = environment.allows
        client = SignalingClient(configuration, source: environment.source, replay: environment.replay)
        let client = client
        let tasks = [
            Task { await client.run() },
            Task { [weak self] in
                for await event in client.events { self?.handle(event) }
            },
        ]
        state.withLockedValue { $0.tasks = tasks }
    }

    var lastUse: ContinuousClock.Instant { state.withLockedValue(\.lastUse) }
    /// Whether nothing waits, neither to be sent nor to be answered.
    var isIdle: Bool { state.withLockedValue { $0.queue.isEmpty && $0.unanswered.isEmpty } }

    /// - Returns: false when there is no connection to be had at the moment, or too much waits for it.
    func send(_ item: Item) -> Bool {
        let start: Bool? = state.withLockedValue { state in
            guard state.phase == .connecting || state.phase == .connected,
                state.queue.count + state.unanswered.count < ServiceLink.maximumItems,
                state.bytes + item.size <= ServiceLink.maximumBytes
            else { return nil }
            state.queue.append(item)
            state.bytes += item.size
            state.lastUse = .now
            guard state.phase == .connected, !state.isFlushing else { return false }
            state.isFlushing = true
            return true
        }
        guard let start else { return false }
        if start { Task { await flush() } }
        return true
    }

    func giveUpUnanswered(at now: ContinuousClock.Instant) {
        let late = state.withLockedValue { state in
            let late = state.unanswered.filter { now - $0.value > ServiceLink.patience }.keys
            for id in late { state.unanswered[id] = nil }
            return Array(late)
        }
        for id in late { answer(id, .unreachable) }
    }

    func close() {
        lose(.closed)
        client.close()
    }

    // MARK: Events

    private func handle(_ event: SignalingClient.Event) {
        switch event {
        case .profile(let message):
            guard message.principal == did, let message = message.narrowed(as: MailboxMessage.self),
                case .accepted(let accepted) = message.body.body
            else { return }
            settle(accepted.inReplyTo, .accepted(accepted, message.envelope))
        case .message(let message):
            guard message.principal == did, case .error(let report) = message.body.body, let id = report.inReplyTo
            else { return }
            settle(id, .refused(report.reason, retryAfter: report.retryAfter, message.envelope))
        case .state(.connected):
            let start = state.withLockedValue { state in
                guard state.phase != .closed else { return false }
                state.phase = .connected
                defer { state.isFlushing = true }
                return !state.isFlushing
            }
            if start { Task { await flush() } }
        case .state(.connecting):
            state.withLockedValue { if $0.phase == .waiting { $0.phase = .connecting } }
        case .state(.waiting), .state(.refused): lose(.waiting)
        case .state(.closed): lose(.closed)
        case .networkChanged: break
        case .rejected(let rejection): metrics.rejected.add(rejection.code.rawValue)
        }
    }

    private func settle(_ id: ULID, _ answer: ServiceAnswer) {
        let isAwaited = state.withLockedValue { state in
            state.lastUse = .now
            return state.unanswered.removeValue(forKey: id) != nil
        }
        if isAwaited { self.answer(id, answer) }
    }

    private func answer(_ id: ULID, _ answer: ServiceAnswer) {
        switch answer {
        case .accepted: metrics.deposits.add("accepted")
        case .refused: metrics.deposits.add("refused")
        case .unreachable: metrics.deposits.add("unanswered")
        }
        answered(id, did, answer)
    }

    /// There is no connection: whatever waits for it is whoever's asked for it again.
    private func lose(_ phase: Phase) {
        let lost = state.withLockedValue { state -> [ULID] in
            guard state.phase != .closed else { return [] }
            state.phase = phase
            let lost = state.queue.filter(\.isAnswered).map(\.id) + state.unanswered.keys
            state.queue.removeAll()
            state.bytes = 0
            state.unanswered = [:]
            return lost
        }
        for id in lost { answer(id, .unreachable) }
    }

    // MARK: Sending

    private func flush() async {
        while let item = next() {
            guard let envelope = item.envelope() else {
                settle(item.id, .unreachable)
                continue
            }
            while true {
                do throws(TransportError) {
                    try await client.send(envelope)
                } catch {
                    if error.code == .backpressure {
                        try? await Task.sleep(for: .milliseconds(20))
                        continue
                    }
                    // Too large, or the connection has gone, which the client tells as well.
                    settle(item.id, .unreachable)
                }
                break
            }
        }
    }

    private func next() -> Item? {
        state.withLockedValue { state in
            guard state.phase == .connected, !state.queue.isEmpty else {
                state.isFlushing = false
                return nil
            }
            let item = state.queue.removeFirst()
            state.bytes -= item.size
            if item.isAnswered { state.unanswered[item.id] = .now }
            return item
        }
    }
}
