import DSIPDiscovery
import DSIPIdentity
import Encoding
import FoundationEssentials
import Libp2p
import Logging

/// Presence (proposal 0.3 §5): that somebody is there at this moment, in a record of minutes, said anew at a moment of chance for as long as
/// the relay is connected.
///
/// Of the devices of one identity the last that spoke stands. Only a `did:key` says so: hosts that do not know a document could not tell a
/// record under it from a forged one.
extension Agent {
    private static let (visibilitySetting, regionSetting, findableSetting) = ("visibility", "region", "findable")

    /// Who may find this person.
    public var visibility: Visibility {
        if let chosen = ((try? store.setting(Agent.visibilitySetting)) ?? nil).flatMap(Visibility.init) {
            return chosen
        }
        // What an earlier version asked.
        return ((try? store.setting(Agent.findableSetting)) ?? nil) == "no" ? .nobody : .relay
    }

    /// Where this person says they are, for those who may know it.
    var region: Geohash? { ((try? store.setting(Agent.regionSetting)) ?? nil).flatMap { Geohash($0) } }

    func setVisibility(_ visibility: Visibility?, region: String?) throws(AgentError) {
        if let region {
            guard region.isEmpty || Geohash(region) != nil else {
                throw AgentError(.badRequest, "A region is a geohash of one to five characters, such as u33d.")
            }
            try store.set(Agent.regionSetting, region)
        }
        if let visibility { try store.set(Agent.visibilitySetting, visibility.rawValue) }
        guard visibility != nil || region != nil else { return }
        for desk in desks.values {
            announce(desk)
            sendAudience(desk)
        }
    }

    // MARK: Publishing

    /// When the desk's presence is to be said again; nil where nothing is said.
    func schedulePresence(_ desk: Desk, at now: Int64) {
        desk.presence.visibility = shown(desk, at: now)
        desk.presence.reach.relays = [desk.relay]
        desk.presence.reach.geo = region.map { .init(geohash: $0, method: "stated", at: now / 3600 * 3600) }
        desk.presenceAt = desk.presence.nextAt.map { max($0, now) }
    }

    /// Says that the desk's identity is there.
    func publishPresence(_ desk: Desk) {
        let (owner, url) = (desk.identity, desk.relay)
        // Nobody else begins meanwhile.
        desk.presenceAt = now() + PresencePublisher.minimumInterval
        guard links.connected(owner: owner, url: url) != nil else {
            desk.presenceAt = nil
            return
        }
        Task {
            let direct = await directory.overlay?.standing.addresses ?? []
            guard let desk = desks[owner] else { return }
            let now = now()
            schedulePresence(desk, at: now)
            guard desk.presenceAt != nil else { return announceRegions(desk) }
            desk.presence.reach.direct = Array(direct.prefix(PresenceReach.maximumEndpoints))
            var random = SystemRandomNumberGenerator()
            let record: [UInt8]
            do throws(DiscoveryError) {
                record = try desk.presence.sign(
                    at: now,
                    by: desk.key,
                    delegation: desk.delegations.first,
                    using: &random
                )
            } catch {
                desk.presenceAt = nil
                return logger.error("Presence cannot be signed", metadata: ["error": "\(error)"])
            }
            keep(desk.presence.lastSeq, .presence, of: owner)
            desk.presenceAt = desk.presence.nextAt
            announceRegions(desk)
            reschedule()
            await publish(Announcement(record, under: DiscoveryKey.presence(owner)), at: url)
        }
    }

    private func shown(_ desk: Desk, at now: Int64) -> PresencePublisher.Visibility {
        guard desk.identity.method == "key", !keyring.isThrowaway(desk.identity) else { return .nobody }
        switch visibility {
        case .nobody: return .nobody
        case .relay: return .relayOnly
        case .contacts: return .contacts(agreementKeys(of: desk))
        case .everybody: return .everybody
        }
    }

    /// The keys of those who may ring, of the latest so many: nothing can be sealed to more.
    private func agreementKeys(of desk: Desk) -> [[UInt8]] {
        let contacts = ((try? store.contacts(of: desk.identity)) ?? []).filter { $0.allowed && !$0.blocked }
        return contacts.sorted { $0.changedAt > $1.changedAt }.lazy
            .compactMap { self.directory.document(of: $0.did)?.keyAgreement.first?.publicKey }
            .prefix(SealedReach.maximumContacts).map(\.self)
    }

    /// The regions under which those are found who show everybody where they are, by a host that others reach.
    private func announceRegions(_ desk: Desk) {
        guard let host = ownHost, desk.identity == current else { return }
        let regions = desk.presence.reach.direct.isEmpty ? [] : desk.presence.regions
        let about = HostAbout(did: regions.isEmpty ? nil : desk.identity, relays: [], region: regions.first)
        Task { await host.announce(about) }
    }

    // MARK: Finding

    /// That somebody is there at this moment, as they say themselves; what they seal to contacts is read where this device holds the
    /// identity's own key.
    ///
    /// - Returns: nil when they do not say so, or not to whom we can ask.
    public func presence(of did: DID) async throws(AgentError) -> Presence? {
        let desk = try desk(for: did)
        guard let record = await directory.published(did, asking: desk.relay)?.presence else { return nil }
        let key = try? keyring.controllerKey(of: desk.identity)?.keyAgreementKey()
        return Presence(record, sealed: key.flatMap { record.reach(openedWith: $0) })
    }

    /// Relays near a place, the nearest first, as they say themselves.
    public func relays(near region: String) async throws(AgentError) -> [HostAbout] {
        guard let region = Geohash(region) else {
            throw AgentError(.badRequest, "A region is a geohash of one to five characters, such as u33d.")
        }
        guard let overlay = directory.overlay else {
            throw AgentError(.notAllowed, "This agent is in no DHT. Start it with --dht client.")
        }
        return await overlay.nearest(region).filter { !$0.relays.isEmpty }
    }
}
