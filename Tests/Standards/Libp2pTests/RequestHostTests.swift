import Encoding
import NIOConcurrencyHelpers
import NIOCore
import Testing

@testable import Libp2p

@Suite("Questions and answers over loopback", .serialized, .timeLimit(.minutes(10)))
struct RequestHostTests {
    private static let name = "/q/1"

    private func host() async throws -> (PeerHost, Multiaddr) {
        let host = PeerHost(identity: IdentityKey())
        let address = try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
        return (host, address.naming(host.peerID))
    }

    private func ask(
        _ connection: HostConnection,
        _ message: [UInt8],
        expectsAnswer: Bool = true,
        within time: Int64 = 60_000
    ) async throws -> [UInt8]? {
        try await withCheckedThrowingContinuation { continuation in
            connection.eventLoop.execute {
                let question = Question(message: message, expectsAnswer: expectsAnswer, limit: 1 << 16, time: time) {
                    continuation.resume(with: $0.mapError { $0 as any Error })
                }
                connection.ask(question, RequestHostTests.name)
            }
        }
    }

    /// A peer that counts the streams it is asked on and serves each with `body`.
    private func counting(
        _ body: @escaping @Sendable (PeerStream) async throws -> Void
    ) async throws -> (host: PeerHost, address: Multiaddr, streams: NIOLockedValueBox<Int>) {
        let (host, address) = try await host()
        let streams = NIOLockedValueBox(0)
        await host.handle(RequestHostTests.name) { stream in
            streams.withLockedValue { $0 += 1 }
            try await body(stream)
        }
        return (host, address, streams)
    }

    @Test("Questions in a row go over one stream; at the same time, over as many as there are")
    func reuse() async throws {
        let (b, address, streams) = try await counting { stream in
            var reader = MessageReader(stream)
            while let question = try await reader.next(limit: 1 << 16) { try await stream.write(question.delimited) }
        }
        let (a, _) = try await host()
        let connection = try await a.connect(to: address)
        for number in 0..<20 as Range<UInt8> { #expect(try await ask(connection, [number]) == [number]) }
        #expect(streams.withLockedValue { $0 } == 1)
        let answers = try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            for number in 0..<20 as Range<UInt8> { group.addTask { try await ask(connection, [number]) } }
            return try await group.reduce(into: Set<[UInt8]?>()) { $0.insert($1) }
        }
        #expect(answers == Set((0..<20 as Range<UInt8>).map { [$0] }))
        #expect(streams.withLockedValue { $0 } <= 20)
        await a.shutdown()
        await b.shutdown()
    }

    @Test("A peer that ends, resets or forgets its stream behind each answer is asked on a new one")
    func fresh() async throws {
        let behind: [@Sendable (PeerStream, inout MessageReader) async throws -> Void] = [
            { stream, _ in stream.end() },
            { stream, _ in stream.reset() },
            // It lets the stream go when the next question is under way already.
            { stream, reader in
                _ = try await reader.next(limit: 1 << 16)
                stream.reset()
            },
        ]
        for behind in behind {
            let (b, address, streams) = try await counting { stream in
                var reader = MessageReader(stream)
                guard let question = try await reader.next(limit: 1 << 16) else { return }
                try await stream.write(question.delimited)
                try await behind(stream, &reader)
            }
            let (a, _) = try await host()
            let connection = try await a.connect(to: address)
            for number in 0..<5 as Range<UInt8> { #expect(try await ask(connection, [number]) == [number]) }
            #expect(streams.withLockedValue { $0 } == 5)
            await a.shutdown()
            await b.shutdown()
        }
    }

    @Test("A protocol nobody serves, a peer that says nothing, an answer over the limit, a message that needs none")
    func refusals() async throws {
        let (b, address) = try await host()
        let (a, _) = try await host()
        let connection = try await a.connect(to: address)
        // Told, or taken from the question that went along for one it does not understand.
        await #expect(throws: Libp2pError.self) { try await ask(connection, [1]) }
        await b.handle(RequestHostTests.name) { stream in while try await stream.read() != nil {} }
        await #expect(throws: Libp2pError(.timeout, "")) { try await ask(connection, [1], within: 50) }
        await b.stopHandling(RequestHostTests.name)
        await b.answer(RequestHostTests.name, limit: 1 << 16, within: 60_000) { question, _ in
            switch question.first {
            case 0: .none
            case 1: .refused
            default: .message([UInt8](repeating: 0, count: 1 << 17))
            }
        }
        #expect(try await ask(connection, [0], expectsAnswer: false) == nil)
        await #expect(throws: Libp2pError(.reset, "")) { try await ask(connection, [1]) }
        await #expect(throws: Libp2pError(.limit, "")) { try await ask(connection, [2]) }
        await b.shutdown()
        await #expect(throws: Libp2pError.self) { try await ask(connection, [0]) }
        await a.shutdown()
    }

    @Test("Who asks and does not read is answered when it reads; nothing is lost")
    func slowReader() async throws {
        let (b, address) = try await host()
        await b.answer(RequestHostTests.name, limit: 1 << 10, within: 60_000) { question, _ in
            .message([UInt8](repeating: question.first ?? 0, count: 16 << 10))
        }
        let (a, _) = try await host()
        let stream = try await a.openStream(to: b.peerID, at: [address], [RequestHostTests.name])
        // 3 MiB of answers: more than window and buffers of both sides hold.
        let count = 200
        for number in 0..<count { try await stream.write([UInt8(number)].delimited) }
        stream.end()
        var reader = MessageReader(stream)
        for number in 0..<count {
            let answer = try await reader.next(limit: 1 << 16)
            #expect(answer?.first == UInt8(number) && answer?.count == 16 << 10)
        }
        #expect(try await reader.next(limit: 1 << 16) == nil)
        await a.shutdown()
        await b.shutdown()
    }

    @Test(
        "Half a question ends the stream in its time, however slowly more comes; so does one over the limit, and a flood"
    )
    func offences() async throws {
        let (b, address) = try await host()
        await b.answer(RequestHostTests.name, limit: 64, within: 200) { question, _ in .message(question) }
        let (a, _) = try await host()
        func stream() async throws -> PeerStream {
            try await a.openStream(to: b.peerID, at: [address], [RequestHostTests.name])
        }
        let slow = try await stream()
        await #expect(throws: Libp2pError(.reset, "")) {
            try await slow.write([60])
            for _ in 0..<50 {
                try await slow.write([0])
                try await Task.sleep(for: .milliseconds(40))
            }
            _ = try await slow.read()
        }
        let long = try await stream()
        try await long.write([65])
        await #expect(throws: Libp2pError(.reset, "")) { _ = try await long.read() }
        let flood = try await stream()
        await #expect(throws: Libp2pError.self) {
            try await flood.write([UInt8](repeating: 0, count: 1 << 17))
            while try await flood.read() != nil {}
        }
        #expect(await a.connectedPeers == [b.peerID])
        await a.shutdown()
        await b.shutdown()
    }
}
