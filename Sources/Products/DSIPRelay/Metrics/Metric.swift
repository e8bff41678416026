import NIOConcurrencyHelpers
import Synchronization

/// A number that only grows.
final class Counter: Sendable {
    private let storage = Atomic<Int>(0)

    var value: Int { storage.load(ordering: .relaxed) }
    func add(_ n: Int = 1) { storage.wrappingAdd(n, ordering: .relaxed) }
}

/// A number that goes up and down.
final class Gauge: Sendable {
    private let storage = Atomic<Int>(0)

    var value: Int { storage.load(ordering: .relaxed) }
    func set(_ n: Int) { storage.store(n, ordering: .relaxed) }
    func add(_ n: Int) { storage.wrappingAdd(n, ordering: .relaxed) }
}

/// Counters told apart by the value of one label.
///
/// Label values come from closed tables of ours (message types, verdict codes, registered reasons); anything beyond `limit` values
/// is counted as `other`, so that no peer can grow the table.
final class CounterFamily: Sendable {
    let label: String
    private let limit: Int
    private let values = NIOLockedValueBox<[String: Int]>([:])

    init(label: String, limit: Int = 64) {
        self.label = label
        self.limit = limit
    }

    func add(_ value: String, _ n: Int = 1) {
        values.withLockedValue {
            let key = $0[value] != nil || $0.count < limit ? value : "other"
            $0[key, default: 0] += n
        }
    }

    subscript(_ value: String) -> Int { values.withLockedValue { $0[value] ?? 0 } }
    var all: [(value: String, count: Int)] {
        values.withLockedValue { $0.map { (value: $0.key, count: $0.value) } }.sorted { $0.value < $1.value }
    }
}

/// Durations in fixed buckets.
final class Histogram: Sendable {
    /// Upper bounds in seconds, ascending; +Inf is implied.
    let bounds: [Double]
    private let state: NIOLockedValueBox<(counts: [Int], sum: Double)>

    init(bounds: [Double]) {
        self.bounds = bounds
        self.state = NIOLockedValueBox((counts: Array(repeating: 0, count: bounds.count + 1), sum: 0))
    }

    func observe(_ seconds: Double) {
        let index = bounds.firstIndex { seconds <= $0 } ?? bounds.count
        state.withLockedValue {
            $0.counts[index] += 1
            $0.sum += seconds
        }
    }

    /// Cumulative counts, one more than `bounds`, and the sum of all observations.
    var snapshot: (cumulative: [Int], sum: Double) {
        state.withLockedValue { state in
            var total = 0
            return (
                state.counts.map {
                    total += $0
                    return total
                }, state.sum
            )
        }
    }
}
