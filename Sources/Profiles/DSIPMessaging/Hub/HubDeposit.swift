import DSIPIdentity
import Encoding

/// A deposit as a hub looks at it: who sent it, what MLS says of it, and a digest of its bytes. M§6.5
public struct HubDeposit: Hashable, Sendable {
    /// What a commit does, read from its PublicMessage by the owner's MLS.
    public struct Commit: Hashable, Sendable {
        public var adds: [Leaf]
        public var removes: [Leaf]
        /// Whether it validates: framing signature, credentials, key schedule.
        public var isValid: Bool
        /// It joins its sender by external commit. M§6.8
        public var isExternal: Bool
        /// The hub it moves the group to. M§7.4
        public var movesTo: DID?

        public init(
            adds: [Leaf] = [],
            removes: [Leaf] = [],
            isValid: Bool = true,
            isExternal: Bool = false,
            movesTo: DID? = nil
        ) {
            self.adds = adds
            self.removes = removes
            self.isValid = isValid
            self.isExternal = isExternal
            self.movesTo = movesTo
        }
    }

    public var id: ULID
    public var device: DID
    /// Proven by the delegation in the envelope's header, never by the connection. M§5.2
    public var identity: DID
    public var depositClass: DepositClass
    /// Of the MLS message.
    public var epoch: UInt64
    /// Of the MLS bytes; any collision-resistant digest, the same always.
    public var digest: String
    /// Nil for a proposal and for everything that is no handshake.
    public var commit: Commit?
    /// Of the deposit's envelope; what an ephemeral one lives by.
    public var expiresAt: Int64?

    public init(
        id: ULID,
        device: DID,
        identity: DID,
        depositClass: DepositClass,
        epoch: UInt64 = 0,
        digest: String = "",
        commit: Commit? = nil,
        expiresAt: Int64? = nil
    ) {
        self.id = id
        self.device = device
        self.identity = identity
        self.depositClass = depositClass
        self.epoch = epoch
        self.digest = digest
        self.commit = commit
        self.expiresAt = expiresAt
    }
}
