import Crypto
import Encoding

extension Wallet {
    /// On the new device: makes a key and the request to show. Older requests that have expired are dropped.
    ///
    /// - Throws: as `PairingRequest.init`.
    public mutating func requestPairing(
        as description: DeviceDescription,
        relay: String? = nil,
        at now: Int64
    ) throws(IdentityError) -> PairingRequest {
        let key = SigningKey()
        let request = try PairingRequest(key: key, description: description, relay: relay, at: now)
        pendingPairings.removeAll { $0.request.expiresAt + 300 <= now }
        if pendingPairings.count >= 8 { pendingPairings.removeFirst() }
        pendingPairings.append(PendingPairing(request: request, key: key))
        return request
    }

    /// On the old device, once its owner has compared the words: delegates to the new one.
    ///
    /// - Returns: `dsip-grant:…`, for the new device alone.
    /// - Throws: `.refused` for an expired request or without the controller key, `.notFound`, `.tooLarge`.
    public mutating func approve(
        _ request: PairingRequest,
        as did: DID,
        sharing contacts: JSONValue? = nil,
        at now: Int64
    ) throws(IdentityError) -> String {
        try request.checkTime(now)
        return try update(did) { identity throws(IdentityError) in
            let delegation = try identity.delegate(to: request.device, request.description, at: now)
            let grant = PairingGrant(
                identity: identity.did,
                name: identity.name,
                alias: identity.alias,
                relay: identity.relay,
                delegation: delegation,
                contacts: contacts
            )
            return try grant.sealed(for: request)
        }
    }

    /// On the new device: what an answer says, for its owner to see whose device this becomes. Nothing is changed.
    ///
    /// - Throws: `.malformed`, or `.refused` when no request of this device fits.
    public func open(_ answer: String) throws(IdentityError) -> PairingGrant {
        try matching(answer).grant
    }

    /// On the new device: takes part in the identity.
    ///
    /// - Parameter document: of the granted identity; not needed for a did:key.
    /// - Throws: `.refused` when the delegation does not hold; the request stays open then.
    @discardableResult
    public mutating func complete(
        _ answer: String,
        document: DIDDocument? = nil,
        at now: Int64
    ) throws(IdentityError) -> WalletIdentity {
        let (pending, grant) = try matching(answer)
        guard let document = document ?? DIDKey.document(of: grant.identity) else {
            throw IdentityError(.notFound, "the document of the identity is needed to check the delegation")
        }
        var identity = WalletIdentity(
            did: grant.identity,
            name: grant.name,
            relay: grant.relay,
            contact: nil,
            controller: nil,
            device: pending.key,
            deviceDescription: pending.request.description,
            createdAt: now
        )
        identity.alias = grant.alias
        // The grantor's clock may be ahead of ours by as much as signaling tolerates (DSIP §12.9).
        let issuedAt = Delegation.decode(grant.delegation)?.issuedAt ?? now
        try identity.adopt(
            grant.delegation,
            document: document,
            at: issuedAt > now && issuedAt <= now + 300 ? issuedAt : now
        )
        // A device that held the identity before, such as one restored without the controller key, is replaced; an owner
        // is not.
        if let old = self[grant.identity] {
            guard old.controller == nil else { throw IdentityError(.refused, "this device owns the identity already") }
            remove(grant.identity)
        }
        try add(identity, at: now)
        pendingPairings.removeAll { $0.request == pending.request }
        return identity
    }

    private func matching(_ answer: String) throws(IdentityError) -> (pending: PendingPairing, grant: PairingGrant) {
        var refusal = IdentityError(.refused, "this device has shown no pairing code that the answer could be for")
        for pending in pendingPairings {
            do throws(IdentityError) {
                return (pending, try PairingGrant(opening: answer, with: pending))
            } catch { refusal = error }
        }
        throw refusal
    }
}
