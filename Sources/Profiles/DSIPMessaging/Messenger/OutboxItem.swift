import DSIPIdentity
import Encoding

/// Something for a group: an object that waits to be encrypted, or a deposit that waits for the hub's word.
///
/// A deposit is sent again as the same bytes (M§9.3). Only what the hub has refused, for its epoch or because the group is gone, is
/// encrypted anew, from the object, with the same content id.
struct OutboxItem: Hashable, Sendable {
    enum Purpose: String, Sendable {
        case object, commit, proposal
        case externalCommit = "external-commit"
    }

    /// Ascending in the order in which things were said.
    var number: Int64
    var id: ULID
    var thread: ULID
    var purpose: Purpose
    /// The application object, as JSON.
    var object: [UInt8]?
    /// The message it is of.
    var content: ULID?
    var blobs: [BlobReference] = []
    /// A message of this thread that goes first.
    var after: ULID?
    /// Once encrypted.
    var group: GroupID?
    var deposit: Deposit.Content?
    /// Waits for a public blob: the tree of a large group.
    var awaitsBlob: ULID?
    /// How often it was encrypted.
    var tries = 0
    /// Who was in the group for which it was encrypted, by the digest of the list.
    var audience: String?
    /// Whether it was said before there was a group: its `conversation` is the group's when it goes there.
    var isUnaddressed = false
    /// What it says once more.
    var again: Again?

    /// The place of what is said again, and the devices that asked for it; nobody has asked for what was owed.
    struct Again: Hashable, Sendable {
        var group: GroupID
        var seq: Int64
        var askers: [DID]

        static let maximumAskers = 64
    }

    /// Objects waiting in one thread.
    static let maximumWaiting = 2048

    init(number: Int64, id: ULID, thread: ULID, purpose: Purpose, object: [UInt8]? = nil, content: ULID? = nil) {
        self.number = number
        self.id = id
        self.thread = thread
        self.purpose = purpose
        self.object = object
        self.content = content
    }

    var mls: EncodedBytes? {
        switch deposit {
        case .application(let mls, _): mls
        case .handshake(let handshake): handshake.mls
        default: nil
        }
    }

    var key: String { Self.key(number) }

    static func key(_ number: Int64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 16 - digits.count)) + digits
    }

    var encoded: [UInt8] {
        var row = RowWriter()
        row.put("n", number)
        row.put("id", id)
        row.put("thread", thread)
        row.put("purpose", purpose.rawValue)
        row.put("object", bytes: object)
        row.put("content", content)
        row.put("blobs", list: blobs.map(\.json))
        row.put("group", group)
        row.put("awaits", awaitsBlob)
        row.put("unaddressed", flag: isUnaddressed)
        row.put("after", after)
        row.put("audience", audience)
        row.put("tries", tries == 0 ? nil : Int64(tries))
        if let again {
            row.put("again", again.group)
            row.put("again_seq", again.seq)
            row.put("askers", again.askers)
        }
        if let deposit {
            var object: JSONObject = [:]
            Deposit(group: group, deposit).write(to: &object)
            row.put("deposit", .object(object))
        }
        return row.bytes
    }

    init?(decoding bytes: [UInt8]) {
        guard let row = RowReader(bytes), let number = row.int("n"), let id = row.ulid("id"),
            let thread = row.ulid("thread"), let purpose = row.text("purpose").flatMap(Purpose.init)
        else { return nil }
        self.init(
            number: number,
            id: id,
            thread: thread,
            purpose: purpose,
            object: row.bytes("object"),
            content: row.ulid("content")
        )
        blobs = row.list("blobs").compactMap { BlobReference($0) }
        group = row.group("group")
        tries = Int(row.int("tries") ?? 0)
        isUnaddressed = row.flag("unaddressed")
        awaitsBlob = row.ulid("awaits")
        after = row.ulid("after")
        audience = row.text("audience")
        again = row.group("again").flatMap { group in
            row.int("again_seq").map { Again(group: group, seq: $0, askers: row.dids("askers")) }
        }
        if let written = row.value["deposit"], var members = try? Members(written, "a deposit") {
            deposit = (try? DepositFields(&members))?.content
        }
    }
}

/// Something for a mailbox or a hub that is not part of a group's order: history, state, configuration, first contact.
struct Errand: Hashable, Sendable {
    enum Purpose: String, Sendable {
        case archive, config, contact, move
        case groupInfo = "group-info"
    }

    var number: Int64
    var purpose: Purpose
    /// The mailbox that carries it.
    var via: DID
    var uri: String?
    /// Whom it is addressed to: the mailbox itself, or a hub.
    var to: DID
    var body: MailboxMessage.Body
    /// Of a GroupInfo, what became of a group, or where it moved: which group.
    var group: GroupID?

    static let maximumWaiting = 65_536

    var key: String { OutboxItem.key(number) }

    var encoded: [UInt8] {
        var row = RowWriter()
        row.put("n", number)
        row.put("purpose", purpose.rawValue)
        row.put("via", via)
        row.put("uri", uri)
        row.put("to", to)
        row.put("group", group)
        row.put("body", Self.carrier(body).json)
        return row.bytes
    }

    init(
        number: Int64,
        purpose: Purpose,
        via: DID,
        uri: String?,
        to: DID,
        body: MailboxMessage.Body,
        group: GroupID? = nil
    ) {
        self.number = number
        self.purpose = purpose
        self.via = via
        self.uri = uri
        self.to = to
        self.body = body
        self.group = group
    }

    init?(decoding bytes: [UInt8]) {
        guard let row = RowReader(bytes), let number = row.int("n"),
            let purpose = row.text("purpose").flatMap(Purpose.init), let via = row.did("via"), let to = row.did("to"),
            let body = row.value["body"].flatMap({ try? MailboxMessage($0) })?.body
        else { return nil }
        self.init(
            number: number,
            purpose: purpose,
            via: via,
            uri: row.text("uri"),
            to: to,
            body: body,
            group: row.group("group")
        )
    }

    /// A message whose only part that counts is its body.
    private static func carrier(_ body: MailboxMessage.Body) -> MailboxMessage {
        guard let nobody = DID("did:key:z") else { preconditionFailure("not a DID") }
        var zero = Zeros()
        return MailboxMessage(
            id: ULID(milliseconds: 0, using: &zero),
            from: nobody,
            to: nobody,
            issuedAt: 0,
            expiresAt: 0,
            body: body
        )
    }

    private struct Zeros: RandomNumberGenerator {
        mutating func next() -> UInt64 { 0 }
    }
}
