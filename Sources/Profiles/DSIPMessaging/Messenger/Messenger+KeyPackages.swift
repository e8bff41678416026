import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

extension Messenger {
    /// One-time KeyPackages that the mailbox is kept stocked with, and those of one message.
    static var stock: Int { 30 }
    static var uploadAtOnce: Int { 12 }
    /// Private halves kept; the mailbox holds at most 100 a device. M§5.5
    static var maximumBundles: Int { 320 }
    private static var maximumLasts: Int { 16 }
    /// Set from an upload until the mailbox has confirmed it.
    private static var unconfirmed: String { "key-packages-unconfirmed" }
    static var restockInterval: Int64 { 86_400 }

    // MARK: Own

    /// Uploads fresh KeyPackages when the stock is low, old or of an ended delegation. M§5.5, M§6.7
    mutating func stockKeyPackages() throws(MessagingError) {
        guard wantsKeyPackages, let primary, bound.contains(primary),
            !inFlight.values.contains(where: { $0.purpose == .keyPackages })
        else { return }
        wantsKeyPackages = false
        let end = min(now + MessagingProfile.retention, delegationEnd)
        guard end > now + 60 else { return }
        var kept = try ledger.rows(.keyPackage, "").compactMap { row in RowReader(row.value).map { (row.key, $0) } }
        for (key, row) in kept where (row.int("until") ?? 0) + 86_400 < now { ledger.set(.keyPackage, "", key, nil) }
        kept.removeAll { ($0.1.int("until") ?? 0) + 86_400 < now }
        let state = try ledger.row(.setting, "", "key-packages").flatMap { RowReader($0) }
        let isOld = now - (state?.int("at") ?? 0) >= Self.restockInterval
        let isRenewed = state?.int("end") != delegationEnd
        // What the mailbox has not confirmed it may not have.
        let isUnsure = try ledger.row(.setting, "", Self.unconfirmed) != nil
        let isFresh = isOld || isRenewed || isUnsure
        let oneTime = kept.count { !$0.1.flag("last") && ($0.1.int("until") ?? 0) > now }
        var missing = isFresh ? Self.stock : Self.stock - oneTime
        guard missing > 0 else { return }
        missing = min(missing, Self.uploadAtOnce)
        kept.sort { ($0.1.int("made") ?? 0, $0.0) < ($1.1.int("made") ?? 0, $1.0) }
        let surplus = kept.count + missing + 1 - Self.maximumBundles
        let lasts = kept.filter { $0.1.flag("last") }
        for (key, _) in kept.filter({ !$0.1.flag("last") }).prefix(max(0, surplus))
            + lasts.prefix(max(0, lasts.count + 1 - Self.maximumLasts))
        {
            ledger.set(.keyPackage, "", key, nil)
        }
        var packages: [EncodedBytes] = []
        for _ in 0..<missing { packages.append(EncodedBytes(try newKeyPackage(until: end, isLast: false))) }
        let needsLast = isRenewed || isUnsure || !kept.contains { $0.1.flag("last") }
        let last = needsLast ? EncodedBytes(try newKeyPackage(until: end, isLast: true)) : nil
        let left = (state?.int("left") ?? 0) > 0 && !isFresh ? state?.int("left") ?? 0 : Int64(Self.stock)
        var row = RowWriter()
        row.put("at", isOld || isRenewed ? now : state?.int("at") ?? now)
        row.put("end", delegationEnd)
        row.put("left", max(0, left - Int64(missing)))
        ledger.set(.setting, "", "key-packages", row.bytes)
        ledger.set(.setting, "", Self.unconfirmed, [1])
        post(
            .keyPackages(KeyPackages(subject: identity, packages: packages, lastResort: last)),
            to: primary,
            via: MailboxRoute(mailbox: primary),
            .keyPackages
        )
    }

    private mutating func newKeyPackage(until end: Int64, isLast: Bool) throws(MessagingError) -> [UInt8] {
        do throws(MLSError) {
            let bundle = try KeyPackageBundle(
                .x25519AES128,
                leafContents(),
                signer: try signerForMLS(),
                lifetime: Lifetime(notBefore: UInt64(max(0, now - 3600)), notAfter: UInt64(end)),
                using: &random
            )
            var row = RowWriter()
            row.put("bundle", bytes: bundle.saved.bytes)
            row.put("until", end)
            row.put("made", now)
            row.put("last", flag: isLast)
            ledger.set(.keyPackage, "", Hex.encode(try bundle.keyPackage.reference()), row.bytes)
            return bundle.keyPackage.encoded
        } catch {
            throw MessagingError(.refused, "A key package could not be made.")
        }
    }

    func signerForMLS() throws(MLSError) -> SignaturePrivateKey {
        try SignaturePrivateKey(.x25519AES128, rawRepresentation: Secret(configuration.device.rawRepresentation))
    }

    mutating func storedKeyPackages() throws(MessagingError) {
        ledger.set(.setting, "", Self.unconfirmed, nil)
        stockMisses = 0
        let state = try ledger.row(.setting, "", "key-packages").flatMap { RowReader($0) }
        if (state?.int("left") ?? 0) > 0 { wantsKeyPackages = true }
    }

    /// The mailbox did not take them, or did not say so: they are made anew in a while.
    mutating func missedStock() {
        restockAt = min(restockAt, now + (60 << min(Int64(stockMisses), 6)))
        stockMisses += 1
    }

    /// The bundle that a welcome answers; a one-time package is gone with it.
    mutating func takeBundle(_ reference: String) throws(MessagingError) -> KeyPackageBundle? {
        guard let row = try ledger.row(.keyPackage, "", reference).flatMap({ RowReader($0) }),
            let saved = row.bytes("bundle"), let bundle = try? KeyPackageBundle(restoring: Secret(saved))
        else { return nil }
        if !row.flag("last") {
            ledger.set(.keyPackage, "", reference, nil)
            wantsKeyPackages = true
        }
        return bundle
    }

    // MARK: Others'

    /// Asks the mailbox of an identity for one KeyPackage of each of its devices. M§5.5
    mutating func fetchKeyPackages(of did: DID, for id: GroupID) throws(MessagingError) {
        guard !inFlight.values.contains(where: { $0.purpose == .fetch(did, id) }) else { return }
        let peer = try peer(did)
        let route: MailboxRoute
        if did == identity {
            guard let primary else { return }
            route = MailboxRoute(mailbox: primary)
        } else if let service = peer.mailboxes.first {
            route = MailboxRoute(mailbox: service.mailbox, uri: isOwn(service.mailbox) ? nil : service.uri)
        } else {
            let now = now
            resolve(did)
            update(id) { $0.retryAt = now + Self.documentInterval }
            return
        }
        post(
            .keyPackageFetch(
                KeyPackageFetch(
                    target: did,
                    grant: peer.grantUntil > now ? peer.grant : nil,
                    successorOf: groups[id]?.successorOf
                )
            ),
            to: route.mailbox,
            via: route,
            .fetch(did, id)
        )
    }

    mutating func received(_ packages: KeyPackages, by speaker: DID) throws(MessagingError) {
        let now = now
        guard let answered = packages.inReplyTo, let sent = inFlight[answered], sent.answerers.contains(speaker),
            case .fetch(let did, let id) = sent.purpose
        else { return }
        inFlight[answered] = nil
        guard packages.subject == did else { return }
        if mailboxQuestions[did]?.group == id { try foundMailbox(of: did) }
        guard groups[id] != nil else { return }
        var good: [KeyPackage] = []
        var devices: Set<DID> = []
        for encoded in packages.packages.prefix(256) + [packages.lastResort].compactMap(\.self) {
            guard let bytes = encoded.bytes, let unverified = try? Unverified<KeyPackage>(decoding: bytes),
                let package = try? unverified.verified(at: UInt64(now), by: DeviceCredentials()),
                package.cipherSuite == .x25519AES128
            else { continue }
            switch credential(of: package.leafNode) {
            case .known(let leaf) where leaf.identity == did && devices.insert(leaf.device).inserted:
                good.append(package)
            case .needs(let subject):
                // Its document first; then the packages again.
                resolve(subject)
                update(id) { $0.retryAt = now + Self.documentInterval }
                return
            case .known, .invalid: break
            }
        }
        if good.isEmpty { postpone(did, in: id, until: now + 60) } else { offers[id, default: [:]][did] = good }
        try cleared(.inviteOnly, in: id)
    }

    mutating func missedKeyPackages(of did: DID, for id: GroupID) throws(MessagingError) {
        if mailboxQuestions[did]?.group == id { return try missedMailbox(of: did) }
        update(id) { $0.attempts = min($0.attempts + 1, 16) }
        postpone(did, in: id, until: now + MessagingProfile.backoff(attempt: groups[id]?.attempts ?? 1))
    }

    /// One who cannot be added now does not keep the others out: they are added without, and this one by a change that follows.
    private mutating func postpone(_ did: DID, in id: GroupID, until time: Int64) {
        let now = now
        let isOwn = did == identity
        update(id) { group in
            guard case .add(let list)? = group.changes.first, list.contains(did), !isOwn,
                group.commitItem == nil, group.passing == nil
            else {
                if group.passing == nil { group.retryAt = time }
                return
            }
            let rest = list.filter { $0 != did }
            group.changes.removeFirst()
            if !rest.isEmpty { group.changes.insert(.add(rest), at: 0) }
            group.changes.append(.add([did]))
            // Who else waits has a turn too.
            group.retryAt = !rest.isEmpty ? nil : group.changes.count > 1 ? min(time, now + 60) : time
        }
    }

    mutating func refusedKeyPackages(of did: DID, for id: GroupID, _ reason: Reason) throws(MessagingError) {
        if mailboxQuestions[did]?.group == id {
            switch reason {
            case .transportUnknownRecipient: return try lacksMailbox(did)
            case .transportRateLimited, .policyRateLimited, .mailboxQuotaExceeded: return try missedMailbox(of: did)
            default: try foundMailbox(of: did)
            }
        }
        guard let group = groups[id] else { return }
        if did == identity {
            // No other device of ours can be added now; the rest of the change goes on.
            offers[id, default: [:]][did] = []
            return
        }
        if reason == .policyFirstContactRequired {
            var peer = try peer(did)
            peer.grant = nil
            set(peer, for: did)
            try introduce(to: did, for: group)
        }
        switch reason {
        case .mailboxNoKeyPackages,
            .transportUnknownRecipient where group.gathersUntil != nil:
            // They may be on their way to their mailbox for the first time.
            postpone(did, in: id, until: now + 5)
        case .mailboxNoKeyPackages, .policyRateLimited: postpone(did, in: id, until: now + 60)
        case .policyFirstContactRequired: postpone(did, in: id, until: now + Self.introductionPatience)
        case _ where group.kind.effective == .direct: postpone(did, in: id, until: now + 60)
        default:
            // Not to be had at all.
            update(id) { group in
                guard case .add(let list)? = group.changes.first, list.contains(did) else { return }
                let rest = list.filter { $0 != did }
                group.changes.removeFirst()
                if !rest.isEmpty { group.changes.insert(.add(rest), at: 0) }
                group.retryAt = nil
            }
            try surface(reason, in: id)
        }
    }

    /// Seconds after which the mailbox of somebody who was introduced to is asked again, without their answer.
    private static var introductionPatience: Int64 { 3600 }

    /// What waits for somebody is tried at once.
    mutating func hurry() {
        for (id, group) in groups where group.phase == .active && !group.changes.isEmpty && group.passing == nil {
            update(id) { $0.retryAt = nil }
        }
    }

    /// No mailbox of theirs is known: nobody waits for them.
    mutating func postpone(_ did: DID) {
        for id in groups.keys.sorted() where groups[id]?.phase == .active {
            guard case .add(let list)? = groups[id]?.changes.first, list.contains(did) else { continue }
            postpone(did, in: id, until: now + Self.documentInterval)
        }
    }
}
