import DSIPIdentity
import Encoding

/// Rows as JSON: members that are nil, empty or zero are left out.
struct RowWriter {
    private var object = JSONObject()

    init() {}

    mutating func put(_ name: String, _ value: String?) { if let value { object[name] = .string(value) } }
    mutating func put(_ name: String, _ value: Int64?) { if let value { object[name] = .int(value) } }
    mutating func put(_ name: String, _ value: ULID?) { put(name, value?.description) }
    mutating func put(_ name: String, _ value: DID?) { put(name, value?.string) }
    mutating func put(_ name: String, _ value: GroupID?) { put(name, value?.text) }
    mutating func put(_ name: String, flag: Bool) { if flag { object[name] = true } }
    mutating func put(_ name: String, bytes: [UInt8]?) { put(name, bytes.map { Base64URL.encode($0) }) }
    mutating func put(_ name: String, _ value: JSONValue?) { if let value { object[name] = value } }
    mutating func put(_ name: String, list: [JSONValue]) { if !list.isEmpty { object[name] = .array(list) } }
    mutating func put(_ name: String, _ list: [DID]) { put(name, list: list.map { .string($0.string) }) }

    var json: JSONValue { .object(object) }
    var bytes: [UInt8] { json.utf8 }
}

/// A row read back. It is this program's own; what is missing reads as absent, and a row that cannot be read is none.
struct RowReader {
    let value: JSONValue

    init?(_ bytes: [UInt8]) {
        guard
            let value = try? JSONValue(
                parsing: bytes,
                limits: .init(bytes: 64 << 20, depth: 16, members: 1 << 20)
            )
        else { return nil }
        self.value = value
    }

    init(_ value: JSONValue) { self.value = value }

    func text(_ name: String) -> String? { value[name]?.string }
    func int(_ name: String) -> Int64? { value[name]?.int }
    func flag(_ name: String) -> Bool { value[name]?.bool ?? false }
    func ulid(_ name: String) -> ULID? { text(name).flatMap { ULID($0) } }
    func did(_ name: String) -> DID? { text(name).flatMap { DID($0) } }
    func group(_ name: String) -> GroupID? { text(name).flatMap { GroupID($0) } }
    func bytes(_ name: String) -> [UInt8]? { text(name).flatMap { Base64URL.decode($0) } }
    func list(_ name: String) -> [RowReader] { (value[name]?.array ?? []).map { RowReader($0) } }
    func dids(_ name: String) -> [DID] { (value[name]?.array ?? []).compactMap { $0.string.flatMap { DID($0) } } }
}

extension ConversationRecord {
    /// The record as a store keeps it.
    public var encoded: [UInt8] {
        var row = RowWriter()
        row.put("id", id)
        row.put("kind", kind.rawValue)
        row.put("title", title)
        row.put("members", members)
        row.put("removed", flag: isRemoved)
        row.put("unread", Int64(unread))
        row.put("last", lastMessage)
        row.put("at", lastActivity)
        row.put("muted", flag: isMuted)
        row.put("life", disappearAfter)
        row.put("draft", draft.isEmpty ? nil : draft)
        row.put("notice", notice?.rawValue)
        row.put("request", flag: isRequest)
        row.put("purpose", purpose)
        row.put("read", readOrder)
        return row.bytes
    }

    /// - Returns: nil for bytes that `encoded` did not write.
    public init?(decoding bytes: [UInt8]) {
        guard let row = RowReader(bytes), let id = row.ulid("id"), let kind = row.text("kind").flatMap(Kind.init) else {
            return nil
        }
        self.init(id: id, kind: kind, title: row.text("title"), members: row.dids("members"), at: row.int("at") ?? 0)
        isRemoved = row.flag("removed")
        unread = Int(row.int("unread") ?? 0)
        lastMessage = row.ulid("last")
        isMuted = row.flag("muted")
        disappearAfter = row.int("life")
        draft = row.text("draft") ?? ""
        notice = row.text("notice").flatMap(Notice.init)
        isRequest = row.flag("request")
        purpose = row.text("purpose")
        readOrder = row.int("read") ?? 0
    }
}

extension BlobReference {
    init?(_ row: RowReader) {
        guard let uri = row.text("uri"), let sha256 = row.text("sha256"), let size = row.int("size") else { return nil }
        self.init(uri: uri, sha256: sha256, size: size)
    }
}
