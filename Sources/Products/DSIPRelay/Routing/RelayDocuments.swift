import DSIPIdentity
import DSIPTransport
import NIOPosix
import Synchronization

/// What verification may know beyond the frame: DID documents, and revocations handed to this relay (DSIP §7.4, §8.1).
final class RelayDocuments: VerificationSource {
    /// Of each kind: revocations of those who are nobody here are remembered too, within this.
    private static let maximumRevocations = 16_384

    private let resolver: CachingResolver
    private let held = Mutex(Revocations(capacity: RelayDocuments.maximumRevocations))

    /// - Parameters:
    ///   - upstream: resolves what is not hosted here.
    ///   - clock: Unix seconds.
    init(upstream: any DSIPIdentity.Resolver, clock: @escaping @Sendable () -> Int64) {
        self.resolver = CachingResolver(upstream: upstream, clock: clock)
    }

    func document(of did: DID, at now: Int64) -> DocumentLookup { resolver.lookup(did) }
    func resolve(_ did: DID) async { _ = try? await resolver.resolve(did) }
    var revocations: Revocations { held.withLock { $0 } }

    /// The document itself, from cache or source.
    func resolved(_ did: DID) async -> DIDDocument? { try? await resolver.resolve(did).document }

    func forget(_ did: DID) { resolver.forget(did) }

    /// - Parameter record: a verified one.
    func insert(_ record: StoredRevocation) {
        guard let revocation = Envelope(record.envelope).flatMap(DelegationRevocation.decode) else { return }
        held.withLock { $0.insert(revocation) }
    }
}

/// Resolves what this relay hosts from its own store, and hands everything else on.
struct HostedResolver: DSIPIdentity.Resolver {
    let own: DIDDocument?
    let names: NameRegistry?
    let upstream: any DSIPIdentity.Resolver
    let threads: NIOThreadPool

    func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        if let own, own.id == did { return ResolvedDocument(document: own) }
        guard let names, did.string.hasPrefix("\(names.authority.did):users:") else {
            return try await upstream.resolve(did)
        }
        let name = did.string.dropFirst("\(names.authority.did):users:".count)
        let record = try? await threads.runIfActive { try names.record(String(name)) }
        guard let text = record?.document else { throw IdentityError(.notFound, "no such identity is hosted here") }
        return ResolvedDocument(document: try DIDDocument(parsing: text, expecting: did), lifetime: 60)
    }
}
