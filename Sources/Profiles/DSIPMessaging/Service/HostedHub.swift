import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

/// A hub with the group as it sees it, and its rows in the store.
///
/// ```
/// hub/<group>   head           kind, owner, next seq, successor
///               observer       the public group
///               queue/<did>    what a member's mailbox has not had; none when it has all
///               info           the latest GroupInfo
/// due           <group>        there is something to deliver
/// ```
final class HostedHub {
    var hub: Hub
    var observer: GroupObserver
    let log: StoredLog
    /// Members whose mailbox has not had the latest GroupInfo.
    var owesInfo: Set<DID> = []
    /// Nil before it is asked for, or when there is none.
    var info: Info?
    /// The lowest `seq` of which anything is kept, and of which the content is.
    var oldest: Int64
    var released: Int64
    /// Read from the leaves when first asked for.
    private var hints: [DID: MailboxService]?
    /// Of those who are gone and have not had everything that was ordered before.
    private var formerHints: [DID: MailboxService] = [:]
    private var savedQueues: [DID: MemberQueue] = [:]
    private var savedOwing: Set<DID> = []
    private var isDue = false
    private let store: any MailboxStore
    private let scope: String

    /// The latest GroupInfo, as it is handed on.
    struct Info: Hashable {
        var mls: EncodedBytes
        var ratchetTree: BlobReference?
    }

    static let prefix = "hub/"
    static func scope(of group: GroupID) -> String { prefix + group.text }

    var group: GroupID { hub.group }

    /// A group that begins here. Every leaf names its identity, and the context its conversation.
    init(
        creating group: GroupID,
        _ observer: GroupObserver,
        _ conversation: ConversationExtension,
        owner: DID?,
        handoverSeq: Int64,
        in store: any MailboxStore
    ) {
        self.store = store
        scope = Self.scope(of: group)
        self.observer = observer
        log = StoredLog(store, of: group)
        hub = Hub(
            group: group,
            kind: conversation.kind,
            owner: owner,
            epoch: observer.epoch,
            roster: observer.roster,
            handoverSeq: handoverSeq,
            log: log
        )
        oldest = handoverSeq + 1
        released = handoverSeq + 1
    }

    /// The group was here before: what is still owed from then is brought first. M§7.4
    func goOn(from former: HostedHub) {
        hub.returned(owing: former.hub.queues, through: former.hub.nextSeq - 1)
        (oldest, released) = (former.oldest, former.released)
        (savedQueues, savedOwing, isDue) = (former.savedQueues, former.savedOwing, former.isDue)
        formerHints = former.formerHints
    }

    /// - Returns: nil when the group has no hub here.
    static func load(_ group: GroupID, from store: any MailboxStore) throws(StoreFailure) -> HostedHub? {
        let scope = Self.scope(of: group)
        guard let head = try store.record(.init(scope, "head")) else { return nil }
        guard let observer = try store.record(.init(scope, "observer")) else { throw .corrupt }
        var queues: [MailboxRecord] = []
        var last: String? = "queue/"
        repeat {
            let page = try store.records(in: scope, after: last, limit: 512)
            queues += page
            last = page.count < 512 ? nil : page.last?.key.name
        } while last != nil
        let isDue = try store.record(.init("due", group.text)) != nil
        do {
            return try HostedHub(
                group,
                store,
                JSONValue(parsing: head, limits: .host),
                GroupObserver(restoring: observer, validator: DeviceCredentials()),
                queues.filter { $0.key.name.hasPrefix("queue/") },
                isDue
            )
        } catch {
            throw .corrupt
        }
    }

    private init(
        _ group: GroupID,
        _ store: any MailboxStore,
        _ head: JSONValue,
        _ observer: GroupObserver,
        _ queues: [MailboxRecord],
        _ isDue: Bool
    ) throws {
        self.store = store
        self.isDue = isDue
        scope = Self.scope(of: group)
        self.observer = observer
        log = StoredLog(store, of: group)
        var members = try Members(head, "head")
        let next = try members.required("next", Read.positive)
        oldest = try members.required("oldest", Read.positive)
        released = try members.required("released", Read.positive)
        var state = Hub.State(
            group: group,
            kind: ConversationKind(checked: try members.required("kind", Read.token)),
            owner: try members.optional("owner", Read.did),
            epoch: observer.epoch,
            devices: observer.roster.devices,
            nextSeq: next,
            // Who has no row has had everything.
            queues: observer.roster.devices.mapValues { _ in MemberQueue(stretches: [.init(first: next)]) }
        )
        state.movedTo = try members.optional("moved_to", Read.did)
        state.handoverSeq = try members.optional("handover_seq", Read.positive) ?? 0
        state.hasGroupInfo = try members.optional("has_info", Read.boolean) ?? false
        for record in queues {
            guard let identity = DID(record.key.name.dropFirst("queue/".count)) else { continue }
            let value = try JSONValue(parsing: record.value, limits: .host)
            let queue = try MemberQueue(value)
            state.queues[identity] = queue
            savedQueues[identity] = queue
            if let mailbox = value["mailbox"] { formerHints[identity] = try? MailboxService(mailbox) }
            if value["owes_info"]?.bool == true {
                owesInfo.insert(identity)
                savedOwing.insert(identity)
            }
        }
        hub = Hub(restoring: state, log: log)
    }

    // MARK: What the group says

    var conversation: ConversationExtension? { ConversationExtension(of: observer.extensions) }

    /// Where the leaves of an identity say, or said, its mailbox is. M§4.2
    func hint(of identity: DID) -> MailboxService? { leafHints()[identity] ?? formerHints[identity] }

    /// The group moves on. Who is removed still gets what was ordered until then, where its leaves said.
    func enter(_ commit: ObservedCommit) throws(MLSError) {
        let before = commit.removed.isEmpty ? [:] : leafHints()
        try observer.enter(commit)
        hints = nil
        let members = before.isEmpty ? [] : observer.roster.identities
        for (identity, service) in before where !members.contains(identity) { formerHints[identity] = service }
    }

    private func leafHints() -> [DID: MailboxService] {
        if let hints { return hints }
        var found: [DID: MailboxService] = [:]
        for member in observer.members {
            guard let leaf = LeafCredential.claim(of: member.leafNode), found[leaf.identity] == nil,
                let service = MailboxHint.service(of: member.leafNode)
            else { continue }
            found[leaf.identity] = service
        }
        hints = found
        return found
    }

    func latestInfo() throws(StoreFailure) -> Info? {
        if let info { return info }
        guard let bytes = try store.record(.init(scope, "info")) else { return nil }
        do {
            var members = try Members(JSONValue(parsing: bytes, limits: .host), "info")
            info = Info(
                mls: try members.required("mls", Read.encoded),
                ratchetTree: try members.optional("tree", BlobReference.read)
            )
        } catch {
            throw .corrupt
        }
        return info
    }

    // MARK: Writing

    func save(_ info: Info) throws(StoreFailure) {
        self.info = info
        var object: JSONObject = ["mls": .string(info.mls.text)]
        if let tree = info.ratchetTree { object["tree"] = tree.json }
        try put("info", .object(object))
    }

    func saveObserver() throws(StoreFailure) {
        try store.apply(.put(MailboxRecord(.init(scope, "observer"), observer.saved)))
    }

    /// Writes what an input changed: what was ordered, the head, the queues that are not as they were.
    func save() throws(StoreFailure) {
        let needed = hub.lowestPending
        let first = log.flush(needed: needed)
        if let failure = log.failure { throw failure }
        if needed > released {
            // What is ordered and delivered at once was written without content; only older contents are there to go.
            if first.map({ $0 > released }) ?? true { try store.apply(.releaseOrdered(group, below: needed)) }
            released = needed
        }
        var head: JSONObject = [
            "kind": .string(hub.kind.token), "next": .int(hub.nextSeq), "oldest": .int(oldest),
            "released": .int(released), "has_info": .bool(hub.hasGroupInfo),
        ]
        if let owner = hub.owner { head["owner"] = .string(owner.string) }
        if let moved = hub.movedTo { head["moved_to"] = .string(moved.string) }
        if hub.handoverSeq > 0 { head["handover_seq"] = .int(hub.handoverSeq) }
        try put("head", .object(head))
        try saveQueues()
        let hasWork = !hub.isIdle || !owesInfo.isEmpty
        guard hasWork != isDue else { return }
        isDue = hasWork
        let key = MailboxRecord.Key("due", group.text)
        try store.apply(hasWork ? .put(MailboxRecord(key, [])) : .remove(key))
    }

    private func saveQueues() throws(StoreFailure) {
        var written: [DID: MemberQueue] = [:]
        for (identity, queue) in hub.queues {
            let isPlain =
                queue.welcomes.isEmpty && !queue.isUnregistered && !owesInfo.contains(identity)
                && queue.stretches == [.init(first: hub.nextSeq)]
            if isPlain { continue }
            written[identity] = queue
            guard savedQueues[identity] != queue || savedOwing.contains(identity) != owesInfo.contains(identity) else {
                continue
            }
            var object = queue.json
            if owesInfo.contains(identity) { object["owes_info"] = true }
            if let mailbox = formerHints[identity] { object["mailbox"] = mailbox.json }
            try put("queue/\(identity)", .object(object))
        }
        for identity in savedQueues.keys where written[identity] == nil {
            try store.apply(.remove(.init(scope, "queue/\(identity)")))
        }
        savedQueues = written
        if !formerHints.isEmpty { formerHints = formerHints.filter { written[$0.key] != nil } }
        savedOwing = owesInfo.intersection(written.keys)
    }

    private func put(_ name: String, _ value: JSONValue) throws(StoreFailure) {
        try store.apply(.put(MailboxRecord(.init(scope, name), value.utf8)))
    }
}

extension MemberQueue {
    var json: JSONObject {
        [
            "stretches": .array(
                stretches.map { .array([.int($0.first)] + ($0.last.map { [.int($0)] } ?? [])) }
            ),
            "welcomes": .array(welcomes.map { .int($0) }), "unregistered": .bool(isUnregistered),
        ]
    }

    init(_ value: JSONValue) throws {
        let rows = value["stretches"]?.array?.compactMap { $0.array?.compactMap(\.int) } ?? []
        self.init(
            stretches: rows.filter { !$0.isEmpty }.map { .init(first: $0[0], last: $0.count > 1 ? $0[1] : nil) },
            welcomes: value["welcomes"]?.array?.compactMap(\.int) ?? [],
            isUnregistered: value["unregistered"]?.bool ?? false
        )
    }
}

extension ConversationExtension {
    /// That of a GroupContext; nil when there is none that can be read.
    public init?(of extensions: Extensions) {
        guard let data = extensions[ExtensionType(rawValue: Self.extensionType)],
            let conversation = try? ConversationExtension(decoding: data)
        else { return nil }
        self = conversation
    }
}

extension GroupObserver {
    /// Who is in the group, by what the leaves say; they were verified when they entered.
    var roster: Roster {
        var devices: [DID: Set<DID>] = [:]
        for member in members {
            guard let leaf = LeafCredential.claim(of: member.leafNode) else { continue }
            devices[leaf.identity, default: []].insert(leaf.device)
        }
        return Roster(devices)
    }
}
