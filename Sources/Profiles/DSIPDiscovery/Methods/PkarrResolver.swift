import DSIPIdentity
import Encoding

/// Packets by zone, from wherever they are to be had: Pkarr relays over HTTPS, or Mainline itself.
public protocol PkarrSource: Sendable {
    /// All the payloads that were found, in no order; what is not found is left out.
    ///
    /// - Throws: `.unreachable` when nobody answered.
    func packets(_ zone: String) async throws(IdentityError) -> [[UInt8]]
}

/// Pkarr relays: asked all together, for each can withhold a packet or serve an older one, and none can forge one.
public struct PkarrRelays: PkarrSource {
    public static let maximumRelays = 8

    private let relays: [String]
    private let fetcher: any DocumentFetcher

    /// - Parameter relays: `https` URLs without a slash at the end; eight at most are asked.
    public init(_ relays: [String], fetcher: any DocumentFetcher) {
        self.relays = Array(relays.prefix(PkarrRelays.maximumRelays))
        self.fetcher = fetcher
    }

    public func packets(_ zone: String) async throws(IdentityError) -> [[UInt8]] {
        let answers = await withTaskGroup(of: [UInt8]??.self) { group in
            for relay in relays { group.addTask { await fetch("\(relay)/\(zone)") } }
            var answers: [[UInt8]?] = []
            for await answer in group { if let answer { answers.append(answer) } }
            return answers
        }
        guard !answers.isEmpty else { throw IdentityError(.unreachable, "no Pkarr relay answered") }
        return answers.compactMap { $0 }
    }

    /// - Returns: nil when the relay did not answer, the inner nil when it has nothing.
    private func fetch(_ url: String) async -> [UInt8]?? {
        guard let fetched = try? await fetcher.fetch(url: url, limit: PkarrPacket.length.upperBound) else {
            return .none
        }
        switch fetched.status {
        case 200: return .some(fetched.body)
        case 404: return .some(nil)
        default: return .none
        }
    }
}

/// The method `did:dht`: a document in the identity's own zone of the BitTorrent DHT. It rests on the key alone; those who carry it can
/// withhold it, or serve an older one to who has not seen the newer.
public struct PkarrResolver: Resolver {
    private let source: any PkarrSource
    private let memory: any VersionMemory
    private let clock: @Sendable () -> Int64

    /// - Parameter clock: Unix seconds.
    public init(
        source: any PkarrSource,
        memory: any VersionMemory = ShortVersionMemory(),
        clock: @escaping @Sendable () -> Int64
    ) {
        self.source = source
        self.memory = memory
        self.clock = clock
    }

    /// - Throws: also `.refused` for packets that do not verify or are older than one seen before.
    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        guard did.method == "dht", let key = try? PkarrKey(zone: did.identifier) else {
            throw IdentityError(.malformed, "the did:dht is not a key")
        }
        let payloads = try await source.packets(key.zone)
        guard !payloads.isEmpty else { throw IdentityError(.notFound, "nobody holds the document of the identity") }
        let now = clock()
        var newest: (packet: PkarrPacket, message: DNSMessage)?
        for payload in payloads.prefix(32) {
            guard let packet = try? PkarrPacket(payload), packet.timestamp > newest?.packet.timestamp ?? 0,
                let message = try? packet.open(under: key, at: now)
            else { continue }
            newest = (packet, message)
        }
        guard let newest else { throw IdentityError(.refused, "no packet of the identity verifies") }
        if let seen = await memory.version(of: did).flatMap({ UInt64($0) }), newest.packet.timestamp < seen {
            throw IdentityError(.refused, "an older document than the one seen before (rollback)")
        }
        let read = try PkarrDocument(newest.message, of: did, key)
        await memory.remember(String(newest.packet.timestamp), of: did)
        return ResolvedDocument(document: read.document, lifetime: read.ttl)
    }
}
