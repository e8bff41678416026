import DSIPSignaling

/// The category `mailbox`. M§16
extension Reason {
    public static let mailboxCommitConflict = known("mailbox.commit-conflict")
    public static let mailboxStaleEpoch = known("mailbox.stale-epoch")
    public static let mailboxUnknownGroup = known("mailbox.unknown-group")
    public static let mailboxCursorInvalid = known("mailbox.cursor-invalid")
    public static let mailboxObjectTooLarge = known("mailbox.object-too-large")
    public static let mailboxBlobMismatch = known("mailbox.blob-mismatch")
    public static let mailboxQuotaExceeded = known("mailbox.quota-exceeded")
    public static let mailboxNoKeyPackages = known("mailbox.no-key-packages")
    public static let mailboxUnsupportedClass = known("mailbox.unsupported-class")
    public static let mailboxUnsupportedMode = known("mailbox.unsupported-mode")
    public static let mailboxHubUnreachable = known("mailbox.hub-unreachable")

    private static func known(_ token: String) -> Reason {
        guard let reason = Reason(token) else { preconditionFailure("not a reason token: \(token)") }
        return reason
    }
}
