/// How a relay answers (circuit relay v2).
public enum CircuitStatus: UInt64, Hashable, Sendable {
    case ok = 100
    case reservationRefused = 200
    case limitExceeded = 201
    case denied = 202
    case connectionFailed = 203
    case noReservation = 204
    case malformed = 400
    case unexpected = 401
}

/// What a relayed connection may use; nil is without a limit.
public struct CircuitLimit: Hashable, Sendable {
    /// Milliseconds; whole seconds on the wire.
    public var duration: Int64?
    /// Bytes in each direction.
    public var data: Int?

    public init(duration: Int64? = nil, data: Int? = nil) {
        self.duration = duration
        self.data = data
    }

    init(bytes: ArraySlice<UInt8>) throws(Libp2pError) {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: duration = Int64(clamping: min(try field.varint(), 1 << 40)) * 1000
            case 2: data = Int(clamping: try field.varint())
            default: break
            }
        }
        if duration == 0 { duration = nil }
        if data == 0 { data = nil }
    }

    var bytes: [UInt8] {
        var writer = ProtobufWriter()
        if let duration { writer.varint(1, UInt64(max(1, duration / 1000))) }
        if let data { writer.varint(2, UInt64(max(1, data))) }
        return writer.bytes
    }
}

/// `/libp2p/circuit/relay/0.2.0/hop`, between a relay and who asks it for something.
///
/// ```
/// 1 type: 0 RESERVE, 1 CONNECT, 2 STATUS   2 peer { 1 id }   3 reservation   4 limit   5 status
/// ```
package enum HopMessage: Hashable, Sendable {
    static let protocolID = "/libp2p/circuit/relay/0.2.0/hop"
    /// Of a message, in bytes.
    static let maximumLength = 8 << 10

    case reserve
    case connect(PeerID)
    case status(CircuitStatus, Reservation? = nil, CircuitLimit? = nil)

    package init(bytes: [UInt8]) throws(Libp2pError) {
        var reader = ProtobufReader(bytes)
        var (type, status): (UInt64?, UInt64?)
        var (peer, reservation, limit): (PeerID?, Reservation?, CircuitLimit?)
        while let field = try reader.next() {
            switch field.number {
            case 1: type = try field.varint()
            case 2: peer = try PeerID(circuit: field.bytes())
            case 3: reservation = try Reservation(bytes: field.bytes())
            case 4: limit = try CircuitLimit(bytes: field.bytes())
            case 5: status = try field.varint()
            default: break
            }
        }
        switch (type, peer) {
        case (0, _): self = .reserve
        case (1, let peer?): self = .connect(peer)
        case (2, _): self = .status(status.flatMap(CircuitStatus.init) ?? .connectionFailed, reservation, limit)
        default: throw Libp2pError(.malformed, "no hop message")
        }
    }

    package var bytes: [UInt8] {
        var writer = ProtobufWriter()
        switch self {
        case .reserve: writer.varint(1, 0)
        case .connect(let peer):
            writer.varint(1, 1)
            writer.bytes(2, peer.circuit)
        case .status(let status, let reservation, let limit):
            writer.varint(1, 2)
            if let reservation { writer.bytes(3, reservation.bytes) }
            if let limit { writer.bytes(4, limit.bytes) }
            writer.varint(5, status.rawValue)
        }
        return writer.bytes
    }
}

/// `/libp2p/circuit/relay/0.2.0/stop`, between a relay and the peer it connects somebody to.
///
/// ```
/// 1 type: 0 CONNECT, 1 STATUS   2 peer { 1 id }   3 limit   4 status
/// ```
package enum StopMessage: Hashable, Sendable {
    static let protocolID = "/libp2p/circuit/relay/0.2.0/stop"

    case connect(PeerID, CircuitLimit?)
    case status(CircuitStatus)

    package init(bytes: [UInt8]) throws(Libp2pError) {
        var reader = ProtobufReader(bytes)
        var (type, status): (UInt64?, UInt64?)
        var (peer, limit): (PeerID?, CircuitLimit?)
        while let field = try reader.next() {
            switch field.number {
            case 1: type = try field.varint()
            case 2: peer = try PeerID(circuit: field.bytes())
            case 3: limit = try CircuitLimit(bytes: field.bytes())
            case 4: status = try field.varint()
            default: break
            }
        }
        switch (type, peer) {
        case (0, let peer?): self = .connect(peer, limit)
        case (1, _): self = .status(status.flatMap(CircuitStatus.init) ?? .connectionFailed)
        default: throw Libp2pError(.malformed, "no stop message")
        }
    }

    package var bytes: [UInt8] {
        var writer = ProtobufWriter()
        switch self {
        case .connect(let peer, let limit):
            writer.varint(1, 0)
            writer.bytes(2, peer.circuit)
            if let limit { writer.bytes(3, limit.bytes) }
        case .status(let status):
            writer.varint(1, 1)
            writer.varint(4, status.rawValue)
        }
        return writer.bytes
    }
}

extension PeerID {
    /// Out of `Peer { 1 id }`; nil for no peer id.
    fileprivate init?(circuit bytes: ArraySlice<UInt8>) throws(Libp2pError) {
        var reader = ProtobufReader(bytes)
        var id: PeerID?
        while let field = try reader.next() { if field.number == 1 { id = PeerID(bytes: try field.bytes()) } }
        guard let id else { return nil }
        self = id
    }

    fileprivate var circuit: [UInt8] {
        var writer = ProtobufWriter()
        writer.bytes(1, bytes)
        return writer.bytes
    }
}
