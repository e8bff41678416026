import DSIPIdentity
import Encoding

extension GroupState {
    var encoded: [UInt8] {
        var row = RowWriter()
        row.put("id", id)
        row.put("thread", thread)
        row.put("conversation", conversation)
        row.put("kind", kind.token)
        row.put("hub", hub.json)
        row.put("successor_of", successorOf)
        row.put("generation", generation)
        row.put("place", place)
        row.put("phase", phase.rawValue)
        row.put("joined", Int64(clamping: joinedEpoch))
        row.put("left", leftEpoch == 0 ? nil : Int64(clamping: leftEpoch))
        row.put("created", createdAt)
        if let position {
            row.put("position", position.contiguous)
            row.put("beyond", list: position.beyond.map { .int($0) })
        }
        row.put(
            "waiting",
            list: waiting.map {
                ["seq": .int($0.seq), "handshake": .bool($0.isHandshake), "since": .int($0.since)]
            }
        )
        row.put("pending", list: outage.pending.map { .string($0.description) })
        row.put("down", outage.downSince)
        row.put("attempt", outage.attempt == 0 ? nil : Int64(outage.attempt))
        row.put("abandoned", flag: outage.state == .abandoned)
        row.put("changes", list: changes.map(\.json))
        row.put("commit", commitItem)
        row.put("attempts", attempts == 0 ? nil : Int64(attempts))
        row.put("passing", passing.map { Int64(clamping: $0) })
        row.put("pass_until", passUntil)
        row.put("retry", retryAt)
        row.put("leave", leaveAt)
        row.put("rejoins", rejoins == 0 ? nil : Int64(rejoins))
        row.put("renew", renewAt == .max ? nil : renewAt)
        row.put("confirmed", flag: isConfirmed)
        row.put("founders", flag: awaitsFounders)
        row.put("owed", list: owed.map { .int($0) })
        row.put("title", titleOrder == 0 ? nil : titleOrder)
        row.put("asked", askedAt == 0 ? nil : askedAt)
        row.put("unopened", list: unopened.map { .int($0) })
        row.put("stalled", stalledOn)
        row.put("strays", flag: hasStrays)
        row.put("gathers", gathersUntil)
        row.put("leaving", flag: isLeaving)
        row.put("lapses", lapsesAt == .max ? nil : lapsesAt)
        row.put("handover", handover?.seq)
        row.put("handover_at", handover?.publishAt)
        row.put("info", infoDueAt)
        return row.bytes
    }

    init?(decoding bytes: [UInt8], hubTimeout: Int64, at now: Int64) {
        guard let row = RowReader(bytes), let id = row.group("id"), let thread = row.ulid("thread"),
            let conversation = row.ulid("conversation"), let kind = row.text("kind").flatMap({ ConversationKind($0) }),
            let hub = row.value["hub"].flatMap({ try? HubReference.read($0, "hub") }),
            let phase = row.text("phase").flatMap(Phase.init)
        else { return nil }
        self.init(
            id,
            thread: thread,
            conversation: conversation,
            kind: kind,
            hub: hub,
            phase: phase,
            outage: HubOutage(
                timeout: hubTimeout,
                pending: row.list("pending").compactMap { $0.value.string.flatMap { ULID($0) } },
                downSince: row.int("down"),
                attempt: Int(row.int("attempt") ?? 0),
                isAbandoned: row.flag("abandoned"),
                at: now
            ),
            at: row.int("created") ?? now
        )
        successorOf = row.group("successor_of")
        generation = row.int("generation") ?? Self.firstGeneration
        place = row.int("place") ?? Self.lastPlace
        joinedEpoch = UInt64(clamping: row.int("joined") ?? 0)
        leftEpoch = UInt64(clamping: row.int("left") ?? 0)
        position = row.int("position").map {
            GroupPosition(contiguous: $0, beyond: row.list("beyond").compactMap(\.value.int))
        }
        waiting = row.list("waiting").compactMap { held in
            guard let seq = held.int("seq"), let since = held.int("since") else { return nil }
            return GapTracker.Held(seq: seq, isHandshake: held.flag("handshake"), since: since)
        }
        changes = row.list("changes").compactMap { GroupChange($0) }
        commitItem = row.ulid("commit")
        attempts = Int(row.int("attempts") ?? 0)
        passing = row.int("passing").map { UInt64(clamping: $0) }
        passUntil = row.int("pass_until")
        retryAt = row.int("retry")
        leaveAt = row.int("leave")
        rejoins = Int(row.int("rejoins") ?? 0)
        renewAt = row.int("renew") ?? .max
        isConfirmed = row.flag("confirmed")
        awaitsFounders = row.flag("founders")
        owed = row.list("owed").compactMap(\.value.int)
        titleOrder = row.int("title") ?? 0
        askedAt = row.int("asked") ?? 0
        stalledOn = row.did("stalled")
        hasStrays = row.flag("strays")
        gathersUntil = row.int("gathers")
        isLeaving = row.flag("leaving")
        lapsesAt = row.int("lapses") ?? .max
        handover = row.int("handover").map { Handover(seq: $0, publishAt: row.int("handover_at")) }
        infoDueAt = row.int("info")
        unopened = row.list("unopened").compactMap(\.value.int)
    }
}
