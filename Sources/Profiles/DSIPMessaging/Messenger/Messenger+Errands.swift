import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

extension Messenger {
    /// Errands of one mailbox on their way at once.
    static var errandsAtOnce: Int { 16 }

    /// Adds something to be said to a mailbox; it is said until it is answered, restarts included.
    mutating func addErrand(
        _ purpose: Errand.Purpose,
        _ body: MailboxMessage.Body,
        to recipient: DID? = nil,
        via route: MailboxRoute,
        group: GroupID? = nil
    ) {
        // A newer word about a group takes the place of one that has not arrived.
        if let group { drop(purpose, of: group, via: route.mailbox) }
        guard errands.count < Errand.maximumWaiting else { return }
        let errand = Errand(
            number: nextNumber(),
            purpose: purpose,
            via: route.mailbox,
            uri: route.uri,
            to: recipient ?? route.mailbox,
            body: body,
            group: group
        )
        errands[errand.number] = errand
        ledger.set(.errand, "", errand.key, errand.encoded)
    }

    /// What was to be said of a group is out of date.
    ///
    /// - Parameter mailbox: where it was to be said; nil for everywhere.
    mutating func drop(_ purpose: Errand.Purpose, of group: GroupID, via mailbox: DID? = nil) {
        for (number, errand) in errands
        where errand.purpose == purpose && errand.group == group && errand.via == mailbox ?? errand.via {
            errands[number] = nil
            ledger.set(.errand, "", errand.key, nil)
        }
    }

    /// Sends what may be sent now.
    mutating func runErrands() {
        guard !errands.isEmpty, errandsRetryAt.map({ $0 <= now }) ?? true else { return }
        errandsRetryAt = nil
        var running: [DID: Int] = [:]
        var underWay: Set<Int64> = []
        for sent in inFlight.values {
            if case .errand(let number) = sent.purpose {
                running[sent.via, default: 0] += 1
                underWay.insert(number)
            }
        }
        for number in errands.keys.sorted() {
            guard let errand = errands[number], !underWay.contains(number) else { continue }
            guard running[errand.via, default: 0] < Self.errandsAtOnce else { continue }
            let route = MailboxRoute(mailbox: errand.via, uri: errand.uri)
            guard post(errand.body, to: errand.to, via: route, .errand(number)) else { continue }
            running[errand.via, default: 0] += 1
        }
    }

    mutating func done(errand number: Int64) throws(MessagingError) {
        guard let errand = errands.removeValue(forKey: number) else { return }
        ledger.set(.errand, "", errand.key, nil)
        errandFailures = 0
        guard errand.purpose == .groupInfo, let group = errand.group, groups[group]?.hub.did == errand.to else {
            return
        }
        heard(fromHubOf: group)
        if groups[group]?.phase == .founding { update(group) { $0.phase = .active } }
    }

    mutating func refused(errand number: Int64, _ reason: Reason) throws(MessagingError) {
        guard let errand = errands[number] else { return }
        switch reason {
        case .mailboxQuotaExceeded, .mailboxHubUnreachable, .policyRateLimited: delayErrand(number)
        case .mailboxUnknownGroup
        where errand.group.flatMap { groups[$0] }.map { $0.hub.did == errand.to && $0.phase != .left } ?? false:
            delayErrand(number)
        case .mailboxStaleEpoch where errand.group.flatMap { groups[$0]?.phase } == .founding:
            // The hub has it already, and more: the answer was lost.
            try done(errand: number)
        default:
            // Refused for good: what was to be said is out of date, or not wanted.
            errands[number] = nil
            ledger.set(.errand, "", errand.key, nil)
        }
    }

    mutating func delayErrand(_ number: Int64) {
        guard errands[number] != nil else { return }
        errandFailures = min(errandFailures + 1, 16)
        errandsRetryAt = now + MessagingProfile.backoff(attempt: errandFailures)
    }

    /// Publishes the group's present GroupInfo, by which devices join without help. M§6.5 rule 6, M§6.8
    mutating func publishGroupInfo(of id: GroupID) throws(MessagingError) {
        guard let group = groups[id], let mls = try mlsGroup(id), let primary,
            let info = try? mls.groupInfo(includesRatchetTree: true).encoded
        else { return }
        guard info.count <= MessagingProfile.maximumMLSBytes else {
            try publishTree(of: id)
            return
        }
        addErrand(
            .groupInfo,
            .deposit(
                Deposit(
                    group: id,
                    .groupInfo(mls: EncodedBytes(info), ratchetTree: nil, handoverSeq: handoverSeq(of: group))
                )
            ),
            to: group.hub.did,
            via: MailboxRoute(mailbox: primary),
            group: id
        )
    }

    /// Tells every own mailbox what became of a group. M§6.6
    mutating func configure(_ id: GroupID, _ state: MailboxConfig.Group.State) {
        guard let hub = groups[id]?.hub else { return }
        // Who was out, and is in again, may have said so last: then the mailbox has to hear where the group is ordered.
        let isIn = state == .joined
        if !isIn { drop(.move, of: id) }
        let entry = MailboxConfig.Group(id, state, hub: isIn ? hub.did : nil, hubURI: isIn ? hub.uri : nil)
        for service in configuration.mailboxes {
            addErrand(
                .config,
                .mailboxConfig(MailboxConfig(subject: identity, groups: [entry])),
                via: MailboxRoute(mailbox: service.mailbox),
                group: id
            )
        }
        update(id) { $0.isConfirmed = true }
    }
}
