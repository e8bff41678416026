import DSIPIdentity
import DSIPMessaging
import Encoding

/// A conversation as a page shows it.
public struct Conversation: Sendable, Hashable {
    public var record: ConversationRecord
    public var members: [Peer]
    public var last: ChatMessage?
    public var typing: [Typing]
    /// Whether a ratchet carries it, and no group.
    public var isCarried: Bool
    /// The service that orders a group, and whether it keeps this person's own messages too.
    public var hub: Hub?

    public struct Hub: Sendable, Hashable {
        public var service: HubReference
        public var isOwn: Bool

        var json: JSONValue {
            let host = service.uri.map { $0.dropFirst(6).prefix { $0 != "/" } }.map(String.init)
            return [
                "did": .string(service.did.string), "name": .string(host ?? service.did.string), "own": .bool(isOwn),
            ]
        }
    }

    public struct Typing: Sendable, Hashable {
        public var did: DID
        public var activity: ActivityKind
    }

    public var id: ULID { record.id }

    public var json: JSONValue {
        [
            "id": .string(record.id.description), "kind": .string(record.kind.rawValue),
            "encryption": isCarried ? "ratchet" : "mls",
            "title": .optional(record.title), "members": .array(members.map(\.json)),
            "self_removed": .bool(record.isRemoved), "unread": .int(Int64(record.unread)), "last": last?.json ?? .null,
            "last_activity": .int(record.lastActivity), "muted": .bool(record.isMuted),
            "disappear_after_s": .optional(record.disappearAfter), "draft": .string(record.draft),
            "hub": hub?.json ?? .null, "notice": notice, "request": .bool(record.isRequest),
            "purpose": .optional(record.purpose),
            "typing": .array(
                typing.map { ["did": .string($0.did.string), "activity": .string($0.activity.effective.token)] }
            ),
        ]
    }

    private var notice: JSONValue {
        guard let notice = record.notice else { return .null }
        let sentence =
            switch notice {
            case .hubUnreachable: "The service that orders this conversation does not answer. What you write waits."
            case .rejoining: "This device is getting back into the conversation."
            case .waitingForKey: "A message is on its way again."
            case .inviteOnly where record.kind == .group:
                "Somebody has been asked whether they may be added. They come in when they agree."
            case .inviteOnly: "They have been asked whether you may write to them. What you write waits."
            case .closed: "Nothing more can be said here."
            }
        return ["code": .string(notice.rawValue), "sentence": .string(sentence)]
    }
}
