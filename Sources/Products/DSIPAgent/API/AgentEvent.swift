import DSIPIdentity
import Encoding

/// What the agent tells its pages, and whoever embeds it.
public enum AgentEvent: Sendable {
    /// A complete snapshot follows: the identity changed.
    case stateChanged
    case call(Call)
    case description(
        session: String,
        type: DescriptionType,
        sdp: String,
        update: String?,
        screen: String?,
        holder: PageID?
    )
    case rollback(session: String, update: String, reason: String, holder: PageID?)
    case candidates(session: String, candidates: JSONValue, endOfCandidates: Bool, holder: PageID?)
    case relay(RelayStatus)
    case contacts([Contact])
    case requests([(ContactRequest, Peer)])
    case log([(LogEntry, Peer)], missed: Int64)
    case devices([Device])
    case conversation(Conversation)
    case conversationGone(String)
    case message(ChatMessage)
    /// Much of a conversation changed at once: read it again.
    case messagesReset(String)
    case messaging(MessagingStatus)
    /// Whether somebody who is looked at is there, as their relay says; nil when it does not say.
    case presence(DID, isHere: Bool?)
    case broadcast(Broadcast)
    /// The stream is not followed any more.
    case broadcastGone(String)
    case notice(level: Level, sentence: String)
    /// This device has come to another network: whoever holds media restores them.
    case networkChanged

    public enum DescriptionType: String, Sendable { case offer, answer }
    public enum Level: String, Sendable { case info, warning, error }

    /// The event as `page` is told, or nil when it is none of its business. Media go to the page that holds the call only; an event of
    /// a call placed by a plain HTTP request goes to every page, as there is no connection to hold it.
    func json(for page: PageID) -> JSONValue? {
        func event(_ name: String, _ data: JSONValue) -> JSONValue { ["event": .string(name), "data": data] }
        func concerns(_ holder: PageID?) -> Bool { holder == page || holder == .request }
        switch self {
        case .stateChanged: return nil
        case .call(let call): return event("call", call.json(for: page))
        case .description(let session, let type, let sdp, let update, let screen, let holder):
            guard concerns(holder) else { return nil }
            return event(
                "call.description",
                [
                    "session": .string(session), "type": .string(type.rawValue), "sdp": .string(sdp),
                    "update": .optional(update), "screen": .optional(screen),
                ]
            )
        case .rollback(let session, let update, let reason, let holder):
            guard concerns(holder) else { return nil }
            return event(
                "call.rollback",
                ["session": .string(session), "update": .string(update), "reason": .string(reason)]
            )
        case .candidates(let session, let candidates, let end, let holder):
            guard concerns(holder) else { return nil }
            return event(
                "call.candidates",
                ["session": .string(session), "candidates": candidates, "end_of_candidates": .bool(end)]
            )
        case .relay(let status): return event("relay", status.json)
        case .contacts(let contacts): return event("contacts", ["contacts": .array(contacts.map(\.json))])
        case .requests(let requests):
            return event("requests", ["requests": .array(requests.map { $0.0.json(peer: $0.1) })])
        case .log(let log, let missed):
            return event("log", ["log": .array(log.map { $0.0.json(peer: $0.1) }), "missed": .int(missed)])
        case .devices(let devices): return event("devices", ["devices": .array(devices.map(\.json))])
        case .conversation(let conversation): return event("conversation", conversation.json)
        case .conversationGone(let id): return event("conversation.gone", ["id": .string(id)])
        case .message(let message): return event("message", message.json)
        case .messagesReset(let id): return event("messages.reset", ["conversation": .string(id)])
        case .presence(let did, let isHere):
            return event("presence", ["did": .string(did.string), "here": isHere.map { .bool($0) } ?? .null])
        case .broadcast(let broadcast): return event("broadcast", broadcast.json)
        case .broadcastGone(let stream): return event("broadcast.gone", ["stream": .string(stream)])
        case .messaging(let status): return event("messaging", status.json)
        case .notice(let level, let sentence):
            return event("notice", ["level": .string(level.rawValue), "sentence": .string(sentence)])
        case .networkChanged: return event("network.changed", [:])
        }
    }
}
