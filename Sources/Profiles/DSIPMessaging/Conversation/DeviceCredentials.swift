import DSIPIdentity
import MLS

/// The authentication service as MLS asks for it: a `basic` credential that names a device, whose key signs. M§6.2
///
/// MLS shows a credential without its leaf's extensions, so this says who the device is, not for whom it acts: hold every leaf that
/// enters a group against ``LeafCredential`` too.
public struct DeviceCredentials: CredentialValidator {
    public init() {}

    public func accepts(_ credential: Credential, signatureKey: SignaturePublicKey, as role: CredentialRole) -> Bool {
        guard role == .member, let device = Self.device(credential) else { return false }
        // A device that is a did:key is its key; the documents of others are not at hand here.
        guard device.method == "key" else { return true }
        guard let key = PublicKey(ed25519: signatureKey.bytes) else { return false }
        return DIDKey.publicKey(of: device) == key
    }

    /// A device that lost its state joins anew in its own place, and renews its delegation. M§6.8
    public func isSuccessor(_ new: Credential, of old: Credential) -> Bool { new == old }

    /// A device is a member once.
    public func client(of credential: Credential) -> [UInt8]? {
        if case .basic(let identity) = credential { identity } else { nil }
    }

    /// The device that a credential names; nil when it is no `basic` one or names no DID.
    public static func device(_ credential: Credential) -> DID? {
        guard case .basic(let identity) = credential else { return nil }
        return identity.withUnsafeBytes { DID(utf8: $0) }
    }
}

extension LeafCredential {
    /// The checks in their order, of a leaf as MLS has it.
    ///
    /// - Throws: as ``init(credentialType:credentialIdentity:signatureKey:extensions:at:document:revocations:)``.
    public init(
        _ leaf: LeafNode,
        at now: Int64,
        document: (DID) -> DIDDocument?,
        revocations: Revocations = Revocations()
    ) throws(MessagingError) {
        let identity: [UInt8] = if case .basic(let identity) = leaf.credential { identity } else { [] }
        try self.init(
            credentialType: leaf.credential.type.rawValue,
            credentialIdentity: identity,
            signatureKey: leaf.signatureKey.bytes,
            extensions: leaf.extensions.all.map { MLSExtension(type: $0.type.rawValue, data: $0.data) },
            at: now,
            document: document,
            revocations: revocations
        )
    }

    /// Whom a leaf says it is, unverified: for a leaf that was verified when it entered, or to see whose document is needed.
    public static func claim(of leaf: LeafNode) -> Leaf? {
        guard let device = DeviceCredentials.device(leaf.credential),
            let data = leaf.extensions[ExtensionType(rawValue: extensionType)],
            let claim = Envelope(compact: String(decoding: data, as: UTF8.self)).flatMap(Delegation.decode)
        else { return nil }
        return Leaf(identity: claim.subject, device: device)
    }
}
