import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding

/// Identities whose document their relay publishes (did:web), and how their key is replaced (DSIP §7.5).
///
/// ```
/// draw the next key and keep it ─► publish: new key, delegations and revocations under it, the record by the old key
///                                     ├─ refused, unknown: look at what is published; nothing has happened unless it names the new key
///                                     └─ published: take the key ─► tell devices (own-devices), contacts' relays (key-rotation)
/// ```
///
/// Nothing in flight is lost. The document publishes the devices' delegations anew, each since the one it replaces, so what a device
/// signed before stays bound by it; and for as long as somebody may hold the old document, devices present their former delegation, too.
extension Agent {
    func registration(of record: Keyring.Record) -> NameRegistration? {
        NameRegistration(hosting: record.did, alias: record.alias, at: record.relay)
    }

    /// Makes an identity whose document the relay publishes under `user`: its key can be replaced, and its name is its address.
    public func createIdentity(
        name: String,
        passphrase: String? = nil,
        hostedAs user: String
    ) async throws(AgentError) -> OwnIdentity {
        if let passphrase { try keyring.check(passphrase) }
        let relay = desks[current]?.relay ?? configuration.relay
        let registration = try NameRegistration(user, at: relay)
        guard let did = registration.did else {
            throw AgentError(.badRequest, "A name is letters, digits, dots and dashes, such as alice.")
        }
        // The key is kept before anybody hears of it.
        _ = try keyring.createHosted(did, name: name, relay: relay, at: now())
        guard let key = keyring.controllerKey(of: did) else {
            throw AgentError(.internal, "The identity could not be made.")
        }
        do throws(AgentError) {
            try await registration.claim(
                as: DIDKey.did(of: key.publicKey),
                by: key.selfIssued,
                publishing: .init(),
                through: fetcher,
                id: makeID(),
                at: now()
            )
        } catch {
            guard await published(did)?.verificationMethod(key.kid)?.publicKey == key.publicKey else {
                try keyring.discard(did)
                throw error
            }
        }
        let record = try keyring.setAlias(registration.alias.description, of: did)
        _ = await published(did)
        try openDesk(record)
        hub.publish(.stateChanged)
        return own(record)
    }

    /// The document as its place has it now.
    private func published(_ did: DID) async -> DIDDocument? {
        directory.resolver.forget(did)
        return try? await directory.resolver.resolve(did).document
    }

    /// Replaces the key of one of our identities, the current one unless `did` says which.
    ///
    /// The new key has a recovery phrase of its own; the old phrase is of no use afterwards.
    ///
    /// - Parameter reason: `scheduled`, `compromised` or `policy`.
    public func rotateKey(
        of did: String? = nil,
        reason: String = KeyRotation.Reason.scheduled,
        passphrase: String? = nil
    ) async throws(AgentError) -> OwnIdentity {
        if let passphrase { try keyring.check(passphrase) }
        guard
            [KeyRotation.Reason.scheduled, KeyRotation.Reason.compromised, KeyRotation.Reason.policy].contains(reason)
        else { throw AgentError(.badRequest, "“reason” must be scheduled, compromised or policy.") }
        let record = try record(did)
        guard record.did.method != "key" else {
            throw AgentError(.notAllowed, "This identity is its key, which cannot be replaced. Move to a new identity.")
        }
        guard let registration = registration(of: record) else {
            throw AgentError(.notAllowed, "The document of this identity is not published by your relay.")
        }
        guard keyring.controllerKey(of: record.did) != nil else {
            throw AgentError(.notAllowed, "Only the device that holds the identity’s own key can replace it.")
        }
        guard rotating.insert(record.did).inserted else {
            throw AgentError(.busy, "The key is being replaced already.")
        }
        defer { rotating.remove(record.did) }
        let rotation = try keyring.prepareRotation(of: record.did, reason: reason, at: now())
        do throws(AgentError) {
            try await registration.claim(
                as: record.did,
                by: rotation.old,
                publishing: NameRegistration.Document(
                    nextKey: rotation.next,
                    revocations: rotation.revocations,
                    delegations: rotation.signed.delegations.sorted { $0.key < $1.key }.map(\.value),
                    rotation: rotation.signed.record
                ),
                through: fetcher,
                id: makeID(),
                at: now()
            )
        } catch {
            // An answer may have been lost on its way.
            guard let document = await published(record.did), keyring.hasRotated(record.did, in: document) else {
                throw AgentError(error.code, "The key was not replaced. \(error.message)")
            }
        }
        return try await tookKey(record.did, reason: reason, announcing: rotation.signed.record)
    }

    /// The published document names the new key.
    private func tookKey(
        _ did: DID,
        reason: String,
        announcing record: Envelope? = nil
    ) async throws(AgentError) -> OwnIdentity {
        let identity = try keyring.finishRotation(of: did, reason: reason, at: now())
        _ = await published(did)
        if let desk = desks[did] {
            present(desk)
            if let record { distribute(record, desk, to: { $0 != desk.relay }) }
            announceSoon(did)
            reschedule()
        }
        hub.publish(.stateChanged)
        return own(identity)
    }

    /// At the relay again: what our document publishes for this device is taken, and a rotation that was broken off is ended.
    func adoptPublished(_ desk: Desk) {
        let did = desk.identity
        guard did.method != "key" else { return }
        Task {
            guard let document = await published(did), let desk = desks[did], !rotating.contains(did) else { return }
            if keyring.isRotating(did), keyring.hasRotated(did, in: document) {
                _ = try? await tookKey(did, reason: KeyRotation.Reason.scheduled)
                return
            }
            for delegation in document.delegations
            where keyring.adopt(delegation, of: did, document: document, at: now()) {
                present(desk)
                return reschedule()
            }
        }
    }

    /// A device was revoked: the document says so, too.
    func publishRevocations(of did: DID) {
        guard let record = try? record(did.string), let registration = registration(of: record),
            let key = keyring.controllerKey(of: did)
        else { return }
        let document = NameRegistration.Document(revocations: keyring.revocations(of: did))
        Task {
            do throws(AgentError) {
                try await registration.claim(
                    as: did,
                    by: key,
                    publishing: document,
                    through: fetcher,
                    id: makeID(),
                    at: now()
                )
            } catch {
                hub.publish(
                    .notice(level: .warning, sentence: "Your document does not say yet that the device is gone.")
                )
            }
        }
    }
}
