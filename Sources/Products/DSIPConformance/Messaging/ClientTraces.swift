import DSIPIdentity
import DSIPMessaging
import Encoding

/// `client-trace`. M§10, M§11.2
struct ClientTrace: TraceMachine {
    static let laterMembers: JSONObject = ["activity": [:]]
    private var client: ConversationClient
    private var now: Int64

    init(_ context: JSONValue) throws {
        let policy = context["policy"]
        now = context["now"]?.int ?? 0
        client = ConversationClient(
            me: try context.needDID("me"),
            policy: .init(
                delivered: policy?["delivered"]?.bool ?? false,
                read: policy?["read"]?.bool ?? false,
                played: policy?["played"]?.bool ?? false,
                activity: policy?["activity"]?.bool ?? false
            ),
            memberIdentities: Int(context["member_identities"]?.int ?? 2)
        )
    }

    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue] {
        switch event {
        case "sync": return client.received(try items(value), at: now).map(emission)
        case "restore": client.restored(try items(value))
        case "read": return client.read(through: try value.needULID("through"), at: now).map(emission)
        case "play": return client.play(try value.needULID("id")).map(emission)
        case "activity":
            let said = try activity(value, client.me)
            return client.act(said.kind, said.state, at: now).map(emission)
        case "activity_in":
            let said = try activity(value, try value.needDID("sender"))
            client.received(said, expiresAt: try value.needInt("expires_at"), at: now)
        case "advance":
            now += try value.asInt(event)
            return client.advance(to: now).map(emission)
        default: throw VectorFault("no such event: \(event)")
        }
        return []
    }

    private func activity(_ value: JSONValue, _ sender: DID) throws -> Activity {
        guard let kind = ActivityKind(try value.needString("activity")),
            let state = Activity.State(rawValue: try value.needString("state"))
        else { throw VectorFault("no such activity") }
        // The conversation is the machine's own; its id is not looked at.
        guard let conversation = ULID("00000000000000000000000000") else { throw VectorFault("no id") }
        return Activity(conversation: conversation, sender: sender, kind: kind, state: state)
    }

    private func items(_ value: JSONValue) throws -> [(seq: Int64, item: ConversationClient.Item)] {
        try value.list("items") { item in
            (seq: try item.needInt("seq"), item: try self.item(try item.need("object")))
        }
    }

    private func item(_ object: JSONValue) throws -> ConversationClient.Item {
        let sender = try object.needDID("sender")
        guard try object.needString("object") == "receipt" else {
            guard let kind = ContentKind(try object.needString("kind")) else { throw VectorFault("no such kind") }
            return .content(.init(id: try object.needULID("id"), sender: sender, kind: kind))
        }
        let statement: Receipt.Statement
        switch try object.needString("kind") {
        case "delivered": statement = .delivered(try object.list("targets", ReceiverContext.ulid))
        case "played": statement = .played(try object.list("targets", ReceiverContext.ulid))
        case "read": statement = .read(through: try object.needULID("through"))
        case let other: statement = .unknown(other)
        }
        return .receipt(sender: sender, sentAt: object["sent_at"]?.int ?? 0, statement)
    }

    private func emission(_ action: ConversationClient.Action) -> JSONValue {
        switch action {
        case .archive(let seq): return ["archive": ["seq": .int(seq)]]
        case .sendActivity(let kind, let state):
            return [
                "send": [
                    "to": "conversation", "activity": .string(kind.token), "state": .string(state.rawValue),
                ]
            ]
        case .send(let statement, let destination):
            var send: JSONObject = [
                "to": destination == .conversation ? "conversation" : "personal", "receipt": .string(statement.kind),
            ]
            switch statement {
            case .delivered(let targets), .played(let targets):
                send["targets"] = .array(targets.map { .string($0.description) })
            case .read(let through): send["through"] = .string(through.description)
            case .unknown: break
            }
            return ["send": .object(send)]
        }
    }

    var state: JSONObject {
        func stamps(_ stamps: [ULID: [DID: Int64]]) -> JSONValue {
            .object(
                JSONObject(
                    stamps.sorted { $0.key < $1.key }.map { id, times in
                        (
                            id.description,
                            .object(
                                JSONObject(times.sorted { $0.key < $1.key }.map { ($0.key.string, .int($0.value)) })
                            )
                        )
                    }
                )
            )
        }
        let read = client.readThrough.sorted { $0.key < $1.key }.map { identity, id in
            (identity.string, JSONValue.string(id.description))
        }
        let active = client.activity.sorted { $0.key < $1.key }.map { sender, kinds in
            let ends = kinds.sorted { $0.key.token < $1.key.token }.map { ($0.key.token, JSONValue.int($0.value)) }
            return (sender.string, JSONValue.object(JSONObject(ends)))
        }
        return [
            "timeline": .array(client.timeline.map { .string($0.description) }),
            "delivered": stamps(client.delivered), "played": stamps(client.played),
            "read_through": .object(JSONObject(read)), "activity": .object(JSONObject(active)),
        ]
    }
}

/// `history-trace`. M§12
struct HistoryTrace: TraceMachine {
    private var history: History

    init(_ context: JSONValue) throws {
        var keys: [ULID: Int64] = [:]
        for key in context["keys"]?.array ?? [] { keys[try key.needULID("akid")] = try key.needInt("created_at") }
        var joined: [GroupID: UInt64] = [:]
        for (name, epoch) in context["joined"]?.object?.members ?? [] {
            joined[try JSONValue.string(name).asGroup("joined")] = UInt64(try epoch.asInt("joined"))
        }
        history = History(keys: keys, joined: joined)
    }

    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue] {
        let actions: [History.Action]
        switch event {
        case "archive":
            actions = history.receivedRecord(
                try entry(value),
                sealedUnder: try value.needULID("akid"),
                at: try value.need("cursor").asCursor("cursor")
            )
        case "archive_key":
            actions = history.receivedKey(try value.needULID("akid"), createdAt: try value.needInt("created_at"))
        case "mls":
            actions = history.receivedMessage(try entry(value), epoch: UInt64(try value.needInt("epoch")))
        case "sent": actions = history.sent(try entry(value))
        case "joined":
            history.joined(try value.needGroup("group"), epoch: UInt64(try value.needInt("epoch")))
            actions = []
        default: throw VectorFault("no such event: \(event)")
        }
        return actions.map {
            switch $0 {
            case .hold(let cursor): ["hold": .string(cursor.text)]
            case .show(let id): ["show": .string(id)]
            case .apply(let cursor): ["apply": .string(cursor.text)]
            case .duplicate(let id): ["duplicate": .string(id)]
            case .preJoin(let id): ["prejoin": .string(id)]
            case .archive(let group, let seq, let key):
                [
                    "archive": [
                        "group": .string(group.text), "seq": .int(seq), "akid": .string(key.description),
                    ]
                ]
            }
        }
    }

    private func entry(_ value: JSONValue) throws -> History.Entry {
        let kind = value["object"]?.string ?? "content"
        return History.Entry(
            group: try value.needGroup("group"),
            seq: try value.needInt("seq"),
            id: try value.needString("id"),
            kind: kind == "content" ? .content : .state
        )
    }

    var state: JSONObject {
        [
            "timeline": .array(history.timeline.map { .string($0) }),
            "held": .array(history.held.map { .string($0.text) }),
            "current_akid": history.currentKey.map { .string($0.description) } ?? .null,
        ]
    }
}
