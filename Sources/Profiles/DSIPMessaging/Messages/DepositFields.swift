import DSIPIdentity
import DSIPSignaling
import Encoding

/// The members of a deposit as its schema admits them, and the rules that follow: class, fields of the class, size. M§5.1, M§5.2
struct DepositFields {
    let depositClass: DepositClass
    private let recipient: DID?
    private let group: GroupID?
    private let seq: Int64?
    private let mls: EncodedBytes?
    private let welcome: EncodedBytes?
    private let groupInfo: EncodedBytes?
    private let ratchetTree: BlobReference?
    private let sealed: EncodedBytes?
    private let archive: EncodedBytes?
    private let archiveKey: ULID?
    private let referredGroup: GroupID?
    private let referredSeq: Int64?
    private let blobs: [BlobReference]?
    private let hub: HubReference?
    private let grants: [String]?
    private let origin: String?
    private let successorOf: GroupID?
    private let handoverSeq: Int64?
    private let envelope: String?
    /// The names of the members that depend on the class and are there.
    private let present: Set<String>

    private static let classDependent = [
        "seq", "mls", "welcome", "group_info", "ratchet_tree_blob", "sealed", "archive", "akid", "ref_group", "ref_seq",
        "blobs", "hub", "grants", "origin", "successor_of", "handover_seq", "envelope",
    ]

    init(_ members: inout Members) throws(MessagingError) {
        depositClass = DepositClass(checked: try members.required("class", Read.token))
        recipient = try members.optional("recipient", Read.did)
        group = try members.optional("group", Read.group)
        seq = try members.optional("seq", Read.positive)
        mls = try members.optional("mls", Read.encoded)
        welcome = try members.optional("welcome", Read.encoded)
        groupInfo = try members.optional("group_info", Read.encoded)
        ratchetTree = try members.optional("ratchet_tree_blob", BlobReference.read)
        sealed = try members.optional("sealed", Read.encoded)
        archive = try members.optional("archive", Read.encoded)
        archiveKey = try members.optional("akid", Read.ulid)
        referredGroup = try members.optional("ref_group", Read.group)
        referredSeq = try members.optional("ref_seq", Read.positive)
        blobs = try members.optional("blobs", Read.list(BlobReference.read))
        hub = try members.optional("hub", HubReference.read)
        grants = try members.optional("grants", Read.list(Read.filled))
        origin = try members.optional("origin", Read.filled)
        successorOf = try members.optional("successor_of", Read.group)
        handoverSeq = try members.optional("handover_seq", Read.positive)
        envelope = try members.optional("envelope", Read.filled)
        var present: Set<String> = []
        for name in Self.classDependent where members.has(name) { present.insert(name) }
        self.present = present
        if depositClass == .introduction || depositClass == .grant {
            guard group == nil, recipient != nil, envelope != nil else {
                throw Members.fault("first contact has a recipient, an envelope and no group")
            }
        } else if group == nil {
            throw Members.fault("group is missing")
        }
    }

    /// What a class must carry, and what it may. M§5.2
    private static let table: [DepositClass: (must: [String], may: [String])] = [
        .handshake: (["mls"], ["welcome", "group_info", "ratchet_tree_blob", "grants", "seq"]),
        .application: (["mls"], ["seq", "blobs"]),
        .welcome: (["mls", "hub"], ["ratchet_tree_blob", "grants", "origin", "successor_of", "seq"]),
        .groupInfo: (["mls"], ["ratchet_tree_blob", "handover_seq"]),
        .ephemeral: (["sealed"], []),
        .archive: (["archive", "akid", "ref_group", "ref_seq"], []),
        .introduction: (["envelope"], []),
        .grant: (["envelope"], []),
    ]

    func checked() throws(MessagingError) -> Deposit {
        guard let row = Self.table[depositClass] else {
            throw MessagingError(.depositClassUnsupported, "not a class of deposit")
        }
        guard row.must.allSatisfy(present.contains), present.isSubset(of: row.must + row.may), let content else {
            throw MessagingError(.depositFields, "members that this class does not carry, or lacks")
        }
        for value in [mls, welcome, groupInfo, sealed, archive] {
            guard (value?.decodedCount ?? 0) <= MessagingProfile.maximumMLSBytes else {
                throw MessagingError(.objectTooLarge, "a value is larger than an MLS message may be")
            }
        }
        if case .introduction(let envelope) = content, envelope.utf8.count > ProtocolLimits.introduction {
            throw MessagingError(.introductionTooLarge, "the introduction is larger than 4,096 bytes")
        }
        return Deposit(recipient: recipient, group: group, seq: seq, content)
    }

    var content: Deposit.Content? {
        switch depositClass {
        case .handshake:
            mls.map {
                .handshake(
                    .init(
                        mls: $0,
                        welcome: welcome,
                        groupInfo: groupInfo,
                        ratchetTree: ratchetTree,
                        grants: grants ?? []
                    )
                )
            }
        case .application: mls.map { .application(mls: $0, blobs: blobs ?? []) }
        case .welcome: welcomeContent
        case .groupInfo: mls.map { .groupInfo(mls: $0, ratchetTree: ratchetTree, handoverSeq: handoverSeq) }
        case .ephemeral: sealed.map { .ephemeral(sealed: $0) }
        case .archive: archiveContent
        case .introduction: envelope.map { .introduction(envelope: $0) }
        case .grant: envelope.map { .grant(envelope: $0) }
        default: nil
        }
    }

    private var welcomeContent: Deposit.Content? {
        guard let mls, let hub else { return nil }
        return .welcome(
            .init(
                mls: mls,
                hub: hub,
                ratchetTree: ratchetTree,
                grants: grants ?? [],
                origin: origin,
                successorOf: successorOf
            )
        )
    }

    private var archiveContent: Deposit.Content? {
        guard let archive, let archiveKey, let referredGroup, let referredSeq else { return nil }
        return .archive(.init(record: archive, key: archiveKey, group: referredGroup, seq: referredSeq))
    }
}
