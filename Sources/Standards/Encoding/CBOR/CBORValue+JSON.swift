/// JSON's data model in CBOR and back (RFC 8949 §6): what a message means is the same in both, and each has one canonical spelling.
extension CBORValue {
    /// Objects become maps with text keys, numbers integers or floats as they were read.
    public init(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .double(let value): self = .float(value)
        case .string(let value): self = .text(value)
        case .array(let elements): self = .array(elements.map { CBORValue($0) })
        case .object(let object):
            self = .map(CBORMap(distinct: object.members.map { (key: .text($0.name), value: CBORValue($0.value)) }))
        }
    }
}

extension JSONValue {
    /// Only what JSON has: nothing is turned into something else on the way, so that two forms of one message can be compared.
    ///
    /// - Throws: `.structure` for byte strings, tags, simple values but true, false and null, and keys that are no text; `.range` for integers
    ///   beyond 64 bits and floats that are not finite.
    public init(_ cbor: CBORValue) throws(EncodingError) {
        switch cbor {
        case .unsigned, .negative:
            guard let value = cbor.int else { throw EncodingError(.range, "an integer beyond 64 bits") }
            self = .int(value)
        case .float(let value):
            guard value.isFinite else { throw EncodingError(.range, "a float that is not finite") }
            self = .double(value)
        case .text(let value): self = .string(value)
        case .simple(20): self = .bool(false)
        case .simple(21): self = .bool(true)
        case .simple(22): self = .null
        case .array(let elements):
            var list: [JSONValue] = []
            list.reserveCapacity(elements.count)
            for element in elements { list.append(try JSONValue(element)) }
            self = .array(list)
        case .map(let map):
            var members: [(name: String, value: JSONValue)] = []
            members.reserveCapacity(map.count)
            for (key, value) in map.entries {
                guard case .text(let name) = key else { throw EncodingError(.structure, "a key that is no text") }
                members.append((name: name, value: try JSONValue(value)))
            }
            self = .object(JSONObject(members: members))
        case .bytes, .tagged, .simple: throw EncodingError(.structure, "a value that JSON has no counterpart of")
        }
    }
}
