import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import MLS

/// A mailbox service that numbers and echoes, and believes everybody: enough to let devices talk before the real one is asked.
public final class StandInService {
    public struct Answer {
        public var to: DID
        public var message: MailboxMessage?
        public var refusal: (inReplyTo: ULID, Reason)?
    }

    struct Hosted {
        var epoch: UInt64 = 0
        var seq: Int64 = 0
        var digests: [EncodedBytes: Int64] = [:]
        var members: Set<DID> = []
    }

    public let did: DID
    var groups: [GroupID: Hosted] = [:]
    /// Items of each identity, by position.
    public private(set) var items: [DID: [StoredItem]] = [:]
    var devices: [DID: DID] = [:]
    var live: Set<DID> = []
    var packages: [DID: [DID: [EncodedBytes]]] = [:]
    var lastResort: [DID: [DID: EncodedBytes]] = [:]
    var archived: Set<String> = []
    var admitted: [DID: AdmissionPolicy] = [:]
    var random: any RandomNumberGenerator
    public var now: Int64 = 0
    public private(set) var accepted = 0

    public init(did: DID, random: any RandomNumberGenerator) {
        self.did = did
        self.random = random
    }

    public func bound(_ device: DID, of identity: DID) { devices[device] = identity }
    public func unbound(_ device: DID) { live.remove(device) }

    public func received(_ message: MailboxMessage) -> [Answer] {
        guard let identity = devices[message.from] else { return [] }
        switch message.body {
        case .sync(let request): return sync(message, request, identity)
        case .deposit(let deposit): return received(deposit, message, identity)
        case .keyPackages(let upload):
            packages[identity, default: [:]][message.from, default: []] += upload.packages
            if let last = upload.lastResort { lastResort[identity, default: [:]][message.from] = last }
            return [accept(message)]
        case .keyPackageFetch(let fetch): return [serve(fetch, message)]
        case .mailboxConfig: return [accept(message)]
        case .accepted, .items, .keyPackages, .blobPut: return []
        }
    }

    private func make(_ to: DID, _ body: MailboxMessage.Body) -> Answer {
        let id = ULID(milliseconds: UInt64(now) * 1000, using: &random)
        return Answer(
            to: to,
            message: MailboxMessage(id: id, from: did, to: to, issuedAt: now, expiresAt: now + 60, body: body)
        )
    }

    private func accept(_ message: MailboxMessage, seq: Int64? = nil, duplicate: Bool = false) -> Answer {
        make(message.from, .accepted(Accepted(inReplyTo: message.id, seq: seq, duplicate: duplicate)))
    }

    private func refuse(_ message: MailboxMessage, _ reason: Reason) -> Answer {
        Answer(to: message.from, message: nil, refusal: (message.id, reason))
    }

    private func serve(_ fetch: KeyPackageFetch, _ message: MailboxMessage) -> Answer {
        var served: [EncodedBytes] = []
        for device in (packages[fetch.target] ?? [:]).keys.sorted() {
            if packages[fetch.target]?[device]?.isEmpty == false {
                served.append(packages[fetch.target]![device]!.removeFirst())
            } else if let last = lastResort[fetch.target]?[device] {
                served.append(last)
            }
        }
        guard !served.isEmpty else { return refuse(message, .mailboxNoKeyPackages) }
        return make(
            message.from,
            .keyPackages(KeyPackages(inReplyTo: message.id, subject: fetch.target, packages: served))
        )
    }

    private func sync(_ message: MailboxMessage, _ request: SyncRequest, _ identity: DID) -> [Answer] {
        live.insert(message.from)
        let all = items[identity] ?? []
        let start = Int(request.since?.position ?? 0)
        let page = Array(all[min(start, all.count)..<min(start + 20, all.count)])
        let isMore = start + page.count < all.count
        return [
            make(
                message.from,
                .items(
                    ItemsDelivery(
                        inReplyTo: message.id,
                        items: page.map { .stored($0) },
                        next: isMore ? page.last?.cursor : nil
                    )
                )
            )
        ]
    }

    private func store(_ item: StoredItem, for identity: DID) -> [Answer] {
        var item = item
        item.cursor = Cursor(position: UInt64((items[identity]?.count ?? 0) + 1))
        items[identity, default: []].append(item)
        return devices.filter { $0.value == identity && live.contains($0.key) }.keys.sorted().map {
            make($0, .items(ItemsDelivery(items: [.stored(item)])))
        }
    }

    private func item(_ itemClass: DepositClass, _ group: GroupID, seq: Int64?, _ mls: EncodedBytes) -> StoredItem {
        StoredItem(
            cursor: Cursor(position: 1),
            storedAt: now,
            itemClass: itemClass,
            source: did,
            group: group,
            seq: seq,
            mls: mls
        )
    }

    private func received(_ deposit: Deposit, _ message: MailboxMessage, _ identity: DID) -> [Answer] {
        guard let group = deposit.group else { return [refuse(message, .mailboxUnsupportedClass)] }
        switch deposit.content {
        case .archive(let archive):
            let key = "\(identity)/\(archive.group)/\(archive.seq)"
            guard archived.insert(key).inserted else { return [accept(message, duplicate: true)] }
            let item = StoredItem(
                cursor: Cursor(position: 1),
                storedAt: now,
                itemClass: .archive,
                group: archive.group,
                seq: archive.seq,
                archive: archive.record,
                archiveKey: archive.key
            )
            return store(item, for: identity) + [accept(message)]
        case .groupInfo(let mls, _, _):
            if groups[group] == nil { groups[group] = Hosted() }
            groups[group]?.members.insert(identity)
            return everybody(of: group).flatMap { store(item(.groupInfo, group, seq: nil, mls), for: $0) }
                + [accept(message)]
        case .handshake, .application: return order(deposit, group, message, identity)
        case .ephemeral(let sealed):
            let ephemeral = EphemeralItem(group: group, sealed: sealed, expiresAt: message.expiresAt)
            return devices.filter { $0.value != identity && live.contains($0.key) }.keys.sorted().map {
                make($0, .items(ItemsDelivery(items: [.ephemeral(ephemeral)])))
            }
        case .welcome, .introduction, .grant: return [refuse(message, .mailboxUnsupportedClass)]
        }
    }

    private func everybody(of group: GroupID) -> [DID] { Set(devices.values).sorted() }

    private func order(
        _ deposit: Deposit,
        _ group: GroupID,
        _ message: MailboxMessage,
        _ identity: DID
    ) -> [Answer] {
        guard var hosted = groups[group] else { return [refuse(message, .mailboxUnknownGroup)] }
        let mls: EncodedBytes
        var handshake: Deposit.Handshake?
        switch deposit.content {
        case .handshake(let content):
            mls = content.mls
            handshake = content
        case .application(let content, _): mls = content
        default: return []
        }
        if let seq = hosted.digests[mls] { return [accept(message, seq: seq, duplicate: true)] }
        guard let bytes = mls.bytes, let opened = try? MLSMessage(decoding: bytes), let epoch = opened.claimedEpoch else {
            return [refuse(message, .policyBlocked)]
        }
        let isCommit = handshake != nil && Self.isCommit(opened)
        if handshake != nil {
            if epoch != hosted.epoch {
                return [refuse(message, epoch + 1 == hosted.epoch ? .mailboxCommitConflict : .mailboxStaleEpoch)]
            }
        } else if epoch > hosted.epoch || epoch + 1 < hosted.epoch {
            return [refuse(message, .mailboxStaleEpoch)]
        }
        hosted.seq += 1
        hosted.digests[mls] = hosted.seq
        if isCommit { hosted.epoch += 1 }
        groups[group] = hosted
        accepted += 1
        var answers: [Answer] = []
        for identity in everybody(of: group) {
            answers += store(
                item(handshake == nil ? .application : .handshake, group, seq: hosted.seq, mls),
                for: identity
            )
            if let welcome = handshake?.welcome {
                answers += store(item(.welcome, group, seq: hosted.seq, welcome), for: identity)
            }
            if let info = handshake?.groupInfo {
                answers += store(item(.groupInfo, group, seq: nil, info), for: identity)
            }
        }
        return answers + [accept(message, seq: hosted.seq)]
    }

    private static func isCommit(_ message: MLSMessage) -> Bool {
        guard case .publicMessage(let frame) = message, case .commit = frame.value.message.content.body else {
            return false
        }
        return true
    }
}
