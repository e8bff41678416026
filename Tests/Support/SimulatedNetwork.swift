/// A network in memory, on virtual time: what is sent arrives later, or twice, or out of order, or not at all.
///
/// It is deterministic under its seed. A test sends, then takes arrivals one by one; the clock stands at each one's time:
///
/// ```
/// network.send(payload, from: alice, to: relay)
/// while let arrival = network.next(before: deadline) { … }
/// ```
public struct SimulatedNetwork<Node: Hashable & Sendable, Payload: Sendable>: Sendable {
    /// What one direction between two nodes does to a payload.
    public struct Link: Hashable, Sendable {
        /// Milliseconds.
        public var latency: ClosedRange<Int64>
        /// Of a thousand.
        public var loss: Int
        /// Of a thousand; the second copy arrives within the latency of the first.
        public var duplication: Int
        /// Payloads of one direction arrive in the order they were sent, as on one connection.
        public var isOrdered: Bool
        /// Nothing passes.
        public var isCut: Bool

        public init(
            latency: ClosedRange<Int64> = 5...50,
            loss: Int = 0,
            duplication: Int = 0,
            isOrdered: Bool = true,
            isCut: Bool = false
        ) {
            self.latency = latency
            self.loss = loss
            self.duplication = duplication
            self.isOrdered = isOrdered
            self.isCut = isCut
        }
    }

    public struct Arrival: Sendable {
        public let from: Node
        public let to: Node
        public let payload: Payload
        /// Unix milliseconds.
        public let at: Int64
    }

    private struct Direction: Hashable {
        let from: Node
        let to: Node
    }

    private struct InFlight {
        let arrival: Arrival
        let order: UInt64
    }

    public private(set) var clock: ManualClock
    public var defaultLink: Link
    public private(set) var random: SeededRandom
    private var links: [Direction: Link] = [:]
    private var lastArrival: [Direction: Int64] = [:]
    private var inFlight: [InFlight] = []
    private var order: UInt64 = 0

    /// Sent and never to arrive.
    public private(set) var lost = 0
    public private(set) var sent = 0

    public init(seed: UInt64, clock: ManualClock = ManualClock(), link: Link = Link()) {
        self.random = SeededRandom(seed: seed)
        self.clock = clock
        self.defaultLink = link
    }

    // MARK: Links

    public mutating func setLink(from: Node, to: Node, _ link: Link) { links[Direction(from: from, to: to)] = link }

    public func link(from: Node, to: Node) -> Link { links[Direction(from: from, to: to)] ?? defaultLink }

    /// Cuts both directions; what is under way is lost with the connection.
    public mutating func cut(_ a: Node, _ b: Node) {
        setCut(a, b, true)
        let before = inFlight.count
        inFlight.removeAll {
            ($0.arrival.from == a && $0.arrival.to == b) || ($0.arrival.from == b && $0.arrival.to == a)
        }
        lost += before - inFlight.count
    }

    public mutating func heal(_ a: Node, _ b: Node) { setCut(a, b, false) }

    private mutating func setCut(_ a: Node, _ b: Node, _ isCut: Bool) {
        for (from, to) in [(a, b), (b, a)] {
            var link = link(from: from, to: to)
            link.isCut = isCut
            setLink(from: from, to: to, link)
        }
    }

    // MARK: Traffic

    public mutating func send(_ payload: Payload, from: Node, to: Node) {
        sent += 1
        let link = link(from: from, to: to)
        guard !link.isCut, !chance(link.loss) else {
            lost += 1
            return
        }
        for _ in 0..<(chance(link.duplication) ? 2 : 1) {
            var at = clock.milliseconds + Int64.random(in: link.latency, using: &random)
            let direction = Direction(from: from, to: to)
            if link.isOrdered {
                at = max(at, lastArrival[direction] ?? 0)
                lastArrival[direction] = at
            }
            order += 1
            inFlight.append(
                InFlight(arrival: Arrival(from: from, to: to, payload: payload, at: at), order: order)
            )
        }
    }

    /// Unix milliseconds of the next arrival.
    public var nextArrival: Int64? { inFlight.lazy.map(\.arrival.at).min() }

    /// Takes the earliest arrival at or before `deadline` (Unix milliseconds) and moves the clock to it; when there is none,
    /// moves the clock to `deadline`.
    public mutating func next(before deadline: Int64) -> Arrival? {
        var earliest: Int?
        for index in inFlight.indices {
            guard let best = earliest else {
                earliest = index
                continue
            }
            let (a, b) = (inFlight[index], inFlight[best])
            if (a.arrival.at, a.order) < (b.arrival.at, b.order) { earliest = index }
        }
        guard let earliest, inFlight[earliest].arrival.at <= deadline else {
            clock.advance(toMilliseconds: deadline)
            return nil
        }
        let arrival = inFlight.remove(at: earliest).arrival
        clock.advance(toMilliseconds: arrival.at)
        return arrival
    }

    /// True with a chance of `perThousand`.
    public mutating func chance(_ perThousand: Int) -> Bool {
        perThousand > 0 && Int.random(in: 0..<1000, using: &random) < perThousand
    }

    /// A number from the network's own seed, for a test's choices.
    public mutating func pick(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
}
