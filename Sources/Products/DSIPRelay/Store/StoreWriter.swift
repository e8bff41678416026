import NIOConcurrencyHelpers
import NIOPosix

/// Group commit: changes from every event loop gather while one commit runs, and go together in the next.
///
/// A completion runs after its change is durable, or with the error that kept it from becoming so. One change that cannot be written
/// does not take its neighbours with it: a failed batch is tried again change by change. Releases that fail (deleting needs disk
/// space too) are kept and tried again with the next batch; until then their rows survive a restart, and the envelope is delivered
/// twice rather than never.
final class StoreWriter: Sendable {
    typealias Completion = @Sendable (Result<Void, RelayError>) -> Void

    private struct State {
        var waiting: [(change: StoreChange, completion: Completion?)] = []
        var waitingBytes = 0
        var unreleased: [StoreChange] = []
        var running = false
        var idle: [@Sendable () -> Void] = []
    }

    /// Bytes of envelopes that may wait for a commit; beyond it `submit` refuses, so that a stalled disk cannot eat the memory.
    static let maximumWaitingBytes = 32 << 20
    static let maximumBatch = 256
    private static let maximumUnreleased = 65_536

    private let store: any RelayStore
    private let metrics: RelayMetrics
    private let threads: NIOThreadPool
    private let state = NIOLockedValueBox(State())

    init(store: any RelayStore, metrics: RelayMetrics) {
        self.store = store
        self.metrics = metrics
        self.threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
    }

    /// Queues `change`; `completion` runs on the writer's thread.
    /// - Returns: false when too much waits already; the change is then refused and `completion` never runs.
    @discardableResult
    func submit(_ change: StoreChange, completion: Completion? = nil) -> Bool {
        let size = if case .hold(_, let bytes) = change { bytes.count } else { 0 }
        let start: Bool? = state.withLockedValue { state in
            if size > 0, state.waitingBytes + size > StoreWriter.maximumWaitingBytes { return nil }
            state.waiting.append((change, completion))
            state.waitingBytes += size
            defer { state.running = true }
            return !state.running
        }
        guard let start else { return false }
        metrics.unwritten.add(1)
        if start { threads.submit { [self] _ in run() } }
        return true
    }

    /// Returns when everything submitted before has been committed or has failed.
    func drain() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let now = state.withLockedValue { state -> Bool in
                if !state.running { return true }
                state.idle.append { done.resume() }
                return false
            }
            if now { done.resume() }
        }
    }

    /// Drains, then ends the thread. No change may follow.
    func stop() async {
        await drain()
        try? await threads.shutdownGracefully()
    }

    private func run() {
        while true {
            let (batch, retry, idle) = state.withLockedValue { state in
                let batch = Array(state.waiting.prefix(StoreWriter.maximumBatch))
                state.waiting.removeFirst(batch.count)
                for case (.hold(_, let bytes), _) in batch { state.waitingBytes -= bytes.count }
                let retry = batch.isEmpty ? [] : state.unreleased
                if !batch.isEmpty { state.unreleased = [] }
                var idle: [@Sendable () -> Void] = []
                if batch.isEmpty {
                    state.running = false
                    swap(&idle, &state.idle)
                }
                return (batch, retry, idle)
            }
            if batch.isEmpty {
                for waiter in idle { waiter() }
                return
            }
            metrics.unwritten.add(-batch.count)
            write(batch, retry)
        }
    }

    private func write(_ batch: [(change: StoreChange, completion: Completion?)], _ retry: [StoreChange]) {
        let clock = ContinuousClock()
        let start = clock.now
        do throws(RelayError) {
            try store.commit(retry + batch.map(\.change))
            metrics.commit.observe((clock.now - start).seconds)
            metrics.commitBatch.observe(Double(batch.count))
            for item in batch { item.completion?(.success(())) }
        } catch {
            metrics.storeFailures.add()
            // Releases first: they make the room the others may need.
            for change in retry { release(change) }
            for item in batch { if item.change.isRelease { item.completion?(release(item.change)) } }
            for item in batch {
                if item.change.isRelease { continue }
                item.completion?(attempt(item.change))
            }
        }
    }

    private func attempt(_ change: StoreChange) -> Result<Void, RelayError> {
        do throws(RelayError) {
            try store.commit([change])
            return .success(())
        } catch {
            return .failure(error)
        }
    }

    @discardableResult
    private func release(_ change: StoreChange) -> Result<Void, RelayError> {
        let result = attempt(change)
        if case .failure = result {
            state.withLockedValue {
                if $0.unreleased.count < StoreWriter.maximumUnreleased { $0.unreleased.append(change) }
            }
        }
        return result
    }
}

extension Duration {
    /// In seconds, for metrics.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
