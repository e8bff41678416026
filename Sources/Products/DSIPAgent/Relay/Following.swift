import DSIPIdentity
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding

/// A subscription of ours (DSIP §9.3), kept up for as long as it is wanted. Confined to the agent actor.
class Following {
    /// A stream, or a person.
    let target: String
    /// The class of events.
    let event: String
    /// The identity of ours that subscribes.
    let owner: DID
    /// The relay that answers for the target.
    let path: String
    var subscriber = Subscriber()
    /// The one that was asked for last.
    var subscription: ULID?
    /// Unix seconds at which it is asked for anew.
    var dueAt: Int64?

    init(_ target: String, _ event: String, as owner: DID, at path: String) {
        (self.target, self.event, self.owner, self.path) = (target, event, owner, path)
    }

    /// Unix seconds.
    var subscriptionDue: Int64? { [dueAt, subscriber.nextDeadline].compactMap(\.self).min() }

    /// Whether `id` is a subscription of this one, the current or one it replaced.
    func holds(_ id: ULID) -> Bool { subscription == id || subscriber.subscriptions.contains { $0.id == id } }
}

extension Agent {
    /// A relay is connected, anew perhaps: subscriptions are soft state.
    func resubscribe(owner: DID, path: String) {
        for watch in watched.values where watch.owner == owner && watch.path == path { subscribe(watch) }
        for person in looked.values where person.owner == owner && person.path == path { subscribe(person) }
    }

    /// A relay is gone: what it said of a stream last is what it said last; who is there now it cannot say.
    func unsubscribed(owner: DID, path: String) {
        for watch in watched.values where watch.owner == owner && watch.path == path {
            hub.publish(.broadcast(broadcast(watch)))
        }
        for person in looked.values where person.owner == owner && person.path == path { show(nil, of: person) }
    }

    func isFollowing(owner: DID, path: String) -> Bool {
        (watched.values.lazy.map { $0 as Following } + looked.values.lazy.map { $0 as Following })
            .contains { $0.owner == owner && $0.path == path }
    }

    /// - Parameter seconds: 0 ends it.
    func send(subscribeTo following: Following, for seconds: Int64) {
        guard let desk = desks[following.owner],
            let relay = links.connected(owner: following.owner, url: following.path)
        else { return }
        let actions = following.subscriber.handle(
            .subscribe(
                id: makeID(),
                to: relay.identity,
                target: following.target,
                events: [following.event],
                expiresIn: seconds
            ),
            at: now()
        )
        for case .sendSubscribe(let id, let to, let target, let events, let expiresIn) in actions {
            if expiresIn > 0 { following.subscription = id }
            let isStream = following.event == Subscribe.publication
            let stamp = Message.Stamp(
                id: id,
                from: desk.key.did,
                issuedAt: now(),
                version: isStream ? VersionBlock(profiles: [.verifiedBroadcast]) : .core
            )
            let body = Subscribe(target: target, events: events, expiresIn: expiresIn)
            transmit(Message(stamp, to: to, body), desk, path: following.path)
        }
    }

    /// - Returns: whether it was an answer to a subscription of ours.
    func receiveFollowed(_ message: Verified<Message>, _ desk: Desk) -> Bool {
        guard let event = SubscriberEvent(message), let id = event.subscription else { return false }
        if let watch = watched.values.first(where: { $0.owner == desk.identity && $0.holds(id) }) {
            receive(event, message, watch)
        } else if let person = looked.values.first(where: { $0.owner == desk.identity && $0.holds(id) }) {
            receive(event, person)
        } else {
            return false
        }
        reschedule()
        return true
    }
}

extension SubscriberEvent {
    fileprivate var subscription: ULID? {
        switch self {
        case .receivedNotify(let id, _, _, _, _, _, _, _), .receivedReject(let id, _, _, _): id
        case .subscribe: nil
        }
    }
}
