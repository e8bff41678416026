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

@Suite struct MessageReaderTests {
    private func frame(
        _ opcode: WebSocketOpcode,
        _ payload: [UInt8],
        fin: Bool = true,
        masked: Bool = true,
        rsv1: Bool = false
    ) -> [UInt8] {
        var buffer = ByteBuffer()
        FrameWriter.append(opcode, payload, mask: masked ? 0x0102_f3a4 : nil, to: &buffer)
        var bytes = Array(buffer: buffer)
        if !fin { bytes[0] &= 0x7f }
        if rsv1 { bytes[0] |= 0x40 }
        return bytes
    }

    private func text(_ event: MessageReader.Event?) -> String? {
        guard case .message(let bytes) = event else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func violation(_ event: MessageReader.Event?) -> CloseCode? {
        guard case .violation(let code) = event else { return nil }
        return code
    }

    @Test("fragments are joined, with a ping between them") func fragments() {
        var reader = MessageReader(.server)
        var input = ByteBuffer(
            bytes: frame(.text, Array("he".utf8), fin: false) + frame(.ping, [9])
                + frame(.continuation, Array("ll".utf8), fin: false) + frame(.continuation, Array("o".utf8))
                + frame(.text, Array("next".utf8)) + frame(.text, [])
        )
        #expect(text(reader.next(&input)) == nil)
        if case .ping(let payload) = reader.next(&input) { #expect(payload == [9]) } else { Issue.record() }
        #expect(text(reader.next(&input)) == nil)
        #expect(text(reader.next(&input)) == "hello")
        #expect(text(reader.next(&input)) == "next")
        #expect(text(reader.next(&input)) == "")
        #expect(reader.next(&input) == nil && input.readableBytes == 0)
    }

    @Test("however the bytes are cut, the same messages come out", arguments: [MessageReader.Role.server, .client])
    func cut(role: MessageReader.Role) {
        var random = SeededRandom(seed: 5)
        var sent: [[UInt8]] = []
        var bytes: [UInt8] = []
        for size in [0, 1, 7, 8, 9, 125, 126, 300, 4000, 65_535, 65_536] {
            let message = (0..<size).map { _ in UInt8.random(in: 0x20...0x7e, using: &random) }
            sent.append(message)
            bytes += frame(.text, message, masked: role == .server)
        }
        for largest in [1, 2, 3, 13, 100, 5000, bytes.count] {
            var reader = MessageReader(role)
            var received: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = min(rest.count, Int.random(in: 1...largest, using: &random))
                var input = ByteBuffer(bytes: rest.prefix(count))
                rest = rest.dropFirst(count)
                while let event = reader.next(&input) {
                    if case .message(let message) = event { received.append(message) }
                }
                #expect(input.readableBytes == 0)
            }
            #expect(received == sent)
        }
    }

    @Test("fragments together may hold 65,536 bytes and not one more") func cap() {
        for (last, fits) in [(32_768, true), (32_769, false)] {
            var reader = MessageReader(.server)
            var input = ByteBuffer(
                bytes: frame(.text, [UInt8](repeating: 97, count: 32_768), fin: false)
                    + frame(.continuation, [UInt8](repeating: 97, count: last))
            )
            _ = reader.next(&input)
            let event = reader.next(&input)
            #expect((text(event)?.utf8.count == 65_536) == fits)
            #expect((violation(event) == .tooLarge) == !fits)
        }
    }

    @Test("what the binding does not know is refused with its status") func violations() {
        func first(_ frame: [UInt8], _ role: MessageReader.Role = .server) -> CloseCode? {
            var reader = MessageReader(role)
            var input = ByteBuffer(bytes: frame)
            return violation(reader.next(&input))
        }
        #expect(first(frame(.binary, [1])) == .unsupportedData)
        #expect(first(frame(.text, [97], masked: false)) == .protocolError)
        #expect(first(frame(.text, [97]), .client) == .protocolError)
        #expect(first(frame(.text, [97], rsv1: true)) == .protocolError)
        #expect(first(frame(.continuation, [97])) == .protocolError)
        #expect(first(frame(.ping, [97], fin: false)) == .protocolError)
        #expect(first(frame(.ping, [UInt8](repeating: 97, count: 126))) == .protocolError)
        #expect(first(frame(WebSocketOpcode(encodedWebSocketOpcode: 3)!, [97])) == .protocolError)
        #expect(first(frame(.text, [0xff, 0xfe])) == .notUTF8)
        #expect(first(frame(.text, [97, 97, 97, 97, 97, 97, 97, 97, 0xc3])) == .notUTF8)
        #expect(first(frame(.connectionClose, [3])) == .protocolError)
        #expect(first(frame(.connectionClose, [3, 0xed])) == .protocolError)  // 1005 is never sent
        #expect(first(frame(.connectionClose, [3, 0xe8, 0xff])) == .notUTF8)
        var reader = MessageReader(.server)
        var input = ByteBuffer(bytes: frame(.text, [97], fin: false) + frame(.text, [97]))
        _ = reader.next(&input)
        #expect(violation(reader.next(&input)) == .protocolError)
    }

    @Test("a length that is too large is refused before its payload comes; one written too long, always")
    func lengths() {
        func first(_ header: [UInt8]) -> CloseCode? {
            var reader = MessageReader(.server)
            var input = ByteBuffer(bytes: header)
            return violation(reader.next(&input))
        }
        let key: [UInt8] = [1, 2, 3, 4]
        #expect(first([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1] + key) == .tooLarge)
        #expect(first([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff] + key) == .tooLarge)
        #expect(first([0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff] + key) == .protocolError)
        #expect(first([0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff] + key) == .protocolError)
        #expect(first([0x81, 0xfe, 0, 125] + key) == .protocolError)
        #expect(first([0x81, 0xfe, 0xff, 0xff] + key) == nil)
    }

    @Test("text beyond ASCII arrives whole, in fragments too; half a character does not") func unicode() {
        let greeting = Array("grüße 🎉 und mehr".utf8)
        var reader = MessageReader(.server)
        var input = ByteBuffer(
            bytes: frame(.text, greeting) + frame(.text, Array(greeting.prefix(3)), fin: false)
                + frame(.continuation, Array(greeting.dropFirst(3)))
                + frame(.text, Array(greeting.prefix(3)), fin: false) + frame(.continuation, [97])
        )
        #expect(text(reader.next(&input)) == "grüße 🎉 und mehr")
        _ = reader.next(&input)
        #expect(text(reader.next(&input)) == "grüße 🎉 und mehr")
        _ = reader.next(&input)
        #expect(violation(reader.next(&input)) == .notUTF8)
    }
}

@Suite struct HandshakeTests {
    @Test("the answer to the key of RFC 6455 §1.3 is the one printed there") func accept() {
        #expect(Handshake.accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(Handshake.isKey("dGhlIHNhbXBsZSBub25jZQ==") && Handshake.isKey(Handshake.makeKey()))
        #expect(!Handshake.isKey("dGhlIHNhbXBsZQ==") && !Handshake.isKey("") && !Handshake.isKey("!"))
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
