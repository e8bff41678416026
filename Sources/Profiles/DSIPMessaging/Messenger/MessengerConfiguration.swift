import DSIPIdentity
import Encoding

/// Who a ``Messenger`` speaks for, and how patient it is.
public struct MessengerConfiguration: Sendable {
    /// The person.
    public var identity: DID
    /// The device; its key signs MLS leaves and activity. M§6.2
    public var device: SigningKey
    /// By which the device speaks for the identity in matters of messaging.
    public var delegation: Envelope
    /// Of the identity, the primary first. M§4.2
    public var mailboxes: [MailboxService]
    /// Whether leaves carry `dsip_mailbox`: when no document names the mailboxes.
    public var hintsMailbox: Bool
    /// Seconds; the device's own choices.
    public var gapTimeout: Int64 = MessagingProfile.gapTimeout
    public var hubTimeout: Int64 = MessagingProfile.hubTimeout
    public var answerTimeout: Int64 = 20
    /// Seconds that a new device waits to be added by a sibling before it joins by itself. M§6.8
    public var siblingPatience: Int64 = 30

    public init(
        identity: DID,
        device: SigningKey,
        delegation: Envelope,
        mailboxes: [MailboxService],
        hintsMailbox: Bool? = nil
    ) {
        self.identity = identity
        self.device = device
        self.delegation = delegation
        self.mailboxes = mailboxes
        self.hintsMailbox = hintsMailbox ?? (identity.method == "key")
    }
}

/// What a person lets others know, and what the mailbox keeps. M§4.4, M§10.5
public struct MessengerSettings: Hashable, Sendable {
    public var sendsDelivered = true
    public var sendsRead = false
    public var sendsPlayed = false
    public var sendsActivity = false
    public var mode = MailboxMode.sync
    /// Whether strangers may write without having been introduced. M§14.2
    public var admit = AdmissionPolicy.grant

    public init() {}

    var encoded: [UInt8] {
        var row = RowWriter()
        row.put("delivered", flag: sendsDelivered)
        row.put("read", flag: sendsRead)
        row.put("played", flag: sendsPlayed)
        row.put("activity", flag: sendsActivity)
        row.put("mode", mode.rawValue)
        row.put("admit", admit.rawValue)
        return row.bytes
    }

    init?(decoding bytes: [UInt8]) {
        guard let row = RowReader(bytes), let mode = row.text("mode").flatMap(MailboxMode.init),
            let admit = row.text("admit").flatMap(AdmissionPolicy.init)
        else { return nil }
        sendsDelivered = row.flag("delivered")
        sendsRead = row.flag("read")
        sendsPlayed = row.flag("played")
        sendsActivity = row.flag("activity")
        self.mode = mode
        self.admit = admit
    }
}

/// Where another identity can be written to, as the owner found it.
public struct ResolvedIdentity: Sendable {
    public var mailboxes: MailboxSelection
    /// The relay (`wss`) that has its prekeys, if any has.
    public var preKeys: String?
    /// Nil for `did:key`.
    public var document: DIDDocument?

    public init(mailboxes: MailboxSelection, preKeys: String? = nil, document: DIDDocument? = nil) {
        self.mailboxes = mailboxes
        self.preKeys = preKeys
        self.document = document
    }
}
