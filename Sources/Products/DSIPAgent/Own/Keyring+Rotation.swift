import DSIPIdentity
import DSIPMessaging
import Encoding

/// Identities whose document a relay publishes, and their keys, which can be replaced (DSIP §7.5).
extension Keyring {
    /// Makes an identity of a document that is not published yet. Its key is a method named after itself, as relays have it.
    func createHosted(_ did: DID, name: String, relay: String, at now: Int64) throws(AgentError) -> Record {
        let device = device
        return try change { wallet throws(IdentityError) in
            let phrase = RecoveryPhrase.generate()
            let key = SigningKey(selfIssued: try phrase.controllerKey())
            return try wallet.restoreIdentity(
                from: phrase,
                publishedAs: DIDURL(did: did, fragment: key.publicKey.multibase),
                name: name.isEmpty ? "Me" : name,
                device: device,
                relay: relay,
                at: now
            )
        } as: {
            self.record($0)
        }
    }

    /// Forgets an identity that nobody has heard of.
    func discard(_ did: DID) throws(AgentError) {
        _ = try change { $0.remove(did) }
    }

    func isRotating(_ did: DID) -> Bool { wallet[did]?.isRotating ?? false }

    func hasRotated(_ did: DID, in document: DIDDocument) -> Bool { wallet[did]?.hasRotated(in: document) ?? false }

    /// What a rotation publishes.
    struct Rotation {
        /// The key that is retired.
        var old: SigningKey
        var next: PublicKey
        var revocations: [Envelope]
        var signed: WalletIdentity.Rotation
    }

    /// Draws the key that is to follow and keeps it, and signs all that goes with it; the identity goes on under its old key.
    func prepareRotation(of did: DID, reason: String, at now: Int64) throws(AgentError) -> Rotation {
        try change { wallet throws(IdentityError) in
            try wallet.update(did) { identity throws(IdentityError) in _ = try identity.prepareRotation() }
        }
        guard var identity = wallet[did], let old = identity.controller?.key else {
            throw AgentError(.notFound, "This is not one of your identities.")
        }
        do throws(IdentityError) {
            let signed = try identity.rotateController(reason: reason, at: now)
            guard let next = identity.controller?.key.publicKey else {
                throw IdentityError(.refused, "this device does not hold the controller key")
            }
            return Rotation(old: old, next: next, revocations: identity.revocations, signed: signed)
        } catch {
            throw AgentError(error, doing: "The key could not be replaced")
        }
    }

    /// The new key is published: from now on the identity is this.
    func finishRotation(of did: DID, reason: String, at now: Int64) throws(AgentError) -> Record {
        try change { wallet throws(IdentityError) in
            try wallet.update(did) { identity throws(IdentityError) in
                _ = try identity.rotateController(reason: reason, at: now)
                return identity
            }
        } as: {
            self.record($0)
        }
    }

    func revocations(of did: DID) -> [Envelope] { wallet[did]?.revocations ?? [] }
}
