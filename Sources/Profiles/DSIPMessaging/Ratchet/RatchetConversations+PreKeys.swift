import Crypto
import DSIPIdentity
import DoubleRatchet
import Encoding

extension RatchetConversations {
    // MARK: Own prekeys

    /// Bundles uploaded in one message; with delegations beside them, more would not fit a frame.
    private static var uploadSize: Int { 8 }

    /// Leaves bundles at the relay when few are left there, and all anew once a week.
    ///
    /// - Parameter isFilling: an upload was just taken, and the shelf is not full yet.
    mutating func publish(at now: Int64, isFilling: Bool = false) throws(MessagingError) {
        guard publishing.isEmpty, let shelf else { return }
        let limits = configuration.limits
        let isFresh = try now >= number("rotated") + limits.rotation
        let left = isFresh ? 0 : Int(try number("published"))
        guard left <= (isFilling ? limits.bundles - 1 : limits.fewBundles) else { return }
        var ring = try ring(at: now)
        if isFresh {
            if try number("rotated") > 0 { ring.rotate(at: now, using: &random) }
            ring.expire(at: now)
        }
        let count = min(limits.bundles - left, Self.uploadSize)
        ring.replenish(to: count, using: &random)
        let bundles = (0..<min(count, ring.remaining)).map { _ in bundle(ring.takeBundle()) }
        // None is left now, so the next one is the last resort.
        let lastResort = isFresh && ring.remaining == 0 ? bundle(ring.takeBundle()) : nil
        save(ring)
        let message = PreKeys(
            id: newID(at: now),
            from: configuration.device.did,
            to: shelf,
            issuedAt: now,
            subject: configuration.identity,
            bundles: bundles,
            lastResort: lastResort,
            isFresh: isFresh
        )
        publishing[message.head.id] = now
        set("publishing", Int64(left + bundles.count))
        if isFresh { set("rotating", now) }
        actions.append(.publish(message))
    }

    /// The relay has them. Until it says so, a restart publishes again.
    mutating func published(at now: Int64) throws(MessagingError) {
        set("published", try number("publishing"))
        if try number("rotating") > number("rotated") { set("rotated", try number("rotating")) }
        try publish(at: now, isFilling: true)
    }

    private func bundle(_ bundle: PreKeyBundle) -> PreKeys.Bundle {
        PreKeys.Bundle(device: configuration.device.did, bytes: bundle.bytes, delegation: configuration.delegation)
    }

    // MARK: Own devices

    static var maximumExpected: Int { 16 }

    /// A device of this identity is there: who the own devices are is asked anew, until it has left bundles.
    public mutating func expect(_ device: DID, at now: Int64) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            guard device != me.configuration.device.did, me.shelf != nil, me.expected.count < Self.maximumExpected,
                try me.ledger.row(.setting, "", Self.met(device)) == nil
            else { return }
            me.expected.insert(device)
            me.want(me.configuration.identity, at: now)
        }
    }

    /// The owner has told it what it has to know.
    public mutating func greeted(_ device: DID, at now: Int64) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in me.set(Self.met(device), 1) }
    }

    /// Own devices that have not been greeted, since the program ended: told again.
    mutating func tellMet() throws(MessagingError) {
        for device in try sessions(with: configuration.identity).devices.compactMap({ DID($0) }) {
            guard try ledger.json(.setting, "", Self.met(device))?["value"]?.int == 0 else { continue }
            actions.append(.met(device))
        }
    }

    private static func met(_ device: DID) -> String { "met \(device)" }

    /// Tells of own devices with which a session is there for the first time.
    ///
    /// - Returns: whether all that are expected are there.
    private mutating func meet(_ devices: [DID]) throws(MessagingError) -> Bool {
        for device in devices where try ledger.row(.setting, "", Self.met(device)) == nil {
            set(Self.met(device), 0)
            actions.append(.met(device))
        }
        expected.subtract(devices)
        return expected.isEmpty
    }

    // MARK: Others' bundles

    /// Somebody's bundles are wanted: asked for at once when they are not being asked for already.
    mutating func want(_ person: DID, device: DID? = nil, at now: Int64) {
        if wanted[person] == nil {
            wanted[person] = Want(nextAt: now)
            ledger.set(.wanted, "", person.string, [])
        }
        ask(person, device: device, at: now)
    }

    private mutating func ask(_ person: DID, device: DID? = nil, at now: Int64) {
        guard isBound, let want = wanted[person], want.nextAt <= now,
            !fetching.values.contains(where: { $0.person == person && ($0.device == nil || $0.device == device) })
        else { return }
        let id = newID(at: now)
        fetching[id] = Fetch(person: person, device: device, at: now)
        actions.append(.fetch(id, person, device: device))
    }

    mutating func askForBundles(at now: Int64) throws(MessagingError) {
        for person in wanted.keys.sorted(by: { $0.string < $1.string }) { ask(person, at: now) }
    }

    /// 10 s, doubling to an hour, or what the relay said. Devices that wrote first have what waits meanwhile.
    mutating func put(off person: DID, _ retryAfter: Int64?, at now: Int64) throws(MessagingError) {
        guard var want = wanted[person] else { return }
        want.attempts = min(want.attempts + 1, 16)
        let pause = min(3600, Int64(10) << Int64(min(want.attempts - 1, 9)))
        want.nextAt = now + max(pause, min(retryAfter ?? 0, 86_400))
        wanted[person] = want
        actions.append(.waiting(for: person))
        try sendWaiting(to: person, isUrgent: true, at: now)
    }

    /// The answer to a fetch.
    ///
    /// - Parameters:
    ///   - answer: with `inReplyTo`, of the fetch.
    ///   - devices: those in it that the owner has found to speak for the person: their delegations verified, with `dsip.messaging` and
    ///     not revoked, or the person's own key.
    public mutating func fetched(
        _ answer: PreKeys,
        ofDevices devices: Set<DID>,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            guard let id = answer.inReplyTo, let fetch = me.fetching.removeValue(forKey: id),
                answer.subject == fetch.person
            else { return }
            let bundles = answer.bundles.filter {
                $0.device != me.configuration.device.did && devices.contains($0.device)
            }
            try me.take(bundles, of: fetch, at: now)
        }
    }

    private mutating func take(_ bundles: [PreKeys.Bundle], of fetch: Fetch, at now: Int64) throws(MessagingError) {
        let person = fetch.person
        var sessions = try sessions(with: person)
        let failures = try failures(with: person)
        var resets: [(device: DID, message: [UInt8])] = []
        var isReached = person == configuration.identity
        for bundle in bundles {
            let device = bundle.device
            guard let key = Self.identityKey(of: device), let parsed = try? PreKeyBundle(bundle.bytes),
                let verified = try? parsed.verified(as: key, profile: RatchetConfiguration.profile.agreement)
            else { continue }
            isReached = true
            if failures[device] != nil {
                if let reset = try? sessions.reset(device.string, verified, at: now, using: &random) {
                    resets.append((device, reset))
                }
            }
            if !sessions.hasSession(with: device.string) {
                try? sessions.begin(with: device.string, verified, using: &random)
            }
        }
        if fetch.device == nil, !bundles.isEmpty || person == configuration.identity {
            let listed = Set(bundles.map(\.device.string))
            for device in sessions.devices where !listed.contains(device) { sessions.forget(device) }
            ledger.set(.person, "", person.string, json: ["listed": .int(now)])
        }
        let met = bundles.map(\.device).filter { sessions.hasSession(with: $0.string) }
        save(sessions, with: person)
        guard isReached else { return try put(off: person, nil, at: now) }
        let attempts = wanted[person]?.attempts ?? 0
        wanted[person] = nil
        ledger.set(.wanted, "", person.string, nil)
        for reset in resets { enqueue(reset.message, to: reset.device, of: person, item: nil, at: now) }
        for (device, references) in failures { try askAgain(references, of: device, person, at: now) }
        try sendWaiting(to: person, at: now)
        if person == configuration.identity, bundles.isEmpty {
            // There are no other devices after all: nobody waits for copies.
            for row in try ledger.rows(.waiting, person.string, limit: configuration.limits.waiting) {
                ledger.set(.waiting, person.string, row.key, nil)
            }
        }
        if person == configuration.identity, try !meet(met) {
            if attempts < 8 {
                wanted[person] = Want(attempts: attempts + 1, nextAt: now + 5 << Int64(attempts))
            } else {
                expected = []
            }
        }
        // One device was asked about, and what waits is for all of them.
        if fetch.device != nil, try !ledger.rows(.waiting, person.string, limit: 1).isEmpty { want(person, at: now) }
        try transmit(at: now)
    }

    /// The Ed25519 key that a device's `did:key` is.
    static func identityKey(of device: DID) -> IdentityKey? {
        guard case .ed25519(let key)? = DIDKey.publicKey(of: device) else { return nil }
        return .ed25519(Array(key.rawRepresentation))
    }
}
