import DSIPIdentity
import DSIPSignaling
import Encoding

/// The members of a JSON object, taken by name and checked against what their schema says.
///
/// A member taken counts; ``finish()`` refuses an object that has others, for schemas that admit none.
struct Members {
    private let object: JSONObject
    private var taken = 0

    init(_ value: JSONValue?, _ name: String) throws(MessagingError) {
        guard let object = value?.object else { throw Members.fault("\(name) is no object") }
        self.object = object
    }

    static func fault(_ detail: String) -> MessagingError { MessagingError(.schemaInvalid, detail) }

    func finish() throws(MessagingError) {
        guard taken == object.count else { throw Members.fault("a member that the schema does not have") }
    }

    func has(_ name: String) -> Bool { object[name] != nil }

    mutating func optional(_ name: String) -> JSONValue? {
        guard let value = object[name] else { return nil }
        taken += 1
        return value
    }

    mutating func required(_ name: String) throws(MessagingError) -> JSONValue {
        guard let value = optional(name) else { throw Members.fault("\(name) is missing") }
        return value
    }

    /// A member whose schema gives it one value.
    mutating func constant(_ name: String, _ text: String) throws(MessagingError) {
        guard try required(name).string == text else { throw Members.fault("\(name) is not \(text)") }
    }

    /// What every object said in a conversation begins with: which it is, where, by whom, and when by its sender's clock. M§8.1
    mutating func head(
        _ object: String
    ) throws(MessagingError) -> (id: ULID, conversation: ULID, sender: DID, sentAt: Int64) {
        try constant("object", object)
        return (
            try required("id", Read.ulid), try required("conversation", Read.ulid), try required("sender", Read.did),
            try required("sent_at", Read.natural)
        )
    }

    /// The member read by `read`, or nil when it is absent.
    mutating func optional<Value>(
        _ name: String,
        _ read: (JSONValue, String) throws(MessagingError) -> Value
    ) throws(MessagingError) -> Value? {
        guard let value = optional(name) else { return nil }
        return try read(value, name)
    }

    mutating func required<Value>(
        _ name: String,
        _ read: (JSONValue, String) throws(MessagingError) -> Value
    ) throws(MessagingError) -> Value {
        try read(try required(name), name)
    }

    /// The same where `null` stands for absence.
    mutating func nullable<Value>(
        _ name: String,
        _ read: (JSONValue, String) throws(MessagingError) -> Value
    ) throws(MessagingError) -> Value? {
        guard let value = optional(name), !value.isNull else { return nil }
        return try read(value, name)
    }
}

/// Readers of single values, to be handed to ``Members``.
enum Read {
    /// The JSON object that a payload is. DSIP §10.3
    static func payload(_ bytes: [UInt8], limits: JSONDocument.Limits) throws(MessagingError) -> JSONValue {
        let value: JSONValue
        do throws(EncodingError) {
            value = try JSONValue(parsing: bytes, limits: limits)
        } catch {
            throw MessagingError(error.code == .notUTF8 ? .payloadNotUTF8 : .payloadNotJSON, "the payload is no JSON")
        }
        guard value.object != nil else { throw MessagingError(.payloadNotJSON, "the payload is no JSON object") }
        return value
    }

    static func string(_ value: JSONValue, _ name: String) throws(MessagingError) -> String {
        guard let string = value.string else { throw Members.fault("\(name) is no string") }
        return string
    }

    static func filled(_ value: JSONValue, _ name: String) throws(MessagingError) -> String {
        try string(value, name) { !$0.isEmpty }
    }

    static func string(
        _ value: JSONValue,
        _ name: String,
        _ isValid: (String) -> Bool
    ) throws(MessagingError) -> String {
        guard let string = value.string, isValid(string) else { throw Members.fault("\(name) is malformed") }
        return string
    }

    static func ulid(_ value: JSONValue, _ name: String) throws(MessagingError) -> ULID {
        guard let id = value.string.flatMap({ ULID($0) }) else { throw Members.fault("\(name) is no ULID") }
        return id
    }

    static func did(_ value: JSONValue, _ name: String) throws(MessagingError) -> DID {
        guard let did = value.string.flatMap({ DID($0) }) else { throw Members.fault("\(name) is no DID") }
        return did
    }

    static func token(_ value: JSONValue, _ name: String) throws(MessagingError) -> String {
        try string(value, name, Grammar.isToken)
    }

    static func sha256(_ value: JSONValue, _ name: String) throws(MessagingError) -> String {
        try string(value, name, Grammar.isSHA256)
    }

    static func encoded(_ value: JSONValue, _ name: String) throws(MessagingError) -> EncodedBytes {
        guard let bytes = value.string.flatMap(EncodedBytes.init) else {
            throw Members.fault("\(name) is no base64url")
        }
        return bytes
    }

    static func group(_ value: JSONValue, _ name: String) throws(MessagingError) -> GroupID {
        GroupID(try encoded(value, name))
    }

    static func cursor(_ value: JSONValue, _ name: String) throws(MessagingError) -> Cursor {
        guard let cursor = value.string.flatMap(Cursor.init) else { throw Members.fault("\(name) is no cursor") }
        return cursor
    }

    static func boolean(_ value: JSONValue, _ name: String) throws(MessagingError) -> Bool {
        guard let boolean = value.bool else { throw Members.fault("\(name) is no boolean") }
        return boolean
    }

    /// An integer of at least 0, such as a timestamp.
    static func natural(_ value: JSONValue, _ name: String) throws(MessagingError) -> Int64 {
        try integer(value, name, 0...largestInteger)
    }

    /// An integer of at least 1, such as a `seq` or a size.
    static func positive(_ value: JSONValue, _ name: String) throws(MessagingError) -> Int64 {
        try integer(value, name, 1...largestInteger)
    }

    /// Integers that every implementation holds exactly (RFC 7493 §2.2); sums of two of them do not overflow.
    static let largestInteger: Int64 = (1 << 53) - 1

    static func integer(
        _ value: JSONValue,
        _ name: String,
        _ range: ClosedRange<Int64>
    ) throws(MessagingError) -> Int64 {
        guard let integer = value.int, range.contains(integer) else {
            throw Members.fault("\(name) is no integer in its range")
        }
        return integer
    }

    /// base64url of 32 bytes.
    static func key(_ value: JSONValue, _ name: String) throws(MessagingError) -> [UInt8] {
        guard let text = value.string, text.utf8.count == 43, Grammar.isBase64URL(text) else {
            throw Members.fault("\(name) is no key")
        }
        // The last character holds two bits beyond the key; a spelling that sets them is none that anybody's encoder writes.
        guard let key = Base64URL.decode(text), key.count == 32 else { throw Members.fault("\(name) is no key") }
        return key
    }

    static func uri(_ scheme: String) -> (JSONValue, String) throws(MessagingError) -> String {
        { (value, name) throws(MessagingError) in try string(value, name) { $0.hasPrefix(scheme) } }
    }

    static func list<Element>(
        atLeast least: Int = 0,
        atMost most: Int = Int.max,
        _ read: @escaping (JSONValue, String) throws(MessagingError) -> Element
    ) -> (JSONValue, String) throws(MessagingError) -> [Element] {
        { (value, name) throws(MessagingError) in
            guard let elements = value.array, elements.count >= least, elements.count <= most else {
                throw Members.fault("\(name) is no array of its length")
            }
            var list: [Element] = []
            list.reserveCapacity(elements.count)
            for element in elements { list.append(try read(element, name)) }
            return list
        }
    }

    static func version(_ value: JSONValue, _ name: String) throws(MessagingError) -> VersionBlock {
        var members = try Members(value, name)
        let block = VersionBlock(
            core: try members.required("core", protocolVersion),
            minCore: try members.required("min_core", protocolVersion),
            profiles: try members.required("profiles", list(profile)),
            extensions: try members.required("extensions", list(profile)),
            critical: try members.required("critical", list(profile))
        )
        try members.finish()
        return block
    }

    static func profile(_ value: JSONValue, _ name: String) throws(MessagingError) -> ProfileID {
        guard let id = value.string.flatMap({ ProfileID($0) }) else { throw Members.fault("\(name) is no profile") }
        return id
    }

    private static func protocolVersion(_ value: JSONValue, _ name: String) throws(MessagingError) -> ProtocolVersion {
        guard let version = value.string.flatMap({ ProtocolVersion($0) }) else {
            throw Members.fault("\(name) is no version")
        }
        return version
    }
}

extension JSONValue {
    /// Whether any number in the value is not an integer, which no payload of DSIP may hold (DSIP §10.3).
    var holdsNonInteger: Bool {
        switch self {
        case .double: true
        case .array(let elements): elements.contains(where: \.holdsNonInteger)
        case .object(let object): object.members.contains { $0.value.holdsNonInteger }
        case .null, .bool, .int, .string: false
        }
    }
}
