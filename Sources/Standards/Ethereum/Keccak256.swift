/// Keccak-256 as Ethereum has it: the sponge with the padding of the original submission, which SHA3-256 changed (FIPS 202 §5.1).
public enum Keccak256 {
    /// Bytes taken in at a time.
    private static let rate = 136

    public static func hash(_ message: some Sequence<UInt8>) -> [UInt8] {
        var state = [UInt64](repeating: 0, count: 25)
        var filled = 0
        for byte in message {
            state[filled >> 3] ^= UInt64(byte) << UInt64(8 * (filled & 7))
            filled += 1
            if filled == rate {
                permute(&state)
                filled = 0
            }
        }
        state[filled >> 3] ^= 1 << UInt64(8 * (filled & 7))
        state[(rate - 1) >> 3] ^= 1 << 63
        permute(&state)
        return (0..<32).map { UInt8(truncatingIfNeeded: state[$0 >> 3] >> UInt64(8 * ($0 & 7))) }
    }

    /// Keccak-f[1600] (FIPS 202 §3.3), lane (x, y) at x + 5y.
    private static func permute(_ a: inout [UInt64]) {
        var column = [UInt64](repeating: 0, count: 5)
        var moved = [UInt64](repeating: 0, count: 25)
        for constant in constants {
            for x in 0..<5 { column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] }
            for x in 0..<5 {
                let mix = column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1)
                for y in 0..<5 { a[x + 5 * y] ^= mix }
            }
            for x in 0..<5 {
                for y in 0..<5 { moved[y + 5 * ((2 * x + 3 * y) % 5)] = rotate(a[x + 5 * y], offsets[x + 5 * y]) }
            }
            for y in stride(from: 0, to: 25, by: 5) {
                for x in 0..<5 { a[x + y] = moved[x + y] ^ (~moved[(x + 1) % 5 + y] & moved[(x + 2) % 5 + y]) }
            }
            a[0] ^= constant
        }
    }

    private static func rotate(_ lane: UInt64, _ by: UInt64) -> UInt64 { lane << by | lane >> ((64 - by) & 63) }

    /// FIPS 202 §3.2.2: (t + 1)(t + 2) / 2 along the walk that begins at (1, 0).
    private static let offsets: [UInt64] = {
        var offsets = [UInt64](repeating: 0, count: 25)
        var (x, y) = (1, 0)
        for t in 0..<24 {
            offsets[x + 5 * y] = UInt64((t + 1) * (t + 2) / 2 % 64)
            (x, y) = (y, (2 * x + 3 * y) % 5)
        }
        return offsets
    }()

    /// FIPS 202 §3.2.5: bits 2^j − 1 of each from a linear feedback shift register.
    private static let constants: [UInt64] = {
        var register: UInt8 = 1
        return (0..<24).map { _ in
            var constant: UInt64 = 0
            for j in 0..<7 {
                if register & 1 == 1 { constant |= 1 << UInt64((1 << j) - 1) }
                register = register << 1 ^ (register >> 7 == 1 ? 0x71 : 0)
            }
            return constant
        }
    }()
}
