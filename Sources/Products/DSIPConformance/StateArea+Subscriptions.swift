import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding

/// A trace of `SubscriptionAuthority`.
struct AuthorityTrace: StateTrace {
    private var context: StateContext
    private var authority = SubscriptionAuthority()

    init(_ vector: JSONValue) { context = StateContext(vector) }

    mutating func feed(_ event: JSONValue) throws -> [JSONValue] {
        if let seconds = event["advance"]?.int {
            context.now += seconds
            return authority.advance(to: context.now).map(\.emission)
        }
        return authority.handle(try read(event), at: context.now).map(\.emission)
    }

    private func read(_ event: JSONValue) throws -> SubscriptionAuthorityEvent {
        if let message = event["recv"] { return try readMessage(message) }
        switch (event["local"]?.string, event["relay"]?.string) {
        case ("policy", _):
            let allow = event["allow"]?.array?.compactMap { $0.string.flatMap { DID($0) } } ?? []
            return .setPolicy(
                target: try event.text("target"),
                try event.text("mode") == "public" ? .everyone : .only(Set(allow))
            )
        case ("issue_capability", _):
            return .issueCapability(token: try event.text("token"), target: try event.text("target"))
        case (_, "bind"): return .bound(device: try event.did("device"), identity: try event.did("identity"))
        case (_, "unbind"): return .unbound(device: try event.did("device"))
        default: throw StateArea.Unreadable(what: "event")
        }
    }

    private func readMessage(_ message: JSONValue) throws -> SubscriptionAuthorityEvent {
        let from = try message.did("from")
        let identity = context.identity(of: from)
        switch try message.text("type") {
        case "subscribe":
            return .receivedSubscribe(
                SubscribeRequest(
                    id: try message.ulid("id"),
                    device: from,
                    identity: identity,
                    target: try message.text("target"),
                    events: message["events"]?.array?.compactMap(\.string) ?? [],
                    expiresIn: message["expires_in"]?.int ?? 0,
                    capability: message["capability"]?.string
                )
            )
        case "publish":
            return .receivedPublish(
                Publication(
                    id: try message.ulid("id"),
                    identity: identity,
                    publisher: try message.did("publisher"),
                    stream: try message.text("stream_id"),
                    state: try message.text("state"),
                    variants: message["variants"]?.array?.compactMap { $0["id"]?.string } ?? [],
                    expiresAt: message["expires_at"]?.int ?? .max
                )
            )
        case "unpublish":
            return .receivedUnpublish(
                Withdrawal(
                    identity: identity,
                    publisher: try message.did("publisher"),
                    stream: try message.text("stream_id"),
                    publication: try message.ulid("publication")
                )
            )
        case "provenance":
            return .receivedProvenance(
                ProvenanceStatement(
                    identity: identity,
                    processor: try message.did("processor"),
                    stream: try message.text("original_stream"),
                    publication: try message.ulid("original_publication"),
                    inputVariant: try message.text("input_variant")
                )
            )
        default:
            throw StateArea.Unreadable(what: "type")
        }
    }

    func snapshot(_ name: String, naming expected: JSONValue) -> JSONValue {
        switch name {
        case "publications":
            return .object(
                JSONObject(
                    authority.publicationSnapshots.map {
                        (
                            $0.stream,
                            [
                                "publication": "\($0.publication)", "publisher": .string($0.publisher.string),
                                "state": .string($0.state),
                            ]
                        )
                    }
                )
            )
        case "subscriptions":
            return .object(
                JSONObject(
                    authority.subscriptionSnapshots.map {
                        (
                            $0.id.description,
                            [
                                "subscriber": .string($0.subscriber.string), "target": .string($0.target),
                                "events": .array($0.events.map { .string($0) }), "seq": .int($0.seq),
                                "expires_at": .int($0.expiresAt),
                            ]
                        )
                    }
                )
            )
        default:
            return .null
        }
    }
}

extension SubscriptionAuthorityAction {
    fileprivate var emission: JSONValue {
        switch self {
        case .notify(let notice): return ["send": notice.emission]
        case .reject(let to, let subscription, let reason):
            return [
                "send": [
                    "type": "reject", "to": .string(to.string), "session": "\(subscription)",
                    "reason": .string(reason.token),
                ]
            ]
        case .error(let to, let id, let reason):
            return [
                "send": [
                    "type": "error", "to": .string(to.string), "reason": .string(reason.token), "in_reply_to": "\(id)",
                ]
            ]
        case .publication(let stream, let state):
            return ["publication": ["stream": .string(stream), "state": .string(state)]]
        case .provenance(let stream, let processor):
            return ["provenance": ["stream": .string(stream), "processor": .string(processor.string)]]
        case .subscription(let id, let change):
            return ["subscription": ["id": "\(id)", "state": .string(change.rawValue)]]
        case .drop(let reason): return ["drop": .string(reason.rawValue)]
        }
    }
}

extension SubscriptionNotice {
    fileprivate var emission: JSONValue {
        var body: JSONObject = ["event": .string(event), "state": .string(state)]
        if let publication { body["publication"] = "\(publication)" }
        if !provenance.isEmpty { body["provenance"] = .array(provenance.map { .string($0.string) }) }
        var object: JSONObject = [
            "type": "notify", "to": .string(to.string), "subscription": "\(subscription)", "seq": .int(seq),
            "state": isTerminal ? "terminated" : "active", "body": .object(body),
        ]
        if let reason { object["reason"] = .string(reason.token) }
        return .object(object)
    }
}

/// A trace of `Subscriber`.
struct SubscriberTrace: StateTrace {
    private var context: StateContext
    private var subscriber = Subscriber()

    init(_ vector: JSONValue) { context = StateContext(vector) }

    mutating func feed(_ event: JSONValue) throws -> [JSONValue] {
        if let seconds = event["advance"]?.int {
            context.now += seconds
            return subscriber.advance(to: context.now).map(\.emission)
        }
        return subscriber.handle(try read(event), at: context.now).map(\.emission)
    }

    private func read(_ event: JSONValue) throws -> SubscriberEvent {
        guard let message = event["recv"] else {
            guard event["local"]?.string == "subscribe" else { throw StateArea.Unreadable(what: "event") }
            return .subscribe(
                id: try event.ulid("id"),
                to: try event.did("to"),
                target: try event.text("target"),
                events: event["events"]?.array?.compactMap(\.string) ?? [],
                expiresIn: event["expires_in"]?.int ?? 0
            )
        }
        let from = try message.did("from")
        switch try message.text("type") {
        case "notify":
            return .receivedNotify(
                subscription: try message.ulid("subscription"),
                from: from,
                identity: context.identity(of: from),
                seq: message["seq"]?.int ?? 0,
                isTerminal: message["state"]?.string == "terminated",
                reason: message["reason"]?.string.flatMap { Reason($0) },
                event: message["body"]?["event"]?.string,
                state: message["body"]?["state"]?.string
            )
        case "reject":
            return .receivedReject(
                subscription: try message.ulid("session"),
                from: from,
                identity: context.identity(of: from),
                reason: try message.reason("reason")
            )
        default:
            throw StateArea.Unreadable(what: "type")
        }
    }

    func snapshot(_ name: String, naming expected: JSONValue) -> JSONValue {
        guard name == "subscriptions" else { return .null }
        return .object(
            JSONObject(
                subscriber.subscriptions.map {
                    (
                        $0.id.description,
                        ["target": .string($0.target), "state": .string($0.state.rawValue), "seq": .int($0.seq)]
                    )
                }
            )
        )
    }
}

extension SubscriberAction {
    fileprivate var emission: JSONValue {
        switch self {
        case .sendSubscribe(let id, let to, let target, let events, let expiresIn):
            return [
                "send": [
                    "type": "subscribe", "to": .string(to.string), "id": "\(id)", "target": .string(target),
                    "events": .array(events.map { .string($0) }), "expires_in": .int(expiresIn),
                ]
            ]
        case .changed(_, let event, let state):
            var object: JSONObject = ["ui": "notify"]
            if let event { object["event"] = .string(event) }
            if let state { object["state"] = .string(state) }
            return .object(object)
        case .terminated(_, let reason):
            var object: JSONObject = ["ui": "subscription_terminated"]
            if let reason { object["reason"] = .string(reason.token) }
            return .object(object)
        case .rejected(_, let reason): return ["ui": "subscription_rejected", "reason": .string(reason.token)]
        case .lapsed(let id): return ["ui": "subscription_lapsed", "subscription": "\(id)"]
        case .refused(let reason): return ["refused": .string(reason.rawValue)]
        case .drop(let reason): return ["drop": .string(reason.rawValue)]
        }
    }
}
