import DSIPIdentity

extension Hub {
    /// All that a restart must keep, in plain values.
    public struct State: Hashable, Sendable {
        /// An item that has been ordered, by its digest.
        public struct Ordered: Hashable, Sendable {
            public var digest: String
            public var seq: Int64
            public var itemClass: DepositClass

            public init(digest: String, seq: Int64, itemClass: DepositClass) {
                self.digest = digest
                self.seq = seq
                self.itemClass = itemClass
            }
        }

        public var group: GroupID
        public var kind: ConversationKind
        public var owner: DID?
        public var epoch: UInt64
        public var devices: [DID: Set<DID>]
        public var nextSeq: Int64
        public var queues: [DID: MemberQueue]
        public var hasGroupInfo = false
        public var movedTo: DID?
        public var handoverSeq: Int64 = 0
        /// The oldest first; empty where a store has them.
        public var ordered: [Ordered] = []

        public init(
            group: GroupID,
            kind: ConversationKind,
            owner: DID?,
            epoch: UInt64,
            devices: [DID: Set<DID>],
            nextSeq: Int64,
            queues: [DID: MemberQueue]
        ) {
            self.group = group
            self.kind = kind
            self.owner = owner
            self.epoch = epoch
            self.devices = devices
            self.nextSeq = nextSeq
            self.queues = queues
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
            nextSeq: nextSeq,
            queues: queues
        )
        state.hasGroupInfo = hasGroupInfo
        state.movedTo = movedTo
        state.handoverSeq = handoverSeq
        state.ordered = (log as? OrderedIndex)?.entries ?? []
        return state
    }

    /// A hub as it was committed; ``retry()`` says what to send.
    ///
    /// - Parameter stored: what was ordered, where a store has it.
    public init(restoring state: State, log stored: (any OrderedLog)? = nil) {
        self.init(
            group: state.group,
            kind: state.kind,
            owner: state.owner,
            epoch: state.epoch,
            roster: Roster(state.devices),
            handoverSeq: state.handoverSeq,
            log: stored
        )
        nextSeq = max(1, state.nextSeq)
        queues = state.queues
        hasGroupInfo = state.hasGroupInfo
        movedTo = state.movedTo
        for item in state.ordered { log.insert(item) }
    }
}
