import NIOCore
import NIOEmbedded
import NIOWebSocket
import Support
import Testing

@testable import DSIPTransport

@Suite struct FramingTests {
    @Test(
        "frames of every length form are read back by NIO's decoder",
        arguments: [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]
    )
    func written(size: Int) throws {
        var random = SeededRandom(seed: UInt64(size))
        let payload = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
        for mask in [nil, 0x0102_f3a4, UInt32.max] {
            var buffer = ByteBuffer(bytes: [0xee])
            buffer.moveReaderIndex(forwardBy: 1)
            FrameWriter.append(.text, payload, mask: mask, to: &buffer)
            let frame = try #require(try decode(buffer).first)
            #expect(frame.fin && frame.opcode == .text && (frame.maskKey != nil) == (mask != nil))
            #expect(Array(buffer: frame.unmaskedData) == payload)
        }
    }

    @Test("several frames in one buffer come apart again") func many() throws {
        var buffer = ByteBuffer()
        for size in [3, 0, 300] { FrameWriter.append(.text, [UInt8](repeating: 7, count: size), mask: 9, to: &buffer) }
        FrameWriter.append(close: .goingAway, to: &buffer)
        let frames = try decode(buffer)
        #expect(frames.map(\.length) == [3, 0, 300, 2])
        #expect(
            frames.allSatisfy { Array(buffer: $0.unmaskedData).allSatisfy { $0 == 7 } || $0.opcode == .connectionClose }
        )
        #expect(Array(buffer: frames[3].data) == [0x03, 0xe9])
    }

    private func decode(_ buffer: ByteBuffer) throws -> [WebSocketFrame] {
        let channel = EmbeddedChannel(
            handler: ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: 1 << 20))
        )
        try channel.writeInbound(buffer)
        var frames: [WebSocketFrame] = []
        while let frame = try channel.readInbound(as: WebSocketFrame.self) { frames.append(frame) }
        _ = try channel.finish()
        return frames
    }
}

@Suite struct MessageAssemblerTests {
    private let key: WebSocketMaskingKey = [1, 2, 3, 4]

    private func frame(
        _ opcode: WebSocketOpcode,
        _ payload: [UInt8],
        fin: Bool = true,
        masked: Bool = true,
        rsv1: Bool = false
    ) -> WebSocketFrame {
        var data = ByteBuffer(bytes: payload)
        if masked { data.webSocketMask(key) }
        return WebSocketFrame(fin: fin, rsv1: rsv1, opcode: opcode, maskKey: masked ? key : nil, data: data)
    }

    private func text(_ outcome: MessageAssembler.Outcome) -> String? {
        guard case .message(let bytes) = outcome else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func violation(_ outcome: MessageAssembler.Outcome) -> CloseCode? {
        guard case .violation(let code) = outcome else { return nil }
        return code
    }

    @Test("fragments are joined, with a ping between them") func fragments() {
        var assembler = MessageAssembler(.server)
        #expect(text(assembler.receive(frame(.text, Array("he".utf8), fin: false))) == nil)
        if case .ping(let payload) = assembler.receive(frame(.ping, [9])) {
            #expect(payload == [9])
        } else {
            Issue.record()
        }
        #expect(text(assembler.receive(frame(.continuation, Array("ll".utf8), fin: false))) == nil)
        #expect(text(assembler.receive(frame(.continuation, Array("o".utf8)))) == "hello")
        #expect(text(assembler.receive(frame(.text, Array("next".utf8)))) == "next")
    }

    @Test("fragments together may hold 65,536 bytes and not one more") func cap() {
        for (last, fits) in [(32_768, true), (32_769, false)] {
            var assembler = MessageAssembler(.server)
            _ = assembler.receive(frame(.text, [UInt8](repeating: 97, count: 32_768), fin: false))
            let outcome = assembler.receive(frame(.continuation, [UInt8](repeating: 97, count: last)))
            #expect((text(outcome)?.utf8.count == 65_536) == fits)
            #expect((violation(outcome) == .tooLarge) == !fits)
        }
    }

    @Test("what the binding does not know is refused with its status") func violations() {
        func first(_ frame: WebSocketFrame, _ role: MessageAssembler.Role = .server) -> CloseCode? {
            var assembler = MessageAssembler(role)
            return violation(assembler.receive(frame))
        }
        #expect(first(frame(.binary, [1])) == .unsupportedData)
        #expect(first(frame(.text, [97], masked: false)) == .protocolError)
        #expect(first(frame(.text, [97]), .client) == .protocolError)
        #expect(first(frame(.text, [97], rsv1: true)) == .protocolError)
        #expect(first(frame(.continuation, [97])) == .protocolError)
        #expect(first(frame(WebSocketOpcode(encodedWebSocketOpcode: 3)!, [97])) == .protocolError)
        #expect(first(frame(.text, [0xff, 0xfe])) == .notUTF8)
        #expect(first(frame(.text, [97, 97, 97, 97, 97, 97, 97, 97, 0xc3])) == .notUTF8)
        #expect(first(frame(.connectionClose, [3])) == .protocolError)
        #expect(first(frame(.connectionClose, [3, 0xed])) == .protocolError)  // 1005 is never sent
        #expect(first(frame(.connectionClose, [3, 0xe8, 0xff])) == .notUTF8)
        var assembler = MessageAssembler(.server)
        _ = assembler.receive(frame(.text, [97], fin: false))
        #expect(violation(assembler.receive(frame(.text, [97]))) == .protocolError)
    }

    @Test("text beyond ASCII arrives whole") func unicode() {
        var assembler = MessageAssembler(.server)
        #expect(text(assembler.receive(frame(.text, Array("grüße 🎉 und mehr".utf8)))) == "grüße 🎉 und mehr")
    }
}

@Suite struct RelayAddressTests {
    @Test("wss URLs are taken apart") func read() throws {
        let plain = try RelayAddress("wss://relay.example.com/dsip")
        #expect(plain.host == "relay.example.com" && plain.port == 443 && plain.target == "/dsip")
        let full = try RelayAddress("WSS://[::1]:8443?x=1")
        #expect(full.host == "::1" && full.port == 8443 && full.target == "/?x=1" && full.isLiteral)
        #expect(full.hostHeader == "[::1]:8443")
        #expect(try RelayAddress("wss://127.0.0.1:1").isLiteral)
    }

    @Test(
        "anything else is refused",
        arguments: [
            "ws://relay.example.com/", "https://relay.example.com/", "wss://", "wss:///dsip", "wss://a@b/",
            "wss://a/#f",
            "wss://a:0/", "wss://a:65536/", "wss://a:b/", "wss://[::1/", "wss://[1.2.3.4]/", "wss://a b/", "wss://ä/",
            "",
        ]
    )
    func refused(url: String) {
        #expect(throws: TransportError(.address, "")) { try RelayAddress(url) }
    }
}
