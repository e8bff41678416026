import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding

/// `hub-trace`. M§6.5
struct HubTrace: TraceMachine {
    static let laterMembers: JSONObject = ["welcomes": [:], "moved_to": .null, "group_info": false]
    private var hub: Hub
    private var now: Int64

    init(_ context: JSONValue) throws {
        now = context["now"]?.int ?? 0
        var roster: [DID: Set<DID>] = [:]
        for (identity, devices) in context["roster"]?.object?.members ?? [] {
            roster[try JSONValue.string(identity).asDID("roster")] = Set(
                try (devices.array ?? []).map { try $0.asDID("roster") }
            )
        }
        hub = Hub(
            group: try context.needGroup("group"),
            kind: ConversationKind(context["kind"]?.string ?? "group") ?? .group,
            owner: try context.optional("owner")?.asDID("owner"),
            epoch: UInt64(context["epoch"]?.int ?? 0),
            roster: Roster(roster),
            handoverSeq: context["handover_seq"]?.int ?? (context["next_seq"]?.int ?? 1) - 1
        )
    }

    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue] {
        switch event {
        case "deposit": return hub.received(try deposit(value), at: now).map(emission)
        case "ack":
            let (identity, seq) = (try value.needDID("identity"), try value.needInt("seq"))
            let isWelcome = value["class"]?.string == DepositClass.welcome.token
            return (isWelcome ? hub.acknowledgedWelcome(seq, by: identity) : hub.acknowledged(seq, by: identity)).map(
                emission
            )
        case "restart":
            hub = Hub(restoring: hub.state)
            return hub.retry().map(emission)
        case "advance":
            now += try value.asInt(event)
            return []
        default: throw VectorFault("no such event: \(event)")
        }
    }

    private func deposit(_ value: JSONValue) throws -> HubDeposit {
        let commit = try value.optional("commit").map { commit in
            HubDeposit.Commit(
                adds: try commit.list("adds") { try $0.asLeaf() },
                removes: try commit.list("removes") { try $0.asLeaf() },
                isValid: commit["valid"]?.bool ?? true,
                isExternal: commit["external"]?.bool ?? false,
                movesTo: try commit.optional("moves_to")?.asDID("moves_to")
            )
        }
        return HubDeposit(
            id: try value.needULID("id"),
            device: try value.needDID("device"),
            identity: try value.needDID("identity"),
            depositClass: DepositClass(checked: try value.needString("class")),
            epoch: UInt64(value.optional("epoch")?.int ?? 0),
            digest: value["digest"]?.string ?? "",
            commit: commit,
            expiresAt: value.optional("expires_at")?.int
        )
    }

    private func emission(_ action: HubAction) -> JSONValue {
        switch action {
        case .accepted(let to, let id, let seq, let duplicate):
            var accepted: JSONObject = ["to": .string(to.string), "in_reply_to": .string(id.description)]
            if let seq { accepted["seq"] = .int(seq) }
            if duplicate { accepted["duplicate"] = true }
            return ["accepted": .object(accepted)]
        case .error(let to, let id, let reason):
            return [
                "error": [
                    "to": .string(to.string), "in_reply_to": .string(id.description), "reason": .string(reason.token),
                ]
            ]
        case .fanOut(let to, let seq, let itemClass):
            return ["fanout": ["to": .string(to.string), "seq": .int(seq), "class": .string(itemClass.token)]]
        case .welcome(let to, let seq):
            return ["fanout": ["to": .string(to.string), "seq": .int(seq), "class": "welcome"]]
        case .forward(let to, let itemClass):
            return ["forward": ["to": .string(to.string), "class": .string(itemClass.token)]]
        }
    }

    private var pending: [DID: [Int64]] {
        hub.queues.mapValues { $0.seqs(before: hub.nextSeq) }.filter { !$0.value.isEmpty }
    }

    private var welcomes: [DID: [Int64]] { hub.queues.mapValues(\.welcomes).filter { !$0.value.isEmpty } }

    var state: JSONObject {
        func object<Value>(_ map: [DID: Value], _ json: (Value) -> JSONValue) -> JSONValue {
            .object(JSONObject(map.sorted { $0.key < $1.key }.map { ($0.key.string, json($0.value)) }))
        }
        return [
            "epoch": .int(Int64(hub.epoch)), "next_seq": .int(hub.nextSeq),
            "roster": object(hub.roster.devices) { .array($0.sorted().map { .string($0.string) }) },
            "pending": object(pending) { .array($0.map { .int($0) }) },
            "group_info": .bool(hub.hasGroupInfo), "moved_to": hub.movedTo.map { .string($0.string) } ?? .null,
            "welcomes": object(welcomes) { .array($0.map { .int($0) }) },
        ]
    }
}
