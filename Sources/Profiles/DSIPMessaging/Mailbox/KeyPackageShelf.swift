import DSIPIdentity

/// The KeyPackages that devices of one identity have left: how many, not what they are. M§5.5
public struct KeyPackageShelf: Hashable, Sendable {
    public struct Stock: Hashable, Sendable {
        public var oneTime: Int
        public var hasLastResort: Bool

        public init(oneTime: Int, hasLastResort: Bool) {
            self.oneTime = oneTime
            self.hasLastResort = hasLastResort
        }
    }

    public enum Served: String, Hashable, Sendable {
        /// The oldest; it is gone now.
        case oneTime = "one-time"
        /// It stays.
        case lastResort = "last-resort"
    }

    public private(set) var stock: [DID: Stock]

    public init(_ stock: [DID: Stock] = [:]) { self.stock = stock }

    /// - Returns: how many of the new packages to keep; the oldest stay.
    public mutating func add(_ count: Int, hasLastResort: Bool, from device: DID) -> Int {
        let held = stock[device] ?? Stock(oneTime: 0, hasLastResort: false)
        let kept = max(0, min(count, MessagingProfile.keyPackagesPerDevice - held.oneTime))
        stock[device] = Stock(oneTime: held.oneTime + kept, hasLastResort: held.hasLastResort || hasLastResort)
        return kept
    }

    /// One of each device that has any. M§5.5
    public mutating func take() -> [DID: Served] {
        var served: [DID: Served] = [:]
        for (device, held) in stock {
            if held.oneTime > 0 {
                stock[device]?.oneTime -= 1
                served[device] = .oneTime
            } else if held.hasLastResort {
                served[device] = .lastResort
            }
        }
        return served
    }

    /// The oldest so many, and perhaps the last resort, may be used no more.
    public mutating func ended(_ count: Int, hasLastResort: Bool, of device: DID) {
        guard var held = stock[device] else { return }
        held.oneTime = max(0, held.oneTime - count)
        if hasLastResort { held.hasLastResort = false }
        stock[device] = held.oneTime == 0 && !held.hasLastResort ? nil : held
    }

    public mutating func discard(_ device: DID) { stock[device] = nil }
}
