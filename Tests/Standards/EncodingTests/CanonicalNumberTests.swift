import Encoding
import Testing

@Suite("Canonical numbers") struct CanonicalNumberTests {
    @Test(
        "RFC 8785 Appendix B, bit pattern by bit pattern",
        arguments: [
            (0x0000_0000_0000_0000, "0"), (0x8000_0000_0000_0000, "0"), (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"), (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"), (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"), (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"), (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"), (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"), (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"), (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"), (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"), (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"), (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"), (0x4340_0000_0000_0001, "9007199254740994"),
            (0x4340_0000_0000_0002, "9007199254740996"),
        ] as [(UInt64, String)]
    )
    func appendixB(bits: UInt64, text: String) {
        let value = Double(bitPattern: bits)
        #expect(ECMAScriptNumber.text(value) == text)
        #expect(String(decoding: JSONValue.double(value).canonical, as: UTF8.self) == text)
    }

    @Test("an integer beyond 2^53 is the double it is read as")
    func largeIntegers() throws {
        for (text, canonical) in [
            ("9007199254740992", "9007199254740992"), ("9007199254740993", "9007199254740992"),
            ("-9007199254740993", "-9007199254740992"), ("9223372036854775807", "9223372036854776000"),
            ("18446744073709551616", "18446744073709552000"), ("1.0", "1"), ("-0", "0"), ("1E30", "1e+30"),
        ] {
            #expect(String(decoding: try JSONValue(parsing: text).canonical, as: UTF8.self) == canonical)
        }
    }

    @Test("a number beyond what a double holds is refused")
    func overflow() {
        for text in ["1e999", "[-1e400]", #"{"a":[{"b":1e309}]}"#] {
            #expect(throws: EncodingError(.range, "")) { try JSONValue(parsing: text) }
            #expect(throws: EncodingError(.range, "")) { try JSONValue(tolerating: Array(text.utf8)) }
        }
    }
}
