import DSIPIdentity
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import NIOConcurrencyHelpers
import NIOCore

/// What the relay, as an authority of subscriptions (DSIP §9.3), says to one device.
struct AuthorityWord {
    enum Content {
        /// With the members of the body beside the authority's own.
        case notify(SubscriptionNotice, [(name: String, value: JSONValue)])
        case reject(ULID, Reason)
        case error(ULID, Reason)
    }

    var content: Content
    var to: DID

    init(_ content: Content, to device: DID) { (self.content, to) = (content, device) }

    /// - Parameter enclosed: what goes with the notice of a publication.
    /// - Returns: nil for what concerns the authority alone.
    init?(
        _ action: SubscriptionAuthorityAction,
        enclosing enclosed: (ULID) -> [(name: String, value: JSONValue)] = { _ in [] }
    ) {
        switch action {
        case .notify(let notice):
            self.init(.notify(notice, notice.publication.map(enclosed) ?? []), to: notice.to)
        case .reject(let device, let subscription, let reason): self.init(.reject(subscription, reason), to: device)
        case .error(let device, let id, let reason): self.init(.error(id, reason), to: device)
        case .publication, .provenance, .subscription, .drop: return nil
        }
    }

    /// Why something is declined; nil for a `notify`.
    var refusal: Reason? {
        switch content {
        case .notify: nil
        case .reject(_, let reason), .error(_, let reason): reason
        }
    }

    /// Signed now.
    func bytes(by voice: RelayVoice, in form: WireForm) -> [UInt8]? {
        switch content {
        case .notify(let notice, let enclosed): voice.notify(notice, enclosing: enclosed, in: form)
        case .reject(let id, let reason): voice.reject(reason, to: to, session: id, in: form)
        case .error(let id, let reason): voice.error(reason, to: to, inReplyTo: id, in: form)
        }
    }
}

extension Switchboard {
    /// A subscription to what this relay is the authority of.
    func received(_ connection: SignalingConnection, subscribe message: Verified<Message>, _ subscribe: Subscribe) {
        let classes = Set(subscribe.events)
        if classes == [Subscribe.presence] {
            tell(presence.received(message), answering: connection)
        } else if classes.contains(Subscribe.presence) {
            // People and streams are kept apart.
            let word = AuthorityWord(.reject(message.body.id, .policyBlocked), to: message.body.from)
            tell([word], answering: connection)
        } else {
            received(connection, broadcast: message)
        }
    }

    /// Each is signed on the event loop of the connection it leaves by; whoever is away is told when they are back and ask.
    func tell(_ words: [AuthorityWord], answering asker: SignalingConnection? = nil) {
        guard !words.isEmpty else { return }
        let lines = state.withLockedValue { state in
            Dictionary(
                words.compactMap { word in state.lines[word.to].map { (word.to, $0.connection) } },
                uniquingKeysWith: { first, _ in first }
            )
        }
        for word in words {
            let refusal = word.refusal
            if let refusal { metrics.refused.add(refusal.token) }
            guard let connection = lines[word.to] ?? (refusal == nil ? nil : asker) else { continue }
            connection.eventLoop.execute { [voice] in
                if let bytes = word.bytes(by: voice, in: connection.form) { connection.send(bytes) }
            }
        }
    }
}
