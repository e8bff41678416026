/// An integer modulo the order of the base point, L = 2^252 + 27742317777372353535851937790883648493.
///
/// No branch depends on a value: reduction subtracts L under a mask, bit by bit.
struct Scalar25519: Sendable {
    private var words: SIMD4<UInt64>

    private static let order: SIMD4<UInt64> = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000]

    /// Up to 64 bytes, little-endian, reduced.
    init(reducing bytes: some BidirectionalCollection<UInt8>) {
        words = .zero
        for byte in bytes.reversed() {
            for bit in (0..<8).reversed() { append(UInt64(byte >> UInt8(bit)) & 1) }
        }
    }

    private init(words: SIMD4<UInt64>) { self.words = words }

    var bytes: [UInt8] {
        (0..<32).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> (8 * UInt64($0 % 8))) }
    }

    /// `a` times `b` plus `c`.
    static func multiply(_ a: Scalar25519, _ b: Scalar25519, adding c: Scalar25519) -> Scalar25519 {
        var product = [UInt64](repeating: 0, count: 8)
        for i in 0..<4 { product[i] = c.words[i] }
        for i in 0..<4 {
            var carry: UInt64 = 0
            for j in 0..<4 {
                let full = a.words[i].multipliedFullWidth(by: b.words[j])
                let (first, overflow1) = full.low.addingReportingOverflow(product[i + j])
                let (second, overflow2) = first.addingReportingOverflow(carry)
                product[i + j] = second
                carry = full.high &+ (overflow1 ? 1 : 0) &+ (overflow2 ? 1 : 0)
            }
            for j in (i + 4)..<8 {
                let (sum, overflow) = product[j].addingReportingOverflow(carry)
                product[j] = sum
                carry = overflow ? 1 : 0
            }
        }
        defer { product.withUnsafeMutableBytes { Secret.wipe($0) } }
        var result = Scalar25519(words: .zero)
        for word in product.reversed() {
            for bit in (0..<64).reversed() { result.append(word >> UInt64(bit) & 1) }
        }
        return result
    }

    /// L minus the value, or the value, as `choose` is 1 or 0.
    func negated(_ choose: UInt64) -> Scalar25519 {
        let (difference, _) = Self.subtract(Self.order, words)
        var negative = Scalar25519(words: difference)
        // Of zero it is L itself: bring it back.
        negative.reduceOnce(carry: 0)
        let mask = SIMD4<UInt64>(repeating: 0 &- choose)
        return Scalar25519(words: words ^ (mask & (words ^ negative.words)))
    }

    /// Twice the value plus a bit, reduced.
    private mutating func append(_ bit: UInt64) {
        let carry = words[3] >> 63
        words = [
            words[0] << 1 | bit, words[1] << 1 | words[0] >> 63, words[2] << 1 | words[1] >> 63,
            words[3] << 1 | words[2] >> 63,
        ]
        reduceOnce(carry: carry)
    }

    /// Subtracts L when the value, below 2L, is not below L.
    private mutating func reduceOnce(carry: UInt64) {
        let (difference, borrow) = Self.subtract(words, Self.order)
        let mask = SIMD4<UInt64>(repeating: 0 &- ((1 &- borrow) | carry))
        words = words ^ (mask & (words ^ difference))
    }

    private static func subtract(_ a: SIMD4<UInt64>, _ b: SIMD4<UInt64>) -> (SIMD4<UInt64>, borrow: UInt64) {
        var result = SIMD4<UInt64>.zero
        var borrow: UInt64 = 0
        for i in 0..<4 {
            let (first, overflow1) = a[i].subtractingReportingOverflow(b[i])
            let (second, overflow2) = first.subtractingReportingOverflow(borrow)
            result[i] = second
            borrow = (overflow1 ? 1 : 0) | (overflow2 ? 1 : 0)
        }
        return (result, borrow)
    }
}
