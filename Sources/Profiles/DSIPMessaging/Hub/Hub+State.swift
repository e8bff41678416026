import DSIPIdentity

extension Hub {
    /// All that a restart must keep, in plain values.
    public struct State: Hashable, Sendable {
        /// An item that has been ordered, by its digest.
        public struct Ordered: Hashable, Sendable {
            public var digest: String
            public var seq: Int64

            public init(digest: String, seq: Int64) {
                self.digest = digest
                self.seq = seq
            }
        }

        public var group: GroupID
        public var kind: ConversationKind
        public var owner: DID?
        public var epoch: UInt64
        public var devices: [DID: Set<DID>]
        public var nextSeq: Int64
        public var pending: [DID: [QueuedItem]] = [:]
        public var welcomes: [DID: [Int64]] = [:]
        public var unregistered: Set<DID> = []
        public var hasGroupInfo = false
        public var movedTo: DID?
        /// The oldest first.
        public var ordered: [Ordered] = []

        public init(
            group: GroupID,
            kind: ConversationKind,
            owner: DID?,
            epoch: UInt64,
            devices: [DID: Set<DID>],
            nextSeq: Int64
        ) {
            self.group = group
            self.kind = kind
            self.owner = owner
            self.epoch = epoch
            self.devices = devices
            self.nextSeq = nextSeq
        }
    }

    /// To be committed before an action is carried out.
    public var state: State {
        var state = State(
            group: group,
            kind: kind,
            owner: owner,
            epoch: epoch,
            devices: roster.devices,
            nextSeq: nextSeq
        )
        state.pending = pending
        state.welcomes = welcomes
        state.unregistered = unregistered
        state.hasGroupInfo = hasGroupInfo
        state.movedTo = movedTo
        state.ordered = digests.entries.map { State.Ordered(digest: $0.digest, seq: $0.seq) }
        return state
    }

    /// A hub as it was committed; ``retry()`` says what to send.
    public init(restoring state: State) {
        self.init(
            group: state.group,
            kind: state.kind,
            owner: state.owner,
            epoch: state.epoch,
            roster: Roster(state.devices),
            handoverSeq: max(1, state.nextSeq) - 1
        )
        pending = state.pending.filter { !$0.value.isEmpty }
        welcomes = state.welcomes.filter { !$0.value.isEmpty }
        unregistered = state.unregistered
        hasGroupInfo = state.hasGroupInfo
        movedTo = state.movedTo
        for item in state.ordered { digests.insert(item.digest, seq: item.seq) }
    }
}
