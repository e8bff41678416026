import DSIPIdentity
import DSIPSignaling
import Encoding

extension MailboxMessage {
    /// From a payload inside the verification pipeline: the `reading` of `EnvelopeVerifier.verify`.
    public init(_ payload: JSONView) throws(MessagingError) { try self.init(payload.value) }
}

extension Verified {
    /// Whether the signer may speak for ``principal`` in matters of messaging: the identity itself, or a device whose delegation
    /// carries `dsip.messaging`. M§4.3
    public var mayMessage: Bool {
        delegation?.capabilities.contains(Delegation.Capability.messaging) ?? true
    }
}
