import Crypto
import Encoding

extension WalletIdentity {
    /// What follows from a new controller key, to be published and handed out.
    public struct Rotation: Sendable {
        /// The `key-rotation` record, signed by the retired key.
        public var record: Envelope
        /// Delegations under the new key for the devices that are not revoked, this one included. Each holds since the one that it
        /// replaces: published with the document, they bind what those devices signed before.
        public var delegations: [DID: Envelope]
    }

    /// Draws the controller key that is to follow, with a phrase of its own, unless one waits already. Save the wallet, then publish.
    ///
    /// - Returns: the key, which the new document names.
    /// - Throws: `.refused` without the controller key or for a did:key, which is its key.
    @discardableResult
    public mutating func prepareRotation() throws(IdentityError) -> PublicKey {
        if let nextController { return nextController.key.publicKey }
        guard let old = controller else {
            throw IdentityError(.refused, "this device does not hold the controller key")
        }
        guard did.method != "key" else { throw IdentityError(.refused, "a did:key is its key and cannot rotate it") }
        let phrase = RecoveryPhrase.generate()
        let key = PublicKey.ed25519(try phrase.controllerKey().publicKey)
        // Where the place of publication names methods after their keys, so is the next one.
        let isNamedAfterKey = old.key.kid.fragment == old.key.publicKey.multibase
        let fragment = isNamedAfterKey ? key.multibase : WalletIdentity.fragment(after: old.key.kid.fragment)
        nextController = try Controller(phrase: phrase, kid: DIDURL(did: did, fragment: fragment))
        return key
    }

    /// Whether `document` names the key that ``prepareRotation()`` drew: the rotation is published, whoever heard of it.
    public func hasRotated(in document: DIDDocument) -> Bool {
        guard let next = nextController?.key else { return false }
        return document.verificationMethod(next.kid)?.publicKey == next.publicKey
    }

    /// Takes the new controller key for an identity whose document can change (DSIP §7.5); one is drawn unless it was prepared.
    ///
    /// Everything that the old key signed ends with it once the document is replaced: delegations and revocations are
    /// therefore signed again, and `document()` gives the new document from now on. The new phrase is not backed up yet.
    ///
    /// - Throws: `.refused` without the controller key or for a did:key, which is its key.
    public mutating func rotateController(
        reason: String = KeyRotation.Reason.scheduled,
        at now: Int64
    ) throws(IdentityError) -> Rotation {
        var next = self
        try next.prepareRotation()
        guard let old = controller, let controller = next.nextController else {
            throw IdentityError(.refused, "this device does not hold the controller key")
        }
        (next.controller, next.nextController, next.backedUpAt, next.revocations) = (controller, nil, nil, [])
        for record in revocations.compactMap(DelegationRevocation.decode) {
            next.revocations.append(try record.issue(by: controller.key))
        }
        var delegations: [DID: Envelope] = [:]
        for known in devices where known.revokedAt == nil && known.expiresAt > now {
            let since = min(known.delegatedAt, now)
            delegations[known.did] = try next.delegate(to: known.did, known.description, since: since, at: now)
        }
        if let own = delegations[device.did] { next.delegation = own } else { try next.renewDelegation(at: now) }
        // The oldest one that is presented serves for every document since.
        let former = overlap.flatMap { now < $0.until ? $0.delegation : nil } ?? delegation
        next.overlap = former.map { Overlap(delegation: $0, until: now.adding(DocumentCache.Policy().ceiling)) }
        var generator = SystemRandomNumberGenerator()
        let record = KeyRotation(
            id: ULID(milliseconds: UInt64(max(0, min(now, 1 << 37))) * 1000, using: &generator),
            subject: did,
            previous: old.key.kid,
            next: controller.key.kid,
            nextPublicKey: controller.key.publicKey,
            reason: reason,
            devices: delegations.keys.sorted(),
            issuedAt: now,
            expiresAt: now.adding(86_400)
        )
        let envelope = try record.issue(by: old.key)
        self = next
        return Rotation(record: envelope, delegations: delegations)
    }

    /// `key-1` is followed by `key-2`, and so is a name without a number.
    private static func fragment(after fragment: String) -> String {
        if let dash = fragment.lastIndex(of: "-"), let number = UInt32(fragment[fragment.index(after: dash)...]),
            number < .max
        {
            return "\(fragment[..<dash])-\(number + 1)"
        }
        return "key-2"
    }
}
