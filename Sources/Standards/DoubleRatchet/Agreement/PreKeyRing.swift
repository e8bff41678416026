/// The prekeys of this device with their private halves: made, given out, used once, replaced.
///
/// - A signed prekey stays usable for `grace` seconds after its successor was made, for messages under way.
/// - One-time prekeys are deleted with the first message that used them and authenticated.
/// - An initial message that used no one-time prekey of either kind could be replayed; its ephemeral key is remembered until the
///   signed prekey it used is gone (X3DH §4.2).
public struct PreKeyRing: ~Copyable, Sendable {
    public struct Limits: Hashable, Sendable {
        /// One-time prekeys of each kind.
        public var oneTime = 200
        /// Initial messages remembered.
        public var remembered = 4096
        /// Seconds a replaced signed prekey stays usable.
        public var grace: Int64 = 14 * 86_400

        public init() {}
    }

    public let identity: IdentityKeyPair
    public let profile: AgreementProfile
    private let limits: Limits
    private var held = HeldPreKeys()

    /// Makes a signed prekey and, if the profile has a KEM, its last-resort prekey. One-time prekeys come with `replenish`.
    ///
    /// - Parameter now: seconds.
    public init(
        identity: IdentityKeyPair,
        profile: AgreementProfile,
        limits: Limits = Limits(),
        at now: Int64,
        using random: inout some RandomNumberGenerator
    ) {
        self.identity = identity
        self.profile = profile
        self.limits = limits
        rotate(at: now, using: &random)
    }

    /// Replaces the signed prekey and the last-resort KEM prekey, and forgets what is past its grace. Weekly is usual.
    public mutating func rotate(at now: Int64, using random: inout some RandomNumberGenerator) {
        if let last = held.signed.indices.last { held.signed[last].replaced = now }
        if let last = held.lastResort.indices.last { held.lastResort[last].replaced = now }
        let key = AgreementKey(using: &random)
        let signature = identity.sign(profile.encoding.encode(key.publicKey), using: &random)
        held.signed.append(HeldPreKeys.Signed(id: takeID(), key: key, signature: signature))
        if let kem = profile.kem { held.lastResort.append(makeKEM(kem, using: &random)) }
        // However often it is called: a bounded number is kept.
        held.signed.removeFirst(max(0, held.signed.count - Self.mostSigned))
        held.lastResort.removeFirst(max(0, held.lastResort.count - Self.mostSigned))
        expire(at: now)
    }

    static let mostSigned = 64

    /// Deletes replaced prekeys past their grace.
    public mutating func expire(at now: Int64) {
        let grace = limits.grace
        held.signed.removeAll { $0.replaced.map { now - $0 > grace } ?? false }
        held.lastResort.removeAll { $0.replaced.map { now - $0 > grace } ?? false }
        let ids = Set(held.signed.map(\.id))
        held.remembered = held.remembered.filter { ids.contains($0.key) }
    }

    /// Makes one-time prekeys until `count` of each kind are ready to be given out.
    public mutating func replenish(to count: Int, using random: inout some RandomNumberGenerator) {
        while held.fresh.count < min(count, limits.oneTime) {
            let id = takeID()
            held.oneTime[id] = Secret(using: &random)
            held.fresh.append(id)
        }
        if let kem = profile.kem {
            while held.freshKEM.count < min(count, limits.oneTime) {
                let key = makeKEM(kem, using: &random)
                held.oneTimeKEM[key.id] = key
                held.freshKEM.append(key.id)
            }
        }
        // What was given out and never came back is given up, oldest first.
        for id in held.oneTime.keys.sorted().prefix(max(0, held.oneTime.count - 2 * limits.oneTime)) {
            held.oneTime[id] = nil
        }
        for id in held.oneTimeKEM.keys.sorted().prefix(max(0, held.oneTimeKEM.count - 2 * limits.oneTime)) {
            held.oneTimeKEM[id] = nil
        }
    }

    /// How many bundles with one-time prekeys are left.
    public var remaining: Int { held.fresh.count }

    /// A bundle for one initiator: with one-time prekeys while there are some, else without and with the last-resort KEM prekey.
    public mutating func takeBundle() -> PreKeyBundle {
        guard let signed = held.signed.last else { preconditionFailure("there is always a signed prekey") }
        var bundle = PreKeyBundle(
            identity: identity.publicKey,
            signed: .init(id: signed.id, key: signed.key.publicKey, signature: signed.signature)
        )
        if !held.fresh.isEmpty {
            let id = held.fresh.removeFirst()
            bundle.oneTime = held.oneTime[id].map { .init(id: id, key: AgreementKey($0).publicKey) }
        }
        if !held.freshKEM.isEmpty {
            bundle.kem = held.oneTimeKEM[held.freshKEM.removeFirst()]?.preKey(lastResort: false)
        }
        if bundle.kem == nil { bundle.kem = held.lastResort.last?.preKey(lastResort: true) }
        return bundle
    }

    /// The responder's side of an agreement. Nothing is used up: that is `consume`'s, when the message has authenticated.
    package func respond(to handshake: Handshake) throws(RatchetError) -> (agreed: AgreedSecret, own: AgreementKey) {
        guard let signed = held.signed.first(where: { $0.id == handshake.signedPreKey }) else {
            throw RatchetError(.unknownPreKey, "the signed prekey is not held")
        }
        if held.remembered[signed.id]?.contains(handshake.ephemeralKey) == true {
            throw RatchetError(.replayedInitialMessage, "the initial message was used before")
        }
        var oneTimeKey: AgreementKey?
        if let id = handshake.oneTimePreKey {
            guard let key = held.oneTime[id] else {
                throw RatchetError(.unknownPreKey, "the one-time prekey is not held")
            }
            oneTimeKey = AgreementKey(key)
        }
        var kem: KEMKeyPair?
        if let set = profile.kem {
            guard let encapsulation = handshake.encapsulation, encapsulation.kem == set else {
                throw RatchetError(.profileMismatch, "no ciphertext of \(set.name)")
            }
            guard
                let found = held.oneTimeKEM[encapsulation.preKey]
                    ?? held.lastResort.first(where: { $0.id == encapsulation.preKey })
            else { throw RatchetError(.unknownPreKey, "the KEM prekey is not held") }
            kem = found.key
        } else if handshake.encapsulation != nil {
            throw RatchetError(.profileMismatch, "a KEM ciphertext in X3DH")
        }
        let agreed = try KeyAgreement.respond(
            identity,
            to: handshake,
            signed: signed.key,
            oneTime: oneTimeKey,
            kem: kem,
            profile: profile
        )
        return (agreed, signed.key)
    }

    /// Deletes the one-time prekeys a handshake used, or remembers it when it used none.
    package mutating func consume(_ handshake: Handshake) throws(RatchetError) {
        let usedOneTime = handshake.oneTimePreKey.map { held.oneTime[$0] != nil } ?? false
        let usedKEM = handshake.encapsulation.map { held.oneTimeKEM[$0.preKey] != nil } ?? false
        if !usedOneTime && !usedKEM {
            guard held.remembered.values.reduce(0, { $0 + $1.count }) < limits.remembered else {
                throw RatchetError(.limitReached, "too many sessions began without a one-time prekey; rotate")
            }
            held.remembered[handshake.signedPreKey, default: []].insert(handshake.ephemeralKey)
        }
        if let id = handshake.oneTimePreKey {
            held.oneTime[id] = nil
            held.fresh.removeAll { $0 == id }
        }
        if let id = handshake.encapsulation?.preKey {
            held.oneTimeKEM[id] = nil
            held.freshKEM.removeAll { $0 == id }
        }
    }

    private mutating func takeID() -> UInt32 {
        defer { held.nextID = held.nextID == .max ? 1 : held.nextID + 1 }
        return held.nextID
    }

    private mutating func makeKEM(_ kem: KEMAlgorithm, using random: inout some RandomNumberGenerator)
        -> HeldPreKeys.SignedKEM
    {
        let key = KEMKeyPair(kem, using: &random)
        return HeldPreKeys.SignedKEM(
            id: takeID(),
            key: key,
            signature: identity.sign(kem.encode(key.publicKey), using: &random)
        )
    }

    // MARK: Saving

    /// The whole ring but the identity, secrets included: encrypt it before it is stored.
    public func save() -> [UInt8] {
        var writer = ByteWriter()
        writer.append(byte: 1)
        held.write(to: &writer)
        return writer.bytes
    }

    /// - Throws: `malformed` unless `saved` is what `save` gave, `profileMismatch` when it was of another KEM.
    public init(
        restoring saved: [UInt8],
        identity: IdentityKeyPair,
        profile: AgreementProfile,
        limits: Limits = Limits()
    ) throws(RatchetError) {
        var reader = ByteReader(saved)
        guard try reader.byte() == 1 else { throw RatchetError(.malformed, "another version") }
        let held = try HeldPreKeys(from: &reader, profile, limits)
        try reader.end()
        self.init(identity, profile, limits, held)
    }

    private init(_ identity: IdentityKeyPair, _ profile: AgreementProfile, _ limits: Limits, _ held: HeldPreKeys) {
        self.identity = identity
        self.profile = profile
        self.limits = limits
        self.held = held
    }
}
