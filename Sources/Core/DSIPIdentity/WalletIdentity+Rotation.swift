import Encoding

extension WalletIdentity {
    /// What follows from a new controller key, to be published and handed out.
    public struct Rotation: Sendable {
        /// The `key-rotation` record, signed by the retired key.
        public var record: Envelope
        /// Delegations under the new key for the devices that are not revoked, this one included.
        public var delegations: [DID: Envelope]
    }

    /// Draws a new controller key, with a phrase of its own, for an identity whose document can change (DSIP §7.5).
    ///
    /// Everything that the old key signed ends with it once the document is replaced: delegations and revocations are
    /// therefore signed again, and `document()` gives the new document from now on. The new phrase is not backed up yet.
    ///
    /// - Throws: `.refused` without the controller key or for a did:key, which is its key.
    public mutating func rotateController(
        reason: String = KeyRotation.Reason.scheduled,
        at now: Int64
    ) throws(IdentityError) -> Rotation {
        guard let old = controller else {
            throw IdentityError(.refused, "this device does not hold the controller key")
        }
        guard did.method != "key" else { throw IdentityError(.refused, "a did:key is its key and cannot rotate it") }
        var next = self
        let kid = DIDURL(did: did, fragment: WalletIdentity.fragment(after: old.key.kid.fragment))
        let controller = try Controller(phrase: .generate(), kid: kid)
        next.controller = controller
        next.backedUpAt = nil
        next.revocations = []
        for record in revocations.compactMap(DelegationRevocation.decode) {
            next.revocations.append(try record.issue(by: controller.key))
        }
        var delegations: [DID: Envelope] = [:]
        for known in devices where known.revokedAt == nil && known.expiresAt > now {
            delegations[known.did] = try next.delegate(to: known.did, known.description, at: now)
        }
        if let own = delegations[device.did] { next.delegation = own } else { try next.renewDelegation(at: now) }
        var generator = SystemRandomNumberGenerator()
        let record = KeyRotation(
            id: ULID(milliseconds: UInt64(max(0, min(now, 1 << 37))) * 1000, using: &generator),
            subject: did,
            previous: old.key.kid,
            next: kid,
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
