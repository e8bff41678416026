import DSIPIdentity
import Encoding

/// One of the user's identities.
public struct OwnIdentity: Sendable, Hashable {
    public var did: DID
    public var name: String
    public var alias: String?
    public var relay: String
    public var current: Bool
    /// The contact this throw-away identity was made for.
    public var throwawayFor: String?
    /// The user has shown that the recovery phrase is written down.
    public var phraseConfirmed: Bool
    /// Its document is published by its relay and this device holds its key: the key can be replaced.
    public var canRotate: Bool
    /// The identity that this one says to be from now on.
    public var movedTo: DID?
    /// The `dsip:` link others add or call us by.
    public var uri: String

    public init(
        did: DID,
        name: String,
        alias: String?,
        relay: String,
        current: Bool,
        throwawayFor: String?,
        phraseConfirmed: Bool,
        canRotate: Bool = false,
        uri: String
    ) {
        self.did = did
        self.name = name
        self.alias = alias
        self.relay = relay
        self.current = current
        self.throwawayFor = throwawayFor
        self.phraseConfirmed = phraseConfirmed
        self.canRotate = canRotate
        self.uri = uri
    }

    public var json: JSONValue {
        [
            "did": .string(did.string), "name": .string(name), "alias": .optional(alias), "relay": .string(relay),
            "current": .bool(current), "throwaway_for": .optional(throwawayFor),
            "phrase_confirmed": .bool(phraseConfirmed), "can_rotate": .bool(canRotate),
            "moved_to": .optional(movedTo?.string), "uri": .string(uri),
        ]
    }
}
