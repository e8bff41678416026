/// A CBOR data item (RFC 8949 §2) as a tree.
///
/// ```swift
/// let value: CBORValue = ["typ": "invite", "seq": 7]
/// let bytes = value.encoded                       // deterministic, RFC 8949 §4.2
/// let again = try CBORValue(decoding: bytes)      // refuses every other encoding of the same value
/// ```
///
/// Two values are equal when their deterministic encodings are: 0.0 and -0.0 differ, every NaN is one, and maps have no order.
public indirect enum CBORValue: Sendable {
    case unsigned(UInt64)
    /// The integer -1 - n, which reaches -2^64.
    case negative(UInt64)
    case bytes([UInt8])
    case text(String)
    case array([CBORValue])
    case map(CBORMap)
    case tagged(UInt64, CBORValue)
    /// 0–19 and 32–255; 20–23 are `false`, `true`, `null` and `undefined`.
    case simple(UInt8)
    case float(Double)

    public static let `false` = CBORValue.simple(20)
    public static let `true` = CBORValue.simple(21)
    public static let null = CBORValue.simple(22)
    public static let undefined = CBORValue.simple(23)

    public static func bool(_ value: Bool) -> CBORValue { value ? .true : .false }

    public static func int(_ value: Int64) -> CBORValue {
        value < 0 ? .negative(UInt64(bitPattern: ~value)) : .unsigned(UInt64(value))
    }

    public var isNull: Bool { if case .simple(22) = self { true } else { false } }
    public var bytes: [UInt8]? { if case .bytes(let value) = self { value } else { nil } }
    public var text: String? { if case .text(let value) = self { value } else { nil } }
    public var array: [CBORValue]? { if case .array(let value) = self { value } else { nil } }
    public var map: CBORMap? { if case .map(let value) = self { value } else { nil } }
    public var float: Double? { if case .float(let value) = self { value } else { nil } }

    /// The integer, or nil for anything else and for what 64 signed bits cannot hold.
    public var int: Int64? {
        switch self {
        case .unsigned(let value): Int64(exactly: value)
        case .negative(let value): value <= UInt64(Int64.max) ? ~Int64(value) : nil
        default: nil
        }
    }

    public var bool: Bool? {
        switch self {
        case .simple(20): false
        case .simple(21): true
        default: nil
        }
    }

    /// The member of a map under `key`.
    public subscript(_ key: CBORValue) -> CBORValue? { map?[key] }
}

extension CBORValue: Hashable {
    public static func == (a: CBORValue, b: CBORValue) -> Bool {
        switch (a, b) {
        case (.unsigned(let x), .unsigned(let y)), (.negative(let x), .negative(let y)): x == y
        case (.bytes(let x), .bytes(let y)): x == y
        // By code units: two spellings of one character are two texts, as they are on the wire.
        case (.text(let x), .text(let y)): x.utf8.elementsEqual(y.utf8)
        case (.array(let x), .array(let y)): x == y
        case (.map(let x), .map(let y)): x == y
        case (.tagged(let t, let x), .tagged(let u, let y)): t == u && x == y
        case (.simple(let x), .simple(let y)): x == y
        case (.float(let x), .float(let y)): x.bitPattern == y.bitPattern || x.isNaN && y.isNaN
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .unsigned(let value):
            hasher.combine(0 as UInt8)
            hasher.combine(value)
        case .negative(let value):
            hasher.combine(1 as UInt8)
            hasher.combine(value)
        case .bytes(let value):
            hasher.combine(2 as UInt8)
            hasher.combine(value)
        case .text(let value):
            hasher.combine(3 as UInt8)
            for byte in value.utf8 { hasher.combine(byte) }
        case .array(let value):
            hasher.combine(4 as UInt8)
            hasher.combine(value)
        case .map(let value):
            hasher.combine(5 as UInt8)
            hasher.combine(value)
        case .tagged(let tag, let value):
            hasher.combine(6 as UInt8)
            hasher.combine(tag)
            hasher.combine(value)
        case .simple(let value):
            hasher.combine(7 as UInt8)
            hasher.combine(value)
        case .float(let value):
            hasher.combine(8 as UInt8)
            hasher.combine(value.isNaN ? Double.nan.bitPattern : value.bitPattern)
        }
    }
}

extension CBORValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .float(value) }
    public init(stringLiteral value: String) { self = .text(value) }
    public init(arrayLiteral elements: CBORValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (CBORValue, CBORValue)...) { self = .map(CBORMap(elements)) }
}
