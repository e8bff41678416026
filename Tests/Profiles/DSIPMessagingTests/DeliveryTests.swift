import DSIPIdentity
import DSIPMessaging
import Encoding
import Testing

/// A hub, the mailboxes of three identities and their devices over a network that loses, repeats and delays, while each of them
/// crashes now and then: what they promise each other end to end. M§6.5, M§9.3
struct DeliveryTests {
    @Test(arguments: 1...24)
    func everyDeviceSeesEveryItemOnceAndHandshakesInOrder(seed: Int) throws {
        var network = try Network(seed: UInt64(seed))
        for _ in 0..<1000 { try network.step() }
        network.isFaulty = false
        for _ in 0..<20_000 where !network.isSettled { try network.step(sending: false) }

        let last = network.hub.nextSeq - 1
        #expect(last > 20, "seed \(seed) sent too little")
        #expect(network.isSettled, "\(network.hub.queues)")
        for (device, seen) in network.seen {
            try #require(seen.sorted() == Array(1...last), "\(device)")
            let handshakes = seen.filter { network.handshakes.contains($0) }
            #expect(handshakes == handshakes.sorted(), "\(device)")
        }
    }

    @Test
    func aRestoredMachineIsTheOneThatWasCommitted() throws {
        var network = try Network(seed: 7)
        for _ in 0..<200 { try network.step() }
        #expect(Hub(restoring: network.hub.state).state == network.hub.state)
        for mailbox in network.mailboxes.values {
            let restored = Mailbox(restoring: mailbox.state, did: mailbox.did, owner: mailbox.owner)
            #expect(restored.state == mailbox.state)
            #expect(restored.usedBytes == mailbox.usedBytes)
        }
        for inbox in network.inboxes.values { #expect(DeviceInbox(restoring: inbox.state) == inbox) }
    }
}

private struct Network {
    /// What is on its way.
    enum Packet {
        case toHub(HubDeposit)
        case toMailbox(DID, seq: Int64, DepositClass)
        case ackToHub(DID, seq: Int64)
    }

    let group: GroupID
    var hub: Hub
    var mailboxes: [DID: Mailbox] = [:]
    var inboxes: [DID: DeviceInbox] = [:]
    /// What each device processed, in the order it did.
    var seen: [DID: [Int64]] = [:]
    var handshakes: Set<Int64> = []
    var isFaulty = true

    private let hubDID: DID
    private let anyID: ULID
    private let owners: [DID: DID]
    /// Deposits that nobody has accepted yet: their senders try again.
    private var outbox: [HubDeposit] = []
    private var packets: [Packet] = []
    private var held: [DID: Set<Int64>] = [:]
    private var random: Generator
    private var sent = 0
    private var now: Int64 = 1_760_000_000

    struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    init(seed: UInt64) throws {
        random = Generator(state: seed)
        group = try Short.group("$G")
        anyID = try Short.id(0)
        hubDID = try Short.did("@mbx.alice")
        var roster: [DID: Set<DID>] = [:]
        var owners: [DID: DID] = [:]
        for (name, devices) in [
            ("@alice", ["phone", "laptop"]), ("@bob", ["phone", "laptop"]), ("@carol", ["phone"]),
        ] {
            let identity = try Short.did(name)
            let dids = try devices.map { try Short.did("\(name).\($0)") }
            roster[identity] = Set(dids)
            mailboxes[identity] = Mailbox(
                did: try Short.did("@mbx.\(name.dropFirst())"),
                owner: identity,
                devices: Set(dids),
                mode: name == "@bob" ? .queue : .sync,
                groups: [group: GroupRegistration(hub: hubDID, state: .joined)]
            )
            for device in dids {
                owners[device] = identity
                inboxes[device] = DeviceInbox()
                inboxes[device]?.created(group)
                seen[device] = []
            }
        }
        self.owners = owners
        hub = Hub(group: group, kind: .group, epoch: 0, roster: Roster(roster))
    }

    var isSettled: Bool {
        outbox.isEmpty && packets.isEmpty && hub.isIdle
            && seen.values.allSatisfy { $0.count == Int(hub.nextSeq - 1) }
    }

    mutating func step(sending: Bool = true) throws {
        now += 1
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1: if sending { try send() }
        case 2: if let deposit = outbox.randomElement(using: &random) { packets.append(.toHub(deposit)) }
        case 3: if isFaulty { crash() }
        case 4: for action in hub.retry() { carry(action) }
        case 5, 6: if let device = inboxes.keys.sorted().randomElement(using: &random) { try sync(device) }
        default: try deliver()
        }
        if !isFaulty { try deliver() }
    }

    private mutating func send() throws {
        guard let device = inboxes.keys.sorted().randomElement(using: &random), let identity = owners[device] else {
            return
        }
        sent += 1
        let isCommit = Int.random(in: 0..<4, using: &random) == 0
        outbox.append(
            HubDeposit(
                id: try Short.id(sent),
                device: device,
                identity: identity,
                depositClass: isCommit ? .handshake : .application,
                epoch: hub.epoch,
                digest: "item \(sent)",
                commit: isCommit ? .init() : nil
            )
        )
    }

    private mutating func deliver() throws {
        guard !packets.isEmpty else { return }
        // Deposits of one hub in one mailbox may overtake each other when they are retried.
        let packet = packets.remove(at: Int.random(in: 0..<packets.count, using: &random))
        if isFaulty {
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1: return
            case 2: packets.append(packet)
            default: break
            }
        }
        switch packet {
        case .toHub(let deposit):
            for action in hub.received(deposit, at: now) {
                if case .accepted(_, _, let seq?, _) = action, deposit.depositClass == .handshake {
                    handshakes.insert(seq)
                }
                carry(action)
            }
        case .ackToHub(let identity, let seq): for action in hub.acknowledged(seq, by: identity) { carry(action) }
        case .toMailbox(let identity, let seq, let itemClass):
            let deposit = Mailbox.FanOutDeposit(
                id: anyID,
                from: hubDID,
                recipient: identity,
                group: group,
                itemClass: itemClass,
                seq: seq,
                size: 10
            )
            for action in mailboxes[identity]?.received(deposit, at: now) ?? [] {
                if case .accepted = action { packets.append(.ackToHub(identity, seq: seq)) }
            }
        }
    }

    private mutating func carry(_ action: HubAction) {
        switch action {
        // An answer may be lost: then the sender tries again, and learns the same `seq`.
        case .accepted(_, let id, _, _):
            if !isFaulty || Bool.random(using: &random) { outbox.removeAll { $0.id == id } }
        // The sender would make it anew; here it gives up.
        case .error(_, let id, _): outbox.removeAll { $0.id == id }
        case .fanOut(let identity, let seq, let itemClass): packets.append(.toMailbox(identity, seq: seq, itemClass))
        case .welcome, .forward: break
        }
    }

    private mutating func sync(_ device: DID) throws {
        guard let owner = owners[device], var mailbox = mailboxes[owner], var inbox = inboxes[device] else { return }
        let stored = Dictionary(uniqueKeysWithValues: mailbox.items.map { ($0.cursor, $0) })
        let answer = mailbox.received(inbox.request(to: mailbox.did, limit: 5), id: anyID, from: device)
        mailboxes[owner] = mailbox
        for case .items(_, _, let cursors, _) in answer {
            for cursor in cursors {
                // It crashed in the middle of the page: the items it has not committed come again.
                if isFaulty, Int.random(in: 0..<10, using: &random) == 0 { return }
                let item = try #require(stored[cursor])
                let seq = try #require(item.seq)
                let actions = inbox.received(
                    .init(cursor: cursor, itemClass: item.itemClass, group: item.group, seq: seq),
                    from: mailbox.did,
                    at: now
                )
                for action in actions {
                    switch action {
                    case .process: seen[device]?.append(seq)
                    case .release(let seqs):
                        #expect(held[device, default: []].isSuperset(of: seqs))
                        held[device]?.subtract(seqs)
                        seen[device]? += seqs
                    case .hold: held[device, default: []].insert(seq)
                    case .duplicate: break
                    case .siblings, .skip, .rejoin: Issue.record("\(action)")
                    }
                }
                inboxes[device] = inbox
            }
        }
    }

    /// One of them starts again from what it has committed.
    private mutating func crash() {
        switch Int.random(in: 0..<3, using: &random) {
        case 0:
            hub = Hub(restoring: hub.state)
        case 1:
            guard let owner = mailboxes.keys.sorted().randomElement(using: &random), let mailbox = mailboxes[owner]
            else { return }
            mailboxes[owner] = Mailbox(restoring: mailbox.state, did: mailbox.did, owner: owner)
        default:
            guard let device = inboxes.keys.sorted().randomElement(using: &random), let inbox = inboxes[device] else {
                return
            }
            inboxes[device] = DeviceInbox(restoring: inbox.state)
        }
    }
}

/// The short names of ``Scene`` as values.
private enum Short {
    static func did(_ name: String) throws -> DID { try #require(DID(Scene.fill(name))) }
    static func group(_ name: String) throws -> GroupID { try #require(GroupID(Scene.fill(name))) }
    static func id(_ number: Int) throws -> ULID {
        let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        let tail = [digits[number / 1024 % 32], digits[number / 32 % 32], digits[number % 32]]
        return try #require(ULID("01K742SG00" + String(repeating: "0", count: 13) + String(tail)))
    }
}
