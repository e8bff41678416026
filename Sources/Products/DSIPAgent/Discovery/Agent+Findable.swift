import DSIPDiscovery
import DSIPIdentity
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging

/// Being found by the address alone: the home record and the hint of an identity without a document, given to its relay, which passes
/// them on to the DHT. They name the relay and nothing else: no address of a device, no place.
///
/// Throw-away identities publish nothing, and those with a document need not.
extension Agent {
    /// Seconds after which an announcement that failed is tried again.
    private static let retryTime: Int64 = 120

    /// What is said of an identity, where the relay takes it and where the DHT keeps it.
    struct Announcement {
        let path: String
        let key: [UInt8]
        let bytes: [UInt8]

        init(hint: [UInt8], of identity: DID) {
            (path, key, bytes) = ("/dsip/v1/hints", HintKey.path(of: identity), hint)
        }

        /// A record of the directory.
        init(_ bytes: [UInt8], under key: [UInt8]) {
            (path, self.key, self.bytes) = (
                "/dsip/v1/records/\(String(decoding: key.suffix(64), as: UTF8.self))", key, bytes
            )
        }
    }

    /// Tells the desk's relay where the identity lives and that it is there, or that it is not to be found any more.
    func announce(_ desk: Desk) {
        desk.announceAt = nil
        desk.presenceAt = nil
        guard configuration.mode == .full, desk.identity.method == "key", !keyring.isThrowaway(desk.identity),
            links.connected(owner: desk.identity, url: desk.relay) != nil
        else { return }
        let now = now()
        let isFindable = visibility != .nobody
        let records: [Announcement]
        do throws(DiscoveryError) {
            records = try isFindable ? whereabouts(desk, at: now) : [home(desk, .init(), at: now)]
        } catch {
            return logger.error("Where an identity lives cannot be signed", metadata: ["error": "\(error)"])
        }
        desk.announceAt = isFindable ? now + desk.hint.lifetime * 2 / 3 : nil
        schedulePresence(desk, at: now)
        let (owner, relay) = (desk.identity, desk.relay)
        Task {
            if !isFindable { await ownHost?.withdraw(HintKey.path(of: owner)) }
            for record in records where await !publish(record, at: relay) && isFindable {
                desks[owner]?.announceAt = self.now() + Agent.retryTime
            }
            if isFindable, await !publishZone(of: owner, naming: relay) {
                desks[owner]?.announceAt = self.now() + Agent.retryTime
            }
            reschedule()
        }
        reschedule()
    }

    /// The same hint in the identity's own zone, which only its own key can sign.
    ///
    /// - Returns: whether it need not be tried again soon.
    private func publishZone(of identity: DID, naming relay: String) async -> Bool {
        guard !directory.pkarr.isEmpty, let key = try? keyring.controllerKey(of: identity), key.did == identity,
            let lifetime = desks[identity]?.hint.lifetime
        else { return true }
        return await directory.pkarr.publish(relay, for: lifetime, at: now(), by: key)
    }

    /// Gives a record to the relay, and to the DHT where we are a host ourselves.
    ///
    /// - Returns: whether the relay need not be asked again.
    @discardableResult
    func publish(_ record: Announcement, at relay: String) async -> Bool {
        if let host = ownHost { Task { await host.put(record.key, record.bytes) } }
        guard let base = RelayDirectory.base(of: relay) else { return true }
        let answer = try? await fetcher.post(url: base + record.path, record.bytes)
        // A relay without discovery is not asked again and again.
        return answer.map { (200..<500).contains($0.status) } ?? false
    }

    private func whereabouts(_ desk: Desk, at now: Int64) throws(DiscoveryError) -> [Announcement] {
        let mailboxes = desk.mail?.mailbox == nil ? [] : [desk.relay]
        let places = HomeRecord.Places(relays: [desk.relay], mailboxes: mailboxes)
        desk.hint.endpoints = [.init(uri: desk.relay)]
        let hint = try desk.hint.sign(at: now, id: makeID(), by: desk.key, delegations: desk.delegations)
        return [
            try home(desk, places, at: now),
            Announcement(hint: hint, of: desk.identity),
        ]
    }

    /// Also one that names no place holds as long as any: else the one before would count again after it.
    private func home(
        _ desk: Desk,
        _ places: HomeRecord.Places,
        at now: Int64
    ) throws(DiscoveryError) -> Announcement {
        let record = try HomeRecord.sign(
            places,
            of: desk.identity,
            at: now,
            seq: sequence(.home, of: desk.identity, at: now),
            by: desk.key,
            delegation: desk.delegations.first
        )
        return Announcement(record, under: DiscoveryKey.home(desk.identity))
    }

    func advanceAnnouncements() {
        let now = now()
        for desk in desks.values {
            if desk.announceAt.map({ $0 <= now }) ?? false { announce(desk) }
            if desk.presenceAt.map({ $0 <= now }) ?? false { publishPresence(desk) }
        }
    }

    // MARK: Order

    enum Sequence: String { case home, presence }

    /// The highest number ever signed, kept, so that a clock that goes back does not silence us.
    func lastSequence(_ kind: Sequence, of did: DID) -> Int64 {
        ((try? store.setting("seq.\(kind.rawValue) \(did)")) ?? nil).flatMap { Int64($0) } ?? 0
    }

    func keep(_ sequence: Int64, _ kind: Sequence, of did: DID) {
        try? store.set("seq.\(kind.rawValue) \(did)", "\(sequence)")
    }

    private func sequence(_ kind: Sequence, of did: DID, at now: Int64) -> Int64 {
        let next = max(now, lastSequence(kind, of: did) + 1)
        keep(next, kind, of: did)
        return next
    }
}
