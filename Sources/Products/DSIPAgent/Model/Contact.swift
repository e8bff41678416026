import DSIPIdentity
import Encoding

/// Someone the user knows, as one of the user's identities.
public struct Contact: Sendable, Hashable {
    /// A key that was not the one first seen, waiting for the user to accept it (DSIP §7.5).
    public struct KeyChange: Sendable, Hashable {
        public var old: String
        public var new: String
        public var seenAt: Int64

        public init(old: String, new: String, seenAt: Int64) {
            self.old = old
            self.new = new
            self.seenAt = seenAt
        }

        init(_ change: PinStore.Change) {
            func text(_ keys: Set<PublicKey>) -> String { keys.map(\.multibase).sorted().joined(separator: " ") }
            self.init(old: text(change.old), new: text(change.new), seenAt: change.observedAt)
        }
    }

    /// How a key came after another, as far as this device has seen.
    public struct KeyStep: Sendable, Hashable {
        /// Multibase.
        public var key: String
        /// Why, as the record says by which the old key names the new one (registry `dsip-rotation-reason`); nil where there was none and
        /// the person accepted the key.
        public var reason: String?
        public var at: Int64

        init(_ step: PinStore.Step) { (key, reason, at) = (step.key.multibase, step.reason, step.at) }

        var json: JSONValue { ["key": .string(key), "reason": .optional(reason), "at": .int(at)] }
    }

    /// Another identity that the contact says to be from now on, and that says the same.
    public struct Move: Sendable, Hashable {
        public var did: DID
        public var relay: String?
        public var at: Int64

        var json: JSONValue { ["did": .string(did.string), "relay": .optional(relay), "at": .int(at)] }
    }

    public var id: String
    /// The identity of ours that knows this contact.
    public var owner: DID
    public var did: DID
    public var name: String
    public var alias: String?
    /// Relay hint, `wss://…`; the DID document goes before it (DSIP §8.1).
    public var relay: String?
    public var addedAt: Int64
    /// When the person last changed it, on whichever of their devices; 0 when that is not known here.
    public var changedAt: Int64
    public var blocked: Bool
    /// May ring us without an introduction (DSIP §19.4).
    public var allowed: Bool
    public var keyChanged: KeyChange?
    /// Oldest first; empty when the keys are those first seen.
    public var keyHistory: [KeyStep] = []
    /// A move that the person has not decided about.
    public var move: Move?
    /// Known through a throw-away identity made for this contact alone.
    public var pairwise: Bool

    public init(
        id: String,
        owner: DID,
        did: DID,
        name: String,
        alias: String? = nil,
        relay: String? = nil,
        addedAt: Int64,
        blocked: Bool = false,
        allowed: Bool = true,
        keyChanged: KeyChange? = nil,
        pairwise: Bool = false,
        changedAt: Int64? = nil
    ) {
        self.id = id
        self.owner = owner
        self.did = did
        self.name = name
        self.alias = alias
        self.relay = relay
        self.addedAt = addedAt
        self.changedAt = changedAt ?? addedAt
        self.blocked = blocked
        self.allowed = allowed
        self.keyChanged = keyChanged
        self.pairwise = pairwise
    }

    public var json: JSONValue {
        [
            "id": .string(id), "did": .string(did.string), "name": .string(name), "alias": .optional(alias),
            "relay": .optional(relay), "added_at": .int(addedAt), "blocked": .bool(blocked), "allowed": .bool(allowed),
            "key_changed": keyChanged.map {
                ["old": .string($0.old), "new": .string($0.new), "seen_at": .int($0.seenAt)]
            } ?? .null,
            "key_history": .array(keyHistory.map(\.json)), "move": move?.json ?? .null,
            "pairwise": .bool(pairwise),
        ]
    }
}
