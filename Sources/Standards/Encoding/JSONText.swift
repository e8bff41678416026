/// Decoding of tokens that `JSONScanner` has already accepted.
enum JSONText {
    static func decode(_ text: UnsafeBufferPointer<UInt8>, _ node: JSONNode) -> String {
        let body = UnsafeBufferPointer(rebasing: text[Int(node.start)..<Int(node.end)])
        guard node.escaped else { return String(decoding: body, as: UTF8.self) }
        var out: [UInt8] = []
        out.reserveCapacity(body.count)
        var i = 0
        while i < body.count {
            guard body[i] == UInt8(ascii: "\\") else {
                out.append(body[i])
                i += 1
                continue
            }
            switch body[i + 1] {
            case UInt8(ascii: "b"): out.append(0x08)
            case UInt8(ascii: "f"): out.append(0x0c)
            case UInt8(ascii: "n"): out.append(0x0a)
            case UInt8(ascii: "r"): out.append(0x0d)
            case UInt8(ascii: "t"): out.append(0x09)
            case UInt8(ascii: "u"):
                var scalar = hex4(body, at: i + 2) ?? 0xfffd
                i += 4
                if scalar & 0xfc00 == 0xd800, let low = hex4(body, at: i + 4) {
                    scalar = 0x10000 + (scalar & 0x3ff) << 10 + low & 0x3ff
                    i += 6
                }
                out.append(contentsOf: String(Unicode.Scalar(scalar) ?? "\u{fffd}").utf8)
            default: out.append(body[i + 1])
            }
            i += 2
        }
        return String(decoding: out, as: UTF8.self)
    }

    static func hex4(_ text: UnsafeBufferPointer<UInt8>, at start: Int) -> UInt32? {
        guard start + 4 <= text.count else { return nil }
        var value: UInt32 = 0
        for i in start..<start + 4 {
            let byte = text[i]
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt32(byte - 0x41 + 10)
            case 0x61...0x66: value = value << 4 | UInt32(byte - 0x61 + 10)
            default: return nil
            }
        }
        return value
    }

    /// The integer token in `start..<end`, or nil when it does not fit.
    static func integer(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Int64? {
        var i = start
        let negative = text[i] == UInt8(ascii: "-")
        if negative { i += 1 }
        var value: Int64 = 0
        while i < end {
            let digit = Int64(text[i] - 0x30)
            let (product, overflow1) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow2) =
                negative
                ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
            if overflow1 || overflow2 { return nil }
            value = sum
            i += 1
        }
        return value
    }
}

/// UTF-8 well-formedness (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
public enum UTF8Check {
    /// - Returns: the offset of the first byte that begins no well-formed sequence, or nil when all is UTF-8.
    public static func firstInvalid(in bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBufferPointer { text in
            var i = 0
            while i < text.count {
                if text[i] < 0x80 {
                    i += 1
                } else if let length = sequenceLength(text, at: i) {
                    i += length
                } else {
                    return i
                }
            }
            return nil
        }
    }

    static func sequenceLength(_ text: UnsafeBufferPointer<UInt8>, at i: Int) -> Int? {
        func tail(_ k: Int, _ low: UInt8 = 0x80, _ high: UInt8 = 0xbf) -> Bool {
            i + k < text.count && text[i + k] >= low && text[i + k] <= high
        }
        switch text[i] {
        case 0xc2...0xdf: return tail(1) ? 2 : nil
        case 0xe0: return tail(1, 0xa0) && tail(2) ? 3 : nil
        case 0xe1...0xec, 0xee, 0xef: return tail(1) && tail(2) ? 3 : nil
        case 0xed: return tail(1, 0x80, 0x9f) && tail(2) ? 3 : nil
        case 0xf0: return tail(1, 0x90) && tail(2) && tail(3) ? 4 : nil
        case 0xf1...0xf3: return tail(1) && tail(2) && tail(3) ? 4 : nil
        case 0xf4: return tail(1, 0x80, 0x8f) && tail(2) && tail(3) ? 4 : nil
        default: return nil
        }
    }
}
