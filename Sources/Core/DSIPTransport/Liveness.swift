/// Whether the other end still lives: ping when it has been silent for a while, close when it stays silent (DSIP §13.2).
///
/// Only what is heard counts. A peer that takes our bytes and never answers is not alive. Times are nanoseconds of a monotonic
/// clock; two words a connection.
struct Liveness: Sendable {
    struct Thresholds: Sendable {
        /// Silence after which a ping is sent, in nanoseconds.
        var ping: UInt64
        /// Silence after which the connection is closed, in nanoseconds.
        var close: UInt64

        /// Ping after 30 s, close after 90 s.
        static let client = Thresholds(ping: 30_000_000_000, close: 90_000_000_000)
        /// The client pings first; a server asks only those that do not.
        static let server = Thresholds(ping: 60_000_000_000, close: 90_000_000_000)
    }

    enum Action: Sendable { case none, ping, close }

    private var heard: UInt64
    /// When the silence since `heard` was last asked about.
    private var asked: UInt64

    init(at now: UInt64) {
        self.heard = now
        self.asked = now
    }

    mutating func received(at now: UInt64) {
        heard = now
        asked = now
    }

    /// What the silence asks for now. A ping is asked for once each `thresholds.ping` of silence.
    mutating func check(at now: UInt64, _ thresholds: Thresholds) -> Action {
        // A clock that stands still or steps back is no silence.
        guard now > heard else { return .none }
        if now - heard >= thresholds.close { return .close }
        guard now > asked, now - asked >= thresholds.ping else { return .none }
        asked = now
        return .ping
    }
}
