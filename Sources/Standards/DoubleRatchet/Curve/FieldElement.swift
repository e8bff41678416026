/// An integer modulo p = 2^255 - 19, in five limbs of 51 bits. No branch and no index depends on a value.
struct FieldElement: Sendable {
    private(set) var l0, l1, l2, l3, l4: UInt64

    private init(_ l0: UInt64, _ l1: UInt64, _ l2: UInt64, _ l3: UInt64, _ l4: UInt64) {
        (self.l0, self.l1, self.l2, self.l3, self.l4) = (l0, l1, l2, l3, l4)
    }

    init(_ small: UInt64) { self.init(small & Self.mask, small >> 51, 0, 0, 0) }

    /// 32 bytes, little-endian; the top bit is ignored, and values from p on are reduced (RFC 7748 §5).
    init(_ bytes: [UInt8]) {
        func word(_ at: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << (8 * UInt64($1)) } }
        let (w0, w1, w2, w3) = (word(0), word(8), word(16), word(24))
        self.init(
            w0 & Self.mask,
            (w0 >> 51 | w1 << 13) & Self.mask,
            (w1 >> 38 | w2 << 26) & Self.mask,
            (w2 >> 25 | w3 << 39) & Self.mask,
            w3 >> 12 & Self.mask
        )
    }

    /// The 32 bytes of the least representative.
    var bytes: [UInt8] {
        var t = self.carried.carried
        // Add 19 and see whether that passes 2^255: then the value was at least p.
        var q = (t.l0 &+ 19) >> 51
        q = (t.l1 &+ q) >> 51
        q = (t.l2 &+ q) >> 51
        q = (t.l3 &+ q) >> 51
        q = (t.l4 &+ q) >> 51
        t.l0 &+= 19 &* q
        t.l1 &+= t.l0 >> 51
        t.l2 &+= t.l1 >> 51
        t.l3 &+= t.l2 >> 51
        t.l4 &+= t.l3 >> 51
        let m = Self.mask
        let (a, b, c, d, e) = (t.l0 & m, t.l1 & m, t.l2 & m, t.l3 & m, t.l4 & m)
        let words = [a | b << 51, b >> 13 | c << 38, c >> 26 | d << 25, d >> 39 | e << 12]
        return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }

    static let zero = FieldElement(0)
    static let one = FieldElement(1)
    private static let mask: UInt64 = (1 << 51) - 1

    var isZero: Bool { bytes.reduce(0, |) == 0 }
    /// The lowest bit of the least representative: the "sign" of RFC 8032 §5.1.2.
    var isNegative: Bool { bytes[0] & 1 == 1 }

    static func + (a: FieldElement, b: FieldElement) -> FieldElement {
        FieldElement(a.l0 &+ b.l0, a.l1 &+ b.l1, a.l2 &+ b.l2, a.l3 &+ b.l3, a.l4 &+ b.l4).carried
    }

    static func - (a: FieldElement, b: FieldElement) -> FieldElement {
        // 4p is added, so that no limb falls below zero.
        let (low, high): (UInt64, UInt64) = (0x1f_ffff_ffff_ffb4, 0x1f_ffff_ffff_fffc)
        return FieldElement(
            a.l0 &+ low &- b.l0,
            a.l1 &+ high &- b.l1,
            a.l2 &+ high &- b.l2,
            a.l3 &+ high &- b.l3,
            a.l4 &+ high &- b.l4
        ).carried
    }

    static prefix func - (a: FieldElement) -> FieldElement { zero - a }

    static func * (a: FieldElement, b: FieldElement) -> FieldElement {
        let (b1, b2, b3, b4) = (b.l1 &* 19, b.l2 &* 19, b.l3 &* 19, b.l4 &* 19)
        return reduce(
            Wide(a.l0, b.l0, a.l1, b4, a.l2, b3, a.l3, b2, a.l4, b1),
            Wide(a.l0, b.l1, a.l1, b.l0, a.l2, b4, a.l3, b3, a.l4, b2),
            Wide(a.l0, b.l2, a.l1, b.l1, a.l2, b.l0, a.l3, b4, a.l4, b3),
            Wide(a.l0, b.l3, a.l1, b.l2, a.l2, b.l1, a.l3, b.l0, a.l4, b4),
            Wide(a.l0, b.l4, a.l1, b.l3, a.l2, b.l2, a.l3, b.l1, a.l4, b.l0)
        )
    }

    func squared(_ times: Int = 1) -> FieldElement {
        var result = self
        for _ in 0..<times { result = result * result }
        return result
    }

    /// `self^(p-2)`; zero for zero.
    var inverse: FieldElement {
        let (a, b) = ladder
        return b.squared(5) * a
    }

    /// `self^((p-5)/8)`, for square roots.
    var power58: FieldElement { ladder.b.squared(2) * self }

    /// `self^11` and `self^(2^250 - 1)`.
    private var ladder: (a: FieldElement, b: FieldElement) {
        let x2 = squared()
        let x9 = x2.squared(2) * self
        let x11 = x9 * x2
        let x5 = x11.squared() * x9
        let x10 = x5.squared(5) * x5
        let x20 = x10.squared(10) * x10
        let x40 = x20.squared(20) * x20
        let x50 = x40.squared(10) * x10
        let x100 = x50.squared(50) * x50
        let x200 = x100.squared(100) * x100
        return (x11, x200.squared(50) * x50)
    }

    /// `a` when `choose` is 0, `b` when it is 1.
    static func select(_ a: FieldElement, _ b: FieldElement, _ choose: UInt64) -> FieldElement {
        let mask = 0 &- choose
        return FieldElement(
            a.l0 ^ (mask & (a.l0 ^ b.l0)),
            a.l1 ^ (mask & (a.l1 ^ b.l1)),
            a.l2 ^ (mask & (a.l2 ^ b.l2)),
            a.l3 ^ (mask & (a.l3 ^ b.l3)),
            a.l4 ^ (mask & (a.l4 ^ b.l4))
        )
    }

    private var carried: FieldElement {
        let m = Self.mask
        return FieldElement(
            (l0 & m) &+ 19 &* (l4 >> 51),
            (l1 & m) &+ (l0 >> 51),
            (l2 & m) &+ (l1 >> 51),
            (l3 & m) &+ (l2 >> 51),
            (l4 & m) &+ (l3 >> 51)
        )
    }

    private static func reduce(_ r0: Wide, _ r1: Wide, _ r2: Wide, _ r3: Wide, _ r4: Wide) -> FieldElement {
        let s1 = r1.adding(r0.shifted)
        let s2 = r2.adding(s1.shifted)
        let s3 = r3.adding(s2.shifted)
        let s4 = r4.adding(s3.shifted)
        let m = mask
        let low = (r0.low & m) &+ 19 &* s4.shifted
        return FieldElement(low & m, (s1.low & m) &+ (low >> 51), s2.low & m, s3.low & m, s4.low & m)
    }

    /// A sum of five products, below 2^117.
    private struct Wide {
        var low: UInt64 = 0
        var high: UInt64 = 0

        @inline(__always)
        init(
            _ a: UInt64,
            _ b: UInt64,
            _ c: UInt64,
            _ d: UInt64,
            _ e: UInt64,
            _ f: UInt64,
            _ g: UInt64,
            _ h: UInt64,
            _ i: UInt64,
            _ j: UInt64
        ) {
            add(a, b)
            add(c, d)
            add(e, f)
            add(g, h)
            add(i, j)
        }

        @inline(__always)
        private mutating func add(_ a: UInt64, _ b: UInt64) {
            let product = a.multipliedFullWidth(by: b)
            let (sum, overflow) = low.addingReportingOverflow(product.low)
            low = sum
            high = high &+ product.high &+ (overflow ? 1 : 0)
        }

        @inline(__always)
        func adding(_ value: UInt64) -> Wide {
            var result = self
            let (sum, overflow) = low.addingReportingOverflow(value)
            result.low = sum
            result.high = high &+ (overflow ? 1 : 0)
            return result
        }

        /// The value over 2^51.
        @inline(__always)
        var shifted: UInt64 { low >> 51 | high << 13 }
    }
}
