import Support
import Testing

@testable import Libp2p

@Suite("Yamux")
struct YamuxTests {
    private func frame(
        _ kind: YamuxHeader.Kind,
        _ flags: YamuxHeader.Flags = [],
        _ stream: UInt32,
        _ value: UInt32,
        _ body: [UInt8] = []
    ) -> [UInt8] {
        var out: [UInt8] = []
        YamuxHeader(kind, flags, stream: stream, value: value).append(to: &out)
        return out + body
    }

    private func events(_ session: inout YamuxSession) -> [YamuxSession.Event] {
        var out: [YamuxSession.Event] = []
        while let event = session.pollEvent() { out.append(event) }
        return out
    }

    @Test("A stream is opened, carries data both ways, and is over when both sides ended")
    func streams() throws {
        var (client, server) = (YamuxSession(.client), YamuxSession(.server))
        let id = try client.open()
        #expect(id == 1)
        _ = client.write([1, 2, 3], to: id)
        client.end(id)
        try server.receive(client.output())
        expectEqual(events(&server), [.opened(1), .data(1, [1, 2, 3]), .ended(1)])
        _ = server.write([4], to: id)
        server.end(id)
        try client.receive(server.output())
        expectEqual(events(&client), [.data(1, [4]), .ended(1)])
        #expect(client.streamCount == 0 && server.streamCount == 0)
    }

    @Test("A sender stops at the window and goes on when credit comes")
    func flowControl() throws {
        var (client, server) = (YamuxSession(.client), YamuxSession(.server))
        let id = try client.open()
        let text = [UInt8](repeating: 9, count: 600 << 10)
        var sent = 0
        var received = 0
        var rounds = 0
        while received < text.count, rounds < 1000 {
            rounds += 1
            let room = min(client.room(in: id), text.count - sent)
            _ = client.write(text[sent..<sent + room], to: id)
            sent += room
            try server.receive(client.output(limit: .max))
            var fresh = 0
            for case .data(_, let bytes) in events(&server) { fresh += bytes.count }
            received += fresh
            #expect(fresh <= 256 << 10)
            server.consumed(fresh, of: id)
            try client.receive(server.output())
            _ = events(&client)
        }
        #expect(received == text.count)
    }

    @Test("write says when there is no room, and writable follows")
    func backpressure() throws {
        var (client, server) = (YamuxSession(.client), YamuxSession(.server))
        let id = try client.open()
        expectEqual(client.write([UInt8](repeating: 0, count: 100), to: id), true)
        let full = client.write([UInt8](repeating: 0, count: client.room(in: id)), to: id)
        #expect(!full)
        try server.receive(client.output(limit: .max))
        expectEqual(events(&client), [.writable(id)])
    }

    @Test("Streams take turns")
    func fairness() throws {
        var client = YamuxSession(.client)
        let ids = [try client.open(), try client.open(), try client.open()]
        _ = client.output()
        for id in ids { _ = client.write([UInt8](repeating: 0, count: 100 << 10), to: id) }
        var server = YamuxSession(.server)
        for id in ids { try server.receive(frame(.windowUpdate, .synchronise, id, 0)) }
        _ = events(&server)
        try server.receive(client.output(limit: 48 << 10))
        let seen = events(&server).compactMap { if case .data(let id, _) = $0 { id } else { nil } }
        #expect(seen == ids)
    }

    @Test("A peer that overruns the window ends the session")
    func windowAbuse() throws {
        var server = YamuxSession(.server)
        try server.receive(frame(.data, .synchronise, 1, 256 << 10, [UInt8](repeating: 0, count: 256 << 10)))
        #expect(throws: Libp2pError(.protocolViolation, "")) { try server.receive(frame(.data, [], 1, 1)) }
        var grown = YamuxSession(.server)
        try grown.receive(frame(.windowUpdate, .synchronise, 1, 1))
        #expect(throws: Libp2pError(.protocolViolation, "")) { try grown.receive(frame(.windowUpdate, [], 1, .max)) }
    }

    @Test("Streams over the limit are reset, the session lives")
    func streamLimit() throws {
        var limits = YamuxSession.Limits()
        limits.inboundStreams = 2
        var server = YamuxSession(.server, limits: limits)
        for id: UInt32 in [1, 3, 5] { try server.receive(frame(.windowUpdate, .synchronise, id, 0)) }
        expectEqual(events(&server), [.opened(1), .opened(3)])
        #expect(server.refusedStreams == 1)
        let answer = server.output()
        #expect(answer.suffix(12).elementsEqual(frame(.windowUpdate, .reset, 5, 0)))
    }

    @Test("What breaks the framing ends the session")
    func violations() throws {
        let bad: [[UInt8]] = [
            [1] + frame(.ping, .synchronise, 0, 0).dropFirst(), [0, 9] + frame(.ping, [], 0, 0).dropFirst(2),
            frame(.data, .synchronise, 0, 0), frame(.ping, .synchronise, 3, 0), frame(.data, .synchronise, 2, 0),
            frame(.data, .synchronise, 1, 0) + frame(.data, .synchronise, 1, 0),
            frame(.data, .synchronise, 1, 300 << 10),
            frame(.data, [.synchronise, .finish], 1, 0) + frame(.data, [], 1, 4),
        ]
        for bytes in bad {
            var server = YamuxSession(.server)
            #expect(throws: Libp2pError(.protocolViolation, "")) { try server.receive(bytes) }
        }
    }

    @Test("Floods of pings, empty frames and strays are bounded")
    func floods() throws {
        var pinged = YamuxSession(.server)
        #expect(throws: Libp2pError.self) {
            for value in 0..<100_000 { try pinged.receive(frame(.ping, .synchronise, 0, UInt32(value))) }
        }
        var idle = YamuxSession(.server)
        try idle.receive(frame(.windowUpdate, .synchronise, 1, 0))
        #expect(throws: Libp2pError(.protocolViolation, "")) {
            for _ in 0..<100_000 {
                try idle.receive(frame(.data, [], 1, 0))
                _ = idle.output()
            }
        }
        var strays = YamuxSession(.server)
        #expect(throws: Libp2pError(.protocolViolation, "")) {
            for _ in 0..<10_000 { try strays.receive(frame(.data, [], 7, 4096, [UInt8](repeating: 0, count: 4096))) }
        }
    }

    @Test("What is received and not read is bounded over all streams")
    func totalBound() throws {
        var limits = YamuxSession.Limits()
        limits.received = 1 << 20
        var server = YamuxSession(.server, limits: limits)
        #expect(throws: Libp2pError(.limit, "")) {
            for id in stride(from: UInt32(1), to: 40, by: 2) {
                try server.receive(
                    frame(.data, .synchronise, id, 200 << 10, [UInt8](repeating: 0, count: 200 << 10))
                )
            }
        }
    }

    @Test(
        "Any chopping of the bytes gives the same events; random bytes never trap",
        arguments: [1, 2, 3, 4] as [UInt64]
    )
    func chopping(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var client = YamuxSession(.client)
        var wire: [UInt8] = []
        for _ in 0..<5 {
            let id = try client.open()
            _ = client.write(
                (0..<Int.random(in: 0...40_000, using: &random)).map { UInt8(truncatingIfNeeded: $0) },
                to: id
            )
            client.end(id)
            wire += client.output(limit: .max)
        }
        var (whole, chopped) = (YamuxSession(.server), YamuxSession(.server))
        try whole.receive(wire)
        var rest = wire[...]
        while !rest.isEmpty {
            let part = rest.prefix(Int.random(in: 1...5000, using: &random))
            try chopped.receive(part)
            rest = rest.dropFirst(part.count)
        }
        func total(_ session: inout YamuxSession) -> [UInt32: [UInt8]] {
            var out: [UInt32: [UInt8]] = [:]
            for case .data(let id, let bytes) in events(&session) { out[id, default: []] += bytes }
            return out
        }
        let (a, b) = (total(&whole), total(&chopped))
        #expect(a == b && !a.isEmpty)
        for _ in 0..<300 {
            var session = YamuxSession(.server)
            var bytes = wire.prefix(200).map { $0 }
            for _ in 0..<8 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            try? session.receive(bytes)
            while session.pollEvent() != nil {}
            _ = session.output()
        }
    }
}
