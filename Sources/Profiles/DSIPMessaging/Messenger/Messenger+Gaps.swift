import DSIPIdentity
import Encoding

extension Messenger {
    /// Seconds after which a hole is looked for in the mailboxes, and between two such readings.
    static var gapPatience: Int64 { 20 }
    static var rereadInterval: Int64 { 120 }
    /// Seconds between two looks at a mailbox that has said nothing.
    static var idleInterval: Int64 { 300 }

    /// Which groups have holes now: items beyond them were read, so that nothing else would ask for what is missing.
    mutating func noteGaps(in touched: Set<GroupID>) {
        for id in touched {
            if inbox.position(in: id)?.beyond.isEmpty == false || !inbox.held(in: id).isEmpty {
                if gaps[id] == nil { gaps[id] = (now, false) }
            } else {
                gaps[id] = nil
            }
        }
    }

    var gapDeadline: Int64? {
        gaps.values.map { gap in
            gap.wasReread
                ? gap.since + configuration.gapTimeout
                : max(gap.since + Self.gapPatience, rereadAt == .min ? 0 : rereadAt + Self.rereadInterval)
        }.min()
    }

    /// A hole that stays is looked for from the start of the mailboxes: copies are known by their `seq`. What is not there either is
    /// asked of those who said it.
    mutating func fillGaps() throws(MessagingError) {
        var rereads = false
        for (id, gap) in gaps {
            if !gap.wasReread {
                guard now >= gap.since + Self.gapPatience, rereadAt == .min || now >= rereadAt + Self.rereadInterval
                else {
                    continue
                }
                gaps[id] = (gap.since, true)
                rereads = true
            } else if now >= gap.since + configuration.gapTimeout {
                gaps[id] = nil
                // With something held the device joins anew instead, as M§6.5 has it.
                guard inbox.held(in: id).isEmpty, let position = inbox.position(in: id) else { continue }
                let behind = Set(position.beyond)
                let missing = (position.contiguous + 1..<max(position.contiguous + 1, position.highest))
                    .lazy.filter { !behind.contains($0) }.prefix(256)
                for seq in Array(missing) {
                    noteUnopened(seq, in: id)
                    for action in inbox.sent(seq, in: id) { try follow(action, in: id) }
                }
                dirtyGroups.insert(id)
            }
        }
        guard rereads else { return }
        rereadAt = now
        for service in configuration.mailboxes {
            readAnew(service.mailbox)
            ask(service.mailbox)
        }
    }
}
