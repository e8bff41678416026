import Testing
import WebRTC

@Suite("STUN binding responder") struct BindingResponderTests {
    let source = TransportAddress(.v4(SIMD4(203, 0, 113, 7)), port: 61_481)
    let responder = BindingResponder()

    func request(_ type: STUNMessageType = .init(.request, .binding)) -> STUNWriter {
        STUNWriter(type, transactionID: Array(1...12))
    }

    @Test("a request learns the address it was seen from, in either family")
    func success() throws {
        for (address, size) in [("203.0.113.7", 32), ("2001:db8::7", 44)] {
            let source = TransportAddress(try #require(IPAddress(address)), port: 61_481)
            let response = try #require(responder.respond(to: request().bytes, from: source))
            #expect(response.count == size)
            let message = try STUNMessage(response)
            #expect(message.type == STUNMessageType(.success, .binding))
            #expect(Array(message.transactionID) == Array(1...12))
            #expect(try message.xorMappedAddress() == source)
            #expect(message.hasValidFingerprint == nil)
        }
    }

    @Test("a fingerprint is answered with a fingerprint, a wrong one with silence")
    func fingerprint() throws {
        var writer = request()
        writer.fingerprint()
        let response = try #require(responder.respond(to: writer.bytes, from: source))
        #expect(try STUNMessage(response).hasValidFingerprint == true)
        var bytes = writer.bytes
        bytes[bytes.count - 1] ^= 1
        #expect(responder.respond(to: bytes, from: source) == nil)
    }

    @Test("required attributes it does not know are listed in a 420, optional ones are passed over")
    func unknown() throws {
        var writer = request()
        writer.attribute(.software, "x".utf8)
        writer.attribute(.username, "user".utf8)
        #expect(try STUNMessage(#require(responder.respond(to: writer.bytes, from: source))).type.kind == .success)
        writer.attribute(.init(rawValue: 0x0003), [0, 0, 0, 6])
        writer.attribute(.priority, [1, 2, 3, 4])
        writer.attribute(.init(rawValue: 0x0003), [0, 0, 0, 6])
        let message = try STUNMessage(#require(responder.respond(to: writer.bytes, from: source)))
        #expect(message.type == STUNMessageType(.error, .binding))
        #expect(try message.errorCode()?.code == 420)
        #expect(try message.unknownAttributes()?.map(\.rawValue) == [0x0003, 0x0024])
        #expect(try message.xorMappedAddress() == nil)
    }

    @Test("everything else is answered with silence")
    func silence() {
        for kind in [STUNMessageType.Class.indication, .success, .error] {
            #expect(responder.respond(to: request(.init(kind, .binding)).bytes, from: source) == nil)
        }
        #expect(responder.respond(to: request(.init(.request, .init(rawValue: 3))).bytes, from: source) == nil)
        #expect(responder.respond(to: [], from: source) == nil)
        #expect(responder.respond(to: Array("GET / HTTP/1.1\r\n\r\n  ".utf8), from: source) == nil)
        #expect(responder.respond(to: request().bytes, from: TransportAddress(source.address, port: 0)) == nil)
        var long = request()
        for _ in 0..<2 { long.attribute(.software, [UInt8](repeating: 0x78, count: 700)) }
        #expect(responder.respond(to: long.bytes, from: source) == nil)
    }

    @Test("no request gets back more than 48 bytes beyond its own size")
    func amplification() throws {
        var writer = request()
        for raw in UInt16(0x4000)..<0x4050 {
            let size = try #require(responder.respond(to: writer.bytes, from: source)).count
            #expect(size <= writer.bytes.count + 48)
            writer.attribute(.init(rawValue: raw), [])
        }
    }

    @Test(
        "addresses read and write their canonical text",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("::", "::"), ("::1", "::1"), ("1::", "1::"),
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("::ffff:192.0.2.1", "::ffff:c000:201"),
            ("fe80::1", "fe80::1"),
        ]
    )
    func addresses(_ text: String, _ canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
        #expect(IPAddress(canonical) == IPAddress(text))
    }

    @Test(
        "text that is no address is refused",
        arguments: [
            "", ":", ":::", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "+1.2.3.4", "1::2::3", ":1::2",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9", "12345::", "::g", "fe80::1%eth0", "[::1]", "1:2:3:4:5:6:7:8::", "1.2.3.4::",
        ]
    )
    func notAddresses(_ text: String) { #expect(IPAddress(text) == nil) }
}
