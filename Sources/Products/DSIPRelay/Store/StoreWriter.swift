import NIOConcurrencyHelpers

/// Group commit: changes from every event loop gather while one commit runs, and go together in the next.
///
/// A completion runs after its change is durable, or with the error that kept it from becoming so. One change that cannot be written
/// does not take its neighbours with it: a failed batch is tried again change by change. Releases that fail (deleting needs disk
/// space too) are kept and tried again with the next batch; until then their rows survive a restart, and the envelope is delivered
/// twice rather than never.
final class StoreWriter: Sendable {
    typealias Completion = @Sendable (Result<Void, RelayError>) -> Void

    private typealias Item = (change: StoreChange, completion: Completion?)

    /// Bytes of envelopes that may wait for a commit.
    static let maximumWaitingBytes = 32 << 20
    private static let maximumUnreleased = 65_536

    private let store: any RelayStore
    private let metrics: RelayMetrics
    private let queue = BatchQueue<Item>(.init(bytes: maximumWaitingBytes))
    private let unreleased = NIOLockedValueBox<[StoreChange]>([])

    init(store: any RelayStore, metrics: RelayMetrics) {
        self.store = store
        self.metrics = metrics
    }

    /// Queues `change`; `completion` runs on the writer's thread.
    /// - Returns: false when too much waits already; the change is then refused and `completion` never runs.
    @discardableResult
    func submit(_ change: StoreChange, completion: Completion? = nil) -> Bool {
        let size = if case .hold(_, let bytes) = change { bytes.count } else { 0 }
        guard queue.submit((change, completion), size: size, work: { [self] in write($0) }) else { return false }
        metrics.unwritten.add(1)
        return true
    }

    /// Returns when everything submitted before has been committed or has failed.
    func drain() async { await queue.drain() }

    /// Drains, then ends the thread. No change may follow.
    func stop() async { await queue.stop() }

    private func write(_ batch: [Item]) {
        metrics.unwritten.add(-batch.count)
        let retry = unreleased.withLockedValue { changes in
            defer { changes = [] }
            return changes
        }
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
            unreleased.withLockedValue { if $0.count < StoreWriter.maximumUnreleased { $0.append(change) } }
        }
        return result
    }
}

extension Duration {
    /// In seconds, for metrics.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
