import DSIPIdentity
import DSIPSignaling

/// Who a leaf of an MLS group is: the DSIP authentication service. M§6.2
///
/// A leaf's credential names a device; its one extension `dsip_delegation` is the envelope by which an identity made the device
/// its own. Hold every leaf against this when it enters a group, and again before content of its device is shown.
public struct LeafCredential: Hashable, Sendable {
    /// The LeafNode extension `dsip_delegation`, private use until registered. M§17
    public static let extensionType: UInt16 = 0xf0d1
    /// MLS credential type `basic`.
    public static let basic: UInt16 = 1

    public let identity: DID
    public let device: DID
    public let delegation: Delegation

    /// The checks in their order.
    ///
    /// - Parameters:
    ///   - credentialIdentity: the `identity` bytes of a `basic` credential.
    ///   - signatureKey: of the leaf, raw.
    ///   - extensions: of the LeafNode.
    ///   - now: Unix seconds.
    ///   - document: what is known of a DID now; not asked for `did:key`.
    /// - Throws: `credential-type`, `credential-identity`, `delegation-missing`, `delegation-invalid`, `delegation-capability`,
    ///   `delegation-expired`, `delegation-revoked` or `credential-key-mismatch`.
    public init(
        credentialType: UInt16,
        credentialIdentity: [UInt8],
        signatureKey: [UInt8],
        extensions: [MLSExtension],
        at now: Int64,
        document: (DID) -> DIDDocument?,
        revocations: Revocations = Revocations()
    ) throws(MessagingError) {
        guard credentialType == Self.basic else { throw MessagingError(.credentialType, "not a basic credential") }
        guard let device = credentialIdentity.withUnsafeBytes({ DID(utf8: $0) }) else {
            throw MessagingError(.credentialIdentity, "the credential names no DID")
        }
        let found = extensions.filter { $0.type == Self.extensionType }
        guard found.count == 1, let data = found.first?.data else {
            throw MessagingError(.delegationMissing, "not exactly one dsip_delegation")
        }
        guard let envelope = Envelope(compact: String(decoding: data, as: UTF8.self)),
            let claim = Delegation.decode(envelope), claim.device == device,
            let subject = DIDKey.document(of: claim.subject) ?? document(claim.subject)
        else { throw MessagingError(.delegationInvalid, "no delegation of this device in compact form") }
        let delegation: Delegation
        do throws(DelegationFault) {
            delegation = try Delegation.verify(
                envelope,
                device: device,
                subject: claim.subject,
                at: now,
                document: subject,
                capability: Delegation.Capability.messaging,
                revocations: revocations
            )
        } catch {
            throw MessagingError(Self.code(error), "the delegation does not stand")
        }
        // A device that is a did:key is its key; for any other the document says which keys it has.
        guard let key = PublicKey(ed25519: signatureKey), Self.keys(of: device, document).contains(key) else {
            throw MessagingError(.credentialKeyMismatch, "the leaf signs with another key than the device's")
        }
        self.identity = claim.subject
        self.device = device
        self.delegation = delegation
    }

    private static func keys(of device: DID, _ document: (DID) -> DIDDocument?) -> [PublicKey] {
        if let key = DIDKey.publicKey(of: device) { return [key] }
        return document(device)?.verificationMethods.map(\.publicKey) ?? []
    }

    private static func code(_ fault: DelegationFault) -> MessagingError.Code {
        switch fault {
        case .invalid: .delegationInvalid
        case .capability: .delegationCapability
        case .expired: .delegationExpired
        case .revoked: .delegationRevoked
        }
    }
}
