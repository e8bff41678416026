import DSIPIdentity
import DSIPSignaling
import Encoding

extension ProfileReader {
    /// Reads every message of the profile that travels on a connection as ``MailboxMessage``; a `blob-put` travels by HTTPS. M§5.6
    public static let messaging = ProfileReader(
        MailboxMessage.Kind.allCases.filter { $0 != .blobPut }.map(\.rawValue)
    ) { payload throws(Refusal) in
        do throws(MessagingError) {
            return try MailboxMessage(payload)
        } catch {
            throw Refusal(error.reason ?? .policyBlocked, error.code.rawValue)
        }
    }
}

extension VerificationPolicy {
    /// Serves the profile beside the core.
    public static func messaging(isRouter: Bool = false) -> VerificationPolicy {
        var policy = VerificationPolicy(isRouter: isRouter)
        policy.supported.profiles.append(MessagingProfile.id)
        return policy
    }
}

extension MailboxMessage {
    /// The message as an envelope.
    ///
    /// - Parameter delegations: travel in the protected header; for whoever may not hold them. M§5.1
    /// - Throws: `.key` when the key cannot sign.
    public func signed(by key: SigningKey, delegations: [Envelope] = []) throws(IdentityError) -> Envelope {
        try Envelope(signing: json.utf8, by: key, delegations: delegations)
    }
}
