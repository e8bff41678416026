import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding

/// The person's own identities.
extension Agent {
    /// The identity that is shown and that calls are placed as.
    var current: DID { keyring.current ?? desks.keys.sorted().first ?? Agent.nobody }

    /// Stands where no identity is open yet; it is nobody's and matches none.
    private static let nobody = DID("did:key:none")!

    public func ownIdentities() -> [OwnIdentity] { keyring.identities.map(own) }

    func own(_ record: Keyring.Record) -> OwnIdentity {
        var identity = OwnIdentity(
            did: record.did,
            name: record.name,
            alias: record.alias,
            relay: record.relay,
            current: record.did == keyring.current,
            throwawayFor: contactID(record),
            phraseConfirmed: record.phraseConfirmed,
            canRotate: registration(of: record) != nil && keyring.controllerKey(of: record.did) != nil,
            uri: link(to: record).description
        )
        identity.movedTo = ownMove(of: record.did)?.move.new
        return identity
    }

    private func contactID(_ record: Keyring.Record) -> String? {
        guard let did = record.throwawayFor.flatMap({ DID($0) }) else { return nil }
        return ((try? store.contact(did: did, of: record.did)) ?? nil)?.id
    }

    private func link(to record: Keyring.Record) -> IdentityURI {
        IdentityURI(
            .did(record.did),
            relay: record.did.method == "key" ? record.relay : nil,
            name: record.name.isEmpty ? nil : record.name
        )
    }

    func record(_ did: String?) throws(AgentError) -> Keyring.Record {
        guard let wanted = did == nil ? keyring.current : DID(did!),
            let record = keyring.identities.first(where: { $0.did == wanted })
        else { throw AgentError(.notFound, "This is not one of your identities.") }
        return record
    }

    /// The `dsip:` link of one of our identities, and its QR code as SVG.
    public func qr(of did: String?) throws(AgentError) -> (uri: String, svg: String) {
        let record = try record(did)
        let uri = link(to: record).description
        do {
            return (
                uri, try QRCode(uri).svg(label: "QR code of \(record.name.isEmpty ? "your identity" : record.name)")
            )
        } catch {
            throw AgentError(.internal, "The QR code could not be drawn: \(error.reason).")
        }
    }

    /// Makes an identity. One that is thrown away later belongs to a single contact, with a key of its own that nothing else shares.
    public func createIdentity(
        name: String,
        passphrase: String? = nil,
        throwawayFor contact: String? = nil
    ) throws(AgentError) -> OwnIdentity {
        if let passphrase { try keyring.check(passphrase) }
        var known: Contact?
        if let contact {
            known = try store.contact(id: contact)
            guard known != nil else { throw AgentError(.notFound, "This contact no longer exists.") }
        }
        let relay = desks[current]?.relay ?? configuration.relay
        let record = try keyring.create(name: name, relay: relay, throwawayFor: known?.did, at: now())
        if var known {
            // The contact moves to the identity made for it: from now on the two meet nowhere else.
            _ = try store.removeContact(id: known.id, at: changeTime(of: known.did, owner: known.owner))
            announceSoon(known.owner)
            known.owner = record.did
            known.pairwise = true
            try store.save(known)
        }
        try openDesk(record)
        hub.publish(.stateChanged)
        return own(record)
    }

    public func selectIdentity(_ did: String) throws(AgentError) {
        let record = try record(did)
        try keyring.select(record.did)
        if let desk = desks[record.did] {
            relayStatus = RelayStatus(
                url: desk.relay,
                state: .connecting,
                since: now(),
                sentence: "Connecting to the relay."
            )
            links.link(owner: desk.identity, url: desk.relay).report()
        }
        hub.publish(.stateChanged)
    }

    public func renameIdentity(_ did: String, name: String) throws(AgentError) -> OwnIdentity {
        let record = try keyring.rename(record(did).did, to: name)
        desks[record.did]?.name = name
        hub.publish(.stateChanged)
        return own(record)
    }

    // MARK: Phrase and backup

    /// The 24 words that the controller key of the current identity is made from.
    public func recoveryPhrase(passphrase: String? = nil) throws(AgentError) -> [String] {
        if let passphrase { try keyring.check(passphrase) }
        return try keyring.phrase(of: current)
    }

    /// - Parameter words: some of the words by their place, from 1.
    public func confirmPhrase(_ words: [Int: String]) throws(AgentError) {
        let phrase = try keyring.phrase(of: current)
        for (place, word) in words {
            guard phrase.indices.contains(place - 1), phrase[place - 1] == word.trimmed.lowercased() else {
                throw AgentError(.badRequest, "Word \(place) is not right. Look at your note again.")
            }
        }
        _ = try keyring.confirmPhrase(of: current, at: now())
        hub.publish(.stateChanged)
    }

    public func restoreIdentity(words: [String], name: String) throws(AgentError) -> OwnIdentity {
        let record = try keyring.restore(words: words, name: name, relay: configuration.relay, at: now())
        try openDesk(record)
        try keyring.select(record.did)
        hub.publish(.stateChanged)
        return own(record)
    }

    /// - Returns: the encrypted backup in base64, and a name for the file.
    public func exportBackup(passphrase: String) throws(AgentError) -> (backup: String, filename: String) {
        (try keyring.exportBackup(passphrase: passphrase), "dsip-backup-\(now()).txt")
    }

    public func importBackup(_ backup: String, passphrase: String) throws(AgentError) -> OwnIdentity {
        let records = try keyring.importBackup(backup, passphrase: passphrase, at: now())
        for record in records { try openDesk(record) }
        guard let first = records.first else {
            throw AgentError(.notAllowed, "Everything in this backup is on this device already.")
        }
        try keyring.select(first.did)
        hub.publish(.stateChanged)
        return own(first)
    }

    /// Claims `name@relay` for the current identity by a request that the identity signs.
    public func registerName(_ name: String) async throws(AgentError) -> String {
        let record = try record(nil)
        guard let key = keyring.controllerKey(of: record.did) else {
            throw AgentError(.notAllowed, "Only the device that holds the identity’s own key can register a name.")
        }
        guard record.did.method == "key" else {
            throw AgentError(.notAllowed, "This identity has its name for good: \(record.alias ?? record.did.string).")
        }
        let registration = try NameRegistration(name, at: record.relay)
        try await registration.claim(as: record.did, by: key, through: fetcher, id: makeID(), at: now())
        let alias = registration.alias.description
        _ = try keyring.setAlias(alias, of: record.did)
        hub.publish(.stateChanged)
        return alias
    }

    // MARK: Trust

    /// On what basis somebody is who they say (DSIP §18.1).
    func basis(of did: DID) -> [String] { TrustLines.lines(for: did) }
}
