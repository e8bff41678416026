import DSIPIdentity
import Encoding

extension Mailbox {
    /// All that a restart must keep, in plain values; the bytes of items are the owner's.
    public struct State: Hashable, Sendable {
        public var mode: MailboxMode
        public var admit: AdmissionPolicy
        public var devices: Set<DID>
        public var groups: [GroupID: GroupRegistration]
        public var keyPackages: [DID: KeyPackageShelf.Stock]
        /// Higher than any position ever given out: a cursor never comes to mean another item.
        public var nextPosition: UInt64
        /// By position.
        public var items: [MailboxItem]
        public var acknowledged: [DID: UInt64]
        /// The highest `seq` stored for each group, whatever became of the item.
        public var highest: [GroupID: Int64]
        public var revokedGrants: Set<ULID>
        public var introductionsSent: Set<ULID>
        /// Seconds; nil for ever.
        public var archiveRetention: Int64?
        public var firstContacts: [RateWindow.Deposit]

        public init(
            mode: MailboxMode = .sync,
            admit: AdmissionPolicy = .grant,
            devices: Set<DID> = [],
            groups: [GroupID: GroupRegistration] = [:],
            keyPackages: [DID: KeyPackageShelf.Stock] = [:],
            nextPosition: UInt64 = 1,
            items: [MailboxItem] = [],
            acknowledged: [DID: UInt64] = [:],
            highest: [GroupID: Int64] = [:],
            revokedGrants: Set<ULID> = [],
            introductionsSent: Set<ULID> = [],
            archiveRetention: Int64? = nil,
            firstContacts: [RateWindow.Deposit] = []
        ) {
            self.mode = mode
            self.admit = admit
            self.devices = devices
            self.groups = groups
            self.keyPackages = keyPackages
            self.nextPosition = nextPosition
            self.items = items
            self.acknowledged = acknowledged
            self.highest = highest
            self.revokedGrants = revokedGrants
            self.introductionsSent = introductionsSent
            self.archiveRetention = archiveRetention
            self.firstContacts = firstContacts
        }
    }

    /// To be committed before an action is carried out.
    public var state: State {
        State(
            mode: mode,
            admit: admit,
            devices: devices,
            groups: groups,
            keyPackages: shelf.stock,
            nextPosition: nextPosition,
            items: items,
            acknowledged: acknowledged,
            highest: highest,
            revokedGrants: revokedGrants,
            introductionsSent: introductionsSent,
            archiveRetention: archiveRetention,
            firstContacts: rate.deposits
        )
    }

    /// A mailbox as it was committed: nobody is bound until it syncs. M§6.6
    ///
    /// - Parameter stored: the items, where a store has them; the state then holds none.
    public init(
        restoring state: State,
        did: DID,
        owner: DID,
        serves: Set<DID>? = nil,
        limits: Limits = Limits(),
        items stored: (any MailboxItems)? = nil
    ) {
        self.init(
            did: did,
            owner: owner,
            serves: serves,
            devices: state.devices,
            mode: state.mode,
            admit: state.admit,
            groups: state.groups,
            shelf: KeyPackageShelf(state.keyPackages),
            limits: limits,
            items: stored
        )
        archiveRetention = state.archiveRetention
        let items = state.items.sorted { $0.position < $1.position }
        for item in items { index.append(item) }
        nextPosition = max(1, state.nextPosition, items.last.map { $0.position + 1 } ?? 1)
        acknowledged = state.acknowledged
        highest = state.highest
        revokedGrants = state.revokedGrants
        introductionsSent = state.introductionsSent
        rate.deposits = state.firstContacts
    }
}
