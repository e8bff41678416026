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
    private static let setting = "findable"
    /// Seconds after which an announcement that failed is tried again.
    private static let retryTime: Int64 = 120

    /// Whether whoever has an address of this person can find their relay by it.
    var isFindable: Bool { ((try? store.setting(Agent.setting)) ?? nil) != "no" }

    func setFindable(_ isFindable: Bool) throws(AgentError) {
        guard isFindable != self.isFindable else { return }
        try store.set(Agent.setting, isFindable ? "yes" : "no")
        for desk in desks.values { announce(desk) }
    }

    /// Tells the desk's relay where the identity lives, or that it is not to be found any more.
    func announce(_ desk: Desk) {
        desk.announceAt = nil
        guard configuration.mode == .full, desk.identity.method == "key", !keyring.isThrowaway(desk.identity),
            links.connected(owner: desk.identity, url: desk.relay) != nil,
            let base = RelayDirectory.base(of: desk.relay)
        else { return }
        let now = now()
        let records: [(path: String, bytes: [UInt8])]
        do throws(DiscoveryError) {
            records = try isFindable ? found(desk, at: now) : [home(desk, .init(), lifetime: 3600, at: now)]
        } catch {
            return logger.error("Where an identity lives cannot be signed", metadata: ["error": "\(error)"])
        }
        let again = isFindable
        desk.announceAt = again ? now + desk.hint.lifetime * 2 / 3 : nil
        Task {
            for record in records {
                let answer = try? await fetcher.post(url: base + record.path, record.bytes)
                // A relay without discovery is not asked again and again.
                guard answer.map({ (200..<500).contains($0.status) }) != true else { continue }
                if again { desks[desk.identity]?.announceAt = now + Agent.retryTime }
            }
            reschedule()
        }
    }

    private func found(_ desk: Desk, at now: Int64) throws(DiscoveryError) -> [(path: String, bytes: [UInt8])] {
        let mailboxes = desk.mail?.mailbox == nil ? [] : [desk.relay]
        let places = HomeRecord.Places(relays: [desk.relay], mailboxes: mailboxes)
        desk.hint.endpoints = [.init(uri: desk.relay)]
        let hint = try desk.hint.sign(at: now, id: makeID(), by: desk.key, delegations: desk.delegations)
        return [
            try home(desk, places, lifetime: HomeRecord.maximumLifetime, at: now), ("/dsip/v1/hints", hint),
        ]
    }

    private func home(
        _ desk: Desk,
        _ places: HomeRecord.Places,
        lifetime: Int64,
        at now: Int64
    ) throws(DiscoveryError) -> (path: String, bytes: [UInt8]) {
        let record = try HomeRecord.sign(
            places,
            of: desk.identity,
            at: now,
            seq: now,
            lifetime: lifetime,
            by: desk.key,
            delegation: desk.delegations.first
        )
        return (
            "/dsip/v1/records/" + String(decoding: DiscoveryKey.home(desk.identity).suffix(64), as: UTF8.self), record
        )
    }

    func advanceAnnouncements() {
        let now = now()
        for desk in desks.values where desk.announceAt.map({ $0 <= now }) ?? false { announce(desk) }
    }
}
