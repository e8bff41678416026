import DSIPIdentity
import Encoding

/// The prekey bundles that the devices of one identity have left at its relay: each is handed out once, a last resort when none is left.
///
/// A value; the owner commits the ``Change``s before it lets an answer out, so that no bundle is ever given to two.
public struct PreKeyShelf: Hashable, Sendable {
    public struct Limits: Hashable, Sendable {
        /// One-time bundles kept for each device.
        public var bundles = 100
        /// As many as one answer names.
        public var devices = PreKeys.maximumBundles
        /// Fetches in a day by one identity; more would empty the shelf for everybody else.
        public var fetches = 20

        public init() {}
    }

    /// A row to write or remove, by the device and the number of the bundle; the last resort has the number 0.
    public enum Change: Hashable, Sendable {
        case put(DID, number: UInt64, PreKeys.Bundle)
        case remove(DID, number: UInt64)
    }

    public enum Fetched: Hashable, Sendable {
        case bundles([PreKeys.Bundle], [Change])
        /// Seconds until one more fetch is admitted.
        case limited(Int64)
    }

    private struct Stock: Hashable, Sendable {
        struct Numbered: Hashable, Sendable {
            var number: UInt64
            var bundle: PreKeys.Bundle
        }

        var oneTime: [Numbered] = []
        var lastResort: PreKeys.Bundle?
    }

    private let limits: Limits
    private var stock: [DID: Stock] = [:]
    private var next: UInt64 = 1
    private var rate: RateWindow

    /// - Parameter rows: what was kept.
    public init(
        _ rows: [(device: DID, number: UInt64, bundle: PreKeys.Bundle)] = [],
        limits: Limits = Limits()
    ) {
        self.limits = limits
        // Counted by who asks alone: the target is one, and a window's limit for it would let few lock out all.
        rate = RateWindow(limit: limits.fetches, window: 86_400)
        for row in rows.sorted(by: { $0.number < $1.number }) {
            if row.number == 0 {
                stock[row.device, default: Stock()].lastResort = row.bundle
            } else {
                stock[row.device, default: Stock()].oneTime.append(
                    Stock.Numbered(number: row.number, bundle: row.bundle)
                )
            }
            next = max(next, row.number &+ 1)
        }
    }

    public var devices: [DID] { stock.keys.sorted { $0.string < $1.string } }

    /// One-time bundles left of a device.
    public func remaining(of device: DID) -> Int { stock[device]?.oneTime.count ?? 0 }

    /// A device's upload; its signer and its subject were checked.
    ///
    /// - Throws: `schema-invalid` for a bundle of another device, for one that stands for an answer, and for too many devices.
    public mutating func uploaded(_ upload: PreKeys, by device: DID) throws(MessagingError) -> [Change] {
        guard upload.inReplyTo == nil,
            (upload.bundles + [upload.lastResort].compactMap { $0 }).allSatisfy({ $0.device == device })
        else { throw Members.fault("a device uploads its own bundles") }
        guard stock[device] != nil || stock.count < limits.devices else { throw Members.fault("too many devices") }
        var changes: [Change] = []
        var held = stock[device] ?? Stock()
        if upload.isFresh {
            changes += held.oneTime.map { .remove(device, number: $0.number) }
            held.oneTime = []
        }
        for bundle in upload.bundles.prefix(max(0, limits.bundles - held.oneTime.count)) {
            held.oneTime.append(Stock.Numbered(number: next, bundle: bundle))
            changes.append(.put(device, number: next, bundle))
            next += 1
        }
        if let lastResort = upload.lastResort {
            held.lastResort = lastResort
            changes.append(.put(device, number: 0, lastResort))
        }
        stock[device] = held
        return changes
    }

    /// One bundle of each device, or of one; the oldest first.
    ///
    /// - Parameters:
    ///   - requester: the identity that asks. The shelf's own is not counted.
    ///   - asking: its device, which needs none of its own.
    public mutating func fetched(
        by requester: DID,
        of target: DID,
        device: DID? = nil,
        asking: DID? = nil,
        at now: Int64
    ) -> Fetched {
        if requester != target {
            if let wait = rate.admit(from: requester, to: requester, at: now) { return .limited(wait) }
        }
        var (bundles, changes): ([PreKeys.Bundle], [Change]) = ([], [])
        var size = 0
        for (name, held) in stock.sorted(by: { $0.key.string < $1.key.string })
        where (device == nil || device == name) && name != asking {
            guard let bundle = held.oneTime.first?.bundle ?? held.lastResort else { continue }
            size += bundle.size
            guard bundles.count < PreKeys.maximumBundles, size <= PreKeys.maximumBytes else { break }
            bundles.append(bundle)
            if let first = held.oneTime.first {
                stock[name]?.oneTime.removeFirst()
                changes.append(.remove(name, number: first.number))
            }
        }
        return .bundles(bundles, changes)
    }

    /// The device's delegation ended.
    public mutating func removed(_ device: DID) -> [Change] {
        guard let held = stock.removeValue(forKey: device) else { return [] }
        let changes = held.oneTime.map { Change.remove(device, number: $0.number) }
        return held.lastResort == nil ? changes : changes + [.remove(device, number: 0)]
    }
}
