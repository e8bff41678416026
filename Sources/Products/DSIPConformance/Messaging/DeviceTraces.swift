import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding

/// `gap-trace`. M§6.5
struct GapTrace: TraceMachine {
    private var tracker: GapTracker
    private var now: Int64

    init(_ context: JSONValue) throws {
        now = context["now"]?.int ?? 0
        tracker = GapTracker(
            position: GroupPosition(contiguous: context["contiguous"]?.int ?? 0),
            timeout: context["gap_timeout"]?.int ?? MessagingProfile.gapTimeout
        )
    }

    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue] {
        let actions: [GapTracker.Action]
        switch event {
        case "item":
            actions = tracker.received(
                try value.needInt("seq"),
                isHandshake: value["class"]?.string == DepositClass.handshake.token,
                at: now
            )
        case "advance":
            now += try value.asInt(event)
            actions = tracker.advance(to: now)
        default: throw VectorFault("no such event: \(event)")
        }
        return actions.map {
            switch $0 {
            case .process(let seq): ["process": .int(seq)]
            case .hold(let seq): ["hold": .int(seq)]
            case .duplicate(let seq): ["duplicate": .int(seq)]
            case .rejoin(let held): ["rejoin": ["held": .array(held.map { .int($0) })]]
            }
        }
    }

    var state: JSONObject {
        ["contiguous": .int(tracker.position.contiguous), "held": .array(tracker.held.map { .int($0) })]
    }
}

/// `resume-trace`. M§5.4, M§8.5
struct ResumeTrace: TraceMachine {
    private var sync: DeviceSync

    init(_ context: JSONValue) throws {
        var groups: [GroupID: GroupPosition] = [:]
        for (name, value) in context["groups"]?.object?.members ?? [] {
            groups[try JSONValue.string(name).asGroup("groups")] = GroupPosition(
                contiguous: try value.needInt("contiguous"),
                beyond: try value.list("seen") { try $0.asInt("seen") }
            )
        }
        sync = DeviceSync(
            cursor: try context.optional("cursor")?.asCursor("cursor"),
            groups: groups,
            joined: Set(try context.list("joined") { try $0.asGroup("joined") })
        )
    }

    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue] {
        switch event {
        case "items": return try receive(value)
        case "sent": sync.sent(try value.needInt("seq"), in: try value.needGroup("group"))
        case "rejoined": sync.rejoined(try value.needGroup("group"), at: try value.needInt("seq"))
        // All of the machine is durable: nothing is lost but what was not committed.
        case "restart": break
        case "cursor_invalid": sync.receivedCursorInvalid()
        case "sync":
            let request = sync.request()
            var object: JSONObject = ["since": request.since.map { .string($0.text) } ?? .null]
            if let through = request.ackThrough { object["ack_through"] = .string(through.text) }
            return [["sync": .object(object)]]
        default: throw VectorFault("no such event: \(event)")
        }
        return []
    }

    private mutating func receive(_ value: JSONValue) throws -> [JSONValue] {
        var emitted: [JSONValue] = []
        for (index, json) in (value["items"]?.array ?? []).enumerated() {
            let cursor = try json.need("cursor").asCursor("cursor")
            // What an item led to is lost with the crash: the machine goes back to before it.
            let before = sync
            let item = DeviceSync.Item(
                cursor: cursor,
                itemClass: DepositClass(checked: try json.needString("class")),
                group: try json.optional("group")?.asGroup("group"),
                seq: json.optional("seq")?.int,
                isSiblings: json["sibling"]?.bool ?? false
            )
            let name =
                switch sync.received(item) {
                case .process: "process"
                case .duplicate: "duplicate"
                case .siblings: "sibling"
                }
            let crash = value["crash_at"]
            if crash == .string(cursor.text) || crash == .int(Int64(index)) {
                sync = before
                return emitted + [["crash": .string(cursor.text)]]
            }
            emitted.append([name].reduce(into: JSONObject()) { $0[$1] = .string(cursor.text) }.value)
        }
        return emitted
    }

    var state: JSONObject {
        let groups = sync.groups.sorted { $0.key < $1.key }.map { group, position in
            (
                group.text,
                [
                    "contiguous": .int(position.contiguous),
                    "seen": .array(position.beyond.map { .int($0) }),
                ] as JSONValue
            )
        }
        return [
            "cursor": sync.cursor.map { .string($0.text) } ?? .null, "groups": .object(JSONObject(groups)),
            "joined": .array(sync.joined.sorted().map { .string($0.text) }),
        ]
    }
}

extension JSONObject {
    var value: JSONValue { .object(self) }
}

/// `commit-retry-trace`. M§6.5
struct CommitRetryTrace: TraceMachine {
    private var attempt: CommitAttempt

    init(_ context: JSONValue) throws {
        attempt = CommitAttempt(
            maximumAttempts: Int(context["max_attempts"]?.int ?? Int64(CommitAttempt.maximumAttempts))
        )
    }

    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue] {
        let actions: [CommitAttempt.Action]
        switch event {
        case "answer":
            if let reason = value.optional("reason") {
                actions = attempt.receivedRefusal(try reason.asReason("reason"))
            } else {
                actions = attempt.receivedAccepted()
            }
        case "synced":
            actions = attempt.synced(
                stillNeeded: value["still_needed"]?.bool ?? false,
                hubMoved: value["hub_moved"]?.bool ?? false
            )
        default: throw VectorFault("no such event: \(event)")
        }
        return actions.map {
            switch $0 {
            case .merge: ["merge": [:]]
            case .discard: ["discard": [:]]
            case .sync: ["sync": [:]]
            case .repropose(let number): ["repropose": ["attempt": .int(Int64(number))]]
            case .done: ["done": [:]]
            case .surface(let reason): ["surface": .string(reason.token)]
            }
        }
    }

    var state: JSONObject { ["attempt": .int(Int64(attempt.attempt)), "state": .string(attempt.state.rawValue)] }
}

/// `hub-outage-trace`. M§9.4
struct HubOutageTrace: TraceMachine {
    static let laterMembers: JSONObject = ["handover_attempt": 0]
    private var outbox: HubOutage
    private var now: Int64

    init(_ context: JSONValue) throws {
        now = context["now"]?.int ?? 0
        outbox = HubOutage(timeout: context["hub_timeout"]?.int ?? MessagingProfile.hubTimeout)
    }

    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue] {
        let actions: [HubOutage.Action]
        switch event {
        case "deposit": actions = outbox.deposit(try value.needULID("id"), at: now)
        case "no_answer": actions = outbox.missedAnswer(try value.needULID("id"), at: now)
        case "answer":
            let id = try value.needULID("id")
            if let reason = value.optional("reason") {
                actions = outbox.receivedRefusal(id, try reason.asReason("reason"), at: now)
            } else {
                actions = outbox.receivedAccepted(id)
            }
        case "handover_failed": actions = outbox.failedHandover(at: now)
        case "advance":
            now += try value.asInt(event)
            actions = outbox.advance(to: now)
        default: throw VectorFault("no such event: \(event)")
        }
        return actions.map {
            switch $0 {
            case .deposit(let id): ["forward": .string(id.description)]
            case .queued(let id): ["queued": .string(id.description)]
            case .sent(let id): ["sent": .string(id.description)]
            case .refused(let id, let reason):
                ["refused": ["id": .string(id.description), "reason": .string(reason.token)]]
            case .retry(let seconds): ["retry_in": .int(seconds)]
            case .createSuccessor(let pending):
                ["successor": ["pending": .array(pending.map { .string($0.description) })]]
            case .retryHandover(let seconds): ["handover_retry_in": .int(seconds)]
            case .handOver: ["handover": "retry"]
            case .refuseDeposit: ["refuse": "group-abandoned"]
            }
        }
    }

    var state: JSONObject {
        let name =
            switch outbox.state {
            case .up: "up"
            case .down: "down"
            case .abandoned: "abandoned"
            }
        return [
            "state": .string(name), "pending": .array(outbox.pending.map { .string($0.description) }),
            "attempt": .int(Int64(outbox.attempt)),
            "down_for": outbox.downSince.map { .int(now - $0) } ?? .null,
            "handover_attempt": .int(Int64(outbox.handoverAttempt)),
        ]
    }
}

/// `successor-trace`. M§7.5
struct SuccessorTrace: TraceMachine {
    private var tracker: SuccessorTracker

    init(_ context: JSONValue) throws {
        var tracker = SuccessorTracker()
        for (name, roster) in context["groups"]?.object?.members ?? [] {
            let members = try (roster.array ?? []).map { try $0.asDID("groups") }
            tracker.processed(try JSONValue.string(name).asGroup("groups"), roster: Set(members))
        }
        self.tracker = tracker
    }

    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue] {
        let actions: [SuccessorTracker.Action]
        switch event {
        case "welcome":
            actions = tracker.receivedWelcome(
                try value.needGroup("group"),
                successorOf: try value.needGroup("successor_of"),
                creator: try value.needDID("creator"),
                roster: Set(try value.dids("roster"))
            )
        case "create": actions = tracker.create(successorOf: try value.needGroup("predecessor"))
        case "created":
            actions = tracker.created(
                try value.needGroup("group"),
                successorOf: try value.needGroup("successor_of")
            )
        default: throw VectorFault("no such event: \(event)")
        }
        return actions.map {
            switch $0 {
            case .join(let group): ["join": .string(group.text)]
            case .decline(let group): ["decline": .string(group.text)]
            case .leave(let group): ["leave": .string(group.text)]
            case .firstContact(let group): ["first_contact": .string(group.text)]
            case .create(let predecessor, let roster):
                [
                    "create": [
                        "successor_of": .string(predecessor.text), "roster": .array(roster.map { .string($0.string) }),
                    ]
                ]
            case .use(let group): ["use": .string(group.text)]
            case .refuse(let group): ["refuse": .string(group.text)]
            }
        }
    }

    var state: JSONObject {
        JSONObject(
            tracker.candidates.sorted { $0.key < $1.key }.map { predecessor, candidates in
                (
                    predecessor.text,
                    [
                        "successor": tracker.successors[predecessor].map { .string($0.text) } ?? .null,
                        "candidates": .array(candidates.map { .string($0.text) }),
                    ] as JSONValue
                )
            }
        )
    }
}
