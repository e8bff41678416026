/// z-base-32 as Pkarr spells keys: most significant bit first, no padding characters (hints profile §9).
public enum ZBase32 {
    /// Characters of a 32-byte key.
    public static let keyLength = 52

    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 8 + 4) / 5)
        var (held, bits): (UInt32, UInt32) = (0, 0)
        for byte in bytes {
            held = held << 8 | UInt32(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                text.append(alphabet[Int(held >> bits & 31)])
            }
        }
        if bits > 0 { text.append(alphabet[Int(held << (5 - bits) & 31)]) }
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads the one spelling of a 32-byte key.
    ///
    /// - Throws: `.malformed` unless `text` is 52 characters of the alphabet, in lower case; `.nonCanonical` when the four unused bits are
    ///   not zero.
    public static func key(_ text: some StringProtocol) throws(DiscoveryError) -> [UInt8] {
        guard text.utf8.count == keyLength else {
            throw DiscoveryError(.malformed, "a key in z-base-32 has \(keyLength) characters")
        }
        var key: [UInt8] = []
        key.reserveCapacity(33)
        var (held, bits): (UInt32, UInt32) = (0, 0)
        for character in text.utf8 {
            let value = reverse[Int(character)]
            guard value != 0xff else { throw DiscoveryError(.malformed, "a character that z-base-32 does not have") }
            held = held << 5 | UInt32(value)
            bits += 5
            if bits >= 8 {
                bits -= 8
                key.append(UInt8(truncatingIfNeeded: held >> bits))
            }
        }
        guard held & 0xf == 0 else { throw DiscoveryError(.nonCanonical, "a second spelling of a key") }
        return key
    }

    private static let alphabet = Array("ybndrfg8ejkmcpqxot1uwisza345h769".utf8)

    private static let reverse: [UInt8] = {
        var table = [UInt8](repeating: 0xff, count: 256)
        for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }()
}
