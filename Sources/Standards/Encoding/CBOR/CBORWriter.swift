/// Appends CBOR in the one encoding that RFC 8949 §4.2 calls deterministic: shortest arguments, shortest floats, definite lengths.
///
/// Heads of arrays and maps are written before their contents, so a caller that writes a map by hand writes its keys in the order of their
/// encodings; `value(_:)` sorts.
public struct CBORWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    public mutating func unsigned(_ value: UInt64) { head(.unsigned, value) }
    /// The integer -1 - `value`.
    public mutating func negative(_ value: UInt64) { head(.negative, value) }

    public mutating func integer(_ value: Int64) {
        if value < 0 { negative(UInt64(bitPattern: ~value)) } else { unsigned(UInt64(value)) }
    }

    public mutating func bytes(_ value: some Collection<UInt8>) {
        head(.bytes, UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func text(_ value: String) {
        head(.text, UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    /// The head of an array; `count` items follow.
    public mutating func array(_ count: Int) { head(.array, UInt64(count)) }
    /// The head of a map; `count` pairs follow, keys in the order of their encodings.
    public mutating func map(_ count: Int) { head(.map, UInt64(count)) }
    /// One item follows.
    public mutating func tag(_ number: UInt64) { head(.tag, number) }
    public mutating func bool(_ value: Bool) { simple(value ? 21 : 20) }
    public mutating func null() { simple(22) }

    public mutating func simple(_ value: UInt8) {
        precondition(!(24..<32).contains(value), "no simple value has this number (RFC 8949 §3.3)")
        head(.simple, UInt64(value))
    }

    /// The shortest of the three widths that holds `value` exactly; NaN is f97e00 (RFC 8949 §4.2.1, §4.2.2).
    public mutating func float(_ value: Double) {
        if let half = CBORHalf.bits(exactly: value) {
            bytes.append(0xf9)
            append(half)
        } else if case let single = Float(value), Double(single) == value {
            bytes.append(0xfa)
            append(single.bitPattern)
        } else {
            bytes.append(0xfb)
            append(value.bitPattern)
        }
    }

    /// Bytes that are an encoded item already.
    public mutating func encoded(_ item: some Collection<UInt8>) { bytes.append(contentsOf: item) }

    public mutating func value(_ value: CBORValue) {
        switch value {
        case .unsigned(let value): unsigned(value)
        case .negative(let value): negative(value)
        case .bytes(let value): bytes(value)
        case .text(let value): text(value)
        case .array(let elements):
            array(elements.count)
            for element in elements { self.value(element) }
        case .map(let map): self.map(map)
        case .tagged(let number, let content):
            tag(number)
            self.value(content)
        case .simple(let value): simple(value)
        case .float(let value): float(value)
        }
    }

    /// The whole map, sorted.
    public mutating func map(_ map: CBORMap) {
        self.map(map.count)
        guard map.count > 1 else {
            for entry in map.entries {
                value(entry.key)
                value(entry.value)
            }
            return
        }
        // Bytewise order of the encoded keys (RFC 8949 §4.2.1), not the older one by length first.
        let entries = map.entries.map { (key: $0.key.encoded, value: $0.value) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        for entry in entries {
            encoded(entry.key)
            value(entry.value)
        }
    }

    private mutating func head(_ type: CBORHead.MajorType, _ argument: UInt64) {
        let high = type.rawValue << 5
        switch argument {
        case 0..<24: bytes.append(high | UInt8(argument))
        case 24...0xff:
            bytes.append(high | 24)
            bytes.append(UInt8(argument))
        case 0x100...0xffff:
            bytes.append(high | 25)
            append(UInt16(argument))
        case 0x1_0000...0xffff_ffff:
            bytes.append(high | 26)
            append(UInt32(argument))
        default:
            bytes.append(high | 27)
            append(argument)
        }
    }

    private mutating func append<T: FixedWidthInteger>(_ value: T) {
        var shift = T.bitWidth - 8
        while shift >= 0 {
            bytes.append(UInt8(truncatingIfNeeded: value >> T(shift)))
            shift -= 8
        }
    }
}

extension CBORValue {
    /// The deterministic encoding (RFC 8949 §4.2).
    public var encoded: [UInt8] {
        var writer = CBORWriter()
        writer.value(self)
        return writer.bytes
    }
}
