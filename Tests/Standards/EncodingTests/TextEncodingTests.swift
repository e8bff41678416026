import Encoding
import Foundation
import Support
import Testing

@Suite("Text encodings") struct TextEncodingTests {
    @Test("base64url, base58, base32 and base16 give back what they were given")
    func roundTrips() {
        var random = SeededRandom(seed: 1)
        for length in 0..<80 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
            #expect(Base58.decode(Base58.encode(bytes)) == bytes)
            #expect(Base32.decode(Base32.encode(bytes)) == bytes)
            #expect(Hex.decode(Hex.encode(bytes)) == bytes)
        }
    }

    @Test(
        "one value has one base64url spelling",
        arguments: ["A", "AB", "AA=", "AA==", "A A", "A+", "A/", "AAB", "AAAAA"]
    )
    func strictBase64(text: String) {
        #expect(Base64URL.decode(text) == nil)
    }

    @Test("what is valid base64url is what decodes, at every length and for every byte")
    func base64Validity() {
        var random = SeededRandom(seed: 2)
        let alphabet = Array("ABCXYZabcxyz0189-_".utf8)
        for length in 0..<70 {
            for _ in 0..<40 {
                var text = (0..<length).map { _ in alphabet.randomElement(using: &random)! }
                if length > 0, Bool.random(using: &random) {
                    text[Int.random(in: 0..<length, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                #expect(text.withUnsafeBytes { Base64URL.isValid($0) == (Base64URL.decode($0) != nil) })
            }
        }
    }

    @Test("base58 keeps leading zeros and refuses 0, O, I, l")
    func base58() {
        #expect(Base58.encode([0, 0, 40, 127, 180, 205]) == "11233QC4")
        #expect(
            Base58.decode("0") == nil && Base58.decode("O") == nil && Base58.decode("I") == nil
                && Base58.decode("l") == nil
        )
    }

    @Test("a varint is minimal and at most nine bytes")
    func varint() {
        #expect(Varint.decode([0xed, 0x01])?.value == 0xed)
        #expect(Varint.decode([0x81, 0x00]) == nil)
        #expect(Varint.decode([UInt8](repeating: 0x80, count: 10)) == nil)
        #expect(Varint.decode([0x80]) == nil)
        for value in [0, 1, 127, 128, 300, 1 << 62] as [UInt64] {
            #expect(Varint.decode(Varint.encode(value))?.value == value)
        }
    }

    @Test("ULIDs sort by time, keep their text and refuse all but the canonical spelling")
    func ulid() throws {
        var random = SeededRandom(seed: 2)
        let early = ULID(milliseconds: 1_760_000_000_000, using: &random)
        let late = ULID(milliseconds: 1_760_000_000_001, using: &random)
        #expect(early < late && early.description < late.description)
        #expect(ULID(early.description) == early && early.seconds == 1_760_000_000)
        #expect(ULID("01J5Y0Q6K8ZJ4M2N7P9R3S5T7V")?.description == "01J5Y0Q6K8ZJ4M2N7P9R3S5T7V")
        for bad in [
            "", "01HZINVITEABC", "81J5Y0Q6K8ZJ4M2N7P9R3S5T7V", "01j5y0q6k8zj4m2n7p9r3s5t7v",
            "01J5Y0Q6K8ZJ4M2N7P9R3S5T7U",
        ] {
            #expect(ULID(bad) == nil)
        }
    }
}
