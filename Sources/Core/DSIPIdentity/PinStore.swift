import Encoding

/// The keys that each contact was first seen with, and the changes that nobody has accepted yet (trust on first use).
///
/// A `did:key` cannot change; the host of a `did:web` document can replace its keys without a trace in the document
/// (DSIP §8.4). A change is therefore held: the contact goes on under the old keys only, until the owner accepts the new
/// ones. Keys that disappear are no change, keys that appear are: to add a key is to add someone who can speak for the
/// contact. The one exception is a rotation that the identity publishes and the old key vouches for (DSIP §7.5): the pin
/// follows, and remembers the way.
public struct PinStore: Sendable, Equatable {
    public enum Observation: Sendable, Equatable {
        /// Never seen before; the keys are pinned.
        case first
        case same
        /// The document publishes records by which the old keys name the new ones: the pin has followed.
        case followed([Step])
        /// Held until `accept`.
        case changed(Change)
    }

    public struct Change: Sendable, Equatable {
        public var old: Set<PublicKey>
        public var new: Set<PublicKey>
        /// A `key-rotation` record signed by an old key announced every key that is new (DSIP §7.5).
        public var isExplained: Bool
        /// Unix seconds.
        public var observedAt: Int64
    }

    /// How a contact's keys became what they are.
    public struct Step: Sendable, Equatable {
        public var key: PublicKey
        /// Registry `dsip-rotation-reason`; nil when no record explains it and the owner accepted it.
        public var reason: String?
        /// Unix seconds: of the record, or of the acceptance.
        public var at: Int64

        /// Whether the key before vouches for this one.
        public var isVouched: Bool { reason != nil }
    }

    struct Pin: Sendable, Equatable {
        var keys: Set<PublicKey>
        var since: Int64
        var announced: Set<PublicKey> = []
        var held: Set<PublicKey> = []
        var heldSince: Int64 = 0
        var history: [Step] = []

        mutating func append(_ steps: [Step]) {
            history = Array((history + steps).suffix(PinStore.maximumKeys))
        }
    }

    public static let maximumContacts = 10_000
    public static let maximumKeys = 16

    private(set) var pins: [DID: Pin] = [:]

    public init() {}

    init(pins: [DID: Pin]) { self.pins = pins }

    public var count: Int { pins.count }

    /// Compares the keys of a freshly resolved document with the pinned ones.
    ///
    /// - Parameter rotations: the `key-rotation` records that the document publishes, unverified.
    /// - Throws: `.tooLarge` when the store is full or the document has more keys than anyone needs; nothing is pinned
    ///   then.
    public mutating func observe(
        _ did: DID,
        keys: [PublicKey],
        rotations: [Envelope] = [],
        at now: Int64
    ) throws(IdentityError) -> Observation {
        let keys = Set(keys)
        guard keys.count <= PinStore.maximumKeys else {
            throw IdentityError(.tooLarge, "the identity has too many keys")
        }
        guard var pin = pins[did] else {
            guard pins.count < PinStore.maximumContacts else {
                throw IdentityError(.tooLarge, "too many contacts are pinned")
            }
            pins[did] = Pin(keys: keys, since: now)
            return .first
        }
        if keys.isSubset(of: pin.keys) {
            // The contact is back under its old keys: what was held is moot.
            pin.held = []
            pins[did] = pin
            return .same
        }
        let path = KeyRotation.path(of: did, from: pin.keys, along: rotations)
        if keys.subtracting(pin.keys).isSubset(of: path.map(\.nextPublicKey)) {
            let steps = path.map { Step(key: $0.nextPublicKey, reason: $0.reason, at: $0.issuedAt) }
            (pin.keys, pin.since, pin.held, pin.announced) = (keys, now, [], [])
            pin.append(steps)
            pins[did] = pin
            return .followed(steps)
        }
        if pin.held != keys {
            pin.held = keys
            pin.heldSince = now
            pins[did] = pin
        }
        return .changed(PinStore.change(pin))
    }

    /// The change of `did` that waits for its owner's word.
    public func held(_ did: DID) -> Change? {
        pins[did].flatMap { $0.held.isEmpty ? nil : PinStore.change($0) }
    }

    public var allHeld: [(did: DID, change: Change)] {
        pins.filter { !$0.value.held.isEmpty }.map { (did: $0.key, change: PinStore.change($0.value)) }
            .sorted { $0.did < $1.did }
    }

    /// Pins the held keys in place of the old ones. - Returns: false when nothing was held.
    @discardableResult
    public mutating func accept(_ did: DID, at now: Int64) -> Bool {
        guard var pin = pins[did], !pin.held.isEmpty else { return false }
        pin.append(pin.held.subtracting(pin.keys).sorted { $0.multibase < $1.multibase }.map { Step(key: $0, at: now) })
        pins[did] = Pin(keys: pin.held, since: now, history: pin.history)
        return true
    }

    /// Takes a `key-rotation` record into account: the key it announces will count as explained.
    ///
    /// - Returns: false unless the record is signed by a key that is pinned for its subject.
    @discardableResult
    public mutating func announce(_ envelope: Envelope) -> Bool {
        guard let rotation = KeyRotation.decode(envelope), var pin = pins[rotation.subject],
            pin.announced.count < PinStore.maximumKeys,
            KeyRotation.isSigned(envelope, rotation, byOneOf: pin.keys)
        else { return false }
        pin.announced.insert(rotation.nextPublicKey)
        pins[rotation.subject] = pin
        return true
    }

    /// Keys with which `did` may be spoken to now; nil when it was never seen.
    public func keys(_ did: DID) -> Set<PublicKey>? { pins[did]?.keys }

    /// How they became these, oldest first; empty when they are those first seen.
    public func history(_ did: DID) -> [Step] { pins[did]?.history ?? [] }

    public mutating func forget(_ did: DID) { pins[did] = nil }

    private static func change(_ pin: Pin) -> Change {
        Change(
            old: pin.keys,
            new: pin.held,
            isExplained: pin.held.subtracting(pin.keys).isSubset(of: pin.announced),
            observedAt: pin.heldSince
        )
    }
}

extension PinStore {
    var json: JSONValue {
        func list(_ keys: Set<PublicKey>) -> JSONValue { .array(keys.map(\.multibase).sorted().map { .string($0) }) }
        return .array(
            pins.sorted { $0.key < $1.key }.map { did, pin in
                [
                    "did": .string(did.string), "keys": list(pin.keys), "since": .int(pin.since),
                    "announced": list(pin.announced), "held": list(pin.held), "held_since": .int(pin.heldSince),
                    "history": .array(pin.history.map(\.json)),
                ]
            }
        )
    }

    init(json: JSONValue) throws(IdentityError) {
        func list(_ value: JSONValue?) -> Set<PublicKey>? {
            guard let array = value?.array else { return nil }
            let keys = array.compactMap { $0.string.flatMap { PublicKey(multibase: $0) } }
            return keys.count == array.count ? Set(keys) : nil
        }
        var pins: [DID: Pin] = [:]
        for entry in json.array ?? [] {
            guard let did = entry["did"]?.string.flatMap({ DID($0) }), let keys = list(entry["keys"]),
                let announced = list(entry["announced"]), let held = list(entry["held"]),
                let since = entry["since"]?.int,
                let heldSince = entry["held_since"]?.int
            else { throw IdentityError(.damaged, "a pin in the wallet cannot be read") }
            // Wallets of before had none.
            let history = try (entry["history"]?.array ?? []).map { (json) throws(IdentityError) in
                guard let step = Step(json: json) else {
                    throw IdentityError(.damaged, "a pin in the wallet cannot be read")
                }
                return step
            }
            pins[did] = Pin(
                keys: keys,
                since: since,
                announced: announced,
                held: held,
                heldSince: heldSince,
                history: history
            )
        }
        self.init(pins: pins)
    }
}

extension PinStore.Step {
    var json: JSONValue {
        var object: JSONObject = ["key": .string(key.multibase), "at": .int(at)]
        object["reason"] = reason.map { .string($0) }
        return .object(object)
    }

    init?(json: JSONValue) {
        guard let key = json["key"]?.string.flatMap({ PublicKey(multibase: $0) }), let at = json["at"]?.int else {
            return nil
        }
        self.init(key: key, reason: json["reason"]?.string, at: at)
    }
}
