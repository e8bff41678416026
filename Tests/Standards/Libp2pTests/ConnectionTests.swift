import Support
import Testing

@testable import Libp2p

/// Two connections joined by two pipes.
struct ConnectionPair {
    var dialler: Connection
    var listener: Connection
    let diallerKey = IdentityKey()
    let listenerKey = IdentityKey()
    var diallerEvents: [Connection.Event] = []
    var listenerEvents: [Connection.Event] = []
    var now: Int64 = 1000

    init(offering: [String] = ["/echo/1"], expecting: PeerID? = nil) {
        dialler = Connection(.dialler, identity: diallerKey, expecting: expecting, at: now)
        listener = Connection(.listener, identity: listenerKey, offering: offering, at: now)
    }

    /// Carries bytes both ways until nothing moves.
    mutating func settle() {
        var moved = true
        while moved {
            moved = false
            while let bytes = dialler.pollOutput() {
                listener.receive(bytes, at: now)
                moved = true
            }
            while let event = listener.pollEvent() { listenerEvents.append(event) }
            while let bytes = listener.pollOutput() {
                dialler.receive(bytes, at: now)
                moved = true
            }
            while let event = dialler.pollEvent() { diallerEvents.append(event) }
        }
    }
}

@Suite("A connection")
struct ConnectionTests {
    @Test("Both sides prove who they are; streams open in both directions")
    func establishes() throws {
        var pair = ConnectionPair()
        pair.settle()
        #expect(pair.dialler.peer == pair.listenerKey.peerID)
        #expect(pair.listener.peer == pair.diallerKey.peerID)
        pair.dialler.offered = ["/back/1"]
        let out = try pair.dialler.open(["/echo/1"], at: 1000)
        _ = pair.dialler.write([1, 2], to: out)
        let back = try pair.listener.open(["/nothing", "/back/1"], at: 1000)
        pair.settle()
        guard case .opened(let inbound, "/echo/1", true) = pair.listenerEvents.dropFirst().first else {
            Issue.record("\(pair.listenerEvents)")
            return
        }
        #expect(inbound == out)
        guard case .data(inbound, [1, 2]) = pair.listenerEvents.dropFirst(2).first else {
            Issue.record("\(pair.listenerEvents)")
            return
        }
        let opened = pair.listenerEvents.contains {
            if case .opened(back, "/back/1", false) = $0 { true } else { false }
        }
        #expect(opened)
    }

    @Test("A protocol nobody offers fails the stream and leaves the connection")
    func unsupported() throws {
        var pair = ConnectionPair()
        pair.settle()
        let id = try pair.dialler.open(["/other/1"], at: 1000)
        pair.settle()
        guard case .failed(id, let error) = pair.diallerEvents.last else {
            Issue.record("\(pair.diallerEvents)")
            return
        }
        #expect(error.code == .noCommonProtocol)
        #expect(!pair.dialler.isClosed && pair.dialler.streamCount == 0 && pair.listener.streamCount == 0)
    }

    @Test(
        "Plaintext, secio and anything else that is not Noise are refused",
        arguments: ["/plaintext/2.0.0", "/secio/1.0.0", "/tls/1.0.0"]
    )
    func refusesPlaintext(_ name: String) throws {
        var listener = Connection(.listener, identity: IdentityKey(), at: 0)
        func message(_ text: String) -> [UInt8] { Array("\(text)\n".utf8).delimited }
        var answer = listener.pollOutput() ?? []
        listener.receive(message("/multistream/1.0.0") + message(name), at: 0)
        answer += listener.pollOutput() ?? []
        #expect(answer == message("/multistream/1.0.0") + message("na"))
        for _ in 0..<20 { listener.receive(message(name), at: 0) }
        #expect(listener.isClosed)
    }

    @Test("A handshake that stalls is ended in time, and so is a stream without a protocol")
    func deadlines() throws {
        var slow = Connection(.listener, identity: IdentityKey(), at: 0)
        #expect(slow.nextDeadline == 10_000)
        slow.advance(to: 9_999)
        #expect(!slow.isClosed)
        slow.advance(to: 10_000)
        #expect(slow.isClosed)
        var pair = ConnectionPair()
        pair.settle()
        _ = try pair.dialler.open(["/echo/1"], at: 1000)
        #expect(pair.dialler.nextDeadline == 11_000)
        pair.dialler.advance(to: 11_000)
        guard case .failed(_, let error)? = pair.dialler.pollEvent() else {
            Issue.record("no event")
            return
        }
        #expect(error.code == .timeout && pair.dialler.nextDeadline == nil)
    }

    @Test("One byte changed on the way ends the connection")
    func tampering() throws {
        var pair = ConnectionPair()
        pair.settle()
        _ = try pair.dialler.open(["/echo/1"], at: 1000)
        var bytes = pair.dialler.pollOutput() ?? []
        bytes[bytes.count / 2] ^= 1
        pair.listener.receive(bytes, at: 1000)
        #expect(pair.listener.isClosed)
        guard case .closed(let error)? = pair.listener.pollEvent() else {
            Issue.record("no event")
            return
        }
        #expect(error.code == .unauthentic)
    }

    @Test("A mebibyte is echoed", arguments: [1 << 20])
    func echo(_ size: Int) throws {
        var pair = ConnectionPair()
        pair.settle()
        let id = try pair.dialler.open(["/echo/1"], at: 1000)
        let text = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var sent = 0
        var back: [UInt8] = []
        var rounds = 0
        while back.count < size, rounds < 10_000 {
            rounds += 1
            while sent < size {
                let part = text[sent..<min(size, sent + 40_000)]
                sent += part.count
                if !pair.dialler.write(part, to: id) { break }
            }
            pair.settle()
            for case .data(let stream, let bytes) in pair.listenerEvents {
                _ = pair.listener.write(bytes, to: stream)
                pair.listener.consumed(bytes.count, of: stream)
            }
            pair.listenerEvents.removeAll()
            pair.settle()
            for case .data(_, let bytes) in pair.diallerEvents {
                back += bytes
                pair.dialler.consumed(bytes.count, of: id)
            }
            pair.diallerEvents.removeAll()
        }
        #expect(back == text)
    }

    @Test("A peer that opens and resets streams without end is not listened to, and is again after a pause")
    func rapidReset() throws {
        var pair = ConnectionPair()
        pair.settle()
        for _ in 0..<600 {
            let id = try pair.dialler.open(["/echo/1"], at: pair.now)
            pair.settle()
            pair.dialler.reset(id)
            pair.settle()
        }
        func opened() -> Int { pair.listenerEvents.count { if case .opened = $0 { true } else { false } } }
        #expect(opened() == 512)
        #expect(!pair.listener.isClosed && pair.listener.streamCount == 0)
        pair.now += 1000
        _ = try pair.dialler.open(["/echo/1"], at: pair.now)
        pair.settle()
        #expect(opened() == 513)
    }

    @Test("Goodbye reaches the other side")
    func goodbye() {
        var pair = ConnectionPair()
        pair.settle()
        pair.dialler.close()
        pair.settle()
        #expect(pair.listener.isClosed)
    }

    @Test("Mutated transcripts never trap", arguments: [11, 12, 13] as [UInt64])
    func mutations(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<60 {
            var pair = ConnectionPair()
            let at = Int.random(in: 0..<6, using: &random)
            for step in 0..<8 {
                guard var bytes = step % 2 == 0 ? pair.dialler.pollOutput() : pair.listener.pollOutput() else {
                    continue
                }
                if step == at, !bytes.isEmpty {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
                }
                if step % 2 == 0 { pair.listener.receive(bytes, at: 0) } else { pair.dialler.receive(bytes, at: 0) }
            }
        }
    }
}
