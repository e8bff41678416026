/// A JSON value as a tree, for building messages and for data off the hot path.
///
/// Objects keep the order of their members when written; two objects are equal when they hold the same members in any order.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// - Throws: `EncodingError` as `JSONDocument` does, and `.range` for a number beyond what a double holds.
    public init(parsing bytes: [UInt8], limits: JSONDocument.Limits = JSONDocument.Limits()) throws(EncodingError) {
        let document = try JSONDocument(scanning: bytes, limits: limits)
        self = document.root.value
        if let offset = document.firstNonInteger, !isFinite {
            throw EncodingError(.range, at: offset, "a number beyond what a double holds")
        }
    }

    private var isFinite: Bool {
        switch self {
        case .double(let value): value.isFinite
        case .array(let elements): elements.allSatisfy(\.isFinite)
        case .object(let object): object.members.allSatisfy(\.value.isFinite)
        default: true
        }
    }

    public init(parsing text: String, limits: JSONDocument.Limits = JSONDocument.Limits()) throws(EncodingError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }

    public var isNull: Bool { self == .null }
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var int: Int64? { if case .int(let value) = self { value } else { nil } }
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }

    public subscript(_ name: String) -> JSONValue? { object?[name] }
    public subscript(_ index: Int) -> JSONValue? {
        guard let array, array.indices.contains(index) else { return nil }
        return array[index]
    }
}

/// The members of a JSON object, in order.
public struct JSONObject: Sendable {
    public private(set) var members: [(name: String, value: JSONValue)]

    public init(members: [(name: String, value: JSONValue)]) { self.members = members }

    public init(_ members: [(String, JSONValue)] = []) { self.members = members.map { (name: $0.0, value: $0.1) } }

    public var count: Int { members.count }
    public var isEmpty: Bool { members.isEmpty }

    public subscript(_ name: String) -> JSONValue? {
        get { members.first { JSONObject.isSame($0.name, name) }?.value }
        set {
            if let i = members.firstIndex(where: { JSONObject.isSame($0.name, name) }) {
                if let newValue { members[i].value = newValue } else { members.remove(at: i) }
            } else if let newValue {
                members.append((name: name, value: newValue))
            }
        }
    }

    /// Names are compared by code points (RFC 8259 §8.3). Strings here compare by canonical equivalence, which takes two spellings of é for one, and
    /// the Kelvin sign for K.
    static func isSame(_ a: String, _ b: String) -> Bool { a == b && a.utf8.elementsEqual(b.utf8) }
}

extension JSONObject: Hashable {
    public static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.count == b.count && a.members.allSatisfy { b[$0.name] == $0.value }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        hasher.combine(members.reduce(0) { $0 ^ $1.name.hashValue })
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
}
