import DSIPIdentity
import DSIPSignaling
import Encoding

/// Introductions and grants between people who do not know each other yet. DSIP §19.4, M§14.1
extension Mailbox {
    public struct FirstContact: Hashable, Sendable {
        public enum Kind: Hashable, Sendable {
            case introduction
            /// `session` is the introduction that it answers.
            case grant(session: ULID?)
        }

        public var id: ULID
        /// The device that deposits.
        public var from: DID
        /// The identity that the carried envelope proves.
        public var sender: DID
        public var recipient: DID
        public var kind: Kind
        /// Of the carried envelope.
        public var expiresAt: Int64

        public init(id: ULID, from: DID, sender: DID, recipient: DID, kind: Kind, expiresAt: Int64) {
            self.id = id
            self.from = from
            self.sender = sender
            self.recipient = recipient
            self.kind = kind
            self.expiresAt = expiresAt
        }
    }

    /// The carried envelope is verified: signature, delegation, size, validity.
    ///
    /// What is not held is accepted like what is, so that nobody learns who has a mailbox here or how full it is. A grant that
    /// answers an introduction of the owner is neither counted nor limited, once.
    public mutating func received(_ contact: FirstContact, at now: Int64) -> [MailboxAction] {
        var isSolicited = false
        if case .grant(let session?) = contact.kind, contact.recipient == owner {
            isSolicited = introductionsSent.remove(session) != nil
        }
        if !isSolicited, let wait = rate.admit(from: contact.sender, to: contact.recipient, at: now) {
            return [.error(to: contact.from, inReplyTo: contact.id, .policyRateLimited, retryAfter: wait)]
        }
        guard contact.recipient == owner, isSolicited || index.introductions < limits.inbox else {
            return [.accepted(to: contact.from, inReplyTo: contact.id, cursor: nil, duplicate: false)]
        }
        let itemClass: DepositClass = contact.kind == .introduction ? .introduction : .grant
        let cursor = store(itemClass, group: nil, seq: nil, size: 0, expiresAt: contact.expiresAt, at: now)
        return [.accepted(to: contact.from, inReplyTo: contact.id, cursor: cursor, duplicate: false)]
            + pushes(of: cursor, except: contact.from)
    }
}
