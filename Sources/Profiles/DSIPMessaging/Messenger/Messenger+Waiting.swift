import DSIPIdentity
import Encoding
import MLS

/// Welcomes that cannot be used yet, and what their groups say meanwhile.
extension Messenger {
    // MARK: Waiting to join

    /// Scope of welcomes that wait for a document or a tree, by group.
    static var joinScope: String { "joins" }
    /// Items kept of a group whose welcome waits.
    static var maximumKept: Int { 4096 }

    static func keptScope(_ id: GroupID) -> String { "joins/" + id.text }

    mutating func waitToJoin(_ id: GroupID, _ item: StoredItem) {
        joining.insert(id)
        ledger.set(.held, Self.joinScope, id.text, item.json.utf8)
    }

    /// Keeps what a group says while its welcome waits.
    mutating func keepForJoin(_ item: StoredItem, in id: GroupID) throws(MessagingError) {
        guard let seq = item.seq, try ledger.rows(.held, Self.keptScope(id)).count < Self.maximumKept else { return }
        ledger.set(.held, Self.keptScope(id), OutboxItem.key(seq), item.json.utf8)
    }

    /// Tries the welcomes that wait once more.
    mutating func retryJoins() throws(MessagingError) {
        for row in try ledger.rows(.held, Self.joinScope) {
            guard let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }) else {
                ledger.set(.held, Self.joinScope, row.key, nil)
                continue
            }
            try joinAgain(by: item, tree: nil)
        }
    }

    mutating func joinAgain(by item: StoredItem, tree: [UInt8]?) throws(MessagingError) {
        guard item.itemClass == .welcome, let bytes = item.mls?.bytes,
            case .welcome(let welcome) = try? MLSMessage(decoding: bytes)
        else { return }
        for entry in welcome.secrets.prefix(65_536) {
            let key = Hex.encode(entry.newMember)
            guard try ledger.row(.keyPackage, "", key) != nil else { continue }
            try join(welcome, key, item, tree: tree)
            return
        }
    }

    mutating func stopWaiting(_ id: GroupID) -> Bool {
        guard joining.remove(id) != nil else { return false }
        ledger.set(.held, Self.joinScope, id.text, nil)
        return true
    }

    /// The welcome cannot be used: the device takes its place by itself, as soon as there is a GroupInfo. M§6.8
    mutating func giveUpJoining(_ id: GroupID) throws(MessagingError) {
        if stopWaiting(id) { ledger.drop(.held, Self.keptScope(id)) }
        inbox.left(id)
        dirtyGroups.insert(id)
        noteAbsence()
    }
}
