import Encoding

/// The ids of the dialect: UUIDs on the wire, ULIDs inside; the same 128 bits (RFC 9562 §4).
///
/// The proposal writes `"id":"uuid"` and says nothing of versions, so every UUID is read; the time in it means nothing.
enum ProposalID {
    /// Lower case, in groups of 8, 4, 4, 4 and 12.
    static func text(_ id: ULID) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (index, byte) in id.bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.append(UInt8(ascii: "-")) }
            text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// - Returns: nil for what is no UUID.
    static func read(_ text: String) -> ULID? {
        let text = Array(text.utf8)
        guard text.count == 36, [8, 13, 18, 23].allSatisfy({ text[$0] == UInt8(ascii: "-") }) else { return nil }
        var bytes: [UInt8] = []
        var half: UInt8?
        for (index, character) in text.enumerated() where ![8, 13, 18, 23].contains(index) {
            guard let digit = Character(UnicodeScalar(character)).hexDigitValue else { return nil }
            if let high = half {
                bytes.append(high << 4 | UInt8(digit))
                half = nil
            } else {
                half = UInt8(digit)
            }
        }
        return ULID(bytes: bytes)
    }
}
