/// Multibase, in the bases DSIP meets: `z` base58btc, `u` base64url, `b` base32, `f` base16.
public enum Multibase {
    /// - Returns: base58btc with its prefix `z`, the only form that DSIP writes.
    public static func encode(_ bytes: some Collection<UInt8>) -> String { "z" + Base58.encode(bytes) }

    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let body = text.dropFirst()
        return switch text.first {
        case "z": Base58.decode(body)
        case "u": Base64URL.decode(body)
        case "b": Base32.decode(body)
        case "f": Hex.decode(body)
        default: nil
        }
    }
}

/// Base16, lower case when written.
public enum Hex {
    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        guard text.utf8.count.isMultiple(of: 2) else { return nil }
        var out: [UInt8] = []
        var high: UInt8?
        for character in text.utf8 {
            let value: UInt8
            switch character {
            case 0x30...0x39: value = character - 0x30
            case 0x41...0x46: value = character - 0x41 + 10
            case 0x61...0x66: value = character - 0x61 + 10
            default: return nil
            }
            if let h = high {
                out.append(h << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return out
    }
}
