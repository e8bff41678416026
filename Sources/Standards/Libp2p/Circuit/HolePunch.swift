/// `/libp2p/dcutr`: two peers that reach each other through a relay dial each other at the same moment, so that the boxes between
/// them take each for the answer to the other.
///
/// ```
/// 1 type: 100 CONNECT, 300 SYNC   2 observed addresses …
/// ```
package enum HolePunchMessage: Hashable, Sendable {
    static let protocolID = "/libp2p/dcutr"
    /// Of a message, in bytes.
    static let maximumLength = 4 << 10
    static let maximumAddresses = 16

    case connect([Multiaddr])
    case sync

    package init(bytes: [UInt8]) throws(Libp2pError) {
        var reader = ProtobufReader(bytes)
        var type: UInt64?
        var addresses: [Multiaddr] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: type = try field.varint()
            case 2:
                guard addresses.count < HolePunchMessage.maximumAddresses else { continue }
                if let address = try? Multiaddr(bytes: try field.bytes()) { addresses.append(address) }
            default: break
            }
        }
        switch type {
        case 100: self = .connect(addresses)
        case 300: self = .sync
        default: throw Libp2pError(.malformed, "no hole punching message")
        }
    }

    package var bytes: [UInt8] {
        var writer = ProtobufWriter()
        switch self {
        case .connect(let addresses):
            writer.varint(1, 100)
            for address in addresses.prefix(HolePunchMessage.maximumAddresses) { writer.bytes(2, address.bytes) }
        case .sync: writer.varint(1, 300)
        }
        return writer.bytes
    }
}

/// One attempt, as either side. The peer that was called through the relay begins; the one that called dials as the client, the
/// other as the server, whoever's packet comes first.
struct HolePunch: Sendable {
    enum Side: Sendable { case called, caller }

    enum Action: Hashable, Sendable {
        case send(HolePunchMessage)
        /// From now on a connection that comes from one of these is the peer's half of the attempt: this side is its client all the same.
        case expect([Multiaddr])
        /// At this time (milliseconds), all of them at once.
        case dial([Multiaddr], at: Int64)
    }

    private enum State {
        case idle
        case awaitingConnect(sentAt: Int64)
        case awaitingSync([Multiaddr])
        case over
    }

    private let side: Side
    private let own: [Multiaddr]
    private let allowsPrivate: Bool
    private var state: State = .idle

    /// Addresses of the peer that are dialled.
    static let maximumDials = 8

    /// - Parameters:
    ///   - own: where others see us.
    ///   - allowsPrivate: whether private addresses of the peer are dialled; a stranger could name a neighbour's.
    init(_ side: Side, own: [Multiaddr], allowsPrivate: Bool) {
        self.side = side
        self.own = own
        self.allowsPrivate = allowsPrivate
    }

    mutating func begin(at now: Int64) -> [Action] {
        guard side == .called, case .idle = state else { return [] }
        state = .awaitingConnect(sentAt: now)
        return [.send(.connect(own))]
    }

    /// - Throws: `protocolViolation` for a message out of turn, `unreachable` when there is nothing to dial.
    mutating func received(_ message: HolePunchMessage, at now: Int64) throws(Libp2pError) -> [Action] {
        switch (state, message) {
        case (.awaitingConnect(let sentAt), .connect(let addresses)):
            state = .over
            return [.send(.sync), .dial(try usable(addresses), at: now + (now - sentAt) / 2)]
        case (.idle, .connect(let addresses)) where side == .caller:
            let usable = try usable(addresses)
            state = .awaitingSync(usable)
            return [.expect(usable), .send(.connect(own))]
        case (.awaitingSync(let addresses), .sync):
            state = .over
            return [.dial(addresses, at: now)]
        default: throw Libp2pError(.protocolViolation, "a hole punching message out of turn")
        }
    }

    private func usable(_ addresses: [Multiaddr]) throws(Libp2pError) -> [Multiaddr] {
        var seen: Set<Multiaddr> = []
        let usable = addresses.map(\.transport).filter { address in
            guard address.tcpEndpoint != nil, let ip = address.ipAddress, seen.insert(address).inserted else {
                return false
            }
            return allowsPrivate || !ip.isPrivate
        }
        guard !usable.isEmpty else { throw Libp2pError(.unreachable, "the peer names no address that can be dialled") }
        return Array(usable.prefix(HolePunch.maximumDials))
    }
}
