/// `/ipfs/ping/1.0.0`: 32 random bytes out, the same 32 back.
public enum Ping {
    public static let protocolID = "/ipfs/ping/1.0.0"
    public static let length = 32
    /// Inbound ping streams that one peer may hold open.
    public static let maximumStreams = 2

    /// The answering side: what is echoed of what came in, in whole payloads.
    public struct Responder: Sendable {
        private var queue = ByteQueue()

        public init() {}

        public mutating func receive(_ bytes: some Collection<UInt8>) -> [UInt8] {
            queue.append(bytes)
            return Array(queue.take(queue.count / Ping.length * Ping.length) ?? [])
        }
    }
}
