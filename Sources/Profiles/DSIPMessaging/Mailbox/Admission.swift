import DSIPIdentity
import DSIPSignaling
import Encoding

/// A grant that somebody presents, its signature and the binding of its signer verified. DSIP §19.4, M§14.2
public struct PresentedGrant: Hashable, Sendable {
    public var id: ULID
    public var from: DID
    public var to: DID
    public var scope: [String]
    /// Unix seconds.
    public var validUntil: Int64

    public init(id: ULID, from: DID, to: DID, scope: [String], validUntil: Int64) {
        self.id = id
        self.from = from
        self.to = to
        self.scope = scope
        self.validUntil = validUntil
    }
}

/// Whether somebody may add the owner to a group, or have its KeyPackages. M§14.2
public enum Admission {
    /// Scopes that let a grantee make a conversation; with `dsip.invite` alone it may leave voicemail there, and no more.
    public static let scopes: Set<String> = [Grant.messageScope, Grant.inviteScope]

    /// - Parameters:
    ///   - requester: the identity that fetches, or that adds.
    ///   - isSuccessor: the new group succeeds one that is registered for the owner. M§7.5
    public static func admits(
        _ requester: DID,
        to owner: DID,
        policy: AdmissionPolicy,
        grant: PresentedGrant?,
        revoked: Set<ULID>,
        isSuccessor: Bool,
        at now: Int64
    ) -> Bool {
        if policy == .open || requester == owner || isSuccessor { return true }
        guard let grant else { return false }
        return grant.from == owner && grant.to == requester && !scopes.isDisjoint(with: grant.scope)
            && grant.validUntil > now && !revoked.contains(grant.id)
    }

    /// What a conversation made under an invitation to call may show until a `dsip.message` grant exists. M§14.2
    public static func mayRender(_ purpose: ContentPurpose, withInviteOnly: Bool) -> Bool {
        !withInviteOnly || purpose == .voicemail || purpose == .callbackRequest
    }
}
