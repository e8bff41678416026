import DSIPIdentity
import DSIPSignaling
import Synchronization

/// Verification over a caching resolver, with the delegations and revocations that its owner holds.
public final class ResolverSource: VerificationSource {
    private struct Held {
        var delegations = DelegationStore()
        var revocations = Revocations()
    }

    private let resolver: CachingResolver
    private let held = Mutex(Held())

    public init(_ resolver: CachingResolver) { self.resolver = resolver }

    public func document(of did: DID, at now: Int64) -> DocumentLookup { resolver.lookup(did) }

    /// A failure is remembered by the resolver and found by the next `document(of:at:)`.
    public func resolve(_ did: DID) async { _ = try? await resolver.resolve(did) }

    public var delegations: DelegationStore { held.withLock(\.delegations) }
    public var revocations: Revocations { held.withLock(\.revocations) }

    /// Changes what is held; the next frame is verified under it.
    public func update(_ change: (inout DelegationStore, inout Revocations) -> Void) {
        held.withLock { change(&$0.delegations, &$0.revocations) }
    }
}
