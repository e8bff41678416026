import DSIPIdentity
import Encoding

/// Whom a call, request or log line is with, and on what basis their name is shown (DSIP §18.1).
public struct Peer: Sendable, Hashable {
    public enum Naming: String, Sendable { case you, them }

    public var did: DID
    /// Your own name for a contact, else the peer's claim, else the DID.
    public var name: String
    public var namedBy: Naming?
    /// The lines of DSIP §18.1; there is no verified flag.
    public var basis: [String]
    public var contact: String?
    public var keyChanged: Bool
    public var blocked: Bool
    public var alias: String?

    public init(
        did: DID,
        name: String,
        namedBy: Naming?,
        basis: [String],
        contact: String? = nil,
        keyChanged: Bool = false,
        blocked: Bool = false,
        alias: String? = nil
    ) {
        self.did = did
        self.name = name
        self.namedBy = namedBy
        self.basis = basis
        self.contact = contact
        self.keyChanged = keyChanged
        self.blocked = blocked
        self.alias = alias
    }

    public var json: JSONValue {
        [
            "did": .string(did.string), "name": .string(name), "named_by": .optional(namedBy?.rawValue),
            "basis": .array(basis.map { .string($0) }), "contact": .optional(contact), "key_changed": .bool(keyChanged),
            "blocked": .bool(blocked), "alias": .optional(alias),
        ]
    }
}

extension JSONValue {
    static func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
    static func optional(_ number: Int64?) -> JSONValue { number.map { .int($0) } ?? .null }
}
