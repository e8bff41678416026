import Encoding
import Support
import Testing

@Suite("CBOR") struct CBORTests {
    private func decode(_ hex: String, _ mode: CBORReader.Mode = .valid) throws(EncodingError) -> CBORValue {
        try CBORValue(decoding: Hex.decode(hex) ?? [], as: mode)
    }

    @Test(
        "shortest floats, of each width",
        arguments: [
            (0.0, "f90000"), (-0.0, "f98000"), (1.5, "f93e00"), (65504, "f97bff"), (5.960464477539063e-8, "f90001"),
            (0.00006103515625, "f90400"), (65505, "fa477fe100"), (100_000, "fa47c35000"),
            (3.4028234663852886e38, "fa7f7fffff"), (1.1, "fb3ff199999999999a"), (1e300, "fb7e37e43c8800759c"),
            (.infinity, "f97c00"), (-.infinity, "f9fc00"), (.nan, "f97e00"), (1.401298464324817e-45, "fa00000001"),
            (.leastNonzeroMagnitude, "fb0000000000000001"), (2.9802322387695312e-8, "fa33000000"),
        ] as [(Double, String)]
    )
    func floats(value: Double, hex: String) throws {
        #expect(Hex.encode(CBORValue.float(value).encoded) == hex)
        #expect(try decode(hex, .deterministic) == .float(value))
    }

    @Test("every half precision number is read and written alike")
    func halves() throws {
        for bits in 0...UInt16.max {
            let bytes = [0xf9, UInt8(bits >> 8), UInt8(bits & 0xff)]
            let value = try CBORValue(decoding: bytes, as: .valid)
            let expected: [UInt8] = value.float?.isNaN == true ? [0xf9, 0x7e, 0] : bytes
            guard value.encoded == expected else {
                Issue.record("\(bits)")
                return
            }
        }
    }

    @Test("keys are sorted by their encodings, bytewise and not by length")
    func keyOrder() throws {
        // RFC 8949 §4.2.1's own example.
        let map: CBORValue = [
            .bool(false): 1, [-1]: 2, [100]: 3, "aa": 4, "z": 5, -1: 6, 100: 7, 10: 8,
        ]
        #expect(Hex.encode(map.encoded) == "a80a081864072006617a0562616104811864038120" + "02f401")
        #expect(try CBORValue(decoding: map.encoded) == map)
    }

    @Test(
        "deterministic reading refuses every other encoding",
        arguments: [
            "1817", "190017", "1a00000017", "1b0000000000000017", "5801aa", "9f01ff", "bf0102ff", "5f4101ff",
            "fa3f800000", "fb3ff8000000000000", "f97e01", "fa7fc00000", "a2616201616102", "a2" + "02010102",
            "c24101", "c249000000000000000001", "c3420001", "d80501",
        ]
    )
    func determinism(hex: String) throws {
        #expect(throws: EncodingError(.notDeterministic, "")) { try decode(hex, .deterministic) }
        #expect(throws: Never.self) { try decode(hex) }
    }

    @Test(
        "what is not well-formed is refused in every mode",
        arguments: [
            "", "18", "1c", "1f", "3f", "df00", "ff", "41", "61", "81", "a1", "a101", "9f", "9f01", "bf01ff",
            "5f6161ff",
            "7f4161ff", "5f5f4101ffff", "f800", "f81f", "fc", "0001", "9bffffffffffffffff", "bb7fffffffffffffff",
            "5bffffffffffffffff", "fb00000000000000", "c0",
        ]
    )
    func malformed(hex: String) throws {
        for mode in [CBORReader.Mode.valid, .deterministic] {
            #expect(throws: (any Error).self) { try decode(hex, mode) }
        }
    }

    @Test("a key named twice is refused, however it is spelt and however large the map")
    func duplicates() throws {
        #expect(throws: EncodingError(.duplicateKey, "")) { try decode("a201000100") }
        #expect(throws: EncodingError(.duplicateKey, "")) { try decode("a201001801" + "00") }
        #expect(throws: EncodingError(.duplicateKey, "")) { try decode("a201000100", .deterministic) }
        let many = (0..<20).map { "18\(Hex.encode([UInt8(30 + $0)]))00" }.joined()
        #expect(try decode("b4" + many).map?.count == 20)
        #expect(throws: EncodingError(.duplicateKey, "")) { try decode("b5" + many + "181e00") }
    }

    @Test("text is UTF-8, each chunk by itself")
    func text() throws {
        #expect(throws: EncodingError(.notUTF8, "")) { try decode("62c328") }
        #expect(throws: EncodingError(.notUTF8, "")) { try decode("63eda080") }
        #expect(throws: EncodingError(.notUTF8, "")) { try decode("7f61c361bcff") }
        #expect(try decode("7f61616162ff") == "ab")
        // Two spellings of one character are two texts.
        #expect(CBORValue.text("\u{e9}") != .text("e\u{301}"))
    }

    @Test("size, depth and items are bounded")
    func bounds() throws {
        let deep = [UInt8](repeating: 0x81, count: 40) + [0]
        #expect(throws: EncodingError(.limit, "")) { try CBORValue(decoding: deep) }
        let tags = [UInt8](repeating: 0xc1, count: 40) + [0]
        #expect(throws: EncodingError(.limit, "")) { try CBORValue(decoding: tags) }
        let many = [0x98, 200] + [UInt8](repeating: 0, count: 200)
        #expect(throws: EncodingError(.limit, "")) { try CBORValue(decoding: many, limits: .init(items: 100)) }
        #expect(throws: EncodingError(.limit, "")) { try CBORValue(decoding: many, limits: .init(bytes: 100)) }
    }

    @Test("integers reach the whole range of the format")
    func integers() throws {
        #expect(try decode("3bffffffffffffffff") == .negative(.max))
        #expect(try decode("3bffffffffffffffff").int == nil)
        #expect(try decode("3b7fffffffffffffff").int == .min)
        #expect(CBORValue.int(.min).encoded == Hex.decode("3b7fffffffffffffff"))
        #expect(try decode("1bffffffffffffffff").int == nil)
    }

    @Test("diagnostic notation shows what stands there")
    func diagnostic() throws {
        #expect(try CBORDiagnostic.text(of: Hex.decode("5f42010243030405ff")!) == "(_ h'0102', h'030405')")
        #expect(try CBORDiagnostic.text(of: Hex.decode("bf61610161629f0203ffff")!) == #"{_ "a": 1, "b": [_ 2, 3]}"#)
        #expect(CBORValue.tagged(1, 1363896240.5).description == "1(1363896240.5)")
    }

    @Test("what JSON can say survives CBOR, and nothing else is made into JSON")
    func dataModel() throws {
        let json = try JSONValue(parsing: #"{"z":[1,-2,0.5,true,null,"é"],"a":{"b":9223372036854775807}}"#)
        let bytes = CBORValue(json).encoded
        #expect(Hex.encode(bytes) == "a26161a161621b7fffffffffffffff617a860121f93800f5f662c3a9")
        #expect(try JSONValue(CBORValue(decoding: bytes)) == json)
        for hex in ["4101", "c001", "f7", "e0", "a10102", "f97e00", "f97c00", "1b8000000000000000", "81a14101" + "02"] {
            let value = try decode(hex)
            #expect(throws: EncodingError.self) { try JSONValue(value) }
        }
    }

    @Test("random trees survive writing and reading, and there is one encoding of each")
    func roundTrip() throws {
        let seed: UInt64 = 0xcb04
        var random = SeededRandom(seed: seed)
        func number() -> UInt64 { (random.next() as UInt64) >> UInt64.random(in: 0..<64, using: &random) }
        func tree(_ depth: Int) -> CBORValue {
            switch Int.random(in: 0..<(depth > 3 ? 6 : 9), using: &random) {
            case 0: .unsigned(number())
            case 1: .negative(number())
            case 2: .bytes((0..<Int.random(in: 0..<30, using: &random)).map { UInt8($0) })
            case 3: .text(String(repeating: "é", count: Int.random(in: 0..<20, using: &random)))
            case 4: .float(Double(bitPattern: random.next()))
            case 5: .simple([20, 21, 22, 23, 0, 255].randomElement(using: &random)!)
            case 6: .array((0..<3).map { _ in tree(depth + 1) })
            case 7: .tagged(UInt64.random(in: 6..<1000, using: &random), tree(depth + 1))
            default: .map(CBORMap((0..<3).map { _ in (tree(4), tree(depth + 1)) }))
            }
        }
        for _ in 0..<1000 {
            let value = tree(0)
            let bytes = value.encoded
            let read = try CBORValue(decoding: bytes)
            #expect(read == value && read.encoded == bytes, "seed \(seed)")
            #expect(read.hashValue == value.hashValue)
        }
    }
}
