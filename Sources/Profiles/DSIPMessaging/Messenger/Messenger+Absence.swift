import Encoding

/// What is said in groups that this device is not in yet, though its identity is: by a device that was lost, perhaps.
extension Messenger {
    static var passedScope: String { "passed" }
    /// Groups of which it is remembered; of each the last ``GroupState/maximumUnopened``.
    private static var maximumPassedGroups: Int { 256 }

    /// Remembers an item of a group that this device has not come to: once it is in, by itself, it asks for what no own device archived.
    mutating func notePassed(_ item: StoredItem) {
        guard item.itemClass == .application, let id = item.group, let seq = item.seq, groups[id] == nil,
            passed[id] != nil || passed.count < Self.maximumPassedGroups
        else { return }
        let seqs = passed[id] ?? []
        if !seqs.contains(seq) { setPassed(seqs.suffix(GroupState.maximumUnopened - 1) + [seq], of: id) }
    }

    /// The device comes to a group: what was passed over of it.
    mutating func takePassed(of id: GroupID) -> [Int64] {
        let seqs = passed[id] ?? []
        if !seqs.isEmpty { setPassed([], of: id) }
        return seqs
    }

    /// The archive has it: nobody needs to say it again.
    mutating func foundInArchive(_ seq: Int64, of id: GroupID) {
        if let seqs = passed[id], seqs.contains(seq) { setPassed(seqs.filter { $0 != seq }, of: id) }
        if groups[id]?.unopened.contains(seq) == true { update(id) { $0.unopened.removeAll { $0 == seq } } }
    }

    private mutating func setPassed(_ seqs: [Int64], of id: GroupID) {
        passed[id] = seqs.isEmpty ? nil : seqs
        var row = RowWriter()
        row.put("seqs", list: seqs.map { .int($0) })
        ledger.set(.held, Self.passedScope, id.text, seqs.isEmpty ? nil : row.bytes)
    }

    mutating func loadPassed() throws(MessagingError) {
        passed = [:]
        for row in try ledger.rows(.held, Self.passedScope) {
            guard let id = GroupID(row.key), let reader = RowReader(row.value) else { continue }
            passed[id] = reader.list("seqs").compactMap(\.value.int)
        }
    }
}
