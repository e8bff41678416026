import NIOCore
import Synchronization

/// The bounded stream between a client's connections and whoever listens: when too much waits to be read, the socket is not read.
final class ClientEvents: NIOAsyncSequenceProducerDelegate, Sendable {
    typealias Producer = NIOAsyncSequenceProducer<
        SignalingClient.Event, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark, ClientEvents
    >

    private struct State {
        var isSaturated = false
        /// By connection: one, and a second while the client goes over to it.
        var resumes: [ObjectIdentifier: @Sendable () -> Void] = [:]
    }

    private let state = Mutex(State())
    private let source: Mutex<Producer.Source?> = Mutex(nil)

    /// - Returns: the events and their only sequence.
    static func make() -> (ClientEvents, Producer) {
        let events = ClientEvents()
        let new = Producer.makeSequence(
            elementType: SignalingClient.Event.self,
            backPressureStrategy: .init(lowWatermark: 32, highWatermark: 256),
            finishOnDeinit: false,
            delegate: events
        )
        events.source.withLock { $0 = new.source }
        return (events, new.sequence)
    }

    /// - Returns: false when the listener is behind: read no more until resumed.
    @discardableResult
    func yield(_ event: SignalingClient.Event) -> Bool {
        let result = source.withLock { $0?.yield(event) }
        if result == .stopProducing { state.withLock { $0.isSaturated = true } }
        return !state.withLock(\.isSaturated)
    }

    var isSaturated: Bool { state.withLock(\.isSaturated) }

    /// Whom to tell when the listener has caught up; nil when `connection` is over.
    func onResume(_ connection: ClientLink, _ resume: (@Sendable () -> Void)?) {
        state.withLock { $0.resumes[ObjectIdentifier(connection)] = resume }
    }

    func finish() {
        let source = source.withLock { source in
            defer { source = nil }
            return source
        }
        source?.finish()
    }

    func produceMore() {
        let resumes = state.withLock { state in
            state.isSaturated = false
            return Array(state.resumes.values)
        }
        for resume in resumes { resume() }
    }

    func didTerminate() { produceMore() }
}
