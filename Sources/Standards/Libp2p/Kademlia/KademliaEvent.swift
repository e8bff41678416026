/// What a lookup told, and how it ended.
public enum KademliaEvent: Sendable {
    /// A valid record, the first or a better one than before. `hops` is 0 for one that was kept here.
    case found(value: [UInt8], hops: Int)
    /// Providers not told before.
    case providers([KademliaPeer])
    case finished(KademliaResult)
}

public struct KademliaResult: Sendable {
    /// Who answered, nearest to the key first.
    public var closest: [KademliaPeer] = []
    /// The best valid record heard.
    public var value: [UInt8]?
    public var providers: [KademliaPeer] = []
    /// The peer looked for, with its addresses.
    public var peer: KademliaPeer?
    /// How many took the record or provider entry, this node included.
    public var stored = 0
    public var requests = 0
    /// The longest chain of requests that was answered.
    public var hops = 0
    /// Milliseconds.
    public var duration: Int64 = 0
    public var isTimedOut = false
}

/// What the engine asks its shell to do.
public enum KademliaOutput: Sendable {
    /// Send `message` to a peer on a stream of its own, and report with `answered` or `failed`. When no answer is expected, `answered`
    /// with nil once it is sent.
    case send(KademliaEngine.RequestID, to: KademliaPeer, KademliaMessage, expectsAnswer: Bool)
    case event(KademliaEngine.LookupID, KademliaEvent)
}
