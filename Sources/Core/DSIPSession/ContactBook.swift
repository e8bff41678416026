import DSIPIdentity
import DSIPSignaling
import Encoding

/// Who may call, and who has asked to (DSIP §19.4): grants issued and held, requests received and sent, tokens handed out.
///
/// An introduction is a request and nothing more: it makes no session and no sound. Silence is always a valid answer.
public struct ContactBook: Hashable, Sendable {
    /// A grant, issued by this identity or held by it.
    public struct Grant: Hashable, Sendable {
        public var id: ULID
        /// The other identity: the grantee of an issued grant, the grantor of a held one.
        public var party: DID
        public var scope: [String]
        /// Unix seconds; the last one in which it admits.
        public var validUntil: Int64

        public init(id: ULID, party: DID, scope: [String], validUntil: Int64) {
            self.id = id
            self.party = party
            self.scope = scope
            self.validUntil = validUntil
        }

        /// A grant admits only the operations of its scope, and only while it lives.
        public func admits(_ operation: String, at now: Int64) -> Bool {
            now <= validUntil && scope.contains(operation)
        }
    }

    /// An introduction waiting for this identity's decision.
    public struct Request: Hashable, Sendable {
        public var id: ULID
        public var identity: DID
        /// A claim of the sender's, shown as one.
        public var purpose: String?
        /// Unix seconds.
        public var receivedAt: Int64

        public init(id: ULID, identity: DID, purpose: String?, receivedAt: Int64) {
            self.id = id
            self.identity = identity
            self.purpose = purpose
            self.receivedAt = receivedAt
        }
    }

    /// Everything worth keeping, in id order, for a store to write.
    public struct Snapshot: Hashable, Sendable {
        public var firstContactRequired = false
        public var allow: [DID] = []
        public var issued: [Grant] = []
        public var held: [Grant] = []
        public var requests: [Request] = []
        public var pendingSent: [PendingIntroduction] = []
        public var tokens: [Token] = []

        public init() {}
    }

    /// An introduction of ours that has no outcome.
    public struct PendingIntroduction: Hashable, Sendable {
        public var id: ULID
        public var to: DID

        public init(id: ULID, to: DID) {
            self.id = id
            self.to = to
        }
    }

    /// A contact token handed out of band; single use.
    public struct Token: Hashable, Sendable {
        public var token: String
        public var grant: ULID

        public init(token: String, grant: ULID) {
            self.token = token
            self.grant = grant
        }
    }

    /// The scope that admits an invite.
    public static let inviteScope = "dsip.invite"
    /// How long a grant made by a contact token lasts: one year.
    public static let tokenGrantSeconds: Int64 = 31_536_000
    static let maximumRequests = 256
    static let maximumRequestsPerIdentity = 4
    static let maximumEntries = 65_536

    public var firstContactRequired: Bool
    public private(set) var allow: Set<DID>
    public private(set) var issued: [ULID: Grant]
    public private(set) var held: [ULID: Grant]
    public private(set) var requests: [ULID: Request]
    public private(set) var pendingSent: [ULID: DID]
    private var tokens: [String: ULID]

    public init(firstContactRequired: Bool = false, allow: [DID] = []) {
        self.firstContactRequired = firstContactRequired
        self.allow = Set(allow)
        self.issued = [:]
        self.held = [:]
        self.requests = [:]
        self.pendingSent = [:]
        self.tokens = [:]
    }

    public init(restoring snapshot: Snapshot) {
        self.init(firstContactRequired: snapshot.firstContactRequired, allow: snapshot.allow)
        issued = Dictionary(snapshot.issued.map { ($0.id, $0) }) { _, new in new }
        held = Dictionary(snapshot.held.map { ($0.id, $0) }) { _, new in new }
        requests = Dictionary(snapshot.requests.map { ($0.id, $0) }) { _, new in new }
        pendingSent = Dictionary(snapshot.pendingSent.map { ($0.id, $0.to) }) { _, new in new }
        tokens = Dictionary(snapshot.tokens.map { ($0.token, $0.grant) }) { _, new in new }
    }

    public var snapshot: Snapshot {
        var snapshot = Snapshot()
        snapshot.firstContactRequired = firstContactRequired
        snapshot.allow = allow.sorted()
        snapshot.issued = issued.values.sorted { $0.id < $1.id }
        snapshot.held = held.values.sorted { $0.id < $1.id }
        snapshot.requests = requests.values.sorted { $0.id < $1.id }
        snapshot.pendingSent = pendingSent.map { PendingIntroduction(id: $0.key, to: $0.value) }.sorted {
            $0.id < $1.id
        }
        snapshot.tokens = tokens.map { Token(token: $0.key, grant: $0.value) }.sorted { $0.token < $1.token }
        return snapshot
    }

    /// Whether an invite from `identity`, referring to `grant` or to none, may be offered.
    ///
    /// The reference or the grantee admits, either alone (DSIP §19.4).
    public func admitsInvite(from identity: DID, grant: ULID?, at now: Int64) -> Bool {
        guard firstContactRequired else { return true }
        if allow.contains(identity) { return true }
        if let grant, let named = issued[grant], named.admits(ContactBook.inviteScope, at: now) { return true }
        return issued.values.contains { $0.party == identity && $0.admits(ContactBook.inviteScope, at: now) }
    }

    /// The held grant an invite to `identity` can refer to: the one that lasts longest.
    public func grantForInviting(_ identity: DID, at now: Int64) -> ULID? {
        held.values.filter { $0.party == identity && $0.admits(ContactBook.inviteScope, at: now) }
            .max { ($0.validUntil, $0.id) < ($1.validUntil, $1.id) }?.id
    }

    // MARK: Commands

    mutating func setAllowed(_ identity: DID, _ allowed: Bool) throws(Refusal) {
        guard allowed else {
            allow.remove(identity)
            return
        }
        guard allow.count < ContactBook.maximumEntries else { throw .tooMany }
        allow.insert(identity)
    }

    mutating func introduce(_ id: ULID, to identity: DID) throws(Refusal) {
        guard pendingSent.count < ContactBook.maximumEntries else { throw .tooMany }
        pendingSent[id] = identity
    }

    /// - Returns: the identity to send the grant to (DSIP §19.4, the introducing identity, not its device).
    mutating func grant(
        introduction: ULID,
        id: ULID,
        scope: [String],
        validUntil: Int64
    ) throws(Refusal) -> DID {
        guard let request = requests[introduction] else { throw .unknownIntroduction }
        guard issued.count < ContactBook.maximumEntries else { throw .tooMany }
        requests[introduction] = nil
        issued[id] = Grant(id: id, party: request.identity, scope: scope, validUntil: validUntil)
        return request.identity
    }

    /// - Returns: the identity to send the rejection to.
    mutating func rejectIntroduction(_ id: ULID) throws(Refusal) -> DID {
        guard let request = requests.removeValue(forKey: id) else { throw .unknownIntroduction }
        return request.identity
    }

    mutating func revoke(_ grant: ULID) throws(Refusal) {
        guard issued.removeValue(forKey: grant) != nil else { throw .unknownGrant }
    }

    mutating func issueToken(_ token: String, grant: ULID) throws(Refusal) {
        guard tokens.count < ContactBook.maximumEntries else { throw .tooMany }
        tokens[token] = grant
    }

    // MARK: Messages

    enum Introduced: Hashable {
        case pending
        case granted(Grant)
    }

    /// Keeps an introduction; one that carries a token of ours is granted at once and uses the token up.
    mutating func receiveIntroduction(_ signal: Signal, at now: Int64) throws(Drop) -> Introduced {
        guard requests[signal.id] == nil else { throw .duplicateIntroduction }
        if let token = signal.contactToken, let id = tokens.removeValue(forKey: token) {
            let grant = Grant(
                id: id,
                party: signal.identity,
                scope: [ContactBook.inviteScope],
                validUntil: now + ContactBook.tokenGrantSeconds
            )
            issued[id] = grant
            return .granted(grant)
        }
        guard requests.count < ContactBook.maximumRequests,
            requests.values.count(where: { $0.identity == signal.identity }) < ContactBook.maximumRequestsPerIdentity
        else { throw .requestsFull }
        requests[signal.id] = Request(
            id: signal.id,
            identity: signal.identity,
            purpose: signal.purpose,
            receivedAt: now
        )
        return .pending
    }

    /// - Returns: false when no introduction of ours asked for this grant.
    mutating func receiveGrant(_ signal: Signal, checkingSender: Bool) -> Bool {
        guard let introduction = signal.session, let asked = pendingSent[introduction],
            !checkingSender || signal.identity == asked || signal.from == asked,
            held.count < ContactBook.maximumEntries
        else { return false }
        pendingSent[introduction] = nil
        held[signal.id] = Grant(
            id: signal.id,
            party: signal.identity,
            scope: signal.scope,
            validUntil: signal.validUntil ?? 0
        )
        return true
    }

    /// - Returns: false when the rejection is not of an introduction of ours.
    mutating func receiveRejection(_ signal: Signal, checkingSender: Bool) -> Bool {
        guard let introduction = signal.session, let asked = pendingSent[introduction],
            !checkingSender || signal.identity == asked || signal.from == asked
        else { return false }
        pendingSent[introduction] = nil
        return true
    }
}
