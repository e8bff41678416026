import DSIPIdentity
import Encoding

/// One item for a mailbox, or for a hub to order. M§5.2
public struct Deposit: Hashable, Sendable {
    public enum Content: Hashable, Sendable {
        /// A proposal or a commit as PublicMessage.
        case handshake(Handshake)
        /// A PrivateMessage, with the manifest of the blobs its content names.
        case application(mls: EncodedBytes, blobs: [BlobReference])
        case welcome(Welcome)
        /// The latest GroupInfo, for external joins; `handoverSeq` for the group's new hub. M§6.5, M§7.4
        case groupInfo(mls: EncodedBytes, ratchetTree: BlobReference?, handoverSeq: Int64?)
        /// Sealed activity, never stored. M§11
        case ephemeral(sealed: EncodedBytes)
        case archive(Archive)
        /// A signed core `introduction`, compact. M§14.1
        case introduction(envelope: String)
        /// A signed core `grant`, compact. M§14.1
        case grant(envelope: String)
    }

    public struct Handshake: Hashable, Sendable {
        public var mls: EncodedBytes
        public var welcome: EncodedBytes?
        public var groupInfo: EncodedBytes?
        public var ratchetTree: BlobReference?
        /// Grants by which the committer may add the identities it adds, compact.
        public var grants: [String]

        public init(
            mls: EncodedBytes,
            welcome: EncodedBytes? = nil,
            groupInfo: EncodedBytes? = nil,
            ratchetTree: BlobReference? = nil,
            grants: [String] = []
        ) {
            self.mls = mls
            self.welcome = welcome
            self.groupInfo = groupInfo
            self.ratchetTree = ratchetTree
            self.grants = grants
        }
    }

    public struct Welcome: Hashable, Sendable {
        public var mls: EncodedBytes
        public var hub: HubReference
        public var ratchetTree: BlobReference?
        public var grants: [String]
        /// The adder's own signed `handshake` deposit, compact: the only proof of who added whom. M§14.2
        public var origin: String?
        public var successorOf: GroupID?

        public init(
            mls: EncodedBytes,
            hub: HubReference,
            ratchetTree: BlobReference? = nil,
            grants: [String] = [],
            origin: String? = nil,
            successorOf: GroupID? = nil
        ) {
            self.mls = mls
            self.hub = hub
            self.ratchetTree = ratchetTree
            self.grants = grants
            self.origin = origin
            self.successorOf = successorOf
        }
    }

    public struct Archive: Hashable, Sendable {
        public var record: EncodedBytes
        /// The key it is sealed under.
        public var key: ULID
        public var group: GroupID
        public var seq: Int64

        public init(record: EncodedBytes, key: ULID, group: GroupID, seq: Int64) {
            self.record = record
            self.key = key
            self.group = group
            self.seq = seq
        }
    }

    /// The identity the item is for, when it is addressed to a mailbox.
    public var recipient: DID?
    /// Nil for first contact alone.
    public var group: GroupID?
    /// The hub's order; of a `welcome`, that of the commit that added the device. M§6.5
    public var seq: Int64?
    public var content: Content

    public init(recipient: DID? = nil, group: GroupID? = nil, seq: Int64? = nil, _ content: Content) {
        self.recipient = recipient
        self.group = group
        self.seq = seq
        self.content = content
    }

    public var depositClass: DepositClass {
        switch content {
        case .handshake: .handshake
        case .application: .application
        case .welcome: .welcome
        case .groupInfo: .groupInfo
        case .ephemeral: .ephemeral
        case .archive: .archive
        case .introduction: .introduction
        case .grant: .grant
        }
    }

    func write(to object: inout JSONObject) {
        if let recipient { object["recipient"] = .string(recipient.string) }
        if let group { object["group"] = .string(group.text) }
        object["class"] = .string(depositClass.token)
        if let seq { object["seq"] = .int(seq) }
        switch content {
        case .handshake(let handshake):
            object["mls"] = .string(handshake.mls.text)
            if let welcome = handshake.welcome { object["welcome"] = .string(welcome.text) }
            if let info = handshake.groupInfo { object["group_info"] = .string(info.text) }
            if let tree = handshake.ratchetTree { object["ratchet_tree_blob"] = tree.json }
            if !handshake.grants.isEmpty { object["grants"] = .array(handshake.grants.map { .string($0) }) }
        case .application(let mls, let blobs):
            object["mls"] = .string(mls.text)
            if !blobs.isEmpty { object["blobs"] = .array(blobs.map(\.json)) }
        case .welcome(let welcome):
            object["mls"] = .string(welcome.mls.text)
            object["hub"] = welcome.hub.json
            if let tree = welcome.ratchetTree { object["ratchet_tree_blob"] = tree.json }
            if !welcome.grants.isEmpty { object["grants"] = .array(welcome.grants.map { .string($0) }) }
            if let origin = welcome.origin { object["origin"] = .string(origin) }
            if let predecessor = welcome.successorOf { object["successor_of"] = .string(predecessor.text) }
        case .groupInfo(let mls, let tree, let handoverSeq):
            object["mls"] = .string(mls.text)
            if let tree { object["ratchet_tree_blob"] = tree.json }
            if let handoverSeq { object["handover_seq"] = .int(handoverSeq) }
        case .ephemeral(let sealed): object["sealed"] = .string(sealed.text)
        case .archive(let archive):
            object["archive"] = .string(archive.record.text)
            object["akid"] = .string(archive.key.description)
            object["ref_group"] = .string(archive.group.text)
            object["ref_seq"] = .int(archive.seq)
        case .introduction(let envelope), .grant(let envelope): object["envelope"] = .string(envelope)
        }
    }
}
