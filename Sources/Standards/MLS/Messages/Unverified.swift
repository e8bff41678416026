/// What a peer sent and nobody here has verified. Only verification makes a `Value` of it; until then the module's users see its
/// bytes and nothing else, so that no rule can be built on unverified contents by accident.
public struct Unverified<Value: Sendable>: Sendable {
    package let value: Value

    package init(_ value: Value) { self.value = value }
}

extension Unverified: WireDecodable where Value: WireDecodable {
    package init(from reader: inout WireReader) throws(MLSError) { value = try Value(from: &reader) }
}

extension Unverified: WireEncodable where Value: WireEncodable {
    package func encode(to writer: inout WireWriter) { value.encode(to: &writer) }
}

extension Unverified<KeyPackage> {
    /// The structure's bytes as they came.
    public var encoded: [UInt8] { value.encoded }

    /// Decodes all of `bytes`.
    ///
    /// - Throws: `malformed`.
    public init(decoding bytes: [UInt8]) throws(MLSError) { value = try KeyPackage(wire: bytes) }
}

extension Unverified<GroupInfo> {
    /// The structure's bytes as they came.
    public var encoded: [UInt8] { value.wire }

    /// The context that it says it is of: for routing, before anything is verified.
    public var claimedContext: GroupContext { value.context }
    /// Whether it carries the group's tree itself.
    public var hasRatchetTree: Bool { value.extensions[.ratchetTree] != nil }

    /// Decodes all of `bytes`.
    ///
    /// - Throws: `malformed`.
    public init(decoding bytes: [UInt8]) throws(MLSError) { value = try GroupInfo(wire: bytes) }
}
