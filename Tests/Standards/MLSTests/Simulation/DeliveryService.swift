import MLS

/// What travels between clients and the delivery service.
enum Packet: Sendable {
    // To the service.
    case commit(CommitOffer)
    case proposal(epoch: UInt64, bytes: [UInt8])
    case application(bytes: [UInt8])
    /// What of the handshakes from this epoch on is there? nil for a client without a state.
    case sync(from: UInt64?)
    // From the service.
    case message([UInt8])
    case welcome([UInt8])
    /// Handshakes in the order in which they were taken.
    case log([[UInt8]])
    /// What was asked for is no longer kept: join anew with this.
    case groupInfo([UInt8])
    case notAMember
}

/// A commit with what the service, which cannot read it, is told about it.
struct CommitOffer: Sendable {
    let epoch: UInt64
    let bytes: [UInt8]
    let added: Set<Int>
    let removed: Set<Int>
    let welcome: [UInt8]?
    let groupInfo: [UInt8]
    let joins: Bool
}

/// Orders the handshakes of one group: the first commit of an epoch is taken, the others are not. It sees what a server sees,
/// and keeps handshakes of a few epochs only.
struct DeliveryService {
    static let keptEpochs: UInt64 = 4

    private(set) var epoch: UInt64 = 0
    private(set) var roster: Set<Int>
    /// Who may join by external commit though it is no member.
    var invited: Set<Int> = []
    private(set) var groupInfo: [UInt8]
    /// The epoch a removed client's removal led to; the latest counts.
    private(set) var removals: [Int: UInt64] = [:]
    private(set) var accepted = 0
    private(set) var refused = 0
    private var log: [(epoch: UInt64, bytes: [UInt8])] = []

    init(founder: Int, groupInfo: [UInt8]) {
        roster = [founder]
        self.groupInfo = groupInfo
    }

    /// - Returns: what to send to whom.
    mutating func receive(_ packet: Packet, from client: Int) -> [(to: Int, packet: Packet)] {
        switch packet {
        case .commit(let offer): return take(offer, from: client)
        case .proposal(let epoch, let bytes):
            guard roster.contains(client), epoch == self.epoch else { return [] }
            log.append((epoch, bytes))
            return fanOut(.message(bytes), besides: client)
        case .application(let bytes):
            guard roster.contains(client) else { return [] }
            return fanOut(.message(bytes), besides: client)
        case .sync(let from):
            guard roster.contains(client) || invited.contains(client) else { return [(client, .notAMember)] }
            guard let from, from <= epoch, epoch - from <= Self.keptEpochs, roster.contains(client) else {
                return [(client, .groupInfo(groupInfo))]
            }
            return [(client, .log(log.filter { $0.epoch >= from }.map(\.bytes)))]
        case .message, .welcome, .log, .groupInfo, .notAMember: return []
        }
    }

    private mutating func take(_ offer: CommitOffer, from client: Int) -> [(to: Int, packet: Packet)] {
        let mayCommit = offer.joins ? roster.contains(client) || invited.contains(client) : roster.contains(client)
        guard mayCommit, offer.epoch == epoch else {
            refused += 1
            return []
        }
        accepted += 1
        log.append((epoch, offer.bytes))
        epoch += 1
        log.removeAll { $0.epoch + Self.keptEpochs < epoch }
        groupInfo = offer.groupInfo
        // Those whom the commit removes are told by it.
        var sent = fanOut(.message(offer.bytes), besides: nil)
        for id in offer.removed {
            removals[id] = epoch
            roster.remove(id)
        }
        if offer.joins, !roster.contains(client) { sent.append((client, .message(offer.bytes))) }
        if offer.joins { roster.insert(client) }
        roster.formUnion(offer.added)
        invited.subtract(roster)
        if let welcome = offer.welcome {
            for id in offer.added.sorted() { sent.append((id, .welcome(welcome))) }
        }
        return sent
    }

    private func fanOut(_ packet: Packet, besides sender: Int?) -> [(to: Int, packet: Packet)] {
        roster.sorted().filter { $0 != sender }.map { ($0, packet) }
    }
}
