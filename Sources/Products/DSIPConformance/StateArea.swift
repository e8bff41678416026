import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding

/// Vectors of kind `state`: scripted traces of an endpoint, a relay, a subscription authority or a subscriber.
enum StateArea {
    /// The event of a vector cannot be read.
    struct Unreadable: Error {
        let what: String
    }

    /// - Returns: what each step emitted, and of the snapshots those its `expect` names.
    static func run(_ vector: JSONValue) throws -> JSONValue {
        let context = vector["context"] ?? [:]
        guard let steps = vector["input"]?["steps"]?.array else { throw Unreadable(what: "steps") }
        var trace: any StateTrace
        switch context["component"]?.string {
        case "endpoint": trace = try EndpointTrace(context)
        case "relay": trace = RelayTrace(context)
        case "authority": trace = AuthorityTrace(context)
        case "subscriber": trace = SubscriberTrace(context)
        default: throw Unreadable(what: "component")
        }
        return .array(
            try steps.map { step in
                guard let event = step["event"] else { throw Unreadable(what: "event") }
                var result: JSONObject = ["emit": .array(try trace.feed(event))]
                for (name, expected) in step["expect"]?.object?.members ?? [] where name != "emit" {
                    result[name] = trace.snapshot(name, naming: expected)
                }
                return .object(result)
            }
        )
    }
}

/// One component under test, with its clock.
protocol StateTrace {
    mutating func feed(_ event: JSONValue) throws -> [JSONValue]
    /// - naming: the expected value; a component may restrict itself to the members it names.
    func snapshot(_ name: String, naming expected: JSONValue) -> JSONValue
}

/// What every component's trace reads from its vector.
struct StateContext {
    let identities: [DID: DID]
    var now: Int64

    init(_ context: JSONValue) {
        var identities: [DID: DID] = [:]
        for (name, value) in context["identities"]?.object?.members ?? [] {
            if let device = DID(name), let identity = value.string.flatMap({ DID($0) }) {
                identities[device] = identity
            }
        }
        self.identities = identities
        self.now = context["start"]?.int ?? 0
    }

    func identity(of device: DID) -> DID { identities[device] ?? device }

    /// A verified message in the vectors' abbreviation.
    func signal(_ message: JSONValue) throws -> Signal {
        guard let type = message["type"]?.string.flatMap(MessageType.init) else {
            throw StateArea.Unreadable(what: "type")
        }
        let from = try message.did("from")
        return Signal(
            type,
            id: try message.ulid("id"),
            from: from,
            identity: identity(of: from),
            to: message.optionalDID("to"),
            session: message.optionalULID("session"),
            expiresAt: message["expires_at"]?.int,
            reason: message["reason"]?.string.flatMap { Reason($0) },
            status: message["status"]?.string,
            ringTimeout: message["ring_timeout"]?.int,
            queueTimeout: message["queue_timeout"]?.int,
            answeredBy: message["answered_by"]?.string,
            inReplyTo: message.optionalULID("in_reply_to"),
            about: message["about"]?.string,
            grant: message.optionalULID("grant"),
            contactToken: message["contact_token"]?.string,
            purpose: message["purpose"]?.string,
            scope: message["scope"]?.array?.compactMap(\.string) ?? [],
            validUntil: message["valid_until"]?.int
        )
    }
}

extension JSONValue {
    func text(_ name: String) throws -> String {
        guard let text = self[name]?.string else { throw StateArea.Unreadable(what: name) }
        return text
    }

    func did(_ name: String) throws -> DID {
        guard let did = optionalDID(name) else { throw StateArea.Unreadable(what: name) }
        return did
    }

    func ulid(_ name: String) throws -> ULID {
        guard let id = optionalULID(name) else { throw StateArea.Unreadable(what: name) }
        return id
    }

    func reason(_ name: String) throws -> Reason {
        guard let reason = self[name]?.string.flatMap({ Reason($0) }) else { throw StateArea.Unreadable(what: name) }
        return reason
    }

    func optionalDID(_ name: String) -> DID? { self[name]?.string.flatMap { DID($0) } }
    func optionalULID(_ name: String) -> ULID? { self[name]?.string.flatMap { ULID($0) } }
}
