import DSIPIdentity
import Encoding
import Libp2p

/// The rules of `/dsip/` records in a DHT: presence and home records under the key of their subject, hints under theirs. Nothing else is
/// stored; a region's key takes provider entries only.
public struct DirectoryValidator: RecordValidator {
    private let hints: HintValidator
    private let documents: @Sendable (DID) -> DocumentLookup
    private let revocations: @Sendable () -> Revocations

    public init(
        documents: @escaping @Sendable (DID) -> DocumentLookup = { _ in .unresolvable },
        revocations: @escaping @Sendable () -> Revocations = { Revocations() }
    ) {
        self.hints = HintValidator(HintVerifier(documents: documents, revocations: revocations))
        self.documents = documents
        self.revocations = revocations
    }

    public func validate(key: [UInt8], value: [UInt8], at now: Int64) throws -> Int64? {
        if key.starts(with: HintKey.prefix) { return try hints.validate(key: key, value: value, at: now) }
        let seconds = now / 1000
        if DirectoryValidator.member("type", of: value)?.string == "home" {
            let home = try HomeRecord(verifying: value, at: seconds, revocations: revocations())
            guard key == DiscoveryKey.home(home.subject) else { throw DirectoryValidator.stranger }
            return home.expiresAt * 1000
        }
        let presence = try PresenceRecord(
            verifying: value,
            at: seconds,
            documents: documents,
            revocations: revocations()
        )
        guard key == DiscoveryKey.presence(presence.subject) else { throw DirectoryValidator.stranger }
        return presence.expiresAt * 1000
    }

    /// Called with values that `validate` accepted. Of equal `seq`, the first stays.
    public func select(key: [UInt8], values: [[UInt8]]) -> Int {
        if key.starts(with: HintKey.prefix) { return hints.select(key: key, values: values) }
        var best = 0
        var highest = Int64.min
        for (index, value) in values.enumerated() {
            let seq = DirectoryValidator.member("seq", of: value)?.integer ?? .min
            if seq > highest { (best, highest) = (index, seq) }
        }
        return best
    }

    private static func member(_ name: StaticString, of value: [UInt8]) -> JSONView? {
        guard value.count <= PresenceRecord.maximumLength else { return nil }
        return (try? JSONDocument(scanning: value))?.root[name]
    }

    private static var stranger: DiscoveryError { DiscoveryError(.subject, "a record under somebody else's key") }
}

/// The highest `seq` seen of each identity, so that an older record is not taken again (a replay), though it is still live. Bounded: when
/// full, who was seen longest ago is forgotten.
public struct SequenceMemory: Sendable {
    private let capacity: Int
    private var seen: [DID: (seq: Int64, until: Int64)] = [:]

    public init(capacity: Int = 4096) { self.capacity = max(1, capacity) }

    public var count: Int { seen.count }

    /// - Parameter expiresAt: of the record; after it an older one would have expired as well.
    /// - Returns: false for a record older than one that was seen.
    public mutating func accept(_ did: DID, seq: Int64, expiresAt: Int64) -> Bool {
        if let known = seen[did], seq < known.seq { return false }
        seen[did] = (seq, expiresAt)
        if seen.count > capacity {
            for (did, _) in seen.sorted(by: { $0.value.until < $1.value.until }).prefix(max(1, capacity / 8)) {
                seen[did] = nil
            }
        }
        return true
    }
}
