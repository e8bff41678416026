/// How a DHT is run. Times in milliseconds.
public struct KademliaConfiguration: Hashable, Sendable {
    /// Whose requests are answered.
    public enum Mode: Sendable {
        /// Nobody's: a client asks only, and is in nobody's table.
        case client
        /// Those of the own network; beyond it this is a client.
        case local
        /// Everybody's.
        case server
    }

    /// The stream protocol, such as `/dsip/kad/1.0.0`; each protocol is a network of its own.
    public var protocolID: String
    public var mode: Mode = .server
    /// Peers of a bucket, of an answer, and holders of a record.
    public var k = 20
    /// Requests of one lookup that are under way at a time, over all its paths.
    public var alpha = 10
    /// Paths of a lookup that share no peer: a liar spoils its own path only.
    public var disjointPaths = 2
    /// A request without an answer for so long is no longer waited for; its answer is still welcome. Against `alpha` it counts for a
    /// shorter time, which follows how long answers take.
    public var stallTime: Int64 = 1_000
    /// A request without an answer for so long has failed.
    public var requestTime: Int64 = 5_000
    /// A lookup ends then with what it has.
    public var lookupTime: Int64 = 30_000
    /// Values heard before a get stops asking; the first fresh one is told at once anyway.
    public var quorum = 4
    /// Peers of one address range in a bucket, and in the whole table.
    public var rangeInBucket = 2
    public var rangeInTable = 8
    /// Whether private and loopback addresses are counted by range: off on a test network, where all are neighbours.
    public var countsPrivateRanges = false
    /// Wrong records or providers from a peer before it is no longer listened to, and for how long.
    public var maximumOffences = 3
    public var banTime: Int64 = 3_600_000

    public var maximumLookups = 64
    public var maximumRecords = 4_096
    /// Bytes of all records' values.
    public var maximumRecordBytes = 16 << 20
    public var maximumProvidedKeys = 4_096
    public var maximumProvidersPerKey = 64
    /// The longest a record is kept that does not say itself when it ends.
    public var recordLifetime: Int64 = 48 * 3_600_000
    public var providerLifetime: Int64 = 48 * 3_600_000
    /// How often own records and provider entries are put again.
    public var republishInterval: Int64 = 22 * 3_600_000
    /// How often buckets are refreshed, and the own neighbourhood looked up.
    public var refreshInterval: Int64 = 600_000

    public init(protocolID: String) { self.protocolID = protocolID }
}
