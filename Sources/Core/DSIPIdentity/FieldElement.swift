/// An element of the field of 2²⁵⁵ − 19 elements (RFC 7748 §4.1), in five limbs of 51 bits.
///
/// It serves the conversion of public keys only and works on public values: it is not written to run in constant time.
struct FieldElement: Sendable {
    // Every operation leaves each limb below 2⁵² − 38.
    private var l0, l1, l2, l3, l4: UInt64

    private init(_ l0: UInt64, _ l1: UInt64, _ l2: UInt64, _ l3: UInt64, _ l4: UInt64) {
        (self.l0, self.l1, self.l2, self.l3, self.l4) = (l0, l1, l2, l3, l4)
    }

    static let zero = FieldElement(0, 0, 0, 0, 0)
    static let one = FieldElement(1, 0, 0, 0, 0)
    /// −121665/121666, the constant of the twisted Edwards curve (RFC 8032 §5.1).
    static let edwardsD: FieldElement = {
        let numerator = zero - FieldElement(121_665, 0, 0, 0, 0)
        return numerator * FieldElement(121_666, 0, 0, 0, 0).inverse
    }()

    /// Reads 32 little-endian bytes, without their highest bit.
    ///
    /// - Returns: nil for another length or a value that is not reduced.
    init?(canonical bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        let words = FieldElement.words(bytes)
        let mask = FieldElement.mask
        self.init(
            words[0] & mask,
            (words[0] >> 51 | words[1] << 13) & mask,
            (words[1] >> 38 | words[2] << 26) & mask,
            (words[2] >> 25 | words[3] << 39) & mask,
            (words[3] >> 12) & mask
        )
        var expected = Array(bytes)
        expected[31] &= 0x7f
        guard self.bytes == expected else { return nil }
    }

    /// 32 little-endian bytes, reduced.
    var bytes: [UInt8] {
        var x = self
        x.carry()
        x.carry()
        // Now below 2²⁵⁵ + small: add 19 and see whether 2²⁵⁵ is passed, which tells whether p must be taken off.
        var q = (x.l0 + 19) >> 51
        q = (x.l1 + q) >> 51
        q = (x.l2 + q) >> 51
        q = (x.l3 + q) >> 51
        q = (x.l4 + q) >> 51
        x.l0 += 19 * q
        x.carryUpwards()
        x.l4 &= FieldElement.mask
        let words = [
            x.l0 | x.l1 << 51, x.l1 >> 13 | x.l2 << 38, x.l2 >> 26 | x.l3 << 25, x.l3 >> 39 | x.l4 << 12,
        ]
        return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } }
    }

    static func + (a: FieldElement, b: FieldElement) -> FieldElement {
        reduced(a.l0 + b.l0, a.l1 + b.l1, a.l2 + b.l2, a.l3 + b.l3, a.l4 + b.l4)
    }

    static func - (a: FieldElement, b: FieldElement) -> FieldElement {
        // 2p is added limb by limb, so that no limb goes below zero.
        let low: UInt64 = (1 << 52) - 38
        let rest: UInt64 = (1 << 52) - 2
        return reduced(
            a.l0 + low - b.l0,
            a.l1 + rest - b.l1,
            a.l2 + rest - b.l2,
            a.l3 + rest - b.l3,
            a.l4 + rest - b.l4
        )
    }

    static func * (a: FieldElement, b: FieldElement) -> FieldElement {
        func product(_ x: UInt64, _ y: UInt64) -> UInt128 { UInt128(x) * UInt128(y) }
        let (b1, b2, b3, b4) = (b.l1 * 19, b.l2 * 19, b.l3 * 19, b.l4 * 19)
        let c0 = product(a.l0, b.l0) + product(a.l1, b4) + product(a.l2, b3) + product(a.l3, b2) + product(a.l4, b1)
        var c1 = product(a.l0, b.l1) + product(a.l1, b.l0) + product(a.l2, b4) + product(a.l3, b3) + product(a.l4, b2)
        var c2 = product(a.l0, b.l2) + product(a.l1, b.l1) + product(a.l2, b.l0) + product(a.l3, b4) + product(a.l4, b3)
        var c3 =
            product(a.l0, b.l3) + product(a.l1, b.l2) + product(a.l2, b.l1) + product(a.l3, b.l0) + product(a.l4, b4)
        var c4 =
            product(a.l0, b.l4) + product(a.l1, b.l3) + product(a.l2, b.l2) + product(a.l3, b.l1) + product(a.l4, b.l0)
        c1 += c0 >> 51
        c2 += c1 >> 51
        c3 += c2 >> 51
        c4 += c3 >> 51
        func low(_ c: UInt128) -> UInt64 { UInt64(truncatingIfNeeded: c) & mask }
        // c4 >> 51 stays below 2⁵⁹, so that its 19-fold fits 64 bits.
        return reduced(low(c0) + 19 * UInt64(truncatingIfNeeded: c4 >> 51), low(c1), low(c2), low(c3), low(c4))
    }

    /// 1/x; 0 for 0.
    var inverse: FieldElement { raised(to: FieldElement.exponent(low: 0xeb, high: 0x7f)) }

    /// Whether the element is a square (Euler's criterion); 0 is.
    var isSquare: Bool {
        // (p − 1) / 2 = 2²⁵⁴ − 10.
        let power = raised(to: FieldElement.exponent(low: 0xf6, high: 0x3f)).bytes
        return power == FieldElement.one.bytes || power == FieldElement.zero.bytes
    }

    /// The exponent of 32 little-endian bytes that are all `0xff` but the first and the last.
    private static func exponent(low: UInt8, high: UInt8) -> [UInt8] {
        [low] + [UInt8](repeating: 0xff, count: 30) + [high]
    }

    private func raised(to exponent: [UInt8]) -> FieldElement {
        var result = FieldElement.one
        for byte in exponent.reversed() {
            for bit in (0..<8).reversed() {
                result = result * result
                if byte >> UInt8(bit) & 1 == 1 { result = result * self }
            }
        }
        return result
    }

    private static let mask: UInt64 = (1 << 51) - 1

    private mutating func carryUpwards() {
        l1 += l0 >> 51
        l2 += l1 >> 51
        l3 += l2 >> 51
        l4 += l3 >> 51
        l0 &= FieldElement.mask
        l1 &= FieldElement.mask
        l2 &= FieldElement.mask
        l3 &= FieldElement.mask
    }

    private mutating func carry() {
        carryUpwards()
        // 2²⁵⁵ = 19.
        l0 += 19 * (l4 >> 51)
        l4 &= FieldElement.mask
    }

    private static func reduced(_ l0: UInt64, _ l1: UInt64, _ l2: UInt64, _ l3: UInt64, _ l4: UInt64) -> FieldElement {
        var x = FieldElement(l0, l1, l2, l3, l4)
        x.carry()
        return x
    }

    private static func words(_ bytes: some Collection<UInt8>) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: 4)
        for (i, byte) in bytes.enumerated() { words[i / 8] |= UInt64(byte) << UInt64(8 * (i % 8)) }
        return words
    }
}
