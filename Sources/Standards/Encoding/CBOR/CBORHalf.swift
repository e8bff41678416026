/// IEEE 754 half precision, in bits: not every platform has a type for it.
enum CBORHalf {
    /// The half that is exactly `value`, or nil when there is none; every NaN becomes 0x7e00.
    static func bits(exactly value: Double) -> UInt16? {
        if value.isNaN { return 0x7e00 }
        let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
        if value.isInfinite { return sign | 0x7c00 }
        if value == 0 { return sign }
        let exponent = Int(value.magnitude.bitPattern >> 52) - 1023
        let fraction = value.significandBitPattern
        switch exponent {
        case -14...15:
            guard fraction & ((1 << 42) - 1) == 0 else { return nil }
            return sign | UInt16(exponent + 15) << 10 | UInt16(fraction >> 42)
        case -24 ..< -14:
            // Subnormal: multiples of 2^-24.
            let shift = UInt64(28 - exponent)
            let whole = fraction | 1 << 52
            guard whole & ((1 << shift) - 1) == 0 else { return nil }
            return sign | UInt16(whole >> shift)
        default: return nil
        }
    }

    static func value(_ bits: UInt16) -> Double {
        let exponent = Int(bits >> 10 & 31)
        let fraction = Double(bits & 0x3ff)
        let magnitude: Double =
            switch exponent {
            case 0: Double(sign: .plus, exponent: -24, significand: fraction)
            case 31: fraction == 0 ? .infinity : .nan
            default: Double(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
            }
        return bits & 0x8000 == 0 ? magnitude : -magnitude
    }
}
