import Encoding
import Testing

@Suite("COSE") struct COSETests {
    private let payload = Array("This is the content.".utf8)

    @Test("what is signed, byte for byte")
    func signingInput() throws {
        var input: [UInt8] = []
        let message = COSESign1(
            signing: payload,
            headers: COSEHeaders(protected: [1: -7], unprotected: [4: .bytes(Array("11".utf8))]),
            external: [0x11, 0xaa]
        ) {
            input = $0
            return [1, 2, 3]
        }
        #expect(
            Hex.encode(input) == "846a5369676e61747572653143a101264211aa54546869732069732074686520636f6e74656e742e"
        )
        let read = try COSESign1(decoding: message.encoded(), tagging: .tagged, as: .deterministic)
        #expect(read == message)
        #expect(try read.signingInput(external: [0x11, 0xaa]) == input)
        #expect(read.headers.algorithm == .es256 && read.headers.keyIdentifier == Array("11".utf8))
    }

    @Test("a protected map is covered as it was written, and an empty one as no bytes")
    func protectedBytes() throws {
        // The key 1 in two bytes: valid CBOR, and signed so.
        let odd = try COSESign1(decoding: Hex.decode("8444a1180126a0414140")!)
        #expect(Hex.encode(try odd.signingInput()) == "846a5369676e61747572653144a1180126404141")
        let empty = try COSESign1(decoding: Hex.decode("8441a0a0414140")!)
        #expect(Hex.encode(try empty.signingInput()) == "846a5369676e61747572653140404141")
        #expect(throws: EncodingError(.notDeterministic, "")) {
            try COSESign1(decoding: Hex.decode("8444a1180126a0414140")!, as: .deterministic)
        }
    }

    @Test("a payload is attached or given, never both and never neither")
    func detached() throws {
        let apart = COSESign1(signing: payload, headers: COSEHeaders(protected: [1: -8]), detached: true) { _ in [] }
        #expect(apart.payload == nil)
        #expect(throws: EncodingError(.structure, "")) { try apart.signingInput() }
        #expect(throws: Never.self) { try apart.signingInput(detached: payload) }
        let whole = COSESign1(signing: payload, headers: COSEHeaders(protected: [1: -8])) { _ in [] }
        #expect(throws: EncodingError(.structure, "")) { try whole.signingInput(detached: payload) }
    }

    @Test(
        "malformed headers are refused",
        arguments: [
            "8443a10126a101264140",  // three elements
            "8443a10126a10126414140",  // alg in both buckets
            "8440a10281044141" + "40",  // crit unprotected
            "8444a1028104a0414140",  // crit of what is not there
            "8443a10280a0414140",  // crit empty
            "8444a20126f600a0414140",  // a label that is a simple value
            "8443a10401a0414140",  // kid that is a number
            "8449a205414106414101" + "26a0414140",  // more than the map
            "8447a2054141064141a0414140",  // IV and partial IV
            "8440a0f640",  // well, but see below: nothing else is wrong with it
        ]
    )
    func headers(hex: String) throws {
        let bytes = try #require(Hex.decode(hex))
        if hex == "8440a0f640" {
            #expect(try COSESign1(decoding: bytes).payload == nil)
        } else {
            #expect(throws: (any Error).self) { try COSESign1(decoding: bytes) }
        }
    }

    @Test("a critical parameter must be understood")
    func critical() throws {
        let headers = COSEHeaders(protected: [1: -8, 2: ["reserved"], "reserved": false])
        let message = COSESign1(signing: payload, headers: headers) { _ in [] }
        let read = try COSESign1(decoding: message.encoded())
        #expect(throws: EncodingError(.critical, "")) { try read.headers.checkCritical() }
        #expect(throws: Never.self) { try read.headers.checkCritical(understood: ["reserved"]) }
    }

    @Test("header parameters are few")
    func bounded() throws {
        let many = CBORMap((0..<65).map { (.int(Int64(100 + $0)), 0) })
        let message = COSESign1(signing: payload, headers: COSEHeaders(unprotected: COSEHeaderMap(many))) { _ in [] }
        #expect(throws: EncodingError(.limit, "")) { try COSESign1(decoding: message.encoded()) }
    }

    @Test("another message's tag is refused, and the tag tells messages apart")
    func tags() throws {
        let headers = COSEHeaders(protected: [1: 5])
        let mac = COSEMac0(authenticating: payload, headers: headers) { _ in [9] }
        #expect(throws: EncodingError(.structure, "")) { try COSESign1(decoding: mac.encoded()) }
        #expect(try COSEMessage(decoding: mac.encoded()) == .mac0(mac))
        #expect(throws: EncodingError(.structure, "")) { try COSEMac0(decoding: mac.encoded(), tagging: .untagged) }
        #expect(throws: EncodingError(.structure, "")) {
            try COSEMac0(decoding: mac.encoded(tagged: false), tagging: .tagged)
        }
        #expect(try COSEMac0(decoding: mac.encoded(tagged: false), tagging: .untagged) == mac)
    }

    @Test("all six messages survive writing and reading")
    func roundTrips() throws {
        let headers = COSEHeaders(protected: [1: 3], unprotected: [5: .bytes([1, 2])])
        let recipient = COSERecipient(
            headers: COSEHeaders(unprotected: [1: -6]),
            recipients: [COSERecipient(headers: COSEHeaders(unprotected: [4: .bytes([7])]), ciphertext: [8])]
        )
        var sign = COSESign(payload)
        try sign.sign(headers: COSEHeaders(protected: [1: -7])) { _ in [1] }
        try sign.sign(headers: COSEHeaders(protected: [1: -8])) { _ in [2] }
        let messages: [COSEMessage] = [
            .sign1(COSESign1(signing: payload, headers: headers) { _ in [1] }), .sign(sign),
            .mac0(COSEMac0(authenticating: payload, headers: headers) { _ in [1] }),
            .mac(COSEMac(authenticating: payload, headers: headers, recipients: [recipient]) { _ in [1] }),
            .encrypt0(COSEEncrypt0(headers: headers) { $0 }),
            .encrypt(COSEEncrypt(headers: headers, recipients: [recipient, recipient]) { $0 }),
        ]
        for message in messages {
            let bytes = message.structure.encoded()
            #expect(try COSEMessage(decoding: bytes, as: .deterministic) == message)
        }
    }
}
