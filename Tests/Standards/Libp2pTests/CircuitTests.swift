import Support
import Testing

@testable import Libp2p

@Suite("Circuits, hole punching and reachability")
struct CircuitTests {
    private let a = IdentityKey().peerID
    private let b = IdentityKey().peerID

    @Test("Messages round-trip, and no change of bytes traps")
    func messages() throws {
        let relay = IdentityKey()
        let address = try Multiaddr("/ip4/192.0.2.1/tcp/4001").naming(relay.peerID)
        var reservation = Reservation(expires: 1_700_000_000_000, addresses: [address])
        try reservation.vouch(for: a, by: relay)
        #expect(reservation.isVouched(for: a, by: relay.peerID) && !reservation.isVouched(for: b, by: relay.peerID))
        #expect(!reservation.isVouched(for: a, by: b))
        let limit = CircuitLimit(duration: 120_000, data: 1 << 17)
        let hops: [HopMessage] = [.reserve, .connect(a), .status(.ok, reservation, limit), .status(.noReservation)]
        for message in hops { #expect(try HopMessage(bytes: message.bytes) == message) }
        for message in [StopMessage.connect(b, limit), .connect(b, nil), .status(.connectionFailed)] {
            #expect(try StopMessage(bytes: message.bytes) == message)
        }
        for message in [HolePunchMessage.connect([address]), .sync] {
            #expect(try HolePunchMessage(bytes: message.bytes) == message)
        }
        for message in [AutoNATMessage.dial(a, [address]), .response(.ok, address), .response(.dialRefused, nil)] {
            #expect(try AutoNATMessage(bytes: message.bytes) == message)
        }
        var random = SeededRandom(seed: 3)
        for _ in 0..<20_000 {
            var bytes = hops[Int.random(in: hops.indices, using: &random)].bytes
            bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            _ = try? HopMessage(bytes: bytes)
            _ = try? StopMessage(bytes: bytes)
            _ = try? HolePunchMessage(bytes: bytes)
            _ = try? AutoNATMessage(bytes: bytes)
        }
    }

    @Test("Circuit addresses name their relay; one behind another does not")
    func addresses() throws {
        let relay = try Multiaddr("/ip4/192.0.2.1/tcp/4001").naming(a)
        #expect(relay.throughCircuit.circuitRelay == relay && relay.throughCircuit.naming(b).circuitRelay == relay)
        #expect(relay.circuitRelay == nil && relay.throughCircuit.isCircuit && !relay.isCircuit)
        #expect(relay.throughCircuit.naming(b).throughCircuit.circuitRelay == nil)
        #expect(try Multiaddr("/ip4/192.0.2.1/tcp/4001/p2p-circuit").circuitRelay == nil)
    }

    @Test("Reservations and circuits are bounded in all, by peer and by range, and end with their time")
    func relayLimits() throws {
        var limits = CircuitRelay.Limits()
        limits.reservations = 10
        limits.reservationsPerRange = 2
        limits.circuits = 6
        limits.circuitsPerPeer = 2
        limits.circuit.data = 100
        var relay = CircuitRelay(limits: limits)
        func address(_ text: String) throws -> Multiaddr { try Multiaddr("/ip4/\(text)/tcp/1") }
        var granted: [Int64?] = []
        for host in 1...3 {
            granted.append(relay.reserve(IdentityKey().peerID, from: try address("203.0.113.\(host)"), at: 0))
        }
        #expect(granted == [3_600_000, 3_600_000, nil])
        expectEqual(relay.reserve(a, from: try address("192.0.2.1").naming(b).throughCircuit, at: 0), nil)
        expectEqual(relay.reserve(a, from: try address("192.0.2.1"), at: 0), 3_600_000)
        func connect(_ from: PeerID, _ to: PeerID, at now: Int64 = 1) -> CircuitStatus {
            switch relay.connect(from: from, at: nil, to: to, at: now) {
            case .success: .ok
            case .failure(let refusal): refusal.status
            }
        }
        #expect(connect(b, IdentityKey().peerID) == .noReservation)
        #expect(connect(a, a) == .denied)
        #expect(connect(b, a, at: 3_600_000) == .noReservation)
        #expect([connect(b, a), connect(b, a), connect(b, a)] == [.ok, .ok, .limitExceeded])
        #expect(connect(IdentityKey().peerID, a) == .limitExceeded)
        let carried = [
            relay.carry(100, .toTarget, on: 1), relay.carry(100, .toSource, on: 1), relay.carry(1, .toTarget, on: 1),
            relay.carry(1, .toTarget, on: 99),
        ]
        #expect(carried == [true, true, false, false])
        relay.ended(1)
        #expect(connect(b, a) == .ok)
        relay.disconnected(a)
        #expect(connect(b, a) == .noReservation)
    }

    @Test("Both sides dial at one moment: the caller on the word, the called half a round trip later")
    func punching() throws {
        let ours = [try Multiaddr("/ip4/203.0.113.1/tcp/1"), try Multiaddr("/ip4/10.0.0.1/tcp/1")]
        let theirs = [try Multiaddr("/ip4/198.51.100.1/tcp/2")]
        var called = HolePunch(.called, own: ours, allowsPrivate: false)
        var caller = HolePunch(.caller, own: theirs, allowsPrivate: false)
        expectEqual(called.begin(at: 1000), [.send(.connect(ours))])
        expectEqual(try caller.received(.connect(ours), at: 1040), [.expect([ours[0]]), .send(.connect(theirs))])
        expectEqual(try called.received(.connect(theirs), at: 1080), [.send(.sync), .dial(theirs, at: 1120)])
        // The private address is not dialled.
        expectEqual(try caller.received(.sync, at: 1120), [.dial([ours[0]], at: 1120)])
        for message in [HolePunchMessage.sync, .connect(theirs)] {
            #expect(throws: Libp2pError(.protocolViolation, "")) { try called.received(message, at: 1200) }
        }
        var other = HolePunch(.caller, own: theirs, allowsPrivate: false)
        #expect(throws: Libp2pError(.unreachable, "")) { try other.received(.connect([ours[1]]), at: 0) }
        var early = HolePunch(.caller, own: theirs, allowsPrivate: false)
        #expect(throws: Libp2pError(.protocolViolation, "")) { try early.received(.sync, at: 0) }
    }

    @Test("Nobody is dialled back but at the address the request came from, and not often")
    func dialBack() throws {
        var rules = DialBackRules(at: 0)
        let own = try Multiaddr("/ip4/203.0.113.5/tcp/4001")
        let other = try Multiaddr("/ip4/203.0.113.6/tcp/4001")
        let seen = try Multiaddr("/ip4/203.0.113.5/tcp/50000")
        func ask(_ peer: PeerID, _ message: AutoNATMessage, _ seen: Multiaddr?, at now: Int64) -> [Multiaddr]? {
            try? rules.asked(message, by: peer, seenAt: seen, at: now).get()
        }
        #expect(ask(a, .dial(a, [other, own, own]), seen, at: 0) == [own])
        #expect(ask(a, .dial(a, [own]), seen, at: 9_999) == nil)
        #expect(ask(a, .dial(a, [own]), seen, at: 10_000) == [own])
        #expect(ask(b, .dial(a, [own]), seen, at: 0) == nil)
        #expect(ask(b, .dial(b, [other]), seen, at: 0) == nil)
        #expect(ask(IdentityKey().peerID, .response(.ok, nil), seen, at: 0) == nil)
        let relayed = other.naming(a).throughCircuit
        #expect(ask(IdentityKey().peerID, .dial(b, [own]), relayed, at: 0) == nil)
    }

    @Test(
        "Version 2: the first address that may be dialled; another's only for bytes, a private one of another's never"
    )
    func dialOnce() throws {
        var rules = DialBackRules(at: 0)
        let own = try Multiaddr("/ip4/203.0.113.5/tcp/4001")
        let other = try Multiaddr("/ip4/203.0.113.6/tcp/4001")
        let inside = try Multiaddr("/ip4/192.168.1.2/tcp/4001")
        let seen = try Multiaddr("/ip4/203.0.113.5/tcp/50000")
        func ask(_ peer: PeerID, _ addresses: [Multiaddr], at now: Int64 = 0) -> DialBackRules.Verdict {
            rules.asked(addresses, by: peer, seenAt: seen, at: now)
        }
        #expect(ask(a, [inside, own, other]) == .dial(.init(index: 1, address: own, cost: 0)))
        #expect(ask(a, [own], at: 9_999) == .notNow)
        let named = try Multiaddr("/dns4/example.org/tcp/1")
        #expect(ask(b, [named, other, own]) == .dial(.init(index: 1, address: other, cost: 50_000)))
        #expect(ask(IdentityKey().peerID, [inside, named]) == .nothing)
        let relayed = rules.asked([own], by: IdentityKey().peerID, seenAt: other.naming(a).throughCircuit, at: 0)
        #expect(relayed == .notNow)
    }

    @Test("Messages of version 2 come back as they went; numbers and portions out of bounds do not pass")
    func version2Messages() throws {
        let address = try Multiaddr("/ip4/203.0.113.5/tcp/4001")
        for message in [
            AutoNAT2Message.request([address, address], nonce: .max), .response(.ok, index: 3, .dialBackError),
            .response(.dialRefused, index: 0, .unused), .dataRequest(index: 1, count: 50_000), .data(4096), .data(0),
        ] { #expect(try AutoNAT2Message(bytes: message.bytes) == message) }
        #expect(
            try AutoNAT2Message.nonce(ofDialBack: AutoNAT2Message.dialBack(0x0123_4567_89ab_cdef))
                == 0x0123_4567_89ab_cdef
        )
        // An unknown address keeps its place.
        let strange: [UInt8] = [0x0a, 0x0d, 0x0a, 0x02, 0xff, 0x7f, 0x11, 1, 0, 0, 0, 0, 0, 0, 0]
        guard case .request(let addresses, nonce: 1) = try AutoNAT2Message(bytes: strange) else {
            Issue.record("no request")
            return
        }
        #expect(addresses.count == 1 && addresses[0].ipAddress?.isUnspecified == true)
        var large = ProtobufWriter()
        large.bytes(1, [UInt8](repeating: 0, count: 4097))
        var writer = ProtobufWriter()
        writer.bytes(4, large.bytes)
        #expect(throws: Libp2pError(.limit, "")) { try AutoNAT2Message(bytes: writer.bytes) }
        #expect(throws: Libp2pError(.unsupported, "")) { try AutoNAT2Message(bytes: [0x12, 0x02, 0x08, 0x07]) }
        #expect(throws: Libp2pError(.malformed, "")) { try AutoNAT2Message(bytes: []) }
    }

    @Test("It takes four of a kind to know, and a refusal says nothing")
    func tally() throws {
        var tally = ReachabilityTally()
        let address = try Multiaddr("/ip4/203.0.113.5/tcp/4001")
        let peers = (0..<9).map { _ in IdentityKey().peerID }
        for peer in peers[..<3] { tally.heard(.response(.ok, address), from: peer) }
        tally.heard(.response(.ok, address), from: peers[0])
        for peer in peers[3..<5] { tally.heard(.response(.dialRefused, nil), from: peer) }
        #expect(tally.reachability() == .unknown)
        tally.heard(.response(.ok, address), from: peers[5])
        #expect(tally.reachability() == .open([address]))
        for peer in peers[..<4] { tally.heard(.response(.dialError, nil), from: peer) }
        #expect(tally.reachability() == .closed)
    }
}
