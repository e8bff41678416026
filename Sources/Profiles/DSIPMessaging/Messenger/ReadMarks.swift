import DSIPIdentity
import Encoding

/// How far somebody has read a thread: messages that they have read through. M§10.3
///
/// In one group the highest counts. Which group of a thread stands last one device may learn later than another, and of what was said in
/// two groups the place may move, so that those behind it are remembered too: whichever way the marks came, the same one is the highest in
/// the end.
struct ReadMarks: Hashable, Sendable {
    struct Mark: Hashable, Sendable {
        var message: ULID
        /// Where it was said; nil for what no group has ordered.
        var group: GroupID?
        var seq: Int64?
        var order: Int64
    }

    /// Of one reader in one thread.
    static let maximum = 12

    var marks: [Mark] = []

    var highest: Mark? { marks.max { $0.order < $1.order } }
    /// The place up to which the thread was read; 0 for none of it.
    var order: Int64 { highest?.order ?? 0 }

    init() {}

    /// - Returns: whether it is further than any before in its group.
    mutating func insert(_ mark: Mark) -> Bool {
        guard !marks.contains(where: { $0.message == mark.message }) else { return false }
        let isFurther = !marks.contains { $0.group == mark.group && $0.order >= mark.order }
        marks.append(mark)
        if marks.count > Self.maximum { removeLeast() }
        return isFurther
    }

    /// The lowest of the group that has the most goes.
    private mutating func removeLeast() {
        func rank(_ mark: Mark) -> (Int, Int64) { (-marks.count { $0.group == mark.group }, mark.order) }
        guard let least = marks.indices.min(by: { rank(marks[$0]) < rank(marks[$1]) }) else { return }
        marks.remove(at: least)
    }
}

extension ReadMarks {
    var encoded: [UInt8] {
        var row = RowWriter()
        row.put(
            "marks",
            list: marks.map { mark in
                var row = RowWriter()
                row.put("message", mark.message)
                row.put("group", mark.group)
                row.put("seq", mark.seq)
                row.put("order", mark.order)
                return row.json
            }
        )
        return row.bytes
    }

    init?(decoding bytes: [UInt8]) {
        guard let row = RowReader(bytes) else { return nil }
        marks = row.list("marks").prefix(Self.maximum).compactMap { mark in
            guard let message = mark.ulid("message"), let order = mark.int("order") else { return nil }
            return Mark(message: message, group: mark.group("group"), seq: mark.int("seq"), order: order)
        }
        // Written before marks were kept by group.
        if marks.isEmpty, let message = row.ulid("message"), let order = row.int("order") {
            marks = [Mark(message: message, order: order)]
        }
    }
}

extension Messenger {
    /// Of what an identity has told, by any of its devices, that it has read.
    static var toldKey: String { "told" }

    func readMarks(of reader: String, in thread: ULID) throws(MessagingError) -> ReadMarks {
        try ledger.row(.watermark, thread.description, reader).flatMap { ReadMarks(decoding: $0) } ?? ReadMarks()
    }

    /// - Returns: whether that is further than before in the group of `line`.
    mutating func mark(_ reader: String, through line: MessageRecord) throws(MessagingError) -> Bool {
        var marks = try readMarks(of: reader, in: line.conversation)
        let before = marks
        let isFurther = marks.insert(
            .init(message: line.id, group: line.group, seq: line.seq, order: line.order)
        )
        if marks != before { ledger.set(.watermark, line.conversation.description, reader, marks.encoded) }
        return isFurther
    }

    /// Lines have moved: what was read through one of them is where it is now, and so is what is still to be told.
    mutating func settleWatermarks(of thread: ULID) throws(MessagingError) {
        for row in try ledger.rows(.watermark, thread.description) {
            guard var marks = ReadMarks(decoding: row.value) else { continue }
            for index in marks.marks.indices {
                let mark = marks.marks[index]
                if let line = try ledger.message(mark.message, in: thread) {
                    marks.marks[index] = .init(message: line.id, group: line.group, seq: line.seq, order: line.order)
                } else if let seq = mark.seq, let group = mark.group.flatMap({ groups[$0] }) {
                    marks.marks[index].order = group.order(seq)
                }
            }
            ledger.set(.watermark, thread.description, row.key, marks.encoded)
        }
        guard var record = try ledger.conversation(thread) else { return }
        record.readOrder = try readMarks(of: identity.string, in: thread).order
        record.unread = try unread(in: record)
        show(record)
        if !record.isRemoved, try isUntold(in: thread) {
            readTold[thread] = ReadThrottle(toldAt: readTold[thread]?.toldAt ?? now, isUntold: true)
        }
    }
}
