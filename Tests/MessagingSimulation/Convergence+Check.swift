import DSIPIdentity
import DSIPMessaging
import Encoding

extension Convergence {
    mutating func check() throws {
        for device in world.devices where !device.isRevoked { try checkSettled(device) }
        checkTranscripts()
        checkAudiences()
        checkReadState()
        if let rejected = world.rejected.first { problems.append("a service rejected \(rejected)") }
        for service in world.services {
            for lane in service.host.undelivered {
                problems.append("service \(service.index) has not delivered \(lane) (it is \(world.now))")
            }
        }
    }

    /// Devices that have nothing to do, with a connection or without, do not wake for it.
    mutating func checkRest() throws {
        for isOnline in [true, false] {
            for device in world.devices where !isOnline && device.isOnline { try world.disconnect(device) }
            let before = world.devices.map(\.wakes)
            try world.run(120)
            for device in world.devices where device.wakes - before[device.index] > 40 {
                let place = isOnline ? "online" : "offline"
                problems.append(
                    "\(device.name) wakes \(device.wakes - before[device.index]) times in two minutes, \(place)"
                )
            }
        }
    }

    // MARK: One device

    private mutating func checkSettled(_ device: SimulatedWorld.Device) throws {
        if !device.errors.isEmpty { problems.append("\(device.name): \(device.errors.prefix(3))") }
        for loose in device.messenger.loose { problems.append("\(device.name): \(loose)") }
        let packages = device.store.rows(.keyPackage, "").count
        if packages > 320 { problems.append("\(device.name) keeps \(packages) key packages") }
        for record in device.store.conversations() {
            let lines = world.messages(device, record.id)
            if let notice = record.notice {
                problems.append("\(device.name) \(key(of: record, device)): notice \(notice.rawValue)")
            }
            for line in lines where line.state == .pending || (line.state == .failed && !record.isRemoved) {
                let why = line.stateSentence ?? ""
                problems.append("\(device.name) \(key(of: record, device)): \(line.text) is \(line.state) \(why)")
            }
            for line in lines where line.attachment != nil && !line.isRetracted && line.state != .failed {
                guard let bytes = world.uploads[line.id], device.opened[line.id] != bytes, !line.isMine else {
                    continue
                }
                let state = line.attachment?.state.rawValue ?? ""
                problems.append("\(device.name) has not opened what \(line.id) carries: \(state)")
            }
        }
        // Who keeps nothing at its mailbox: all that its devices have is gone.
        if device.messenger.settings.mode == .queue {
            let kept = try device.service.store.items(of: device.person.did, .after(0), limit: 10).count
            if kept > 0 { problems.append("\(kept) items lie in the mailbox of \(device.name)") }
        }
    }

    private func key(of record: ConversationRecord, _ device: SimulatedWorld.Device) -> String {
        guard record.kind == .direct else { return "group \(record.id)" }
        return ([device.person.did] + record.members).sorted().map { String($0.string.suffix(6)) }.joined(
            separator: "+"
        )
    }

    // MARK: All devices

    /// What a device shows of a conversation, as everybody must show it: without the reactions that one of `members` was not there for,
    /// or that one whose device was taken away could not get again from somebody who is out.
    private func transcript(
        _ device: SimulatedWorld.Device,
        _ thread: ULID,
        _ members: Set<DID>
    ) -> [String] {
        let isDumb = device.isRevoked
        let hasLost = world.devices.contains { $0.isRevoked && members.contains($0.person.did) }
        return world.messages(device, thread).filter { line in
            // What was not said yet when the device was taken away never is.
            line.isContent && line.state != .failed && !(isDumb && line.seq == nil)
        }.map { line in
            let reactions = line.reactions.filter { reaction in
                !reaction.emoji.isEmpty && (members.contains(reaction.sender) || !hasLost)
                    && (witnesses[line.id]?[reaction.sender] ?? members).isSuperset(of: members)
            }.map { "\($0.sender.string.suffix(4))\($0.emoji)" }
            let body =
                line.isRetracted
                ? "-" : "\(line.kind) \(line.text) \(line.attachment?.reference?.sha256.prefix(6) ?? "")"
            return "\(line.id) \(body) \(reactions.sorted().joined())"
        }
    }

    /// All devices of all members show the same; who was taken out shows a part of it.
    private mutating func checkTranscripts() {
        var members: [String: Set<DID>] = [:]
        var shown: [String: [(device: SimulatedWorld.Device, record: ConversationRecord, lines: [String])]] = [:]
        for device in world.devices where !device.isRevoked {
            for record in device.store.conversations() where !record.isRemoved {
                members[key(of: record, device), default: []].insert(device.person.did)
            }
        }
        for device in world.devices {
            for record in device.store.conversations() {
                let key = key(of: record, device)
                let lines = transcript(device, record.id, members[key] ?? [])
                shown[key, default: []].append((device, record, lines))
            }
        }
        for (key, entries) in shown.sorted(by: { $0.key < $1.key }) {
            let isMember = { (device: SimulatedWorld.Device) in
                !device.isRevoked && (members[key] ?? []).contains(device.person.did)
            }
            guard let model = entries.first(where: { isMember($0.device) && !$0.record.isRemoved }) else { continue }
            // Of those who are in it one may have come when another had said something already.
            let known = Set(entries.filter { isMember($0.device) }.flatMap { $0.lines.map { $0.prefix(26) } })
            for entry in entries where entry.device !== model.device {
                if isMember(entry.device) {
                    // Who came later cannot read what was said to fewer; what only a device had that was then taken away is gone with it.
                    let both = Set(entry.lines.map { $0.prefix(26) }).intersection(model.lines.map { $0.prefix(26) })
                    let past = both.filter { isGone($0, from: entry.device) || isGone($0, from: model.device) }
                    let expected = model.lines.filter {
                        entry.lines.contains($0)
                            || isFor($0, entry.device) && !isGone($0, from: entry.device)
                                && !past.contains($0.prefix(26))
                    }
                    let present = entry.lines.filter {
                        model.lines.contains($0)
                            || isFor($0, model.device) && !isGone($0, from: model.device)
                                && !past.contains($0.prefix(26))
                    }
                    guard present != expected else { continue }
                    problems.append(
                        "\(entry.device.name) has \(entry.lines.count) of \(key), \(model.device.name) "
                            + "\(model.lines.count): \(difference(expected, present))"
                    )
                    if settings.explains { explain(model, entry) }
                } else {
                    // What was said before any of them came in, nobody there has.
                    let others = world.devices.filter(isMember)
                    let more = entry.lines.filter { line in
                        !known.contains(line.prefix(26))
                            && others.contains { isFor(line, $0) && !isGone(line, from: $0) }
                    }
                    if let line = more.first?.prefix(26) {
                        problems.append("\(entry.device.name) alone has \(line) of \(key)")
                        if settings.explains { problems.append("    \(whereabouts(of: line))") }
                    }
                }
            }
            for device in world.devices where isMember(device) && !model.lines.isEmpty {
                let count = entries.count { $0.device === device }
                if count != 1 { problems.append("\(device.name) shows \(key) \(count) times") }
            }
        }
    }

    /// Whether a line was for the owner of a device when it was said.
    private func isFor(_ line: String, _ device: SimulatedWorld.Device) -> Bool {
        guard let id = ULID(line.prefix(26)), let audience = audiences[id] else { return true }
        return audience.contains(device.person.did)
    }

    /// Whether a device was taken away from an identity whose other devices do not have a line, and nobody can say it again to them; or what
    /// became of it, be it without the key of its record or because who said that cannot say it again.
    private func isGone(_ line: some StringProtocol, from device: SimulatedWorld.Device) -> Bool {
        guard let id = ULID(line.prefix(26)) else { return false }
        let own = world.devices.filter { $0.person.did == device.person.did }
        let living = own.filter { !$0.isRevoked }
        guard living.count < own.count else { return false }
        func record(_ device: SimulatedWorld.Device) -> MessageRecord? {
            device.store.conversations().lazy.compactMap { device.store.message(id, in: $0.id) }.first
        }
        guard let line = record(device) else {
            return living.allSatisfy { record($0) == nil } && !canBeSaidAgain(id, to: device)
        }
        let isSilenced = editors[id]?.contains { editor in
            editor.isRevoked
                || !editor.store.conversations().contains {
                    !$0.isRemoved && editor.store.message(id, in: $0.id) != nil
                }
        }
        func isSame(_ other: MessageRecord) -> Bool { (other.text, other.isRetracted) == (line.text, line.isRetracted) }
        if isSilenced == true, living.allSatisfy({ record($0).map(isSame) ?? true }) { return true }
        guard let group = line.group, let seq = line.seq,
            let item = try? device.service.store.items(of: device.person.did, .archived(group, seq), limit: 1).first,
            let content = try? device.service.store.content(at: item.position, of: device.person.did),
            let key = try? JSONValue(parsing: content)["akid"]?.string
        else { return false }
        return !living.contains { $0.store.row(.archiveKey, "", key) != nil }
    }

    /// Whether the device that said a line is in its conversation still and has it, and the mailbox of who lacks it has it as it came.
    private func canBeSaidAgain(_ id: ULID, to device: SimulatedWorld.Device) -> Bool {
        for other in world.devices where !other.isRevoked {
            for record in other.store.conversations() where !record.isRemoved {
                guard let line = other.store.message(id, in: record.id), line.sender == other.person.did,
                    let group = line.group, let seq = line.seq,
                    other.store.rows(.sent, group.text).contains(where: { Int64($0.key) == seq }),
                    let items = try? device.service.store.items(of: device.person.did, .sequenced(group, seq), limit: 1)
                else { continue }
                if !items.isEmpty { return true }
            }
        }
        return false
    }

    /// Nobody has what was said without them: a line is for those whom its speaker knew of, and for those who were in at its place in the
    /// log, since it is protected for the epoch of that place. Nor has a device that was taken away what was said in the end.
    private mutating func checkAudiences() {
        let changes = rosterChanges()
        for device in world.devices {
            let did = device.person.did
            for record in device.store.conversations() {
                for line in world.messages(device, record.id) where line.isContent {
                    let may = audiences[line.id]?.union(awaited[line.id] ?? [])
                    if may?.contains(did) == false {
                        let story = explain(line, changes)
                        if !wasIn(did, at: line, changes) {
                            problems.append("\(device.name) reads \(line.text), which was not for it")
                            problems += story
                        } else if settings.isVerbose {
                            print("\(device.name) reads \(line.text), said before it was known to be in: \(story)")
                        }
                    }
                    if device.isRevoked, line.text.hasSuffix("last") {
                        problems.append("\(device.name) was taken away and reads \(line.text)")
                    }
                }
            }
        }
    }

    private typealias RosterChange = (seq: Int64, roster: MessageRecord.Roster)

    /// Who came to and went from each group, in the order of its log.
    private func rosterChanges() -> [GroupID: [RosterChange]] {
        var changes: [GroupID: [Int64: MessageRecord.Roster]] = [:]
        for device in world.devices {
            for record in device.store.conversations() {
                for line in world.messages(device, record.id) {
                    guard let group = line.group, let seq = line.seq, let roster = line.roster, roster.title == nil
                    else { continue }
                    changes[group, default: [:]][seq] = roster
                }
            }
        }
        return changes.mapValues { $0.map { ($0.key, $0.value) }.sorted { $0.seq < $1.seq } }
    }

    /// Where a line is, and who came to its group when.
    private func explain(_ line: MessageRecord, _ changes: [GroupID: [RosterChange]]) -> [String] {
        guard settings.explains else { return [] }
        let roster = (line.group.flatMap { changes[$0] } ?? []).map { "\($0.seq) \($0.roster.text)" }
        return ["    \(whereabouts(of: line.id.description))", "    \(roster)"]
    }

    /// Whether an identity was in a line's group at the line's place.
    private func wasIn(_ did: DID, at line: MessageRecord, _ changes: [GroupID: [RosterChange]]) -> Bool {
        guard let group = line.group, let seq = line.seq, let changes = changes[group] else { return false }
        let last = changes.last { $0.seq < seq && ($0.roster.added + $0.roster.removed).contains(did) }
        // Whoever made the group is in it from the beginning, and makes its first change.
        return last?.roster.added.contains(did) ?? (changes.first?.roster.by == did)
    }

    /// What an identity has read, all its devices know.
    private mutating func checkReadState() {
        var unread: [String: (device: String, count: Int, lines: Set<ULID>)] = [:]
        for device in world.devices where !device.isRevoked {
            for record in device.store.conversations() where !record.isRemoved {
                let key = "\(device.person.name) \(key(of: record, device))"
                let lines = Set(world.messages(device, record.id).filter(\.isContent).map(\.id))
                if let other = unread[key], other.count != record.unread, other.lines == lines {
                    problems.append(
                        "\(device.name) has \(record.unread) unread in \(key), \(other.device) \(other.count)"
                    )
                    if settings.explains { explainReading(record, of: device.person.did) }
                }
                unread[key] = unread[key] ?? (device.name, record.unread, lines)
            }
        }
    }

    /// How far each device of somebody thinks they have read.
    private mutating func explainReading(_ record: ConversationRecord, of person: DID) {
        for device in world.devices where device.person.did == person && !device.isRevoked {
            for other in device.store.conversations() where other.peer == record.peer && other.kind == record.kind {
                let marks = device.store.rows(.watermark, other.id.description).map { row in
                    "\(row.key.suffix(6)) \(String(decoding: row.value, as: UTF8.self))"
                }
                let lines = world.messages(device, other.id).filter(\.isContent).suffix(12).map { line in
                    "\(line.text) \(line.isMine ? "mine" : "") \(line.order) \(line.group?.text.suffix(6) ?? "")"
                }
                problems.append("    \(device.name) up to \(other.readOrder) \(marks) \(lines)")
            }
        }
    }

    /// Every device's record of a line.
    private func whereabouts(of line: some StringProtocol) -> [String] {
        guard let id = ULID(line.prefix(26)) else { return [] }
        return world.devices.flatMap { device in
            device.store.conversations().compactMap { record in
                guard let there = device.store.message(id, in: record.id) else { return nil }
                let (group, seq) = (there.group?.text.suffix(6) ?? "", there.seq ?? -1)
                return "\(device.name) \(group) \(seq) \(there.state) \(there.text)"
            }
        }
    }

    private func difference(_ a: [String], _ b: [String]) -> String {
        let (lacking, more) = (a.filter { !b.contains($0) }, b.filter { !a.contains($0) })
        return "- \(lacking.prefix(2)) + \(more.prefix(2))" + (lacking.isEmpty && more.isEmpty ? " (order)" : "")
    }

    /// Why a device may lack what another one has.
    private mutating func explain(
        _ model: (device: SimulatedWorld.Device, record: ConversationRecord, lines: [String]),
        _ entry: (device: SimulatedWorld.Device, record: ConversationRecord, lines: [String])
    ) {
        let device = entry.device
        let has = Set(entry.lines.map { $0.prefix(26) })
        let changes = rosterChanges()
        for line in model.lines where has.contains(line.prefix(26)) && !entry.lines.contains(line) {
            problems.append("    there it is \(line)")
        }
        for line in world.messages(model.device, model.record.id)
        where line.isContent && !has.contains(line.id.description.prefix(26)) {
            var places: [String] = []
            for other in world.devices where other.person.did == device.person.did {
                for record in other.store.conversations() {
                    guard let there = other.store.message(line.id, in: record.id) else { continue }
                    places.append(
                        "\(other.name) \(there.group?.text.suffix(6) ?? "") \(there.seq ?? -1) \(there.state)"
                    )
                }
            }
            var archive = "not in the archive"
            if let group = line.group, let seq = line.seq,
                let item = try? device.service.store.items(of: device.person.did, .archived(group, seq), limit: 1)
                    .first,
                let content = try? device.service.store.content(at: item.position, of: device.person.did),
                let value = try? JSONValue(parsing: content)
            {
                let key = value["akid"]?.string ?? "?"
                let isKnown = device.store.row(.archiveKey, "", key) != nil
                let waits = device.store.rows(.archive, key).count
                archive =
                    "archived at \(item.position), key \(key.suffix(4)) \(isKnown ? "known" : "unknown, \(waits) wait")"
            }
            problems.append(
                "    \(line.text) for \((audiences[line.id] ?? []).map { $0.string.suffix(4) }.sorted()) \(line.group?.text.suffix(6) ?? "") \(line.seq ?? -1) by \(line.sender.string.suffix(4)); \(places); \(archive)"
            )
            problems += explain(line, changes)
        }
    }
}

extension MessageRecord.Roster {
    fileprivate var text: String {
        func names(_ list: [DID]) -> [String] { list.map { String($0.string.suffix(6)) } }
        return "\(by.string.suffix(6)) added \(names(added)) removed \(names(removed))"
    }
}
