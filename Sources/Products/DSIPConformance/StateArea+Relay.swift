import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding

/// A trace of `RelayRouter`.
struct RelayTrace: StateTrace {
    /// The router carries envelopes without looking inside; the traces have none.
    private final class Blank: Parcel {}

    private var context: StateContext
    private var router: RelayRouter

    init(_ vector: JSONValue) {
        context = StateContext(vector)
        var configuration = RouterConfiguration.coreOnly
        if let seconds = vector["offline_retention_s"]?.int { configuration.offlineRetentionSeconds = seconds }
        router = RelayRouter(configuration: configuration)
    }

    mutating func feed(_ event: JSONValue) throws -> [JSONValue] {
        var actions: [RelayAction] = []
        if let seconds = event["advance"]?.int {
            context.now += seconds
            router.advance(to: context.now, into: &actions)
        } else if let message = event["recv"] {
            router.receive(try context.signal(message), Blank(), at: context.now, into: &actions)
        } else {
            try command(event, into: &actions)
        }
        return actions.map(\.emission)
    }

    private mutating func command(_ event: JSONValue, into actions: inout [RelayAction]) throws {
        switch event["relay"]?.string {
        case "bind":
            router.bind(try event.did("device"), identity: try event.did("identity"), at: context.now, into: &actions)
        case "unbind":
            router.unbind(try event.did("device"), at: context.now)
        case "leg_expired":
            router.expireLeg(
                try event.did("leg"),
                of: try event.ulid("session"),
                at: context.now,
                into: &actions
            )
        case "invite":
            let from = try event.did("from")
            let invite = Signal(
                .invite,
                id: try event.ulid("session"),
                from: from,
                identity: context.identity(of: from),
                to: try event.did("to"),
                expiresAt: event["expires_at"]?.int
            )
            let legs = event["legs"]?.array?.compactMap { $0.string.flatMap { DID($0) } } ?? []
            router.fork(invite, Blank(), to: legs, at: context.now, into: &actions)
        default:
            throw StateArea.Unreadable(what: "event")
        }
    }

    func snapshot(_ name: String, naming expected: JSONValue) -> JSONValue {
        switch name {
        case "attempts":
            var attempts = JSONObject()
            for (id, _) in expected.object?.members ?? [] {
                guard let attempt = ULID(id).flatMap({ router.attempt($0) }) else { continue }
                attempts[id] = [
                    "legs": .object(JSONObject(attempt.legs.map { ($0.key.string, .string($0.value.rawValue)) })),
                    "outcome": attempt.outcome.map { .string($0.rawValue) } ?? .null,
                ]
            }
            return .object(attempts)
        case "inbox":
            return .object(JSONObject(router.heldCounts.map { ($0.key.string, .int(Int64($0.value))) }))
        default:
            return .null
        }
    }
}

extension RelayAction {
    fileprivate var emission: JSONValue {
        switch self {
        case .deliver(let delivery):
            var object: JSONObject = [
                "leg": .string(delivery.device.string), "type": .string(delivery.type.rawValue),
            ]
            switch delivery.cause {
            case .fork, .introduction: break
            case .cancel: object["reason"] = delivery.reason.map { .string($0.token) }
            case .lateLeg, .routed, .flush: object["id"] = "\(delivery.id)"
            }
            return ["deliver": .object(object)]
        case .forward(let forward):
            var object: JSONObject = ["type": .string(forward.type.rawValue), "from": .string(forward.from.string)]
            if forward.type == .reject { object["reason"] = forward.reason.map { .string($0.token) } }
            if forward.type == .progress { object["status"] = forward.status.map { .string($0) } }
            return ["forward": .object(object)]
        case .queue(let held):
            return ["queue": ["to": .string(held.to.string), "type": .string(held.type.rawValue)]]
        case .dequeue(let held, let why):
            return [
                "dequeue": [
                    "to": .string(held.to.string), "type": .string(held.type.rawValue), "why": .string(why.rawValue),
                ]
            ]
        case .error(let error):
            var object: JSONObject = [
                "type": "error", "to": .string(error.to.string), "reason": .string(error.reason.token),
                "in_reply_to": "\(error.inReplyTo)",
            ]
            if let session = error.session { object["session"] = "\(session)" }
            return ["send": .object(object)]
        case .drop(let reason): return ["drop": .string(reason.rawValue)]
        case .report, .missed: return ["extension": "delivery-report/1.0"]
        }
    }
}
