/// Base64 with the URL-safe alphabet and no padding (RFC 4648 §5, as RFC 7515 uses it).
///
/// Decoding is strict: no padding, no whitespace, no foreign alphabet, and the unused bits of the last character are zero,
/// so one value has one spelling.
public enum Base64URL {
    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        String(decoding: encodeBytes(bytes), as: UTF8.self)
    }

    public static func encodeBytes(_ bytes: some Collection<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count * 4 + 2) / 3)
        var accumulator: UInt32 = 0
        var bits = 0
        for byte in bytes {
            accumulator = accumulator << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                out.append(alphabet[Int(accumulator >> UInt32(bits) & 63)])
            }
        }
        if bits > 0 { out.append(alphabet[Int(accumulator << UInt32(6 - bits) & 63)]) }
        return out
    }

    /// - Returns: the bytes, or nil when `text` is not base64url without padding.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var text = String(text)
        return text.withUTF8 { decode(UnsafeRawBufferPointer($0)) }
    }

    /// The same over UTF-8 bytes already in memory; nothing is copied but the result.
    public static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        let count = text.count
        guard count % 4 != 1 else { return nil }
        let size = count / 4 * 3 + [0, 0, 1, 2][count % 4]
        var valid = true
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { out, initialized in
            valid = decode(text, into: out)
            initialized = valid ? size : 0
        }
        return valid ? bytes : nil
    }

    /// Whether `decode` would read `text`; nothing is allocated.
    public static func isValid(_ text: UnsafeRawBufferPointer) -> Bool {
        let rest = text.count % 4
        guard rest != 1 else { return false }
        return reverse.withUnsafeBufferPointer { table in
            // Values stay below 64; what is foreign is 0xff.
            var seen: UInt8 = 0
            var i = 0
            while i + 8 <= text.count {
                let a = table[Int(text[i])] | table[Int(text[i + 1])] | table[Int(text[i + 2])] | table[Int(text[i + 3])]
                let b = table[Int(text[i + 4])] | table[Int(text[i + 5])] | table[Int(text[i + 6])]
                    | table[Int(text[i + 7])]
                seen |= a | b
                i += 8
            }
            while i < text.count {
                seen |= table[Int(text[i])]
                i += 1
            }
            guard seen & 0x80 == 0 else { return false }
            // The bits that the last character has to spare are zero.
            switch rest {
            case 2: return table[Int(text[text.count - 1])] & 0x0f == 0
            case 3: return table[Int(text[text.count - 1])] & 0x03 == 0
            default: return true
            }
        }
    }

    private static func decode(_ text: UnsafeRawBufferPointer, into out: UnsafeMutableBufferPointer<UInt8>) -> Bool {
        reverse.withUnsafeBufferPointer { table in
            var input = 0
            var output = 0
            var seen: UInt32 = 0
            let whole = text.count & ~3
            while input < whole {
                let a = UInt32(table[Int(text[input])])
                let b = UInt32(table[Int(text[input + 1])])
                let c = UInt32(table[Int(text[input + 2])])
                let d = UInt32(table[Int(text[input + 3])])
                seen |= a | b | c | d
                let word = a << 18 | b << 12 | c << 6 | d
                out[output] = UInt8(truncatingIfNeeded: word >> 16)
                out[output + 1] = UInt8(truncatingIfNeeded: word >> 8)
                out[output + 2] = UInt8(truncatingIfNeeded: word)
                input += 4
                output += 3
            }
            switch text.count - whole {
            case 2:
                let a = UInt32(table[Int(text[input])])
                let b = UInt32(table[Int(text[input + 1])])
                seen |= a | b
                if b & 0x0f != 0 { return false }
                out[output] = UInt8(truncatingIfNeeded: a << 2 | b >> 4)
            case 3:
                let a = UInt32(table[Int(text[input])])
                let b = UInt32(table[Int(text[input + 1])])
                let c = UInt32(table[Int(text[input + 2])])
                seen |= a | b | c
                if c & 0x03 != 0 { return false }
                out[output] = UInt8(truncatingIfNeeded: a << 2 | b >> 4)
                out[output + 1] = UInt8(truncatingIfNeeded: b << 4 | c >> 2)
            default: break
            }
            return seen & 0x80 == 0
        }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// Value of each byte; 0xff for bytes outside the alphabet.
    private static let reverse: [UInt8] = {
        var table = [UInt8](repeating: 0xff, count: 256)
        for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }()
}
