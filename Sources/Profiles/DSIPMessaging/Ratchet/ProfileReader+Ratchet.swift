import DSIPSignaling
import Encoding

extension ProfileReader {
    /// Reads what a relay is sent of ratchet conversations, the device's `accepted` among it.
    public static let ratchetService = ratchet(isKept: false).joined(with: preKeys).joined(
        with: ProfileReader([StoredMessage.type]) { payload throws(Refusal) in
            try read { () throws(MessagingError) in try StoredMessage(payload) }
        }
    ).joined(
        with: ProfileReader([MailboxMessage.Kind.accepted.rawValue]) { payload throws(Refusal) in
            try read { () throws(MessagingError) in try MailboxMessage(payload) }
        }
    )

    /// Reads what a device is sent of them: messages, which waited at the relay as long as they may, and bundles.
    public static let ratchet = ratchet(isKept: true).joined(with: preKeys)

    private static func ratchet(isKept: Bool) -> ProfileReader {
        ProfileReader([RatchetMessage.type], isKept: isKept) { payload throws(Refusal) in
            try read { () throws(MessagingError) in try RatchetMessage(payload) }
        }.joined(
            with: ProfileReader(RatchetStatement.types, isKept: isKept) { payload throws(Refusal) in
                try read { () throws(MessagingError) in try RatchetStatement(payload) }
            }
        )
    }

    private static let preKeys = ProfileReader([PreKeys.type]) { payload throws(Refusal) in
        try read { () throws(MessagingError) in try PreKeys(payload) }
    }.joined(
        with: ProfileReader([PreKeyFetch.type]) { payload throws(Refusal) in
            try read { () throws(MessagingError) in try PreKeyFetch(payload) }
        }
    )

    private static func read<Content: Sendable>(
        _ body: () throws(MessagingError) -> Content
    ) throws(Refusal) -> any Sendable {
        do throws(MessagingError) {
            return try body()
        } catch {
            throw Refusal(error.reason ?? .policyBlocked, error.code.rawValue)
        }
    }
}

extension SupportedVersions {
    /// With ratchet conversations and prekeys.
    public func withRatchet() -> SupportedVersions {
        var all = self
        if !all.profiles.contains(MessagingProfile.id) { all.profiles.append(MessagingProfile.id) }
        all.extensions += [RatchetMessage.extensionID, PreKeys.extensionID]
        return all
    }
}
