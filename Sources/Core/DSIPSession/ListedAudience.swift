import Crypto
import DSIPIdentity

/// Those who may see a person's presence, as the person's relay is told: it can tell who is meant when they ask, and cannot read the
/// list. The salt is known to the person and the relay.
public struct ListedAudience: Hashable, Sendable {
    /// Bytes.
    public static let saltSize = 16
    /// People.
    public static let maximum = 1_024

    public let salt: [UInt8]
    /// Ascending, each once: the first 8 bytes of SHA-256 over salt and DID, big-endian. 64 bits suffice, as whoever wants to be taken
    /// for another does not know the salt.
    public let tags: [UInt64]

    public init(salt: [UInt8], of people: some Sequence<DID>) {
        self.init(salt: salt, tags: people.map { Self.tag(of: $0, salt) })
    }

    public init(salt: [UInt8], tags: some Sequence<UInt64>) {
        self.salt = salt
        self.tags = Set(tags).sorted()
    }

    public func contains(_ person: DID) -> Bool {
        let tag = Self.tag(of: person, salt)
        var (low, high) = (0, tags.count)
        while low < high {
            let middle = (low + high) / 2
            if tags[middle] < tag { low = middle + 1 } else { high = middle }
        }
        return low < tags.count && tags[low] == tag
    }

    private static func tag(of person: DID, _ salt: [UInt8]) -> UInt64 {
        var hash = SHA256()
        hash.update(data: salt)
        hash.update(data: Array(person.string.utf8))
        return hash.finalize().prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
