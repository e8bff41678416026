import DSIPIdentity
import Encoding

/// Where lines stand in a thread. M§8.5
extension Messenger {
    /// The place of what a group ordered, be it one that this device was never in.
    func order(of seq: Int64, in group: GroupID) -> Int64 {
        groups[group]?.order(seq) ?? GroupState.order(seq, at: GroupState.place(of: group))
    }

    static func precedes(_ said: Saying, _ seq: Int64, in group: GroupID?) -> Bool {
        guard let group else { return false }
        let (a, b) = (GroupState.place(of: said.group), GroupState.place(of: group))
        return (a, said.group.text, said.seq) < (b, group.text, seq)
    }

    /// Of what one person says about one message the latest stands: by its id, so that it is the same for all however it comes.
    static func rank(_ id: ULID) -> Int64 { Int64(clamping: id.milliseconds) }

    /// An id behind what this one follows, whatever the clock says.
    mutating func newULID(after rank: Int64) -> ULID {
        let now = UInt64(max(0, now)) * 1000
        let latest = UInt64(max(0, rank))
        guard latest >= now, latest < now + 200_000 else { return newULID() }
        return ULID(milliseconds: latest + 1, using: &random)
    }

    /// After groups have moved: the one in which a thread goes on stands last, and their lines with them.
    mutating func settlePlaces() throws(MessagingError) {
        for thread in Set(dirtyGroups.compactMap { groups[$0]?.thread }).sorted() {
            guard let present = current(thread)?.id else { continue }
            for id in groups.keys.sorted() {
                guard let group = groups[id], group.thread == thread else { continue }
                let place = id == present ? GroupState.lastPlace : GroupState.place(of: id)
                guard place != group.place else { continue }
                update(id) { $0.place = place }
                try reorder(id)
            }
        }
    }

    /// Stored lines of a group take their places anew.
    private mutating func reorder(_ id: GroupID) throws(MessagingError) {
        guard let group = groups[id] else { return }
        var after: Int64? = Int64.min
        while let from = after {
            let page = try ledger.messages(in: group.thread, after: from, limit: 500)
            for var line in page where line.group == id {
                guard let seq = line.seq else { continue }
                line.order = group.order(seq)
                ledger.set(line)
            }
            after = page.count < 500 ? nil : page.last?.order
        }
        touched.resets.insert(group.thread)
        try settleWatermarks(of: group.thread)
    }
}
