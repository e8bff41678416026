import Crypto
import DSIPIdentity
import Encoding
import FoundationEssentials

/// The wallet on disk, for the agent: who we are, what this device signs with, whose keys were first seen.
///
/// Confined to the agent actor. Every change is saved before the method returns; a save that fails changes nothing.
final class Keyring {
    /// One of our identities.
    struct Record: Sendable, Hashable {
        var did: DID
        var name: String
        var alias: String?
        var relay: String
        var throwawayFor: String?
        var phraseConfirmed: Bool
    }

    private(set) var wallet: Wallet
    private var file: WalletFile
    private let configuration: AgentConfiguration
    private let store: AgentStore

    /// Opens the wallet of the state folder, or makes it on the first run.
    /// - Throws: `.wrongPassphrase`, `.damaged`, `.internal`; nothing is overwritten then.
    init(_ configuration: AgentConfiguration, store: AgentStore) throws(AgentError) {
        self.configuration = configuration
        self.store = store
        let path = configuration.stateFolder + "/wallet.json"
        let keyPath = configuration.stateFolder + "/wallet.key"
        do throws(IdentityError) {
            switch try WalletFile.wantsPassphrase(path) {
            case nil:
                let secret: WalletSecret
                if let passphrase = configuration.passphrase {
                    secret = .passphrase(passphrase)
                } else if FileManager.default.fileExists(atPath: keyPath) {
                    secret = try KeyFile.read(keyPath)
                } else {
                    secret = try KeyFile.create(at: keyPath)
                }
                wallet = Wallet()
                file = try WalletFile.create(at: path, wallet, secret: secret)
            case true?:
                guard let passphrase = configuration.passphrase else {
                    throw IdentityError(.wrongPassphrase, "the wallet asks for its passphrase")
                }
                (file, wallet) = try WalletFile.open(path, secret: .passphrase(passphrase))
            case false?:
                (file, wallet) = try WalletFile.open(path, secret: KeyFile.read(keyPath))
            }
        } catch {
            throw AgentError(error, doing: "The wallet could not be opened")
        }
    }

    // MARK: Who we are

    var identities: [Record] { wallet.identities.map(record) }

    func record(_ identity: WalletIdentity) -> Record {
        Record(
            did: identity.did,
            name: identity.name,
            alias: identity.alias?.description,
            relay: identity.relay ?? configuration.relay,
            throwawayFor: identity.contact?.string,
            phraseConfirmed: identity.backedUpAt != nil
        )
    }

    /// The identity shown; the first one unless another was chosen.
    var current: DID? {
        let chosen = ((try? store.setting("identity")) ?? nil).flatMap { DID($0) }
        if let chosen, wallet[chosen] != nil { return chosen }
        return (wallet.identities.first { !$0.isThrowaway } ?? wallet.identities.first)?.did
    }

    func select(_ did: DID) throws(AgentError) { try store.set("identity", did.string) }

    func isThrowaway(_ did: DID) -> Bool { wallet[did]?.isThrowaway ?? false }

    /// What this device signs with for an identity; its delegation is renewed in time when that can be done here.
    func signer(for did: DID, at now: Int64) -> (SigningKey, [Envelope])? {
        guard let identity = wallet[did] else { return nil }
        if identity.needsRenewal(at: now), identity.canDelegate {
            _ = try? change { wallet throws(IdentityError) in
                try wallet.update(did) { identity throws(IdentityError) in try identity.renewDelegation(at: now) }
            }
        }
        guard let renewed = wallet[did], renewed.delegation != nil else { return nil }
        return (renewed.device, renewed.presented(at: now))
    }

    /// What encrypts this device's messages and group states of an identity on disk; made at the first need.
    func dataKey(of did: DID) throws(AgentError) -> SymmetricKey {
        if wallet[did]?.dataKey == nil {
            try change { wallet throws(IdentityError) in
                try wallet.update(did) { identity throws(IdentityError) in identity.makeDataKey() }
            }
        }
        guard let key = wallet[did]?.dataKey else {
            throw AgentError(.notFound, "This is not one of your identities.")
        }
        return key
    }

    func controllerKey(of did: DID) -> SigningKey? { wallet[did]?.controller?.key }

    /// When the delegation of a retired key is presented no more; nil when none is.
    func overlapEnds(of did: DID) -> Int64? { wallet[did]?.overlapEnds }

    var device: DeviceDescription {
        DeviceDescription(
            name: configuration.deviceName,
            kind: Delegation.DeviceClass(rawValue: configuration.deviceKind.rawValue) ?? .computer
        )
    }

    // MARK: Changes

    func create(name: String, relay: String, throwawayFor contact: DID?, at now: Int64) throws(AgentError) -> Record {
        try change { wallet throws(IdentityError) in
            try wallet.createIdentity(
                name: name.isEmpty ? "Me" : name,
                device: self.device,
                relay: relay,
                for: contact,
                at: now
            )
        } as: {
            self.record($0)
        }
    }

    func restore(words: [String], name: String, relay: String, at now: Int64) throws(AgentError) -> Record {
        try change { wallet throws(IdentityError) in
            try wallet.restoreIdentity(
                from: RecoveryPhrase(words.joined(separator: " ")),
                name: name,
                device: self.device,
                relay: relay,
                at: now
            )
        } as: {
            self.record($0)
        }
    }

    func rename(_ did: DID, to name: String) throws(AgentError) -> Record {
        try update(did) { $0.name = name }
    }

    func setAlias(_ alias: String, of did: DID) throws(AgentError) -> Record {
        try update(did) { $0.alias = Alias(alias) }
    }

    func confirmPhrase(of did: DID, at now: Int64) throws(AgentError) -> Record {
        try update(did) { $0.backedUpAt = now }
    }

    private func update(_ did: DID, _ body: (inout WalletIdentity) -> Void) throws(AgentError) -> Record {
        _ = try change { wallet throws(IdentityError) in
            try wallet.update(did) { identity throws(IdentityError) in body(&identity) }
        }
        guard let identity = wallet[did] else { throw AgentError(.notFound, "This is not one of your identities.") }
        return record(identity)
    }

    /// Changes the wallet in memory and on disk, or in neither.
    func change<R>(_ body: (inout Wallet) throws(IdentityError) -> R) throws(AgentError) -> R {
        var changed = wallet
        do throws(IdentityError) {
            let result = try body(&changed)
            try file.save(changed)
            wallet = changed
            return result
        } catch {
            throw AgentError(error, doing: "That could not be done")
        }
    }

    func change<R, S>(
        _ body: (inout Wallet) throws(IdentityError) -> R,
        as show: (R) -> S
    ) throws(AgentError) -> S {
        show(try change(body))
    }

    // MARK: Phrase and backup

    /// - Throws: `.wrongPassphrase` unless `passphrase` opens the wallet.
    func check(_ passphrase: String) throws(AgentError) {
        guard configuration.passphrase == nil || configuration.passphrase == passphrase else {
            throw AgentError(.wrongPassphrase, "That is not the passphrase of this wallet.")
        }
    }

    func phrase(of did: DID) throws(AgentError) -> [String] {
        guard let controller = wallet[did]?.controller else {
            throw AgentError(
                .notAllowed,
                "This device was added later and does not hold the recovery phrase. Look on the first one."
            )
        }
        return controller.phrase.words
    }

    func exportBackup(passphrase: String) throws(AgentError) -> String {
        do {
            return Base64URL.encode(try Backup.export(wallet, passphrase: passphrase))
        } catch {
            throw AgentError(error, doing: "The backup could not be made")
        }
    }

    /// - Returns: the identities that were not here before.
    func importBackup(_ backup: String, passphrase: String, at now: Int64) throws(AgentError) -> [Record] {
        guard let bytes = Base64URL.decode(backup.trimmed) else {
            throw AgentError(.damaged, "This is no backup, or a part of it is missing.")
        }
        let before = Set(wallet.identities.map(\.did))
        let device = device
        _ = try change { wallet throws(IdentityError) in
            try wallet.merge(Backup.restore(bytes, passphrase: passphrase, device: device, at: now), at: now)
        }
        return identities.filter { !before.contains($0.did) }
    }

    // MARK: Keys first seen

    /// Compares a document's keys with those first seen: a change is held until accepted, unless the old keys vouch for the new ones.
    func observe(_ document: DIDDocument, at now: Int64) -> PinStore.Observation? {
        let keys = document.verificationMethods.map(\.publicKey)
        guard document.id.method != "key", !keys.isEmpty else { return nil }
        var seen = wallet.pins
        guard
            let observation = try? seen.observe(document.id, keys: keys, rotations: document.keyRotations, at: now)
        else { return nil }
        if seen != wallet.pins { _ = try? change { $0.pins = seen } }
        return observation
    }

    func history(of did: DID) -> [Contact.KeyStep] { wallet.pins.history(did).map(Contact.KeyStep.init) }

    func acceptKeys(of did: DID, at now: Int64) throws(AgentError) {
        _ = try change { $0.pins.accept(did, at: now) }
    }

    // MARK: Devices

    func devices(of did: DID) -> [Device] {
        guard let identity = wallet[did] else { return [] }
        func kind(_ description: DeviceDescription) -> Device.Kind {
            Device.Kind(rawValue: description.kind.rawValue) ?? .computer
        }
        var devices = identity.devices.map { known in
            let revocation = known.revokedAt.flatMap { _ in
                identity.revocations.compactMap(DelegationRevocation.decode).last { $0.device == known.did }
            }
            return Device(
                did: known.did,
                name: known.description.name,
                kind: kind(known.description),
                isThis: known.did == identity.device.did,
                issuedAt: known.delegatedAt,
                expiresAt: known.expiresAt,
                revokedAt: known.revokedAt,
                revokedReason: revocation?.reason
            )
        }
        if !devices.contains(where: \.isThis) {
            let delegation = identity.delegation.flatMap(Delegation.decode)
            devices.append(
                Device(
                    did: identity.device.did,
                    name: identity.deviceDescription.name,
                    kind: kind(identity.deviceDescription),
                    isThis: true,
                    issuedAt: delegation?.issuedAt ?? 0,
                    expiresAt: delegation?.expiresAt ?? 0
                )
            )
        }
        return devices.sorted { ($0.isThis ? 0 : 1, $0.issuedAt) < ($1.isThis ? 0 : 1, $1.issuedAt) }
    }

    struct PairingView {
        var code: String
        var device: DID
        var name: String
        var kind: String
        /// For the eye to compare on both devices.
        var words: String
        var expiresAt: Int64
        var relay: String?

        init(_ request: PairingRequest) throws(AgentError) {
            do {
                words = try request.comparisonWords()
            } catch {
                throw AgentError(error, doing: "The code could not be read")
            }
            code = request.code
            device = request.device
            name = request.description.name
            kind = request.description.kind.rawValue
            expiresAt = request.expiresAt
            relay = request.relay
        }
    }

    func beginPairing(at now: Int64) throws(AgentError) -> PairingView {
        let description = device
        let relay = configuration.relay
        let request = try change { wallet throws(IdentityError) in
            try wallet.requestPairing(as: description, relay: relay, at: now)
        }
        return try PairingView(request)
    }

    /// The key of a pairing request of this device, to be reachable by it at the relay.
    func pairingKey(of device: DID) -> SigningKey? {
        wallet.pendingPairings.first { $0.request.device == device }?.deviceKey
    }

    func inspectPairing(_ code: String, at now: Int64) throws(AgentError) -> PairingView {
        let view = try PairingView(parse(code))
        guard view.expiresAt > now else {
            throw AgentError(.notAllowed, "The code has expired. Make a new one on the new device.")
        }
        return view
    }

    private func parse(_ code: String) throws(AgentError) -> PairingRequest {
        do {
            return try PairingRequest(parsing: code.trimmed)
        } catch {
            throw AgentError(.badRequest, "This is no pairing code: \(error.reason).")
        }
    }

    /// - Returns: the device, and the sealed grant for it.
    func approvePairing(
        _ code: String,
        name: String,
        identity: DID,
        sharing contacts: JSONValue,
        at now: Int64
    ) throws(AgentError) -> (device: Device, grant: String, relay: String?) {
        let request = try parse(code)
        let grant = try change { wallet throws(IdentityError) in
            let grant = try wallet.approve(request, as: identity, sharing: contacts, at: now)
            try wallet.update(identity) { own throws(IdentityError) in
                own.rename(device: request.device, to: name)
            }
            return grant
        }
        guard let device = devices(of: identity).first(where: { $0.did == request.device }) else {
            throw AgentError(.internal, "The device could not be added.")
        }
        return (device, grant, request.relay)
    }

    /// Whose device this becomes by an answer.
    func identity(grantedBy answer: String) throws(AgentError) -> DID {
        do {
            return try wallet.open(answer).identity
        } catch {
            throw AgentError(error, doing: "The answer could not be read")
        }
    }

    /// Takes part in the identity an answer is for.
    /// - Returns: the identity, and the contacts that came with it.
    func completePairing(
        _ answer: String,
        document: DIDDocument?,
        at now: Int64
    ) throws(AgentError) -> (record: Record, contacts: JSONValue?) {
        let (identity, contacts) = try change { wallet throws(IdentityError) in
            let contacts = try wallet.open(answer).contacts
            return (try wallet.complete(answer, document: document, at: now), contacts)
        }
        return (record(identity), contacts)
    }

    /// A new delegation for another device of ours that comes with one to be renewed; nil when that cannot be done here.
    func renew(_ held: Delegation, at now: Int64) -> Envelope? {
        guard held.needsRenewal(at: now), let identity = wallet[held.subject], identity.canDelegate,
            let known = identity.devices.first(where: { $0.did == held.device }), known.revokedAt == nil
        else { return nil }
        return try? change { wallet throws(IdentityError) in
            try wallet.update(held.subject) { identity throws(IdentityError) in
                try identity.delegate(to: held.device, known.description, at: now)
            }
        }
    }

    /// Takes a delegation that another device of ours gave to this one, when it is a later one than that held.
    func adopt(_ delegation: Envelope, of did: DID, document: DIDDocument, at now: Int64) -> Bool {
        guard let offered = Delegation.decode(delegation), wallet[did]?.prefers(delegation, in: document) == true else {
            return false
        }
        // The other clock may be ahead of ours by as much as signaling tolerates (DSIP §12.9).
        let at = offered.issuedAt > now && offered.issuedAt <= now + 300 ? offered.issuedAt : now
        let adopted: Void? = try? change { wallet throws(IdentityError) in
            try wallet.update(did) { identity throws(IdentityError) in
                try identity.adopt(delegation, document: document, at: at)
            }
        }
        return adopted != nil
    }

    /// What the person calls one of their devices, here. The delegation of another stays as it was signed; of this one, the next.
    func rename(_ device: DID, of did: DID, to name: String) throws(AgentError) -> Device {
        try change { wallet throws(IdentityError) in
            try wallet.update(did) { identity throws(IdentityError) in
                identity.rename(device: device, to: name)
                if device == identity.device.did { identity.deviceDescription.name = name }
            }
        }
        guard let renamed = devices(of: did).first(where: { $0.did == device }), renamed.name == name else {
            throw AgentError(.notFound, "This is not one of your devices.")
        }
        return renamed
    }

    func revoke(
        _ device: DID,
        of did: DID,
        reason: String,
        at now: Int64
    ) throws(AgentError) -> (device: Device, record: Envelope) {
        let record = try change { wallet throws(IdentityError) in
            try wallet.update(did) { identity throws(IdentityError) in
                try identity.revoke(device, reason: reason, at: now)
            }
        }
        guard let revoked = devices(of: did).first(where: { $0.did == device }) else {
            throw AgentError(.notFound, "This is not one of your devices.")
        }
        return (revoked, record)
    }
}

extension AgentError {
    init(_ error: IdentityError, doing what: String) {
        let code: Code =
            switch error.code {
            case .wrongPassphrase: .wrongPassphrase
            case .damaged: .damaged
            case .notFound: .notFound
            case .malformed, .tooLarge, .unsupported: .badRequest
            case .refused: .notAllowed
            case .unreachable: .unreachable
            case .signing, .storage: .internal
            }
        self.init(code, "\(what): \(error.reason).")
    }
}
