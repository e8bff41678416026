/// Who a member says it is (RFC 9420 §5.3). Whether that is so the application decides, through `CredentialValidator`.
public enum Credential: Hashable, Sendable, WireEncodable, WireDecodable {
    /// An identity whose meaning is the application's.
    case basic(identity: [UInt8])
    /// DER certificates, the end entity's first.
    case x509(certificates: [[UInt8]])
    /// A type the application defined; its contents are one `opaque<V>`.
    case application(type: CredentialType, contents: [UInt8])

    public var type: CredentialType {
        switch self {
        case .basic: .basic
        case .x509: .x509
        case .application(let type, _): type
        }
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        switch try CredentialType(from: &reader) {
        case .basic: self = .basic(identity: try reader.vector())
        case .x509:
            self = .x509(
                certificates: try reader.list { (reader: inout WireReader) throws(MLSError) in try reader.vector() }
            )
        case let type: self = .application(type: type, contents: try reader.vector())
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(type)
        switch self {
        case .basic(let identity): writer.vector(identity)
        case .x509(let certificates):
            writer.nested { writer in
                for certificate in certificates { writer.vector(certificate) }
            }
        case .application(_, let contents): writer.vector(contents)
        }
    }
}

/// The application's Authentication Service (RFC 9420 §5.3.1, RFC 9750 §4): the one judge of whose key a key is.
public protocol CredentialValidator: Sendable {
    /// Whether `credential` speaks truly of the holder of `signatureKey`, in `role`.
    ///
    /// For `x509`, the signature key must be that of the first certificate, and the chain must be valid by the application's
    /// rules; nothing here reads certificates.
    func accepts(_ credential: Credential, signatureKey: SignaturePublicKey, as role: CredentialRole) -> Bool

    /// Whether `new` may take the place of `old` in one leaf, or by an external commit (RFC 9420 §5.3.1).
    func isSuccessor(_ new: Credential, of old: Credential) -> Bool

    /// What is the same for two credentials of one client, which may not be a member twice (RFC 9420 §12.2).
    ///
    /// Without an implementation there is no such thing: an application may have several devices under one identity.
    func client(of credential: Credential) -> [UInt8]?
}

extension CredentialValidator {
    public func isSuccessor(_ new: Credential, of old: Credential) -> Bool { new == old }
    public func client(of credential: Credential) -> [UInt8]? { nil }
}

/// Where a credential stands.
public enum CredentialRole: Hashable, Sendable {
    /// In a leaf, or in a key package on its way to one.
    case member
    /// In the group's `external_senders`.
    case externalSender
}

/// Believes every credential: for tests, and for applications that check identities by other means after joining.
public struct UncheckedCredentials: CredentialValidator {
    public init() {}
    public func accepts(_: Credential, signatureKey: SignaturePublicKey, as role: CredentialRole) -> Bool { true }
    public func isSuccessor(_ new: Credential, of old: Credential) -> Bool { true }
}
