/// A point of edwards25519 in extended coordinates (RFC 8032 §5.1.4).
///
/// Multiplication takes the same steps whatever the scalar; decoding and encoding handle public points.
struct EdwardsPoint: Sendable {
    private var x, y, z, t: FieldElement

    private init(x: FieldElement, y: FieldElement, z: FieldElement, t: FieldElement) {
        (self.x, self.y, self.z, self.t) = (x, y, z, t)
    }

    static let identity = EdwardsPoint(x: .zero, y: .one, z: .one, t: .zero)

    /// The point of RFC 8032 §5.1, with y = 4/5 and an even x.
    static let base: EdwardsPoint = {
        guard let base = EdwardsPoint((FieldElement(4) * FieldElement(5).inverse).bytes) else {
            preconditionFailure("the base point is on the curve")
        }
        return base
    }()

    private static let d = -(FieldElement(121_665) * FieldElement(121_666).inverse)
    private static let d2 = d + d
    /// 2^((p-1)/4), a square root of -1.
    private static let rootOfMinusOne = FieldElement(2).power58.squared(1) * FieldElement(2)

    /// Decodes 32 bytes: y, and the sign of x in the top bit (RFC 8032 §5.1.3).
    ///
    /// - Returns: nil when it is no point, or y is not the least representative.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        let y = FieldElement(bytes)
        var canonical = y.bytes
        canonical[31] |= bytes[31] & 0x80
        guard canonical == bytes else { return nil }
        let u = y.squared() - .one
        let v = y.squared() * Self.d + .one
        let v3 = v.squared() * v
        var x = u * v3 * (u * v3.squared() * v).power58
        let check = v * x.squared()
        if !(check - u).isZero {
            guard (check + u).isZero else { return nil }
            x = x * Self.rootOfMinusOne
        }
        let isNegative = bytes[31] & 0x80 != 0
        if x.isZero && isNegative { return nil }
        if x.isNegative != isNegative { x = -x }
        self.init(x: x, y: y, z: .one, t: x * y)
    }

    var bytes: [UInt8] {
        let inverse = z.inverse
        var bytes = (y * inverse).bytes
        bytes[31] |= (x * inverse).bytes[0] << 7
        return bytes
    }

    /// The u coordinate of the same point on curve25519: (1 + y) / (1 - y) (RFC 7748 §4.1).
    var montgomeryU: FieldElement { (z + y) * (z - y).inverse }

    /// Whether eight times the point is the identity.
    var hasSmallOrder: Bool {
        let eightfold = doubled.doubled.doubled
        return eightfold.x.isZero && (eightfold.y - eightfold.z).isZero
    }

    /// Complete for every pair of points: the same steps add, double and add the identity (RFC 8032 §5.1.4).
    static func + (p: EdwardsPoint, q: EdwardsPoint) -> EdwardsPoint {
        let a = (p.y - p.x) * (q.y - q.x)
        let b = (p.y + p.x) * (q.y + q.x)
        let c = p.t * d2 * q.t
        let zz = p.z * q.z
        let (e, f, g, h) = (b - a, zz + zz - c, zz + zz + c, b + a)
        return EdwardsPoint(x: e * f, y: g * h, z: f * g, t: e * h)
    }

    var doubled: EdwardsPoint {
        let a = x.squared()
        let b = y.squared()
        let zz = z.squared()
        let h = a + b
        let e = h - (x + y).squared()
        let g = a - b
        let f = zz + zz + g
        return EdwardsPoint(x: e * f, y: g * h, z: f * g, t: e * h)
    }

    /// The base point times a scalar of 256 bits, little-endian; the time does not depend on the scalar.
    static func base(times scalar: [UInt8]) -> EdwardsPoint {
        var result = identity
        for byte in scalar.reversed() {
            for nibble in [byte >> 4, byte & 15] {
                result = result.doubled.doubled.doubled.doubled + pick(UInt64(nibble))
            }
        }
        return result
    }

    /// 0 to 15 times the base point.
    private static let multiples: [EdwardsPoint] = {
        var points = [identity]
        for _ in 1..<16 { points.append(points[points.count - 1] + base) }
        return points
    }()

    /// Reads the whole table, so that the cache learns nothing of the index.
    private static func pick(_ index: UInt64) -> EdwardsPoint {
        var result = identity
        for (i, point) in multiples.enumerated() {
            // 1 when equal: the difference minus one borrows only for zero.
            let equal = ((UInt64(i) ^ index) &- 1) >> 63
            result = EdwardsPoint(
                x: .select(result.x, point.x, equal),
                y: .select(result.y, point.y, equal),
                z: .select(result.z, point.z, equal),
                t: .select(result.t, point.t, equal)
            )
        }
        return result
    }
}
