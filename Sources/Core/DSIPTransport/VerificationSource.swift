import DSIPIdentity
import DSIPSignaling

/// What verification may know of the world beyond the frame: documents now, and how to get one that is not known yet.
public protocol VerificationSource: Sendable {
    /// What is known of `did` at this moment; never waits.
    func document(of did: DID, at now: Int64) -> DocumentLookup

    /// Resolves `did`, bounded in time. Afterwards `document(of:at:)` answers something other than `.unknown`.
    func resolve(_ did: DID) async

    /// Delegations held beside those that envelopes present.
    var delegations: DelegationStore { get }

    /// Revocations held, verified.
    var revocations: Revocations { get }
}

extension VerificationSource {
    public var delegations: DelegationStore { [] }
    public var revocations: Revocations { Revocations() }
}

/// Knows `did:key` only, which needs no document.
public struct SelfCertifyingSource: VerificationSource {
    public init() {}
    public func document(of did: DID, at now: Int64) -> DocumentLookup { .unresolvable }
    public func resolve(_ did: DID) async {}
}
