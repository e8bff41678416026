/// Base58 with the Bitcoin alphabet, as `did:key` and multibase `z` use it.
public enum Base58 {
    /// The longest text that is decoded: the work grows with the square of the length.
    public static let maximumLength = 512

    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        let zeros = bytes.prefix { $0 == 0 }.count
        var digits: [UInt8] = []
        for byte in bytes.dropFirst(zeros) {
            var carry = Int(byte)
            for i in digits.indices {
                carry += Int(digits[i]) << 8
                digits[i] = UInt8(carry % 58)
                carry /= 58
            }
            while carry > 0 {
                digits.append(UInt8(carry % 58))
                carry /= 58
            }
        }
        let text = [UInt8](repeating: alphabet[0], count: zeros) + digits.reversed().map { alphabet[Int($0)] }
        return String(decoding: text, as: UTF8.self)
    }

    /// - Returns: the bytes, or nil for a foreign character or a text over `maximumLength`.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        guard text.utf8.count <= maximumLength else { return nil }
        let zeros = text.utf8.prefix { $0 == alphabet[0] }.count
        // Little-endian base 2^32 limbs.
        var limbs: [UInt32] = []
        limbs.reserveCapacity(text.utf8.count / 5 + 1)
        for character in text.utf8.dropFirst(zeros) {
            let digit = reverse[Int(character)]
            guard digit != 0xff else { return nil }
            var carry = UInt64(digit)
            for i in limbs.indices {
                carry += UInt64(limbs[i]) * 58
                limbs[i] = UInt32(truncatingIfNeeded: carry)
                carry >>= 32
            }
            if carry > 0 { limbs.append(UInt32(carry)) }
        }
        var bytes = [UInt8](repeating: 0, count: zeros)
        var leading = true
        for limb in limbs.reversed() {
            for shift in [24, 16, 8, 0] as [UInt32] {
                let byte = UInt8(truncatingIfNeeded: limb >> shift)
                if leading && byte == 0 { continue }
                leading = false
                bytes.append(byte)
            }
        }
        return bytes
    }

    private static let alphabet = Array("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".utf8)

    private static let reverse: [UInt8] = {
        var table = [UInt8](repeating: 0xff, count: 256)
        for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }()
}
