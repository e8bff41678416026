/// The relay's side of circuit relay v2: who has a reservation, which circuits run, what each has used. It decides; the shell moves bytes.
///
/// A relay carries bytes that it cannot read: the peers secure the circuit between themselves.
public struct CircuitRelay: Sendable {
    /// Bounds; times in milliseconds.
    public struct Limits: Hashable, Sendable {
        public var reservations = 128
        /// Of one /24 or /48; private addresses are not counted.
        public var reservationsPerRange = 8
        public var reservationTime: Int64 = 3_600_000
        public var circuits = 64
        /// From one peer, and to one peer.
        public var circuitsPerPeer = 4
        /// Of a circuit.
        public var circuit = CircuitLimit(duration: 120_000, data: 128 << 10)
        /// How long a target may take to accept.
        public var acceptTime: Int64 = 10_000

        public init() {}
    }

    enum Direction: Sendable { case toTarget, toSource }

    private struct Slot {
        var expires: Int64
        let range: AddressRange?
    }

    private struct Circuit {
        let source: PeerID
        let target: PeerID
        var toTarget = 0
        var toSource = 0
    }

    public let limits: Limits
    private var slots: [PeerID: Slot] = [:]
    private var circuits: [UInt64: Circuit] = [:]
    private var nextNumber: UInt64 = 0
    /// Requests that were turned away.
    public private(set) var refused = 0

    public init(limits: Limits = Limits()) { self.limits = limits }

    public var reservationCount: Int { slots.count }
    public var circuitCount: Int { circuits.count }

    /// - Parameters:
    ///   - address: from where the peer is connected; one that is relayed itself is refused.
    ///   - now: Unix milliseconds.
    /// - Returns: when the reservation ends, or nil when it is refused.
    mutating func reserve(_ peer: PeerID, from address: Multiaddr?, at now: Int64) -> Int64? {
        slots = slots.filter { $0.value.expires > now }
        let ip = address?.ipAddress?.unmapped
        let range = ip.flatMap { $0.isPrivate ? nil : $0.range }
        let isNew = slots[peer] == nil
        guard address?.isCircuit != true, !isNew || slots.count < limits.reservations,
            range.map({ range in
                slots.count { $0.key != peer && $0.value.range == range } < limits.reservationsPerRange
            }) ?? true
        else {
            refused += 1
            return nil
        }
        let expires = now + limits.reservationTime
        slots[peer] = Slot(expires: expires, range: range)
        return expires
    }

    /// - Returns: the circuit's number, or why there is none.
    mutating func connect(
        from source: PeerID,
        at address: Multiaddr?,
        to target: PeerID,
        at now: Int64
    ) -> Result<UInt64, CircuitRefusal> {
        func refuse(_ status: CircuitStatus) -> Result<UInt64, CircuitRefusal> {
            refused += 1
            return .failure(CircuitRefusal(status: status))
        }
        guard address?.isCircuit != true, source != target else { return refuse(.denied) }
        guard let slot = slots[target], slot.expires > now else { return refuse(.noReservation) }
        guard circuits.count < limits.circuits,
            circuits.values.count(where: { $0.source == source }) < limits.circuitsPerPeer,
            circuits.values.count(where: { $0.target == target }) < limits.circuitsPerPeer
        else { return refuse(.limitExceeded) }
        nextNumber += 1
        circuits[nextNumber] = Circuit(source: source, target: target)
        return .success(nextNumber)
    }

    /// - Returns: whether so many more bytes may pass.
    mutating func carry(_ count: Int, _ direction: Direction, on number: UInt64) -> Bool {
        guard var circuit = circuits[number] else { return false }
        switch direction {
        case .toTarget: circuit.toTarget += count
        case .toSource: circuit.toSource += count
        }
        circuits[number] = circuit
        return max(circuit.toTarget, circuit.toSource) <= limits.circuit.data ?? .max
    }

    mutating func ended(_ number: UInt64) { circuits[number] = nil }

    /// A reservation holds as long as its peer is connected.
    mutating func disconnected(_ peer: PeerID) { slots[peer] = nil }
}

struct CircuitRefusal: Error {
    let status: CircuitStatus
}
