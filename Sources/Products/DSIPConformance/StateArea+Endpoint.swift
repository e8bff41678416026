import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding

/// A trace of `EndpointEngine`.
struct EndpointTrace: StateTrace {
    private var context: StateContext
    private var engine: EndpointEngine

    init(_ vector: JSONValue) throws {
        context = StateContext(vector)
        let timers = vector["timers"]
        var configuration = EndpointConfiguration(
            establishSeconds: timers?["t_establish"]?.int,
            ringSeconds: timers?["t_ring"]?.int,
            ringLocalSeconds: timers?["t_ring_local"]?.int
        )
        // The traces hold verified messages of parties that belong together, under several names for one identity.
        configuration.trustsSenders = true
        let policy = vector["policy"]
        engine = EndpointEngine(
            device: try (vector["self"] ?? [:]).did("device"),
            identity: try (vector["self"] ?? [:]).did("identity"),
            configuration: configuration,
            contacts: ContactBook(
                firstContactRequired: policy?["first_contact_required"]?.bool ?? false,
                allow: policy?["allow"]?.array?.compactMap { $0.string.flatMap { DID($0) } } ?? []
            )
        )
    }

    mutating func feed(_ event: JSONValue) throws -> [JSONValue] {
        if let seconds = event["advance"]?.int {
            context.now += seconds
            return engine.advance(to: context.now).map(\.emission)
        }
        return engine.handle(try read(event), at: context.now).map(\.emission)
    }

    private func read(_ event: JSONValue) throws -> EndpointEvent {
        if let message = event["recv"] { return .received(try context.signal(message)) }
        switch event["local"]?.string {
        case "place_call":
            let to = try event.did("to")
            return .placeCall(session: try event.ulid("session"), to: to, identity: context.identity(of: to))
        case "cancel": return .cancel(session: try event.ulid("session"))
        case "hangup":
            return .hangUp(
                session: try event.ulid("session"),
                reason: event["reason"] == nil ? .userHangup : try event.reason("reason")
            )
        case "alert": return .alert(session: try event.ulid("session"), ringTimeout: event["ring_timeout"]?.int)
        case "auto_reject":
            return .autoReject(session: try event.ulid("session"), reason: try event.reason("reason"))
        case "accept":
            return .accept(session: try event.ulid("session"), answeredBy: answeredBy(event) ?? .user)
        case "decline": return .decline(session: try event.ulid("session"))
        case "update":
            return .offerUpdate(
                session: try event.ulid("session"),
                id: try event.ulid("id"),
                answeredBy: answeredBy(event)
            )
        case "answer_update":
            return .answerUpdate(session: try event.ulid("session"), inReplyTo: try event.ulid("in_reply_to"))
        case "reject_update":
            return .rejectUpdate(
                session: try event.ulid("session"),
                inReplyTo: try event.ulid("in_reply_to"),
                reason: try event.reason("reason")
            )
        case "info": return .sendInfo(session: try event.ulid("session"))
        default: return try readFirstContact(event)
        }
    }

    private func readFirstContact(_ event: JSONValue) throws -> EndpointEvent {
        switch event["local"]?.string {
        case "introduce":
            return .introduce(
                id: try event.ulid("id"),
                to: try event.did("to"),
                purpose: event["purpose"]?.string,
                contactToken: event["contact_token"]?.string
            )
        case "grant":
            return .grant(
                introduction: try event.ulid("introduction"),
                id: try event.ulid("id"),
                scope: event["scope"]?.array?.compactMap(\.string) ?? [],
                validUntil: event["valid_until"]?.int ?? 0
            )
        case "reject_introduction":
            return .rejectIntroduction(try event.ulid("introduction"), reason: try event.reason("reason"))
        case "revoke": return .revokeGrant(try event.ulid("grant"))
        case "issue_token": return .issueToken(try event.text("token"), grant: try event.ulid("grant_id"))
        default: throw StateArea.Unreadable(what: "event")
        }
    }

    private func answeredBy(_ event: JSONValue) -> Signal.AnsweredBy? {
        event["answered_by"]?.string.map { Signal.AnsweredBy(rawValue: $0) ?? .service }
    }

    func snapshot(_ name: String, naming expected: JSONValue) -> JSONValue {
        if name == "contacts" { return contacts }
        guard name == "sessions" else { return .null }
        var sessions = JSONObject()
        for (id, _) in expected.object?.members ?? [] {
            guard let session = ULID(id).flatMap({ engine.session($0) }) else { continue }
            var update = JSONValue.null
            switch session.update {
            case .outbound(let id): update = ["id": "\(id)", "direction": "outbound"]
            case .inbound(let id): update = ["id": "\(id)", "direction": "inbound"]
            case nil: break
            }
            sessions[id] = [
                "role": .string(session.role.rawValue), "state": .string(session.state.rawValue),
                "renegotiating": .bool(session.isRenegotiating), "outstanding_update": update,
            ]
        }
        return .object(sessions)
    }

    private var contacts: JSONValue {
        let snapshot = engine.contacts.snapshot
        func list(_ items: some Sequence<some CustomStringConvertible>) -> JSONValue {
            .array(items.map { .string($0.description) })
        }
        return [
            "allow": list(snapshot.allow), "grants_issued": list(snapshot.issued.map(\.id)),
            "grants_held": list(snapshot.held.map(\.id)), "requests": list(snapshot.requests.map(\.id)),
            "pending_sent": list(snapshot.pendingSent.map(\.id)),
        ]
    }
}

extension EndpointAction {
    fileprivate var emission: JSONValue {
        switch self {
        case .send(let message): ["send": message.emission]
        case .startTimer(let name, _, let seconds):
            ["timer": "start", "name": .string(name.rawValue), "seconds": .int(seconds)]
        case .stopTimer(let name, _): ["timer": "stop", "name": .string(name.rawValue)]
        case .timerFired(let name, _): ["timer": "fire", "name": .string(name.rawValue)]
        case .media(let instruction, _): ["media": .string(instruction.rawValue)]
        case .ui(let notice, _): notice.emission
        case .info(let about, _): ["info": ["about": .string(about)]]
        case .refused(let reason): ["refused": .string(reason.rawValue)]
        case .drop(let reason): ["drop": .string(reason.rawValue)]
        }
    }
}

extension Outbound {
    fileprivate var emission: JSONValue {
        var object: JSONObject = ["type": .string(type.rawValue), "to": .string(to.string)]
        if let session { object["session"] = "\(session)" }
        if let id { object["id"] = "\(id)" }
        if let reason { object["reason"] = .string(reason.token) }
        if let status { object["status"] = .string(status.rawValue) }
        if let ringTimeout { object["ring_timeout"] = .int(ringTimeout) }
        if let queueTimeout { object["queue_timeout"] = .int(queueTimeout) }
        if let answeredBy { object["answered_by"] = .string(answeredBy.rawValue) }
        if let inReplyTo { object["in_reply_to"] = "\(inReplyTo)" }
        if let grant { object["grant"] = "\(grant)" }
        if let purpose { object["purpose"] = .string(purpose) }
        if let contactToken { object["contact_token"] = .string(contactToken) }
        if let scope { object["scope"] = .array(scope.map { .string($0) }) }
        if let validUntil { object["valid_until"] = .int(validUntil) }
        return .object(object)
    }
}

extension Notice {
    fileprivate var emission: JSONValue {
        switch self {
        case .offered: ["ui": "offered"]
        case .progress(let status, _): ["ui": "progress", "status": .string(status.rawValue)]
        case .answered(let by, _): ["ui": "answered", "answered_by": .string(by.rawValue)]
        case .updateOffered: ["ui": "update_offered"]
        case .updateRejected(_, let reason): ["ui": "update_rejected", "reason": .string(reason.token)]
        case .missedCall: ["ui": "missed_call"]
        case .ended(let reason): ["ui": "ended", "reason": .string(reason.token)]
        case .glareRetry: ["ui": "glare_retry"]
        case .introductionReceived(_, let from, true):
            ["ui": "introduction_received", "from": .string(from.string), "token": true]
        case .introductionReceived(_, let from, false): ["ui": "introduction_received", "from": .string(from.string)]
        case .granted(let by, _): ["ui": "granted", "by": .string(by.string)]
        case .introductionRejected(_, let reason): ["ui": "introduction_rejected", "reason": .string(reason.token)]
        case .error(let reason, _): ["ui": "error", "reason": .string(reason.token)]
        }
    }
}
