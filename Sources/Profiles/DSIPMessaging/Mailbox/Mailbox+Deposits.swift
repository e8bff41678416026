import DSIPIdentity
import DSIPSignaling
import Encoding

/// What hubs and adders deposit. M§5.2, M§6.6, M§7.4
extension Mailbox {
    /// A welcome as the mailbox looks at it.
    public struct WelcomeDeposit: Hashable, Sendable {
        public var id: ULID
        /// Who deposits: a device, or the hub.
        public var from: DID
        /// The identity that adds: of the device, or the one that the hub-forwarded `origin` proves; nil when the origin is absent,
        /// unverifiable, for another group, or made at another time. M§14.2
        public var adder: DID?
        public var recipient: DID
        public var group: GroupID
        public var hub: DID
        public var grant: PresentedGrant?
        public var successorOf: GroupID?
        /// Of the MLS bytes.
        public var digest: String?
        public var size: Int64

        public init(
            id: ULID,
            from: DID,
            adder: DID?,
            recipient: DID,
            group: GroupID,
            hub: DID,
            grant: PresentedGrant? = nil,
            successorOf: GroupID? = nil,
            digest: String? = nil,
            size: Int64 = 0
        ) {
            self.id = id
            self.from = from
            self.adder = adder
            self.recipient = recipient
            self.group = group
            self.hub = hub
            self.grant = grant
            self.successorOf = successorOf
            self.digest = digest
            self.size = size
        }
    }

    /// Whether the `origin` of a hub-forwarded welcome may name its adder, its envelope and delegation verified. M§14.2
    public static func isOriginTimely(originIssuedAt: Int64, depositIssuedAt: Int64) -> Bool {
        let (difference, overflow) = originIssuedAt.subtractingReportingOverflow(depositIssuedAt)
        return !overflow && difference.magnitude <= UInt64(MessagingProfile.timeTolerance)
    }

    public mutating func received(_ welcome: WelcomeDeposit, at now: Int64) -> [MailboxAction] {
        func refuse(_ reason: Reason) -> [MailboxAction] {
            [.error(to: welcome.from, inReplyTo: welcome.id, reason, retryAfter: nil)]
        }
        guard serves.contains(welcome.recipient) else { return refuse(.transportUnknownRecipient) }
        guard let adder = welcome.adder else { return refuse(.policyBlocked) }
        if let held = held(welcome) {
            return [.accepted(to: welcome.from, inReplyTo: welcome.id, cursor: held, duplicate: true)]
        }
        // Any deposit of a hub that the mailbox cannot place yet waits, a welcome too. M§7.4
        var expiry: [MailboxAction] = []
        if groups[welcome.group]?.handover != nil, groups[welcome.group]?.hub == welcome.from {
            let ruling: HubHandover.Ruling
            (ruling, expiry) = rule(welcome.group, from: welcome.from, seq: nil, at: now)
            guard ruling == .admit else { return expiry + refuse(.mailboxUnknownGroup) }
        }
        let isSuccessor = welcome.successorOf.map { groups[$0] != nil } ?? false
        guard
            Admission.admits(
                adder,
                to: owner,
                policy: admit,
                grant: welcome.grant,
                revoked: revokedGrants,
                isSuccessor: isSuccessor,
                at: now
            )
        else { return expiry + refuse(.policyFirstContactRequired) }
        guard !exceedsQuota(welcome.size), groups[welcome.group] != nil || groups.count < limits.groups else {
            return expiry + refuse(.mailboxQuotaExceeded)
        }
        let position = nextPosition
        let cursor = store(
            .welcome,
            group: welcome.group,
            seq: nil,
            size: welcome.size,
            digest: welcome.digest,
            at: now
        )
        if groups[welcome.group] == nil {
            groups[welcome.group] = GroupRegistration(
                hub: welcome.hub,
                state: .pending(since: now, admitted: 0, from: position)
            )
        }
        return expiry + [.accepted(to: welcome.from, inReplyTo: welcome.id, cursor: cursor, duplicate: false)]
            + pushes(of: cursor, except: welcome.from)
    }

    /// The same Welcome, while it is held for the group: a redelivery. M§6.5
    private func held(_ welcome: WelcomeDeposit) -> Cursor? {
        guard let digest = welcome.digest else { return nil }
        return index.first(.welcome(welcome.group, digest: digest))
    }

    /// An item of a group as the mailbox looks at it.
    public struct FanOutDeposit: Hashable, Sendable {
        public var id: ULID
        /// The hub.
        public var from: DID
        public var recipient: DID
        public var group: GroupID
        public var itemClass: DepositClass
        /// Nil for what a hub does not number: GroupInfo and activity.
        public var seq: Int64?
        public var size: Int64
        /// Of activity: the first deposit's end.
        public var expiresAt: Int64?

        public init(
            id: ULID,
            from: DID,
            recipient: DID,
            group: GroupID,
            itemClass: DepositClass,
            seq: Int64? = nil,
            size: Int64 = 0,
            expiresAt: Int64? = nil
        ) {
            self.id = id
            self.from = from
            self.recipient = recipient
            self.group = group
            self.itemClass = itemClass
            self.seq = seq
            self.size = size
            self.expiresAt = expiresAt
        }
    }

    public mutating func received(_ deposit: FanOutDeposit, at now: Int64) -> [MailboxAction] {
        func refuse(_ reason: Reason) -> [MailboxAction] {
            [.error(to: deposit.from, inReplyTo: deposit.id, reason, retryAfter: nil)]
        }
        guard serves.contains(deposit.recipient) else { return refuse(.transportUnknownRecipient) }
        guard groups[deposit.group] != nil else { return refuse(.mailboxUnknownGroup) }
        let (ruling, expiry) = rule(deposit.group, from: deposit.from, seq: deposit.seq, at: now)
        switch ruling {
        case .holdOff: return expiry + refuse(.mailboxUnknownGroup)
        case .block: return expiry + refuse(.policyBlocked)
        case .redelivery: return expiry + [duplicate(deposit)]
        case .fill: return expiry + keep(deposit, at: now)
        case .admit: break
        }
        if deposit.itemClass == .ephemeral {
            if let end = deposit.expiresAt, end < now { return expiry }
            return expiry + liveDevices.sorted().map { .pushEphemeral(to: $0) }
        }
        if let seq = deposit.seq, seq <= highest[deposit.group] ?? 0 { return expiry + [duplicate(deposit)] }
        if case .pending(_, let admitted, _) = groups[deposit.group]?.state, admitted >= limits.pendingItems {
            return expiry + refuse(.mailboxQuotaExceeded)
        }
        return expiry + keep(deposit, at: now)
    }

    /// Whether the hub that deposits is the group's, or was. M§7.4
    private mutating func rule(
        _ group: GroupID,
        from hub: DID,
        seq: Int64?,
        at now: Int64
    ) -> (HubHandover.Ruling, expiry: [MailboxAction]) {
        guard let registration = groups[group] else { return (.holdOff, []) }
        let stored = highest[group] ?? 0
        guard var handover = registration.handover else { return (hub == registration.hub ? .admit : .holdOff, []) }
        defer { groups[group]?.handover = handover }
        if hub == registration.hub {
            let (ruling, missing) = handover.receivedFromNext(seq, highest: stored, at: now, wait: limits.handoverWait)
            let expiry = missing.map { [MailboxAction.handoverExpired(group, hub: handover.previousHub, missing: $0)] }
            return (ruling, expiry ?? [])
        }
        guard hub == handover.previousHub else { return (.holdOff, []) }
        return (handover.receivedFromPrevious(seq, highest: stored), [])
    }

    /// Stored before: the original cursor, while the item is kept. M§6.6
    private func duplicate(_ deposit: FanOutDeposit) -> MailboxAction {
        let cursor = deposit.seq.flatMap { index.first(.sequenced(deposit.group, $0)) }
        return .accepted(to: deposit.from, inReplyTo: deposit.id, cursor: cursor, duplicate: true)
    }

    private mutating func keep(_ deposit: FanOutDeposit, at now: Int64) -> [MailboxAction] {
        // A GroupInfo that would take another's place is judged with that one still counted. M§4.4
        guard !exceedsQuota(deposit.size) else {
            return [.error(to: deposit.from, inReplyTo: deposit.id, .mailboxQuotaExceeded, retryAfter: nil)]
        }
        var dropped: [MailboxAction] = []
        if deposit.itemClass == .groupInfo {
            dropped = remove(.groupInfo(deposit.group))
        }
        let cursor = store(
            deposit.itemClass,
            group: deposit.group,
            seq: deposit.itemClass == .groupInfo ? nil : deposit.seq,
            size: deposit.size,
            at: now
        )
        if case .pending(let since, let admitted, let first) = groups[deposit.group]?.state {
            groups[deposit.group]?.state = .pending(since: since, admitted: admitted + 1, from: first)
        }
        return [.accepted(to: deposit.from, inReplyTo: deposit.id, cursor: cursor, duplicate: false)]
            + pushes(of: cursor) + dropped
    }

    // MARK: Forwarding

    /// A device deposits in a hub elsewhere, through its own mailbox. M§5.2
    public func forward(
        _ id: ULID,
        from device: DID,
        of identity: DID,
        group: GroupID,
        to hub: DID
    ) -> [MailboxAction] {
        guard identity == owner else { return [.error(to: device, inReplyTo: id, .policyBlocked, retryAfter: nil)] }
        // A former hub hears that what it still has is wanted. M§7.4
        guard let registration = groups[group],
            registration.hub == hub || registration.handover?.isFilled(by: hub) == true
        else {
            return [.error(to: device, inReplyTo: id, .mailboxUnknownGroup, retryAfter: nil)]
        }
        return [.forward(to: hub, id: id)]
    }

    /// The hub was not reached, or was lost with the deposit in flight. M§9.4
    public func failedForward(_ id: ULID, from device: DID) -> [MailboxAction] {
        [.error(to: device, inReplyTo: id, .mailboxHubUnreachable, retryAfter: nil)]
    }
}
