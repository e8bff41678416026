import NIOConcurrencyHelpers

/// Hands every event to every listener, each behind a bounded queue.
///
/// A listener that does not keep up loses its stream, not some events: it comes back and starts from a snapshot.
final class EventHub: Sendable {
    static let queueLimit = 512
    static let maximumPages = 32

    private struct State {
        var next: UInt64 = 1
        var listeners: [PageID: AsyncStream<AgentEvent>.Continuation] = [:]
    }

    private let state = NIOLockedValueBox(State())

    /// - Returns: nil when too many listen already.
    func listen() -> (page: PageID, events: AsyncStream<AgentEvent>)? {
        let (stream, continuation) = AsyncStream.makeStream(
            of: AgentEvent.self,
            bufferingPolicy: .bufferingOldest(EventHub.queueLimit)
        )
        let page = state.withLockedValue { state -> PageID? in
            guard state.listeners.count < EventHub.maximumPages else { return nil }
            let page = PageID(number: state.next)
            state.next += 1
            state.listeners[page] = continuation
            return page
        }
        guard let page else { return nil }
        continuation.onTermination = { [weak self] _ in self?.remove(page) }
        return (page, stream)
    }

    func remove(_ page: PageID) {
        let continuation = state.withLockedValue { $0.listeners.removeValue(forKey: page) }
        continuation?.finish()
    }

    func isListening(_ page: PageID) -> Bool { state.withLockedValue { $0.listeners[page] != nil } }

    /// Whether anybody would see or hear an incoming call.
    var hasListeners: Bool { state.withLockedValue { !$0.listeners.isEmpty } }

    func publish(_ event: AgentEvent) {
        let listeners = state.withLockedValue { $0.listeners }
        for (page, continuation) in listeners {
            if case .dropped = continuation.yield(event) { remove(page) }
        }
    }

    func finish() {
        let listeners = state.withLockedValue { state in
            defer { state.listeners = [:] }
            return state.listeners
        }
        for continuation in listeners.values { continuation.finish() }
    }
}
