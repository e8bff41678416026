import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding

/// Somebody whose presence is looked at. Confined to the agent actor.
final class LookedAt: Following {
    let did: DID
    /// What their relay says: whether a device of theirs is connected to it; nil when it does not say, or is not asked.
    var isHere: Bool?
    /// Unix seconds at which they were last asked for.
    var askedAt: Int64 = 0
    /// Times they were asked for since they were last seen.
    var tries = 0
    /// Unix seconds until which somebody looks.
    var until: Int64

    init(_ did: DID, as owner: DID, at path: String, until: Int64) {
        self.did = did
        self.until = until
        super.init(did.string, Subscribe.presence, as: owner, at: path)
    }

    /// Unix seconds.
    var nextDeadline: Int64? { [subscriptionDue, until].compactMap(\.self).min() }
}

/// Presence by subscription (DSIP §9.3), both ways: who of the contacts is there, for as long as somebody looks, and who may see us.
///
/// Nobody's relay is asked while no page shows its people: the question tells a relay who asks.
extension Agent {
    public static let maximumLooked = 128
    /// Seconds for which people are looked at once they are named; a page names them again.
    private static let lookTime: Int64 = 600
    /// Seconds: of a subscription, until it is renewed, and until one that was declined is asked for again, at first and at last: who has
    /// just been made a contact may be about to make us theirs.
    private static let presenceLife: Int64 = 900
    private static let presenceRenewal: Int64 = 600
    private static let presenceRetry: ClosedRange<Int64> = 5...300
    /// Seconds in which an answer comes, if one comes.
    private static let presencePatience: Int64 = 3

    /// Looks at `people` for the next ten minutes; what changes comes as `presence` events.
    ///
    /// - Parameter people: ``maximumLooked`` at most.
    /// - Returns: what is known of each, at once.
    public func look(at people: [DID]) async throws(AgentError) -> [(DID, isHere: Bool?)] {
        for did in people.prefix(Agent.maximumLooked) where desks[did] == nil {
            if let known = looked[did] {
                known.until = now() + Agent.lookTime
                // Whoever looks anew does not wait for the next try.
                if known.isHere == nil, now() >= known.askedAt + Agent.presencePatience { subscribe(known) }
                continue
            }
            let desk = try desk(for: did)
            let found = contactPath(to: did, desk)
            let path = if let found { found } else { (try? await lookup(did.string))?.relay ?? desk.relay }
            guard looked[did] == nil, desks[desk.identity] != nil else { continue }
            if looked.count >= Agent.maximumLooked, let first = looked.values.min(by: { $0.until < $1.until }) {
                lookAway(from: first)
            }
            let person = LookedAt(did, as: desk.identity, at: path, until: now() + Agent.lookTime)
            looked[did] = person
            // Where there is no connection yet, the subscription follows it.
            _ = links.link(owner: person.owner, url: path)
            subscribe(person)
        }
        reschedule()
        return people.map { ($0, looked[$0]?.isHere) }
    }

    private func lookAway(from person: LookedAt) {
        looked[person.did] = nil
        send(subscribeTo: person, for: 0)
    }

    func subscribe(_ person: LookedAt) {
        person.askedAt = now()
        let retry = Agent.presenceRetry
        person.dueAt = now() + min(retry.lowerBound << min(person.tries, 8), retry.upperBound)
        person.tries += 1
        send(subscribeTo: person, for: Agent.presenceLife)
    }

    func receive(_ event: SubscriberEvent, _ person: LookedAt) {
        for action in person.subscriber.handle(event, at: now()) {
            switch action {
            case .changed(_, let event, let state) where event == Subscribe.presence:
                person.dueAt = now() + Agent.presenceRenewal
                person.tries = 0
                show(state == "available", of: person)
            case .terminated(let id, _) where id == person.subscription: show(nil, of: person)
            case .rejected(let id, _) where id == person.subscription: show(nil, of: person)
            default: continue
            }
        }
    }

    /// Takes what is known of somebody, and tells who looks.
    func show(_ isHere: Bool?, of person: LookedAt) {
        guard person.isHere != isHere else { return }
        person.isHere = isHere
        hub.publish(.presence(person.did, isHere: isHere))
    }

    func advanceLooked() {
        let now = now()
        for person in looked.values {
            if person.until <= now {
                lookAway(from: person)
                continue
            }
            for case .lapsed(let id) in person.subscriber.advance(to: now) where id == person.subscription {
                show(nil, of: person)
            }
            if let due = person.dueAt, due <= now { subscribe(person) }
        }
    }

    // MARK: Being seen

    /// Tells the desk's relay who may see that its identity is there, where that has changed.
    func sendAudience(_ desk: Desk) {
        guard configuration.mode == .full, !keyring.isThrowaway(desk.identity),
            let relay = links.connected(owner: desk.identity, url: desk.relay),
            links.capabilities(at: desk.relay)?.other["presence"] != nil
        else { return }
        let audience = audience(of: desk)
        guard audience != desk.toldAudience else { return }
        desk.toldAudience = audience
        let config = PresenceConfig(
            id: makeID(),
            from: desk.key.did,
            to: relay.identity,
            issuedAt: now(),
            expiresAt: now() + MessagingProfile.maximumLifetime,
            audience: PresenceConfig.Audience(audience)
        )
        say(config.json, until: config.head.expiresAt, desk)
    }

    /// Contacts who may ring, unless the person chose nobody or everybody.
    private func audience(of desk: Desk) -> SubscriptionPolicy {
        switch visibility {
        case .nobody: return .only([])
        case .everybody: return .everyone
        case .relay, .contacts:
            let contacts = ((try? store.contacts(of: desk.identity)) ?? []).filter { $0.allowed && !$0.blocked }
            let latest = contacts.sorted { $0.changedAt > $1.changedAt }.prefix(PresenceConfig.maximumListed)
            return .only(Set(latest.map(\.did)))
        }
    }
}

extension PresenceConfig.Audience {
    /// As the relay is told it, under a salt of its own.
    fileprivate init(_ policy: SubscriptionPolicy) {
        switch policy {
        case .everyone: self = .everyone
        case .only(let people) where people.isEmpty: self = .nobody
        case .only(let people):
            var random = SystemRandomNumberGenerator()
            let salt = (0..<PresenceConfig.saltSize).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            self = .init(ListedAudience(salt: salt, of: people))
        case .listed(let list): self = .init(list)
        }
    }

    private init(_ list: ListedAudience) { self = .listed(salt: list.salt, tags: list.tags) }
}
