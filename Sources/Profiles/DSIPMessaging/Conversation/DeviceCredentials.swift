import DSIPIdentity
import MLS

/// The MLS side of the authentication service (M§6.2): a credential names a device by its DID, and a device is a member once.
///
/// What makes the device somebody's is in the leaf, and is held against ``LeafCredential`` when the leaf enters a group.
public struct DeviceCredentials: CredentialValidator {
    public init() {}

    public func accepts(_ credential: Credential, signatureKey: SignaturePublicKey, as role: CredentialRole) -> Bool {
        Self.device(credential) != nil
    }

    public func client(of credential: Credential) -> [UInt8]? {
        guard case .basic(let identity) = credential else { return nil }
        return identity
    }

    /// The device that a credential names; nil when it names none.
    public static func device(_ credential: Credential) -> DID? {
        guard case .basic(let identity) = credential else { return nil }
        return identity.withUnsafeBytes { DID(utf8: $0) }
    }
}
