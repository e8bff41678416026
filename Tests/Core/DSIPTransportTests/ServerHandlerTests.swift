import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOEmbedded
import NIOWebSocket
import Support
import Testing

@testable import DSIPTransport

@Suite struct ServerHandlerTests {
    @Test("a hello is answered with a signed hello that names it, and binds the device") func hello() throws {
        let connection = try EmbeddedConnection { $0.capabilities = RelayCapabilities(storeAndForward: true) }
        let alice = Person()
        let id = ULID.make()
        try connection.receive(.text, alice.hello(id).bytes)
        let frame = try #require(try connection.sent().first)
        #expect(frame.maskKey == nil)
        let envelope = Array(buffer: frame.data)
        var verifier = EnvelopeVerifier()
        var replay = ReplayWindow()
        let verdict = verifier.verify(envelope, at: noon, replay: &replay, sentHello: id, documents: { _ in .unknown })
        guard case .accepted(let reply) = verdict else { return #expect(Bool(false), "\(verdict)") }
        #expect(reply.identity == connection.relay.did)
        let hello = try #require(reply.body.body(as: Hello.self))
        #expect(hello.inReplyTo == id && hello.capabilities?.storeAndForward == true)
        #expect(connection.recorder.events == [.bound(alice.controller.did, replacing: nil)])
        #expect(connection.recorder.connection(alice.device.did)?.device?.device == alice.device.did)
    }

    @Test("traffic before a hello is answered with hello-required and reaches nobody; a hello still works")
    func gating() throws {
        let connection = try EmbeddedConnection()
        let alice = Person()
        let early = ULID.make()
        try connection.receive(.text, alice.bye(to: connection.relay.did, early).bytes)
        let error = try #require(try connection.messages().first)
        let report = try #require(error.body(as: ErrorReport.self))
        #expect(report.reason == .transportHelloRequired && report.inReplyTo == early && error.to == alice.device.did)
        #expect(connection.recorder.events == [.rejected(.helloRequired)])
        try connection.receive(.text, alice.hello().bytes)
        #expect(try connection.messages().first?.type == .hello)
    }

    @Test("a hello under a delegation that does not hold is refused with its token, then the connection is closed")
    func badHello() throws {
        let connection = try EmbeddedConnection { $0.clock = { noon + 2_000_000 } }
        let alice = Person()
        try connection.receive(.text, alice.hello(.make(noon + 2_000_000), at: noon + 2_000_000).bytes)
        let frames = try connection.sent()
        let report = try #require(try frames.first.map(Message.init(in:))?.body(as: ErrorReport.self))
        #expect(report.reason == .transportHelloRejected)
        #expect(frames.last?.opcode == .connectionClose)
        #expect(connection.recorder.events.first == .rejected(.delegationExpired))
    }

    @Test("a hello that claims to be a relay's is refused") func relayHello() throws {
        let connection = try EmbeddedConnection()
        let stamp = Message.Stamp(id: .make(), from: connection.relay.did, issuedAt: noon, version: .core)
        let hello = try Message.hello(stamp, Hello(inReplyTo: .make())).signed(by: connection.relay)
        try connection.receive(.text, hello.bytes)
        #expect(connection.recorder.events.contains { if case .rejected = $0 { true } else { false } })
        #expect(!connection.recorder.events.contains { if case .bound = $0 { true } else { false } })
    }

    @Test("ten seconds without a hello end the connection") func helloTimeout() throws {
        let connection = try EmbeddedConnection()
        connection.advance(9)
        #expect(try connection.closes() == [])
        connection.advance(2)
        #expect(try connection.closes() == [1008])
    }

    @Test("verified traffic arrives in order with the received bytes") func delivery() throws {
        let connection = try EmbeddedConnection()
        let alice = Person()
        try connection.bind(alice)
        let received = Box<[[UInt8]]>([])
        connection.recorder.onReceive { _, message in received.value.append(message.envelope.bytes) }
        let envelopes = (0..<5).map { _ in alice.bye(to: connection.relay.did) }
        for envelope in envelopes { try connection.receive(.text, envelope.bytes) }
        #expect(received.value == envelopes.map(\.bytes))
    }

    @Test("a second hello replaces the binding on the same connection") func rehello() throws {
        let connection = try EmbeddedConnection()
        let (alice, bob) = (Person(), Person())
        try connection.bind(alice)
        try connection.receive(.text, bob.hello().bytes)
        #expect(try connection.messages().first?.type == .hello)
        #expect(
            connection.recorder.events == [
                .bound(alice.controller.did, replacing: nil),
                .bound(bob.controller.did, replacing: alice.controller.did),
            ]
        )
    }

    @Test("65,536 bytes are read, 65,537 close with 1009") func cap() throws {
        for (size, closes) in [(65_536, [UInt16]()), (65_537, [1009])] {
            let connection = try EmbeddedConnection()
            try connection.bind()
            try connection.receive(.text, [UInt8](repeating: 97, count: size))
            #expect(try connection.closes() == closes)
            #expect(connection.recorder.events.contains(.rejected(.envelopeShape)) == closes.isEmpty)
        }
    }

    @Test("fragments over the cap close with 1009, binary with 1003, unmasked frames with 1002") func framing() throws {
        let fragmented = try EmbeddedConnection()
        try fragmented.bind()
        for (first, bytes) in [(UInt8(0x01), 40_000), (0x80, 30_000)] {
            var buffer = ByteBuffer()
            FrameWriter.append(.text, [UInt8](repeating: 97, count: bytes), mask: 7, to: &buffer)
            buffer.setInteger(first, at: buffer.readerIndex)
            try fragmented.receive(raw: buffer)
        }
        #expect(try fragmented.closes() == [1009])
        let binary = try EmbeddedConnection()
        try binary.receive(.binary, [1, 2, 3])
        #expect(try binary.closes() == [1003])
        let unmasked = try EmbeddedConnection()
        try unmasked.receive(.text, [97], mask: nil)
        #expect(try unmasked.closes() == [1002])
    }

    @Test("a ping is answered with its payload; a close with a close") func control() throws {
        let connection = try EmbeddedConnection()
        try connection.bind()
        try connection.receive(.ping, [1, 2, 3])
        let pong = try #require(try connection.sent().first)
        #expect(pong.opcode == .pong && Array(buffer: pong.data) == [1, 2, 3])
        try connection.receive(.connectionClose, [0x03, 0xe8])
        #expect(try connection.closes() == [1000])
    }

    @Test("a silent client is asked after 60 s and let go after 90 s; a pong keeps it") func liveness() throws {
        let connection = try EmbeddedConnection()
        try connection.bind()
        connection.advance(59)
        #expect(try connection.sent().isEmpty)
        connection.advance(2)
        #expect(try connection.sent().map(\.opcode) == [.ping])
        try connection.receive(.pong, [])
        connection.advance(60)
        #expect(try connection.sent().map(\.opcode) == [.ping])
        connection.advance(31)
        #expect(try connection.closes() == [1001])
        connection.advance(5)
        #expect(connection.recorder.events.contains { if case .closed = $0 { true } else { false } })
        #expect(connection.service.connectionCount == 0)
    }

    @Test("a duplicate is dropped without an answer") func duplicate() throws {
        let connection = try EmbeddedConnection()
        let alice = Person()
        try connection.bind(alice)
        let envelope = alice.bye(to: connection.relay.did)
        try connection.receive(.text, envelope.bytes)
        try connection.receive(.text, envelope.bytes)
        #expect(try connection.sent().isEmpty)
        #expect(connection.recorder.events.last == .rejected(.duplicateID))
    }

    @Test("a peer that sends only what is refused is let go") func strikes() throws {
        let connection = try EmbeddedConnection()
        try connection.bind()
        for _ in 0..<31 { try connection.receive(.text, Array("{}".utf8)) }
        #expect(try connection.closes() == [])
        try connection.receive(.text, Array("{}".utf8))
        #expect(try connection.closes() == [1008])
        let before = connection.recorder.events.count
        try connection.receive(.text, Array("{}".utf8))
        #expect(connection.recorder.events.count == before)
    }

    @Test("what the delegate does not admit is never looked at") func admission() throws {
        let connection = try EmbeddedConnection()
        let alice = Person()
        try connection.bind(alice)
        connection.recorder.setAdmits(false)
        try connection.receive(.text, alice.bye(to: connection.relay.did).bytes)
        #expect(try connection.messages().first?.body(as: ErrorReport.self)?.reason == .transportRateLimited)
        #expect(connection.recorder.events.count == 1)
    }

    @Test("a consumer that does not read is cut off at the bound") func slowConsumer() throws {
        let connection = try EmbeddedConnection { $0.maximumOutboundBytes = 10_000 }
        let alice = Person()
        try connection.bind(alice)
        let face = try #require(connection.recorder.connection(alice.device.did))
        connection.channel.isWritable = false
        let message = [UInt8](repeating: 97, count: 1000)
        // Queued and not yet taken by anyone: the loop has had no turn.
        let accepted = (0..<20).prefix { _ in face.send(message) }.count
        #expect(accepted == 10)
        #expect(!face.send([1]))
        connection.channel.embeddedEventLoop.run()
        #expect(!connection.channel.isActive)
        #expect(connection.recorder.events.last == .closed(alice.controller.did))
    }

    @Test("what is sent in one turn leaves in one buffer") func coalescing() throws {
        let connection = try EmbeddedConnection()
        let alice = Person()
        try connection.bind(alice)
        let face = try #require(connection.recorder.connection(alice.device.did))
        for _ in 0..<10 { #expect(face.send([UInt8](repeating: 97, count: 1000))) }
        connection.channel.embeddedEventLoop.run()
        let buffer = try #require(try connection.channel.readOutbound(as: ByteBuffer.self))
        #expect(buffer.readableBytes == 10 * 1004)
        #expect(try connection.channel.readOutbound(as: ByteBuffer.self) == nil)
    }

    @Test("what one read brings for a peer leaves in one buffer, sixteen messages at a time") func readCycle() throws {
        let connection = try EmbeddedConnection()
        let alice = Person()
        try connection.bind(alice)
        connection.recorder.onReceive { face, message in face.send(message.envelope.bytes) }
        var input = ByteBuffer()
        let envelopes = (0..<20).map { _ in alice.bye(to: connection.relay.did) }
        for envelope in envelopes { FrameWriter.append(.text, envelope.bytes, mask: 7, to: &input) }
        try connection.channel.writeInbound(input)
        // Nothing waits for another turn of the loop.
        var sizes: [Int] = []
        while let buffer = try connection.channel.readOutbound(as: ByteBuffer.self) {
            sizes.append(buffer.readableBytes)
        }
        let framed = envelopes.map { $0.bytes.count + 4 }
        #expect(sizes == [framed.prefix(16).reduce(0, +), framed.suffix(4).reduce(0, +)])
    }

    @Test("fragments and pings without end close the connection; a few each second do not") func minorFrames() throws {
        let connection = try EmbeddedConnection()
        try connection.bind()
        for _ in 0..<5 {
            for _ in 0..<200 { try connection.receive(.pong, []) }
            connection.advance(1)
        }
        #expect(try connection.closes() == [])
        try connection.receive(raw: ByteBuffer(bytes: [0x01, 0x80, 1, 2, 3, 4]))
        for _ in 0..<300 { try connection.receive(raw: ByteBuffer(bytes: [0x00, 0x80, 1, 2, 3, 4])) }
        #expect(try connection.closes() == [1008])
    }

    @Test("bytes at random never crash and never bind") func garbage() throws {
        var random = SeededRandom(seed: 77)
        for _ in 0..<300 {
            let connection = try EmbeddedConnection()
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let count = Int.random(in: 0...400, using: &random)
                let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                if Bool.random(using: &random) {
                    try? connection.receive(raw: ByteBuffer(bytes: bytes))
                } else {
                    let opcode = WebSocketOpcode(encodedWebSocketOpcode: .random(in: 0...15, using: &random))!
                    try? connection.receive(opcode, bytes)
                }
            }
            #expect(!connection.recorder.events.contains { if case .bound = $0 { true } else { false } })
        }
    }

    @Test("mutations of a valid hello never bind") func mutations() throws {
        var random = SeededRandom(seed: 78)
        let hello = Person().hello().bytes
        for _ in 0..<200 {
            var bytes = hello
            let place = Int.random(in: bytes.indices, using: &random)
            bytes[place] = UInt8.random(in: 0x20...0x7e, using: &random)
            if bytes == hello { continue }
            let connection = try EmbeddedConnection()
            try connection.receive(.text, bytes)
            #expect(!connection.recorder.events.contains { if case .bound = $0 { true } else { false } })
        }
    }
}

/// A value a callback on the test's own thread writes to.
final class Box<Value>: @unchecked Sendable {
    // Embedded channels run on the thread of the test; nothing else touches the value.
    var value: Value
    init(_ value: Value) { self.value = value }
}
