import Encoding

/// The keys that each contact was first seen with, and the changes that nobody has accepted yet (trust on first use).
///
/// A `did:key` cannot change; the host of a `did:web` document can replace its keys without a trace in the document
/// (DSIP §8.4). A change is therefore held: the contact goes on under the old keys only, until the owner accepts the new
/// ones. Keys that disappear are no change, keys that appear are: to add a key is to add someone who can speak for the
/// contact.
public struct PinStore: Sendable, Equatable {
    public enum Observation: Sendable, Equatable {
        /// Never seen before; the keys are pinned.
        case first
        case same
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

    struct Pin: Sendable, Equatable {
        var keys: Set<PublicKey>
        var since: Int64
        var announced: Set<PublicKey> = []
        var held: Set<PublicKey> = []
        var heldSince: Int64 = 0
    }

    public static let maximumContacts = 10_000
    public static let maximumKeys = 16

    private(set) var pins: [DID: Pin] = [:]

    public init() {}

    init(pins: [DID: Pin]) { self.pins = pins }

    public var count: Int { pins.count }

    /// Compares the keys of a freshly resolved document with the pinned ones.
    ///
    /// - Throws: `.tooLarge` when the store is full or the document has more keys than anyone needs; nothing is pinned
    ///   then.
    public mutating func observe(_ did: DID, keys: [PublicKey], at now: Int64) throws(IdentityError) -> Observation {
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
        guard let pin = pins[did], !pin.held.isEmpty else { return false }
        pins[did] = Pin(keys: pin.held, since: now)
        return true
    }

    /// Takes a `key-rotation` record into account: the key it announces will count as explained.
    ///
    /// - Returns: false unless the record is signed by a key that is pinned for its subject.
    @discardableResult
    public mutating func announce(_ envelope: Envelope) -> Bool {
        guard let rotation = KeyRotation.decode(envelope), var pin = pins[rotation.subject],
            let (kid, algorithm) = SignedRecord.header(of: envelope), kid.did == rotation.subject,
            rotation.recovery || kid == rotation.previous, pin.announced.count < PinStore.maximumKeys
        else { return false }
        let signature = envelope.decodedSignature()
        let input = envelope.signingInput
        guard pin.keys.contains(where: { $0.algorithm == algorithm && $0.isValidSignature(signature, for: input) })
        else {
            return false
        }
        pin.announced.insert(rotation.nextPublicKey)
        pins[rotation.subject] = pin
        return true
    }

    /// Keys with which `did` may be spoken to now; nil when it was never seen.
    public func keys(_ did: DID) -> Set<PublicKey>? { pins[did]?.keys }

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
            pins[did] = Pin(keys: keys, since: since, announced: announced, held: held, heldSince: heldSince)
        }
        self.init(pins: pins)
    }
}
