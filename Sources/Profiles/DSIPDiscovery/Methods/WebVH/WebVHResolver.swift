import DSIPIdentity
import Encoding

/// What a resolver has verified before, so that a host cannot take it back. To be kept across restarts.
public protocol VersionMemory: Sendable {
    /// The highest `versionId` verified for `did`.
    func version(of did: DID) async -> String?
    func remember(_ version: String, of did: DID) async
}

/// A memory for as long as the process runs, bounded: the identity not asked for longest is forgotten.
public actor ShortVersionMemory: VersionMemory {
    private let capacity: Int
    private var versions: [DID: (version: String, use: UInt64)] = [:]
    private var uses: UInt64 = 0

    public init(capacity: Int = 4096) { self.capacity = max(1, capacity) }

    public func version(of did: DID) -> String? {
        guard let entry = versions[did] else { return nil }
        uses += 1
        versions[did]?.use = uses
        return entry.version
    }

    public func remember(_ version: String, of did: DID) {
        uses += 1
        versions[did] = (version, uses)
        guard versions.count > capacity else { return }
        for (old, _) in versions.sorted(by: { $0.value.use < $1.value.use }).prefix(max(1, capacity / 8)) {
            versions[old] = nil
        }
    }
}

/// The method `did:webvh` v1.0: a log on the web that its host can withhold, but neither change nor take back (DSIP §8.4).
public struct WebVHResolver: Resolver {
    private let fetcher: any DocumentFetcher
    private let memory: any VersionMemory
    private let clock: @Sendable () -> Int64

    /// - Parameter clock: Unix seconds.
    public init(
        fetcher: any DocumentFetcher,
        memory: any VersionMemory = ShortVersionMemory(),
        clock: @escaping @Sendable () -> Int64
    ) {
        self.fetcher = fetcher
        self.memory = memory
        self.clock = clock
    }

    /// - Throws: also `.refused` for a log that does not verify, with the fault's token in the reason, and `.notFound` for an identity
    ///   that was deactivated or has moved.
    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        guard let identifier = WebVHIdentifier(did.string) else {
            throw IdentityError(.malformed, "the did:webvh identifier names no place")
        }
        let log = try await content(identifier.logURL, WebVHLog.Limit.bytes, "the log of the identity")
        let seen = await memory.version(of: did)
        let verified = try await verify(log, of: did, identifier, seen)
        await memory.remember(verified.versionId, of: did)
        guard let state = verified.document else {
            throw IdentityError(.notFound, "the identity was deactivated by its owner")
        }
        guard let current = state["id"]?.string, current.utf8.elementsEqual(did.string.utf8) else {
            throw IdentityError(.notFound, "the identity has moved to \(state["id"]?.string ?? "another name")")
        }
        return ResolvedDocument(document: try DIDDocument(json: state, expecting: did), lifetime: verified.ttl)
    }

    private func verify(
        _ log: [UInt8],
        of did: DID,
        _ identifier: WebVHIdentifier,
        _ seen: String?
    ) async throws(IdentityError) -> WebVHLog {
        do throws(WebVHFault) {
            return try WebVHLog(verifying: log, of: did.string, seen: seen, at: clock())
        } catch {
            guard error == .witness else { throw WebVHResolver.refusal(error) }
        }
        let file = try await content(identifier.witnessURL, WebVHLog.Limit.witnessBytes, "the word of the witnesses")
        do throws(WebVHFault) {
            return try WebVHLog(verifying: log, of: did.string, witness: file, seen: seen, at: clock())
        } catch {
            throw WebVHResolver.refusal(error)
        }
    }

    private func content(_ url: String, _ limit: Int, _ what: String) async throws(IdentityError) -> [UInt8] {
        let fetched = try await fetcher.fetch(url: url, limit: limit)
        guard fetched.finalURL.hasPrefix("https://") else {
            throw IdentityError(.refused, "\(what) was redirected away from https")
        }
        switch fetched.status {
        case 200: return fetched.body
        case 404, 410: throw IdentityError(.notFound, "\(what) does not exist (HTTP status \(fetched.status))")
        default: throw IdentityError(.unreachable, "the server answered with HTTP status \(fetched.status)")
        }
    }

    private static func refusal(_ fault: WebVHFault) -> IdentityError {
        switch fault {
        case .rollback: IdentityError(.refused, "the host serves an older log than it did before (rollback)")
        case .fork: IdentityError(.refused, "the host tells another past than it did before (fork)")
        default: IdentityError(.refused, "the log of the identity does not verify (\(fault.rawValue))")
        }
    }
}
