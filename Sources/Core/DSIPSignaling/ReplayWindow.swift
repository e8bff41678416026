import Encoding
import Synchronization

/// Where a verifier remembers the ids that it has accepted (DSIP §12.9).
public protocol ReplayGuard {
    func contains(_ id: ULID) -> Bool

    /// Remembers `id` until `expiry` has passed, in Unix seconds.
    ///
    /// - Returns: false when it was there already.
    mutating func remember(_ id: ULID, until expiry: Int64, at now: Int64) -> Bool
}

/// The ids accepted within the replay window; a value for one thread.
///
/// Ids are kept in buckets by expiry, so that forgetting needs no search. The window is bounded: when full, the
/// bucket that expires first goes. Introductions, which stay replayable for a week, have a bound of their own and cannot push out
/// anything else.
public struct ReplayWindow: ReplayGuard, Sendable {
    private var recent: Lane
    private var lasting: Lane

    /// - Parameters:
    ///   - capacity: ids of the 300 s window; about 24 bytes each when used.
    ///   - lastingCapacity: ids that stay longer.
    public init(capacity: Int = 1 << 17, lastingCapacity: Int = 1 << 14) {
        self.recent = Lane(capacity: max(1, capacity), width: 60)
        self.lasting = Lane(capacity: max(1, lastingCapacity), width: 3600)
    }

    public var count: Int { recent.ids.count + lasting.ids.count }

    public func contains(_ id: ULID) -> Bool { recent.ids.contains(id) || lasting.ids.contains(id) }

    /// Takes `id` back: what was refused unheard may be said again, such as in another form.
    public mutating func withdraw(_ id: ULID) {
        recent.ids.remove(id)
        lasting.ids.remove(id)
    }

    public mutating func remember(_ id: ULID, until expiry: Int64, at now: Int64) -> Bool {
        recent.forget(before: now)
        lasting.forget(before: now)
        guard lasting.ids.isEmpty || !lasting.ids.contains(id) else { return false }
        let (limit, overflow) = now.addingReportingOverflow(2 * ProtocolLimits.replayWindow)
        if overflow || expiry <= limit {
            return recent.insert(id, until: expiry)
        }
        return !recent.ids.contains(id) && lasting.insert(id, until: expiry)
    }

    private struct Lane: Sendable {
        let capacity: Int
        var ids: Set<ULID> = []
        /// Seconds that share a bucket.
        let width: Int64
        /// Ids by expiry.
        private var buckets: [Int64: [ULID]] = [:]
        private var earliest = Int64.max

        init(capacity: Int, width: Int64) {
            self.capacity = capacity
            self.width = width
        }

        /// - Returns: false when it was there already.
        mutating func insert(_ id: ULID, until expiry: Int64) -> Bool {
            guard ids.insert(id).inserted else { return false }
            if ids.count > capacity { drop(earliest) }
            let bucket = expiry / width
            buckets[bucket, default: []].append(id)
            earliest = min(earliest, bucket)
            return true
        }

        mutating func forget(before now: Int64) {
            while !buckets.isEmpty, earliest < now / width { drop(earliest) }
        }

        private mutating func drop(_ bucket: Int64) {
            for id in buckets.removeValue(forKey: bucket) ?? [] { ids.remove(id) }
            earliest = buckets.keys.min() ?? .max
        }
    }
}

/// A replay window that many connections share; each access takes a lock for a set operation, never for a signature.
public final class SharedReplayWindow: ReplayGuard, Sendable {
    private let window: Mutex<ReplayWindow>

    public init(_ window: ReplayWindow = ReplayWindow()) { self.window = Mutex(window) }

    public func contains(_ id: ULID) -> Bool { window.withLock { $0.contains(id) } }

    /// As ``ReplayWindow/withdraw(_:)``.
    public func withdraw(_ id: ULID) { window.withLock { $0.withdraw(id) } }

    public func remember(_ id: ULID, until expiry: Int64, at now: Int64) -> Bool {
        window.withLock { $0.remember(id, until: expiry, at: now) }
    }
}
