import Encoding

/// For a person who looks for a fault, and for simulations.
extension Messenger {
    /// What waits, in few words: groups by phase, what is to be sent, what is on its way.
    package var summary: String {
        func count(_ phase: GroupState.Phase) -> Int { groups.values.count { $0.phase == phase } }
        let waiting = groups.values.reduce(0) { $0 + inbox.held(in: $1.id).count }
        return "g\(count(.active))/\(count(.founding))/\(count(.lost))/\(count(.left))"
            + " o\(outbox.values.reduce(0) { $0 + $1.count }) e\(errands.count) f\(inFlight.count) h\(waiting)"
            + " c\(groups.values.reduce(0) { $0 + $1.changes.count })"
    }

    /// What should not be there when everything has arrived and nobody has said anything for a while.
    package var loose: [String] {
        var found: [String] = []
        func note(_ count: Int, _ what: String) { if count > 0 { found.append("\(count) \(what)") } }
        note(outbox.values.reduce(0) { $0 + $1.count }, "in the outbox")
        note(errands.count, "errands")
        note(awaited.count, "identities waited for")
        note(joining.count, "welcomes that wait")
        note(inFlight.values.count { $0.purpose != .keyPackages }, "requests without an answer")
        for group in groups.values.sorted(by: { $0.id < $1.id }) where group.phase != .left {
            if group.phase != .active { found.append("\(group.id.text) is \(group.phase)") }
            note(group.unopened.count, "unopened in \(group.id.text)")
            note(group.changes.count, "changes of \(group.id.text): \(group.changes)")
            note(inbox.held(in: group.id).count, "held in \(group.id.text)")
            note(inbox.position(in: group.id)?.beyond.count ?? 0, "beyond a gap in \(group.id.text)")
            if let did = group.stalledOn { found.append("\(group.id.text) waits for \(did)") }
            if group.passing != nil { found.append("\(group.id.text) reads on") }
        }
        return found
    }
}
