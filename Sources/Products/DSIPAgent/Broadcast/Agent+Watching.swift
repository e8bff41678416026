import DSIPBroadcast
import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Logging

/// Following streams (DSIP §9.3, §22): a subscription at the publisher's authority, renewed for as long as the stream is wanted. What
/// its notifies enclose is verified here; of the authority's own word only that a stream was withdrawn or has run out is taken.
extension Agent {
    static let maximumWatched = 32
    /// Seconds: of a subscription, until it is renewed, and until one that was declined is asked for again.
    private static let subscriptionLife: Int64 = 3_600
    private static let renewal: Int64 = 2_700
    private static let retry: Int64 = 60
    private static let watchedSetting = "broadcasts"

    /// What is followed, by stream.
    public func broadcasts() -> [Broadcast] {
        watched.values.sorted { $0.stream < $1.stream }.map(broadcast)
    }

    func broadcast(_ watch: WatchedStream) -> Broadcast {
        Broadcast(
            stream: watch.stream,
            isOwn: desks[watch.publisher] != nil,
            publisher: peer(watch.publisher, of: watch.owner, claimed: nil),
            state: watch.state,
            isCurrent: links.connected(owner: watch.owner, url: watch.path) != nil && watch.state != .waiting,
            record: watch.record,
            statements: watch.statements,
            refused: watch.refused,
            fault: watch.fault
        )
    }

    /// Follows a stream from now on, and waits a moment for what is current.
    ///
    /// - Parameters:
    ///   - input: a stream id, the address of its publisher where that is the stream, or `name@host`.
    ///   - relay: the `wss` URL of its authority, where nothing else says it.
    public func watch(_ input: String, relay: String? = nil) async throws(AgentError) -> Broadcast {
        if let known = watched[input] {
            subscribe(known)
            await settle { known.state != .waiting }
            return broadcast(known)
        }
        let (stream, publisher, found) = try await authority(of: input)
        let desk = try desk(for: publisher)
        let path = desks[publisher]?.relay ?? relay ?? found ?? desk.relay
        let watch =
            watched[stream] ?? WatchedStream(stream: stream, owner: desk.identity, publisher: publisher, path: path)
        if watched[stream] == nil {
            guard watched.count < Agent.maximumWatched else {
                throw AgentError(
                    .notAllowed,
                    "You follow \(Agent.maximumWatched) streams already. Stop following one of them first."
                )
            }
            watched[stream] = watch
            keepWatched()
        }
        _ = await links.link(owner: watch.owner, url: watch.path).ready(within: .seconds(8))
        subscribe(watch)
        await settle { watch.state != .waiting }
        return broadcast(watch)
    }

    /// Stops following a stream.
    public func unwatch(_ stream: String) throws(AgentError) {
        guard let watch = watched.removeValue(forKey: stream) else {
            throw AgentError(.notFound, "You do not follow \(stream).")
        }
        keepWatched()
        send(subscribeTo: watch, for: 0)
        hub.publish(.broadcastGone(stream))
        reschedule()
    }

    /// Waits for `isDone`, at most as long as a person would.
    func settle(_ isDone: () -> Bool) async {
        let end = ContinuousClock.now + .seconds(8)
        while !isDone(), ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(25)) }
    }

    /// Whose stream `input` is, and the relay that their document or claim names.
    private func authority(of input: String) async throws(AgentError) -> (String, DID, relay: String?) {
        guard input.hasPrefix("did:") else {
            let found = try await lookup(input)
            return (found.peer.did.string, found.peer.did, found.relay)
        }
        guard input.utf8.count <= StreamID.maximumBytes else {
            throw AgentError(.badRequest, "This is no stream: it is longer than \(StreamID.maximumBytes) bytes.")
        }
        var failure = AgentError(.badRequest, "This is no stream: a stream begins with its publisher’s did:….")
        for publisher in StreamID.publishers(of: input) {
            if let own = desks[publisher] { return (input, publisher, own.relay) }
            do throws(AgentError) {
                return (input, publisher, try await lookup(publisher.string).relay)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    // MARK: Subscribing

    /// Takes up what was followed when the last run ended.
    func restoreWatched() {
        guard let text = (try? store.setting(Agent.watchedSetting)) ?? nil,
            let list = try? JSONValue(parsing: Array(text.utf8))
        else { return }
        for entry in (list.array ?? []).prefix(Agent.maximumWatched) {
            guard let watch = WatchedStream(entry), desks[watch.owner] != nil else { continue }
            watched[watch.stream] = watch
            _ = links.link(owner: watch.owner, url: watch.path)
        }
    }

    func keepWatched() {
        let list = JSONValue.array(watched.values.sorted { $0.stream < $1.stream }.map(\.json))
        try? store.set(Agent.watchedSetting, String(decoding: list.utf8, as: UTF8.self))
    }

    func subscribe(_ watch: WatchedStream) {
        send(subscribeTo: watch, for: Agent.subscriptionLife)
        watch.dueAt = now() + Agent.retry
        reschedule()
    }

    func advanceWatched() {
        for watch in watched.values {
            for case .lapsed(let id) in watch.subscriber.advance(to: now()) where id == watch.subscription {
                watch.state = .waiting
                watch.dueAt = now()
                hub.publish(.broadcast(broadcast(watch)))
            }
            if let due = watch.dueAt, due <= now() { subscribe(watch) }
            if let record = watch.record, record.expiresAt < now(), watch.state == .live || watch.state == .scheduled {
                watch.state = .expired
                hub.publish(.broadcast(broadcast(watch)))
            }
            if let due = watch.renewalDue, due <= now() { renew(watch) }
        }
    }

    // MARK: What comes

    func receive(_ event: SubscriberEvent, _ message: Verified<Message>, _ watch: WatchedStream) {
        for action in watch.subscriber.handle(event, at: now()) {
            switch action {
            case .changed(_, _, let state):
                watch.dueAt = now() + Agent.renewal
                if case .notify(let notify) = message.body.body { take(notify.content, state, watch) }
            case .terminated(let ended, _) where ended == watch.subscription:
                watch.state = .waiting
                watch.dueAt = now() + Agent.retry
            case .rejected(let declined, _) where declined == watch.subscription:
                watch.state = .unavailable
                watch.dueAt = now() + Agent.retry
            default: continue
            }
            hub.publish(.broadcast(broadcast(watch)))
        }
    }

    private func take(_ body: JSONObject, _ state: String?, _ watch: WatchedStream) {
        watch.arrivals += 1
        let arrival = watch.arrivals
        guard let record = body["record"] else {
            watch.state = .unavailable
            return
        }
        let statements = (body["statements"]?.array ?? []).prefix(
            SubscriptionAuthority.Limits().statementsPerPublication
        )
        let stream = watch.stream
        Task {
            let verified = await links.verify(record.utf8, statements: statements.map(\.utf8))
            guard let watch = watched[stream], arrival > watch.shownArrival else { return }
            switch verified {
            case .success(let found) where found.record.streamID == stream && found.record.publisher == watch.publisher:
                guard watch.show(found.record, found.statements, refused: found.refused, of: arrival) else { return }
                watch.state = Agent.state(found.record, asTold: state)
            case .success: watch.fault = BroadcastError.streamIDNamespace.code
            case .failure(let error):
                watch.fault = error.code
                // Over is over, however old the record is by now.
                let over = state == Broadcast.State.withdrawn.rawValue ? Broadcast.State.withdrawn : .expired
                watch.state = error.code == VerdictCode.expired.rawValue ? over : .unavailable
            }
            hub.publish(.broadcast(broadcast(watch)))
        }
    }

    /// The publisher's word for a record that holds; the authority's only for one that was taken back or has run out.
    private static func state(_ record: PublicationRecord, asTold told: String?) -> Broadcast.State {
        switch told.flatMap(Broadcast.State.init(rawValue:)) {
        case .withdrawn: .withdrawn
        case .expired: .expired
        default: Broadcast.State(rawValue: record.publish.state.rawValue) ?? .waiting
        }
    }
}
