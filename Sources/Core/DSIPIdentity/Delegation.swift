import Encoding

/// A statement of an identity that a device may act for it, for a while (DSIP §7.4).
///
/// A `Delegation` says what an envelope claims. Only `verify` says that it holds, and chains are not followed: a device
/// cannot delegate.
public struct Delegation: Hashable, Sendable {
    /// What a delegation may permit (registry `dsip-delegation-capability`).
    public enum Capability {
        /// Needed to bind any envelope to its `from`, `hello` included.
        public static let signaling = "dsip.signaling"
        public static let interactiveMedia = "dsip.media.interactive"
        public static let messaging = "dsip.messaging"

        /// What a device of a person is given: calls and messages.
        public static let ofPerson = [signaling, interactiveMedia, messaging]
    }

    /// What kind of thing the device is, for "ringing on a computer". An extension member of the object; unknown kinds
    /// read as nil.
    public enum DeviceClass: String, Hashable, Sendable, CaseIterable {
        case phone, computer, browser, service
    }

    public var subject: DID
    public var device: DID
    public var capabilities: [String]
    /// Unix seconds.
    public var issuedAt: Int64
    /// Unix seconds; the delegation holds while `issuedAt ≤ now < expiresAt`.
    public var expiresAt: Int64
    public var deviceClass: DeviceClass?

    public init(
        subject: DID,
        device: DID,
        capabilities: [String] = Capability.ofPerson,
        issuedAt: Int64,
        expiresAt: Int64,
        deviceClass: DeviceClass? = nil
    ) {
        self.subject = subject
        self.device = device
        self.capabilities = capabilities
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.deviceClass = deviceClass
    }

    /// Whether it has run for half its time, begins later than now (it was made while the clock was wrong), or permits less than a
    /// device of a person is given today.
    public func needsRenewal(at now: Int64) -> Bool {
        now < issuedAt || now >= issuedAt.adding((expiresAt - issuedAt) / 2)
            || !Capability.ofPerson.allSatisfy(capabilities.contains)
    }

    /// The `DeviceDelegation` object.
    public var json: JSONValue {
        var object: JSONObject = [
            "type": "DeviceDelegation", "subject": .string(subject.string), "device": .string(device.string),
            "capabilities": .array(capabilities.map { .string($0) }), "issued_at": .int(issuedAt),
            "expires_at": .int(expiresAt),
        ]
        if let deviceClass { object["device_class"] = .string(deviceClass.rawValue) }
        return .object(object)
    }

    /// Signs the delegation.
    ///
    /// - Parameter key: a verification key of `subject`; `.refused` for any other.
    public func issue(by key: SigningKey) throws(IdentityError) -> Envelope {
        guard key.did == subject else {
            throw IdentityError(.refused, "only a key of the identity itself can delegate to a device")
        }
        return try Envelope(signing: json.utf8, by: key)
    }

    /// What `envelope` claims, unverified: enough to see whom it is about and whose document is needed.
    ///
    /// - Returns: nil when the payload is no `DeviceDelegation`.
    public static func decode(_ envelope: Envelope) -> Delegation? {
        SignedRecord.payload(of: envelope).flatMap(Delegation.init)
    }

    fileprivate init?(_ payload: JSONView) {
        guard payload["type"]?.equals("DeviceDelegation") == true, let subject = payload.did("subject"),
            let device = payload.did("device"), let issuedAt = payload.timestamp("issued_at"),
            let expiresAt = payload.timestamp("expires_at"), let list = payload["capabilities"], list.isArray,
            list.count <= 32
        else { return nil }
        let capabilities = list.elements.compactMap(\.string)
        guard capabilities.count == list.count else { return nil }
        self.init(
            subject: subject,
            device: device,
            capabilities: capabilities,
            issuedAt: issuedAt,
            expiresAt: expiresAt,
            deviceClass: payload["device_class"]?.string.flatMap(DeviceClass.init(rawValue:))
        )
    }

    /// Checks that `envelope` lets `device` act for `subject` at `now`, in the order of DSIP §7.4: signature,
    /// capability, validity, revocation.
    ///
    /// One that a retired key signed counts for nothing by itself; what the document says of the same device today counts in its place.
    ///
    /// - Parameters:
    ///   - document: of `subject`, freshly looked up; also a source of revocations.
    ///   - revocations: those held, from whatever source.
    /// - Throws: the first check that fails.
    public static func verify(
        _ envelope: Envelope,
        device: DID,
        subject: DID,
        at now: Int64,
        document: DIDDocument,
        capability: String = Capability.signaling,
        revocations: Revocations = Revocations(),
        allowES256: Bool = false
    ) throws(DelegationFault) -> Delegation {
        guard document.id == subject else { throw .invalid }
        let own = SignedRecord(envelope, under: document, allowES256: allowES256).flatMap { Delegation($0.payload) }
        guard let delegation = own ?? document.reissued(of: envelope, allowES256: allowES256),
            delegation.subject == subject, delegation.device == device
        else { throw .invalid }
        try delegation.check(at: now, document: document, capability: capability, revocations: revocations)
        return delegation
    }

    /// The checks that change with time, for a delegation whose signature was verified before.
    public func check(
        at now: Int64,
        document: DIDDocument,
        capability: String = Capability.signaling,
        revocations: Revocations = Revocations()
    ) throws(DelegationFault) {
        guard capabilities.contains(capability) else { throw .capability }
        guard issuedAt <= now, now < expiresAt else { throw .expired }
        if revocations.cover(self) { throw .revoked }
        for envelope in document.delegationRevocations {
            // Decoded first: a document may publish hundreds, of which few name this device.
            guard DelegationRevocation.decode(envelope)?.covers(self) == true,
                (try? DelegationRevocation.verify(envelope, document: document)) != nil
            else { continue }
            throw .revoked
        }
    }
}

extension DIDDocument {
    /// What the subject itself publishes under a key of today for the device that `envelope` names (DSIP §7.4: delegations are had from
    /// the document, too). The envelope's own signature plays no part: the device is bound by the document.
    fileprivate func reissued(of envelope: Envelope, allowES256: Bool) -> Delegation? {
        guard !delegations.isEmpty, let claim = Delegation.decode(envelope), claim.subject == id else { return nil }
        for published in delegations {
            // Decoded first: few name this device.
            guard Delegation.decode(published)?.device == claim.device,
                let record = SignedRecord(published, under: self, allowES256: allowES256),
                let delegation = Delegation(record.payload), delegation.subject == id
            else { continue }
            return delegation
        }
        return nil
    }
}

/// Why a delegation does not bind a device to an identity. The raw values are the verdict codes of the conformance
/// vectors.
public enum DelegationFault: String, Error, Hashable, Sendable {
    /// Wrong signature, subject or device, or not signed by the subject itself.
    case invalid = "delegation-invalid"
    /// The capability asked for is not among those given.
    case capability = "delegation-capability"
    /// Not valid now.
    case expired = "delegation-expired"
    case revoked = "delegation-revoked"
}
