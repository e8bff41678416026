import DSIPIdentity
import Encoding

/// What one message type carries beyond the members that all have.
public protocol MessageBody: Hashable, Sendable {
    static var type: MessageType { get }

    init?(_ body: Message.Body)
    var body: Message.Body { get }
}

/// Reading and writing of one type's members.
protocol CodableBody: MessageBody {
    /// Takes the type's own members; the caller has taken the common ones and finishes.
    init(_ fields: inout Fields) throws(ShapeFault)
    /// The same members in the order of the specification's examples.
    func write(to object: inout JSONObject)
}

extension Fields {
    mutating func optional<Value>(
        _ name: StaticString,
        _ read: (JSONView) throws(ShapeFault) -> Value
    ) throws(ShapeFault) -> Value? {
        guard let member = optional(name) else { return nil }
        return try read(member)
    }

    mutating func did(_ name: StaticString) throws(ShapeFault) -> DID { try required(name).did(name) }
    mutating func ulid(_ name: StaticString) throws(ShapeFault) -> ULID { try required(name).ulid(name) }

    mutating func token(_ name: StaticString) throws(ShapeFault) -> String {
        try required(name).text(name, Pattern.token)
    }

    mutating func optionalULID(_ name: StaticString) throws(ShapeFault) -> ULID? {
        try optional(name) { (view) throws(ShapeFault) in try view.ulid(name) }
    }

    mutating func optionalDID(_ name: StaticString) throws(ShapeFault) -> DID? {
        try optional(name) { (view) throws(ShapeFault) in try view.did(name) }
    }

    mutating func optionalToken(_ name: StaticString) throws(ShapeFault) -> String? {
        try optional(name) { (view) throws(ShapeFault) in try view.text(name, Pattern.token) }
    }

    mutating func media() throws(ShapeFault) -> [MediaDescriptor]? {
        try optional("media") { (view) throws(ShapeFault) in try view.list("media", atLeast: 1, MediaDescriptor.init) }
    }

    mutating func transports(atMost most: Int = .max) throws(ShapeFault) -> [TransportDescriptor]? {
        try optional("transports") { (view) throws(ShapeFault) in
            try view.list("transports", atLeast: 1, atMost: most, TransportDescriptor.init)
        }
    }

    mutating func policy() throws(ShapeFault) -> MediaPolicy? {
        try optional("policy", MediaPolicy.init)
    }

    mutating func sealed() throws(ShapeFault) -> SealedBody? { try optional("sealed", SealedBody.init) }
    mutating func recording() throws(ShapeFault) -> RecordingDeclaration? {
        try optional("recording", RecordingDeclaration.init)
    }
    mutating func retryAfter() throws(ShapeFault) -> Int64? {
        try optional("retry_after") { (view) throws(ShapeFault) in try view.integer("retry_after") }
    }
}
