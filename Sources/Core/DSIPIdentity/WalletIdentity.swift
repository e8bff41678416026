import Crypto
import Encoding

/// One identity in a wallet: who it is, this device's key for it, and what is known of its other devices.
///
/// A device that was added by pairing holds no controller key: it acts by its delegation and can neither delegate nor
/// revoke. Each identity has a device key of its own, so that two identities of one owner have no key in common.
public struct WalletIdentity: Sendable {
    /// The controller key, as the phrase it comes from.
    public struct Controller: Sendable {
        public let phrase: RecoveryPhrase
        public let key: SigningKey

        /// - Parameter kid: the method in a published document; nil for the did:key of the key itself.
        init(phrase: RecoveryPhrase, kid: DIDURL? = nil) throws(IdentityError) {
            let key = try phrase.controllerKey()
            self.phrase = phrase
            self.key = kid.map { SigningKey(kid: $0, key: key) } ?? SigningKey(selfIssued: key)
        }
    }

    /// A device that this wallet delegated to, or this device itself.
    public struct KnownDevice: Hashable, Sendable {
        public var did: DID
        public var description: DeviceDescription
        /// Unix seconds of its latest delegation.
        public var delegatedAt: Int64
        public var expiresAt: Int64
        public var revokedAt: Int64?
    }

    public static let maximumDevices = 64

    public let did: DID
    public var name: String
    /// `user@host` under which the identity can be found.
    public var alias: Alias?
    /// The `wss` URL it is signalled at.
    public var relay: String?
    /// The one contact that a throw-away identity is for.
    public let contact: DID?
    public internal(set) var controller: Controller?
    public private(set) var device: SigningKey
    /// Encrypts what this device keeps of the identity on disk beside the wallet, 32 bytes; nil until ``makeDataKey()``.
    public internal(set) var dataKey: SymmetricKey?
    public var deviceDescription: DeviceDescription
    /// This device's delegation; nil after a restore without controller key, until the device is paired.
    public internal(set) var delegation: Envelope?
    /// The delegation before a rotation, presented beside the one that followed while others may hold the old document.
    var overlap: Overlap?
    /// The controller key that is to follow; kept before anybody hears of it, so that no crash loses it.
    var nextController: Controller?
    public internal(set) var devices: [KnownDevice] = []
    /// `delegation-revocation` records issued, to be published and presented.
    public internal(set) var revocations: [Envelope] = []
    public let createdAt: Int64
    /// When the owner last confirmed to have written the phrase down, or exported a backup.
    public var backedUpAt: Int64?

    init(
        did: DID,
        name: String,
        relay: String?,
        contact: DID?,
        controller: Controller?,
        device: SigningKey,
        deviceDescription: DeviceDescription,
        createdAt: Int64
    ) {
        self.did = did
        self.name = name
        self.relay = relay
        self.contact = contact
        self.controller = controller
        self.device = device
        self.deviceDescription = deviceDescription
        self.createdAt = createdAt
    }

    struct Overlap: Hashable, Sendable {
        var delegation: Envelope
        /// Unix seconds.
        var until: Int64
    }

    public var canDelegate: Bool { controller != nil }
    public var isThrowaway: Bool { contact != nil }

    /// Envelopes for the protected header of what this device signs (DSIP §7.4).
    ///
    /// For an hour after a rotation that of the retired key goes first: whoever has the old document in a cache knows no other.
    public func presented(at now: Int64) -> [Envelope] {
        let former = overlap.flatMap { now < $0.until ? $0.delegation : nil }
        return [former, delegation].compactMap(\.self)
    }

    /// When the delegation of the retired key is presented no more, Unix seconds; nil when none is.
    public var overlapEnds: Int64? { overlap?.until }

    /// Whether a rotation has begun and is not known to have ended.
    public var isRotating: Bool { nextController != nil }

    /// The link under which the identity is handed on.
    public var uri: IdentityURI { IdentityURI(.did(did), relay: relay, name: name) }

    /// The document to publish for an identity that is not a did:key: the controller key, its key agreement key, the
    /// relay, and the revocations (DSIP §7.2).
    ///
    /// - Throws: `.refused` without the controller key.
    public func document() throws(IdentityError) -> DIDDocument {
        guard let key = controller?.key else {
            throw IdentityError(.refused, "this device does not hold the controller key")
        }
        guard did.method != "key" else {
            guard let document = DIDKey.document(of: did) else {
                throw IdentityError(.malformed, "the did:key is not a key")
            }
            return document
        }
        let agreement = Array(try key.keyAgreementKey().publicKey.rawRepresentation)
        return DIDDocument(
            id: did,
            verificationMethods: [.init(id: key.kid, controller: did, publicKey: key.publicKey)],
            keyAgreement: [.init(id: DIDURL(did: did, fragment: "seal-1"), publicKey: agreement)],
            services: relay.map {
                [.init(id: "\(did)#dsip-signaling", type: "DSIPSignaling", uri: $0, bindings: ["ws/1.0"])]
            } ?? [],
            alsoKnownAs: alias.map { [$0.resource] } ?? [],
            delegationRevocations: revocations
        )
    }

    // MARK: Devices

    /// Makes the key for data on disk, unless there is one.
    public mutating func makeDataKey() {
        if dataKey == nil { dataKey = SymmetricKey(size: .bits256) }
    }

    /// Seconds that a delegation is given for.
    public static let delegationLifetime: Int64 = 180 * 86_400

    /// Whether this device's delegation is gone or ``Delegation/needsRenewal(at:)``.
    public func needsRenewal(at now: Int64) -> Bool {
        delegation.flatMap(Delegation.decode)?.needsRenewal(at: now) ?? true
    }

    /// Delegates to this device anew.
    ///
    /// - Throws: `.refused` without the controller key.
    public mutating func renewDelegation(at now: Int64) throws(IdentityError) {
        delegation = try delegate(to: device.did, deviceDescription, at: now)
    }

    /// Signs a delegation for `device` and enters it among the known ones.
    ///
    /// - Parameter issued: since when it holds, where it takes the place of another; now when nil.
    /// - Throws: `.refused` without the controller key, `.tooLarge` for too many devices.
    public mutating func delegate(
        to device: DID,
        _ description: DeviceDescription,
        capabilities: [String] = Delegation.Capability.ofPerson,
        since issued: Int64? = nil,
        at now: Int64
    ) throws(IdentityError) -> Envelope {
        guard let controller else { throw IdentityError(.refused, "this device does not hold the controller key") }
        guard device != did, device != controller.key.did || did.method != "key" else {
            throw IdentityError(.refused, "the controller key is no device")
        }
        var known = devices
        known.removeAll { $0.did == device }
        if known.count >= WalletIdentity.maximumDevices {
            known.removeAll { $0.revokedAt != nil || $0.expiresAt <= now }
        }
        guard known.count < WalletIdentity.maximumDevices else {
            throw IdentityError(.tooLarge, "the identity has too many devices")
        }
        // A revocation covers what was issued up to its second; a device enrolled again in that second would stay
        // revoked.
        let revoked = devices.first { $0.did == device }?.revokedAt
        let issuedAt = max(issued ?? now, revoked.map { $0.adding(1) } ?? .min)
        let delegation = Delegation(
            subject: did,
            device: device,
            capabilities: capabilities,
            issuedAt: issuedAt,
            expiresAt: max(issuedAt, now).adding(WalletIdentity.delegationLifetime),
            deviceClass: description.kind
        )
        let envelope = try delegation.issue(by: controller.key)
        known.append(
            KnownDevice(did: device, description: description, delegatedAt: issuedAt, expiresAt: delegation.expiresAt)
        )
        devices = known
        return envelope
    }

    /// Revokes every delegation of `device` up to now.
    ///
    /// - Returns: the record, for the relay and the document.
    /// - Throws: `.refused` without the controller key.
    @discardableResult
    public mutating func revoke(
        _ device: DID,
        reason: String = DelegationRevocation.Reason.lost,
        at now: Int64
    ) throws(IdentityError) -> Envelope {
        guard let controller else { throw IdentityError(.refused, "this device does not hold the controller key") }
        var generator = SystemRandomNumberGenerator()
        let record = DelegationRevocation(
            id: ULID(milliseconds: UInt64(max(0, min(now, 1 << 37))) * 1000, using: &generator),
            subject: did,
            device: device,
            revokedAt: now,
            reason: reason,
            issuedAt: now,
            expiresAt: now.adding(300)
        )
        let envelope = try record.issue(by: controller.key)
        // A later record covers what an earlier one of the same device did.
        revocations.removeAll { DelegationRevocation.decode($0)?.device == device }
        revocations.append(envelope)
        if revocations.count > DIDDocument.Limit.delegationRevocations { revocations.removeFirst() }
        if let i = devices.firstIndex(where: { $0.did == device }) { devices[i].revokedAt = now }
        if device == self.device.did { delegation = nil }
        return envelope
    }

    /// Takes a delegation that another device of this identity gave to this one.
    ///
    /// - Parameter document: of the identity.
    /// - Throws: `.refused`, with why the delegation does not hold.
    public mutating func adopt(_ envelope: Envelope, document: DIDDocument, at now: Int64) throws(IdentityError) {
        do {
            _ = try Delegation.verify(envelope, device: device.did, subject: did, at: now, document: document)
        } catch {
            throw IdentityError(.refused, "the delegation does not hold: \(error.rawValue)")
        }
        if let held = delegation, held != envelope, let (kid, _) = SignedRecord.header(of: held),
            document.verificationMethod(kid) == nil, overlap.map({ $0.until <= now }) ?? true
        {
            overlap = Overlap(delegation: held, until: now.adding(DocumentCache.Policy().ceiling))
        }
        delegation = envelope
    }

    /// Whether what `document` publishes for this device is to take the place of the delegation that it holds: a later one, or one of a
    /// key that is still there.
    public func prefers(_ envelope: Envelope, in document: DIDDocument) -> Bool {
        guard envelope != delegation, let offered = Delegation.decode(envelope), offered.device == device.did else {
            return false
        }
        guard let delegation, let held = Delegation.decode(delegation),
            let (kid, _) = SignedRecord.header(of: delegation),
            document.verificationMethod(kid) != nil
        else { return true }
        return (held.issuedAt, held.expiresAt) < (offered.issuedAt, offered.expiresAt)
    }
}
