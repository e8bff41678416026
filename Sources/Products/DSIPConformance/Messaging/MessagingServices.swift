import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding

/// Checks of what a client decides: which mailbox, whether voicemail, what a call leaves behind. M§4.2, M§13
enum MessagingServices {
    static func select(_ input: JSONValue) throws -> JSONValue {
        let selection = MailboxSelection(
            document: input["document_entries"]?.array ?? [],
            hints: input["hint_entries"]?.array ?? []
        )
        let reachable = try input.optional("reachable").map { _ in Set(try input.dids("reachable")) }
        let order: [JSONValue] = selection.order.map { .string($0.mailbox.string) }
        let selected = selection.primary { reachable?.contains($0.mailbox) ?? true }
        return [
            "source": selection.source.map { .string($0.rawValue) } ?? .null,
            "selected": selected.map { .string($0.mailbox.string) } ?? .null, "order": .array(order),
            "sync_targets": .array(order),
            "discarded": .array(selection.discarded.map { $0["mailbox"] ?? $0["uri"] ?? .null }),
        ]
    }

    static func change(_ input: JSONValue) throws -> JSONValue {
        let candidate = try input.need("candidate")
        guard let source = MailboxSelection.Source(rawValue: try candidate.needString("source")) else {
            throw VectorFault("no such source")
        }
        let change = MailboxSelection.Switch(
            from: try input.need("established").needDID("mailbox"),
            to: try candidate.needDID("mailbox"),
            source: source
        )
        return ["switch": .bool(change.switches), "reason": .string(change.rawValue)]
    }

    static func voicemail(_ input: JSONValue) throws -> JSONValue {
        let outcome = try input.need("outcome")
        let reason = try outcome.need("reason").asReason("reason")
        let advertised = input.optional("voicemail")
        let isOffered = VoicemailOffer.isOffered(
            advertised: advertised != nil,
            canSend: input["can_send"]?.bool ?? false,
            after: try outcome.needString("type") == "cancel" ? .cancelled(reason) : .rejected(reason)
        )
        var result: JSONObject = ["offer": .bool(isOffered)]
        if isOffered, let limit = advertised?["max_duration_s"] { result["max_duration_s"] = limit }
        return .object(result)
    }

    static func callEvent(_ input: JSONValue) throws -> JSONValue {
        let outcome = CallEvent.outcome(
            alerted: input["alerted"]?.bool ?? false,
            answeredHere: input["answered_here"]?.bool ?? false,
            endedLocally: input["ended_by"]?.string == "local",
            reason: try input.optional("reason")?.asReason("reason")
        )
        guard let outcome else { return ["send": false] }
        return ["send": true, "outcome": .string(outcome.token)]
    }

    static func timeline(_ input: JSONValue) throws -> JSONValue {
        let messages = try input.list("content") {
            PeerTimeline.Message(id: try $0.needString("id"), at: try $0.needInt("at"))
        }
        let calls = try input.list("calls") {
            PeerTimeline.Call(
                session: try $0.needString("session"),
                at: try $0.needInt("at"),
                outcome: CallEvent.Outcome($0["outcome"]?.string ?? "missed") ?? .missed
            )
        }
        let (timeline, collapsed) = PeerTimeline.merge(messages, calls)
        let entries: [JSONValue] = timeline.map {
            switch $0 {
            case .message(let message): .string("content:\(message.id)")
            case .call(let call): .string("call:\(call.session)")
            }
        }
        return ["timeline": .array(entries), "collapsed": .array(collapsed.map { .string($0.session) })]
    }
}
