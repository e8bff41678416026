import DSIPIdentity

/// First contact counted over a sliding window, by who sends and by whom it is for. DSIP §19.4, M§14.1
public struct RateWindow: Hashable, Sendable {
    public struct Deposit: Hashable, Sendable {
        /// Unix seconds.
        public var at: Int64
        public var sender: DID
        public var recipient: DID

        public init(at: Int64, sender: DID, recipient: DID) {
            self.at = at
            self.sender = sender
            self.recipient = recipient
        }
    }

    /// Deposits remembered; when more come within one window, everybody waits.
    public static let maximumDeposits = 8192

    public let limit: Int
    /// Seconds.
    public let window: Int64
    var deposits: [Deposit] = []

    public init(limit: Int, window: Int64) {
        self.limit = max(1, limit)
        self.window = max(1, window)
    }

    /// Counts a deposit unless that exceeds a limit.
    ///
    /// - Returns: the seconds until one more may come, or nil when this one counted.
    public mutating func admit(from sender: DID, to recipient: DID, at now: Int64) -> Int64? {
        deposits.removeAll { now - $0.at >= window }
        var wait: Int64?
        for counted in [deposits.filter { $0.sender == sender }, deposits.filter { $0.recipient == recipient }]
        where counted.count >= limit {
            if let oldest = counted.first { wait = max(wait ?? 0, oldest.at + window - now) }
        }
        if deposits.count >= Self.maximumDeposits, let oldest = deposits.first {
            wait = max(wait ?? 0, oldest.at + window - now)
        }
        if wait == nil { deposits.append(Deposit(at: now, sender: sender, recipient: recipient)) }
        return wait
    }
}
